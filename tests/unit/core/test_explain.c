/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Explain against what then really happens: random policies, jobs and failures,
 * each explained just before it is reported.
 */
#include "server/core/explain.h"
#include "server/core/text.h"
#include "tests/unit/core/rig.h"

#include <string.h>

enum { JOBS = 1500, DRAWS = 40 };

static struct rng rng;
static struct text refused[1];
static struct text allowed[1];
static unsigned seen_rules[64]; /* by what really happened */
static unsigned by_chance;      /* answers that left the end open */

static uint64_t
below(uint64_t bound)
{
    return rng_below(&rng, bound);
}

static bool
one_in(uint64_t n)
{
    return below(n) == 0;
}

/* ---- Random worlds ----------------------------------------------------- */

static void
make_retry(struct method_policy *policy)
{
    struct retry_policy *retry = &policy->retry;

    retry->max_attempts = 1 + (uint32_t)below(5);
    retry->attempts_clamped = one_in(4);
    retry->initial_backoff_ms = 1 + below(2000);
    retry->max_backoff_ms = 1 + below(4000);
    retry->backoff_multiplier = 0.5 + (double)below(30) / 10;
    retry->jitter = (enum jitter)below(5);
    retry->retryable_codes = 1u << REDIAL_UNAVAILABLE | 1u << REDIAL_ABORTED;
    retry->retryable_codes |= one_in(2) ? 1u << REDIAL_DEADLINE_EXCEEDED : 0;
    retry->max_pushback_ms = below(3000);
    retry->non_retryable_reasons = refused;
    retry->non_retryable_reason_count = 1;
    retry->retryable_reasons = allowed;
    retry->retryable_reason_count = 1;
    policy->hedged = one_in(4);
    policy->hedging_delay_ms = below(3) * 300;
    policy->idempotency = (enum idempotency)below(3);
    policy->retry_indeterminate = one_in(2);
}

static void
make_policy(void)
{
    make_retry(rig_fallback());
    rig.policy.target_fallback = (struct target_policy){
        .has_throttle = one_in(2),
        .tokens_max_milli = 4000 + (uint32_t)below(9) * 1000,
        .tokens_ok_milli = 700,
        .has_budget = one_in(2),
        .budget_ratio_milli = (uint32_t)below(1500),
        .budget_floor = (uint32_t)below(2),
        .budget_window_ms = 1000 + (uint32_t)below(4000),
    };
    rig.policy.retries_off = one_in(12);
    rig_use_policy();
}

static struct retry_failure
make_failure(void)
{
    static const enum redial_status codes[] = {
        REDIAL_UNAVAILABLE, REDIAL_UNAVAILABLE, REDIAL_UNAVAILABLE,
        REDIAL_ABORTED,     REDIAL_INTERNAL,    REDIAL_DEADLINE_EXCEEDED};
    static const char *const reasons[] = {"DOWN", "DOWN", "DOWN", "BROKEN",
                                          "TRY_LATER"};
    struct retry_failure failure = {
        .code = codes[below(6)],
        .code_is_known = true,
        .reason = text_of(reasons[below(5)]),
        .overloaded = one_in(15),
        .has_pushback = one_in(5),
    };

    if (failure.has_pushback) {
        failure.pushback_ms = one_in(5) ? -1 : (int64_t)below(4000);
        failure.for_target = one_in(3);
    }
    if (failure.code == REDIAL_DEADLINE_EXCEEDED) {
        failure.reason = text_of("ATTEMPT_TIMEOUT");
        failure.uncertain = true;
    }
    return failure;
}

/* ---- What is compared -------------------------------------------------- */

/* The decision after the attempt of this token, in the last step. */
static const struct decision *
decided(const struct engine_token *token)
{
    for (size_t i = 0; i < rig.out.record_count; i++) {
        const struct record *record = &rig.out.records[i];

        if (record->attempt == token->attempt &&
            (record->type == EVENT_RETRY_PLANNED ||
             record->type == EVENT_RETRY_REFUSED)) {
            return &record->decision;
        }
    }
    fail_msg("no decision");
    return NULL;
}

static void
check_decision(const struct explain *said, const struct decision *real)
{
    const struct decision *soonest = &said->soonest;
    const struct decision *latest = &said->latest;

    seen_rules[real->rule]++;
    by_chance += soonest->rule != latest->rule;
    if (real->rule != soonest->rule && real->rule != latest->rule) {
        fail_msg("%s was said, %s it was", rule_name(soonest->rule),
                 rule_name(real->rule));
    }
    assert_int_equal(real->attempts_charged, soonest->attempts_charged);
    assert_int_equal(real->attempts_free, soonest->attempts_free);
    assert_int_equal(real->attempts_left, soonest->attempts_left);
    assert_int_equal(real->tokens_milli, soonest->tokens_milli);
    assert_int_equal(real->tokens_max_milli, soonest->tokens_max_milli);
    assert_int_equal(real->policy_version, soonest->policy_version);
    assert_true(real->delay_ms >= soonest->delay_ms);
    assert_true(real->delay_ms <= latest->delay_ms);
    if (real->rule == soonest->rule) {
        assert_int_equal(real->budget_milli, soonest->budget_milli);
    }
    if (soonest->delay_ms == latest->delay_ms) {
        assert_int_equal(real->delay_source, soonest->delay_source);
        assert_int_equal(real->until_wall_ms, soonest->until_wall_ms);
        assert_int_equal(real->clamp, soonest->clamp);
    }
}

static enum explain_step
end_of(const struct explain *said)
{
    enum explain_step end = EXPLAIN_STEPS;

    for (enum explain_step i = 0; i < EXPLAIN_STEPS; i++) {
        if (said->verdicts[i] == EXPLAIN_ENDS) {
            assert_int_equal(end, EXPLAIN_STEPS); /* one end at most */
            end = i;
        } else if (end != EXPLAIN_STEPS && i != EXPLAIN_CHARGE) {
            assert_int_equal(said->verdicts[i], EXPLAIN_NOT_ASKED);
        }
    }
    return end;
}

static void
check_verdicts(const struct explain *said)
{
    enum explain_step end = end_of(said);

    if (said->soonest.rule == RULE_RETRY_PLANNED) {
        assert_int_equal(end, EXPLAIN_STEPS);
        assert_int_equal(said->verdicts[EXPLAIN_RETRY], EXPLAIN_PASSES);
        assert_int_equal(said->verdicts[EXPLAIN_DEADLINE] == EXPLAIN_MAY_END,
                         said->latest.rule != said->soonest.rule);
    } else {
        assert_true(end < EXPLAIN_STEPS);
        assert_int_equal(said->verdicts[EXPLAIN_RETRY], EXPLAIN_NOT_ASKED);
    }
    assert_int_equal(said->verdicts[EXPLAIN_CHARGE] == EXPLAIN_PASSES,
                     said->soonest.tokens_max_milli > 0);
}

/* ---- In the engine ----------------------------------------------------- */

static struct explain
explain_job(uint32_t n, const struct retry_failure *failure)
{
    uint64_t before = engine_state_hash(rig.engine);
    struct explain_input input = {
        .slot = engine_find(rig.engine, rig_id(n)),
        .failure = *failure,
    };
    struct explain said;

    assert_true(engine_explain(rig.engine, rig.now, &input, &said));
    assert_int_equal(engine_state_hash(rig.engine), before);
    return said;
}

static void
run_job(uint64_t worker, uint32_t n)
{
    rig.submit.deadline_ms = one_in(3) ? 1 + below(4000) : 0;
    rig.submit.max_attempts = one_in(4) ? 1 + (uint32_t)below(4) : 0;
    rig.submit.idempotency = (enum idempotency)below(3);
    rig_seen();
    rig_submit(n);
    for (int i = 0; i < 12 && rig_is_live(n) && rig.assigned_count > 0; i++) {
        struct engine_token token = rig_token_of(n);
        struct retry_failure failure = make_failure();

        rig_poll(worker, 4);
        if (!rig_is_live(n)) {
            return; /* its time was over */
        }
        if (one_in(6)) {
            rig_succeed(worker, token);
            return;
        }
        rig.report.has_pushback = failure.has_pushback;
        rig.report.pushback_ms = failure.pushback_ms;
        rig.report.for_target = failure.for_target;
        rig.report.overloaded = failure.overloaded;
        struct explain said = explain_job(n, &failure);

        rig_seen();
        rig_fail(worker, token, failure.code, failure.reason.at);
        check_decision(&said, decided(&token));
        check_verdicts(&said);
        if (rig.assigned_count == 0) {
            rig_advance((int64_t)said.latest.delay_ms + 1);
        }
    }
    if (rig_is_live(n)) {
        rig_cancel(n);
    }
    rig_poll(worker, 4);
}

static void
explain_says_what_then_happens(void **state)
{
    static const enum rule rules[] = {RULE_RETRY_PLANNED,
                                      RULE_OVERLOADED_MARK,
                                      RULE_NON_RETRYABLE_CODE,
                                      RULE_NON_RETRYABLE_REASON,
                                      RULE_THROTTLED,
                                      RULE_BUDGET_EXHAUSTED,
                                      RULE_ATTEMPTS_EXHAUSTED,
                                      RULE_PUSHBACK_STOP,
                                      RULE_INDETERMINATE,
                                      RULE_RETRIES_OFF,
                                      RULE_DEADLINE_WOULD_EXPIRE};

    (void)state;
    rng_init(&rng, 20261124);
    refused[0] = text_of("BROKEN");
    allowed[0] = text_of("TRY_LATER");
    uint64_t worker = rig_hello("w", "1", 4);

    for (uint32_t n = 1; n <= JOBS; n++) {
        if (n % 25 == 1) {
            rig_advance(6000);
            rig_heartbeat(worker);
            make_policy();
            rig_poll(worker, 4);
        }
        run_job(worker, n);
    }
    /* The test has met every end, and chance. */
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (seen_rules[rules[i]] < 3) {
            fail_msg("%s: %u times", rule_name(rules[i]), seen_rules[rules[i]]);
        }
    }
    assert_true(by_chance > 3);
}

/* ---- Without a job ----------------------------------------------------- */

static void
draws_lie_within_the_bounds_and_reach_them(void **state)
{
    (void)state;
    struct method_policy policy = *rig_fallback();
    struct explain_case of = {
        .policy = &policy,
        .counts = {.charged = 1, .backoff_n = 0},
        .failure = {.code = REDIAL_UNAVAILABLE, .code_is_known = true},
        .guard = RETRY_UNGUARDED,
        .time = {.now = {.mono = {5000}, .wall = {1700000000000}},
                 .deadline = MONO_NEVER},
    };
    struct explain said;

    rng_init(&rng, 7);
    policy.retry.max_attempts = 5;
    policy.retry.initial_backoff_ms = 3;
    for (int jitter = 0; jitter < 5; jitter++) {
        uint64_t least = UINT64_MAX;
        uint64_t most = 0;

        policy.retry.jitter = (enum jitter)jitter;
        explain_decide(&of, &said);
        for (int i = 0; i < DRAWS; i++) {
            struct decision drawn = retry_decide(
                &policy, &of.failure, &of.counts, &of.guard, &of.time, &rng);

            least = drawn.delay_ms < least ? drawn.delay_ms : least;
            most = drawn.delay_ms > most ? drawn.delay_ms : most;
        }
        assert_int_equal(least, said.soonest.delay_ms);
        assert_int_equal(most, said.latest.delay_ms);
    }
}

static void
a_target_that_was_never_used_is_full(void **state)
{
    (void)state;
    struct explain_input input = {
        .slot = ENGINE_NO_SLOT,
        .service = text_of("new"),
        .method = text_of("m"),
        .attempts = 1,
        .failure = {.code = REDIAL_UNAVAILABLE, .code_is_known = true},
    };
    struct explain said;

    rig.policy.target_fallback = (struct target_policy){
        .has_throttle = true,
        .tokens_max_milli = 10000,
        .tokens_ok_milli = 100,
        .has_budget = true,
        .budget_floor = 3,
        .budget_window_ms = 1000,
    };
    rig_use_policy();
    assert_true(engine_explain(rig.engine, rig.now, &input, &said));
    assert_int_equal(said.soonest.rule, RULE_RETRY_PLANNED);
    assert_int_equal(said.soonest.tokens_milli, 9000);
    assert_int_equal(said.of.guard.budget_milli, 3000);
    /* It was not made by asking. */
    assert_int_equal(engine_find_target(rig.engine, text_of("new")),
                     ENGINE_NO_SLOT);
    input.slot = 0;
    assert_false(engine_explain(rig.engine, rig.now, &input, &said));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(explain_says_what_then_happens),
        rig_test(draws_lie_within_the_bounds_and_reach_them),
        rig_test(a_target_that_was_never_used_is_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
