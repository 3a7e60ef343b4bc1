/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/room.h"

#include <sys/stat.h>

enum {
    PAGE_BYTES = 4096,
    CHECK_US = 1000000,
    TRIM_BYTES = 2 * 1024 * 1024,     /* for a trimming step */
    PLENTY_BYTES = 256 * 1024 * 1024, /* above: no need to be exact */
};

static const char wal_name[] = "redial.db-wal";

void
room_set_degraded(struct disk *disk, bool degraded)
{
    if (atomic_exchange(&disk->store->degraded, degraded) != degraded) {
        store_wake(disk->store);
    }
}

/* What the file system says; when it says nothing there is plenty. */
static uint64_t
free_bytes(struct disk *disk)
{
    uint64_t bytes = UINT64_MAX / 2;

    (void)dir_free_bytes(&disk->dir, &bytes);
    disk->room_bytes = bytes;
    disk->room_asked_us = store_clock_us();
    (void)pthread_mutex_lock(&disk->store->lock);
    disk->store->stats.free_bytes = bytes;
    (void)pthread_mutex_unlock(&disk->store->lock);
    return bytes;
}

/* Pages inside of the file that nothing uses. */
static uint64_t
unused_bytes(struct disk *disk)
{
    struct db *db = &disk->writer;
    sqlite3_stmt *statement = db_statement(db, DB_FREE_PAGES);
    bool row = false;
    uint64_t pages = 0;

    if (db_step(db, statement, &row) == STORE_OK && row) {
        pages = db_column_number(statement, 0);
        (void)sqlite3_reset(statement);
    }
    return pages * PAGE_BYTES;
}

static uint64_t
wal_file_bytes(const struct disk *disk)
{
    struct stat stat;

    return fstatat(disk->dir.fd, wal_name, &stat, 0) == 0
               ? (uint64_t)stat.st_size
               : 0;
}

static uint64_t
beyond(uint64_t needed, uint64_t there)
{
    return needed > there ? needed - there : 0;
}

bool
room_for(struct disk *disk, const struct store_group *group)
{
    /* Headers and half-full pages: half as much again. */
    uint64_t size = store_group_size(group);
    uint64_t group_bytes = size + size / 2 + 64 * (uint64_t)PAGE_BYTES;
    uint64_t due_bytes = (disk->wal_pages - disk->wal_copied) * PAGE_BYTES;
    uint64_t plenty = PLENTY_BYTES + 4 * (group_bytes + due_bytes);

    if (disk->room_bytes > plenty &&
        store_clock_us() - disk->room_asked_us < CHECK_US) {
        disk->room_bytes -= 2 * group_bytes;
        return true;
    }
    uint64_t there = free_bytes(disk);

    if (there > plenty) {
        return true;
    }
    /* The WAL goes on behind its last page, or starts over if all is copied. */
    uint64_t wal_start = due_bytes == 0 ? 0 : disk->wal_pages * PAGE_BYTES;
    uint64_t wal_growth = beyond(wal_start + group_bytes, wal_file_bytes(disk));
    uint64_t file_growth = beyond(due_bytes + group_bytes, unused_bytes(disk));

    return there >= wal_growth + file_growth + TRIM_BYTES;
}

void
room_check(struct disk *disk)
{
    const struct store_options *options = &disk->store->options;
    bool wants_reserve = options->reserve_bytes > 0;
    uint64_t now_us = store_clock_us();

    if (options->free_bytes_min == 0 && !wants_reserve) {
        room_set_degraded(disk, disk->waiting);
        return;
    }
    if (now_us - disk->room_checked_us < CHECK_US) {
        return;
    }
    disk->room_checked_us = now_us;
    uint64_t there = free_bytes(disk);

    if (wants_reserve && !disk->dir.reserved && !disk->waiting &&
        there / 2 > options->reserve_bytes + options->free_bytes_min) {
        (void)dir_reserve(&disk->dir, options->reserve_bytes);
    }
    if (there < options->free_bytes_min) {
        there += unused_bytes(disk);
    }
    room_set_degraded(disk, disk->waiting || there < options->free_bytes_min ||
                                (wants_reserve && !disk->dir.reserved));
}
