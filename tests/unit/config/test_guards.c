/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What keeps retries from doing harm: throttle, budget, the switch, and the
 * targets that they belong to; and hedgingPolicy, at and beyond each limit.
 */
#include "tests/unit/config/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct text
text_of(const char *text)
{
    return (struct text){.at = text, .len = (uint32_t)strlen(text)};
}

static const struct policy_set *
policy_of(struct loaded *loaded)
{
    if (loaded->status != REDIAL_OK) {
        fail_msg("%s", loaded_report(loaded));
    }
    return config_policy(loaded->config);
}

static const struct vector throttle_vectors[] = {
    {"least tokens", "{'maxTokens': 1, 'tokenRatio': 1}", ""},
    {"most tokens", "{'maxTokens': 1000, 'tokenRatio': 1}", ""},
    {"no tokens", "{'maxTokens': 0, 'tokenRatio': 1}", "!maxTokens"},
    {"too many tokens", "{'maxTokens': 1001, 'tokenRatio': 1}", "!maxTokens"},
    {"half a token", "{'maxTokens': 2.5, 'tokenRatio': 1}", "!maxTokens"},
    {"tokens as text", "{'maxTokens': '10', 'tokenRatio': 1}", "!maxTokens"},
    {"least ratio", "{'maxTokens': 10, 'tokenRatio': 0.001}", ""},
    {"cut ratio", "{'maxTokens': 10, 'tokenRatio': 0.0019}", "?tokenRatio"},
    {"vanishing ratio", "{'maxTokens': 10, 'tokenRatio': 0.0009999}",
     "!tokenRatio"},
    {"no ratio", "{'maxTokens': 10, 'tokenRatio': 0}", "!tokenRatio"},
    {"negative ratio", "{'maxTokens': 10, 'tokenRatio': -1}", "!tokenRatio"},
    {"huge ratio", "{'maxTokens': 10, 'tokenRatio': 1e300}", ""},
    {"ratio as text", "{'maxTokens': 10, 'tokenRatio': '1'}", "!tokenRatio"},
    {"null", "{'maxTokens': null, 'tokenRatio': null}",
     "!maxTokens !tokenRatio"},
    {"unknown", "{'maxTokens': 10, 'tokenRatio': 1, 'x': 1}", "!x"},
    {"no object", "[]", "!"},
    {"null alone", "null", ""},
};

static void
a_throttle_is_checked_at_its_limits(void **state)
{
    static const struct frame frame = {"{'retryThrottling': ", "}",
                                       "retryThrottling"};

    (void)state;
    RUN_VECTORS(throttle_vectors, &frame);
}

static const struct vector budget_vectors[] = {
    {"nothing at all", "{'ratio': 0, 'minPerSecond': 0}", ""},
    {"most ratio", "{'ratio': 10}", ""},
    {"too much ratio", "{'ratio': 10.001}", "!ratio"},
    {"negative ratio", "{'ratio': -0.001}", "!ratio"},
    {"fine ratio", "{'ratio': 0.0005}", "!ratio"},
    {"missing ratio", "{}", "!ratio"},
    {"most floor", "{'ratio': 1, 'minPerSecond': 100000}", ""},
    {"too much floor", "{'ratio': 1, 'minPerSecond': 100001}", "!minPerSecond"},
    {"negative floor", "{'ratio': 1, 'minPerSecond': -1}", "!minPerSecond"},
    {"least window", "{'ratio': 1, 'window': '1s'}", ""},
    {"most window", "{'ratio': 1, 'window': '60s'}", ""},
    {"short window", "{'ratio': 1, 'window': '0.999s'}", "!window"},
    {"long window", "{'ratio': 1, 'window': '60.001s'}", "!window"},
    {"window as a number", "{'ratio': 1, 'window': 10}", "!window"},
    {"all wrong", "{'ratio': 'x', 'minPerSecond': 0.5, 'window': '1m'}",
     "!ratio !minPerSecond !window"},
    {"unknown", "{'ratio': 1, 'ttl': '1s'}", "!ttl"},
    {"no object", "0.2", "!"},
};

static void
a_budget_is_checked_at_its_limits(void **state)
{
    static const struct frame top = {"{'budget': ", "}", "budget"};
    static const struct frame method = {
        "{'methodConfig': [{'name': [{'service': 'S'}], 'budget': ", "}]}",
        "methodConfig[0].budget"};
    static const struct frame target = {
        "{'targets': [{'name': 'T', 'budget': ", "}]}", "targets[0].budget"};

    (void)state;
    RUN_VECTORS(budget_vectors, &top);
    RUN_VECTORS(budget_vectors, &method);
    RUN_VECTORS(budget_vectors, &target);
}

static void
a_ratio_is_cut_and_never_rounded(void **state)
{
    static const struct {
        const char *ratio;
        uint32_t milli;
    } rows[] = {
        {"0.5466", 546},     {"0.5469999999999999", 546},
        {"0.546", 546},      {"0.29", 290},
        {"0.57", 570},       {"1.001", 1001},
        {"4.35", 4350},      {"0.0010000001", 1},
        {"999.999", 999999}, {"1e300", 1000000},
        {"1000.5", 1000000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct loaded loaded;
        char text[128];

        (void)snprintf(text, sizeof(text),
                       "{'retryThrottling': {'maxTokens': 3, 'tokenRatio': "
                       "%s}}",
                       rows[i].ratio);
        load_text(&loaded, text);
        const struct target_policy *target = policy_find_target(
            policy_of(&loaded), text_of("any"));

        assert_true(target->has_throttle);
        assert_int_equal(target->tokens_max_milli, 3000);
        assert_int_equal(target->tokens_ok_milli, rows[i].milli);
        loaded_fini(&loaded);
    }
}

/* A ratio of every number of thousandths is taken as it is. */
static void
no_ratio_of_three_decimals_is_cut(void **state)
{
    struct loaded loaded;

    (void)state;
    for (unsigned milli = 1; milli < 10000; milli += 7) {
        char text[128];

        (void)snprintf(text, sizeof(text),
                       "retryThrottling={\"maxTokens\":9,\"tokenRatio\":"
                       "%u.%03u}",
                       milli / 1000, milli % 1000);
        const char *const sets[] = {text};

        load_sources(&loaded, &(struct config_sources){.no_files = true,
                                                       .sets = sets,
                                                       .set_count = 1});
        assert_int_equal(policy_of(&loaded)->target_fallback.tokens_ok_milli,
                         milli);
        assert_int_equal(loaded.report.count, 0);
        loaded_fini(&loaded);
    }
}

static void
every_target_has_what_is_said_of_it_and_the_rest_from_the_top(void **state)
{
    struct loaded loaded;

    (void)state;
    load_text(&loaded,
              "{'retryThrottling': {'maxTokens': 10, 'tokenRatio': 0.1},"
              " 'budget': {'ratio': 0.2, 'window': '5s'},"
              " 'targets': [{'name': 'B', 'retryThrottling':"
              "  {'maxTokens': 20, 'tokenRatio': 2}},"
              "  {'name': 'C', 'budget': {'ratio': 3, 'minPerSecond': 4}}],"
              " 'methodConfig': [{'name': [{'service': 'S'},"
              "  {'service': 'S', 'method': 'M'}, {'service': 'R'}],"
              "  'budget': {'ratio': 0}}, {'name': [{'service': 'X'}],"
              "  'target': 'B', 'budget': {'ratio': 1}}]}");
    const struct policy_set *set = policy_of(&loaded);
    const struct target_policy *b = policy_find_target(set, text_of("B"));
    const struct target_policy *c = policy_find_target(set, text_of("C"));
    const struct target_policy *s = policy_find_target(set, text_of("S"));
    const struct target_policy *x = policy_find_target(set, text_of("X"));

    assert_int_equal(set->target_count, 4);
    assert_int_equal(b->tokens_max_milli, 20000);
    assert_int_equal(b->tokens_ok_milli, 2000);
    assert_int_equal(b->budget_ratio_milli, 1000);
    assert_int_equal(b->budget_window_ms, 10000);
    assert_int_equal(c->tokens_max_milli, 10000);
    assert_int_equal(c->budget_ratio_milli, 3000);
    assert_int_equal(c->budget_floor, 4);
    assert_true(s->has_throttle && s->has_budget);
    assert_int_equal(s->budget_ratio_milli, 0);
    assert_int_equal(s->budget_floor, 10);
    assert_ptr_equal(x, &set->target_fallback);
    assert_int_equal(x->budget_ratio_milli, 200);
    assert_int_equal(x->budget_window_ms, 5000);
    assert_string_equal(policy_find(set, text_of("X"), text_of("M"))->target.at,
                        "B");
    assert_int_equal(policy_find(set, text_of("S"), text_of("M"))->target.len,
                     0);
    loaded_fini(&loaded);
    load_text(&loaded, "{}");
    assert_false(policy_of(&loaded)->target_fallback.has_throttle);
    assert_false(policy_of(&loaded)->target_fallback.has_budget);
    assert_false(policy_of(&loaded)->retries_off);
    loaded_fini(&loaded);
}

static const struct vector target_vectors[] = {
    {"the same twice",
     "'targets': [{'name': 'S', 'budget': {'ratio': 1}}],"
     " 'methodConfig': [{'name': [{'service': 'S'}],"
     " 'budget': {'ratio': 1, 'minPerSecond': 10, 'window': '10s'}}]",
     ""},
    {"two ratios",
     "'methodConfig': [{'name': [{'service': 'S'}], 'budget': {'ratio': 1}},"
     " {'name': [{'service': 'S', 'method': 'M'}], 'budget': {'ratio': 2}}]",
     "!methodConfig[1].budget"},
    {"two floors",
     "'targets': [{'name': 'T', 'budget': {'ratio': 1}},"
     " {'name': 'T', 'budget': {'ratio': 1, 'minPerSecond': 1}}]",
     "!targets[1].budget"},
    {"two windows",
     "'methodConfig': [{'name': [{}], 'target': 'T', 'budget': {'ratio': 1}},"
     " {'name': [{'service': 'S'}], 'target': 'T',"
     " 'budget': {'ratio': 1, 'window': '9s'}}]",
     "!methodConfig[1].budget"},
    {"two throttles",
     "'targets': [{'name': 'T', 'retryThrottling': {'maxTokens': 5,"
     " 'tokenRatio': 1}}, {'name': 'T', 'retryThrottling': {'maxTokens': 6,"
     " 'tokenRatio': 1}}, {'name': 'T', 'retryThrottling': {'maxTokens': 5,"
     " 'tokenRatio': 2}}]",
     "!targets[1].retryThrottling !targets[2].retryThrottling"},
    {"the top and a target may differ",
     "'budget': {'ratio': 1}, 'targets': [{'name': 'T', 'budget':"
     " {'ratio': 2}}]",
     ""},
    {"no target is meant",
     "'methodConfig': [{'name': [{'service': 'S'}, {}],"
     " 'budget': {'ratio': 1}}]",
     "!methodConfig[0].budget"},
    {"no name", "'targets': [{'budget': {'ratio': 1}}]", "!targets[0].name"},
    {"names",
     "'targets': [{'name': ''}, {'name': 'a b'}, {'name': 'a/b'}, 5],"
     " 'methodConfig': [{'name': [{}], 'target': ''}]",
     "!methodConfig[0].target !targets[0].name !targets[1].name "
     "!targets[2].name !targets[3]"},
    {"no array", "'targets': {}", "!targets"},
};

static void
two_sayings_about_one_target_must_agree(void **state)
{
    static const struct frame frame = {"{", "}", ""};
    struct loaded loaded;

    (void)state;
    RUN_VECTORS(target_vectors, &frame);
    load_text(&loaded,
              "{'methodConfig': [\n"
              " {'name': [{'service': 'S'}], 'budget': {'ratio': 1}},\n"
              " {'name': [{'service': 'T'}], 'target': 'S',\n"
              "  'budget': {'ratio': 2}}]}");
    assert_string_equal(loaded_report(&loaded),
                        "redial.json:4: error: methodConfig[1].budget: found "
                        "S; allowed: one budget for each target (see "
                        "methodConfig[0].budget in redial.json, line 2)\n");
    loaded_fini(&loaded);
}

static const struct vector hedging_vectors[] = {
    {"least", "{'maxAttempts': 2}", ""},
    {"too few", "{'maxAttempts': 1}", "!maxAttempts"},
    {"at the limit", "{'maxAttempts': 10}", ""},
    {"above the limit", "{'maxAttempts': 11}", "?maxAttempts"},
    {"no delay", "{'maxAttempts': 2, 'hedgingDelay': '0s'}", ""},
    {"least delay", "{'maxAttempts': 2, 'hedgingDelay': '0.000000001s'}", ""},
    {"most delay", "{'maxAttempts': 2, 'hedgingDelay': '315576000000s'}", ""},
    {"too much delay", "{'maxAttempts': 2, 'hedgingDelay': '315576000001s'}",
     "!hedgingDelay"},
    {"negative delay", "{'maxAttempts': 2, 'hedgingDelay': '-1s'}",
     "!hedgingDelay"},
    {"delay as a number", "{'maxAttempts': 2, 'hedgingDelay': 1}",
     "!hedgingDelay"},
    {"no codes", "{'maxAttempts': 2, 'nonFatalStatusCodes': []}", ""},
    {"OK", "{'maxAttempts': 2, 'nonFatalStatusCodes': [0, 'OK', 1]}",
     "!nonFatalStatusCodes[0] !nonFatalStatusCodes[1]"},
    {"codes as a word", "{'maxAttempts': 2, 'nonFatalStatusCodes': 'ABORTED'}",
     "!nonFatalStatusCodes"},
    {"of a retryPolicy", "{'maxAttempts': 2, 'initialBackoff': '1s'}",
     "!initialBackoff"},
    {"no object", "2", "!"},
    {"null", "null", ""},
};

static void
a_hedging_policy_is_checked_at_its_limits(void **state)
{
    static const struct frame frame = {
        "{'methodConfig': [{'name': [{}], 'idempotent': true,"
        " 'hedgingPolicy': ",
        "}]}", "methodConfig[0].hedgingPolicy"};
    static const struct frame unsafe = {
        "{'methodConfig': [{'name': [{}], 'hedgingPolicy': ", "}]}",
        "methodConfig[0].hedgingPolicy"};
    static const struct vector warned[] = {
        {"not said to be idempotent", "{'maxAttempts': 2}", "?"},
    };

    (void)state;
    RUN_VECTORS(hedging_vectors, &frame);
    RUN_VECTORS(warned, &unsafe);
}

static void
a_hedging_policy_says_what_was_written(void **state)
{
    struct loaded loaded;

    (void)state;
    load_text(&loaded,
              "{'retriesEnabled': false, 'maxAttemptsLimit': 4,"
              " 'methodConfig': [{'name': [{'service': 'S'}],"
              " 'hedgingPolicy': {'maxAttempts': 5, 'hedgingDelay': '0.0001s',"
              " 'nonFatalStatusCodes': [14, 'internal']}},"
              " {'name': [{}], 'hedgingPolicy': {'maxAttempts': 2}}]}");
    const struct policy_set *set = policy_of(&loaded);
    const struct method_policy *policy = policy_find(set, text_of("S"),
                                                     text_of("M"));

    assert_true(set->retries_off);
    assert_true(policy->hedged);
    assert_int_equal(policy->hedging_delay_ms, 1);
    assert_int_equal(policy->retry.max_attempts, 4);
    assert_true(policy->retry.attempts_clamped);
    assert_int_equal(policy->retry.retryable_codes,
                     1u << REDIAL_UNAVAILABLE | 1u << REDIAL_INTERNAL);
    assert_true(set->fallback.hedged);
    assert_int_equal(set->fallback.hedging_delay_ms, 0);
    assert_int_equal(set->fallback.retry.max_attempts, 2);
    assert_int_equal(set->fallback.retry.retryable_codes, 0);
    loaded_fini(&loaded);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_throttle_is_checked_at_its_limits),
        cmocka_unit_test(a_budget_is_checked_at_its_limits),
        cmocka_unit_test(a_ratio_is_cut_and_never_rounded),
        cmocka_unit_test(no_ratio_of_three_decimals_is_cut),
        cmocka_unit_test(
            every_target_has_what_is_said_of_it_and_the_rest_from_the_top),
        cmocka_unit_test(two_sayings_about_one_target_must_agree),
        cmocka_unit_test(a_hedging_policy_is_checked_at_its_limits),
        cmocka_unit_test(a_hedging_policy_says_what_was_written),
    };

    return cmocka_run_group_tests(tests, NULL, folder_fini);
}
