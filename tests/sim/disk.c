/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/disk.h"

#include "server/base/check.h"
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_BYTES_MAX = 64 * 1024 * 1024 };

void
disk_init(struct disk *disk)
{
    bytes_init(&disk->log, LOG_BYTES_MAX);
}

void
disk_fini(struct disk *disk)
{
    bytes_fini(&disk->log);
    free(disk->extents);
    for (uint32_t i = 0; i < PLAN_JOBS_MAX; i++) {
        free(disk->rows[i].bytes);
    }
    for (uint32_t i = 0; i < LEDGER_TARGETS_MAX; i++) {
        free(disk->targets[i].bytes);
    }
}

static void
add_extent(struct disk *disk, size_t len)
{
    if (disk->count == disk->count_max) {
        disk->count_max = disk->count_max * 2 + 1024;
        disk->extents = realloc(disk->extents,
                                disk->count_max * sizeof(struct extent));
        redial_assert(disk->extents != NULL);
    }
    disk->extents[disk->count++] = (struct extent){.offset = disk->log.len,
                                                   .len = len};
}

static void
put_row(struct disk_row *row, const struct disk_group *group,
        const struct extent *from)
{
    free(row->bytes);
    row->bytes = malloc(from->len + 1);
    redial_assert(row->bytes != NULL);
    if (from->len > 0) {
        memcpy(row->bytes, group->rows.at + from->offset, from->len);
    }
    row->len = (uint32_t)from->len;
    row->present = from->len > 0;
}

static void
do_work(struct disk *disk, const struct disk_group *group,
        const struct row_work *work)
{
    switch (work->type) {
    case ROW_PUT:
        put_row(&disk->rows[work->spec], group, &work->row);
        break;
    case ROW_TARGET:
        put_row(&disk->targets[work->spec], group, &work->row);
        break;
    case ROW_DELETE:
        disk->rows[work->spec].present = false;
        break;
    case ROW_TRIM:
        disk->trimmed[work->spec] = true;
        break;
    }
}

void
disk_commit(struct disk *disk, const struct disk_group *group)
{
    for (uint32_t i = 0; i < group->count; i++) {
        const struct extent *extent = &group->extents[i];

        add_extent(disk, extent->len);
        bool kept = bytes_append(&disk->log, group->records.at + extent->offset,
                                 extent->len);

        redial_assert(kept);
        (void)kept;
    }
    for (uint32_t i = 0; i < group->work_count; i++) {
        do_work(disk, group, &group->work[i]);
    }
    disk->watermark = group->watermark;
}

void
disk_read(struct sim *sim, uint64_t seq, struct record *ret_record)
{
    const struct extent *extent = &sim->disk.extents[seq - 1];

    if (!record_decode(sim->disk.log.at + extent->offset, extent->len,
                       ret_record)) {
        sim_fail(sim, VIOLATION_RECOVERY, "record %" PRIu64 " is damaged", seq);
    }
}

void
disk_group_init(struct disk_group *group)
{
    *group = (struct disk_group){0};
    bytes_init(&group->records, LOG_BYTES_MAX);
    bytes_init(&group->rows, LOG_BYTES_MAX);
}

void
disk_group_fini(struct disk_group *group)
{
    bytes_fini(&group->records);
    bytes_fini(&group->rows);
    free(group->extents);
    free(group->work);
    *group = (struct disk_group){0};
}

void
disk_group_add(struct disk_group *group, const struct record *record,
               struct text attached)
{
    size_t most = record_encoded_max(record, attached.len);
    uint8_t *at = bytes_reserve(&group->records, most);

    redial_assert(at != NULL);
    size_t len = record_encode(record, attached, at);

    redial_assert(len <= most);
    if (group->count == group->count_max) {
        group->count_max = group->count_max * 2 + 16;
        group->extents = realloc(group->extents,
                                 group->count_max * sizeof(struct extent));
        redial_assert(group->extents != NULL);
    }
    if (group->count == 0) {
        group->first_seq = record->seq;
    }
    group->extents[group->count++] = (struct extent){
        .offset = group->records.len, .len = len};
    bytes_commit(&group->records, len);
}

void
disk_group_work(struct disk_group *group, enum row_work_type type,
                uint32_t spec, struct text row)
{
    if (group->work_count == group->work_max) {
        group->work_max = group->work_max * 2 + 16;
        group->work = realloc(group->work,
                              group->work_max * sizeof(struct row_work));
        redial_assert(group->work != NULL);
    }
    group->work[group->work_count++] = (struct row_work){
        .type = type,
        .spec = spec,
        .row = {.offset = group->rows.len, .len = row.len},
    };
    if (row.len > 0) {
        bool kept = bytes_append(&group->rows, row.at, row.len);

        redial_assert(kept);
        (void)kept;
    }
}
