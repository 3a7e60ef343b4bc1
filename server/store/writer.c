/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer thread. It owns the only connection that writes, so that no
 * transaction ever meets another, and it alone runs checkpoints: a WAL starts
 * over only when the next writer finds it copied in full, and a writer that has
 * just checkpointed is the one who finds it so.
 *
 * A full disk. A group that finds no room is rolled back as a whole and tried
 * again, for as long as it takes, after everything that may make room: the
 * reserve is given back, a checkpoint lets the WAL start over in place, and
 * trimming goes on. Meanwhile, and until the reserve is back, the store is
 * degraded.
 *
 * Any other failure is final: after a failed write or sync nobody knows what is
 * on disk, so the group and all after it are returned with that status.
 */
#include "server/store/commit.h"
#include "server/store/room.h"

enum {
    IDLE_US = 200000, /* then a checkpoint, if it is worth it */
    IDLE_CHECKPOINT_PAGES = 1000,
    ROOM_CHECK_US = 1000000,
    RETRY_FIRST_US = 20000,
    RETRY_MAX_US = 1000000,
};

/* ---- Checkpoints ------------------------------------------------------- */

static int
note_wal_pages(void *ctx, sqlite3 *handle, const char *name, int pages)
{
    struct disk *disk = ctx;

    (void)handle;
    (void)name;
    disk->wal_pages = (uint64_t)pages;
    if (disk->wal_pages < disk->wal_copied) {
        disk->wal_copied = 0; /* it has started over */
    }
    return SQLITE_OK;
}

static uint64_t
checkpoint_due(const struct disk *disk)
{
    return disk->wal_pages - disk->wal_copied;
}

/* Copies the WAL into the file. A failure for want of room does no harm. */
static enum store_status
checkpoint(struct disk *disk, int mode)
{
    struct db *db = &disk->writer;
    struct store *store = disk->store;
    int pages = 0;
    int copied = 0;
    uint64_t start = store_clock_us();
    enum store_status status = commit_pass(db, STORE_FAULT_CHECKPOINT);

    if (status == STORE_OK) {
        int code = sqlite3_wal_checkpoint_v2(db->handle, NULL, mode, &pages,
                                             &copied);

        /* Busy: a reader is in the way, what could be copied was. */
        if (code != SQLITE_OK && code != SQLITE_BUSY) {
            status = db_failure(db, "checkpoint");
        }
    }
    if (status == STORE_FULL) {
        return STORE_OK;
    }
    if (status != STORE_OK) {
        return status;
    }
    disk->wal_pages = (uint64_t)(pages < 0 ? 0 : pages);
    disk->wal_copied = disk->wal_pages;
    uint64_t spent_us = store_clock_us() - start;

    (void)pthread_mutex_lock(&store->lock);
    store->stats.checkpoints++;
    store->stats.wal_pages = disk->wal_pages;
    if (spent_us > store->stats.checkpoint_us_max) {
        store->stats.checkpoint_us_max = spent_us;
    }
    (void)pthread_mutex_unlock(&store->lock);
    return commit_pass(db, STORE_FAULT_AFTER_CHECKPOINT);
}

/* ---- The thread -------------------------------------------------------- */

static void
fail(struct disk *disk, enum store_status status)
{
    disk->failed = status;
    store_say(disk->store, disk->writer.detail);
}

/* Everything that may make room, then a wait. False: the store closes. */
static bool
wait_for_room(struct disk *disk, uint64_t *wait_us)
{
    struct store *store = disk->store;

    disk->waiting = true;
    room_set_degraded(disk, true);
    (void)pthread_mutex_lock(&store->lock);
    store->stats.full_retries++;
    bool trim = disk->trim_wanted;
    bool closing = disk->closing;
    (void)pthread_mutex_unlock(&store->lock);

    if (dir_release(&disk->dir)) {
        return true;
    }
    /* A failed one fails again with the group, which then says so. */
    (void)checkpoint(disk, SQLITE_CHECKPOINT_PASSIVE);
    if (trim) {
        trim_step(disk);
        (void)checkpoint(disk, SQLITE_CHECKPOINT_PASSIVE);
    }
    if (closing) {
        return false;
    }
    (void)pthread_mutex_lock(&store->lock);
    if (!disk->closing && !disk->trim_wanted) {
        (void)disk_wait_locked(disk, &disk->writer_wake, *wait_us);
    }
    (void)pthread_mutex_unlock(&store->lock);
    *wait_us = *wait_us * 2 > RETRY_MAX_US ? RETRY_MAX_US : *wait_us * 2;
    return true;
}

/* Tries once; does not even begin when there is too little room. */
static enum store_status
try_group(struct disk *disk, struct store_group *group,
          const struct log_head *head)
{
    if (!room_for(disk, group)) {
        enum store_status status = checkpoint(disk, SQLITE_CHECKPOINT_PASSIVE);

        if (status != STORE_OK) {
            return status;
        }
        if (!room_for(disk, group)) {
            return STORE_FULL;
        }
    }
    return commit_group(disk, group, head);
}

static enum store_status
write_group(struct disk *disk, struct store_group *group)
{
    struct log_head head = disk->head;
    uint64_t start = store_clock_us();
    uint64_t wait_us = RETRY_FIRST_US;
    enum store_status status = disk->failed;

    if (group->count > 0) {
        head.first_seq = store_group_first_seq(group);
        head.last_seq = store_group_last_seq(group);
        head.count = group->count;
        head.wall_ms = group->wall_ms;
        head.finals += group->finals;
        head.correlated += group->correlated;
        head.total += group->bytes.len + group->marks.len;
    }
    if (status == STORE_OK) {
        status = try_group(disk, group, &head);
    }
    while (status == STORE_FULL && disk->failed == STORE_OK &&
           wait_for_room(disk, &wait_us)) {
        status = try_group(disk, group, &head);
    }
    disk->waiting = false;
    if (status != STORE_OK) {
        return disk->failed != STORE_OK ? disk->failed : status;
    }
    group->write_us = store_clock_us() - start;
    disk->head = head;
    if (group->watermark != 0) {
        disk->watermark = group->watermark;
    }
    return STORE_OK;
}

static void
take_group(struct disk *disk, struct store_group *group)
{
    struct store *store = disk->store;
    enum store_status status = write_group(disk, group);

    if (status == STORE_OK) {
        (void)store_fault(STORE_FAULT_AFTER_COMMIT);
        if (disk->trimmed.first_seq == 0 && group->count > 0) {
            disk->trimmed.first_seq = disk->head.first_seq;
            disk->trimmed.dropped_total = disk->head.total;
        }
        (void)pthread_mutex_lock(&store->lock);
        store->stats.wal_pages = disk->wal_pages;
        store->stats.kept_bytes = disk->head.total -
                                  disk->trimmed.dropped_total;
        atomic_store(&store->committed_seq, disk->head.last_seq);
        if (!list_is_empty(&disk->requests)) {
            (void)pthread_cond_signal(&disk->reader_wake);
        }
        (void)pthread_mutex_unlock(&store->lock);
    } else if (disk->failed == STORE_OK) {
        fail(disk, status);
    }
    store_finish(store, group, status);
    store_wake(store);
    room_check(disk);
}

/* What to do next; caller holds the lock. Waits for it. */
static bool
next_locked(struct disk *disk, struct store_group **ret_group, bool *ret_trim)
{
    bool rested = false;

    while (list_is_empty(&disk->pipe) && !disk->closing &&
           (!disk->trim_wanted || disk->failed != STORE_OK) && !rested) {
        if (checkpoint_due(disk) >= IDLE_CHECKPOINT_PAGES &&
            disk->failed == STORE_OK) {
            rested = !disk_wait_locked(disk, &disk->writer_wake, IDLE_US);
        } else if (atomic_load(&disk->store->degraded)) {
            rested = !disk_wait_locked(disk, &disk->writer_wake,
                                       ROOM_CHECK_US + 1);
        } else {
            (void)pthread_cond_wait(&disk->writer_wake, &disk->store->lock);
        }
    }
    struct list *link = list_pop(&disk->pipe);

    *ret_group = link == NULL ? NULL
                              : container_of(link, struct store_group, link);
    *ret_trim = disk->trim_wanted && !disk->closing;
    return *ret_group != NULL || !disk->closing;
}

void *
writer_main(void *arg)
{
    struct disk *disk = arg;
    struct store *store = disk->store;
    struct store_group *group;
    bool trim;

    (void)sqlite3_wal_hook(disk->writer.handle, note_wal_pages, disk);
    room_check(disk);
    for (;;) {
        (void)pthread_mutex_lock(&store->lock);
        bool go_on = next_locked(disk, &group, &trim);
        (void)pthread_mutex_unlock(&store->lock);

        if (!go_on) {
            break;
        }
        if (group != NULL) {
            take_group(disk, group);
        } else {
            room_check(disk);
        }
        if (trim && disk->failed == STORE_OK) {
            trim_step(disk);
        }
        uint64_t due = checkpoint_due(disk);

        if (disk->failed == STORE_OK &&
            (due >= CHECKPOINT_PAGES ||
             (group == NULL && due >= IDLE_CHECKPOINT_PAGES))) {
            enum store_status status = checkpoint(disk,
                                                  SQLITE_CHECKPOINT_PASSIVE);

            if (status != STORE_OK) {
                fail(disk, status);
            }
        }
    }
    if (disk->failed == STORE_OK) {
        (void)checkpoint(disk, SQLITE_CHECKPOINT_TRUNCATE);
    }
    return NULL;
}
