/* SPDX-License-Identifier: Apache-2.0 */
/* Shares of tenants that compete for the same places. */
#include "tests/unit/core/books.h"
#include "tests/unit/core/rig.h"

#include <stdio.h>
#include <string.h>

enum { TENANTS = 4, GRANTS = 400 };

static const char *const names[TENANTS] = {"a", "b", "c", "d"};
static struct tenant_policy tenants[TENANTS];

static struct text
text(const char *string)
{
    return (struct text){.at = string, .len = (uint32_t)strlen(string)};
}

/* Tenants a, b, c, d with these weights. */
static void
set_weights(const uint32_t weights[TENANTS])
{
    for (uint32_t i = 0; i < TENANTS; i++) {
        tenants[i] = (struct tenant_policy){.name = text(names[i]),
                                            .weight = weights[i]};
    }
    rig.policy.tenants = tenants;
    rig.policy.tenant_count = TENANTS;
    rig_use_policy();
}

static void
make_room(void)
{
    rig.limits.jobs_max = 4000;
    rig.limits.attempts_max = 4000;
    rig_restart_empty();
}

static uint32_t next_job;

/* Jobs of tenant t have numbers t x 1000 and up. */
static void
submit_for(uint32_t tenant, uint32_t count)
{
    rig.submit.tenant = text(names[tenant]);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(rig_submit(tenant * 1000 + ++next_job % 1000)->status,
                         REDIAL_OK);
    }
}

static uint32_t
tenant_of(struct engine_token token)
{
    return ((uint32_t)token.job.bytes[14] << 8 | token.job.bytes[15]) / 1000;
}

/* Lets `count` more start, and adds up whose they are. */
static void
grant(uint64_t worker, uint32_t count, uint32_t ret_counts[TENANTS])
{
    memset(ret_counts, 0, TENANTS * sizeof(*ret_counts));
    rig_seen();
    rig_poll_acks(worker, count, NULL, 0);
    assert_int_equal(rig.assigned_count, count);
    for (uint32_t i = 0; i < count; i++) {
        ret_counts[tenant_of(rig_token(i))]++;
    }
    rig_poll(worker, 0);
    for (uint32_t i = 0; i < count; i++) {
        rig_succeed(worker, rig_token(i));
    }
}

static void
shares_follow_the_weights(void **state)
{
    static const uint32_t weights[][TENANTS] = {
        {1, 1, 1, 1}, {1, 3, 1, 3}, {1, 2, 3, 4}, {5, 1, 1, 1}};
    uint32_t counts[TENANTS];

    (void)state;
    for (uint32_t w = 0; w < 4; w++) {
        uint32_t sum = 0;

        make_room();
        set_weights(weights[w]);
        next_job = 0;
        for (uint32_t t = 0; t < TENANTS; t++) {
            submit_for(t, 400);
            sum += weights[w][t];
        }
        grant(rig_hello("w", "1", GRANTS), GRANTS, counts);
        for (uint32_t t = 0; t < TENANTS; t++) {
            assert_int_equal(counts[t], GRANTS * weights[w][t] / sum);
        }
        books_check(rig.engine);
    }
}

static void
one_to_three_is_one_to_three_over_400_grants(void **state)
{
    static const uint32_t weights[TENANTS] = {1, 3, 1, 1};
    uint32_t counts[TENANTS];

    (void)state;
    make_room();
    set_weights(weights);
    submit_for(0, 500);
    submit_for(1, 500);
    grant(rig_hello("w", "1", GRANTS), GRANTS, counts);
    assert_int_equal(counts[0], 100);
    assert_int_equal(counts[1], 300);
}

static void
an_idle_tenant_saves_nothing_up(void **state)
{
    static const uint32_t weights[TENANTS] = {1, 5, 1, 1};
    uint32_t counts[TENANTS];

    (void)state;
    make_room();
    set_weights(weights);
    submit_for(0, 900);
    uint64_t worker = rig_hello("w", "1", GRANTS);

    grant(worker, GRANTS, counts);
    assert_int_equal(counts[0], GRANTS);
    next_job = 0;
    submit_for(1, 900);
    /* From now on its share, and at most one quantum more. */
    grant(worker, 12, counts);
    assert_in_range(counts[1], 10, 11);
    grant(worker, 60, counts);
    assert_in_range(counts[1], 49, 51);
}

/* A tenant that has just one job at a time is served within one round. */
static void
a_sparse_tenant_waits_no_longer_than_one_round(void **state)
{
    static const uint32_t weights[TENANTS] = {3, 1, 3, 3};
    uint32_t counts[TENANTS];

    (void)state;
    make_room();
    set_weights(weights);
    next_job = 0;
    submit_for(0, 900);
    next_job = 0;
    submit_for(2, 900);
    next_job = 0;
    uint64_t worker = rig_hello("w", "1", GRANTS);

    for (uint32_t i = 0; i < 20; i++) {
        submit_for(1, 1);
        grant(worker, 7, counts);
        assert_int_equal(counts[1], 1);
    }
}

static void
retries_out_of_turn_are_charged_to_the_share(void **state)
{
    static const uint32_t weights[TENANTS] = {1, 3, 1, 1};
    uint32_t counts[TENANTS];

    (void)state;
    make_room();
    rig_fallback()->retry.max_backoff_ms = 1;
    rig_fallback()->retry.initial_backoff_ms = 1;
    set_weights(weights);
    next_job = 0;
    uint64_t worker = rig_hello("w", "1", GRANTS);

    /* Tenant 0 alone has retries: they get their share out of its own. */
    submit_for(0, 100);
    rig_seen();
    rig_poll_acks(worker, 100, NULL, 0);
    rig_poll(worker, 0);
    for (uint32_t i = 0; i < 100; i++) {
        rig_fail(worker, rig_token(i), REDIAL_UNAVAILABLE, "DOWN");
    }
    rig_advance(1);
    submit_for(0, 400);
    next_job = 0;
    submit_for(1, 600);
    grant(worker, GRANTS, counts);
    assert_in_range(counts[0], 95, 105);
    assert_in_range(counts[1], 295, 305);
    books_check(rig.engine);
}

static void
new_weights_hold_from_the_next_round(void **state)
{
    static const uint32_t before[TENANTS] = {1000, 1, 1, 1};
    static const uint32_t after[TENANTS] = {1, 1, 1, 1};
    uint32_t counts[TENANTS];

    (void)state;
    make_room();
    set_weights(before);
    next_job = 0;
    submit_for(0, 900);
    next_job = 0;
    submit_for(1, 900);
    uint64_t worker = rig_hello("w", "1", GRANTS);

    grant(worker, 10, counts);
    assert_int_equal(counts[0], 10);
    set_weights(after);
    grant(worker, 100, counts);
    assert_in_range(counts[0], 49, 51);
}

static void
a_blocked_tenant_leaves_its_share_to_others_and_gets_no_more_later(void **state)
{
    static const uint32_t weights[TENANTS] = {1, 1, 1, 1};
    uint32_t counts[TENANTS];

    (void)state;
    make_room();
    set_weights(weights);
    tenants[0].limits.concurrency = 10;
    rig_use_policy();
    next_job = 0;
    submit_for(0, 900);
    next_job = 0;
    submit_for(1, 900);
    uint64_t worker = rig_hello("w", "1", GRANTS);

    grant(worker, 100, counts);
    assert_int_equal(counts[0], 10);
    assert_int_equal(counts[1], 90);
    tenants[0].limits.concurrency = 0;
    rig_use_policy();
    grant(worker, 100, counts);
    assert_in_range(counts[0], 49, 51);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(shares_follow_the_weights),
        rig_test(one_to_three_is_one_to_three_over_400_grants),
        rig_test(an_idle_tenant_saves_nothing_up),
        rig_test(a_sparse_tenant_waits_no_longer_than_one_round),
        rig_test(retries_out_of_turn_are_charged_to_the_share),
        rig_test(new_weights_hold_from_the_next_round),
        rig_test(
            a_blocked_tenant_leaves_its_share_to_others_and_gets_no_more_later),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
