/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program writes on standard error, line by line: its last bytes are
 * the text of the outcome, lines that begin with "REDIAL-" are for us (see
 * exec_config.h). Bounded: a line counts up to EXEC_LINE_BYTES_MAX, the rest of
 * it is text.
 */
#ifndef REDIAL_SERVER_PLUGINS_EXEC_EXEC_NOTES_H
#define REDIAL_SERVER_PLUGINS_EXEC_EXEC_NOTES_H

#include "server/plugins/text.h"

enum { EXEC_LINE_BYTES_MAX = 1024 };

struct exec_notes {
    size_t tail_bytes_max; /* at most TEXT_BYTES_MAX */
    size_t tail_len;
    size_t line_len;
    bool has_pushback;
    int64_t pushback_ms;
    char reason[REASON_BYTES_MAX + 1];  /* "": not given */
    char progress[EXEC_LINE_BYTES_MAX]; /* the last one; "": none new */
    char line[EXEC_LINE_BYTES_MAX];     /* not yet complete */
    char tail[2 * TEXT_BYTES_MAX + 1];
};

void
exec_notes_init(struct exec_notes *notes, size_t tail_bytes_max);

/* Adds what was read. */
void
exec_notes_add(struct exec_notes *notes, const char *data, size_t len);

/* Ends the last line; returns the text, which lives as long as the notes. */
const char *
exec_notes_end(struct exec_notes *notes);

#endif
