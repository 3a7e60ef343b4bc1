/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that is really full: a small file system of our own, in a name space
 * of our own. Needs the right to mount; skipped without it.
 */
#include "server/store/store.h"

#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    DISK_BYTES = 40 * 1024 * 1024,
    RESERVE_BYTES = 4 * 1024 * 1024,
    PAYLOAD_BYTES = 100 * 1000,
    WAIT_MS = 20000,
};

struct room {
    char dir[64];
    char store_dir[80];
    struct store *store;
    int wake_fd;
    uint64_t next_seq;
    uint64_t acked;
};

static void
on_wake(void *ctx)
{
    const struct room *room = ctx;
    uint64_t one = 1;
    ssize_t written = write(room->wake_fd, &one, sizeof(one));

    (void)written;
}

static int
setup(void **state)
{
    static struct room room;
    const char *root = getenv("TMPDIR");
    char options[32];

    room = (struct room){.next_seq = 1};
    *state = &room;
    (void)snprintf(room.dir, sizeof(room.dir), "%s/redial-XXXXXX",
                   root == NULL || strlen(root) > 40 ? "/tmp" : root);
    (void)snprintf(options, sizeof(options), "size=%d,mode=0700", DISK_BYTES);
    room.wake_fd = eventfd(0, EFD_CLOEXEC);
    if (room.wake_fd < 0 || mkdtemp(room.dir) == NULL) {
        return -1;
    }
    if (unshare(CLONE_NEWNS) == 0 &&
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("redial", room.dir, "tmpfs", 0, options) == 0) {
        (void)snprintf(room.store_dir, sizeof(room.store_dir), "%s/store",
                       room.dir);
    }
    return 0;
}

static int
teardown(void **state)
{
    struct room *room = *state;

    store_free(room->store);
    if (room->store_dir[0] != '\0') {
        (void)umount2(room->dir, MNT_DETACH);
    }
    (void)close(room->wake_fd);
    return rmdir(room->dir);
}

static bool
take_job(void *ctx, struct job_id id, const uint8_t *row, size_t len)
{
    (void)ctx;
    (void)id;
    (void)row;
    (void)len;
    return true;
}

static bool
take_key(void *ctx, const struct store_key *key)
{
    (void)ctx;
    (void)key;
    return true;
}

static bool
take_record(void *ctx, const struct record *record)
{
    (void)ctx;
    (void)record;
    return true;
}

static bool
take_target(void *ctx, struct text name, const uint8_t *row, size_t len)
{
    (void)ctx;
    (void)name;
    (void)row;
    (void)len;
    return true;
}

static void
open_store(struct room *room)
{
    static const struct store_recovery take_all = {take_job, take_key,
                                                   take_record, take_target};
    struct store_options options = {.dir = room->store_dir,
                                    .reserve_bytes = RESERVE_BYTES,
                                    .free_bytes_min = 1024 * 1024,
                                    .wake = on_wake,
                                    .ctx = room};
    struct store_recovered recovered = {0};

    room->store = store_new(&options);
    assert_non_null(room->store);
    if (store_open(room->store) != STORE_OK ||
        store_recover(room->store, &take_all, NULL, &recovered) != STORE_OK) {
        fail_msg("%s", store_detail(room->store));
    }
    assert_int_equal(recovered.next_seq, room->next_seq);
}

static void
hand_over(struct room *room, enum event_type type, size_t payload_bytes)
{
    static char payload[PAYLOAD_BYTES];
    struct store_group *group = store_group_new(room->store);
    struct record record = {
        .type = type,
        .seq = room->next_seq++,
        .job_seq = 1,
        .job = {{1, 2, 3}},
        .attachment = payload_bytes > 0 ? ATTACHMENT_PAYLOAD : ATTACHMENT_NONE,
    };

    record.job.bytes[14] = (uint8_t)(record.seq >> 8);
    record.job.bytes[15] = (uint8_t)record.seq;
    assert_true(store_group_add(
        group, &record, (struct text){payload, (uint32_t)payload_bytes}));
    store_group_set_watermark(group, record.seq);
    store_commit(room->store, group);
    store_group_unref(group);
}

static void
wait_wake(struct room *room)
{
    struct pollfd poller = {.fd = room->wake_fd, .events = POLLIN};
    uint64_t count;

    assert_int_equal(poll(&poller, 1, WAIT_MS), 1);
    assert_int_equal(read(room->wake_fd, &count, sizeof(count)), sizeof(count));
}

/* True: the group is on disk. False: it waits for room. */
static bool
wait_done(struct room *room, bool for_ever)
{
    for (;;) {
        struct store_group *done = store_take_done(room->store);
        struct store_stats stats;

        if (done != NULL) {
            assert_int_equal(store_group_status(done), STORE_OK);
            room->acked = store_group_last_seq(done);
            store_group_unref(done);
            return true;
        }
        store_stats(room->store, &stats);
        if (!for_ever && stats.full_retries > 3) {
            return false;
        }
        if (for_ever) {
            wait_wake(room);
        } else {
            struct pollfd poller = {.fd = room->wake_fd, .events = POLLIN};

            (void)poll(&poller, 1, 20);
        }
    }
}

static void
trim_most(struct room *room)
{
    struct store_retention retention = {.now_wall_ms = INT64_MAX,
                                        .events_bytes = 1024 * 1024};

    (void)store_trim(room->store, 1, &retention);
}

static void
a_full_disk_holds_work_up_until_there_is_room_and_loses_nothing(void **state)
{
    struct room *room = *state;
    bool was_degraded = false;
    size_t small_groups = 0;

    if (room->store_dir[0] == '\0') {
        skip();
    }
    open_store(room);
    /* Big groups until the store says that it is enough. */
    while (!store_is_degraded(room->store)) {
        hand_over(room, EVENT_JOB_ACCEPTED, PAYLOAD_BYTES);
        if (!wait_done(room, false)) {
            break;
        }
    }
    was_degraded = store_is_degraded(room->store);
    assert_true(was_degraded);
    assert_true(room->next_seq > 50);
    while (room->acked + 1 < room->next_seq) {
        assert_true(wait_done(room, true));
    }
    /* New work is refused now, but what is there can finish. */
    for (; small_groups < 200; small_groups++) {
        hand_over(room, EVENT_JOB_SUCCEEDED, 0);
        assert_true(wait_done(room, true));
    }
    /* And if nobody listens, and it is full to the brim: it waits. */
    while (true) {
        hand_over(room, EVENT_JOB_ACCEPTED, PAYLOAD_BYTES);
        if (!wait_done(room, false)) {
            break;
        }
    }
    assert_true(store_is_degraded(room->store));
    trim_most(room);
    assert_true(wait_done(room, true));
    assert_int_equal(room->acked + 1, room->next_seq);

    for (struct store_answer *answer = NULL;; store_answer_free(answer)) {
        while ((answer = store_take_answer(room->store)) == NULL) {
            wait_wake(room);
        }
        assert_int_equal(answer->status, STORE_OK);
        if (answer->complete) {
            store_answer_free(answer);
            break;
        }
    }
    for (size_t i = 0; i < 50; i++) {
        hand_over(room, EVENT_JOB_ACCEPTED, PAYLOAD_BYTES);
        assert_true(wait_done(room, true));
    }
    assert_int_equal(store_close(room->store), STORE_OK);
    store_free(room->store);
    open_store(room);
}

/* Takes all the room that is left. */
static void
fill_disk(const char *path)
{
    static char block[65536];
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    (void)setvbuf(file, NULL, _IONBF, 0);
    while (fwrite(block, 1, sizeof(block), file) == sizeof(block)) {
    }
    (void)fclose(file);
}

static void
a_disk_that_others_fill_leaves_the_reserve_to_finish_with(void **state)
{
    struct room *room = *state;
    char path[96];

    if (room->store_dir[0] == '\0') {
        skip();
    }
    open_store(room);
    hand_over(room, EVENT_JOB_ACCEPTED, PAYLOAD_BYTES);
    assert_true(wait_done(room, true));
    (void)snprintf(path, sizeof(path), "%s/other", room->dir);
    fill_disk(path);
    for (size_t i = 0; i < 100; i++) {
        hand_over(room, EVENT_JOB_SUCCEEDED, 0);
        assert_true(wait_done(room, true));
    }
    assert_true(store_is_degraded(room->store));
    assert_int_equal(remove(path), 0);
    while (store_is_degraded(room->store)) {
        wait_wake(room);
    }
    hand_over(room, EVENT_JOB_ACCEPTED, PAYLOAD_BYTES);
    assert_true(wait_done(room, true));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_full_disk_holds_work_up_until_there_is_room_and_loses_nothing,
            setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_disk_that_others_fill_leaves_the_reserve_to_finish_with, setup,
            teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
