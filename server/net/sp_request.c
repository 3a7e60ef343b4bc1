/* SPDX-License-Identifier: Apache-2.0 */
#include "server/net/sp_request.h"

#include "server/base/check.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN    16u
#define SLOT_MASK       (SP_REQUESTS_MAX - 1)
#define GENERATION_UNIT SP_REQUESTS_MAX /* the bits above the slot's */

_Static_assert((SP_REQUESTS_MAX & SLOT_MASK) == 0, "a power of two");

void
sp_requests_init(struct sp_requests *requests, uint32_t max)
{
    redial_assert(max > 0 && max <= SP_REQUESTS_MAX);
    memset(requests, 0, sizeof(*requests));
    requests->max = max;
}

void
sp_requests_fini(struct sp_requests *requests)
{
    free(requests->slots);
    free(requests->buckets);
    memset(requests, 0, sizeof(*requests));
}

/* Ids count upwards in every client: the low bits spread well by themselves. */
static uint32_t
bucket_of(const struct sp_requests *requests, const uint8_t *backtrace,
          size_t len)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ backtrace[i]) * 16777619u;
    }
    return (hash ^ hash >> 16) & (requests->capacity - 1);
}

static void
link_slot(struct sp_requests *requests, uint32_t slot)
{
    struct sp_request *request = &requests->slots[slot];
    uint32_t bucket = bucket_of(requests, request->backtrace,
                                request->backtrace_len);

    request->next = requests->buckets[bucket];
    requests->buckets[bucket] = slot + 1;
}

/* Doubles the table, which is full. */
static bool
grow(struct sp_requests *requests)
{
    uint32_t old = requests->capacity;
    uint32_t capacity = old > 0 ? 2 * old : CAPACITY_MIN;
    struct sp_request *slots;
    uint32_t *buckets;

    slots = realloc(requests->slots, capacity * sizeof(*slots));
    if (slots == NULL) {
        return false;
    }
    requests->slots = slots;
    buckets = realloc(requests->buckets, capacity * sizeof(*buckets));
    if (buckets == NULL) {
        return false;
    }
    requests->buckets = buckets;
    requests->capacity = capacity;
    memset(buckets, 0, capacity * sizeof(*buckets));
    memset(slots + old, 0, (capacity - old) * sizeof(*slots));
    for (uint32_t slot = 0; slot < old; slot++) {
        link_slot(requests, slot);
    }
    for (uint32_t slot = capacity; slot > old; slot--) {
        slots[slot - 1].next = requests->free;
        requests->free = slot;
    }
    return true;
}

static bool
is_pending(const struct sp_requests *requests, const uint8_t *backtrace,
           size_t len)
{
    uint32_t link;

    if (requests->capacity == 0) {
        return false;
    }
    link = requests->buckets[bucket_of(requests, backtrace, len)];
    while (link != 0) {
        const struct sp_request *request = &requests->slots[link - 1];

        if (request->backtrace_len == len &&
            memcmp(request->backtrace, backtrace, len) == 0) {
            return true;
        }
        link = request->next;
    }
    return false;
}

enum sp_request_result
sp_requests_add(struct sp_requests *requests, const uint8_t *backtrace,
                size_t backtrace_len, uint32_t *ret_value)
{
    struct sp_request *request;
    uint32_t slot;

    redial_assert(backtrace_len <= SP_BACKTRACE_BYTES_MAX);
    if (is_pending(requests, backtrace, backtrace_len)) {
        return SP_REQUEST_PENDING;
    }
    if (requests->count >= requests->max ||
        (requests->free == 0 && !grow(requests))) {
        return SP_REQUEST_FULL;
    }
    slot = requests->free - 1;
    request = &requests->slots[slot];
    requests->free = request->next;
    requests->generation += GENERATION_UNIT;
    if (requests->generation == 0) {
        requests->generation = GENERATION_UNIT; /* 0 stays no handle */
    }
    request->value = requests->generation | slot;
    request->backtrace_len = (uint32_t)backtrace_len;
    memcpy(request->backtrace, backtrace, backtrace_len);
    link_slot(requests, slot);
    requests->count++;
    *ret_value = request->value;
    return SP_REQUEST_NEW;
}

const struct sp_request *
sp_requests_find(const struct sp_requests *requests, uint32_t value)
{
    uint32_t slot = value & SLOT_MASK;

    if (value == 0 || slot >= requests->capacity ||
        requests->slots[slot].value != value) {
        return NULL;
    }
    return &requests->slots[slot];
}

void
sp_requests_remove(struct sp_requests *requests, uint32_t value)
{
    uint32_t slot = value & SLOT_MASK;
    struct sp_request *request;
    uint32_t *link;

    if (sp_requests_find(requests, value) == NULL) {
        return;
    }
    request = &requests->slots[slot];
    link = &requests->buckets[bucket_of(requests, request->backtrace,
                                        request->backtrace_len)];
    while (*link != slot + 1) {
        link = &requests->slots[*link - 1].next;
    }
    *link = request->next;
    request->value = 0;
    request->next = requests->free;
    requests->free = slot + 1;
    requests->count--;
}
