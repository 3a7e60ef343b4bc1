/* SPDX-License-Identifier: Apache-2.0 */
#include "server/plugins/host/host_log.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_BYTES = 4096, /* one write to a pipe of so much is not torn */
    END_BYTES = 8,     /* kept free for the end */
};

struct kind {
    const char *id;
    const char *level;
    const char *sentence;
};

#define LEVEL_DEBUG   "debug"
#define LEVEL_INFO    "info"
#define LEVEL_WARNING "warn"
#define LEVEL_ERROR   "error"

static const struct kind kinds[] = {
#define HOST_LOG(name, id, level, sentence) {id, LEVEL_##level, sentence},
#include "server/plugins/host/host_log.def"
#undef HOST_LOG
};

static const char *worker_name = "";

struct line {
    char text[LINE_BYTES];
    size_t len;
};

static void
put(struct line *line, const char *text, size_t len)
{
    if (line->len + len <= sizeof(line->text) - END_BYTES) {
        memcpy(line->text + line->len, text, len);
        line->len += len;
    }
}

static void
put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* Leaves absent ones out; a value that does not fit is cut. */
static void
put_member(struct line *line, const char *name, const char *value)
{
    if (value == NULL || value[0] == '\0') {
        return;
    }
    put_text(line, line->len > 1 ? ",\"" : "\"");
    put_text(line, name);
    put_text(line, "\":\"");
    for (const char *at = value; *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;
        char escape[8] = {(char)c};
        size_t len = 1;
        if (c == '"' || c == '\\') {
            len = (size_t)snprintf(escape, sizeof(escape), "\\%c", c);
        } else if (c < 0x20) {
            len = (size_t)snprintf(escape, sizeof(escape), "\\u%04x", c);
        }
        put(line, escape, len);
    }
    line->text[line->len++] = '"'; /* END_BYTES has room for it */
}

static void
put_time(struct line *line)
{
    struct timespec now;
    struct tm parts;
    char day[32];
    char text[48];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text, sizeof(text), "%s.%03ldZ", day, now.tv_nsec / 1000000);
    put_member(line, "time", text);
}

void
host_log_init(const char *worker)
{
    worker_name = worker;
}

void
host_log_job(enum host_log_id id, const char *job_id,
             const char *correlation_id, const char *detail)
{
    struct line line = {.text = "{", .len = 1};
    put_time(&line);
    put_member(&line, "level", kinds[id].level);
    put_member(&line, "id", kinds[id].id);
    put_member(&line, "message", kinds[id].sentence);
    put_member(&line, "worker", worker_name);
    put_member(&line, "job", job_id);
    put_member(&line, "correlation_id", correlation_id);
    put_member(&line, "detail", detail);
    memcpy(line.text + line.len, "}\n", 2);
    (void)!write(STDERR_FILENO, line.text, line.len + 2);
}

void
host_log(enum host_log_id id, const char *detail)
{
    host_log_job(id, NULL, NULL, detail);
}
