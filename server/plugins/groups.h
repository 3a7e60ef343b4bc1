/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which process groups a plugin host is responsible for, as it tells by lines
 * on a pipe: "+1234" when group 1234 comes into being (before anything can
 * leave it), "-1234" when its number may soon be used again. Who reads the
 * other end kills what is left when the host is gone.
 */
#ifndef REDIAL_SERVER_PLUGINS_GROUPS_H
#define REDIAL_SERVER_PLUGINS_GROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GROUPS_MAX = 16384, /* of one host: more than it can have attempts */
    GROUPS_LINE_BYTES = 24,
};

struct groups {
    int32_t ids[GROUPS_MAX];
    uint32_t count;
    char line[GROUPS_LINE_BYTES]; /* not yet complete */
    size_t line_len;
};

/* Takes in bytes of the pipe. What is no line of this kind is ignored. */
void
groups_feed(struct groups *groups, const char *data, size_t len);

/*
 * Takes in what a pipe holds; waits for it if the pipe blocks. False when it
 * has ended.
 */
bool
groups_read(struct groups *groups, int fd);

/* Kills all groups and forgets them. */
void
groups_kill(struct groups *groups);

/*
 * Writes one line in one piece. Safe in a signal handler and after vfork().
 * Failures mean that the reader is gone, and us soon: they are ignored.
 */
void
groups_report(int fd, bool has_started, int64_t pgid);

#endif
