/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One store, killed over and over in the middle of its work. A child process
 * writes groups as fast as it can and says after each what is acknowledged;
 * SIGKILL comes from a fault point or from outside; then the parent opens what
 * is left and checks that every acknowledged group is there, that every group
 * is whole, and that the projection says exactly what the watermark promises.
 *
 * All of it can be computed from a step's number t, so that nothing need be
 * remembered. Step t is one group of three records:
 *
 *     3t + 1  JOB_ACCEPTED of job t, with a payload
 *     3t + 2  ATTEMPT_STARTED of job t
 *     3t + 3  the end of job t - LAG (before that: a record about no job)
 *
 * Projecting step p puts the row and payload of job p, deletes those of job
 * p - LAG, and moves the watermark to 3p + 3. So at watermark 3p + 3 there are
 * rows for exactly the jobs p - LAG + 1 to p. It also puts the row of target
 * p % TARGETS, and every seventh deletes that of the next but one.
 */
#include "server/base/rng.h"
#include "server/store/store.h"

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    LAG = 20,
    TARGETS = 5,
    BEHIND = 5, /* steps that projecting is behind */
    PAYLOAD_BYTES = 3000,
    TRIM_EVERY = 40, /* steps */
    WAIT_MS = 30000,
};

struct world {
    char dir[64];
    uint64_t acked; /* highest seq that a child said is durable */
    struct rng rng;
    size_t kills;
};

/* ---- What every step looks like ---------------------------------------- */

static struct job_id
job_of(uint64_t t)
{
    struct job_id id = {{0x01}};

    for (size_t i = 0; i < 8; i++) {
        id.bytes[8 + i] = (uint8_t)(t >> (56 - 8 * i));
    }
    return id;
}

static void
fill_payload(uint64_t t, char *buf)
{
    for (size_t i = 0; i < PAYLOAD_BYTES; i++) {
        buf[i] = (char)('a' + (t * 31 + i * 7) % 26);
    }
}

static enum event_type
end_of(uint64_t t)
{
    return t % 7 == 0 ? EVENT_JOB_FAILED : EVENT_JOB_SUCCEEDED;
}

static struct record
record_of(uint64_t seq)
{
    uint64_t t = (seq - 1) / 3;
    struct record record = {.seq = seq,
                            .wall_ms = 1700000000000 + (int64_t)seq};

    if (seq % 3 == 1) {
        record.type = EVENT_JOB_ACCEPTED;
        record.job = job_of(t);
        record.job_seq = 1;
        record.attachment = ATTACHMENT_PAYLOAD;
        record.correlation = (struct text){"story", 5};
    } else if (seq % 3 == 2) {
        record.type = EVENT_ATTEMPT_STARTED;
        record.job = job_of(t);
        record.job_seq = 2;
        record.prev_seq = seq - 1;
    } else if (t >= LAG) {
        record.type = end_of(t - LAG);
        record.job = job_of(t - LAG);
        record.job_seq = 3;
        record.prev_seq = 3 * (t - LAG) + 2;
        record.correlation = (struct text){"story", 5};
    } else {
        record.type = EVENT_GATEWAY_STARTED;
    }
    return record;
}

static struct text
target_of(uint64_t p)
{
    static const char *const names[TARGETS] = {"a", "b", "c", "d", "e"};

    return (struct text){names[p % TARGETS], 1};
}

/* The last step that put the row of a target; false: it has none. */
static bool
target_at(uint64_t projected, uint64_t target, uint64_t *ret_step)
{
    for (uint64_t p = projected; p-- > 0;) {
        if (p % 7 == 0 && (p + 2) % TARGETS == target) {
            return false;
        }
        if (p % TARGETS == target) {
            *ret_step = p;
            return true;
        }
    }
    return false;
}

/* ---- The child --------------------------------------------------------- */

struct child {
    struct store *store;
    int wake_fd;
    int ack_fd;
    uint64_t step;      /* next to write */
    uint64_t projected; /* next to project */
};

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

static const struct store_recovery take_all = {take_job, take_key, take_record,
                                               take_target};

static void
on_wake(void *ctx)
{
    const struct child *child = ctx;
    uint64_t one = 1;
    ssize_t written = write(child->wake_fd, &one, sizeof(one));

    (void)written;
}

_Noreturn static void
child_fails(const char *what)
{
    (void)fprintf(stderr, "child: %s\n", what);
    _exit(3);
}

static bool
project_step(struct store_group *group, uint64_t p)
{
    struct job_id id = job_of(p);
    char payload[PAYLOAD_BYTES];
    uint8_t row[8];

    fill_payload(p, payload);
    memcpy(row, &p, sizeof(row));
    bool ok = store_group_put_job(group, id, 3 * p + 2, row, sizeof(row)) &&
              store_group_put_payload(group, id, payload, sizeof(payload));

    if (ok && p >= LAG) {
        ok = store_group_delete_job(group, job_of(p - LAG));
        if (ok && end_of(p - LAG) != EVENT_JOB_FAILED) {
            ok = store_group_delete_payload(group, job_of(p - LAG));
        }
    }
    ok = ok && store_group_put_target(group, target_of(p), 3 * p + 3, row,
                                      sizeof(row));
    if (ok && p % 7 == 0) {
        ok = store_group_delete_target(group, target_of(p + 2));
    }
    store_group_set_watermark(group, 3 * p + 3);
    return ok;
}

static void
hand_over_step(struct child *child)
{
    struct store_group *group = store_group_new(child->store);
    char payload[PAYLOAD_BYTES];
    bool ok = group != NULL;

    fill_payload(child->step, payload);
    for (uint64_t seq = 3 * child->step + 1; ok && seq <= 3 * child->step + 3;
         seq++) {
        struct record record = record_of(seq);
        struct text attached = {payload, seq % 3 == 1 ? PAYLOAD_BYTES : 0};

        ok = store_group_add(group, &record, attached);
    }
    child->step++;
    for (int i = 0; ok && i < 2 && child->projected + BEHIND < child->step;
         i++) {
        ok = project_step(group, child->projected++);
    }
    if (!ok) {
        child_fails("no memory");
    }
    store_commit(child->store, group);
    store_group_unref(group);
    if (child->step % TRIM_EVERY == 0) {
        (void)store_trim(child->store, child->step,
                         &(struct store_retention){
                             .now_wall_ms = 1700000000000,
                             .events_bytes = 400 * 1024,
                             .finished_count = 60,
                             .failed_count = 10,
                         });
    }
}

static void
take_what_is_done(struct child *child)
{
    struct store_group *group;
    struct store_answer *answer;

    while ((group = store_take_done(child->store)) != NULL) {
        uint64_t seq = store_group_last_seq(group);

        if (store_group_status(group) != STORE_OK) {
            child_fails(store_detail(child->store));
        }
        if (write(child->ack_fd, &seq, sizeof(seq)) != sizeof(seq)) {
            child_fails("nobody listens");
        }
        store_group_unref(group);
    }
    while ((answer = store_take_answer(child->store)) != NULL) {
        if (answer->status != STORE_OK) {
            child_fails(store_detail(child->store));
        }
        store_answer_free(answer);
    }
}

_Noreturn static void
run_child(const struct world *world, const char *fault, int ack_fd)
{
    struct child child = {.ack_fd = ack_fd};
    struct store_options options = {
        .dir = world->dir, .wake = on_wake, .ctx = &child};
    struct store_recovered recovered;

    if (fault != NULL) {
        (void)setenv("REDIAL_STORE_FAULT", fault, 1);
    }
    child.wake_fd = eventfd(0, EFD_CLOEXEC);
    child.store = store_new(&options);
    if (child.wake_fd < 0 || child.store == NULL ||
        store_open(child.store) != STORE_OK ||
        store_recover(child.store, &take_all, NULL, &recovered) != STORE_OK) {
        child_fails(child.store == NULL ? "new" : store_detail(child.store));
    }
    child.step = (recovered.next_seq - 1) / 3;
    child.projected = recovered.watermark / 3;
    for (;;) {
        uint64_t count;

        while (store_pipe_free(child.store) > 0) {
            hand_over_step(&child);
        }
        if (read(child.wake_fd, &count, sizeof(count)) != sizeof(count)) {
            child_fails("wake");
        }
        take_what_is_done(&child);
    }
}

/* ---- The parent's checks ----------------------------------------------- */

struct checker {
    uint64_t rows;
    uint64_t first_row;
    uint64_t targets[TARGETS]; /* step of its row, + 1; 0: none */
    uint64_t next_replayed;    /* 0: none seen yet */
};

static bool
check_job(void *ctx, struct job_id id, const uint8_t *row, size_t len)
{
    struct checker *checker = ctx;
    uint64_t p;

    assert_int_equal(len, sizeof(p));
    memcpy(&p, row, sizeof(p));
    assert_memory_equal(id.bytes, job_of(p).bytes, sizeof(id.bytes));
    if (checker->rows == 0) {
        checker->first_row = p;
    }
    assert_int_equal(p, checker->first_row + checker->rows);
    checker->rows++;
    return true;
}

static void
check_record(const struct record *record)
{
    struct record expected = record_of(record->seq);
    char payload[PAYLOAD_BYTES];

    assert_int_equal(record->type, expected.type);
    assert_int_equal(record->prev_seq, expected.prev_seq);
    assert_int_equal(record->wall_ms, expected.wall_ms);
    assert_memory_equal(record->job.bytes, expected.job.bytes, 16);
    if (record->type == EVENT_JOB_ACCEPTED) {
        fill_payload((record->seq - 1) / 3, payload);
        assert_int_equal(record->attached.len, PAYLOAD_BYTES);
        assert_memory_equal(record->attached.at, payload, PAYLOAD_BYTES);
    }
}

static bool
check_replayed(void *ctx, const struct record *record)
{
    struct checker *checker = ctx;

    if (checker->next_replayed != 0) {
        assert_int_equal(record->seq, checker->next_replayed);
    }
    checker->next_replayed = record->seq + 1;
    check_record(record);
    return true;
}

static bool
check_target(void *ctx, struct text name, const uint8_t *row, size_t len)
{
    struct checker *checker = ctx;
    uint64_t p;

    assert_int_equal(name.len, 1);
    assert_in_range(name.at[0], 'a', 'a' + TARGETS - 1);
    assert_int_equal(len, sizeof(p));
    memcpy(&p, row, sizeof(p));
    checker->targets[name.at[0] - 'a'] = p + 1;
    return true;
}

static void
check_targets(const struct checker *checker, uint64_t projected)
{
    for (uint64_t i = 0; i < TARGETS; i++) {
        uint64_t step = 0;

        if (target_at(projected, i, &step)) {
            assert_int_equal(checker->targets[i], step + 1);
        } else {
            assert_int_equal(checker->targets[i], 0);
        }
    }
}

static const struct store_recovery check_all = {check_job, take_key,
                                                check_replayed, check_target};

static struct store_answer *
ask(struct store *store, struct store_request request)
{
    struct store_answer *answer;

    request.ticket = 1;
    assert_int_equal(store_ask(store, &request), STORE_OK);
    while ((answer = store_take_answer(store)) == NULL) {
        (void)poll(NULL, 0, 1);
    }
    return answer;
}

/* Every kept group, from the first to the last. */
static void
check_log(struct store *store, const struct store_recovered *recovered)
{
    uint64_t seq = recovered->first_seq;

    while (seq < recovered->next_seq) {
        struct store_answer *answer = ask(
            store, (struct store_request){.type = STORE_READ_RANGE,
                                          .range = {.from_seq = seq,
                                                    .records_max = 1000,
                                                    .bytes_max = 1 << 22}});

        assert_int_equal(answer->status, STORE_OK);
        assert_true(answer->group_count > 0);
        for (size_t i = 0; i < answer->group_count; i++) {
            const struct store_group *group = answer->groups[i];

            assert_int_equal(store_group_first_seq(group), seq);
            assert_int_equal(store_group_count(group), 3);
            for (size_t j = 0; j < 3; j++) {
                struct record record;

                store_group_record(group, j, &record);
                check_record(&record);
            }
            seq += 3;
        }
        store_answer_free(answer);
    }
    assert_int_equal(seq, recovered->next_seq);
}

static void
check_job_is_found(struct store *store, uint64_t t, bool finished)
{
    struct store_answer *answer = ask(
        store, (struct store_request){.type = STORE_LOOKUP,
                                      .job = job_of(t),
                                      .lookup = {.with_record = true}});
    char payload[PAYLOAD_BYTES];

    assert_int_equal(answer->status, finished ? STORE_OK : STORE_NOT_FOUND);
    if (finished) {
        assert_int_equal(answer->finished[0].final_seq, 3 * (t + LAG) + 3);
        assert_int_equal(answer->finished[0].type, end_of(t));
    }
    store_answer_free(answer);
    answer = ask(
        store, (struct store_request){.type = STORE_PAYLOAD,
                                      .job = job_of(t),
                                      .payload = {.accepted_seq = 3 * t + 1}});
    assert_int_equal(answer->status, STORE_OK);
    fill_payload(t, payload);
    assert_int_equal(answer->byte_count, PAYLOAD_BYTES);
    assert_memory_equal(answer->bytes, payload, PAYLOAD_BYTES);
    store_answer_free(answer);
}

static void
check_store(struct world *world)
{
    struct store_options options = {.dir = world->dir};
    struct store *store = store_new(&options);
    struct store_recovered recovered = {0};
    struct checker checker = {0};
    enum store_status status = store_open(store);

    if (status == STORE_OK) {
        status = store_recover(store, &check_all, &checker, &recovered);
    }
    if (status != STORE_OK) {
        fail_msg("%s: %s", store_status_text(status), store_detail(store));
    }
    assert_true(recovered.next_seq > world->acked);
    assert_int_equal((recovered.next_seq - 1) % 3, 0);
    assert_int_equal(recovered.watermark % 3, 0);
    if (checker.next_replayed != 0) {
        assert_int_equal(checker.next_replayed, recovered.next_seq);
    }
    uint64_t steps = (recovered.next_seq - 1) / 3;
    uint64_t projected = recovered.watermark / 3;

    assert_int_equal(checker.rows, projected < LAG ? projected : LAG);
    assert_int_equal(checker.first_row, projected < LAG ? 0 : projected - LAG);
    check_targets(&checker, projected);
    check_log(store, &recovered);
    /* The newest finished jobs and the oldest live ones. */
    for (uint64_t t = steps < LAG + 10 ? 0 : steps - LAG - 10; t < steps; t++) {
        check_job_is_found(store, t, t + LAG < steps);
    }
    assert_int_equal(store_close(store), STORE_OK);
    store_free(store);
}

/* ---- Killing ----------------------------------------------------------- */

/*
 * Runs a child until it dies: by its fault, or, without one, by our hand after
 * `acks` acknowledgements. Returns how many there were.
 */
static uint64_t
run_and_kill(struct world *world, const char *fault, uint64_t acks)
{
    int fds[2];
    uint64_t seq = 0;
    uint64_t seen = 0;
    int ended = 0;

    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(fds[0]);
        run_child(world, fault, fds[1]);
    }
    (void)close(fds[1]);
    struct pollfd poller = {.fd = fds[0], .events = POLLIN};

    while (fault != NULL || seen < acks) {
        int ready = poll(&poller, 1, WAIT_MS);

        if (ready < 0 && errno == EINTR) {
            continue;
        }
        if (ready != 1 || read(fds[0], &seq, sizeof(seq)) != sizeof(seq)) {
            break;
        }
        world->acked = seq;
        seen++;
        if (seen > 20000) {
            break; /* the fault is never met */
        }
    }
    (void)kill(pid, SIGKILL);
    /* What it said before it died counts too. */
    while (read(fds[0], &seq, sizeof(seq)) == sizeof(seq)) {
        world->acked = seq;
        seen++;
    }
    (void)close(fds[0]);
    assert_int_equal(waitpid(pid, &ended, 0), pid);
    if (!WIFSIGNALED(ended) || seen > 20000) {
        fail_msg("%s: ended with %#x after %llu groups",
                 fault == NULL ? "no fault" : fault, (unsigned)ended,
                 (unsigned long long)seen);
    }
    world->kills++;
    return seen;
}

static int
setup(void **state)
{
    static struct world world;
    const char *root = getenv("TMPDIR");

    world = (struct world){0};
    (void)snprintf(world.dir, sizeof(world.dir), "%s/redial-XXXXXX",
                   root == NULL || strlen(root) > 40 ? "/tmp" : root);
    rng_init(&world.rng, 20);
    *state = &world;
    return mkdtemp(world.dir) == NULL;
}

static int
remove_entry(const char *path, const struct stat *stat, int type,
             struct FTW *ftw)
{
    (void)stat;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int
teardown(void **state)
{
    struct world *world = *state;

    return nftw(world->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void
killed_at_every_named_point_it_keeps_what_it_acknowledged(void **state)
{
    static const char *const faults[] = {
        "before_append:1",
        "before_append:90",
        "after_append:1",
        "after_append:70",
        "mid_projection:1",
        "mid_projection:7",
        "mid_projection:400",
        "before_commit:1",
        "before_commit:55",
        "after_commit:1",
        "after_commit:120",
        "trim:1",
        "trim:2",
        "trim:30",
        "write:1",
        "write:40",
        "write:501",
        "write:2002",
        "write:9003",
        "sync:1",
        "sync:8",
        "sync:31",
        "sync:200",
        "checkpoint:1",
        "after_checkpoint:1",
        "checkpoint:2",
    };
    struct world *world = *state;

    (void)run_and_kill(world, NULL, 100);
    check_store(world);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        (void)run_and_kill(world, faults[i], 0);
        check_store(world);
    }
    assert_true(world->kills >= 20);
}

static void
killed_in_the_middle_of_a_checkpoint_it_keeps_what_it_acknowledged(void **state)
{
    struct world *world = *state;
    char fault[64];

    /* From the checkpoint's start on, the first writes are to the file. */
    for (int i = 0; i < 6; i++) {
        (void)snprintf(
            fault, sizeof(fault), "write:%llu",
            (unsigned long long)(16000 + rng_below(&world->rng, 4000)));
        (void)run_and_kill(world, fault, 0);
        check_store(world);
    }
}

static void
killed_at_any_moment_it_keeps_what_it_acknowledged(void **state)
{
    struct world *world = *state;

    for (int i = 0; i < 25; i++) {
        (void)run_and_kill(world, NULL, 1 + rng_below(&world->rng, 300));
        check_store(world);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            killed_at_every_named_point_it_keeps_what_it_acknowledged, setup,
            teardown),
        cmocka_unit_test_setup_teardown(
            killed_in_the_middle_of_a_checkpoint_it_keeps_what_it_acknowledged,
            setup, teardown),
        cmocka_unit_test_setup_teardown(
            killed_at_any_moment_it_keeps_what_it_acknowledged, setup,
            teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
