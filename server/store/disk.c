/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/disk.h"

#include "server/base/check.h"
#include "server/store/schema.h"
#include "server/store/store_fault.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SYNC_SAMPLES = 5 };

static const char file_name[] = "redial.db";

/* ---- Opening ----------------------------------------------------------- */

static enum store_status
new_disk(struct store *store)
{
    struct disk *disk = calloc(1, sizeof(*disk));
    pthread_condattr_t monotonic;

    if (disk == NULL) {
        return STORE_NO_MEMORY;
    }
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&disk->writer_wake, &monotonic);
    (void)pthread_cond_init(&disk->reader_wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    list_init(&disk->pipe);
    list_init(&disk->requests);
    dir_init(&disk->dir);
    disk->store = store;
    store->state = disk;
    return STORE_OK;
}

static enum store_status
open_files(struct disk *disk)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s/%s", disk->store->options.dir,
                       file_name);

    if (len < 0 || (size_t)len >= sizeof(path)) {
        store_say(disk->store, "the directory's name is too long");
        return STORE_NO_DIRECTORY;
    }
    enum store_status status = db_open(&disk->writer, path, false);

    if (status == STORE_OK) {
        status = schema_open(&disk->writer);
    }
    if (status != STORE_OK) {
        store_say(disk->store, disk->writer.detail);
        return status;
    }
    status = db_open(&disk->reader, path, true);
    if (status == STORE_OK) {
        status = schema_open_reader(&disk->reader);
    }
    if (status != STORE_OK) {
        store_say(disk->store, disk->reader.detail);
    }
    return status;
}

static enum store_status
load_hash_key(struct disk *disk)
{
    struct db *db = &disk->writer;
    sqlite3_stmt *statement = db_statement(db, DB_META_GET);
    bool row = false;
    size_t len = 0;

    db_bind_text(statement, 1, "hash");
    enum store_status status = db_step(db, statement, &row);

    if (status != STORE_OK) {
        return status;
    }
    const uint8_t *bytes = row ? db_column_blob(statement, 0, &len) : NULL;

    if (bytes == NULL || len != 16) {
        status = db_corrupt(db, "the key of correlation ids is missing");
    } else {
        disk->hash_key = hash_key_from_bytes(bytes);
    }
    (void)sqlite3_reset(statement);
    return status;
}

/* Where the log ends and how far trimming got. */
static enum store_status
load_position(struct disk *disk)
{
    static const char *const names[] = {
        "watermark", "forgotten", "forgotten_finals", "forgotten_correlated"};
    uint64_t *const places[] = {&disk->watermark, &disk->trimmed.forgotten,
                                &disk->trimmed.forgotten_finals,
                                &disk->trimmed.forgotten_correlated};
    struct db *db = &disk->writer;
    struct log_head first = {0};
    enum store_status status = load_hash_key(disk);

    for (size_t i = 0; status == STORE_OK && i < 4; i++) {
        status = db_meta_get(db, names[i], places[i]);
    }
    if (status == STORE_NOT_FOUND) {
        return db_corrupt(db, "a number in meta is missing");
    }
    if (status == STORE_OK) {
        status = log_head(db, DB_LOG_FIRST, &first);
    }
    if (status == STORE_OK) {
        status = log_head(db, DB_LOG_LAST, &disk->head);
    }
    if (status != STORE_OK && status != STORE_NOT_FOUND) {
        return status;
    }
    disk->trimmed.first_seq = first.first_seq;
    disk->trimmed.dropped_total = first.total;
    sqlite3_stmt *failed = db_statement(db, DB_FAILED_LAST);
    bool row = false;

    status = db_step(db, failed, &row);
    if (row) {
        disk->trimmed.failed_number = db_column_number(failed, 3);
        disk->trimmed.failed_total = db_column_number(failed, 4);
        (void)sqlite3_reset(failed);
    }
    return status;
}

static int
compare_numbers(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

/* What a commit costs on this disk: the median of a few tiny ones. */
static enum store_status
measure_sync(struct disk *disk)
{
    struct db *db = &disk->writer;
    uint64_t samples[SYNC_SAMPLES];

    for (size_t i = 0; i < SYNC_SAMPLES; i++) {
        enum store_status status = db_run_plain(db, DB_BEGIN);

        if (status == STORE_OK) {
            status = db_meta_put(db, "opened", i);
        }
        uint64_t start = store_clock_us();

        if (status == STORE_OK) {
            status = db_run_plain(db, DB_COMMIT);
        }
        if (status == STORE_FULL) {
            /* A full disk is no reason not to start. */
            db_rollback(db);
            return STORE_OK;
        }
        if (status != STORE_OK) {
            db_rollback(db);
            return status;
        }
        samples[i] = store_clock_us() - start;
    }
    qsort(samples, SYNC_SAMPLES, sizeof(samples[0]), compare_numbers);
    disk->opened_sync_us = samples[SYNC_SAMPLES / 2];
    return STORE_OK;
}

static enum store_status
disk_open(struct store *store)
{
    const char *bad = NULL;
    enum store_status status = new_disk(store);

    if (status != STORE_OK) {
        return status;
    }
    struct disk *disk = disk_of(store);

    if (!store_fault_arm(&bad)) {
        store_say(store, bad);
        return STORE_IO;
    }
    status = dir_open(&disk->dir, store->options.dir);
    if (status != STORE_OK) {
        store_say(store, disk->dir.detail);
        return status;
    }
    status = open_files(disk);
    if (status != STORE_OK) {
        goto fail;
    }
    status = load_position(disk);
    if (status == STORE_OK) {
        status = measure_sync(disk);
    }
    if (status != STORE_OK) {
        store_say(store, disk->writer.detail);
        goto fail;
    }
    status = dir_sync(&disk->dir);
    if (status != STORE_OK) {
        store_say(store, disk->dir.detail);
        goto fail;
    }
    if (store->options.reserve_bytes > 0 &&
        !dir_reserve(&disk->dir, store->options.reserve_bytes)) {
        atomic_store(&store->degraded, true);
    }
    return STORE_OK;

fail:
    db_close(&disk->reader);
    db_close(&disk->writer);
    dir_close(&disk->dir);
    return status;
}

/* ---- The loop's side --------------------------------------------------- */

bool
disk_wait_locked(struct disk *disk, pthread_cond_t *wake, uint64_t wait_us)
{
    uint64_t until_us = store_clock_us() + wait_us;
    struct timespec until = {
        .tv_sec = (time_t)(until_us / 1000000),
        .tv_nsec = (long)(until_us % 1000000 * 1000),
    };

    return pthread_cond_timedwait(wake, &disk->store->lock, &until) == 0;
}

static enum store_status
disk_start(struct store *store, const struct store_recovery *callbacks,
           void *ctx, struct store_recovered *ret)
{
    struct disk *disk = disk_of(store);
    enum store_status status = disk_recover(store, callbacks, ctx, ret);

    if (status != STORE_OK) {
        if (disk->writer.detail[0] != '\0') {
            store_say(store, disk->writer.detail);
        }
        return status;
    }
    atomic_store(&store->committed_seq, disk->head.last_seq);
    atomic_store(&store->first_seq, ret->first_seq);
    disk->writer_runs = pthread_create(&disk->writer_thread, NULL, writer_main,
                                       disk) == 0;
    disk->reader_runs = disk->writer_runs &&
                        pthread_create(&disk->reader_thread, NULL, reader_main,
                                       disk) == 0;
    if (!disk->reader_runs) {
        store_say(store, "a thread could not be started");
        return STORE_NO_MEMORY;
    }
    return STORE_OK;
}

static void
disk_commit(struct store *store, struct store_group *group)
{
    struct disk *disk = disk_of(store);

    (void)pthread_mutex_lock(&store->lock);
    list_append(&disk->pipe, &group->link);
    (void)pthread_cond_signal(&disk->writer_wake);
    (void)pthread_mutex_unlock(&store->lock);
}

static void
request_free(struct request *request)
{
    if (request != NULL) {
        answer_free(request->answer);
        free(request);
    }
}

static enum store_status
disk_ask(struct store *store, const struct store_request *asked)
{
    struct disk *disk = disk_of(store);
    enum store_status status = STORE_OK;
    struct request *request = calloc(1, sizeof(*request));

    if (request == NULL) {
        return STORE_NO_MEMORY;
    }
    request->asked = *asked;
    request->answer = answer_new(asked->type, asked->ticket);
    if (request->answer == NULL) {
        free(request);
        return STORE_NO_MEMORY;
    }
    (void)pthread_mutex_lock(&store->lock);
    if (disk->request_count >= store->options.requests_max) {
        status = STORE_BUSY;
    } else {
        disk->request_count++;
        store->stats.requests_len = disk->request_count;
        list_append(&disk->requests, &request->link);
        (void)pthread_cond_signal(&disk->reader_wake);
    }
    (void)pthread_mutex_unlock(&store->lock);
    if (status != STORE_OK) {
        request_free(request);
    }
    return status;
}

static bool
disk_cancel(struct store *store, uint64_t ticket)
{
    struct disk *disk = disk_of(store);
    struct request *found = NULL;

    (void)pthread_mutex_lock(&store->lock);
    list_foreach(at, &disk->requests) {
        struct request *request = container_of(at, struct request, link);

        if (request->asked.ticket == ticket) {
            found = request;
            break;
        }
    }
    if (found != NULL) {
        list_remove(&found->link);
        disk->request_count--;
        store->stats.requests_len = disk->request_count;
    }
    (void)pthread_mutex_unlock(&store->lock);
    request_free(found);
    return found != NULL;
}

static bool
disk_trim(struct store *store, uint64_t ticket,
          const struct store_retention *retention)
{
    struct disk *disk = disk_of(store);
    bool taken = false;

    (void)pthread_mutex_lock(&store->lock);
    if (!disk->trim_wanted) {
        disk->trim_wanted = true;
        disk->trim_ticket = ticket;
        disk->retention = *retention;
        taken = true;
        (void)pthread_cond_signal(&disk->writer_wake);
    }
    (void)pthread_mutex_unlock(&store->lock);
    return taken;
}

/* ---- Closing ----------------------------------------------------------- */

static enum store_status
disk_close(struct store *store)
{
    struct disk *disk = disk_of(store);

    (void)pthread_mutex_lock(&store->lock);
    disk->closing = true;
    (void)pthread_cond_signal(&disk->writer_wake);
    (void)pthread_cond_signal(&disk->reader_wake);
    (void)pthread_mutex_unlock(&store->lock);
    if (disk->reader_runs) {
        (void)pthread_join(disk->reader_thread, NULL);
        disk->reader_runs = false;
    }
    /* The reader first: the last one to close the file cleans up its log. */
    db_close(&disk->reader);
    if (disk->writer_runs) {
        (void)pthread_join(disk->writer_thread, NULL);
        disk->writer_runs = false;
    }
    db_close(&disk->writer);
    dir_close(&disk->dir);
    return disk->failed;
}

static void
disk_free(struct store *store)
{
    struct disk *disk = disk_of(store);

    if (disk == NULL) {
        return;
    }
    for (size_t i = 0; i < READER_GROUPS; i++) {
        store_group_unref(disk->at_hand[i]);
    }
    list_foreach_safe(at, &disk->requests) {
        request_free(container_of(at, struct request, link));
    }
    redial_assert(list_is_empty(&disk->pipe));
    (void)pthread_cond_destroy(&disk->writer_wake);
    (void)pthread_cond_destroy(&disk->reader_wake);
    free(disk);
}

const struct store_backend disk_backend = {
    .open = disk_open,
    .recover = disk_start,
    .commit = disk_commit,
    .ask = disk_ask,
    .cancel = disk_cancel,
    .trim = disk_trim,
    .close = disk_close,
    .free = disk_free,
    .keeps_rows = true,
};
