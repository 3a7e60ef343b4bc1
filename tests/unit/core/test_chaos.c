/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inputs at random, sane and mad, in small tables that are full most of the
 * time: after each step the books must balance, and the log must rebuild the
 * state. A seed that fails is printed; run it alone with CHAOS_SEED=n.
 */
#include "server/base/rng.h"
#include "tests/unit/core/books.h"
#include "tests/unit/core/rig.h"

#include <stdlib.h>
#include <string.h>

enum { SEEDS = 200, STEPS = 1500, WORKERS = 6, JOBS = 40, HEALING_MAX = 60 };

static struct rng rng;

/* What a worker believes. */
static struct peer {
    uint64_t id; /* 0: not connected */
    uint32_t instance;
    uint32_t concurrency;
    struct engine_token in_hand[64];
    uint32_t count;
} peers[WORKERS];

static uint32_t next_job;
static uint64_t hedged; /* attempts beside which another was planned */
static uint64_t lost;   /* to another attempt of their job */
static uint64_t throttled;
static uint64_t budgeted; /* refused for want of budget */
static uint64_t parked;   /* by a breaker that was open */
static uint64_t rejected;

static uint32_t
pick(uint32_t bound)
{
    return (uint32_t)rng_below(&rng, bound);
}

static struct text
text(const char *string)
{
    return (struct text){.at = string, .len = (uint32_t)strlen(string)};
}

static const char *const words[] = {"a", "b", "c"};

static void
chaos_submit(void)
{
    struct engine_submit *submit = &rig.submit;

    memset(submit, 0, sizeof(*submit));
    submit->service = text(words[pick(2)]);
    submit->method = text(words[pick(2)]);
    submit->tenant = text(pick(3) == 0 ? "" : words[pick(3)]);
    submit->priority = pick(10);
    submit->idempotency = (enum idempotency)pick(3);
    submit->payload_bytes = pick(2000);
    if (pick(4) == 0) {
        submit->not_before_ms = pick(3000);
    }
    if (pick(3) == 0) {
        submit->deadline_ms = pick(20000);
    }
    if (pick(5) == 0) {
        submit->queue_ttl_ms = pick(10000);
    }
    if (pick(4) == 0) {
        submit->attempt_timeout_ms = 1 + pick(8000);
    }
    submit->max_attempts = pick(4);
    if (pick(3) == 0) {
        submit->correlation = text("a-flow");
    }
    if (pick(4) == 0) {
        submit->key = text("key");
        submit->key_hash[0] = (uint8_t)(1 + pick(20));
        submit->content_hash[0] = (uint8_t)pick(2);
    }
    uint32_t n = pick(next_job);

    /* An id is used for one job only, but its submit may be repeated. */
    rig_submit(rig_is_live(n) && pick(4) == 0 ? n : next_job++);
}

static void
chaos_hello(struct peer *peer)
{
    struct engine_slots slots[2];
    char instance[2] = {(char)('0' + peer->instance % 10), '\0'};
    char name[2] = {(char)('a' + (peer - peers)), '\0'};
    uint32_t listed = pick(4) == 0 ? pick(peer->count + 1) : peer->count;

    peer->concurrency = 1 + pick(6);
    for (uint32_t i = 0; i < 2; i++) {
        slots[i] = (struct engine_slots){
            .service = text(words[pick(2)]),
            .method = text(pick(3) == 0 ? "" : words[pick(2)]),
            .count = pick(4),
        };
    }
    struct engine_input input = {
        .type = ENGINE_HELLO,
        .hello = {.name = text(name),
                  .instance = text(instance),
                  .methods = slots,
                  .method_count = 1 + pick(2),
                  .concurrency = peer->concurrency,
                  .in_hand = peer->in_hand,
                  .in_hand_count = listed},
    };

    rig_step(&input);
    if (rig.out.result.status == REDIAL_OK) {
        peer->id = rig.out.result.worker;
    }
    peer->count = listed;
}

/* Assignments reach their workers, or are lost on the way. */
static void
deliver(void)
{
    uint32_t count = rig.assigned_count;

    for (uint32_t i = 0; i < count && i < RIG_TOKENS_MAX; i++) {
        struct rig_assigned assigned = rig.assigned[i];

        for (uint32_t w = 0; w < WORKERS; w++) {
            struct peer *peer = &peers[w];

            if (peer->id == assigned.worker && peer->count < 64 &&
                pick(10) > 0) {
                peer->in_hand[peer->count++] = assigned.token;
            }
        }
        if (pick(30) == 0) {
            rig_step(&(struct engine_input){.type = ENGINE_UNSENT,
                                            .unsent = assigned.token});
        }
    }
    rig_seen();
}

static void
chaos_poll(struct peer *peer)
{
    uint32_t free = peer->count > peer->concurrency
                        ? 0
                        : peer->concurrency - peer->count;

    rig_poll_acks(peer->id, pick(8) == 0 ? pick(10) : free, peer->in_hand,
                  pick(6) == 0 ? 0 : peer->count);
}

static void
chaos_report(struct peer *peer)
{
    if (peer->count == 0) {
        return;
    }
    uint32_t at = pick(peer->count);
    struct engine_token token = peer->in_hand[at];
    bool again = pick(8) == 0;

    memset(&rig.report, 0, sizeof(rig.report));
    if (pick(20) == 0) {
        token.fence += pick(3);
        token.attempt += pick(2);
    }
    rig.report.has_pushback = pick(6) == 0;
    rig.report.pushback_ms = (int64_t)pick(3000) - 300;
    rig.report.overloaded = pick(15) == 0;
    rig.report.for_target = pick(4) == 0;
    rig.report.result_bytes = pick(2);
    rig.report.text = text("why it went wrong");
    switch (pick(6)) {
    case 0:
    case 1:
        rig_succeed(peer->id, token);
        break;
    case 2:
        rig_report_kind(peer->id, token, REPORT_NOT_STARTED);
        break;
    case 3:
        rig_report_kind(peer->id, token, REPORT_PROGRESS);
        return;
    default:
        rig_fail(peer->id, token, (enum redial_status)(1 + pick(17)),
                 pick(2) == 0 ? "WORD" : "");
        break;
    }
    if (!again) {
        peer->in_hand[at] = peer->in_hand[--peer->count];
    }
}

static void
chaos_gone(struct peer *peer)
{
    enum engine_gone how = (enum engine_gone)pick(3);

    rig_gone(peer->id, how);
    peer->id = 0;
    if (how != ENGINE_GONE_DROPPED || pick(3) == 0) {
        peer->instance++;
        peer->count = 0;
    }
}

static void
chaos_limits(struct limit_policy *limits)
{
    static const uint32_t periods_ms[] = {1000, 60000};

    *limits = (struct limit_policy){
        .concurrency = pick(5),
        .rate = pick(2) == 0 ? 0 : 1 + pick(60),
        .rate_period_ms = periods_ms[pick(2)],
        .burst = pick(4),
        .queue = pick(2) == 0 ? 0 : 1 + pick(20),
    };
}

/* So many by and by that some must be forgotten. */
static const char *const targets[] = {"",   "a",  "b",  "t0", "t1", "t2", "t3",
                                      "t4", "t5", "t6", "t7", "t8", "t9"};

static void
chaos_target(struct target_policy *policy)
{
    policy->has_throttle = pick(3) == 0;
    policy->tokens_max_milli = 1000 * (1 + pick(20));
    policy->tokens_ok_milli = 1 + pick(2000);
    policy->has_budget = pick(3) == 0;
    policy->budget_ratio_milli = pick(3000);
    policy->budget_floor = pick(4);
    policy->budget_window_ms = 1000 * (1 + pick(60));
}

/* Half of the time there is none. */
static void
chaos_breaker(struct target_policy *policy)
{
    policy->has_breaker = pick(2) == 0;
    policy->failure_codes = pick(4) == 0 ? ~1u : 1u << REDIAL_UNAVAILABLE;
    policy->parked_max = pick(2) == 0 ? 0 : 1 + pick(20);
    policy->breaker = (struct breaker_policy){
        .window_ms = 100 + pick(20000),
        .calls_min = 1 + pick(10),
        .failure_permille = pick(1000),
        .slow_permille = pick(2) == 0 ? 0 : pick(1000),
        .slow_ms = pick(3) == 0 ? 0 : 1 + pick(3000),
        .consecutive = pick(5),
        .open_ms = 1 + pick(5000),
        .open_ms_max = 10000,
        .multiplier_milli = 1000 + pick(2000),
        .jitter_permille = pick(500),
        .probes = 1 + pick(3),
        .probes_needed = 1 + pick(4),
        .probe_failures = pick(2),
        .trial_ms = 1 + pick(20000),
        .ramp_ms = pick(3) == 0 ? 0 : pick(5000),
        .ramp_permille = pick(1000),
        .decay_ms = pick(20000),
        .hint_ms_max = pick(2) == 0 ? 0 : pick(20000),
        .metrics_only = pick(8) == 0,
        .disabled = pick(8) == 0,
    };
}

static void
act_on(struct text target, enum engine_breaker_act act, const char *holder,
       uint64_t expiry_ms)
{
    rig_step(&(struct engine_input){
        .type = ENGINE_BREAKER,
        .breaker = {.target = target,
                    .act = act,
                    .holder = text(holder),
                    .reason = text("chaos"),
                    .expiry_ms = expiry_ms},
    });
}

static void
chaos_operator(void)
{
    act_on(text(targets[1 + pick(4)]), (enum engine_breaker_act)pick(3),
           words[pick(3)], pick(2) == 0 ? 0 : 1 + pick(5000));
}

static void
chaos_policy(void)
{
    static const uint32_t default_codes = 1u << REDIAL_UNAVAILABLE |
                                          1u << REDIAL_DEADLINE_EXCEEDED;
    struct method_policy *fallback = rig_fallback();

    chaos_limits(&fallback->limits);
    chaos_limits(&rig.policy.tenant_fallback.limits);
    rig.policy.tenant_fallback.weight = 1 + pick(4);
    fallback->wait_for_ready = pick(4) > 0;
    fallback->retry.jitter = (enum jitter)pick(5);
    fallback->retry.max_attempts = 1 + pick(6);
    fallback->retry.initial_backoff_ms = 1 + pick(2000);
    fallback->retry.free_attempts_max = 1 + pick(5);
    fallback->retry_indeterminate = pick(2) == 0;
    fallback->attempt_timeout_ms = 1 + pick(9000);
    fallback->deadline_ms = pick(3) == 0 ? pick(30000) : 0;
    fallback->retry.retryable_codes = pick(2) == 0 ? default_codes : ~1u;
    fallback->hedged = pick(3) > 0;
    fallback->hedging_delay_ms = pick(3) == 0 ? 0 : pick(2000);
    fallback->idempotency = (enum idempotency)pick(3);
    chaos_target(&rig.policy.target_fallback);
    chaos_breaker(&rig.policy.target_fallback);
    fallback->reject_when_open = pick(4) == 0;
    fallback->target = text(targets[pick(sizeof(targets) / sizeof(*targets))]);
    rig.policy.retries_off = pick(10) == 0;
    rig.policy.version++;
    rig_use_policy();
}

/* The engine's own count starts again with each engine. */
static void
count_hedges(void)
{
    struct engine_stats stats;

    engine_stats(rig.engine, rig.now, &stats);
    hedged += stats.rules[RULE_HEDGE_PLANNED];
    lost += stats.rules[RULE_HEDGE_LOST];
    throttled += stats.rules[RULE_THROTTLED];
    budgeted += stats.rules[RULE_BUDGET_EXHAUSTED];
    parked += stats.rules[RULE_BREAKER_OPEN];
    rejected += stats.rules[RULE_BREAKER_REJECTED];
}

static void
chaos_restart(void)
{
    count_hedges();
    rig.now.mono.ms += pick(2000);
    rig.now.wall.ms += (int64_t)pick(20000) - 5000;
    rig_restart();
    for (uint32_t i = 0; i < WORKERS; i++) {
        peers[i].id = 0;
    }
}

static void
chaos_step(void)
{
    struct peer *peer = &peers[pick(WORKERS)];
    uint32_t what = pick(100);

    if (what < 25) {
        chaos_submit();
    } else if (what < 28) {
        rig_cancel(pick(next_job));
    } else if (what < 45) {
        rig_advance(pick(10) == 0 ? pick(15000) : pick(300));
    } else if (what < 47) {
        chaos_policy();
    } else if (what == 47 && pick(4) == 0) {
        chaos_restart();
    } else if (what == 48) {
        rig_tick();
    } else if (what == 49) {
        chaos_operator();
    } else if (peer->id == 0) {
        chaos_hello(peer);
    } else if (what < 60) {
        chaos_poll(peer);
    } else if (what < 94) {
        chaos_report(peer);
    } else if (what < 96) {
        rig_heartbeat(peer->id);
    } else if (what < 97) {
        chaos_hello(peer);
    } else {
        chaos_gone(peer);
    }
}

/* Cancels something that lives, so that not all cancels miss. */
static void
cancel_one(void)
{
    uint32_t slot = engine_next_job(rig.engine, ENGINE_NO_SLOT);
    char scratch[ENGINE_VIEW_BYTES];
    struct job_view view;

    if (slot == ENGINE_NO_SLOT) {
        return;
    }
    struct engine_input input = {.type = ENGINE_CANCEL};

    assert_true(engine_view(rig.engine, slot, scratch, &view));
    input.cancel.id = view.id;
    rig_step(&input);
}

/* One worker for all, which does what it is given at once. */
static uint64_t
join_healer(void)
{
    struct engine_slots slots[2] = {{.service = text("a")},
                                    {.service = text("b")}};
    struct engine_input input = {
        .type = ENGINE_HELLO,
        .hello = {.name = text("healer"),
                  .instance = text("1"),
                  .methods = slots,
                  .method_count = 2,
                  .concurrency = 64},
    };

    rig_step(&input);
    assert_int_equal(rig.out.result.status, REDIAL_OK);
    return rig.out.result.worker;
}

/* A breaker may wait for a probe for ever, and an operator for himself. */
static void
close_all(void)
{
    struct engine_breaker_stats stats;

    for (uint32_t i = 0; engine_breaker_stats(rig.engine, rig.now, i, &stats);
         i++) {
        char name[128];
        struct text target = {.at = name, .len = stats.target.len};

        memcpy(name, stats.target.at, target.len);
        for (uint32_t w = 0; w < 3; w++) {
            act_on(target, ENGINE_BREAKER_CLOSE, words[w], 0);
        }
        act_on(target, ENGINE_BREAKER_RESET, "", 0);
    }
}

/* All is well again: whatever was accepted ends. */
static void
make_well(void)
{
    for (uint32_t i = 0; i < WORKERS; i++) {
        rig_gone(peers[i].id, ENGINE_GONE_GOODBYE);
    }
    rig_fallback()->limits = (struct limit_policy){0};
    rig.policy.tenant_fallback.limits = (struct limit_policy){0};
    rig_use_policy();
    rig_seen();
    uint64_t healer = join_healer();

    close_all();

    for (uint32_t i = 0; i < HEALING_MAX; i++) {
        rig_poll(healer, 64);
        for (uint32_t k = 0; k < rig.assigned_count; k++) {
            rig_succeed(healer, rig.assigned[k].token);
        }
        rig_seen();
        rig_advance(2000);
        books_check(rig.engine);
        if (engine_next_job(rig.engine, ENGINE_NO_SLOT) == ENGINE_NO_SLOT) {
            return;
        }
    }
    fail_msg("something waits for ever");
}

static void
run_seed(uint64_t seed)
{
    rng_init(&rng, seed);
    memset(peers, 0, sizeof(peers));
    next_job = 1;
    for (uint32_t i = 0; i < STEPS; i++) {
        chaos_step();
        if (pick(50) == 0) {
            cancel_one();
        }
        deliver();
        books_check(rig.engine);
        if (i % 250 == 0) {
            rig_check_replay();
        }
    }
    make_well();
}

static void
the_books_balance_whatever_comes(void **state)
{
    const char *only = getenv("CHAOS_SEED");
    uint64_t from = only != NULL ? strtoull(only, NULL, 10) : 1;
    uint64_t to = only != NULL ? from : SEEDS;

    for (uint64_t seed = from; seed <= to; seed++) {
        rig.limits.jobs_max = JOBS;
        rig.limits.attempts_max = 24;
        rig.limits.workers_max = 4;
        rig.limits.methods_max = 3;
        rig.limits.tenants_max = 3;
        rig_restart_empty();
        print_message("seed %llu\n", (unsigned long long)seed);
        run_seed(seed);
        count_hedges();
        rig_teardown(state);
        rig_setup(state);
    }
    print_message(
        "%llu hedged, %llu lost, %llu throttled, %llu out of budget\n",
        (unsigned long long)hedged, (unsigned long long)lost,
        (unsigned long long)throttled, (unsigned long long)budgeted);
    print_message("%llu parked, %llu rejected\n", (unsigned long long)parked,
                  (unsigned long long)rejected);
    assert_true(only != NULL ||
                (hedged > 1000 && lost > 50 && throttled > 100 &&
                 budgeted > 100 && parked > 100 && rejected > 10));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        rig_test(the_books_balance_whatever_comes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
