/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job as its records tell it: one entry per attempt, with what the gateway
 * decided after it. Attempts may overlap (hedging), so each is kept as the
 * records that it is made of until nothing can be added. They are packed one by
 * one behind the job's own fields, which protobuf allows, so that no history is
 * too long for the scratch.
 */
#include "server/net/codec.h"

#include <string.h>

enum {
    JOB_ATTEMPTS_FIELD = 18, /* Job.attempts */
    TIMELINE_BYTES_MAX = 4 << 20,
    OPEN_MAX = 32, /* attempts at once, and those behind them */
};

/* One attempt: its records, so far as they are there. */
struct entry {
    uint32_t number;
    const struct record *start;
    const struct record *end;
    const struct record *decided;
};

struct timeline {
    struct bytes attempts; /* packed, with their field number */
    struct scratch scratch;
    struct entry open[OPEN_MAX]; /* by their first record */
    size_t open_count;
};

static const char *
end_name(const struct record *end)
{
    if (end == NULL) {
        return "RUNNING";
    }
    if (end->type == EVENT_ATTEMPT_SUCCEEDED) {
        return "SUCCEEDED";
    }
    return end->type == EVENT_ATTEMPT_LOST ? "LOST" : "FAILED";
}

static void
fill_outcome(const struct record *end, struct scratch *scratch,
             Redial__V1__Outcome *outcome)
{
    redial__v1__outcome__init(outcome);
    outcome->has_code = true;
    outcome->code = (Redial__V1__Code)end->code;
    outcome->reason = scratch_text(scratch, end->reason);
    outcome->text = scratch_text(scratch, end->text);
    outcome->has_pushback_ms = end->has_pushback;
    outcome->pushback_ms = end->pushback_ms;
    outcome->has_for_target = end->for_target;
    outcome->for_target = end->for_target;
}

static void
pack(struct timeline *timeline, const struct entry *entry)
{
    const struct record *any = entry->start != NULL ? entry->start : entry->end;
    Redial__V1__Attempt attempt = REDIAL__V1__ATTEMPT__INIT;
    Redial__V1__Outcome outcome;
    Redial__V1__Decision decision;

    scratch_clear(&timeline->scratch);
    attempt.has_number = true;
    attempt.number = entry->number;
    attempt.has_fence = true;
    attempt.fence = any->fence;
    attempt.worker = scratch_text(&timeline->scratch, any->worker);
    attempt.state = unconst(end_name(entry->end));
    if (entry->start != NULL) {
        attempt.has_started_wall_ms = true;
        attempt.started_wall_ms = entry->start->wall_ms;
        attempt.has_hedge = entry->start->hedge;
        attempt.hedge = entry->start->hedge;
    }
    if (entry->end != NULL) {
        fill_outcome(entry->end, &timeline->scratch, &outcome);
        attempt.outcome = &outcome;
        attempt.has_ended_wall_ms = true;
        attempt.ended_wall_ms = entry->end->wall_ms;
        attempt.has_charged = true;
        attempt.charged = entry->end->charged;
        attempt.has_overloaded = entry->end->overloaded;
        attempt.overloaded = entry->end->overloaded;
    }
    if (entry->decided != NULL) {
        codec_decision(&entry->decided->decision, &decision);
        attempt.decision = &decision;
    }
    codec_put(&timeline->attempts, JOB_ATTEMPTS_FIELD, &attempt.base);
}

static struct entry *
open_entry(struct timeline *timeline, uint32_t number)
{
    if (timeline->open_count == OPEN_MAX) {
        pack(timeline, &timeline->open[0]);
        timeline->open_count--;
        memmove(&timeline->open[0], &timeline->open[1],
                timeline->open_count * sizeof(timeline->open[0]));
    }
    struct entry *entry = &timeline->open[timeline->open_count++];

    *entry = (struct entry){.number = number};
    return entry;
}

/* The open attempt of this number, or NULL. */
static struct entry *
find_entry(struct timeline *timeline, uint32_t number)
{
    for (size_t i = timeline->open_count; i > 0; i--) {
        if (timeline->open[i - 1].number == number) {
            return &timeline->open[i - 1];
        }
    }
    return NULL;
}

static void
add(struct timeline *timeline, const struct record *record)
{
    struct entry *entry = find_entry(timeline, record->attempt);

    if (record->type == EVENT_ATTEMPT_STARTED) {
        open_entry(timeline, record->attempt)->start = record;
        return;
    }
    if (record->type == EVENT_ATTEMPT_SUCCEEDED ||
        record->type == EVENT_ATTEMPT_FAILED ||
        record->type == EVENT_ATTEMPT_LOST) {
        if (entry == NULL) {
            entry = open_entry(timeline, record->attempt); /* trimmed start */
        }
        entry->end = record;
    }
    /* What says no attempt is about the last one. */
    if (entry == NULL && timeline->open_count > 0) {
        entry = &timeline->open[timeline->open_count - 1];
    }
    if (entry != NULL && record->decision.rule != RULE_NONE) {
        entry->decided = record;
    }
}

static const struct record *
find_accepted(const struct record *records, size_t count)
{
    return count > 0 && records[0].type == EVENT_JOB_ACCEPTED ? &records[0]
                                                              : NULL;
}

/* The last record that ends the job, or NULL. */
static const struct record *
find_final(const struct record *records, size_t count)
{
    for (size_t i = count; i > 0; i--) {
        enum event_type type = records[i - 1].type;

        if (type == EVENT_JOB_SUCCEEDED || type == EVENT_JOB_FAILED ||
            type == EVENT_JOB_CANCELLED || type == EVENT_JOB_EXPIRED) {
            return &records[i - 1];
        }
    }
    return NULL;
}

static void
fill_accepted(Redial__V1__Job *job, const struct record *accepted,
              struct scratch *scratch)
{
    job->has_priority = true;
    job->priority = accepted->priority;
    job->has_accepted_wall_ms = true;
    job->accepted_wall_ms = accepted->wall_ms;
    job->has_payload_bytes = true;
    job->payload_bytes = accepted->payload_bytes;
    if (accepted->deadline_ms > 0) {
        job->has_deadline_wall_ms = true;
        job->deadline_wall_ms = accepted->wall_ms +
                                (int64_t)accepted->deadline_ms;
    }
    if (job->key == NULL) {
        job->key = scratch_text(scratch, accepted->key);
    }
}

void
codec_put_timeline(struct bytes *out, uint32_t field,
                   const struct codec_timeline *input)
{
    struct timeline timeline = {.open_count = 0};
    const struct record *accepted = find_accepted(input->records, input->count);
    const struct record *final = find_final(input->records, input->count);
    Redial__V1__Job job = REDIAL__V1__JOB__INIT;
    Redial__V1__Outcome outcome;
    Redial__V1__Decision decision;

    bytes_init(&timeline.attempts, TIMELINE_BYTES_MAX);
    for (size_t i = 0; i < input->count; i++) {
        add(&timeline, &input->records[i]);
    }
    for (size_t i = 0; i < timeline.open_count; i++) {
        pack(&timeline, &timeline.open[i]);
    }
    scratch_clear(&timeline.scratch);
    if (input->view != NULL) {
        codec_job_of_view(input->view, &timeline.scratch, &job, &outcome);
        if (input->view->decision.rule != RULE_NONE) {
            codec_decision(&input->view->decision, &decision);
            job.decision = &decision;
        }
    } else if (final != NULL) {
        codec_job_of_final(final, &timeline.scratch, &job, &outcome);
        if (final->decision.rule != RULE_NONE) {
            codec_decision(&final->decision, &decision);
            job.decision = &decision;
        }
    }
    if (accepted != NULL) {
        fill_accepted(&job, accepted, &timeline.scratch);
    }
    job.progress = unconst(input->progress);
    job.has_history_trimmed = input->trimmed;
    job.history_trimmed = input->trimmed;
    codec_put_joined(out, field, &job.base,
                     (struct text){(const char *)timeline.attempts.at,
                                   (uint32_t)timeline.attempts.len});
    bytes_fini(&timeline.attempts);
}
