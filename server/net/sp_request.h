/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests of one connection that wait for an answer, by handle and by
 * backtrace: a bounded hash table that grows as it is needed.
 *
 * Not thread-safe.
 */
#ifndef REDIAL_SERVER_NET_SP_REQUEST_H
#define REDIAL_SERVER_NET_SP_REQUEST_H

#include "server/net/sp_frame.h"

#include <stddef.h>
#include <stdint.h>

#define SP_REQUESTS_MAX 1024u

struct sp_request {
    uint32_t value; /* handle: generation and slot; 0: the slot is free */
    uint32_t next;  /* slot + 1 in the chain or the free list; 0: last */
    uint32_t backtrace_len;
    uint8_t backtrace[SP_BACKTRACE_BYTES_MAX];
};

struct sp_requests {
    struct sp_request *slots;
    uint32_t *buckets;   /* slot + 1; as many as slots */
    uint32_t capacity;   /* a power of two */
    uint32_t count;      /* pending */
    uint32_t max;        /* of count */
    uint32_t free;       /* slot + 1 */
    uint32_t generation; /* of the last handle */
};

enum sp_request_result {
    SP_REQUEST_NEW,
    SP_REQUEST_PENDING, /* the same one waits already */
    SP_REQUEST_FULL,    /* `max` wait, or no memory */
};

/* An empty table of at most `max` (1 to SP_REQUESTS_MAX) requests. */
void
sp_requests_init(struct sp_requests *requests, uint32_t max);

void
sp_requests_fini(struct sp_requests *requests);

/* Adds one, unless it waits already. NEW sets *ret_value (never 0). */
enum sp_request_result
sp_requests_add(struct sp_requests *requests, const uint8_t *backtrace,
                size_t backtrace_len, uint32_t *ret_value);

/* NULL: no such request (any more). Valid until the next change. */
const struct sp_request *
sp_requests_find(const struct sp_requests *requests, uint32_t value);

/* Forgets a request; a stale handle is harmless. */
void
sp_requests_remove(struct sp_requests *requests, uint32_t value);

#endif
