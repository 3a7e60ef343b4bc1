/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What would be decided if an attempt failed like this now, and by which step:
 * for whoever asks before it happens, or why it happened.
 *
 * The answer comes from retry_decide() itself, asked on copies and with draws
 * at both ends of what chance may do; nothing is changed, and there is no
 * second opinion that could differ. What is added here is only which step a
 * rule stands for, hence which ones passed and which were never asked.
 *
 * Without a job the counts are what the caller says: `attempts` charged ones,
 * each of which has led to a backoff. Decorrelated jitter then knows no delay
 * before this one.
 */
#ifndef REDIAL_SERVER_CORE_EXPLAIN_H
#define REDIAL_SERVER_CORE_EXPLAIN_H

#include "server/core/engine.h"
#include "server/core/retry.h"

enum explain_step {
#define STEP(name, number, text) EXPLAIN_##name,
#include "server/core/explain.def"
#undef STEP
    EXPLAIN_STEPS,
};

enum explain_verdict {
    EXPLAIN_PASSES,
    EXPLAIN_ENDS,
    EXPLAIN_MAY_END, /* by what chance draws */
    EXPLAIN_NOT_ASKED,
};

/* The number that the design gives the step, and its name. */
uint32_t
explain_step_number(enum explain_step step);

const char *
explain_step_name(enum explain_step step);

/* "passes", "ends here", "may end here", "not asked" */
const char *
explain_verdict_name(enum explain_verdict verdict);

/* All that the decision looks at. */
struct explain_case {
    const struct method_policy *policy;
    struct text target;
    struct retry_failure failure; /* code OK: a success */
    struct retry_counts counts;   /* this failure included */
    struct retry_guard guard;     /* its own pushback for the target included */
    struct retry_time time;
    uint32_t policy_version;
    enum job_state state; /* JOB_NONE: without a job */
};

struct explain {
    struct explain_case of;
    struct decision soonest; /* with the lowest draws */
    struct decision latest;  /* with the highest; its rule may be another */
    uint32_t attempts_max;
    bool settles; /* it is the end for other running attempts too */
    enum explain_verdict verdicts[EXPLAIN_STEPS];
};

/* Pure. */
void
explain_decide(const struct explain_case *of, struct explain *ret_explain);

struct explain_input {
    uint32_t slot; /* of a live job; ENGINE_NO_SLOT: the fields below */
    struct text service;
    struct text method;
    uint32_t attempts; /* charged, this one included; at least 1 */
    enum idempotency idempotency;
    uint64_t deadline_ms; /* what is left; 0: none */
    struct retry_failure failure;
};

/*
 * The same for this engine, as of `now`. Texts of the answer are those of the
 * policy in force, and of the input. False: the slot holds no live job.
 */
bool
engine_explain(const struct engine *engine, struct now now,
               const struct explain_input *input, struct explain *ret_explain);

#endif
