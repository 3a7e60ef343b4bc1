/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Named places where a test can make the store fail, in the real program: the
 * environment variable REDIAL_STORE_FAULT, read at store_open(), holds
 *
 *     point:count[:action[:amount]][,...]
 *
 * The count'th time that the point is passed, the action is taken:
 *
 *     kill     SIGKILL to ourselves (the default)
 *     eio      an input/output error, `amount` times (default: once)
 *     enospc   no room, `amount` times (default: once)
 *     delay    waits `amount` milliseconds, this and every later time
 *
 * Without the variable a point costs the test of one flag.
 */
#ifndef REDIAL_SERVER_STORE_STORE_FAULT_H
#define REDIAL_SERVER_STORE_STORE_FAULT_H

#include <stdbool.h>

/* X(NAME, "name in the environment") */
#define STORE_FAULT_POINTS(X)                                               \
    X(BEFORE_APPEND, "before_append")       /* transaction open, empty */   \
    X(AFTER_APPEND, "after_append")         /* log row in, nothing else */  \
    X(MID_PROJECTION, "mid_projection")     /* before each row of work */   \
    X(BEFORE_COMMIT, "before_commit")       /* all in, not yet committed */ \
    X(AFTER_COMMIT, "after_commit")         /* durable, nobody knows */     \
    X(CHECKPOINT, "checkpoint")             /* before one */                \
    X(AFTER_CHECKPOINT, "after_checkpoint") /* after one */                 \
    X(TRIM, "trim")                         /* before each dropped group */ \
    X(WRITE, "write")                       /* each write to a file */      \
    X(SYNC, "sync")                         /* each sync of a file */

enum store_fault_point {
#define STORE_FAULT_POINT(name, text) STORE_FAULT_##name,
    STORE_FAULT_POINTS(STORE_FAULT_POINT)
#undef STORE_FAULT_POINT
        STORE_FAULT_COUNT,
};

extern bool store_fault_armed;

/*
 * Reads the environment; before any thread of the store runs. False: it names
 * something that is not above (*ret_bad then points to it).
 */
bool
store_fault_arm(const char **ret_bad);

/* 0 or an errno to fail with. Any thread. */
int
store_fault_hit(enum store_fault_point point);

static inline int
store_fault(enum store_fault_point point)
{
    return store_fault_armed ? store_fault_hit(point) : 0;
}

/* The name of the SQLite VFS to open files with; NULL: the default one. */
const char *
store_fault_vfs(void);

/* The same as a string list, for messages: "before_append ...". */
const char *
store_fault_names(void);

#endif
