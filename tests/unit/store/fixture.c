/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/store/fixture.h"

#include <sqlite3.h>

#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { WAIT_MS = 20000 };

static bool
ignore_job(void *ctx, struct job_id id, const uint8_t *row, size_t len)
{
    (void)ctx;
    (void)id;
    (void)row;
    (void)len;
    return true;
}

static bool
ignore_key(void *ctx, const struct store_key *key)
{
    (void)ctx;
    (void)key;
    return true;
}

static bool
ignore_record(void *ctx, const struct record *record)
{
    (void)ctx;
    (void)record;
    return true;
}

static bool
ignore_target(void *ctx, struct text name, const uint8_t *row, size_t len)
{
    (void)ctx;
    (void)name;
    (void)row;
    (void)len;
    return true;
}

const struct store_recovery ignore_recovered = {
    .target = ignore_target,
    .job = ignore_job,
    .key = ignore_key,
    .record = ignore_record,
};

/* ---- Life -------------------------------------------------------------- */

static void
on_wake(void *ctx)
{
    struct fixture *fixture = ctx;
    uint64_t one = 1;
    ssize_t written = write(fixture->wake_fd, &one, sizeof(one));

    (void)written; /* full: it is readable all the same */
}

static struct fixture *
new_fixture(void)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    fixture->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert_true(fixture->wake_fd >= 0);
    fixture->wall_ms = 1700000000000;
    fixture->next_job = 1;
    fixture->next_ticket = 1;
    fixture->options.wake = on_wake;
    fixture->options.ctx = fixture;
    (void)unsetenv("REDIAL_STORE_FAULT");
    return fixture;
}

int
setup_closed(void **state)
{
    struct fixture *fixture = new_fixture();
    const char *root = getenv("TMPDIR");

    (void)snprintf(fixture->dir, sizeof(fixture->dir), "%s/redial-XXXXXX",
                   root == NULL || strlen(root) > 40 ? "/tmp" : root);
    assert_non_null(mkdtemp(fixture->dir));
    *state = fixture;
    return 0;
}

int
setup_disk(void **state)
{
    (void)setup_closed(state);
    fixture_open(*state);
    return 0;
}

int
setup_memory(void **state)
{
    struct fixture *fixture = new_fixture();

    fixture->options.finished_max = 20000;
    fixture->options.payloads_max = 20000;
    fixture_open(fixture);
    *state = fixture;
    return 0;
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

int
teardown(void **state)
{
    struct fixture *fixture = *state;

    store_free(fixture->store);
    if (fixture->dir[0] != '\0') {
        (void)nftw(fixture->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    }
    (void)close(fixture->wake_fd);
    free(fixture);
    return 0;
}

enum store_status
fixture_try_open(struct fixture *fixture,
                 const struct store_recovery *callbacks, void *ctx)
{
    fixture->options.dir = fixture->dir[0] == '\0' ? NULL : fixture->dir;
    fixture->store = store_new(&fixture->options);
    assert_non_null(fixture->store);
    enum store_status status = store_open(fixture->store);

    if (status == STORE_OK) {
        status = store_recover(fixture->store, callbacks, ctx,
                               &fixture->recovered);
    }
    if (status == STORE_OK) {
        fixture->next_seq = fixture->recovered.next_seq;
    }
    return status;
}

void
fixture_open(struct fixture *fixture)
{
    enum store_status status = fixture_try_open(fixture, &ignore_recovered,
                                                NULL);

    if (status != STORE_OK) {
        fail_msg("%s: %s", store_status_text(status),
                 store_detail(fixture->store));
    }
}

void
fixture_close(struct fixture *fixture)
{
    assert_int_equal(store_close(fixture->store), STORE_OK);
    store_free(fixture->store);
    fixture->store = NULL;
}

void
fixture_reopen(struct fixture *fixture)
{
    fixture_close(fixture);
    fixture_open(fixture);
}

void
wait_wake(struct fixture *fixture)
{
    struct pollfd poller = {.fd = fixture->wake_fd, .events = POLLIN};
    uint64_t count;

    assert_int_equal(poll(&poller, 1, WAIT_MS), 1);
    assert_int_equal(read(fixture->wake_fd, &count, sizeof(count)),
                     sizeof(count));
}

/* ---- Groups ------------------------------------------------------------ */

struct job
fixture_job(struct fixture *fixture)
{
    struct job job = {0};
    uint64_t number = fixture->next_job++;

    job.id.bytes[0] = 0x01;
    job.id.bytes[6] = 0x70;
    for (size_t i = 0; i < 8; i++) {
        job.id.bytes[8 + i] = (uint8_t)(number >> (56 - 8 * i));
    }
    return job;
}

static struct text
text_from(const char *string)
{
    return (struct text){.at = string,
                         .len = string == NULL ? 0 : (uint32_t)strlen(string)};
}

static enum attachment
attachment_of(enum event_type type)
{
    return type == EVENT_JOB_ACCEPTED ? ATTACHMENT_PAYLOAD : ATTACHMENT_RESULT;
}

uint64_t
add(struct fixture *fixture, struct store_group *group, struct job *job,
    enum event_type type, const char *attached)
{
    struct record record = {
        .type = type,
        .seq = fixture->next_seq++,
        .prev_seq = job->last_seq,
        .job_seq = ++job->job_seq,
        .wall_ms = fixture->wall_ms++,
        .job = job->id,
        .correlation = text_from(job->correlation),
        .service = text_from("image.ImageGen"),
        .method = text_from("Generate"),
        .attachment = attached == NULL ? ATTACHMENT_NONE : attachment_of(type),
    };
    bool final = type == EVENT_JOB_SUCCEEDED || type == EVENT_JOB_FAILED ||
                 type == EVENT_JOB_CANCELLED || type == EVENT_JOB_EXPIRED;

    if (job->key != NULL && (final || type == EVENT_JOB_ACCEPTED)) {
        record.key = text_from(job->key);
    }
    if (job->key != NULL && type == EVENT_JOB_ACCEPTED) {
        memcpy(record.key_hash, job->id.bytes, 16);
        memset(record.content_hash, 0x5a, 16);
    }
    assert_true(store_group_add(group, &record, text_from(attached)));
    job->last_seq = record.seq;
    if (type == EVENT_JOB_ACCEPTED) {
        job->accepted_seq = record.seq;
    }
    return record.seq;
}

uint64_t
add_other(struct fixture *fixture, struct store_group *group)
{
    struct record record = {
        .type = EVENT_GATEWAY_STARTED,
        .seq = fixture->next_seq++,
        .wall_ms = fixture->wall_ms++,
    };

    assert_true(store_group_add(group, &record, text_from(NULL)));
    return record.seq;
}

struct store_group *
begin(struct fixture *fixture)
{
    struct store_group *group = store_group_new(fixture->store);

    assert_non_null(group);
    return group;
}

struct store_group *
wait_done(struct fixture *fixture)
{
    struct store_group *group;

    while ((group = store_take_done(fixture->store)) == NULL) {
        wait_wake(fixture);
    }
    return group;
}

enum store_status
commit(struct fixture *fixture, struct store_group *group)
{
    store_commit(fixture->store, group);
    struct store_group *done = wait_done(fixture);

    assert_ptr_equal(done, group);
    enum store_status status = store_group_status(done);

    store_group_unref(done);
    store_group_unref(group);
    return status;
}

uint64_t
one(struct fixture *fixture, struct job *job, enum event_type type,
    const char *attached)
{
    struct store_group *group = begin(fixture);
    uint64_t seq = add(fixture, group, job, type, attached);

    assert_int_equal(commit(fixture, group), STORE_OK);
    return seq;
}

struct job
finish_one(struct fixture *fixture, enum event_type type)
{
    struct job job = fixture_job(fixture);

    (void)one(fixture, &job, EVENT_JOB_ACCEPTED, "payload");
    (void)one(fixture, &job, type, "result");
    return job;
}

void
project_all(struct fixture *fixture)
{
    struct store_group *group = begin(fixture);

    store_group_set_watermark(group, fixture->next_seq - 1);
    assert_int_equal(commit(fixture, group), STORE_OK);
}

/* ---- Answers ----------------------------------------------------------- */

struct store_answer *
wait_answer(struct fixture *fixture)
{
    struct store_answer *answer;

    while ((answer = store_take_answer(fixture->store)) == NULL) {
        wait_wake(fixture);
    }
    return answer;
}

struct store_answer *
ask(struct fixture *fixture, struct store_request request)
{
    request.ticket = fixture->next_ticket++;
    assert_int_equal(store_ask(fixture->store, &request), STORE_OK);
    struct store_answer *answer = wait_answer(fixture);

    assert_int_equal(answer->ticket, request.ticket);
    assert_int_equal(answer->type, request.type);
    return answer;
}

enum store_status
lookup(struct fixture *fixture, const struct job *job,
       struct store_finished *ret)
{
    struct store_answer *answer = ask(
        fixture, (struct store_request){.type = STORE_LOOKUP, .job = job->id});
    enum store_status status = answer->status;

    if (status == STORE_OK && ret != NULL) {
        assert_int_equal(answer->finished_count, 1);
        *ret = answer->finished[0];
    }
    store_answer_free(answer);
    return status;
}

struct retained
trim(struct fixture *fixture, struct store_retention retention)
{
    struct retained retained = {0};
    uint64_t ticket = fixture->next_ticket++;
    bool complete = false;

    assert_true(store_trim(fixture->store, ticket, &retention));
    while (!complete) {
        struct store_answer *answer = wait_answer(fixture);

        assert_int_equal(answer->type, STORE_TRIMMED);
        assert_int_equal(answer->ticket, ticket);
        assert_int_equal(answer->status, STORE_OK);
        for (size_t i = 0; i < answer->key_count && retained.key_count < 64;
             i++) {
            retained.keys[retained.key_count++] = answer->keys[i];
        }
        retained.first_seq = answer->first_seq;
        complete = answer->complete;
        store_answer_free(answer);
    }
    return retained;
}

void
tamper(const struct fixture *fixture, const char *sql)
{
    char path[96];
    char *message = NULL;
    sqlite3 *handle = NULL;

    (void)snprintf(path, sizeof(path), "%s/redial.db", fixture->dir);
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    if (sqlite3_exec(handle, sql, NULL, NULL, &message) != SQLITE_OK) {
        fail_msg("%s: %s", sql, message);
    }
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
}
