/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/core/breaker_box.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct box box;

int
box_setup(void **state)
{
    (void)state;
    memset(&box.breaker, 0, sizeof(box.breaker));
    rng_init(&box.rng, 5);
    box.policy = (struct breaker_policy){
        .window_ms = 30000,
        .calls_min = 20,
        .failure_permille = 500,
        .open_ms = 5000,
        .open_ms_max = 300000,
        .multiplier_milli = 2000,
        .probes = 1,
        .probes_needed = 3,
        .trial_ms = 60000,
        .ramp_ms = 10000,
        .ramp_permille = 100,
        .decay_ms = 30000,
        .hint_ms_max = 60000,
    };
    box.now_ms = 1000000;
    box.moves = 0;
    box.late = 0;
    return 0;
}

struct breaker_moment
box_moment(void)
{
    return (struct breaker_moment){
        .policy = &box.policy, .rng = &box.rng, .now_ms = box.now_ms};
}

void
box_make(struct breaker_move move)
{
    if (move.moves) {
        breaker_apply(&box.breaker, &move, box.now_ms);
        box.last = move;
        box.moves++;
    }
}

enum breaker_answer
box_ask(void)
{
    int64_t until_ms;

    return breaker_ask(&box.breaker, &box.policy, box.now_ms, &until_ms);
}

int64_t
box_refused_until(void)
{
    int64_t until_ms;

    assert_int_equal(
        breaker_ask(&box.breaker, &box.policy, box.now_ms, &until_ms),
        BREAKER_REFUSES);
    return until_ms;
}

struct breaker_permit
box_take(void)
{
    assert_int_not_equal(box_ask(), BREAKER_REFUSES);
    return breaker_take(&box.breaker, &box.policy, box.now_ms);
}

void
box_settle(struct breaker_permit *permit, struct breaker_result result)
{
    bool was_late;

    struct breaker_moment at = box_moment();

    box_make(breaker_settle(&box.breaker, &at, permit, &result, &was_late));
    box.late += was_late;
}

void
box_note_slow(struct breaker_permit *permit)
{
    struct breaker_moment at = box_moment();

    box_make(breaker_note_slow(&box.breaker, &at, permit));
}

void
box_run(int count, struct breaker_result result)
{
    for (int i = 0; i < count; i++) {
        struct breaker_permit permit = box_take();

        box_settle(&permit, result);
    }
}

void
box_pass(int64_t ms)
{
    box.now_ms += ms;
    struct breaker_moment at = box_moment();

    box_make(breaker_due(&box.breaker, &at));
}

void
box_expect(enum breaker_state state)
{
    assert_string_equal(
        breaker_state_name((enum breaker_state)box.breaker.state),
        breaker_state_name(state));
}

void
box_open_it(void)
{
    box_run(20, BAD);
    box_expect(BREAKER_OPEN);
}

void
box_to_half_open(void)
{
    box_open_it();
    box_pass(box.breaker.reopen_ms - box.now_ms);
    box_expect(BREAKER_HALF_OPEN);
}

void
box_to_ramp(void)
{
    box_to_half_open();
    box_run(3, GOOD);
    box_expect(BREAKER_RAMP);
}
