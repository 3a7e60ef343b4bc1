/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/group.h"

#include "server/base/check.h"
#include "server/store/backend.h"
#include "server/store/little.h"

#include <stdlib.h>
#include <string.h>

enum {
    MARK_TYPE_SHIFT = 24,
    MARK_KEYED_SHIFT = 31,
    MARK_INDEX_MAX = (1 << MARK_TYPE_SHIFT) - 1,
    MARK_TYPE_MAX = 127,
    WORK_HEAD_BYTES = 1 + 1 + 16 + 8 + 4,
    ENTRIES_FIRST = 64,
};

/* ---- Marks and work ---------------------------------------------------- */

bool
group_is_final(enum event_type type)
{
    return type == EVENT_JOB_SUCCEEDED || type == EVENT_JOB_FAILED ||
           type == EVENT_JOB_CANCELLED || type == EVENT_JOB_EXPIRED;
}

size_t
group_mark_count(size_t len)
{
    return len / GROUP_MARK_BYTES;
}

bool
group_mark(const uint8_t *marks, size_t index, struct group_mark *ret)
{
    const uint8_t *at = marks + index * GROUP_MARK_BYTES;
    uint32_t word = load_le32(at + 16);
    enum event_type type = (enum event_type)((word >> MARK_TYPE_SHIFT) &
                                             MARK_TYPE_MAX);

    if (!group_is_final(type) && type != EVENT_JOB_ACCEPTED &&
        type != EVENT_JOB_REQUEUED) {
        return false;
    }
    memcpy(ret->job.bytes, at, sizeof(ret->job.bytes));
    ret->type = type;
    ret->index = word & MARK_INDEX_MAX;
    ret->keyed = (word >> MARK_KEYED_SHIFT) != 0;
    return true;
}

static bool
add_mark(struct store_group *group, const struct record *record)
{
    uint8_t *at = bytes_reserve(&group->marks, GROUP_MARK_BYTES);

    if (at == NULL || group->count > MARK_INDEX_MAX) {
        return false;
    }
    memcpy(at, record->job.bytes, sizeof(record->job.bytes));
    store_le32(at + 16, (uint32_t)group->count |
                            (uint32_t)record->type << MARK_TYPE_SHIFT |
                            (uint32_t)(record->key.len > 0)
                                << MARK_KEYED_SHIFT);
    bytes_commit(&group->marks, GROUP_MARK_BYTES);
    return true;
}

static bool
add_work(struct store_group *group, const struct work *work)
{
    uint8_t *at = bytes_reserve(&group->work, WORK_HEAD_BYTES + work->len);

    if (at == NULL) {
        return false;
    }
    at[0] = (uint8_t)work->kind;
    at[1] = (uint8_t)work->type;
    memcpy(at + 2, work->job.bytes, sizeof(work->job.bytes));
    store_le64(at + 18, work->seq);
    store_le32(at + 26, (uint32_t)work->len);
    if (work->len > 0) {
        memcpy(at + WORK_HEAD_BYTES, work->bytes, work->len);
    }
    bytes_commit(&group->work, WORK_HEAD_BYTES + work->len);
    return true;
}

bool
group_next_work(const struct store_group *group, size_t *cursor,
                struct work *ret)
{
    if (*cursor == group->work.len) {
        return false;
    }
    const uint8_t *at = group->work.at + *cursor;

    ret->kind = (enum work_kind)at[0];
    ret->type = (enum event_type)at[1];
    memcpy(ret->job.bytes, at + 2, sizeof(ret->job.bytes));
    ret->seq = load_le64(at + 18);
    ret->len = load_le32(at + 26);
    ret->bytes = at + WORK_HEAD_BYTES;
    *cursor += WORK_HEAD_BYTES + ret->len;
    return true;
}

static bool
is_zero(const uint8_t bytes[16])
{
    static const uint8_t zero[16];

    return memcmp(bytes, zero, sizeof(zero)) == 0;
}

static bool
add_key_work(struct store_group *group, const struct record *record)
{
    uint8_t hashes[32];

    memcpy(hashes, record->key_hash, 16);
    memcpy(hashes + 16, record->content_hash, 16);
    return add_work(group, &(struct work){.kind = WORK_KEY,
                                          .job = record->job,
                                          .seq = record->seq,
                                          .bytes = hashes,
                                          .len = sizeof(hashes)});
}

/* What the store does by itself for this record. */
static bool
add_index_work(struct store_group *group, const struct record *record)
{
    struct work work = {
        .type = record->type, .job = record->job, .seq = record->seq};

    if (record->type == EVENT_JOB_ACCEPTED) {
        return add_mark(group, record) &&
               (is_zero(record->key_hash) || add_key_work(group, record));
    }
    if (record->type == EVENT_ATTEMPT_LATE) {
        work.kind = WORK_LATE;
        return add_work(group, &work);
    }
    if (!group_is_final(record->type) && record->type != EVENT_JOB_REQUEUED) {
        return true;
    }
    if (record->type == EVENT_JOB_REQUEUED) {
        work.kind = WORK_REQUEUED;
    } else {
        work.kind = WORK_FINAL;
        group->finals++;
        group->correlated += record->correlation.len > 0;
    }
    work.bytes = (const uint8_t *)record->correlation.at;
    work.len = record->correlation.len;
    return add_mark(group, record) && add_work(group, &work);
}

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
        !add_index_work(group, record)) {
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
    return add_work(group, &(struct work){.kind = WORK_PUT_JOB,
                                          .job = id,
                                          .seq = seq,
                                          .bytes = row,
                                          .len = len});
}

bool
store_group_delete_job(struct store_group *group, struct job_id id)
{
    group->work_count++;
    return add_work(group, &(struct work){.kind = WORK_DELETE_JOB, .job = id});
}

bool
store_group_put_payload(struct store_group *group, struct job_id id,
                        const void *bytes, size_t len)
{
    group->work_count++;
    return add_work(group, &(struct work){.kind = WORK_PUT_PAYLOAD,
                                          .job = id,
                                          .bytes = bytes,
                                          .len = len});
}

bool
store_group_delete_payload(struct store_group *group, struct job_id id)
{
    group->work_count++;
    return add_work(group,
                    &(struct work){.kind = WORK_DELETE_PAYLOAD, .job = id});
}

void
store_group_set_watermark(struct store_group *group, uint64_t seq)
{
    redial_assert(seq >= group->watermark);
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
        struct store_entry *entries =
            realloc(group->entries, group->count * sizeof(*entries));

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
