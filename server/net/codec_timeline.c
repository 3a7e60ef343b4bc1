/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job as its records tell it: one entry per attempt, with what the gateway
 * decided after it. Attempts are packed one by one behind the job's own fields,
 * which protobuf allows, so that no history is too long for the scratch.
 */
#include "server/net/codec.h"

enum {
    JOB_ATTEMPTS_FIELD = 18, /* Job.attempts */
    TIMELINE_BYTES_MAX = 4 << 20,
};

struct timeline {
    struct bytes attempts; /* packed, with their field number */
    struct scratch scratch;
    Redial__V1__Attempt attempt;
    Redial__V1__Outcome outcome;
    Redial__V1__Decision decision;
    bool open; /* `attempt` is filled and not packed yet */
};

static void
flush(struct timeline *timeline)
{
    if (timeline->open) {
        codec_put(&timeline->attempts, JOB_ATTEMPTS_FIELD,
                  &timeline->attempt.base);
        timeline->open = false;
    }
    scratch_clear(&timeline->scratch);
}

static void
start(struct timeline *timeline, const struct record *record)
{
    Redial__V1__Attempt *attempt = &timeline->attempt;

    flush(timeline);
    redial__v1__attempt__init(attempt);
    attempt->has_number = true;
    attempt->number = record->attempt;
    attempt->has_fence = true;
    attempt->fence = record->fence;
    attempt->worker = scratch_text(&timeline->scratch, record->worker);
    attempt->has_started_wall_ms = true;
    attempt->started_wall_ms = record->wall_ms;
    attempt->state = unconst("RUNNING");
    timeline->open = true;
}

static void
end(struct timeline *timeline, const struct record *record, const char *state)
{
    Redial__V1__Attempt *attempt = &timeline->attempt;
    Redial__V1__Outcome *outcome = &timeline->outcome;

    if (!timeline->open || attempt->number != record->attempt) {
        /* Its start was trimmed. */
        start(timeline, record);
        attempt->has_started_wall_ms = false;
    }
    redial__v1__outcome__init(outcome);
    outcome->has_code = true;
    outcome->code = (Redial__V1__Code)record->code;
    outcome->reason = scratch_text(&timeline->scratch, record->reason);
    outcome->text = scratch_text(&timeline->scratch, record->text);
    attempt->outcome = outcome;
    attempt->has_ended_wall_ms = true;
    attempt->ended_wall_ms = record->wall_ms;
    attempt->has_charged = true;
    attempt->charged = record->charged;
    attempt->state = unconst(state);
}

static void
decide(struct timeline *timeline, const struct record *record)
{
    if (!timeline->open || record->decision.rule == RULE_NONE) {
        return;
    }
    codec_decision(&record->decision, &timeline->decision);
    timeline->attempt.decision = &timeline->decision;
}

static void
add(struct timeline *timeline, const struct record *record)
{
    if (record->type == EVENT_ATTEMPT_STARTED) {
        start(timeline, record);
    } else if (record->type == EVENT_ATTEMPT_SUCCEEDED) {
        end(timeline, record, "SUCCEEDED");
    } else if (record->type == EVENT_ATTEMPT_FAILED) {
        end(timeline, record, "FAILED");
    } else if (record->type == EVENT_ATTEMPT_LOST) {
        end(timeline, record, "LOST");
    } else {
        decide(timeline, record);
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
    struct timeline timeline = {.open = false};
    const struct record *accepted = find_accepted(input->records, input->count);
    const struct record *final = find_final(input->records, input->count);
    Redial__V1__Job job = REDIAL__V1__JOB__INIT;
    Redial__V1__Outcome outcome;
    Redial__V1__Decision decision;

    bytes_init(&timeline.attempts, TIMELINE_BYTES_MAX);
    for (size_t i = 0; i < input->count; i++) {
        add(&timeline, &input->records[i]);
    }
    flush(&timeline);
    if (input->view != NULL) {
        codec_job_of_view(input->view, &timeline.scratch, &job, &outcome);
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
