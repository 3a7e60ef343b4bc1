/* SPDX-License-Identifier: Apache-2.0 */
/* What no writer makes and no caller should ask: refused, and nothing moves. */
#include "server/core/explain.h"
#include "server/core/text.h"
#include "tests/unit/core/rig.h"

#include <stdlib.h>
#include <string.h>

/* An engine without a past, which takes one record. */
static bool
applies(const struct record *record)
{
    size_t size = (engine_size(&rig.limits) + 63) / 64 * 64;
    void *memory = aligned_alloc(64, size);

    assert_non_null(memory);
    memset(memory, 0, size);
    struct engine *engine = engine_init(memory, &rig.limits, &rig.policy, 1,
                                        rig.now);
    bool applied = engine_apply(engine, record);

    free(memory);
    return applied;
}

static struct record
exhausted(void)
{
    return (struct record){
        .type = EVENT_BUDGET_EXHAUSTED,
        .seq = 1,
        .wall_ms = 1700000000000,
        .target = text_of("upstream"),
        .reason = text_of("THROTTLE"),
        .decision = {.tokens_milli = 5000, .tokens_max_milli = 10000},
    };
}

static void
a_record_of_a_target_must_be_possible(void **state)
{
    static char long_name[200];
    struct record record = exhausted();

    (void)state;
    memset(long_name, 'x', sizeof(long_name));
    assert_true(applies(&record));
    record.target.at = long_name;
    record.target.len = 128;
    assert_true(applies(&record));
    record.target.len = 129;
    assert_false(applies(&record));
    record = exhausted();
    record.service = (struct text){.at = long_name, .len = 129};
    assert_false(applies(&record));
    record = exhausted();
    record.decision.tokens_milli = 10000;
    assert_true(applies(&record));
    record.decision.tokens_milli = 10001;
    assert_false(applies(&record));
    record.decision.tokens_milli = -1;
    assert_false(applies(&record));
    record = exhausted();
    record.decision.tokens_max_milli = UINT32_MAX + INT64_C(1);
    assert_false(applies(&record));
    record.decision.tokens_max_milli = -1;
    assert_false(applies(&record));
}

static void
a_budget_of_a_record_must_be_possible(void **state)
{
    struct record record = exhausted();

    (void)state;
    record.budget_slice = (uint64_t)INT64_MAX / 2;
    record.budget_delta_milli = UINT32_MAX;
    assert_true(applies(&record));
    record.budget_slice++;
    assert_false(applies(&record));
    record.budget_slice = 1;
    record.budget_delta_milli++;
    assert_false(applies(&record));
    record.budget_delta_milli = -(int64_t)UINT32_MAX - 1;
    assert_false(applies(&record));
}

static void
a_refund_without_a_name_is_damage(void **state)
{
    struct record record = exhausted();

    (void)state;
    record.target = (struct text){0};
    assert_false(applies(&record));
}

/* ---- Operators --------------------------------------------------------- */

static void
expect_invalid(struct engine_breaker breaker, const char *field)
{
    rig_step(
        &(struct engine_input){.type = ENGINE_BREAKER, .breaker = breaker});
    assert_int_equal(rig.out.result.status, REDIAL_INVALID_ARGUMENT);
    assert_non_null(strstr(rig.out.result.message, field));
    assert_int_equal(rig.out.record_count, 0);
}

static void
an_operator_is_told_which_word_is_wrong(void **state)
{
    static char long_word[200];
    struct engine_breaker good = {
        .target = text_of("s"),
        .act = ENGINE_BREAKER_OPEN,
        .holder = text_of("ann"),
        .reason = text_of("the disk"),
    };
    struct engine_breaker bad = good;

    (void)state;
    memset(long_word, 'x', sizeof(long_word));
    bad.target.len = 0;
    expect_invalid(bad, "target");
    bad.target = (struct text){.at = long_word, .len = 129};
    expect_invalid(bad, "target");
    bad = good;
    bad.holder.len = 0;
    expect_invalid(bad, "holder");
    bad.holder = (struct text){.at = long_word, .len = 129};
    expect_invalid(bad, "holder");
    bad = good;
    bad.reason = (struct text){.at = long_word, .len = 129};
    expect_invalid(bad, "reason");
    bad = good;
    bad.expiry_ms = UINT64_MAX;
    expect_invalid(bad, "expiry");
}

/* ---- Views ------------------------------------------------------------- */

static void
walks_of_nothing_end_at_once(void **state)
{
    static char long_word[200];

    (void)state;
    memset(long_word, 'x', sizeof(long_word));
    assert_int_equal(
        engine_next_correlated(rig.engine, text_of(""), ENGINE_NO_SLOT),
        ENGINE_NO_SLOT);
    assert_int_equal(engine_next_correlated(
                         rig.engine, (struct text){.at = long_word, .len = 129},
                         ENGINE_NO_SLOT),
                     ENGINE_NO_SLOT);
    assert_int_equal(engine_next_correlated(rig.engine, text_of("film"), 3),
                     ENGINE_NO_SLOT);
}

static void
a_method_says_that_it_waits_for_the_end_of_a_drain(void **state)
{
    struct engine_method_stats stats;

    (void)state;
    rig_submit(1);
    rig_step(&(struct engine_input){.type = ENGINE_DRAIN});
    assert_true(engine_method_stats(rig.engine, rig.now, 0, &stats));
    assert_int_equal(stats.waits_for, ENGINE_WAITS_FOR_DRAIN);
    assert_false(engine_method_stats(rig.engine, rig.now, 1000, &stats));
}

static void
only_live_jobs_are_explained(void **state)
{
    struct explain explain;
    struct explain_input input = {
        .slot = 0,
        .failure = {.code = REDIAL_UNAVAILABLE, .code_is_known = true},
    };

    (void)state;
    assert_false(engine_explain(rig.engine, rig.now, &input, &explain));
    input.slot = 1000000;
    assert_false(engine_explain(rig.engine, rig.now, &input, &explain));
}

static void
an_unknown_code_and_a_success_are_explained(void **state)
{
    struct explain explain;
    struct explain_input input = {
        .slot = ENGINE_NO_SLOT,
        .service = text_of("s"),
        .method = text_of("m"),
        .attempts = 1,
        .idempotency = IDEMPOTENCY_NO,
        .deadline_ms = 500,
        .failure = {.code = REDIAL_UNKNOWN},
    };

    (void)state;
    assert_true(engine_explain(rig.engine, rig.now, &input, &explain));
    assert_int_equal(explain.soonest.rule, RULE_NON_RETRYABLE_CODE);
    input.failure = (struct retry_failure){.code = REDIAL_OK,
                                           .code_is_known = true};
    assert_true(engine_explain(rig.engine, rig.now, &input, &explain));
    assert_int_equal(explain.verdicts[EXPLAIN_OUTCOME], EXPLAIN_ENDS);
    input.failure = (struct retry_failure){
        .code = REDIAL_UNAVAILABLE, .code_is_known = true, .overloaded = true};
    assert_true(engine_explain(rig.engine, rig.now, &input, &explain));
    assert_int_equal(explain.soonest.rule, RULE_OVERLOADED_MARK);
    input.failure = (struct retry_failure){
        .code = REDIAL_UNAVAILABLE, .code_is_known = true, .uncertain = true};
    assert_true(engine_explain(rig.engine, rig.now, &input, &explain));
    assert_int_equal(explain.soonest.rule, RULE_INDETERMINATE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(a_record_of_a_target_must_be_possible),
        rig_test(a_budget_of_a_record_must_be_possible),
        rig_test(a_refund_without_a_name_is_damage),
        rig_test(an_operator_is_told_which_word_is_wrong),
        rig_test(walks_of_nothing_end_at_once),
        rig_test(a_method_says_that_it_waits_for_the_end_of_a_drain),
        rig_test(only_live_jobs_are_explained),
        rig_test(an_unknown_code_and_a_success_are_explained),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
