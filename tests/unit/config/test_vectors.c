/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Service configs that gRPC implementations pin in their own tests, each with
 * the id of the row in the study of them. What we decide otherwise says why.
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

#define S1    "'1s'"
#define S10   "'10s'"
#define CODES "['UNAVAILABLE']"

static const struct vector retry_vectors[] = {
    {"r1", R("3", S1, S10, "2", CODES), ""},
    {"r2", R("2", S1, S1, "1", CODES), ""},
    {"r3", R("3", S1, S10, "2", "[14, 'RESOURCE_EXHAUSTED']"), ""},
    {"r4", R("3", S1, S10, "2", "['unavailable']"), ""},
    {"r5", R("100", S1, S10, "2", CODES), "?maxAttempts"},
    {"r6", R("3", S10, S1, "2", CODES), "?maxBackoff"},
    {"r7", R("3", S1, S10, "0.5", CODES), "?backoffMultiplier"},
    {"r8", "5", "!"},
    {"r9", "{'retryableStatusCodes': ['UNAVAILABLE']}",
     "!maxAttempts !initialBackoff !maxBackoff !backoffMultiplier"},
    {"r10",
     "{'initialBackoff': '1s', 'maxBackoff': '10s', 'backoffMultiplier': 2,"
     " 'retryableStatusCodes': ['UNAVAILABLE']}",
     "!maxAttempts"},
    {"r10 null", R("null", S1, S10, "2", CODES), "!maxAttempts"},
    {"r11", R("'FOO'", S1, S10, "2", CODES), "!maxAttempts"},
    {"r12", R("1", S1, S10, "2", CODES), "!maxAttempts"},
    {"r13 zero", R("0", S1, S10, "2", CODES), "!maxAttempts"},
    {"r13 negative", R("-1", S1, S10, "2", CODES), "!maxAttempts"},
    {"r14", R("2.5", S1, S10, "2", CODES), "!maxAttempts"},
    {"r15",
     "{'maxAttempts': 3, 'maxBackoff': '10s', 'backoffMultiplier': 2,"
     " 'retryableStatusCodes': ['UNAVAILABLE']}",
     "!initialBackoff"},
    {"r16", R("3", "'1sec'", S10, "2", CODES), "!initialBackoff"},
    {"r17", R("3", "'abcs'", S10, "2", CODES), "!initialBackoff"},
    {"r18", R("3", "'123'", S10, "2", CODES), "!initialBackoff"},
    {"r19", R("3", "'0s'", S10, "2", CODES), "!initialBackoff"},
    {"r20", R("3", "1", S10, "2", CODES), "!initialBackoff"},
    {"r21", R("3", "'-1s'", S10, "2", CODES), "!initialBackoff"},
    {"r22 missing",
     "{'maxAttempts': 3, 'initialBackoff': '1s', 'backoffMultiplier': 2,"
     " 'retryableStatusCodes': ['UNAVAILABLE']}",
     "!maxBackoff"},
    {"r22 unit", R("3", S1, "'120sec'", "2", CODES), "!maxBackoff"},
    {"r22 zero", R("3", S1, "'0s'", "2", CODES), "!maxBackoff"},
    {"r22 letters", R("3", S1, "'abcs'", "2", CODES), "!maxBackoff"},
    {"r22 no unit", R("3", S1, "'123'", "2", CODES), "!maxBackoff"},
    {"r23", R("3", S1, S10, "[]", CODES), "!backoffMultiplier"},
    {"r24 zero", R("3", S1, S10, "0", CODES), "!backoffMultiplier"},
    {"r24 negative", R("3", S1, S10, "-1", CODES), "!backoffMultiplier"},
    {"r24 missing",
     "{'maxAttempts': 3, 'initialBackoff': '1s', 'maxBackoff': '10s',"
     " 'retryableStatusCodes': ['UNAVAILABLE']}",
     "!backoffMultiplier"},
    {"r25", R("3", S1, S10, "'1.6'", CODES), "!backoffMultiplier"},
    {"r26",
     "{'maxAttempts': 3, 'initialBackoff': '1s', 'maxBackoff': '10s',"
     " 'backoffMultiplier': 2}",
     "!retryableStatusCodes"},
    {"r27", R("3", S1, S10, "2", "[]"), "!retryableStatusCodes"},
    {"r28", R("3", S1, S10, "2", "0"), "!retryableStatusCodes"},
    /* C-core refuses the integer 2 as well; we take integers (r3). */
    {"r29", R("3", S1, S10, "2", "[true, 2]"), "!retryableStatusCodes[0]"},
    {"r30", R("3", S1, S10, "2", "['FOO', 'BAR']"),
     "!retryableStatusCodes[0] !retryableStatusCodes[1]"},
    {"r31", R("3", S1, S10, "2", "['abcd']"), "!retryableStatusCodes[0]"},
    {"r31 number", R("3", S1, S10, "2", "[12345]"), "!retryableStatusCodes[0]"},
    {"r32", R("3", S1, S10, "2", "[17, -1, 1.5, 16]"),
     "!retryableStatusCodes[0] !retryableStatusCodes[1] "
     "!retryableStatusCodes[2]"},
    {"r33", R("3", S1, S10, "2", "['OK']"), "!retryableStatusCodes[0]"},
    {"r33 number", R("3", S1, S10, "2", "[0]"), "!retryableStatusCodes[0]"},
    {"r34",
     "{'maxAttempts': 3, 'initialBackoff': '1s', 'maxBackoff': '10s',"
     " 'backoffMultiplier': 2, 'retryableStatusCodes': ['UNAVAILABLE'],"
     " 'perAttemptRecvTimeout': '1s'}",
     ""},
    /* Codes stay necessary: our time limit ends attempts with a code of its
     * own, DEADLINE_EXCEEDED, which is retryable where it is listed. */
    {"r35",
     "{'maxAttempts': 3, 'initialBackoff': '1s', 'maxBackoff': '10s',"
     " 'backoffMultiplier': 2, 'perAttemptRecvTimeout': '1s'}",
     "!retryableStatusCodes"},
    {"r36 unit",
     "{'maxAttempts': 3, 'initialBackoff': '1s', 'maxBackoff': '10s',"
     " 'backoffMultiplier': 2, 'retryableStatusCodes': ['UNAVAILABLE'],"
     " 'perAttemptRecvTimeout': '1sec'}",
     "!perAttemptRecvTimeout"},
    {"r36 number",
     "{'maxAttempts': 3, 'initialBackoff': '1s', 'maxBackoff': '10s',"
     " 'backoffMultiplier': 2, 'retryableStatusCodes': ['UNAVAILABLE'],"
     " 'perAttemptRecvTimeout': 1}",
     "!perAttemptRecvTimeout"},
    {"r36 zero",
     "{'maxAttempts': 3, 'initialBackoff': '1s', 'maxBackoff': '10s',"
     " 'backoffMultiplier': 2, 'retryableStatusCodes': ['UNAVAILABLE'],"
     " 'perAttemptRecvTimeout': '0s'}",
     "!perAttemptRecvTimeout"},
    {"r37", R("3", S1, S10, "2", "[]"), "!retryableStatusCodes"},
    /* gRPC passes over unknown fields; a misspelt one must not be lost. */
    {"r38",
     "{'maxAttempts': 3, 'initialBackoff': '1s', 'maxBackoff': '10s',"
     " 'backoffMultiplier': 2, 'retryableStatusCodes': ['UNAVAILABLE'],"
     " 'fun': 1}",
     "!fun"},
    {"r39",
     "{'MaxAttempts': 3, 'initialBackoff': '1s', 'maxBackoff': '10s',"
     " 'backoffMultiplier': 2, 'retryableStatusCodes': ['UNAVAILABLE']}",
     "!MaxAttempts !maxAttempts"},
    /* Ours. */
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
    {"m1", "'methodConfig': [{'name': [{'service': 'S', 'method': 'M'}]}]", ""},
    {"m2", "'methodConfig': [{'name': [{'service': 'S'}]}]", ""},
    {"m2 null",
     "'methodConfig': [{'name': [{'service': 'S', 'method': null}]}]", ""},
    {"m2 empty", "'methodConfig': [{'name': [{'service': 'S', 'method': ''}]}]",
     ""},
    {"m3", "'methodConfig': [{'name': [{}]}]", ""},
    {"m3 null", "'methodConfig': [{'name': [{'service': null}]}]", ""},
    {"m3 empty", "'methodConfig': [{'name': [{'service': ''}]}]", ""},
    {"m4", "'methodConfig': [{'name': [{'method': 'Bar'}]}]",
     "!methodConfig[0].name[0].service"},
    {"m4 empty",
     "'methodConfig': [{'name': [{'service': '', 'method': 'Bar'}]}]",
     "!methodConfig[0].name[0].service"},
    {"m5 one entry",
     "'methodConfig': [{'name': [{'service': 'S'}, {'service': 'S'}]}]",
     "!methodConfig[0].name[1]"},
    {"m5 two entries",
     "'methodConfig': [{'name': [{'service': 'S', 'method': 'M'}]},"
     " {'name': [{'service': 'T'}, {'service': 'S', 'method': 'M'}]}]",
     "!methodConfig[1].name[1]"},
    {"m6 missing", "'methodConfig': [{}]", "?methodConfig[0].name"},
    {"m6 empty", "'methodConfig': [{'name': []}]", "?methodConfig[0].name"},
    {"m7", "'methodConfig': [{'name': [{}]}, {'name': [{'service': ''}]}]",
     "!methodConfig[1].name[0]"},
    {"m8 true", "'methodConfig': [{'name': [{}], 'waitForReady': true}]", ""},
    {"m8 false", "'methodConfig': [{'name': [{}], 'waitForReady': false}]", ""},
    {"m8 text", "'methodConfig': [{'name': [{}], 'waitForReady': 'no'}]",
     "!methodConfig[0].waitForReady"},
    {"m8 bad", "'methodConfig': [{'name': [{}], 'waitForReady': fall}]", "!"},
    {"m9", "'methodConfig': [{'name': [{}], 'timeout': '1s'}]", ""},
    {"m9 unit", "'methodConfig': [{'name': [{}], 'timeout': '3c'}]",
     "!methodConfig[0].timeout"},
    /* It means nothing here, so its value does not matter either. */
    {"m10", "'methodConfig': [{'name': [{}], 'maxRequestMessageBytes': 1024}]",
     "?methodConfig[0].maxRequestMessageBytes"},
    {"m12", "", ""},
    {"m12 empty", "'methodConfig': []", ""},
    {"t11", "'methodConfig': [{'name': [{}], 'retryThrottling': {}}]",
     "!methodConfig[0].retryThrottling"},
    {"gRPC only",
     "'loadBalancingPolicy': 'round_robin', 'loadBalancingConfig': [{}],"
     " 'healthCheckConfig': {'serviceName': 'x'}",
     "?loadBalancingPolicy ?loadBalancingConfig ?healthCheckConfig"},
    /* Not in this version: refused, never passed over. */
    {"later",
     "'breaker': {}, 'http': {}, 'tap': {}, 'tokens': [],"
     " 'methodConfig': [{'name': [{}], 'breaker': {}}]",
     "!breaker !http !tap !tokens !methodConfig[0].breaker"},
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
