/* SPDX-License-Identifier: Apache-2.0 */
/* How much a worker gets: never more than it said it can take. */
#include "tests/unit/core/rig.h"

#include <string.h>

static struct text
text(const char *string)
{
    return (struct text){.at = string, .len = (uint32_t)strlen(string)};
}

static uint32_t
number_of(struct engine_token token)
{
    return (uint32_t)token.job.bytes[14] << 8 | token.job.bytes[15];
}

/* A slow start: jobs wait until there is a worker with that many places. */
static uint64_t
join(uint32_t concurrency)
{
    return rig_hello("w", "1", concurrency);
}

static uint64_t
hello_offers(const char *instance, const struct engine_slots *slots,
             size_t count)
{
    struct engine_input input = {
        .type = ENGINE_HELLO,
        .hello = {.name = text("w"),
                  .instance = text(instance),
                  .methods = slots,
                  .method_count = count,
                  .concurrency = 10},
    };

    rig_step(&input);
    return rig.out.result.worker;
}

static void
poll_credits(uint64_t worker, uint32_t total, const struct engine_slots *slots,
             size_t count)
{
    struct engine_input input = {
        .type = ENGINE_POLL,
        .poll = {.worker = worker,
                 .free_total = total,
                 .credits = slots,
                 .credit_count = count},
    };

    rig_step(&input);
}

static void
submit_to(const char *method, uint32_t n)
{
    rig.submit.method = text(method);
    rig_submit(n);
}

static void
credits_are_absolute(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 20; n++) {
        rig_submit(n);
    }
    uint64_t worker = join(10);

    rig_expect("job.accepted job.accepted job.accepted job.accepted "
               "job.accepted job.accepted job.accepted job.accepted "
               "job.accepted job.accepted job.accepted job.accepted "
               "job.accepted job.accepted job.accepted job.accepted "
               "job.accepted job.accepted job.accepted job.accepted "
               "worker.joined");
    rig_seen();
    rig_poll_acks(worker, 4, NULL, 0);
    assert_int_equal(rig.assigned_count, 4);
    /* The same again, before the four arrived: nothing more. */
    rig_poll_acks(worker, 4, NULL, 0);
    assert_int_equal(rig.assigned_count, 4);
    rig_poll_acks(worker, 5, NULL, 0);
    assert_int_equal(rig.assigned_count, 5);
    /* Two are acknowledged: the three others still count. */
    struct engine_token acks[2] = {rig_token(0), rig_token(1)};

    rig_poll_acks(worker, 4, acks, 2);
    assert_int_equal(rig.assigned_count, 6);
    rig_poll_acks(worker, 0, NULL, 0);
    rig_succeed(worker, rig_token(0));
    assert_int_equal(rig.assigned_count, 6);
}

static void
a_report_is_no_acknowledgement_of_credit(void **state)
{
    (void)state;
    uint64_t worker = join(2);

    rig_poll(worker, 1);
    rig_submit(1);
    rig_submit(2);
    assert_int_equal(rig.assigned_count, 1);
    rig_report_kind(worker, rig_token(0), REPORT_PROGRESS);
    assert_int_equal(rig.assigned_count, 1);
}

static void
no_worker_gets_more_than_its_concurrency(void **state)
{
    (void)state;
    struct engine_slots slots = {.service = text("s"), .method = text("m")};
    uint64_t worker = hello_offers("1", &slots, 1);

    for (uint32_t n = 1; n <= 15; n++) {
        rig_submit(n);
    }
    rig_seen();
    rig_poll_acks(worker, 100, NULL, 0);
    assert_int_equal(rig.assigned_count, 10);
}

static void
each_method_has_credit_of_its_own(void **state)
{
    (void)state;
    struct engine_slots slots[2] = {
        {.service = text("s"), .method = text("a"), .count = 5},
        {.service = text("s"), .method = text("b"), .count = 5},
    };
    uint64_t worker = hello_offers("1", slots, 2);

    for (uint32_t n = 1; n <= 5; n++) {
        submit_to("a", n);
        submit_to("b", 100 + n);
    }
    slots[0].count = 2;
    slots[1].count = 1;
    rig_seen();
    poll_credits(worker, 10, slots, 2);
    assert_int_equal(rig.assigned_count, 3);
    uint32_t of_b = 0;

    for (uint32_t i = 0; i < 3; i++) {
        of_b += number_of(rig_token(i)) > 100;
    }
    assert_int_equal(of_b, 1);
    /* In another order, and one of them not named: that one has none. */
    slots[0] = slots[1];
    slots[0].count = 3;
    poll_credits(worker, 10, slots, 1);
    assert_int_equal(rig.assigned_count, 5);
    slots[0].method = text("unknown");
    poll_credits(worker, 10, slots, 1);
    assert_int_equal(rig.assigned_count, 5);
}

static void
an_offer_keeps_to_its_concurrency(void **state)
{
    (void)state;
    struct engine_slots slots[2] = {
        {.service = text("s"), .method = text("a"), .count = 2},
        {.service = text("s"), .method = text("a"), .count = 9},
    };
    uint64_t worker = hello_offers("1", slots, 2);

    for (uint32_t n = 1; n <= 5; n++) {
        submit_to("a", n);
    }
    rig_seen();
    poll_credits(worker, 10, NULL, 0);
    assert_int_equal(rig.assigned_count, 2);
}

static void
an_empty_method_means_the_whole_service(void **state)
{
    (void)state;
    struct engine_slots slots = {.service = text("s")};
    uint64_t worker = hello_offers("1", &slots, 1);

    poll_credits(worker, 10, NULL, 0);
    rig_seen();
    submit_to("a", 1);
    submit_to("b", 2);
    rig.submit.service = text("other");
    submit_to("a", 3);
    assert_int_equal(rig.assigned_count, 2);
    struct engine_method_stats stats;

    assert_true(engine_method_stats(rig.engine, rig.now, 0, &stats));
    assert_int_equal(stats.workers, 1);
    assert_int_equal(stats.running, 1);
    assert_false(engine_method_stats(rig.engine, rig.now, 99, &stats));
}

static void
starved_methods_of_a_service_all_get_their_turn(void **state)
{
    (void)state;
    struct engine_slots slots = {.service = text("s")};

    for (uint32_t n = 0; n < 4; n++) {
        char method[2] = {(char)('a' + n), '\0'};

        submit_to(method, 10 * n + 1);
        submit_to(method, 10 * n + 2);
    }
    uint64_t worker = hello_offers("1", &slots, 1);
    bool seen[4] = {false};

    rig_seen();
    for (uint32_t i = 0; i < 4; i++) {
        poll_credits(worker, 1 + i, NULL, 0);
        assert_int_equal(rig.assigned_count, i + 1);
        seen[number_of(rig_token(i)) / 10] = true;
    }
    assert_true(seen[0] && seen[1] && seen[2] && seen[3]);
}

static void
methods_share_the_workers_total(void **state)
{
    (void)state;
    struct engine_slots slots[2] = {
        {.service = text("s"), .method = text("a"), .count = 5},
        {.service = text("s"), .method = text("b"), .count = 5},
    };
    uint64_t worker = hello_offers("1", slots, 2);

    for (uint32_t n = 1; n <= 5; n++) {
        submit_to("a", n);
        submit_to("b", 100 + n);
    }
    rig_seen();
    poll_credits(worker, 3, slots, 2);
    assert_int_equal(rig.assigned_count, 3);
}

static void
attempts_are_bounded(void **state)
{
    (void)state;
    rig.limits.attempts_max = 4;
    rig_restart_empty();
    uint64_t worker = join(10);

    rig_poll(worker, 10);
    for (uint32_t n = 1; n <= 6; n++) {
        rig_submit(n);
    }
    assert_int_equal(rig.assigned_count, 4);
    rig_succeed(worker, rig_token(0));
    assert_int_equal(rig.assigned_count, 5);
}

static void
acknowledgements_of_others_do_not_count(void **state)
{
    (void)state;
    uint64_t first = rig_hello("w", "1", 2);

    rig_poll(first, 2);
    rig_submit(1);
    rig_submit(2);
    struct engine_token tokens[3] = {rig_token(0), rig_token(1), rig_token(0)};
    uint64_t second = rig_hello("w", "2", 1);

    tokens[2].job = rig_id(99);
    rig_poll_acks(second, 0, tokens, 3);
    rig_submit(3);
    /* Nobody has acknowledged: two of two places are still taken. */
    rig_poll_acks(first, 2, NULL, 0);
    assert_int_equal(rig.assigned_count, 2);
    rig_poll_acks(first, 1, tokens, 1);
    assert_int_equal(rig.assigned_count, 2);
    rig_succeed(first, tokens[0]);
    rig_poll_acks(first, 1, tokens, 2);
    assert_int_equal(rig.assigned_count, 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(credits_are_absolute),
        rig_test(a_report_is_no_acknowledgement_of_credit),
        rig_test(no_worker_gets_more_than_its_concurrency),
        rig_test(each_method_has_credit_of_its_own),
        rig_test(an_offer_keeps_to_its_concurrency),
        rig_test(an_empty_method_means_the_whole_service),
        rig_test(starved_methods_of_a_service_all_get_their_turn),
        rig_test(methods_share_the_workers_total),
        rig_test(attempts_are_bounded),
        rig_test(acknowledgements_of_others_do_not_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
