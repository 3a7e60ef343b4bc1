/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/breaker.h"

#include "server/base/check.h"
#include "server/core/breaker_window.h"

#include <stddef.h>

enum { PERMILLE = 1000 };

/* Waits are kept far from where sums overflow. */
static const uint64_t open_ms_limit = UINT64_C(10000000000);

static const char *const cause_names[] = {
#define BREAKER_CAUSE(name, number, sentence) [number] = #name,
    BREAKER_CAUSES(BREAKER_CAUSE)
#undef BREAKER_CAUSE
};

static const char *const cause_sentences[] = {
#define BREAKER_CAUSE(name, number, sentence) [number] = (sentence),
    BREAKER_CAUSES(BREAKER_CAUSE)
#undef BREAKER_CAUSE
};

const char *
breaker_cause_name(enum breaker_cause cause)
{
    redial_assert((size_t)cause < sizeof(cause_names) / sizeof(cause_names[0]));
    return cause_names[cause];
}

const char *
breaker_cause_sentence(enum breaker_cause cause)
{
    redial_assert((size_t)cause < sizeof(cause_names) / sizeof(cause_names[0]));
    return cause_sentences[cause];
}

const char *
breaker_state_name(enum breaker_state state)
{
    switch (state) {
    case BREAKER_CLOSED:
        return "CLOSED";
    case BREAKER_OPEN:
        return "OPEN";
    case BREAKER_HALF_OPEN:
        return "HALF_OPEN";
    case BREAKER_RAMP:
        return "RAMP";
    }
    redial_unreachable();
}

static uint32_t
greater(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* ---- Moves ------------------------------------------------------------- */

uint32_t
breaker_step_now(const struct breaker *breaker,
                 const struct breaker_policy *policy, int64_t now_ms)
{
    if (breaker->state != BREAKER_CLOSED || policy->decay_ms == 0) {
        return breaker->step;
    }
    int64_t healthy_ms = now_ms - breaker->since_ms;
    int64_t gone = healthy_ms > 0 ? healthy_ms / policy->decay_ms : 0;

    return gone >= breaker->step ? 0 : breaker->step - (uint32_t)gone;
}

/* min(base * multiplier^(step-1), max), without overflow. */
uint64_t
breaker_open_ms(const struct breaker_policy *policy, uint32_t step)
{
    uint64_t most_ms = greater(policy->open_ms_max, policy->open_ms);
    uint64_t open_ms = policy->open_ms;

    for (uint32_t i = 1; i < step && open_ms < most_ms; i++) {
        open_ms = open_ms * policy->multiplier_milli / PERMILLE;
    }
    return open_ms < most_ms ? open_ms : most_ms;
}

static struct breaker_move
begin(const struct breaker *breaker, enum breaker_state to,
      enum breaker_cause cause)
{
    return (struct breaker_move){
        .moves = true,
        .from = (enum breaker_state)breaker->state,
        .to = to,
        .cause = cause,
        .epoch = breaker->epoch + 1,
        .step = breaker->step,
        .forced = breaker->forced,
        .load = breaker->load,
        .sum = breaker->sum,
        .in_a_row = breaker->in_a_row,
    };
}

/* What ran at once before: the measure of the way back. */
static uint32_t
load_now(const struct breaker *breaker)
{
    uint32_t load = greater(breaker->most, breaker->most_before);

    return breaker->state == BREAKER_CLOSED ? load
                                            : greater(load, breaker->load);
}

/* To OPEN; `hint_ms` is what a worker asked for at least. */
static struct breaker_move
open_up(const struct breaker *breaker, const struct breaker_moment *moment,
        enum breaker_cause cause, uint32_t step, uint64_t hint_ms)
{
    const struct breaker_policy *policy = moment->policy;
    struct breaker_move move = begin(breaker, BREAKER_OPEN, cause);
    uint64_t open_ms = breaker_open_ms(policy, step);
    uint64_t spread_ms = open_ms * policy->jitter_permille / PERMILLE;
    uint64_t drawn_ms = rng_below(moment->rng, spread_ms + 1);

    move.step = step;
    move.load = load_now(breaker);
    move.jitter_permille = open_ms == 0
                               ? 0
                               : (uint32_t)(drawn_ms * PERMILLE / open_ms);
    open_ms += drawn_ms;
    move.open_ms = hint_ms > open_ms ? hint_ms : open_ms;
    if (move.open_ms > open_ms_limit) {
        move.open_ms = open_ms_limit;
    }
    return move;
}

static uint32_t
next_step(const struct breaker *breaker, const struct breaker_moment *moment)
{
    uint32_t step = breaker_step_now(breaker, moment->policy, moment->now_ms);

    return step < BREAKER_STEPS_MAX ? step + 1 : step;
}

void
breaker_apply(struct breaker *breaker, const struct breaker_move *move,
              int64_t now_ms)
{
    redial_assert(move->moves &&
                  move->from == (enum breaker_state)breaker->state);
    bool same_run = breaker->state == BREAKER_RAMP &&
                    move->to == BREAKER_CLOSED && move->epoch == breaker->epoch;

    breaker->state = (uint8_t)move->to;
    breaker->epoch = move->epoch;
    breaker->step = (uint8_t)move->step;
    breaker->forced = move->forced;
    breaker->load = move->load;
    breaker->since_ms = now_ms;
    breaker->reopen_ms = move->to == BREAKER_OPEN
                             ? now_ms + (int64_t)move->open_ms
                             : 0;
    if (same_run) {
        return; /* what was counted in the ramp goes on counting */
    }
    breaker->probes_good = 0;
    breaker->probes_bad = 0;
    breaker->probes_out = 0;
    breaker->trial_until_ms = 0;
    for (int i = 0; i < BREAKER_PROBES_MAX; i++) {
        breaker->probe_ids[i] = 0;
    }
    window_forget(breaker);
}

/* ---- Permits ----------------------------------------------------------- */

static bool
probe_is_free(const struct breaker *breaker,
              const struct breaker_policy *policy)
{
    uint32_t out = breaker->probes_out;

    return out < policy->probes && out < BREAKER_PROBES_MAX &&
           breaker->probes_good + out < policy->probes_needed;
}

/* Attempts that the ramp lets run at once by now: from a part up to the load */
static uint32_t
ramp_limit(const struct breaker *breaker, const struct breaker_policy *policy,
           int64_t now_ms)
{
    uint64_t passed_ms = now_ms > breaker->since_ms
                             ? (uint64_t)(now_ms - breaker->since_ms)
                             : 0;

    if (passed_ms >= policy->ramp_ms) {
        return UINT32_MAX;
    }
    uint64_t from = policy->ramp_permille < PERMILLE ? policy->ramp_permille
                                                     : PERMILLE;
    uint64_t share = from + (PERMILLE - from) * passed_ms / policy->ramp_ms;
    uint64_t limit = (breaker->load * share + PERMILLE - 1) / PERMILLE;

    return limit > policy->probes ? (uint32_t)limit
                                  : greater(policy->probes, 1);
}

uint32_t
breaker_limit(const struct breaker *breaker,
              const struct breaker_policy *policy, int64_t now_ms)
{
    uint32_t limit = UINT32_MAX;

    if (breaker->state == BREAKER_RAMP && !breaker->forced) {
        limit = ramp_limit(breaker, policy, now_ms);
    }
    return limit == UINT32_MAX ? 0 : limit;
}

/* When the ramp lets one more run than now; it is over by its end. */
static int64_t
ramp_grows_ms(const struct breaker *breaker,
              const struct breaker_policy *policy)
{
    int64_t end_ms = breaker->since_ms + policy->ramp_ms;
    uint64_t from = policy->ramp_permille;

    if (breaker->in_flight >= breaker->load || from >= PERMILLE) {
        return end_ms;
    }
    /* The share at which ceil(load * share) passes what is in flight. */
    uint64_t share = (uint64_t)breaker->in_flight * PERMILLE / breaker->load +
                     1;

    if (share <= from) {
        return end_ms;
    }
    return breaker->since_ms +
           (int64_t)(((share - from) * policy->ramp_ms + PERMILLE - from - 1) /
                     (PERMILLE - from));
}

enum breaker_answer
breaker_ask(const struct breaker *breaker, const struct breaker_policy *policy,
            int64_t now_ms, int64_t *ret_until_ms)
{
    *ret_until_ms = INT64_MAX;
    if (breaker->forced) {
        return BREAKER_REFUSES;
    }
    if (policy->disabled || policy->metrics_only) {
        return BREAKER_ADMITS;
    }
    switch ((enum breaker_state)breaker->state) {
    case BREAKER_CLOSED:
        return BREAKER_ADMITS;
    case BREAKER_OPEN:
        *ret_until_ms = breaker->reopen_ms;
        return BREAKER_REFUSES;
    case BREAKER_HALF_OPEN:
        return probe_is_free(breaker, policy) ? BREAKER_ADMITS_PROBE
                                              : BREAKER_REFUSES;
    case BREAKER_RAMP:
        if (breaker->in_flight < ramp_limit(breaker, policy, now_ms)) {
            return BREAKER_ADMITS;
        }
        *ret_until_ms = ramp_grows_ms(breaker, policy);
        return BREAKER_REFUSES;
    }
    redial_unreachable();
}

static uint32_t
take_probe(struct breaker *breaker, const struct breaker_policy *policy,
           int64_t now_ms)
{
    uint32_t at = 0;

    while (breaker->probe_ids[at] != 0) {
        at++;
        redial_assert(at < BREAKER_PROBES_MAX);
    }
    breaker->probe_next++;
    if (breaker->probe_next == 0) {
        breaker->probe_next = 1;
    }
    breaker->probe_ids[at] = breaker->probe_next;
    breaker->probes_out++;
    if (breaker->trial_until_ms == 0) {
        breaker->trial_until_ms = now_ms + policy->trial_ms;
    }
    return breaker->probe_next;
}

struct breaker_permit
breaker_take(struct breaker *breaker, const struct breaker_policy *policy,
             int64_t now_ms)
{
    struct breaker_permit permit = {.epoch = breaker->epoch,
                                    .kind = BREAKER_NORMAL};

    window_advance(breaker, policy, now_ms);
    breaker->in_flight++;
    breaker->most = greater(breaker->most, breaker->in_flight);
    if (breaker->state == BREAKER_RAMP) {
        permit.kind = BREAKER_RAMPED;
    } else if (breaker->state == BREAKER_HALF_OPEN && !policy->disabled &&
               probe_is_free(breaker, policy)) {
        permit.kind = BREAKER_PROBE;
        permit.probe = take_probe(breaker, policy, now_ms);
    }
    return permit;
}

/* False: it was not out (any more). */
static bool
return_probe(struct breaker *breaker, uint32_t id)
{
    for (int i = 0; i < BREAKER_PROBES_MAX; i++) {
        if (breaker->probe_ids[i] == id) {
            breaker->probe_ids[i] = 0;
            breaker->probes_out--;
            return true;
        }
    }
    return false;
}

/* ---- Results ----------------------------------------------------------- */

static struct breaker_move
judge_window(const struct breaker *breaker, const struct breaker_moment *moment,
             const struct breaker_result *result)
{
    const struct breaker_policy *policy = moment->policy;
    uint64_t hint_ms = result->hint_ms < policy->hint_ms_max
                           ? result->hint_ms
                           : policy->hint_ms_max;
    enum breaker_cause cause = hint_ms > 0 ? BREAKER_CAUSE_HINT
                                           : window_verdict(breaker, policy);

    if (cause == BREAKER_CAUSE_NONE) {
        return (struct breaker_move){.moves = false};
    }
    return open_up(breaker, moment, cause, next_step(breaker, moment), hint_ms);
}

/* CLOSED and RAMP. */
static struct breaker_move
count_result(struct breaker *breaker, const struct breaker_moment *moment,
             const struct breaker_result *result, bool counted)
{
    const struct breaker_policy *policy = moment->policy;
    bool failed = result->class == BREAKER_FAILURE;
    bool slow = result->slow && policy->slow_permille > 0;

    if (result->class == BREAKER_SUCCESS || failed) {
        window_advance(breaker, policy, moment->now_ms);
        window_add(breaker, !counted, failed, slow && !counted);
        breaker->in_a_row = failed ? breaker->in_a_row + 1 : 0;
    }
    if (!failed && !(slow && result->class == BREAKER_SUCCESS) &&
        result->hint_ms == 0) {
        return (struct breaker_move){.moves = false};
    }
    return judge_window(breaker, moment, result);
}

static struct breaker_move
count_probe(struct breaker *breaker, const struct breaker_moment *moment,
            const struct breaker_result *result)
{
    const struct breaker_policy *policy = moment->policy;
    bool slow = result->slow && policy->slow_permille > 0;
    bool bad = result->class == BREAKER_FAILURE ||
               (result->class == BREAKER_SUCCESS && slow);

    if (result->class == BREAKER_NEUTRAL) {
        return (struct breaker_move){.moves = false};
    }
    if (bad) {
        breaker->probes_bad++;
        if (breaker->probes_bad > policy->probe_failures) {
            return open_up(breaker, moment, BREAKER_CAUSE_PROBE_BAD,
                           next_step(breaker, moment), 0);
        }
        return (struct breaker_move){.moves = false};
    }
    breaker->probes_good++;
    if (breaker->probes_good < policy->probes_needed) {
        return (struct breaker_move){.moves = false};
    }
    return begin(breaker, policy->ramp_ms > 0 ? BREAKER_RAMP : BREAKER_CLOSED,
                 BREAKER_CAUSE_PROBES_GOOD);
}

struct breaker_move
breaker_settle(struct breaker *breaker, const struct breaker_moment *moment,
               struct breaker_permit *permit,
               const struct breaker_result *result, bool *ret_late)
{
    struct breaker_permit settled = *permit;

    *permit = (struct breaker_permit){.kind = BREAKER_NO_PERMIT};
    *ret_late = false;
    if (settled.kind == BREAKER_NO_PERMIT) {
        return (struct breaker_move){.moves = false};
    }
    redial_assert(breaker->in_flight > 0);
    breaker->in_flight--;
    if (settled.epoch != breaker->epoch) {
        *ret_late = true;
        return (struct breaker_move){.moves = false};
    }
    bool probe = settled.kind == BREAKER_PROBE &&
                 return_probe(breaker, settled.probe);

    if (moment->policy->disabled || breaker->forced) {
        return (struct breaker_move){.moves = false};
    }
    switch ((enum breaker_state)breaker->state) {
    case BREAKER_CLOSED:
    case BREAKER_RAMP:
        return count_result(breaker, moment, result, settled.slow);
    case BREAKER_HALF_OPEN:
        if (probe) {
            return count_probe(breaker, moment, result);
        }
        break;
    case BREAKER_OPEN:
        break;
    }
    return (struct breaker_move){.moves = false};
}

struct breaker_move
breaker_note_slow(struct breaker *breaker, const struct breaker_moment *moment,
                  struct breaker_permit *permit)
{
    static const struct breaker_result no_result = {.class = BREAKER_NEUTRAL};
    const struct breaker_policy *policy = moment->policy;

    if (permit->kind == BREAKER_NO_PERMIT || permit->slow ||
        permit->epoch != breaker->epoch || policy->disabled ||
        breaker->forced || policy->slow_permille == 0 ||
        (breaker->state != BREAKER_CLOSED && breaker->state != BREAKER_RAMP)) {
        return (struct breaker_move){.moves = false};
    }
    permit->slow = true;
    window_advance(breaker, policy, moment->now_ms);
    window_add(breaker, 1, 0, 1);
    return judge_window(breaker, moment, &no_result);
}

/* ---- Time and operators ------------------------------------------------ */

int64_t
breaker_next_ms(const struct breaker *breaker,
                const struct breaker_policy *policy)
{
    switch ((enum breaker_state)breaker->state) {
    case BREAKER_CLOSED:
        break;
    case BREAKER_OPEN:
        return breaker->forced ? INT64_MAX : breaker->reopen_ms;
    case BREAKER_HALF_OPEN:
        return breaker->forced || breaker->trial_until_ms == 0
                   ? INT64_MAX
                   : breaker->trial_until_ms;
    case BREAKER_RAMP:
        return breaker->forced ? INT64_MAX
                               : breaker->since_ms + policy->ramp_ms;
    }
    return INT64_MAX;
}

struct breaker_move
breaker_due(const struct breaker *breaker, const struct breaker_moment *moment)
{
    if (breaker_next_ms(breaker, moment->policy) > moment->now_ms) {
        return (struct breaker_move){.moves = false};
    }
    if (breaker->state == BREAKER_OPEN) {
        return begin(breaker, BREAKER_HALF_OPEN, BREAKER_CAUSE_TIME);
    }
    if (breaker->state == BREAKER_HALF_OPEN) {
        uint32_t step = breaker->probes_bad > 0 ? next_step(breaker, moment)
                                                : breaker->step;

        return open_up(breaker, moment, BREAKER_CAUSE_TRIAL_OVER, step, 0);
    }
    struct breaker_move move = begin(breaker, BREAKER_CLOSED,
                                     BREAKER_CAUSE_RAMP_OVER);

    move.epoch = breaker->epoch; /* what runs goes on counting */
    return move;
}

struct breaker_move
breaker_force(const struct breaker *breaker, bool forced)
{
    enum breaker_state to = (enum breaker_state)breaker->state;

    if (forced == breaker->forced) {
        return (struct breaker_move){.moves = false};
    }
    if (!forced) {
        to = breaker->state == BREAKER_OPEN ||
                     breaker->state == BREAKER_HALF_OPEN
                 ? BREAKER_OPEN
                 : BREAKER_RAMP;
    }
    struct breaker_move move = begin(breaker, to, BREAKER_CAUSE_OPERATOR);

    move.forced = forced;
    return move;
}

struct breaker_move
breaker_reset(const struct breaker *breaker)
{
    struct breaker_move move = begin(breaker, BREAKER_CLOSED,
                                     BREAKER_CAUSE_OPERATOR);

    move.step = 0;
    move.load = 0;
    return move;
}

struct breaker_move
breaker_restart(const struct breaker *breaker, uint64_t left_ms)
{
    enum breaker_state to = (enum breaker_state)breaker->state;

    if (to == BREAKER_HALF_OPEN) {
        to = BREAKER_OPEN;
        left_ms = 0;
    }
    struct breaker_move move = begin(breaker, to, BREAKER_CAUSE_RESTART);

    move.open_ms = to == BREAKER_OPEN ? left_ms : 0;
    return move;
}

bool
breaker_is_blank(const struct breaker *breaker,
                 const struct breaker_policy *policy, int64_t now_ms)
{
    return breaker->state == BREAKER_CLOSED && !breaker->forced &&
           breaker->in_flight == 0 &&
           breaker_step_now(breaker, policy, now_ms) == 0 &&
           (breaker->bucket_until_ms == 0 ||
            now_ms - breaker->bucket_until_ms >= policy->window_ms);
}
