/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A byte buffer that grows up to a maximum given at the start. A failed append
 * (the maximum, or no memory) leaves the buffer as it was and is remembered, so
 * that a writer may check once at the end.
 */
#ifndef REDIAL_SERVER_BASE_BYTES_H
#define REDIAL_SERVER_BASE_BYTES_H

#include "server/base/varint.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
    uint8_t *at; /* NULL until the first append */
    size_t len;
    size_t capacity;
    size_t len_max;
    bool failed; /* an append did not fit; until bytes_clear() */
};

/* Makes an empty buffer; takes no memory yet. */
void
bytes_init(struct bytes *bytes, size_t len_max);

/* Frees the memory. A zeroed or finished one is allowed. */
void
bytes_fini(struct bytes *bytes);

/* Empties it, keeps the memory, forgets a failure. */
void
bytes_clear(struct bytes *bytes);

/*
 * Makes room for `len` more bytes and returns where they start, or NULL. What
 * is written there counts only after bytes_commit(), of at most `len`.
 */
uint8_t *
bytes_reserve(struct bytes *bytes, size_t len);

void
bytes_commit(struct bytes *bytes, size_t len);

/* All appends return false when they do not fit. */
bool
bytes_append(struct bytes *bytes, const void *data, size_t len);

bool
bytes_append_byte(struct bytes *bytes, uint8_t byte);

bool
bytes_append_varint(struct bytes *bytes, uint64_t value);

/* The length as a varint, then the bytes: both or nothing. */
bool
bytes_append_field(struct bytes *bytes, const void *data, size_t len);

/* Drops the first `len` bytes, which must be there. Linear in the rest. */
void
bytes_consume(struct bytes *bytes, size_t len);

#endif
