/* SPDX-License-Identifier: Apache-2.0 */
/* Retention on disk: trim.c decides what goes, trim_steps.c how. */
#ifndef REDIAL_SERVER_STORE_TRIM_H
#define REDIAL_SERVER_STORE_TRIM_H

#include "server/store/disk.h"

/* One step at work. */
struct trim {
    struct disk *disk;
    struct db *db;
    struct store_retention limits;
    struct trimmed trimmed; /* becomes the disk's when committed */
    struct answer *answer;
    uint64_t until_us;
};

bool
trim_is_older(const struct trim *step, int64_t wall_ms, uint64_t age_ms);

/* Forgets the finished jobs of the group; a FAILED one is kept apart. */
enum store_status
trim_forget_group(struct trim *step, const struct log_head *head);

/* Drops the oldest group, which is forgotten; `next` is the one after it. */
enum store_status
trim_drop_group(struct trim *step, const struct log_head *head,
                const struct log_head *next);

/* Drops the oldest FAILED job if it is beyond the limits; *ret: it was. */
enum store_status
trim_prune_one(struct trim *step, bool *ret);

#endif
