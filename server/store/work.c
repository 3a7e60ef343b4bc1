/* SPDX-License-Identifier: Apache-2.0 */
/* The marks and the work of a group: how they are kept as bytes. */
#include "server/store/group.h"
#include "server/store/little.h"

#include <string.h>

enum {
    MARK_TYPE_SHIFT = 24,
    MARK_KEYED_SHIFT = 31,
    MARK_INDEX_MAX = (1 << MARK_TYPE_SHIFT) - 1,
    MARK_TYPE_MAX = 127,
    WORK_HEAD_BYTES = 1 + 1 + 16 + 8 + 4 + 4,
};

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

bool
group_add_work(struct store_group *group, const struct work *work)
{
    size_t size = WORK_HEAD_BYTES + work->name.len + work->len;
    uint8_t *at = bytes_reserve(&group->work, size);

    if (at == NULL) {
        return false;
    }
    at[0] = (uint8_t)work->kind;
    at[1] = (uint8_t)work->type;
    memcpy(at + 2, work->job.bytes, sizeof(work->job.bytes));
    store_le64(at + 18, work->seq);
    store_le32(at + 26, work->name.len);
    store_le32(at + 30, (uint32_t)work->len);
    at += WORK_HEAD_BYTES;
    if (work->name.len > 0) {
        memcpy(at, work->name.at, work->name.len);
    }
    if (work->len > 0) {
        memcpy(at + work->name.len, work->bytes, work->len);
    }
    bytes_commit(&group->work, size);
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
    ret->name.len = load_le32(at + 26);
    ret->name.at = (const char *)at + WORK_HEAD_BYTES;
    ret->len = load_le32(at + 30);
    ret->bytes = at + WORK_HEAD_BYTES + ret->name.len;
    *cursor += WORK_HEAD_BYTES + ret->name.len + ret->len;
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
    return group_add_work(group, &(struct work){.kind = WORK_KEY,
                                                .job = record->job,
                                                .seq = record->seq,
                                                .bytes = hashes,
                                                .len = sizeof(hashes)});
}

bool
group_add_index_work(struct store_group *group, const struct record *record)
{
    struct work work = {
        .type = record->type, .job = record->job, .seq = record->seq};

    if (record->type == EVENT_JOB_ACCEPTED) {
        return add_mark(group, record) &&
               (is_zero(record->key_hash) || add_key_work(group, record));
    }
    if (record->type == EVENT_ATTEMPT_LATE) {
        work.kind = WORK_LATE;
        return group_add_work(group, &work);
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
    return add_mark(group, record) && group_add_work(group, &work);
}
