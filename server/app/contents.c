/* SPDX-License-Identifier: Apache-2.0 */
#include "server/app/contents.h"

#include "server/app/gateway.h"
#include "server/base/check.h"

#include <stdlib.h>
#include <string.h>

/* Slots that one contents_trim() looks at. */
enum { SWEEP_MAX = 256 };

bool
contents_init(struct contents *contents, uint32_t slots, uint64_t bytes_max)
{
    *contents = (struct contents){.count = slots, .bytes_max = bytes_max};
    contents->slots = calloc(slots, sizeof(*contents->slots));
    return contents->slots != NULL;
}

static void
drop_bytes(struct contents *contents, struct content_slot *slot)
{
    if (slot->bytes != NULL) {
        contents->bytes -= slot->len;
        free(slot->bytes);
        slot->bytes = NULL;
    }
}

void
contents_fini(struct contents *contents)
{
    for (uint32_t i = 0; contents->slots != NULL && i < contents->count; i++) {
        if (contents->slots[i].live) {
            drop_bytes(contents, &contents->slots[i]);
            free(contents->slots[i].progress);
        }
    }
    free(contents->slots);
    contents->slots = NULL;
}

void
contents_adopt(struct gateway *gateway, uint32_t slot, struct text bytes)
{
    struct contents *contents = &gateway->contents;
    struct content_slot *at = &contents->slots[slot];

    redial_assert(!at->live);
    *at = (struct content_slot){
        .bytes = unconst(bytes.at),
        .len = bytes.len,
        .live = true,
    };
    contents->bytes += at->bytes == NULL ? 0 : at->len;
}

bool
contents_copy(struct gateway *gateway, uint32_t slot,
              const struct record *accepted)
{
    struct content_slot *at = &gateway->contents.slots[slot];
    char *copy = malloc(accepted->attached.len);

    if (copy == NULL) {
        return false;
    }
    memcpy(copy, accepted->attached.at, accepted->attached.len);
    contents_adopt(gateway, slot, (struct text){NULL, 0});
    at->bytes = copy;
    at->len = accepted->attached.len;
    at->accepted_seq = accepted->seq;
    gateway->contents.bytes += at->len;
    return true;
}

void
contents_drop(struct gateway *gateway, uint32_t slot)
{
    struct content_slot *at = &gateway->contents.slots[slot];

    drop_bytes(&gateway->contents, at);
    free(at->progress);
    *at = (struct content_slot){.live = false};
}

void
contents_move(struct gateway *gateway, uint32_t from, uint32_t to)
{
    struct content_slot *slots = gateway->contents.slots;

    redial_assert(!slots[to].live);
    slots[to] = slots[from];
    slots[from] = (struct content_slot){.live = false};
}

struct text
contents_get(const struct gateway *gateway, uint32_t slot)
{
    const struct content_slot *at = &gateway->contents.slots[slot];

    return (struct text){at->bytes, at->bytes == NULL ? 0 : at->len};
}

void
contents_stored(struct gateway *gateway, uint32_t slot, uint64_t serial)
{
    gateway->contents.slots[slot].stored_serial = serial;
}

bool
contents_is_stored(const struct gateway *gateway, uint32_t slot)
{
    return gateway->contents.slots[slot].stored_serial != 0;
}

void
contents_set_progress(struct gateway *gateway, uint32_t slot,
                      struct text progress)
{
    struct content_slot *at = &gateway->contents.slots[slot];
    size_t len = wire_utf8_cut(progress.at, progress.len, PROGRESS_BYTES_MAX);

    free(at->progress);
    at->progress = strndup(progress.at, len);
}

const char *
contents_progress(const struct gateway *gateway, uint32_t slot)
{
    return gateway->contents.slots[slot].progress;
}

void
contents_trim(struct gateway *gateway)
{
    struct contents *contents = &gateway->contents;

    for (int i = 0; i < SWEEP_MAX && contents->bytes > contents->bytes_max;
         i++) {
        struct content_slot *at = &contents->slots[contents->hand];

        contents->hand = (contents->hand + 1) % contents->count;
        if (at->live && at->stored_serial != 0 &&
            pipeline_is_released(gateway, at->stored_serial)) {
            drop_bytes(contents, at);
        }
    }
}
