/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/group.h"

#include "server/base/check.h"
#include "server/store/backend.h"
#include "server/store/little.h"

#include <stdlib.h>
#include <string.h>

enum { ENTRIES_FIRST = 64 };

/* ---- Building ---------------------------------------------------------- */

static struct store_group *
group_alloc(void)
{
    struct store_group *group = calloc(1, sizeof(*group));

    if (group == NULL) {
        return NULL;
    }
    atomic_init(&group->refs, 1);
    bytes_init(&group->bytes, GROUP_BYTES_MAX);
    bytes_init(&group->marks, GROUP_BYTES_MAX);
    bytes_init(&group->work, GROUP_BYTES_MAX);
    return group;
}

static bool
reserve_entries(struct store_group *group, size_t count)
{
    if (count <= group->capacity) {
        return true;
    }
    size_t capacity = group->capacity * 2;

    if (capacity < count) {
        capacity = count < ENTRIES_FIRST ? ENTRIES_FIRST : count;
    }
    struct store_entry *entries = realloc(group->entries,
                                          capacity * sizeof(*entries));

    if (entries == NULL) {
        return false;
    }
    group->entries = entries;
    group->capacity = capacity;
    return true;
}

struct store_group *
store_group_new(struct store *store)
{
    struct store_group *group = group_alloc();

    /* Without the hints it grows by itself: their failure is none. */
    if (group != NULL && store != NULL) {
        (void)bytes_reserve(&group->bytes,
                            store->bytes_hint + store->bytes_hint / 8);
        (void)reserve_entries(group, store->count_hint + store->count_hint / 8);
        group->bytes.failed = false;
    }
    return group;
}

struct store_group *
store_group_ref(struct store_group *group)
{
    atomic_fetch_add_explicit(&group->refs, 1, memory_order_relaxed);
    return group;
}

void
store_group_unref(struct store_group *group)
{
    if (group == NULL ||
        atomic_fetch_sub_explicit(&group->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    bytes_fini(&group->bytes);
    bytes_fini(&group->marks);
    bytes_fini(&group->work);
    free(group->entries);
    free(group);
}

void
store_group_set_user(struct store_group *group, void *user)
{
    group->user = user;
}

void *
store_group_user(const struct store_group *group)
{
    return group->user;
}

bool
store_group_add(struct store_group *group, const struct record *record,
                struct text attached)
{
    redial_assert(group->count == 0 ||
                  record->seq == store_group_last_seq(group) + 1);
    size_t size_max = record_encoded_max(record, attached.len);
    uint8_t *at = bytes_reserve(&group->bytes, GROUP_FRAME_BYTES + size_max);

    if (at == NULL || !reserve_entries(group, group->count + 1) ||
        !group_add_index_work(group, record)) {
        return false;
    }
    size_t len = record_encode(record, attached, at + GROUP_FRAME_BYTES);

    redial_assert(len <= size_max);
    store_le32(at, (uint32_t)len);
    group->entries[group->count++] = (struct store_entry){
        .seq = record->seq,
        .job = record->job,
        .offset = (uint32_t)(group->bytes.len + GROUP_FRAME_BYTES),
        .len = (uint32_t)len,
        .type = record->type,
    };
    bytes_commit(&group->bytes, GROUP_FRAME_BYTES + len);
    group->wall_ms = record->wall_ms;
    return true;
}

bool
store_group_put_job(struct store_group *group, struct job_id id, uint64_t seq,
                    const uint8_t *row, size_t len)
{
    group->work_count++;
    return group_add_work(group, &(struct work){.kind = WORK_PUT_JOB,
                                                .job = id,
                                                .seq = seq,
                                                .bytes = row,
                                                .len = len});
}

bool
store_group_delete_job(struct store_group *group, struct job_id id)
{
    group->work_count++;
    return group_add_work(group,
                          &(struct work){.kind = WORK_DELETE_JOB, .job = id});
}

bool
store_group_put_target(struct store_group *group, struct text name,
                       uint64_t seq, const uint8_t *row, size_t len)
{
    redial_assert(name.len > 0);
    group->work_count++;
    return group_add_work(group, &(struct work){.kind = WORK_PUT_TARGET,
                                                .name = name,
                                                .seq = seq,
                                                .bytes = row,
                                                .len = len});
}

bool
store_group_delete_target(struct store_group *group, struct text name)
{
    redial_assert(name.len > 0);
    group->work_count++;
    return group_add_work(
        group, &(struct work){.kind = WORK_DELETE_TARGET, .name = name});
}

bool
store_group_put_payload(struct store_group *group, struct job_id id,
                        const void *bytes, size_t len)
{
    group->work_count++;
    return group_add_work(group, &(struct work){.kind = WORK_PUT_PAYLOAD,
                                                .job = id,
                                                .bytes = bytes,
                                                .len = len});
}

bool
store_group_delete_payload(struct store_group *group, struct job_id id)
{
    group->work_count++;
    return group_add_work(
        group, &(struct work){.kind = WORK_DELETE_PAYLOAD, .job = id});
}

void
store_group_set_watermark(struct store_group *group, uint64_t seq)
{
    redial_assert(seq >= group->watermark);
    group->work_count += seq > group->watermark;
    group->watermark = seq;
}

/* ---- Looking ----------------------------------------------------------- */

size_t
store_group_count(const struct store_group *group)
{
    return group->count;
}

size_t
store_group_work(const struct store_group *group)
{
    return group->work_count;
}

size_t
store_group_size(const struct store_group *group)
{
    return group->bytes.len + group->marks.len + group->work.len;
}

uint64_t
store_group_first_seq(const struct store_group *group)
{
    return group->count == 0 ? 0 : group->entries[0].seq;
}

uint64_t
store_group_last_seq(const struct store_group *group)
{
    return group->count == 0 ? 0 : group->entries[group->count - 1].seq;
}

const struct store_entry *
store_group_entry(const struct store_group *group, size_t index)
{
    redial_assert(index < group->count);
    return &group->entries[index];
}

const uint8_t *
store_group_bytes(const struct store_group *group,
                  const struct store_entry *entry)
{
    return group->bytes.at + entry->offset;
}

void
store_group_record(const struct store_group *group, size_t index,
                   struct record *ret)
{
    const struct store_entry *entry = store_group_entry(group, index);
    bool ok = record_decode(store_group_bytes(group, entry), entry->len, ret);

    redial_assert(ok);
}

enum store_status
store_group_status(const struct store_group *group)
{
    return group->status;
}

uint64_t
store_group_write_us(const struct store_group *group)
{
    return group->write_us;
}

uint64_t
store_group_sync_us(const struct store_group *group)
{
    return group->sync_us;
}

const struct store_entry *
group_find(const struct store_group *group, uint64_t seq)
{
    uint64_t first = store_group_first_seq(group);

    if (group->count == 0 || seq < first || seq - first >= group->count) {
        return NULL;
    }
    return &group->entries[seq - first];
}

size_t
group_memory(const struct store_group *group)
{
    return sizeof(*group) + group->bytes.capacity + group->marks.capacity +
           group->capacity * sizeof(*group->entries);
}

static void
shrink_bytes(struct bytes *bytes)
{
    if (bytes->len > 0 && bytes->capacity - bytes->len > bytes->len / 4) {
        uint8_t *at = realloc(bytes->at, bytes->len);

        if (at != NULL) {
            bytes->at = at;
            bytes->capacity = bytes->len;
        }
    }
}

void
group_shrink(struct store_group *group)
{
    bytes_fini(&group->work);
    shrink_bytes(&group->bytes);
    shrink_bytes(&group->marks);
    if (group->count > 0 && group->capacity - group->count > group->count / 4) {
        struct store_entry *entries = realloc(group->entries,
                                              group->count * sizeof(*entries));

        if (entries != NULL) {
            group->entries = entries;
            group->capacity = group->count;
        }
    }
}

/* ---- From the log ------------------------------------------------------ */

/* Fills the entries from the group's bytes; false: they are damaged. */
static bool
index_records(struct store_group *group, uint64_t first_seq, size_t count)
{
    size_t at = 0;

    for (size_t i = 0; i < count; i++) {
        struct record record;

        if (group->bytes.len - at < GROUP_FRAME_BYTES) {
            return false;
        }
        uint32_t len = load_le32(group->bytes.at + at);

        at += GROUP_FRAME_BYTES;
        if (len > group->bytes.len - at ||
            !record_decode(group->bytes.at + at, len, &record) ||
            record.seq != first_seq + i) {
            return false;
        }
        group->entries[i] = (struct store_entry){.seq = record.seq,
                                                 .job = record.job,
                                                 .offset = (uint32_t)at,
                                                 .len = len,
                                                 .type = record.type};
        group->wall_ms = record.wall_ms;
        at += len;
    }
    group->count = count;
    return at == group->bytes.len;
}

struct store_group *
group_parse(uint64_t first_seq, size_t count, const uint8_t *bytes, size_t len,
            enum store_status *ret_status)
{
    if (count == 0 || count > len / GROUP_FRAME_BYTES ||
        len > GROUP_BYTES_MAX) {
        *ret_status = STORE_CORRUPT;
        return NULL;
    }
    struct store_group *group = group_alloc();

    if (group == NULL) {
        *ret_status = STORE_NO_MEMORY;
        return NULL;
    }
    if (!bytes_append(&group->bytes, bytes, len) ||
        !reserve_entries(group, count)) {
        *ret_status = STORE_NO_MEMORY;
        goto fail;
    }
    if (!index_records(group, first_seq, count)) {
        *ret_status = STORE_CORRUPT;
        goto fail;
    }
    return group;

fail:
    store_group_unref(group);
    return NULL;
}

bool
group_copy_record(struct store_group *group, const struct store_entry *entry,
                  const uint8_t *stored)
{
    if (!reserve_entries(group, group->count + 1) ||
        !bytes_append(&group->bytes, stored, entry->len)) {
        return false;
    }
    struct store_entry *copy = &group->entries[group->count++];

    *copy = *entry;
    copy->offset = (uint32_t)(group->bytes.len - entry->len);
    return true;
}

enum store_status
group_of_record(const uint8_t *stored, size_t len, struct store_group **ret)
{
    struct record record;

    if (!record_decode(stored, len, &record)) {
        return STORE_CORRUPT;
    }
    struct store_group *group = group_alloc();
    struct store_entry entry = {.seq = record.seq,
                                .job = record.job,
                                .len = (uint32_t)len,
                                .type = record.type};

    if (group == NULL || !group_copy_record(group, &entry, stored)) {
        store_group_unref(group);
        return STORE_NO_MEMORY;
    }
    *ret = group;
    return STORE_OK;
}
