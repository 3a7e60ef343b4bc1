/* SPDX-License-Identifier: Apache-2.0 */
/* Ends of jobs: each for a reason that applies, each only once. */
#include "tests/sim/ledger.h"
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/*
 * A worker says Hello again, perhaps with other methods: those that it had are
 * gone within the step, and the new ones are known only after it.
 */
static bool
is_being_replaced(struct sim *sim)
{
    const struct engine_input *input = sim->ledger.input;
    char name[2 * SIM_WORD_BYTES];

    if (input == NULL || input->type != ENGINE_HELLO) {
        return false;
    }
    (void)snprintf(name, sizeof(name), "%.*s/%.*s", (int)input->hello.name.len,
                   input->hello.name.at, (int)input->hello.instance.len,
                   input->hello.instance.at);
    const struct ledger_worker *worker = ledger_worker_named(sim,
                                                             plan_text(name));

    return worker != NULL && worker->connected;
}

/* An end that no attempt's outcome brought about. */
static void
check_plain_end(struct sim *sim, uint32_t spec, const struct record *record)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];
    enum rule rule = record->decision.rule;
    int64_t now = sim->mono_ms;
    bool tried = job->charged > 0 || job->state == JOB_RUNNING;
    bool good = false;

    if (rule == RULE_DEADLINE_EXCEEDED) {
        good = now >= job->deadline_at &&
               tried == (record->type == EVENT_JOB_FAILED);
    } else if (rule == RULE_QUEUE_TTL_EXCEEDED) {
        good = now >= job->queue_end_at && !tried &&
               record->type == EVENT_JOB_EXPIRED;
    } else if (rule == RULE_CANCELLED) {
        good = sim->ledger.input->type == ENGINE_CANCEL &&
               memcmp(&sim->ledger.input->cancel.id, &record->job,
                      sizeof(record->job)) == 0 &&
               record->type == EVENT_JOB_CANCELLED;
    } else if (rule == RULE_NO_WORKER) {
        good = !ledger_policy_of(sim, spec, sim->gateway.policy_version)
                    ->wait_for_ready &&
               (!ledger_is_served(sim, sim->agents.specs[spec].method) ||
                is_being_replaced(sim)) &&
               job->state != JOB_RUNNING && record->type == EVENT_JOB_FAILED;
    }
    if (!good) {
        sim_fail(sim, VIOLATION_WRONG_RULE, "job %u in %s ended by %s, %s",
                 spec, job_state_name(job->state),
                 event_type_name(record->type), rule_name(rule));
    }
}

/* Out of time after a failure: it says what failed last. */
static void
check_last_failure(struct sim *sim, uint32_t spec, const struct record *record)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];
    enum redial_status code = REDIAL_DEADLINE_EXCEEDED;

    if (record->decision.rule != RULE_DEADLINE_EXCEEDED) {
        return;
    }
    if (record->type == EVENT_JOB_FAILED && job->charged > 0) {
        code = job->last_code;
    }
    if (record->code != code) {
        sim_fail(sim, VIOLATION_RECORD, "job %u failed with code %d, not %d",
                 spec, (int)record->code, (int)code);
    }
}

/* Every decision not to try again says so before the job ends. */
static void
check_refused(struct sim *sim, uint32_t spec, const struct record *record)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];
    enum rule rule = record->type == EVENT_JOB_SUCCEEDED
                         ? RULE_NONE
                         : record->decision.rule;

    if (job->refused_by != rule) {
        sim_fail(sim, VIOLATION_RECORD, "job %u: refused by %s, ended by %s",
                 spec, rule_name(job->refused_by), rule_name(rule));
    }
}

void
ledger_ended(struct sim *sim, uint32_t spec, const struct record *record)
{
    struct ledger_job *job = &sim->ledger.jobs[spec];

    if (!sim->ledger.replaying) {
        ledger_check_give_back(sim, spec, record);
        if (job->over) {
            ledger_settled(sim, spec, record);
            check_refused(sim, spec, record);
        } else {
            check_plain_end(sim, spec, record);
            check_last_failure(sim, spec, record);
        }
        sim->coverage->exits[record->decision.rule]++;
    }
    for (uint32_t i = 0; i < job->running_count && !sim->ledger.replaying;
         i++) {
        ledger_ghost(sim, spec, &job->running[i]);
    }
    job->running_count = 0;
    job->over = false;
    job->final_seq = record->seq;
    job->final_type = record->type;
    job->end_hash = ledger_end_hash(record);
}
