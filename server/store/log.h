/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of the log: one a group. The checksum covers all but the running
 * totals, so that neither a torn nor a moved row passes.
 */
#ifndef REDIAL_SERVER_STORE_LOG_H
#define REDIAL_SERVER_STORE_LOG_H

#include "server/store/db.h"
#include "server/store/group.h"

/* A row without its blobs. The last three count from the first group ever,
 * this one included. */
struct log_head {
    uint64_t first_seq;
    uint64_t last_seq;
    uint64_t count;
    int64_t wall_ms;
    uint64_t finals;     /* final records */
    uint64_t correlated; /* of those with a correlation id of their own */
    uint64_t total;      /* bytes */
};

enum store_status
log_append(struct db *db, const struct log_head *head,
           const struct store_group *group);

/* Runs one of LOG_FIRST, LOG_LAST; STORE_NOT_FOUND: the log is empty. */
enum store_status
log_head(struct db *db, enum db_statement which, struct log_head *ret);

/* The head of the next group that begins after `seq`. */
enum store_status
log_head_after(struct db *db, uint64_t seq, struct log_head *ret);

/*
 * Reads and checks the group that holds `seq`. `ret_marks` may be NULL; else it
 * gets a copy of the marks. STORE_NOT_FOUND: no group holds it.
 */
enum store_status
log_group_at(struct db *db, uint64_t seq, struct store_group **ret,
             struct bytes *ret_marks);

/* The same from the current row of LOG_GROUPS_FROM or LOG_GROUP_AT. */
enum store_status
log_group_of_row(struct db *db, sqlite3_stmt *row, struct store_group **ret,
                 struct bytes *ret_marks);

#endif
