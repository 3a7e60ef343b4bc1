/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/store_fault.h"

#include "server/store/vfs.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum action { ACTION_KILL, ACTION_EIO, ACTION_ENOSPC, ACTION_DELAY };

struct fault {
    bool armed;
    enum action action;
    uint64_t count;  /* of the first hit */
    uint64_t amount; /* hits, or milliseconds */
    atomic_uint_fast64_t passed;
};

bool store_fault_armed;

static struct fault faults[STORE_FAULT_COUNT];

static const char *const point_names[STORE_FAULT_COUNT] = {
#define STORE_FAULT_POINT(name, text) [STORE_FAULT_##name] = (text),
    STORE_FAULT_POINTS(STORE_FAULT_POINT)
#undef STORE_FAULT_POINT
};

static const char *const action_names[] = {
    [ACTION_KILL] = "kill",
    [ACTION_EIO] = "eio",
    [ACTION_ENOSPC] = "enospc",
    [ACTION_DELAY] = "delay",
};

/* The index of the word in the list; -1: none. */
static int
find_word(const char *const *words, int count, const char *at, size_t len)
{
    for (int i = 0; i < count; i++) {
        if (strlen(words[i]) == len && memcmp(words[i], at, len) == 0) {
            return i;
        }
    }
    return -1;
}

/* Takes the next part, up to one of ':' ',' or the end. */
static size_t
part_len(const char *at)
{
    return strcspn(at, ":,");
}

static bool
parse_number(const char **at, uint64_t *ret)
{
    char *end;

    errno = 0;
    unsigned long long value = strtoull(*at, &end, 10);

    if (end == *at || errno != 0 ||
        (*end != '\0' && *end != ':' && *end != ',')) {
        return false;
    }
    *at = end;
    *ret = value;
    return true;
}

/* point:count[:action[:amount]]; moves *at behind it. */
static bool
parse_fault(const char **at)
{
    size_t len = part_len(*at);
    int point = find_word(point_names, STORE_FAULT_COUNT, *at, len);
    uint64_t count;
    uint64_t amount = 1;
    int action = ACTION_KILL;

    if (point < 0 || (*at)[len] != ':') {
        return false;
    }
    *at += len + 1;
    if (!parse_number(at, &count) || count == 0) {
        return false;
    }
    if (**at == ':') {
        (*at)++;
        len = part_len(*at);
        action = find_word(action_names, 4, *at, len);
        if (action < 0) {
            return false;
        }
        *at += len;
    }
    if (**at == ':') {
        (*at)++;
        if (!parse_number(at, &amount)) {
            return false;
        }
    }
    faults[point].armed = true;
    faults[point].action = (enum action)action;
    faults[point].count = count;
    faults[point].amount = amount;
    atomic_store(&faults[point].passed, 0);
    store_fault_armed = true;
    return true;
}

bool
store_fault_arm(const char **ret_bad)
{
    const char *at = getenv("REDIAL_STORE_FAULT");

    store_fault_armed = false;
    for (size_t i = 0; i < STORE_FAULT_COUNT; i++) {
        faults[i].armed = false;
    }
    while (at != NULL && *at != '\0') {
        const char *start = at;

        if (!parse_fault(&at) || (*at != '\0' && *at != ',')) {
            *ret_bad = start;
            return false;
        }
        at += *at == ',';
    }
    return true;
}

int
store_fault_hit(enum store_fault_point point)
{
    struct fault *fault = &faults[point];

    if (!fault->armed) {
        return 0;
    }
    uint64_t passed = atomic_fetch_add(&fault->passed, 1) + 1;

    if (passed < fault->count) {
        return 0;
    }
    uint64_t hits = passed - fault->count + 1;

    switch (fault->action) {
    case ACTION_KILL:
        (void)kill(getpid(), SIGKILL);
        return EIO;
    case ACTION_EIO:
        return hits <= fault->amount ? EIO : 0;
    case ACTION_ENOSPC:
        return hits <= fault->amount ? ENOSPC : 0;
    case ACTION_DELAY:
        (void)poll(NULL, 0, (int)fault->amount);
        return 0;
    }
    return 0;
}

const char *
store_fault_vfs(void)
{
    return store_fault_armed ? vfs_register() : NULL;
}

const char *
store_fault_names(void)
{
#define STORE_FAULT_POINT(name, text) text " "
    return STORE_FAULT_POINTS(STORE_FAULT_POINT);
#undef STORE_FAULT_POINT
}
