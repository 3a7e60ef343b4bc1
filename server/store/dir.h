/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory of a store: its lock, what kind of file system it is on, and
 * the reserve, a file that keeps some room aside so that a full disk can still
 * take what finishes and deletes.
 */
#ifndef REDIAL_SERVER_STORE_DIR_H
#define REDIAL_SERVER_STORE_DIR_H

#include "server/store/store.h"

struct dir {
    int fd;      /* -1: not open */
    int lock_fd; /* -1: not locked */
    bool reserved;
    char detail[STORE_DETAIL_BYTES]; /* of the last failure */
};

/* What dir_close() takes. */
void
dir_init(struct dir *dir);

/*
 * Creates the directory (0700) when there is none, refuses what cannot be used,
 * and locks it until dir_close() or the end of the process.
 */
enum store_status
dir_open(struct dir *dir, const char *path);

void
dir_close(struct dir *dir);

/* Of statfs(): a file system whose locks and syncs cannot be relied on. */
bool
dir_is_network(uint64_t type);

/* Bytes that we may still use; false: cannot be told. */
bool
dir_free_bytes(const struct dir *dir, uint64_t *ret);

/* Makes the reserve this big; false: no room. */
bool
dir_reserve(struct dir *dir, uint64_t bytes);

/* Gives the reserve back to the file system; false: there was none. */
bool
dir_release(struct dir *dir);

/* Makes new names in the directory durable. */
enum store_status
dir_sync(struct dir *dir);

#endif
