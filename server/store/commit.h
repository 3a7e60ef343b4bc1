/* SPDX-License-Identifier: Apache-2.0 */
/* One group as one transaction, on the writer's thread. */
#ifndef REDIAL_SERVER_STORE_COMMIT_H
#define REDIAL_SERVER_STORE_COMMIT_H

#include "server/store/disk.h"
#include "server/store/store_fault.h"

/*
 * Writes the group or leaves no trace of it. `head` is the log row that it
 * gets; not used for a group without records. Sets group->sync_us.
 */
enum store_status
commit_group(struct disk *disk, struct store_group *group,
             const struct log_head *head);

/* Passes a fault point: what went wrong there, as if SQLite had said it. */
enum store_status
commit_pass(struct db *db, enum store_fault_point point);

#endif
