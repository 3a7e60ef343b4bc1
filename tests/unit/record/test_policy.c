/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct text
text_of(const char *string)
{
    return (struct text){string, (uint32_t)strlen(string)};
}

static struct method_policy
row(const char *service, const char *method, uint32_t concurrency)
{
    return (struct method_policy){
        .service = text_of(service),
        .method = text_of(method),
        .limits.concurrency = concurrency,
    };
}

static uint32_t
found(const struct policy_set *set, const char *service, const char *method)
{
    return policy_find(set, text_of(service), text_of(method))
        ->limits.concurrency;
}

static void
names_are_ordered_by_service_then_method(void **state)
{
    static const char *const names[][2] = {
        {"", ""},   {"", "m"},  {"a", ""},  {"a", "m"},
        {"a", "n"}, {"aa", ""}, {"b", "a"}, {"b", "aa"},
    };

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        for (size_t k = 0; k < 8; k++) {
            int order = policy_order(text_of(names[i][0]), text_of(names[i][1]),
                                     text_of(names[k][0]),
                                     text_of(names[k][1]));

            assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
        }
    }
}

static void
a_method_wins_over_its_service_and_that_over_the_default(void **state)
{
    const struct method_policy rows[] = {
        row("image", "", 1),
        row("image", "generate", 2),
        row("voice", "say", 3),
    };
    const struct policy_set set = {
        .methods = rows,
        .method_count = 3,
        .fallback = {.limits.concurrency = 9},
    };

    (void)state;
    assert_int_equal(found(&set, "image", "generate"), 2);
    assert_int_equal(found(&set, "image", "resize"), 1);
    assert_int_equal(found(&set, "image", ""), 1);
    assert_int_equal(found(&set, "voice", "say"), 3);
    assert_int_equal(found(&set, "voice", "sing"), 9);
    assert_int_equal(found(&set, "video", "cut"), 9);
    assert_int_equal(found(&set, "", ""), 9);
}

static void
every_row_of_a_large_set_is_found(void **state)
{
    enum { ROWS = 101 };
    static char names[ROWS][8];
    static struct method_policy rows[ROWS];
    struct policy_set set = {.methods = rows,
                             .fallback = {.limits.concurrency = 999}};

    (void)state;
    for (uint32_t i = 0; i < ROWS; i++) {
        names[i][0] = (char)('a' + i / 26);
        names[i][1] = (char)('a' + i % 26);
        rows[i] = row(names[i], "", i);
    }
    for (uint32_t count = 0; count <= ROWS; count++) {
        set.method_count = count;
        for (uint32_t i = 0; i < ROWS; i++) {
            assert_int_equal(found(&set, names[i], "x"), i < count ? i : 999);
        }
    }
}

static void
the_default_policy_is_the_documented_one(void **state)
{
    struct policy_set set;

    (void)state;
    policy_set_default(&set);
    const struct method_policy *policy = policy_find(&set, text_of("any"),
                                                     text_of("thing"));

    assert_ptr_equal(policy, &set.fallback);
    assert_int_equal(policy->retry.max_attempts, 3);
    assert_int_equal(policy->retry.initial_backoff_ms, 1000);
    assert_int_equal(policy->retry.max_backoff_ms, 60000);
    assert_true(policy->retry.backoff_multiplier > 1.99 &&
                policy->retry.backoff_multiplier < 2.01);
    assert_int_equal(policy->retry.jitter, JITTER_DEFAULT);
    assert_int_equal(policy->retry.retryable_codes,
                     1u << 14 | 1u << 4 | 1u << 8 | 1u << 10);
    assert_int_equal(policy->retry.max_pushback_ms, 3600000);
    assert_int_equal(policy->retry.free_attempts_max, 100);
    assert_int_equal(policy->retry.non_retryable_reason_count, 0);
    assert_int_equal(policy->retry.retryable_reason_count, 0);
    assert_int_equal(policy->attempt_timeout_ms, 600000);
    assert_int_equal(policy->deadline_ms, 0);
    assert_int_equal(policy->limits.concurrency, 0);
    assert_true(policy->wait_for_ready);
    assert_int_equal(policy->idempotency, IDEMPOTENCY_UNSET);
    assert_false(policy->retry_indeterminate);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_ordered_by_service_then_method),
        cmocka_unit_test(
            a_method_wins_over_its_service_and_that_over_the_default),
        cmocka_unit_test(every_row_of_a_large_set_is_found),
        cmocka_unit_test(the_default_policy_is_the_documented_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
