/* SPDX-License-Identifier: Apache-2.0 */
/* What both kinds of store promise: every test runs on disk and in memory. */
#include "tests/unit/store/fixture.h"

#include <stdio.h>
#include <string.h>

static const struct job_id no_job;

static void
assert_same_job(struct job_id a, struct job_id b)
{
    assert_memory_equal(a.bytes, b.bytes, sizeof(a.bytes));
}

static struct store_answer *
range(struct fixture *fixture, uint64_t from_seq, uint32_t records_max,
      size_t bytes_max)
{
    return ask(fixture, (struct store_request){
                            .type = STORE_READ_RANGE,
                            .range = {.from_seq = from_seq,
                                      .records_max = records_max,
                                      .bytes_max = bytes_max},
                        });
}

static struct store_answer *
timeline(struct fixture *fixture, const struct job *job, uint64_t last_seq)
{
    return ask(fixture, (struct store_request){
                            .type = STORE_READ_TIMELINE,
                            .job = job->id,
                            .timeline = {.last_seq = last_seq},
                        });
}

static void
assert_payload(struct fixture *fixture, const struct job *job,
               uint64_t accepted_seq, uint64_t last_seq, const char *expected)
{
    struct store_answer *answer = ask(
        fixture,
        (struct store_request){
            .type = STORE_PAYLOAD,
            .job = job->id,
            .payload = {.accepted_seq = accepted_seq, .last_seq = last_seq},
        });

    if (expected == NULL) {
        assert_int_equal(answer->status, STORE_NOT_FOUND);
    } else {
        assert_int_equal(answer->status, STORE_OK);
        assert_int_equal(answer->byte_count, strlen(expected));
        assert_memory_equal(answer->bytes, expected, answer->byte_count);
    }
    store_answer_free(answer);
}

/* ---- Groups ------------------------------------------------------------ */

static void
records_come_back_as_they_were_added(void **state)
{
    struct fixture *fixture = *state;
    struct job job = fixture_job(fixture);
    struct store_group *group = begin(fixture);
    struct record record;

    job.correlation = "story-7";
    assert_int_equal(store_group_first_seq(group), 0);
    assert_int_equal(store_group_last_seq(group), 0);
    (void)add(fixture, group, &job, EVENT_JOB_ACCEPTED, "the payload");
    (void)add_other(fixture, group);
    (void)add(fixture, group, &job, EVENT_ATTEMPT_STARTED, NULL);
    assert_int_equal(commit(fixture, group), STORE_OK);

    struct store_answer *answer = range(fixture, 1, 100, 1 << 20);

    assert_int_equal(answer->status, STORE_OK);
    assert_int_equal(answer->first_seq, 1);
    assert_int_equal(answer->group_count, 1);
    group = answer->groups[0];
    assert_int_equal(store_group_count(group), 3);
    assert_int_equal(store_group_first_seq(group), 1);
    assert_int_equal(store_group_last_seq(group), 3);
    store_group_record(group, 0, &record);
    assert_int_equal(record.type, EVENT_JOB_ACCEPTED);
    assert_int_equal(record.job_seq, 1);
    assert_same_job(record.job, job.id);
    assert_int_equal(record.attached.len, 11);
    assert_memory_equal(record.attached.at, "the payload", 11);
    assert_memory_equal(record.correlation.at, "story-7", 7);
    assert_int_equal(store_group_entry(group, 1)->type, EVENT_GATEWAY_STARTED);
    assert_same_job(store_group_entry(group, 1)->job, no_job);
    store_group_record(group, 2, &record);
    assert_int_equal(record.seq, 3);
    assert_int_equal(record.prev_seq, 1);
    store_answer_free(answer);
}

static void
a_group_outlives_the_store(void **state)
{
    struct fixture *fixture = *state;
    struct job job = fixture_job(fixture);
    struct store_group *group = store_group_ref(begin(fixture));
    struct record record;

    (void)add(fixture, group, &job, EVENT_JOB_ACCEPTED, "payload");
    store_group_set_user(group, fixture);
    assert_int_equal(commit(fixture, group), STORE_OK);
    fixture_close(fixture);
    assert_ptr_equal(store_group_user(group), fixture);
    store_group_record(group, 0, &record);
    assert_memory_equal(record.attached.at, "payload", 7);
    store_group_unref(group);
}

static void
groups_are_finished_in_the_order_of_their_commits(void **state)
{
    struct fixture *fixture = *state;
    struct store_group *groups[4];

    for (size_t round = 0; round < 25; round++) {
        assert_int_equal(store_pipe_free(fixture->store), 4);
        for (size_t i = 0; i < 4; i++) {
            groups[i] = begin(fixture);
            (void)add_other(fixture, groups[i]);
            store_commit(fixture->store, groups[i]);
            store_group_unref(groups[i]);
        }
        for (size_t i = 0; i < 4; i++) {
            struct store_group *done = wait_done(fixture);

            assert_ptr_equal(done, groups[i]);
            assert_int_equal(store_group_status(done), STORE_OK);
            store_group_unref(done);
        }
    }
    struct store_stats stats;

    store_stats(fixture->store, &stats);
    assert_int_equal(stats.groups, 100);
    assert_int_equal(stats.records, 100);
    assert_int_equal(stats.committed_seq, 100);
    assert_int_equal(stats.pipe_len, 0);
}

/* ---- Ranges ------------------------------------------------------------ */

static void
a_range_gives_whole_groups_up_to_its_limits(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < 10; i++) {
        struct store_group *group = begin(fixture);

        for (size_t j = 0; j < 5; j++) {
            (void)add_other(fixture, group);
        }
        assert_int_equal(commit(fixture, group), STORE_OK);
    }
    struct store_answer *answer = range(fixture, 13, 8, 1 << 20);

    /* 13..15 and 16..20 are 8 records of two groups. */
    assert_int_equal(answer->group_count, 2);
    assert_int_equal(store_group_first_seq(answer->groups[0]), 11);
    assert_int_equal(store_group_last_seq(answer->groups[1]), 20);
    store_answer_free(answer);

    answer = range(fixture, 13, 9, 1 << 20);
    assert_int_equal(answer->group_count, 3);
    store_answer_free(answer);

    answer = range(fixture, 1, 100, 1);
    assert_int_equal(answer->group_count, 1);
    store_answer_free(answer);

    answer = range(fixture, 50, 100, 1 << 20);
    assert_int_equal(answer->group_count, 1);
    store_answer_free(answer);

    answer = range(fixture, 51, 100, 1 << 20);
    assert_int_equal(answer->status, STORE_OK);
    assert_int_equal(answer->group_count, 0);
    store_answer_free(answer);
}

/* ---- One job ----------------------------------------------------------- */

static void
a_timeline_has_all_records_of_one_job_in_order(void **state)
{
    static const enum event_type types[] = {
        EVENT_JOB_ACCEPTED,  EVENT_ATTEMPT_STARTED, EVENT_ATTEMPT_FAILED,
        EVENT_RETRY_PLANNED, EVENT_ATTEMPT_STARTED, EVENT_ATTEMPT_SUCCEEDED,
        EVENT_JOB_SUCCEEDED};
    struct fixture *fixture = *state;
    struct job job = fixture_job(fixture);
    struct job other = fixture_job(fixture);

    for (size_t i = 0; i < 7; i++) {
        struct store_group *group = begin(fixture);

        (void)add(fixture, group, &other,
                  i == 0 ? EVENT_JOB_ACCEPTED : EVENT_ATTEMPT_STARTED, NULL);
        (void)add(fixture, group, &job, types[i], NULL);
        (void)add_other(fixture, group);
        assert_int_equal(commit(fixture, group), STORE_OK);
    }
    struct store_answer *answer = timeline(fixture, &job, 0);

    assert_int_equal(answer->status, STORE_OK);
    assert_true(answer->complete);
    assert_int_equal(answer->group_count, 1);
    assert_int_equal(answer->finished_count, 1);
    assert_int_equal(store_group_count(answer->groups[0]), 7);
    for (size_t i = 0; i < 7; i++) {
        struct record record;

        store_group_record(answer->groups[0], i, &record);
        assert_int_equal(record.type, types[i]);
        assert_int_equal(record.job_seq, i + 1);
        assert_same_job(record.job, job.id);
    }
    store_answer_free(answer);

    /* A live job needs its last seq. */
    answer = timeline(fixture, &other, 0);
    assert_int_equal(answer->status, STORE_NOT_FOUND);
    store_answer_free(answer);
    answer = timeline(fixture, &other, other.last_seq);
    assert_int_equal(answer->status, STORE_OK);
    assert_int_equal(answer->finished_count, 0);
    assert_int_equal(store_group_count(answer->groups[0]), 7);
    store_answer_free(answer);

    /* The last seq of some other job is not believed. */
    answer = timeline(fixture, &other, job.last_seq);
    assert_int_equal(answer->status, STORE_NOT_FOUND);
    store_answer_free(answer);
}

static void
what_comes_late_is_part_of_the_timeline(void **state)
{
    struct fixture *fixture = *state;
    struct job job = finish_one(fixture, EVENT_JOB_CANCELLED);
    uint64_t final_seq = job.last_seq;
    uint64_t late_seq = one(fixture, &job, EVENT_ATTEMPT_LATE, NULL);
    struct store_finished finished;

    assert_int_equal(lookup(fixture, &job, &finished), STORE_OK);
    assert_int_equal(finished.final_seq, final_seq);
    assert_int_equal(finished.last_seq, late_seq);
    struct store_answer *answer = timeline(fixture, &job, 0);

    assert_int_equal(store_group_count(answer->groups[0]), 3);
    store_answer_free(answer);
}

static void
a_finished_job_is_found_by_its_id_with_its_final_record(void **state)
{
    struct fixture *fixture = *state;
    struct job live = fixture_job(fixture);

    (void)one(fixture, &live, EVENT_JOB_ACCEPTED, NULL);
    struct job job = finish_one(fixture, EVENT_JOB_SUCCEEDED);
    struct store_finished finished;
    struct record record;

    assert_int_equal(lookup(fixture, &live, NULL), STORE_NOT_FOUND);
    assert_int_equal(lookup(fixture, &job, &finished), STORE_OK);
    assert_same_job(finished.job, job.id);
    assert_int_equal(finished.type, EVENT_JOB_SUCCEEDED);
    assert_int_equal(finished.final_seq, job.last_seq);

    struct store_answer *answer = ask(
        fixture, (struct store_request){.type = STORE_LOOKUP,
                                        .job = job.id,
                                        .lookup = {.with_record = true}});

    assert_int_equal(answer->group_count, 1);
    assert_int_equal(store_group_count(answer->groups[0]), 1);
    store_group_record(answer->groups[0], 0, &record);
    assert_int_equal(record.seq, job.last_seq);
    assert_memory_equal(record.attached.at, "result", 6);
    store_answer_free(answer);
}

static void
a_requeued_job_is_not_finished(void **state)
{
    struct fixture *fixture = *state;
    struct job job = finish_one(fixture, EVENT_JOB_FAILED);

    assert_int_equal(lookup(fixture, &job, NULL), STORE_OK);
    (void)one(fixture, &job, EVENT_JOB_REQUEUED, NULL);
    assert_int_equal(lookup(fixture, &job, NULL), STORE_NOT_FOUND);
    (void)one(fixture, &job, EVENT_JOB_SUCCEEDED, NULL);
    struct store_answer *answer = timeline(fixture, &job, 0);

    assert_int_equal(answer->finished[0].type, EVENT_JOB_SUCCEEDED);
    assert_int_equal(store_group_count(answer->groups[0]), 4);
    store_answer_free(answer);
}

static void
a_payload_comes_from_the_table_or_else_from_the_log(void **state)
{
    struct fixture *fixture = *state;
    struct job job = fixture_job(fixture);
    struct store_group *group = begin(fixture);

    (void)add(fixture, group, &job, EVENT_JOB_ACCEPTED, "from the log");
    (void)add(fixture, group, &job, EVENT_ATTEMPT_STARTED, NULL);
    assert_int_equal(commit(fixture, group), STORE_OK);
    assert_payload(fixture, &job, job.accepted_seq, 0, "from the log");
    assert_payload(fixture, &job, 0, job.last_seq, "from the log");
    assert_payload(fixture, &job, 0, 0, NULL); /* neither live nor finished */
    assert_payload(fixture, &job, job.last_seq, 0, "from the log");

    group = begin(fixture);
    assert_true(store_group_put_payload(group, job.id, "from the table", 14));
    assert_int_equal(store_group_work(group), 1);
    assert_int_equal(commit(fixture, group), STORE_OK);
    assert_payload(fixture, &job, 0, 0, "from the table");

    group = begin(fixture);
    assert_true(store_group_delete_payload(group, job.id));
    assert_int_equal(commit(fixture, group), STORE_OK);
    assert_payload(fixture, &job, job.accepted_seq, 0, "from the log");

    (void)one(fixture, &job, EVENT_JOB_FAILED, NULL);
    assert_payload(fixture, &job, 0, 0, "from the log");
}

static void
an_empty_payload_is_a_payload(void **state)
{
    struct fixture *fixture = *state;
    struct job job = fixture_job(fixture);
    struct store_group *group = begin(fixture);

    (void)add(fixture, group, &job, EVENT_JOB_ACCEPTED, "");
    assert_true(store_group_put_payload(group, job.id, NULL, 0));
    assert_int_equal(commit(fixture, group), STORE_OK);
    assert_payload(fixture, &job, 0, 0, "");
}

/* ---- Lists ------------------------------------------------------------- */

static struct store_answer *
correlated(struct fixture *fixture, const char *id, uint32_t jobs_max)
{
    struct store_request request = {
        .type = STORE_CORRELATED,
        .correlated = {.id_len = (uint32_t)strlen(id), .jobs_max = jobs_max},
    };

    memcpy(request.correlated.id, id, strlen(id));
    return ask(fixture, request);
}

static void
finished_jobs_are_found_by_correlation_id_newest_first(void **state)
{
    struct fixture *fixture = *state;
    struct job jobs[6];

    for (size_t i = 0; i < 6; i++) {
        jobs[i] = fixture_job(fixture);
        jobs[i].correlation = i % 2 == 0 ? "even" : "odd";
        (void)one(fixture, &jobs[i], EVENT_JOB_ACCEPTED, NULL);
    }
    for (size_t i = 0; i < 5; i++) {
        (void)one(fixture, &jobs[i], EVENT_JOB_SUCCEEDED, NULL);
    }
    struct store_answer *answer = correlated(fixture, "even", 10);

    assert_int_equal(answer->status, STORE_OK);
    assert_true(answer->complete);
    assert_int_equal(answer->finished_count, 3);
    assert_same_job(answer->finished[0].job, jobs[4].id);
    assert_same_job(answer->finished[2].job, jobs[0].id);
    store_answer_free(answer);

    answer = correlated(fixture, "odd", 10); /* jobs[5] is live */
    assert_int_equal(answer->finished_count, 2);
    store_answer_free(answer);

    answer = correlated(fixture, "even", 2);
    assert_int_equal(answer->finished_count, 2);
    assert_false(answer->complete);
    assert_same_job(answer->finished[0].job, jobs[4].id);
    store_answer_free(answer);

    answer = correlated(fixture, "neither", 10);
    assert_int_equal(answer->status, STORE_OK);
    assert_int_equal(answer->finished_count, 0);
    store_answer_free(answer);

    (void)one(fixture, &jobs[0], EVENT_JOB_REQUEUED, NULL);
    answer = correlated(fixture, "even", 10);
    assert_int_equal(answer->finished_count, 2);
    store_answer_free(answer);
}

static void
correlations_reach_across_many_jobs(void **state)
{
    enum { JOBS = 9000 }; /* more than two buckets */
    struct fixture *fixture = *state;
    char ids[100][16];

    for (size_t i = 0; i < JOBS / 100; i++) {
        struct store_group *group = begin(fixture);

        for (size_t j = 0; j < 100; j++) {
            struct job job = fixture_job(fixture);

            (void)snprintf(ids[j], sizeof(ids[j]), "story-%zu", j);
            job.correlation = ids[j];
            (void)add(fixture, group, &job, EVENT_JOB_ACCEPTED, NULL);
            (void)add(fixture, group, &job, EVENT_JOB_SUCCEEDED, NULL);
        }
        assert_int_equal(commit(fixture, group), STORE_OK);
    }
    struct store_answer *answer = correlated(fixture, "story-42", 1000);

    assert_int_equal(answer->finished_count, JOBS / 100);
    for (size_t i = 1; i < answer->finished_count; i++) {
        assert_true(memcmp(answer->finished[i - 1].job.bytes,
                           answer->finished[i].job.bytes, 16) > 0);
    }
    store_answer_free(answer);
}

static struct store_answer *
list_finished(struct fixture *fixture, uint32_t types, struct job_id after,
              bool descending)
{
    return ask(fixture, (struct store_request){
                            .type = STORE_FINISHED,
                            .job = after,
                            .finished = {.types = types,
                                         .jobs_max = 4,
                                         .descending = descending},
                        });
}

/* Walks the whole list, four at a time; returns how many there are. */
static size_t
walk_finished(struct fixture *fixture, uint32_t types, bool descending)
{
    struct job_id after = no_job;
    size_t count = 0;
    bool complete = false;

    while (!complete) {
        struct store_answer *answer = list_finished(fixture, types, after,
                                                    descending);

        assert_int_equal(answer->status, STORE_OK);
        for (size_t i = 0; i < answer->finished_count; i++) {
            const struct store_finished *at = &answer->finished[i];
            int order = memcmp(at->job.bytes, after.bytes, 16);

            assert_true(types & STORE_TYPE_BIT(at->type));
            assert_true(count == 0 || (descending ? order < 0 : order > 0));
            after = at->job;
            count++;
        }
        after = answer->reached; /* beyond the last one that is wanted */
        complete = answer->complete;
        store_answer_free(answer);
    }
    return count;
}

static void
finished_jobs_are_listed_by_state_in_both_directions(void **state)
{
    static const enum event_type types[] = {
        EVENT_JOB_SUCCEEDED, EVENT_JOB_FAILED, EVENT_JOB_CANCELLED,
        EVENT_JOB_EXPIRED};
    struct fixture *fixture = *state;
    uint32_t failed = STORE_TYPE_BIT(EVENT_JOB_FAILED);
    uint32_t all = failed | STORE_TYPE_BIT(EVENT_JOB_SUCCEEDED) |
                   STORE_TYPE_BIT(EVENT_JOB_CANCELLED) |
                   STORE_TYPE_BIT(EVENT_JOB_EXPIRED);

    assert_int_equal(walk_finished(fixture, all, false), 0);
    for (size_t i = 0; i < 24; i++) {
        (void)finish_one(fixture, types[i % 4]);
    }
    for (int descending = 0; descending < 2; descending++) {
        assert_int_equal(walk_finished(fixture, all, descending), 24);
        assert_int_equal(walk_finished(fixture, failed, descending), 6);
        assert_int_equal(
            walk_finished(fixture, STORE_TYPE_BIT(EVENT_JOB_EXPIRED) | failed,
                          descending),
            12);
    }
}

/* ---- Requests ---------------------------------------------------------- */

static void
a_request_waits_for_the_seq_that_it_names(void **state)
{
    struct fixture *fixture = *state;
    struct job job = fixture_job(fixture);

    (void)one(fixture, &job, EVENT_JOB_ACCEPTED, NULL);
    struct store_request request = {
        .type = STORE_LOOKUP,
        .ticket = 77,
        .after_seq = fixture->next_seq, /* the final record to come */
        .job = job.id,
    };

    assert_int_equal(store_ask(fixture->store, &request), STORE_OK);
    /* One behind it overtakes it. */
    assert_int_equal(lookup(fixture, &job, NULL), STORE_NOT_FOUND);
    (void)one(fixture, &job, EVENT_JOB_SUCCEEDED, NULL);
    struct store_answer *answer = wait_answer(fixture);

    assert_int_equal(answer->ticket, 77);
    assert_int_equal(answer->status, STORE_OK);
    store_answer_free(answer);
}

static void
requests_are_bounded_and_can_be_taken_back(void **state)
{
    struct fixture *fixture = *state;
    struct store_request request = {.type = STORE_LOOKUP, .after_seq = 1000000};

    for (uint64_t i = 1; i <= 1024; i++) {
        request.ticket = i;
        assert_int_equal(store_ask(fixture->store, &request), STORE_OK);
    }
    request.ticket = 1025;
    assert_int_equal(store_ask(fixture->store, &request), STORE_BUSY);
    assert_true(store_cancel(fixture->store, 500));
    assert_false(store_cancel(fixture->store, 500));
    assert_int_equal(store_ask(fixture->store, &request), STORE_OK);
    assert_null(store_take_answer(fixture->store));
}

/* ---- Retention --------------------------------------------------------- */

static void
trimming_never_passes_the_watermark(void **state)
{
    struct fixture *fixture = *state;
    struct store_retention all = {
        .now_wall_ms = INT64_MAX, .events_age_ms = 1, .finished_age_ms = 1};
    struct job jobs[3];

    for (size_t i = 0; i < 3; i++) {
        jobs[i] = finish_one(fixture, EVENT_JOB_SUCCEEDED);
    }
    assert_int_equal(trim(fixture, all).first_seq, 1);
    struct store_group *group = begin(fixture);

    store_group_set_watermark(group, 3);
    assert_int_equal(commit(fixture, group), STORE_OK);
    assert_int_equal(trim(fixture, all).first_seq, 4);
    assert_int_equal(lookup(fixture, &jobs[0], NULL), STORE_NOT_FOUND);
    assert_int_equal(lookup(fixture, &jobs[1], NULL), STORE_OK);

    /* Half of this job's timeline is gone. */
    struct store_answer *answer = timeline(fixture, &jobs[1], 0);

    assert_int_equal(answer->status, STORE_OK);
    assert_false(answer->complete);
    assert_int_equal(store_group_count(answer->groups[0]), 1);
    store_answer_free(answer);

    answer = range(fixture, 1, 100, 1 << 20);
    assert_int_equal(answer->first_seq, 4);
    assert_int_equal(store_group_first_seq(answer->groups[0]), 4);
    store_answer_free(answer);

    /* The newest group stays, whatever its age. */
    project_all(fixture);
    assert_int_equal(trim(fixture, all).first_seq, 6);
}

static void
finished_jobs_go_before_their_events(void **state)
{
    struct fixture *fixture = *state;
    struct job jobs[5];

    for (size_t i = 0; i < 5; i++) {
        jobs[i] = fixture_job(fixture);
        jobs[i].correlation = "story";
        jobs[i].key = "key";
        (void)one(fixture, &jobs[i], EVENT_JOB_ACCEPTED, NULL);
        (void)one(fixture, &jobs[i], EVENT_JOB_SUCCEEDED, NULL);
    }
    project_all(fixture);
    struct retained retained = trim(
        fixture, (struct store_retention){.now_wall_ms = INT64_MAX,
                                          .finished_count = 2});

    assert_int_equal(retained.first_seq, 1);
    assert_int_equal(retained.key_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_same_job(retained.keys[i].job, jobs[i].id);
        assert_memory_equal(retained.keys[i].key_hash, jobs[i].id.bytes, 16);
        assert_int_equal(lookup(fixture, &jobs[i], NULL), STORE_NOT_FOUND);
    }
    assert_int_equal(lookup(fixture, &jobs[3], NULL), STORE_OK);
    struct store_answer *answer = correlated(fixture, "story", 10);

    assert_int_equal(answer->finished_count, 2);
    store_answer_free(answer);
    answer = range(fixture, 1, 100, 1 << 20);
    assert_int_equal(answer->group_count, 10);
    store_answer_free(answer);
}

static void
a_failed_job_outlives_its_group(void **state)
{
    struct fixture *fixture = *state;
    struct store_retention limits = {.now_wall_ms = INT64_MAX,
                                     .events_age_ms = 1,
                                     .finished_age_ms = 1,
                                     .failed_count = 2};
    struct job jobs[3];

    for (size_t i = 0; i < 3; i++) {
        jobs[i] = fixture_job(fixture);
        jobs[i].correlation = "story";
        (void)one(fixture, &jobs[i], EVENT_JOB_ACCEPTED, "payload");
        (void)one(fixture, &jobs[i], EVENT_JOB_FAILED, "why");
    }
    struct job good = finish_one(fixture, EVENT_JOB_SUCCEEDED);

    (void)finish_one(fixture, EVENT_JOB_SUCCEEDED);
    project_all(fixture);
    (void)trim(fixture, limits);
    assert_int_equal(lookup(fixture, &good, NULL), STORE_NOT_FOUND);
    /* The oldest of three is over the limit of two. */
    assert_int_equal(lookup(fixture, &jobs[0], NULL), STORE_NOT_FOUND);
    assert_payload(fixture, &jobs[0], 0, 0, NULL);
    for (size_t i = 1; i < 3; i++) {
        assert_int_equal(lookup(fixture, &jobs[i], NULL), STORE_OK);
        assert_payload(fixture, &jobs[i], 0, 0, "payload");
    }
    struct store_answer *answer = timeline(fixture, &jobs[2], 0);

    assert_int_equal(answer->status, STORE_OK);
    assert_false(answer->complete);
    assert_int_equal(store_group_count(answer->groups[0]), 1);
    store_answer_free(answer);
    answer = correlated(fixture, "story", 10);
    assert_int_equal(answer->finished_count, 2);
    store_answer_free(answer);

    /* Requeued, it is an ordinary live job again. */
    (void)one(fixture, &jobs[1], EVENT_JOB_REQUEUED, NULL);
    assert_int_equal(lookup(fixture, &jobs[1], NULL), STORE_NOT_FOUND);
    answer = correlated(fixture, "story", 10);
    assert_int_equal(answer->finished_count, 1);
    store_answer_free(answer);

    limits.failed_count = 0;
    limits.failed_age_ms = 1;
    (void)trim(fixture, limits);
    assert_int_equal(lookup(fixture, &jobs[2], NULL), STORE_NOT_FOUND);
    answer = correlated(fixture, "story", 10);
    assert_int_equal(answer->finished_count, 0);
    store_answer_free(answer);
}

static void
what_is_young_and_small_stays(void **state)
{
    struct fixture *fixture = *state;
    struct job job = finish_one(fixture, EVENT_JOB_SUCCEEDED);

    project_all(fixture);
    struct retained retained = trim(
        fixture, (struct store_retention){.now_wall_ms = fixture->wall_ms,
                                          .events_age_ms = 1000,
                                          .events_bytes = 1 << 20,
                                          .finished_age_ms = 1000,
                                          .finished_count = 1,
                                          .failed_age_ms = 1000,
                                          .failed_count = 1,
                                          .failed_bytes = 1 << 20});

    assert_int_equal(retained.first_seq, 1);
    assert_int_equal(lookup(fixture, &job, NULL), STORE_OK);
}

static void
the_log_shrinks_to_its_bytes(void **state)
{
    struct fixture *fixture = *state;
    struct store_stats stats;
    char payload[2000];

    memset(payload, 'x', sizeof(payload));
    payload[sizeof(payload) - 1] = '\0';
    for (size_t i = 0; i < 100; i++) {
        struct job job = fixture_job(fixture);

        (void)one(fixture, &job, EVENT_JOB_ACCEPTED, payload);
    }
    project_all(fixture);
    (void)trim(fixture, (struct store_retention){.now_wall_ms = 1,
                                                 .events_bytes = 50000});
    store_stats(fixture->store, &stats);
    assert_in_range(stats.kept_bytes, 40000, 50000);
    assert_in_range(stats.first_seq, 70, 90);
}

static void
rows_are_taken_whether_they_are_kept_or_not(void **state)
{
    struct fixture *fixture = *state;
    struct job job = fixture_job(fixture);
    struct store_group *group = begin(fixture);
    const uint8_t row[] = {1, 2, 3};

    (void)add(fixture, group, &job, EVENT_JOB_ACCEPTED, "payload");
    assert_true(
        store_group_put_job(group, job.id, job.last_seq, row, sizeof(row)));
    assert_true(store_group_put_target(group, (struct text){"tts", 3},
                                       job.last_seq, row, sizeof(row)));
    assert_true(store_group_delete_target(group, (struct text){"tts", 3}));
    assert_int_equal(store_group_work(group), 3);
    assert_int_equal(commit(fixture, group), STORE_OK);
    /* What stands behind them in the group is done as well. */
    job = finish_one(fixture, EVENT_JOB_SUCCEEDED);
    assert_int_equal(lookup(fixture, &job, NULL), STORE_OK);
}

#define BOTH(test)                                             \
    {#test "_on_disk", test, setup_disk, teardown, NULL},      \
    {                                                          \
#test "_in_memory", test, setup_memory, teardown, NULL \
    }

int
main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(records_come_back_as_they_were_added),
        BOTH(a_group_outlives_the_store),
        BOTH(rows_are_taken_whether_they_are_kept_or_not),
        BOTH(groups_are_finished_in_the_order_of_their_commits),
        BOTH(a_range_gives_whole_groups_up_to_its_limits),
        BOTH(a_timeline_has_all_records_of_one_job_in_order),
        BOTH(what_comes_late_is_part_of_the_timeline),
        BOTH(a_finished_job_is_found_by_its_id_with_its_final_record),
        BOTH(a_requeued_job_is_not_finished),
        BOTH(a_payload_comes_from_the_table_or_else_from_the_log),
        BOTH(an_empty_payload_is_a_payload),
        BOTH(finished_jobs_are_found_by_correlation_id_newest_first),
        BOTH(correlations_reach_across_many_jobs),
        BOTH(finished_jobs_are_listed_by_state_in_both_directions),
        BOTH(a_request_waits_for_the_seq_that_it_names),
        BOTH(requests_are_bounded_and_can_be_taken_back),
        BOTH(trimming_never_passes_the_watermark),
        BOTH(finished_jobs_go_before_their_events),
        BOTH(a_failed_job_outlives_its_group),
        BOTH(what_is_young_and_small_stays),
        BOTH(the_log_shrinks_to_its_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
