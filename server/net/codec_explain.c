/* SPDX-License-Identifier: Apache-2.0 */
/* Explain and Budgets: questions to the engine, and its answers in words. */
#include "proto/limits.h"
#include "proto/name.h"
#include "server/net/codec.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- The question ------------------------------------------------------ */

static enum redial_status
refuse(struct wire_error *error, const char *field, const char *problem)
{
    return wire_error_set(error, REDIAL_INVALID_ARGUMENT, "%s %s", field,
                          problem);
}

static enum redial_status
take_failure(const Redial__V1__ExplainRequest *request,
             struct retry_failure *ret, struct wire_error *error)
{
    const Redial__V1__Outcome *from = request->failure;

    if (from == NULL || !from->has_code) {
        return refuse(error, "failure.code", "is missing");
    }
    if ((unsigned)from->code >= REDIAL_STATUS_COUNT) {
        return refuse(error, "failure.code", "is not a status code (0 to 16)");
    }
    ret->code = (enum redial_status)from->code;
    ret->code_is_known = true;
    ret->reason = text_of(from->reason);
    if (ret->reason.len > 0) {
        const char *problem = wire_name_check(WIRE_NAME_WORD, from->reason);

        if (problem != NULL) {
            return refuse(error, "failure.reason", problem);
        }
    }
    ret->has_pushback = from->has_pushback_ms;
    ret->pushback_ms = from->pushback_ms;
    ret->for_target = from->for_target;
    if (from->for_target && !from->has_pushback_ms) {
        return refuse(error, "failure.for_target",
                      "needs failure.pushback_ms beside it");
    }
    ret->overloaded = request->overloaded;
    ret->uncertain = request->uncertain;
    return REDIAL_OK;
}

/* What only a question without a job may say. */
static enum redial_status
take_counts(const Redial__V1__ExplainRequest *request,
            struct explain_input *ret, struct wire_error *error)
{
    const uint64_t year_ms = UINT64_C(366) * 24 * 3600 * 1000;
    const char *problem = wire_name_check(WIRE_NAME_SERVICE, request->service);

    if (problem != NULL) {
        return refuse(error, "service", problem);
    }
    problem = wire_name_check(WIRE_NAME_METHOD, request->method);
    if (problem != NULL) {
        return refuse(error, "method", problem);
    }
    if (request->has_attempts && request->attempts == 0) {
        return refuse(error, "attempts", "counts this one: at least 1");
    }
    if (request->idempotent < 0 ||
        request->idempotent > REDIAL__V1__IDEMPOTENCY__NOT_IDEMPOTENT) {
        return refuse(error, "idempotent", "is not one of its three values");
    }
    if (request->deadline_ms > year_ms) {
        return refuse(error, "deadline_ms",
                      "is more than a year (31622400000)");
    }
    ret->service = text_of(request->service);
    ret->method = text_of(request->method);
    ret->attempts = request->has_attempts ? request->attempts : 1;
    ret->idempotency = (enum idempotency)request->idempotent;
    ret->deadline_ms = request->deadline_ms;
    return REDIAL_OK;
}

/* With a job, what the job says itself must not be said again. */
static enum redial_status
take_job(const Redial__V1__ExplainRequest *request, struct job_id *ret_job,
         struct wire_error *error)
{
    const char *both = request->service != NULL   ? "service"
                       : request->method != NULL  ? "method"
                       : request->has_attempts    ? "attempts"
                       : request->has_idempotent  ? "idempotent"
                       : request->has_deadline_ms ? "deadline_ms"
                                                  : NULL;

    if (!codec_id(request->job_id, ret_job)) {
        return refuse(error, "job_id", "is not a UUID");
    }
    return both == NULL
               ? REDIAL_OK
               : refuse(error, both, "stands beside job_id: the job says it");
}

enum redial_status
codec_explain_input(const Redial__V1__ExplainRequest *request,
                    struct explain_input *ret, struct job_id *ret_job,
                    bool *ret_has_job, struct wire_error *ret_error)
{
    struct explain_input input = {.slot = ENGINE_NO_SLOT};
    bool has_job = request->job_id != NULL && request->job_id[0] != '\0';
    enum redial_status status = has_job
                                    ? take_job(request, ret_job, ret_error)
                                    : take_counts(request, &input, ret_error);

    if (status == REDIAL_OK) {
        status = take_failure(request, &input.failure, ret_error);
    }
    if (status == REDIAL_OK) {
        *ret = input;
        *ret_has_job = has_job;
    }
    return status;
}

/* ---- Figures ----------------------------------------------------------- */

enum { FIGURE_BYTES = 48 };

/* Thousandths as a number without needless zeros: 7500 is "7.5". */
static const char *
milli(int64_t value, char buf[FIGURE_BYTES])
{
    int len = snprintf(buf, FIGURE_BYTES, "%s%" PRId64 ".%03d",
                       value < 0 ? "-" : "",
                       (value < 0 ? -value : value) / 1000,
                       (int)((value < 0 ? -value : value) % 1000));

    while (len > 0 && buf[len - 1] == '0') {
        buf[--len] = '\0';
    }
    if (len > 0 && buf[len - 1] == '.') {
        buf[--len] = '\0';
    }
    return buf;
}

/* "1000 ms", or "800 to 1200 ms". */
static const char *
range(uint64_t from, uint64_t to, char buf[FIGURE_BYTES])
{
    if (from == to) {
        (void)snprintf(buf, FIGURE_BYTES, "%" PRIu64 " ms", from);
    } else {
        (void)snprintf(buf, FIGURE_BYTES, "%" PRIu64 " to %" PRIu64 " ms", from,
                       to);
    }
    return buf;
}

static const char *
plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

/* ---- The steps in words ------------------------------------------------ */

typedef void
say_fn(const struct explain *explain, char *to, size_t size);

#define SAY(...) (void)snprintf(to, size, __VA_ARGS__)

static void
say_job(const struct explain *explain, char *to, size_t size)
{
    const struct explain_case *of = &explain->of;

    if (of->state == JOB_NONE) {
        SAY("no job was given: as if attempt %" PRIu32 " failed now",
            of->counts.charged);
    } else {
        SAY("the job is %s: as if its charged attempt %" PRIu32 " failed now",
            job_state_name(of->state), of->counts.charged);
    }
}

static void
say_outcome(const struct explain *explain, char *to, size_t size)
{
    const struct retry_failure *failure = &explain->of.failure;

    if (failure->code == REDIAL_OK) {
        SAY("OK: the job succeeds");
    } else {
        SAY("%s%s%.*s is a failure", redial_status_name(failure->code),
            failure->reason.len > 0 ? "/" : "", (int)failure->reason.len,
            failure->reason.at == NULL ? "" : failure->reason.at);
    }
}

static void
say_poison(const struct explain *explain, char *to, size_t size)
{
    SAY("the job has killed %" PRIu32 " worker%s; at %d it must not run again",
        explain->of.counts.kills, plural(explain->of.counts.kills), KILLS_MAX);
}

static void
say_safety(const struct explain *explain, char *to, size_t size)
{
    static const char *const words[] = {"not said to be idempotent",
                                        "idempotent", "not idempotent"};
    const struct explain_case *of = &explain->of;

    if (!of->failure.uncertain) {
        SAY("the outcome is known, so nothing can have happened twice");
    } else {
        SAY("it may have happened, and the job is %s%s",
            words[of->counts.idempotency],
            of->counts.idempotency == IDEMPOTENCY_NO &&
                    of->policy->retry_indeterminate
                ? "; the policy retries all the same"
                : "");
    }
}

static void
say_overload(const struct explain *explain, char *to, size_t size)
{
    SAY("the worker %s that a retry would do harm",
        explain->of.failure.overloaded ? "says" : "does not say");
}

static bool
lists_reason(const struct text *reasons, uint32_t count, struct text reason)
{
    for (uint32_t i = 0; i < count; i++) {
        if (reasons[i].len == reason.len && reason.len > 0 &&
            memcmp(reasons[i].at, reason.at, reason.len) == 0) {
            return true;
        }
    }
    return false;
}

static void
say_failure(const struct explain *explain, char *to, size_t size)
{
    const struct retry_policy *policy = &explain->of.policy->retry;
    const struct retry_failure *failure = &explain->of.failure;
    bool hedged = explain->of.policy->hedged;

    if (explain->soonest.rule == RULE_NON_RETRYABLE_REASON) {
        SAY("nonRetryableReasons has %.*s", (int)failure->reason.len,
            failure->reason.at);
    } else if (explain->soonest.rule == RULE_NON_RETRYABLE_CODE) {
        SAY("%s has no %s, and no list has the reason",
            hedged ? "nonFatalStatusCodes" : "retryableStatusCodes",
            redial_status_name(failure->code));
    } else if (lists_reason(policy->retryable_reasons,
                            policy->retryable_reason_count, failure->reason)) {
        SAY("retryableReasons has %.*s", (int)failure->reason.len,
            failure->reason.at);
    } else {
        SAY("%s has %s",
            hedged ? "nonFatalStatusCodes" : "retryableStatusCodes",
            redial_status_name(failure->code));
    }
}

static void
say_charge(const struct explain *explain, char *to, size_t size)
{
    const struct retry_guard *guard = &explain->of.guard;
    char before[FIGURE_BYTES];
    char after[FIGURE_BYTES];

    if (guard->tokens_milli < 0) {
        SAY("the target has no throttle");
    } else if (explain->soonest.tokens_max_milli == 0) {
        SAY("only a retryable failure and a stop cost a token");
    } else {
        SAY("one token: %s before, %s after",
            milli(guard->tokens_milli, before),
            milli(explain->soonest.tokens_milli, after));
    }
}

static void
say_switch(const struct explain *explain, char *to, size_t size)
{
    SAY("the operator has %s", explain->of.guard.retries_off
                                   ? "switched all retries off"
                                   : "not switched retries off");
}

static void
say_throttle(const struct explain *explain, char *to, size_t size)
{
    const struct retry_guard *guard = &explain->of.guard;
    char tokens[FIGURE_BYTES];
    char max[FIGURE_BYTES];
    char half[FIGURE_BYTES];

    if (guard->tokens_milli < 0) {
        SAY("the target has no throttle");
        return;
    }
    SAY("%s of %s tokens after this failure, must stay above %s",
        milli(explain->soonest.tokens_milli, tokens),
        milli(guard->tokens_max_milli, max),
        milli(guard->tokens_max_milli / 2, half));
}

static void
say_budget(const struct explain *explain, char *to, size_t size)
{
    char left[FIGURE_BYTES];

    if (explain->of.guard.budget_milli < 0) {
        SAY("the target has no budget");
        return;
    }
    SAY("%s retries left in the budget of the target, one is needed",
        milli(explain->of.guard.budget_milli, left));
}

static void
say_attempts(const struct explain *explain, char *to, size_t size)
{
    const struct explain_case *of = &explain->of;
    const struct retry_counts *counts = &of->counts;
    char running[FIGURE_BYTES] = "";
    char limit[FIGURE_BYTES] = "";

    if (counts->running > 0) {
        (void)snprintf(running, sizeof(running), " and %" PRIu32 " running",
                       counts->running);
    }
    if (explain->attempts_max < of->policy->retry.max_attempts) {
        (void)snprintf(limit, sizeof(limit), " (the policy allows %" PRIu32 ")",
                       of->policy->retry.max_attempts);
    } else if (of->policy->retry.attempts_clamped) {
        (void)snprintf(limit, sizeof(limit), " (maxAttemptsLimit)");
    }
    SAY("%" PRIu32 " charged%s of %" PRIu32 "%s", counts->charged, running,
        explain->attempts_max, limit);
}

static void
say_frozen(const struct explain *explain, char *to, size_t size)
{
    const struct retry_counts *counts = &explain->of.counts;

    if (counts->frozen != RULE_NONE) {
        SAY("%s: nothing follows any more", rule_name(counts->frozen));
    } else {
        SAY("nothing was refused before");
    }
}

static void
say_pushback(const struct explain *explain, char *to, size_t size)
{
    const struct retry_failure *failure = &explain->of.failure;

    if (!failure->has_pushback) {
        SAY("the worker asks for none");
    } else if (failure->pushback_ms < 0) {
        SAY("the worker says not to come back");
    } else {
        SAY("the worker says %" PRId64 " ms%s; at most %" PRIu64
            " ms are taken",
            failure->pushback_ms,
            failure->for_target ? ", for all retries of the target" : "",
            explain->of.policy->retry.max_pushback_ms);
    }
}

static void
say_backoff(const struct explain *explain, char *to, size_t size)
{
    static const char *const jitters[] = {"x U(0.8, 1.2)", "full jitter",
                                          "equal jitter", "decorrelated jitter",
                                          "no jitter"};
    const struct explain_case *of = &explain->of;
    const struct decision *decision = &explain->soonest;

    if (of->failure.has_pushback) {
        SAY("the pushback takes its place");
    } else if (of->policy->hedged) {
        SAY("hedged: %s", of->counts.may_hedge
                              ? "none, the next attempt starts now"
                              : "the job may not be, so hedgingDelay stands "
                                "between attempts");
    } else {
        SAY("%" PRIu64 " ms before jitter (backoff %" PRIu32 "), %s%s",
            decision->backoff_ms, of->counts.backoff_n + 1,
            jitters[of->policy->retry.jitter],
            decision->clamp == CLAMP_MAX_BACKOFF ? "; maxBackoff" : "");
    }
}

static void
say_hold(const struct explain *explain, char *to, size_t size)
{
    const struct retry_guard *guard = &explain->of.guard;
    int64_t now_ms = explain->of.time.now.mono.ms;

    if (guard->hold_until_ms <= now_ms) {
        SAY("nothing holds the retries of the target");
    } else {
        SAY("a pushback holds all retries of the target for %" PRId64
            " ms; they come back over up to %" PRId64 " ms",
            guard->hold_until_ms - now_ms, guard->hold_spread_ms);
    }
}

static void
say_breaker(const struct explain *explain, char *to, size_t size)
{
    if (explain->of.guard.breaker_open) {
        SAY("the target's breaker is open: the job is parked");
    } else {
        SAY("no breaker is open");
    }
}

static void
say_deadline(const struct explain *explain, char *to, size_t size)
{
    const struct retry_time *time = &explain->of.time;
    char delay[FIGURE_BYTES];

    if (time->deadline.ms == MONO_NEVER.ms) {
        SAY("the job has none");
        return;
    }
    SAY("%" PRId64 " ms are left, and the next try would start after %s",
        time->deadline.ms - time->now.mono.ms,
        range(explain->soonest.delay_ms, explain->latest.delay_ms, delay));
}

static void
say_retry(const struct explain *explain, char *to, size_t size)
{
    char delay[FIGURE_BYTES];

    SAY("after %s, by %s",
        range(explain->soonest.delay_ms, explain->latest.delay_ms, delay),
        delay_source_name(explain->soonest.delay_source));
}

static say_fn *const sayings[EXPLAIN_STEPS] = {
    [EXPLAIN_JOB] = say_job,           [EXPLAIN_OUTCOME] = say_outcome,
    [EXPLAIN_POISON] = say_poison,     [EXPLAIN_SAFETY] = say_safety,
    [EXPLAIN_OVERLOAD] = say_overload, [EXPLAIN_FAILURE] = say_failure,
    [EXPLAIN_CHARGE] = say_charge,     [EXPLAIN_SWITCH] = say_switch,
    [EXPLAIN_THROTTLE] = say_throttle, [EXPLAIN_BUDGET] = say_budget,
    [EXPLAIN_ATTEMPTS] = say_attempts, [EXPLAIN_FROZEN] = say_frozen,
    [EXPLAIN_PUSHBACK] = say_pushback, [EXPLAIN_BACKOFF] = say_backoff,
    [EXPLAIN_HOLD] = say_hold,         [EXPLAIN_BREAKER] = say_breaker,
    [EXPLAIN_DEADLINE] = say_deadline, [EXPLAIN_RETRY] = say_retry,
};

/* ---- The answer -------------------------------------------------------- */

static bool
goes_on(const struct explain *explain)
{
    return explain->soonest.rule == RULE_RETRY_PLANNED ||
           explain->soonest.rule == RULE_BREAKER_OPEN;
}

/* What becomes of the other attempts of a hedged job. */
static void
say_others(const struct explain *explain, char *to, size_t size)
{
    uint32_t running = explain->of.counts.running;

    if (running == 0) {
        to[0] = '\0';
    } else if (explain->settles) {
        SAY("; %" PRIu32 " running attempt%s cancelled", running,
            running == 1 ? " is" : "s are");
    } else {
        SAY("; %" PRIu32 " running one%s on and may still succeed", running,
            running == 1 ? " goes" : "s go");
    }
}

static void
say_all(const struct explain *explain, char *to, size_t size)
{
    const struct decision *soonest = &explain->soonest;
    uint32_t running = explain->of.counts.running;
    char delay[FIGURE_BYTES];
    char others[96];

    (void)range(soonest->delay_ms, explain->latest.delay_ms, delay);
    say_others(explain, others, sizeof(others));
    if (soonest->rule == RULE_SUCCEEDED) {
        SAY("the job succeeds%s", others);
    } else if (!goes_on(explain)) {
        SAY("no retry (%s): %s%s", rule_name(soonest->rule),
            rule_sentence(soonest->rule), others);
    } else if (running > 0 && explain->latest.delay_ms == 0) {
        SAY("starts another attempt now beside %" PRIu32 " running one%s",
            running, plural(running));
    } else if (running > 0) {
        SAY("starts another attempt in %s beside %" PRIu32 " running one%s",
            delay, running, plural(running));
    } else {
        SAY("retries in %s%s", delay,
            explain->latest.rule == soonest->rule
                ? ""
                : ", unless chance draws one past the deadline");
    }
}

/* `over`: an earlier step was the end, so there are no figures. */
static void
fill_step(const struct explain *explain, enum explain_step step, bool over,
          struct codec_explain *to)
{
    Redial__V1__ExplainStep *message = &to->steps[step];

    if (over && explain->verdicts[step] == EXPLAIN_NOT_ASKED) {
        (void)snprintf(to->texts[step], sizeof(to->texts[step]),
                       "an earlier step has ended it");
    } else {
        sayings[step](explain, to->texts[step], sizeof(to->texts[step]));
    }
    redial__v1__explain_step__init(message);
    message->has_number = true;
    message->number = explain_step_number(step);
    message->name = unconst(explain_step_name(step));
    message->verdict = unconst(explain_verdict_name(explain->verdicts[step]));
    message->text = to->texts[step];
    to->list[step] = message;
}

void
codec_explain(const struct explain *explain, struct codec_explain *ret)
{
    Redial__V1__ExplainResponse *response = &ret->response;
    bool over = false;

    redial__v1__explain_response__init(response);
    codec_decision(&explain->soonest, &ret->decision);
    if (goes_on(explain) &&
        explain->soonest.delay_ms != explain->latest.delay_ms) {
        /* No draw was made: the bounds say it. */
        ret->decision.has_delay_ms = false;
        ret->decision.has_jitter_permille = false;
        ret->decision.has_until_wall_ms = false;
    }
    response->decision = &ret->decision;
    response->has_delay_ms_min = goes_on(explain);
    response->delay_ms_min = explain->soonest.delay_ms;
    response->has_delay_ms_max = goes_on(explain);
    response->delay_ms_max = explain->latest.delay_ms;
    say_all(explain, ret->sentence, sizeof(ret->sentence));
    response->sentence = ret->sentence;
    for (enum explain_step step = 0; step < EXPLAIN_STEPS; step++) {
        fill_step(explain, step, over, ret);
        over = over || explain->verdicts[step] == EXPLAIN_ENDS;
    }
    response->steps = ret->list;
    response->n_steps = EXPLAIN_STEPS;
}

void
codec_put_budget(struct bytes *out, uint32_t field,
                 const struct engine_target_stats *stats,
                 struct scratch *scratch)
{
    Redial__V1__Budget budget = REDIAL__V1__BUDGET__INIT;

    scratch_clear(scratch);
    budget.target = scratch_text(scratch, stats->name);
    if (stats->has_throttle) {
        budget.has_tokens_milli = true;
        budget.tokens_milli = stats->tokens_milli;
        budget.has_tokens_max_milli = true;
        budget.tokens_max_milli = stats->tokens_max_milli;
        budget.has_throttle_exhausted = true;
        budget.throttle_exhausted = stats->throttle_exhausted;
    }
    if (stats->has_budget) {
        budget.has_budget_milli = true;
        budget.budget_milli = stats->budget_milli;
        budget.has_budget_exhausted = true;
        budget.budget_exhausted = stats->budget_exhausted;
    }
    budget.has_retries_waiting = true;
    budget.retries_waiting = stats->retries_waiting;
    budget.has_retries_allowed = true;
    budget.retries_allowed = stats->retries_allowed;
    budget.has_retries_refused = true;
    budget.retries_refused = stats->retries_refused;
    budget.has_hold_ms = stats->hold_ms > 0;
    budget.hold_ms = stats->hold_ms;
    codec_put(out, field, &budget.base);
}
