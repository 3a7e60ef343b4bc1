/* SPDX-License-Identifier: Apache-2.0 */
#include "server/plugins/groups.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static void
add(struct groups *groups, int32_t id)
{
    if (groups->count < GROUPS_MAX) {
        groups->ids[groups->count++] = id;
    }
}

static void
forget(struct groups *groups, int32_t id)
{
    for (uint32_t i = 0; i < groups->count; i++) {
        if (groups->ids[i] == id) {
            groups->ids[i] = groups->ids[--groups->count];
            return;
        }
    }
}

static void
take_line(struct groups *groups)
{
    int64_t id = 0;
    size_t i = 1;
    for (; i < groups->line_len; i++) {
        char c = groups->line[i];
        if (c < '0' || c > '9' || id > INT32_MAX) {
            return;
        }
        id = id * 10 + (c - '0');
    }
    /* Group 1 is everybody and 0 ourselves: never. */
    if (i < 2 || id < 2 || id > INT32_MAX) {
        return;
    }
    if (groups->line[0] == '+') {
        add(groups, (int32_t)id);
    } else if (groups->line[0] == '-') {
        forget(groups, (int32_t)id);
    }
}

void
groups_feed(struct groups *groups, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '\n') {
            take_line(groups);
            groups->line_len = 0;
        } else if (groups->line_len < sizeof(groups->line)) {
            groups->line[groups->line_len++] = data[i];
        }
    }
}

bool
groups_read(struct groups *groups, int fd)
{
    for (;;) {
        char data[4096];
        ssize_t len = read(fd, data, sizeof(data));
        if (len > 0) {
            groups_feed(groups, data, (size_t)len);
        } else if (len == 0) {
            return false;
        } else if (errno != EINTR) {
            return errno == EAGAIN;
        }
    }
}

void
groups_kill(struct groups *groups)
{
    for (uint32_t i = 0; i < groups->count; i++) {
        kill(-groups->ids[i], SIGKILL);
    }
    groups->count = 0;
}

void
groups_report(int fd, bool has_started, int64_t pgid)
{
    char line[GROUPS_LINE_BYTES];
    size_t at = sizeof(line);
    line[--at] = '\n';
    for (int64_t left = pgid; left > 0 && at > 1; left /= 10) {
        line[--at] = (char)('0' + left % 10);
    }
    line[--at] = has_started ? '+' : '-';
    while (write(fd, line + at, sizeof(line) - at) < 0 && errno == EINTR) {
    }
}
