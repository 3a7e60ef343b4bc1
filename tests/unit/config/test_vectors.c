/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our own fields of a methodConfig beside gRPC's, and what a policy says in the
 * end. The vectors of gRPC's implementations are in tests/conformance/config.
 */
#include "tests/unit/config/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define R(attempts, initial, max, factor, codes)               \
    "{'maxAttempts': " attempts ", 'initialBackoff': " initial \
    ", 'maxBackoff': " max ", 'backoffMultiplier': " factor    \
    ", 'retryableStatusCodes': " codes "}"

#define S1  "'1s'"
#define S10 "'10s'"

static const struct vector retry_vectors[] = {
    {"reasons alone",
     "{'maxAttempts': 3, 'initialBackoff': '1s', 'maxBackoff': '10s',"
     " 'backoffMultiplier': 2, 'retryableReasons': ['MODEL_OVERLOADED']}",
     ""},
    {"reasons alone, codes empty",
     "{'maxAttempts': 3, 'initialBackoff': '1s', 'maxBackoff': '10s',"
     " 'backoffMultiplier': 2, 'retryableReasons': ['A'],"
     " 'retryableStatusCodes': []}",
     ""},
    {"nothing would be retried",
     "{'maxAttempts': 3, 'initialBackoff': '1s', 'maxBackoff': '10s',"
     " 'backoffMultiplier': 2, 'nonRetryableReasons': ['A']}",
     "!retryableStatusCodes"},
    {"reasons are words",
     "{'maxAttempts': 3, 'initialBackoff': '1s', 'maxBackoff': '10s',"
     " 'backoffMultiplier': 2, 'retryableReasons': ['A', 'B C', '', 5]}",
     "!retryableReasons[1] !retryableReasons[2] !retryableReasons[3]"},
    {"a reason in both lists",
     "{'maxAttempts': 3, 'initialBackoff': '1s', 'maxBackoff': '10s',"
     " 'backoffMultiplier': 2, 'retryableReasons': ['A', 'B'],"
     " 'nonRetryableReasons': ['C', 'B']}",
     "?"},
    {"hopeless codes",
     R("3", S1, S10, "2",
       "['INVALID_ARGUMENT', 'UNAUTHENTICATED', 'PERMISSION_DENIED',"
       " 'UNIMPLEMENTED', 'UNAVAILABLE']"),
     "?retryableStatusCodes ?retryableStatusCodes ?retryableStatusCodes "
     "?retryableStatusCodes"},
    {"jitter",
     "{'maxAttempts': 3, 'initialBackoff': '1s', 'maxBackoff': '10s',"
     " 'backoffMultiplier': 2, 'retryableStatusCodes': ['UNAVAILABLE'],"
     " 'jitter': 'decorrelated'}",
     ""},
    {"unknown jitter",
     "{'maxAttempts': 3, 'initialBackoff': '1s', 'maxBackoff': '10s',"
     " 'backoffMultiplier': 2, 'retryableStatusCodes': ['UNAVAILABLE'],"
     " 'jitter': 'some'}",
     "!jitter"},
};

static const struct vector config_vectors[] = {
    {"gRPC only",
     "'loadBalancingPolicy': 'round_robin', 'loadBalancingConfig': [{}],"
     " 'healthCheckConfig': {'serviceName': 'x'}",
     "?loadBalancingPolicy ?loadBalancingConfig ?healthCheckConfig"},
    /* Not in this version: refused, never passed over. */
    {"later", "'http': {}, 'tap': {}, 'tokens': []", "!http !tap !tokens"},
    {"slash",
     "'methodConfig': [{'name': [{'service': 'a/b'},"
     " {'service': 'S', 'method': 'a b'}]}]",
     "!methodConfig[0].name[0].service !methodConfig[0].name[1].method"},
    {"wrong kinds",
     "'methodConfig': [5, {'name': 'S'}, {'name': [5]}, {'name': [{}],"
     " 'limits': 5, 'retryPolicy': [], 'idempotent': 1}]",
     "!methodConfig[0] !methodConfig[1].name !methodConfig[2].name[0] "
     "!methodConfig[3].idempotent !methodConfig[3].limits "
     "!methodConfig[3].retryPolicy"},
    {"two names of one thing",
     "'methodConfig': [{'name': [{}], 'attemptTimeout': '1s', 'retryPolicy':"
     " {'maxAttempts': 2, 'initialBackoff': '1s', 'maxBackoff': '1s',"
     " 'backoffMultiplier': 1, 'retryableStatusCodes': [14],"
     " 'perAttemptRecvTimeout': '1s'}}]",
     "!methodConfig[0].retryPolicy.perAttemptRecvTimeout"},
};

static void
retry_policies_follow_the_rules_of_grpc(void **state)
{
    static const struct frame frame = {
        "{'methodConfig': [{'name': [{'service': 'S'}], 'retryPolicy': ",
        "}]}",
        "methodConfig[0].retryPolicy",
    };

    (void)state;
    RUN_VECTORS(retry_vectors, &frame);
}

static void
method_configs_follow_the_rules_of_grpc(void **state)
{
    static const struct frame frame = {"{", "}", ""};

    (void)state;
    RUN_VECTORS(config_vectors, &frame);
}

/* m11 */
static void
an_empty_text_is_no_configuration(void **state)
{
    static const char *const texts[] = {"", " \n", "[]", "5", "null"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct loaded loaded;

        load_text(&loaded, texts[i]);
        assert_int_equal(loaded.status, REDIAL_INVALID_ARGUMENT);
        loaded_fini(&loaded);
    }
}

static struct text
text_of(const char *text)
{
    return (struct text){.at = text, .len = (uint32_t)strlen(text)};
}

static void
a_policy_says_what_was_written(void **state)
{
    struct loaded loaded;

    (void)state;
    load_text(&loaded,
              "{'methodConfig': [{'name': [{'service': 'S', 'method': 'M'}],"
              " 'timeout': '90.0001s', 'waitForReady': false,"
              " 'attemptTimeout': '7s', 'maxPushback': '0s',"
              " 'idempotent': false, 'retryIndeterminate': true,"
              " 'limits': {'concurrency': 3}, 'retryPolicy': {"
              " 'maxAttempts': 100, 'initialBackoff': '0.0001s',"
              " 'maxBackoff': '315576000000s', 'backoffMultiplier': 1.6,"
              " 'jitter': 'none', 'retryableStatusCodes': ['aborted', 14],"
              " 'retryableReasons': ['A', 'B'],"
              " 'nonRetryableReasons': ['SCRIPT_VALIDATION']}}]}");
    assert_int_equal(loaded.status, REDIAL_OK);
    const struct method_policy *policy = policy_find(
        config_policy(loaded.config), text_of("S"), text_of("M"));
    const struct retry_policy *retry = &policy->retry;

    assert_int_equal(policy->deadline_ms, 90001);
    assert_false(policy->wait_for_ready);
    assert_int_equal(policy->attempt_timeout_ms, 7000);
    assert_int_equal(policy->idempotency, IDEMPOTENCY_NO);
    assert_true(policy->retry_indeterminate);
    assert_int_equal(policy->limits.concurrency, 3);
    assert_int_equal(retry->max_attempts, 10);
    assert_true(retry->attempts_clamped);
    assert_int_equal(retry->initial_backoff_ms, 1);
    assert_int_equal(retry->max_backoff_ms, 315576000000000);
    assert_true(retry->backoff_multiplier == 1.6);
    assert_int_equal(retry->jitter, JITTER_NONE);
    assert_int_equal(retry->max_pushback_ms, 0);
    assert_int_equal(retry->retryable_codes,
                     1u << REDIAL_ABORTED | 1u << REDIAL_UNAVAILABLE);
    assert_int_equal(retry->retryable_reason_count, 2);
    assert_string_equal(retry->retryable_reasons[1].at, "B");
    assert_int_equal(retry->non_retryable_reason_count, 1);
    assert_string_equal(retry->non_retryable_reasons[0].at,
                        "SCRIPT_VALIDATION");
    assert_int_equal(retry->non_retryable_reasons[0].len, 17);
    assert_int_equal(retry->free_attempts_max, 100);
    loaded_fini(&loaded);
}

static void
the_most_exact_name_counts(void **state)
{
    static const char policy[] =
        "{'methodConfig': [{'name': [{}], 'timeout': '1s'},"
        " {'name': [{'service': 'S', 'method': 'M'}, {'service': 'T'}],"
        " 'timeout': '2s'}, {'name': [{'service': 'S'}], 'timeout': '3s'}]}";
    static const struct {
        const char *service;
        const char *method;
        uint64_t deadline_ms;
    } rows[] = {
        {"S", "M", 2000}, {"S", "N", 3000}, {"T", "M", 2000},
        {"U", "M", 1000}, {"S", "", 3000},  {"", "", 1000},
    };
    struct loaded loaded;

    (void)state;
    load_text(&loaded, policy);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(policy_find(config_policy(loaded.config),
                                     text_of(rows[i].service),
                                     text_of(rows[i].method))
                             ->deadline_ms,
                         rows[i].deadline_ms);
    }
    loaded_fini(&loaded);
}

static void
assert_same_policy(const struct method_policy *a, const struct method_policy *b)
{
    assert_int_equal(a->retry.max_attempts, b->retry.max_attempts);
    assert_int_equal(a->retry.attempts_clamped, b->retry.attempts_clamped);
    assert_int_equal(a->retry.initial_backoff_ms, b->retry.initial_backoff_ms);
    assert_int_equal(a->retry.max_backoff_ms, b->retry.max_backoff_ms);
    assert_true(a->retry.backoff_multiplier == b->retry.backoff_multiplier);
    assert_int_equal(a->retry.jitter, b->retry.jitter);
    assert_int_equal(a->retry.retryable_codes, b->retry.retryable_codes);
    assert_int_equal(a->retry.max_pushback_ms, b->retry.max_pushback_ms);
    assert_int_equal(a->retry.free_attempts_max, b->retry.free_attempts_max);
    assert_int_equal(a->retry.retryable_reason_count,
                     b->retry.retryable_reason_count);
    assert_int_equal(a->retry.non_retryable_reason_count,
                     b->retry.non_retryable_reason_count);
    assert_int_equal(a->attempt_timeout_ms, b->attempt_timeout_ms);
    assert_int_equal(a->deadline_ms, b->deadline_ms);
    assert_int_equal(a->limits.concurrency, b->limits.concurrency);
    assert_int_equal(a->wait_for_ready, b->wait_for_ready);
    assert_int_equal(a->idempotency, b->idempotency);
    assert_int_equal(a->retry_indeterminate, b->retry_indeterminate);
}

static void
no_policy_means_one_attempt_and_no_match_the_default(void **state)
{
    struct loaded loaded;
    struct policy_set expected;

    (void)state;
    policy_set_default(&expected);
    load_text(&loaded, "{'methodConfig': [{'name': [{'service': 'S'}]}]}");
    const struct policy_set *set = config_policy(loaded.config);
    const struct method_policy *named = policy_find(set, text_of("S"),
                                                    text_of("M"));
    const struct method_policy *other = policy_find(set, text_of("T"),
                                                    text_of("M"));

    assert_int_equal(named->retry.max_attempts, 1);
    assert_int_equal(named->retry.retryable_codes, 0);
    assert_true(named->retry.initial_backoff_ms >= 1);
    assert_true(named->wait_for_ready);
    assert_ptr_equal(other, &set->fallback);
    /* Ours and the engine's own idea of the default are the same. */
    assert_same_policy(other, &expected.fallback);
    loaded_fini(&loaded);
}

static void
the_default_for_all_replaces_the_default_policy(void **state)
{
    struct loaded loaded;

    (void)state;
    load_text(&loaded, "{'methodConfig': [{'name': [{}]}]}");
    assert_int_equal(config_policy(loaded.config)->fallback.retry.max_attempts,
                     1);
    loaded_fini(&loaded);
    load_text(&loaded, "{'maxAttemptsLimit': 2, 'attemptTimeout': '5s',"
                       " 'maxPushback': '6s', 'freeAttemptsMax': 7,"
                       " 'defaultPolicy': {'maxAttempts': 4,"
                       " 'retryableStatusCodes': ['INTERNAL', 16],"
                       " 'jitter': 'full', 'backoffMultiplier': 1.25,"
                       " 'initialBackoff': '10s', 'maxBackoff': '2s'}}");
    const struct method_policy *fallback =
        &config_policy(loaded.config)->fallback;

    assert_int_equal(fallback->retry.max_attempts, 2);
    assert_true(fallback->retry.attempts_clamped);
    assert_int_equal(fallback->retry.retryable_codes,
                     1u << REDIAL_INTERNAL | 1u << REDIAL_UNAUTHENTICATED);
    assert_int_equal(fallback->retry.jitter, JITTER_FULL);
    assert_true(fallback->retry.backoff_multiplier == 1.25);
    assert_int_equal(fallback->retry.max_pushback_ms, 6000);
    assert_int_equal(fallback->retry.free_attempts_max, 7);
    assert_int_equal(fallback->attempt_timeout_ms, 5000);
    assert_string_equal(loaded_issues(&loaded, "defaultPolicy"),
                        "?maxAttempts ?maxBackoff ?retryableStatusCodes");
    loaded_fini(&loaded);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retry_policies_follow_the_rules_of_grpc),
        cmocka_unit_test(method_configs_follow_the_rules_of_grpc),
        cmocka_unit_test(an_empty_text_is_no_configuration),
        cmocka_unit_test(a_policy_says_what_was_written),
        cmocka_unit_test(the_most_exact_name_counts),
        cmocka_unit_test(no_policy_means_one_attempt_and_no_match_the_default),
        cmocka_unit_test(the_default_for_all_replaces_the_default_policy),
    };

    return cmocka_run_group_tests(tests, NULL, folder_fini);
}
