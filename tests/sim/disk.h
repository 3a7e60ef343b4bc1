/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated store: a log of committed records, rows of live jobs that are
 * written behind, and the watermark (all records up to it are reflected in the
 * rows). A group is committed whole or not at all, together with the projection
 * work that it carries.
 */
#ifndef REDIAL_TESTS_SIM_DISK_H
#define REDIAL_TESTS_SIM_DISK_H

#include "server/base/bytes.h"
#include "server/core/engine.h"
#include "tests/sim/ledger_target.h"
#include "tests/sim/plan.h"

struct sim;

/* Where one record lies in a buffer. */
struct extent {
    size_t offset;
    size_t len;
};

enum row_work_type { ROW_PUT, ROW_DELETE, ROW_TRIM, ROW_TARGET };

struct row_work {
    enum row_work_type type;
    uint32_t spec;     /* of ROW_TARGET: the ledger's number of the target */
    struct extent row; /* in the group's rows */
};

/* A group on its way to the disk; see gateway_group.c for its releases. */
struct disk_group {
    uint64_t first_seq;
    uint64_t watermark;
    uint64_t state_hash; /* of the live engine, when the group was closed */
    struct bytes records;
    struct extent *extents;
    uint32_t count;
    uint32_t count_max;
    struct bytes rows;
    struct row_work *work;
    uint32_t work_count;
    uint32_t work_max;
};

struct disk_row {
    bool present;
    uint32_t len;
    uint8_t *bytes;
};

struct disk {
    struct bytes log;
    struct extent *extents; /* of seq n at n - 1 */
    uint64_t count;
    uint64_t count_max;
    uint64_t watermark;
    struct disk_row rows[PLAN_JOBS_MAX];
    struct disk_row targets[LEDGER_TARGETS_MAX];
    bool trimmed[PLAN_JOBS_MAX]; /* the job and its key are forgotten */
};

void
disk_init(struct disk *disk);

void
disk_fini(struct disk *disk);

/* Makes the group part of what survives. */
void
disk_commit(struct disk *disk, const struct disk_group *group);

/* Decodes the record with this seq, 1 to disk->count. */
void
disk_read(struct sim *sim, uint64_t seq, struct record *ret_record);

void
disk_group_init(struct disk_group *group);

void
disk_group_fini(struct disk_group *group);

/* Encodes a record behind the others. */
void
disk_group_add(struct disk_group *group, const struct record *record,
               struct text attached);

/* Adds projection work; `row` is empty where there shall be none. */
void
disk_group_work(struct disk_group *group, enum row_work_type type,
                uint32_t spec, struct text row);

#endif
