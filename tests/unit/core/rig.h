/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An engine on the bench: a clock that only tests move, a seeded generator, and
 * a log of all that came out. Each test ends with a proof that the log (through
 * the codec), and the log on top of stale rows, rebuild the same state.
 *
 * Jobs are named by small numbers: job n has the id whose last bytes are n.
 */
#ifndef REDIAL_TESTS_UNIT_CORE_RIG_H
#define REDIAL_TESTS_UNIT_CORE_RIG_H

#include "server/core/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { RIG_TOKENS_MAX = 4096, RIG_POLICIES_MAX = 8, RIG_TARGETS_MAX = 64 };

/* One assignment as it was handed out. */
struct rig_assigned {
    struct engine_token token;
    uint64_t worker;
    uint64_t timeout_ms;
    uint64_t remaining_ms;
    uint32_t charged_before;
};

struct rig {
    struct engine_limits limits; /* change, then rig_restart_empty() */
    struct policy_set policy;
    struct method_policy methods[RIG_POLICIES_MAX];
    struct target_policy targets[RIG_POLICIES_MAX];
    struct now now;
    struct engine *engine;
    struct engine_outbox out; /* of the last step */

    struct engine_submit submit; /* template of rig_submit() */
    struct engine_report report; /* template of rig_fail() */

    struct rig_assigned assigned[RIG_TOKENS_MAX]; /* since rig_seen() */
    uint32_t assigned_count;
    struct engine_command stops[RIG_TOKENS_MAX];
    uint32_t stop_count;
    uint32_t released[RIG_TOKENS_MAX]; /* slots */
    uint32_t release_count;
    uint64_t forgotten; /* the last worker id that was voided */

    char trace[65536]; /* event names since rig_seen(), each with a space */
    size_t trace_len;
    struct record last[128]; /* by event type; texts in last_texts */
    char last_texts[128][4096];

    uint8_t *log; /* all records: length, bytes */
    size_t log_len;
    size_t log_max;
    struct rig_row *rows; /* stale rows by slot */
    uint64_t steps;
};

extern struct rig rig;

/* cmocka setup and teardown; the teardown checks the replay. */
int
rig_setup(void **state);

int
rig_teardown(void **state);

/* A new engine with rig.limits and rig.policy; forgets everything. */
void
rig_restart_empty(void);

/* A new engine out of the log, as after a crash; recovers at rig.now. */
void
rig_restart(void);

/* The fallback policy, to be changed before use; then rig_use_policy(). */
struct method_policy *
rig_fallback(void);

void
rig_use_policy(void);

struct job_id
rig_id(uint32_t n);

void
rig_step(const struct engine_input *input);

void
rig_tick(void);

/* Moves the clock, ticking at every wake on the way and at the end. */
void
rig_advance(int64_t ms);

/* Submits job n after the template; returns the result. */
const struct engine_result *
rig_submit(uint32_t n);

const struct engine_result *
rig_cancel(uint32_t n);

/* A worker "name/instance" for s/m with `concurrency`; returns its id. */
uint64_t
rig_hello(const char *name, const char *instance, uint32_t concurrency);

/* The same with tokens in hand. */
uint64_t
rig_hello_with(const char *name, const char *instance, uint32_t concurrency,
               const struct engine_token *in_hand, size_t count);

/* All that it was assigned is acknowledged; this much is free. */
void
rig_poll(uint64_t worker, uint32_t free_total);

/* The same, acknowledging just these. */
void
rig_poll_acks(uint64_t worker, uint32_t free_total,
              const struct engine_token *acks, size_t count);

void
rig_heartbeat(uint64_t worker);

void
rig_gone(uint64_t worker, enum engine_gone how);

/* Reports on the token; returns the result. */
const struct engine_result *
rig_succeed(uint64_t worker, struct engine_token token);

const struct engine_result *
rig_fail(uint64_t worker, struct engine_token token, enum redial_status code,
         const char *reason);

const struct engine_result *
rig_report_kind(uint64_t worker, struct engine_token token,
                enum report_kind kind);

/* The i-th assignment since rig_seen(). */
struct engine_token
rig_token(uint32_t i);

/* The last assignment of job n. */
struct engine_token
rig_token_of(uint32_t n);

/* Forgets trace, assignments, stops and releases. */
void
rig_seen(void);

/* The events since rig_seen(), "job.accepted attempt.started"; then forgets. */
#define rig_expect(events) rig_expect_at(events, __FILE__, __LINE__)

void
rig_expect_at(const char *events, const char *file, int line);

/* The last record of this type; fails when there was none since rig_seen(). */
const struct record *
rig_record(enum event_type type);

struct job_view
rig_view(uint32_t n);

/* The target of this name; fails when there is none. */
struct engine_target_stats
rig_target(const char *name);

bool
rig_is_live(uint32_t n);

#define rig_assert_text(text_, string_)                        \
    do {                                                       \
        assert_int_equal((text_).len, strlen(string_));        \
        assert_memory_equal((text_).at, string_, (text_).len); \
    } while (0)

/* Field by field: a token has padding. */
#define rig_assert_token(a, b)                                    \
    do {                                                          \
        assert_memory_equal(&(a).job, &(b).job, sizeof((a).job)); \
        assert_int_equal((a).attempt, (b).attempt);               \
        assert_int_equal((a).fence, (b).fence);                   \
    } while (0)

/* Proves that the log rebuilds the state; every teardown does. */
void
rig_check_replay(void);

#define rig_test(name) \
    cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

#endif
