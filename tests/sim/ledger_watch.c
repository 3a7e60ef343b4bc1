/* SPDX-License-Identifier: Apache-2.0 */
/* What the ledger checks between steps: what was said, what is due, views. */
#include "server/base/hash.h"
#include "tests/sim/ledger.h"
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <string.h>

uint64_t
ledger_end_hash(const struct record *record)
{
    static const struct hash_key key = {{1, 2}};
    uint64_t numbers[4] = {record->seq, (uint64_t)record->type,
                           (uint64_t)record->code,
                           (uint64_t)record->decision.rule};
    uint64_t reason = record->reason.len == 0 ? 0
                                              : hash_64(&key, record->reason.at,
                                                        record->reason.len);

    return (hash_64(&key, numbers, sizeof(numbers)) ^ reason) | 1;
}

void
ledger_spoken(struct sim *sim, const struct message *message)
{
    if (message->after_seq > sim->disk.count) {
        sim_fail(sim, VIOLATION_SPOKE_EARLY,
                 "message %d to peer %u needs seq %" PRIu64
                 ", on disk is %" PRIu64,
                 (int)message->type, message->peer, message->after_seq,
                 sim->disk.count);
    }
    /* Also where the gateway itself did not think of it. */
    if (message->type == MESSAGE_ASSIGN &&
        message->command.token.fence > sim->disk.count) {
        sim_fail(sim, VIOLATION_SPOKE_EARLY, "an assignment without a record");
    }
}

void
ledger_published(struct sim *sim, const struct record *record)
{
    uint32_t spec = spec_of(sim, record->job);

    if (record->seq > sim->disk.count) {
        sim_fail(sim, VIOLATION_SPOKE_EARLY, "event %" PRIu64, record->seq);
    }
    switch (record->type) {
    case EVENT_JOB_SUCCEEDED:
    case EVENT_JOB_FAILED:
    case EVENT_JOB_CANCELLED:
    case EVENT_JOB_EXPIRED:
        if (sim->ledger.heard[spec] != 0) {
            sim_fail(sim, VIOLATION_TWO_ENDS, "job %u ended again", spec);
        }
        sim->ledger.heard[spec] = ledger_end_hash(record);
        break;
    case EVENT_JOB_ACCEPTED:
    case EVENT_JOB_SCHEDULED:
    case EVENT_JOB_PARKED:
    case EVENT_JOB_RELEASED:
    case EVENT_JOB_REQUEUED:
    case EVENT_ATTEMPT_STARTED:
    case EVENT_ATTEMPT_PROGRESS:
    case EVENT_ATTEMPT_SUCCEEDED:
    case EVENT_ATTEMPT_FAILED:
    case EVENT_ATTEMPT_LOST:
    case EVENT_ATTEMPT_LATE:
    case EVENT_RETRY_PLANNED:
    case EVENT_RETRY_REFUSED:
    case EVENT_BREAKER_OPENED:
    case EVENT_BREAKER_HALF_OPEN:
    case EVENT_BREAKER_RAMP:
    case EVENT_BREAKER_CLOSED:
    case EVENT_BREAKER_FORCED:
    case EVENT_BREAKER_RELEASED:
    case EVENT_BUDGET_EXHAUSTED:
    case EVENT_BUDGET_RECOVERED:
    case EVENT_WORKER_JOINED:
    case EVENT_WORKER_LEFT:
    case EVENT_WORKER_QUIET:
    case EVENT_GATEWAY_STARTED:
    case EVENT_GATEWAY_DRAINING:
    case EVENT_GATEWAY_RELOADED:
    case EVENT_GATEWAY_DEGRADED:
    case EVENT_GATEWAY_RECOVERED:
        break;
    }
}

static bool
lives(const struct ledger_job *job)
{
    return job->state != JOB_NONE && job->final_seq == 0;
}

uint32_t
ledger_live(const struct sim *sim)
{
    uint32_t live = 0;

    for (uint32_t i = 0; i < sim->agents.spec_count; i++) {
        live += lives(&sim->ledger.jobs[i]);
    }
    return live;
}

/* An attempt is over its time, and the gateway did nothing. */
static bool
hangs(const struct sim *sim, const struct ledger_job *job)
{
    for (uint32_t i = 0; i < job->running_count; i++) {
        const struct ledger_attempt *attempt = &job->running[i];

        if (attempt->started_at != INT64_MIN &&
            attempt->started_at + (int64_t)attempt->timeout_ms +
                    (int64_t)sim->plan.limits.grace_ms <=
                sim->mono_ms) {
            return true;
        }
    }
    return false;
}

void
ledger_check_due(struct sim *sim)
{
    int64_t now = sim->mono_ms;

    for (uint32_t i = 0; i < sim->agents.spec_count; i++) {
        const struct ledger_job *job = &sim->ledger.jobs[i];

        if (!lives(job)) {
            continue;
        }
        bool waits = job->state != JOB_RUNNING && job->charged == 0;

        if (job->deadline_at <= now || (waits && job->queue_end_at <= now) ||
            hangs(sim, job)) {
            sim_fail(sim, VIOLATION_OVERDUE, "job %u in %s", i,
                     job_state_name(job->state));
        }
    }
}

void
ledger_check_end(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->agents.spec_count; i++) {
        const struct spec *spec = &sim->agents.specs[i];
        const struct ledger_job *job = &sim->ledger.jobs[i];

        if (lives(job)) {
            sim_fail(sim, VIOLATION_STUCK, "job %u in %s", i,
                     job_state_name(job->state));
        }
        if (spec->state == SPEC_ACKED &&
            sim->ledger.jobs[spec->job].final_seq == 0) {
            sim_fail(sim, VIOLATION_LOST_JOB, "job %u never ended", spec->job);
        }
        if (job->final_seq != 0 && sim->ledger.heard[i] != job->end_hash) {
            sim_fail(sim, VIOLATION_TWO_ENDS, "job %u: watchers heard another",
                     i);
        }
    }
    for (uint32_t i = 0; i < sim->plan.limits.jobs_max; i++) {
        if (sim->gateway.slots[i] != 0) {
            sim_fail(sim, VIOLATION_SLOT, "slot %u is never released", i);
        }
    }
}

/* ---- The engine's own figures ------------------------------------------ */

struct figures {
    uint64_t shown[16]; /* by enum job_state */
    uint64_t payload_bytes;
    uint32_t keys;
    uint32_t workers;
    bool held; /* some target's retries may be */
};

static void
count_jobs(const struct sim *sim, struct figures *figures)
{
    for (uint32_t i = 0; i < sim->agents.spec_count; i++) {
        const struct ledger_job *job = &sim->ledger.jobs[i];
        bool timed = job->state == JOB_SCHEDULED || job->state == JOB_BACKOFF;

        if (lives(job)) {
            /* What is due waits like one that is ready. */
            figures->shown[timed && job->due_at <= sim->mono_ms ? JOB_READY
                                                                : job->state]++;
        }
    }
    for (uint32_t i = 0; i < sim->plan.limits.jobs_max; i++) {
        uint32_t spec = sim->gateway.slots[i];

        if (spec != 0) {
            figures->payload_bytes += sim->agents.specs[spec - 1].payload_bytes;
        }
    }
}

static struct figures
count_figures(const struct sim *sim)
{
    struct figures figures = {0};

    count_jobs(sim, &figures);
    for (uint32_t i = 0; i < PLAN_TENANTS_MAX; i++) {
        for (uint32_t k = 1; k <= PLAN_KEYS; k++) {
            figures.keys += sim->ledger.keys[i][k].spec != 0;
        }
    }
    for (uint32_t i = 0; i < LEDGER_TARGETS_MAX; i++) {
        const struct ledger_target *target = &sim->ledger.targets[i];

        figures.held = figures.held || sim->mono_ms <= target->released_at;
    }
    for (uint32_t i = 0; i < sim->ledger.worker_count; i++) {
        figures.workers += sim->ledger.workers[i].connected;
    }
    return figures;
}

void
ledger_check_stats(struct sim *sim)
{
    struct figures figures = count_figures(sim);
    struct engine_stats stats;

    engine_stats(sim->gateway.engine, gateway_now(sim), &stats);
    ledger_check_targets(sim);
    for (uint32_t i = JOB_SCHEDULED; i <= JOB_PARKED; i++) {
        /* What is held may stand among those in backoff or those ready. */
        if (stats.jobs[i] != figures.shown[i] &&
            !(figures.held && (i == JOB_READY || i == JOB_BACKOFF))) {
            sim_fail(sim, VIOLATION_VIEW, "%" PRIu64 " jobs %s, not %" PRIu64,
                     stats.jobs[i], job_state_name((enum job_state)i),
                     figures.shown[i]);
        }
    }
    if (stats.payload_bytes != figures.payload_bytes ||
        stats.keys != figures.keys || stats.workers != figures.workers ||
        stats.next_seq != sim->ledger.next_seq) {
        sim_fail(sim, VIOLATION_VIEW,
                 "%" PRIu64 " payload bytes, %u keys, %u workers, not %" PRIu64
                 ", %u, %u",
                 stats.payload_bytes, stats.keys, stats.workers,
                 figures.payload_bytes, figures.keys, figures.workers);
    }
    for (uint32_t i = 1; i < 32; i++) {
        if (stats.rules[i] != sim->ledger.rules[i]) {
            sim_fail(sim, VIOLATION_VIEW, "rule %s %" PRIu64 " times",
                     rule_name((enum rule)i), stats.rules[i]);
        }
    }
}

/* ---- Views ------------------------------------------------------------- */

static bool
same_words(struct text a, const char *b)
{
    return a.len == strlen(b) && (a.len == 0 || memcmp(a.at, b, a.len) == 0);
}

/* What the job is, and what was last decided about it. */
static bool
tells_the_same(const struct sim *sim, uint32_t index,
               const struct job_view *view)
{
    const struct spec *spec = &sim->agents.specs[index];
    const struct ledger_job *job = &sim->ledger.jobs[index];
    const struct decision *decision = &job->decision;
    const struct ledger_attempt *newest =
        &job->running[job->running_count == 0 ? 0 : job->running_count - 1];

    return same_words(view->service, sim->plan.method[spec->method].service) &&
           same_words(view->method, sim->plan.method[spec->method].method) &&
           same_words(view->tenant, sim->plan.tenant[spec->tenant]) &&
           same_words(view->key, spec->key_text) &&
           same_words(view->correlation,
                      spec->has_correlation ? spec->correlation : "") &&
           view->priority == spec->priority &&
           view->idempotency == spec->idempotency &&
           view->payload_bytes == spec->payload_bytes &&
           view->decision.rule == decision->rule &&
           view->decision.delay_source == decision->delay_source &&
           view->decision.clamp == decision->clamp &&
           view->decision.delay_ms == decision->delay_ms &&
           view->decision.backoff_ms == decision->backoff_ms &&
           view->decision.jitter_permille == decision->jitter_permille &&
           view->decision.attempts_left == decision->attempts_left &&
           view->decision.until_wall_ms == decision->until_wall_ms &&
           view->decision.policy_version == decision->policy_version &&
           (job->running_count == 0 ||
            same_words(view->worker,
                       sim->ledger.workers[newest->worker].name)) &&
           (job->charged == 0 ||
            (view->last_code == job->last_code &&
             same_words(view->last_reason, job->last_reason)));
}

void
ledger_check_view(struct sim *sim, uint32_t spec)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];
    char scratch[ENGINE_VIEW_BYTES];
    struct job_view view;
    uint32_t slot = engine_find(sim->gateway.engine,
                                sim->agents.specs[spec].id);

    if (slot == ENGINE_NO_SLOT) {
        if (lives(job)) {
            sim_fail(sim, VIOLATION_VIEW, "job %u is not found", spec);
        }
        return;
    }
    if (!engine_view(sim->gateway.engine, slot, scratch, &view)) {
        sim_fail(sim, VIOLATION_VIEW, "job %u cannot be seen", spec);
    }
    if (sim_only_promises(sim)) {
        return;
    }
    if (!tells_the_same(sim, spec, &view)) {
        sim_fail(sim, VIOLATION_VIEW, "job %u looks like another: %s, %s", spec,
                 rule_name(view.decision.rule), rule_name(job->decision.rule));
    }
    if (slot != sim->gateway.slot_of[spec] || view.state != job->state ||
        view.seq != job->seq || view.job_seq != job->job_seq ||
        view.attempts_charged != job->charged ||
        view.attempts_free != job->free || view.attempt != job->attempt ||
        (job->running_count > 0 &&
         view.fence != job->running[job->running_count - 1].fence) ||
        view.accepted_wall_ms != job->accepted_wall_ms ||
        view.state_wall_ms != job->state_wall_ms) {
        sim_fail(sim, VIOLATION_VIEW,
                 "job %u: %s, seq %" PRIu64 ", charged %u, free %u, not %s, "
                 "seq %" PRIu64 ", charged %u, free %u",
                 spec, job_state_name(view.state), view.seq,
                 view.attempts_charged, view.attempts_free,
                 job_state_name(job->state), job->seq, job->charged, job->free);
    }
}
