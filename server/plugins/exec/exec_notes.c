/* SPDX-License-Identifier: Apache-2.0 */
#include "server/plugins/exec/exec_notes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void
exec_notes_init(struct exec_notes *notes, size_t tail_bytes_max)
{
    memset(notes, 0, sizeof(*notes));
    notes->tail_bytes_max = tail_bytes_max;
}

static void
keep_last(struct exec_notes *notes)
{
    if (notes->tail_len > notes->tail_bytes_max) {
        memmove(notes->tail,
                notes->tail + notes->tail_len - notes->tail_bytes_max,
                notes->tail_bytes_max);
        notes->tail_len = notes->tail_bytes_max;
    }
}

/* The buffer holds twice the tail, so that it is moved only now and then. */
static void
add_text(struct exec_notes *notes, const char *data, size_t len)
{
    if (notes->tail_len + len > sizeof(notes->tail) - 1) {
        keep_last(notes);
    }
    memcpy(notes->tail + notes->tail_len, data, len);
    notes->tail_len += len;
}

static bool
has_prefix(struct exec_notes *notes, const char *prefix, char **ret_value,
           size_t *ret_len)
{
    size_t len = strlen(prefix);
    if (notes->line_len < len || memcmp(notes->line, prefix, len) != 0) {
        return false;
    }
    *ret_value = notes->line + len;
    *ret_len = text_clean(*ret_value, notes->line_len - len);
    return true;
}

static void
read_pushback(struct exec_notes *notes, const char *value, size_t len)
{
    char digits[24];
    if (len == 0 || len >= sizeof(digits)) {
        return;
    }
    memcpy(digits, value, len);
    digits[len] = '\0';
    char *end = NULL;
    errno = 0;
    long long ms = strtoll(digits, &end, 10);
    if (errno == 0 && *end == '\0') {
        notes->has_pushback = true;
        notes->pushback_ms = ms;
    }
}

/* Takes a line for us; false: it is text. Unreadable values are dropped. */
static bool
take_directive(struct exec_notes *notes)
{
    char *value;
    size_t len;
    if (has_prefix(notes, "REDIAL-REASON:", &value, &len)) {
        if (text_is_reason(value, len)) {
            memcpy(notes->reason, value, len);
            notes->reason[len] = '\0';
        }
        return true;
    }
    if (has_prefix(notes, "REDIAL-PUSHBACK-MS:", &value, &len)) {
        read_pushback(notes, value, len);
        return true;
    }
    if (has_prefix(notes, "REDIAL-PROGRESS:", &value, &len)) {
        memcpy(notes->progress, value, len);
        notes->progress[len] = '\0';
        return true;
    }
    return false;
}

static void
end_line(struct exec_notes *notes, bool has_newline)
{
    if (!take_directive(notes)) {
        add_text(notes, notes->line, notes->line_len);
        if (has_newline) {
            add_text(notes, "\n", 1);
        }
    }
    notes->line_len = 0;
}

void
exec_notes_add(struct exec_notes *notes, const char *data, size_t len)
{
    size_t at = 0;
    while (at < len) {
        const char *newline = memchr(data + at, '\n', len - at);
        size_t end = newline == NULL ? len : (size_t)(newline - data);
        size_t room = sizeof(notes->line) - notes->line_len;
        size_t part = end - at < room ? end - at : room;
        memcpy(notes->line + notes->line_len, data + at, part);
        notes->line_len += part;
        at += part;
        if (at < len && data[at] == '\n') {
            end_line(notes, true);
            at++;
        } else if (notes->line_len == sizeof(notes->line)) {
            end_line(notes, false);
        }
    }
}

const char *
exec_notes_end(struct exec_notes *notes)
{
    if (notes->line_len > 0) {
        end_line(notes, false);
    }
    keep_last(notes);
    notes->tail_len = text_clean(notes->tail, notes->tail_len);
    notes->tail[notes->tail_len] = '\0';
    return notes->tail;
}
