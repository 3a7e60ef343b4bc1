/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/gate.h"

#include "server/core/emit.h"
#include "server/core/holder.h"
#include "server/core/tenant.h"
#include "server/core/uuid.h"
#include "server/core/worker.h"

const struct breaker_policy *
gate_policy(const struct target *target)
{
    static const struct breaker_policy none = {.disabled = true};

    return target->policy->has_breaker ? &target->policy->breaker : &none;
}

static struct breaker_moment
moment_of(struct engine *engine, const struct target *target)
{
    return (struct breaker_moment){
        .policy = gate_policy(target),
        .rng = &engine->rng,
        .now_ms = engine->now.mono.ms,
    };
}

enum breaker_answer
gate_ask(const struct engine *engine, const struct target *target,
         int64_t *ret_until_ms)
{
    *ret_until_ms = INT64_MAX;
    if (!target->policy->has_breaker) {
        return BREAKER_ADMITS;
    }
    if (target->restarts) {
        return BREAKER_REFUSES;
    }
    return breaker_ask(&target->breaker, &target->policy->breaker,
                       engine->now.mono.ms, ret_until_ms);
}

/* ---- Lists and timer --------------------------------------------------- */

static int64_t
earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void
set_timer(struct engine *engine, struct target *target, int64_t ask_at_ms)
{
    int64_t at_ms = earlier(ask_at_ms, holder_next_ms(target));

    if (target->policy->has_breaker && !target->restarts) {
        at_ms = earlier(
            at_ms, breaker_next_ms(&target->breaker, &target->policy->breaker));
    }
    if (at_ms == INT64_MAX) {
        heap_remove(&engine->gate_timers, &target->gate_timer);
    } else if (!heap_has(&target->gate_timer) ||
               target->gate_timer.at != at_ms) {
        heap_set(&engine->gate_timers, &target->gate_timer, at_ms);
    }
}

void
gate_update(struct engine *engine, struct target *target)
{
    int64_t now_ms = engine->now.mono.ms;
    int64_t until_ms;
    enum breaker_answer answer = gate_ask(engine, target, &until_ms);
    bool shut = !list_is_empty(&target->gated);
    bool waits = shut || !list_is_empty(&target->unfit);
    bool open = (answer == BREAKER_ADMITS && waits) ||
                (answer == BREAKER_ADMITS_PROBE && shut);

    if (!open) {
        list_remove(&target->open_gate);
    } else if (!list_is_linked(&target->open_gate)) {
        list_append(&engine->open_gates, &target->open_gate);
    }
    if (answer != BREAKER_REFUSES || !waits) {
        until_ms = INT64_MAX;
    } else if (until_ms <= now_ms) {
        until_ms = now_ms + 1;
    }
    set_timer(engine, target, until_ms);
}

bool
gate_admits(struct engine *engine, struct method *method)
{
    struct target *target = method->target;
    int64_t until_ms;

    if (gate_ask(engine, target, &until_ms) == BREAKER_ADMITS) {
        return true;
    }
    list_remove(&method->ring);
    method->gate = GATE_SHUT;
    list_append(&target->gated, &method->ring);
    tenant_uninvite_method(engine, method);
    if (method->reserved != NULL) {
        worker_unreserve(engine, method->reserved);
    }
    engine->moves++;
    gate_update(engine, target);
    return false;
}

/* ---- Methods that wait ------------------------------------------------- */

void
gate_note_job(struct engine *engine, struct method *method)
{
    if (method->gate == GATE_UNFIT &&
        (gate_has_fits(method, FIT_YES) || gate_has_fits(method, FIT_UNSET))) {
        list_remove(&method->ring);
        method->gate = GATE_SHUT;
        list_append(&method->target->gated, &method->ring);
        gate_update(engine, method->target);
    }
}

struct method *
gate_next(struct engine *engine, struct job **ret_probe)
{
    struct target *target = container_of(list_pop(&engine->open_gates),
                                         struct target, open_gate);
    int64_t until_ms;
    struct list *first = NULL;

    *ret_probe = NULL;
    switch (gate_ask(engine, target, &until_ms)) {
    case BREAKER_REFUSES:
        gate_update(engine, target);
        return NULL;
    case BREAKER_ADMITS_PROBE:
        *ret_probe = gate_choose_probe(engine, target);
        gate_update(engine, target);
        return NULL;
    case BREAKER_ADMITS:
        break;
    }
    first = list_pop(&target->gated);
    if (first == NULL) {
        first = list_pop(&target->unfit);
    }
    if (first == NULL) {
        return NULL;
    }
    struct method *method = container_of(first, struct method, ring);

    method->gate = GATE_NONE;
    list_append(&engine->ring, &method->ring);
    engine->moves++;
    gate_update(engine, target);
    return method;
}

/* ---- Records ----------------------------------------------------------- */

static enum event_type
event_of(enum breaker_state state)
{
    switch (state) {
    case BREAKER_CLOSED:
        return EVENT_BREAKER_CLOSED;
    case BREAKER_OPEN:
        return EVENT_BREAKER_OPENED;
    case BREAKER_HALF_OPEN:
        return EVENT_BREAKER_HALF_OPEN;
    case BREAKER_RAMP:
        return EVENT_BREAKER_RAMP;
    }
    redial_unreachable();
}

void
gate_note(const struct target *target, const struct breaker_move *move,
          struct record *record)
{
    record->target_index = target->index;
    record->breaker = (struct breaker_note){
        .epoch = move->epoch,
        .state = (uint32_t)move->to,
        .cause = (uint32_t)move->cause,
        .step = move->step,
        .forced = move->forced,
        .load = move->load,
        .open_ms = move->open_ms,
        .jitter_permille = move->jitter_permille,
        .calls = move->sum.calls,
        .failed = move->sum.failed,
        .slow = move->sum.slow,
        .in_a_row = move->in_a_row,
        .waiting = target->waiting + target->parked,
    };
}

/* Who is to blame: its worker, code and reason, its job and number. */
static void
blame(struct engine *engine, struct record *record,
      const struct attempt *attempt, const struct gate_outcome *outcome)
{
    char buf[UUID_TEXT_BYTES + 1 + NUMBER_BYTES_MAX];
    struct text text = {.at = buf, .len = UUID_TEXT_BYTES};

    uuid_write(attempt->job->id, buf);
    buf[text.len++] = ' ';
    text.len += text_put_number(buf + text.len, attempt->number);
    record->worker = emit_text(engine, worker_text(attempt->worker));
    record->attempt = attempt->number;
    record->code = outcome->code;
    record->reason = outcome->reason;
    record->text = emit_text(engine, text);
}

static void
make_move(struct engine *engine, struct target *target,
          const struct breaker_move *move, const struct attempt *attempt,
          const struct gate_outcome *outcome)
{
    struct record *record = emit_begin(engine, event_of(move->to), NULL);

    record->target = emit_text(engine, target_text(target));
    gate_note(target, move, record);
    if (attempt != NULL) {
        blame(engine, record, attempt, outcome);
    }
    record->decision.policy_version = engine->policy->version;
    emit_end(engine, record, &(struct known){0});
    if (move->to != BREAKER_OPEN && !move->forced) {
        gate_let_go(engine, target, false);
    }
    gate_update(engine, target);
}

void
gate_move(struct engine *engine, struct target *target,
          const struct breaker_move *move)
{
    if (move->moves) {
        make_move(engine, target, move, NULL, NULL);
    }
}

static bool
note_is_sound(const struct breaker_note *note)
{
    return note->state <= BREAKER_RAMP &&
           note->cause <= BREAKER_CAUSE_RESTART &&
           note->step <= BREAKER_STEPS_MAX && note->forced <= 1 &&
           note->open_ms <= (uint64_t)DURATION_MS_MAX;
}

bool
gate_apply(struct target *target, const struct record *record, int64_t now_ms)
{
    const struct breaker_note *note = &record->breaker;
    struct breaker *breaker = &target->breaker;

    if (!note_is_sound(note) || note->epoch < breaker->epoch ||
        !holder_apply(target, record, now_ms)) {
        return false;
    }
    if (note->epoch == breaker->epoch && note->state == breaker->state) {
        return true; /* one more holder, or one less */
    }
    struct breaker_move move = {
        .moves = true,
        .from = (enum breaker_state)breaker->state,
        .to = (enum breaker_state)note->state,
        .cause = (enum breaker_cause)note->cause,
        .epoch = note->epoch,
        .step = note->step,
        .forced = note->forced != 0,
        .load = note->load,
        .open_ms = note->open_ms,
    };

    breaker_apply(breaker, &move, now_ms);
    target->breaker_wall_ms = record->wall_ms;
    target->breaker_open_ms = move.to == BREAKER_OPEN ? move.open_ms : 0;
    target->breaker_cause = (uint8_t)move.cause;
    return true;
}

/* ---- Attempts ---------------------------------------------------------- */

void
gate_take(struct engine *engine, struct attempt *attempt)
{
    struct target *target = attempt->job->method->target;

    if (!target->policy->has_breaker) {
        return;
    }
    attempt->permit = breaker_take(&target->breaker, &target->policy->breaker,
                                   engine->now.mono.ms);
    attempt->target_index = target->index;
    attempt->target_generation = target->generation;
    if (target->breaker.state != BREAKER_CLOSED) {
        gate_update(engine, target);
    }
}

/* Whose permit the attempt holds; NULL: none, or of a target that is gone. */
static struct target *
holder_of(const struct engine *engine, const struct attempt *attempt)
{
    if (attempt->permit.kind == BREAKER_NO_PERMIT) {
        return NULL;
    }
    struct target *target = slab_at(&engine->targets, attempt->target_index);

    return target->generation == attempt->target_generation ? target : NULL;
}

static enum breaker_class
class_of(const struct target *target, const struct gate_outcome *outcome)
{
    if (outcome->says_naught || outcome->overloaded ||
        outcome->code == REDIAL_RESOURCE_EXHAUSTED ||
        outcome->code == REDIAL_CANCELLED) {
        return BREAKER_NEUTRAL;
    }
    if (outcome->code == REDIAL_OK) {
        return BREAKER_SUCCESS;
    }
    if (outcome->timed_out ||
        (target->policy->failure_codes >> outcome->code & 1u) != 0) {
        return BREAKER_FAILURE;
    }
    return BREAKER_IGNORED;
}

static bool
is_slow(const struct engine *engine, const struct attempt *attempt,
        const struct breaker_policy *policy)
{
    return policy->slow_ms > 0 &&
           engine->now.mono.ms - attempt->started_ms >= policy->slow_ms;
}

void
gate_settle(struct engine *engine, struct attempt *attempt,
            const struct gate_outcome *outcome)
{
    struct target *target = holder_of(engine, attempt);

    if (target == NULL) {
        attempt->permit = (struct breaker_permit){0};
        return;
    }
    struct breaker_moment moment = moment_of(engine, target);
    struct breaker_result result = {
        .class = class_of(target, outcome),
        .slow = is_slow(engine, attempt, moment.policy),
        .hint_ms = moment.policy->hint_ms_max > 0 ? outcome->hint_ms : 0,
    };
    bool late = false;
    struct breaker_move move = breaker_settle(&target->breaker, &moment,
                                              &attempt->permit, &result, &late);

    target->late += late;
    if (move.moves) {
        make_move(engine, target, &move, attempt, outcome);
    } else if (target->breaker.state != BREAKER_CLOSED) {
        gate_update(engine, target);
    }
}

void
gate_drop(struct engine *engine, struct attempt *attempt)
{
    static const struct gate_outcome nothing = {.says_naught = true};

    if (attempt->permit.kind != BREAKER_NO_PERMIT) {
        gate_settle(engine, attempt, &nothing);
    }
}

int64_t
gate_slow_at_ms(const struct engine *engine, const struct attempt *attempt)
{
    const struct target *target = holder_of(engine, attempt);

    if (target == NULL || attempt->slow) {
        return INT64_MAX;
    }
    const struct breaker_policy *policy = gate_policy(target);

    if (policy->slow_ms == 0 || policy->slow_permille == 0) {
        return INT64_MAX;
    }
    return attempt->started_ms + policy->slow_ms;
}

void
gate_note_slow(struct engine *engine, struct attempt *attempt)
{
    struct target *target = holder_of(engine, attempt);

    attempt->slow = true;
    if (target == NULL) {
        return;
    }
    struct breaker_moment moment = moment_of(engine, target);
    struct breaker_move move = breaker_note_slow(&target->breaker, &moment,
                                                 &attempt->permit);

    if (move.moves) {
        make_move(engine, target, &move, attempt,
                  &(struct gate_outcome){.reason = text_of("SLOW")});
    }
}

/* ---- Time -------------------------------------------------------------- */

void
gate_due(struct engine *engine, struct target *target)
{
    heap_remove(&engine->gate_timers, &target->gate_timer);
    holder_expire(engine, target);
    if (target->policy->has_breaker && !target->restarts) {
        struct breaker_moment moment = moment_of(engine, target);
        struct breaker_move move = breaker_due(&target->breaker, &moment);

        gate_move(engine, target, &move);
    }
    engine->moves++;
    gate_update(engine, target);
}

/* ---- Reload and restart ------------------------------------------------ */

/* A shorter time counts from when it opened. */
static void
shorten(struct target *target)
{
    struct breaker *breaker = &target->breaker;

    if (breaker->state != BREAKER_OPEN || breaker->forced ||
        target->breaker_cause == BREAKER_CAUSE_HINT) {
        return;
    }
    int64_t reopen_ms = breaker->since_ms +
                        (int64_t)breaker_open_ms(&target->policy->breaker,
                                                 breaker->step);

    breaker->reopen_ms = earlier(breaker->reopen_ms, reopen_ms);
}

void
gate_take_policy(struct engine *engine, struct target *target)
{
    list_foreach(at, &target->unfit) {
        container_of(at, struct method, ring)->gate = GATE_SHUT;
    }
    list_splice(&target->gated, &target->unfit);
    if (target->policy->has_breaker) {
        shorten(target);
    }
    if (!target_parks(target)) {
        gate_let_go(engine, target, true);
    }
    gate_update(engine, target);
}

/* No policy gives it a breaker any more. */
static void
remove_breaker(struct engine *engine, struct target *target)
{
    holder_drop_all(engine, target);
    if (target->breaker.state != BREAKER_CLOSED || target->breaker.step > 0) {
        struct breaker_move move = breaker_reset(&target->breaker);

        gate_move(engine, target, &move);
    }
    gate_let_go(engine, target, true);
}

/* So that many which are open after a restart do not probe together. */
static uint64_t
restart_left_ms(struct engine *engine, const struct target *target)
{
    enum { SPREAD_MIN_MS = 1000 };
    const struct breaker *breaker = &target->breaker;
    const struct breaker_policy *policy = gate_policy(target);
    int64_t now_ms = engine->now.mono.ms;
    uint64_t left_ms = breaker->reopen_ms > now_ms
                           ? (uint64_t)(breaker->reopen_ms - now_ms)
                           : 0;
    uint64_t spread_ms = (uint64_t)policy->open_ms * policy->jitter_permille /
                         1000;

    if (breaker->forced) {
        return 0;
    }
    spread_ms = spread_ms < SPREAD_MIN_MS ? SPREAD_MIN_MS : spread_ms;
    return left_ms + rng_below(&engine->rng, spread_ms + 1);
}

void
gate_look(struct engine *engine, struct target *target)
{
    if (target->restarts) {
        struct breaker_move move = breaker_restart(
            &target->breaker, restart_left_ms(engine, target));

        move.step = breaker_step_now(&target->breaker, gate_policy(target),
                                     engine->now.mono.ms);
        target->restarts = false;
        if (move.from == BREAKER_HALF_OPEN) {
            move.open_ms = restart_left_ms(engine, target);
        }
        gate_move(engine, target, &move);
    }
    if (!target->policy->has_breaker &&
        (target->breaker.state != BREAKER_CLOSED || target->breaker.forced ||
         target->breaker.step > 0)) {
        remove_breaker(engine, target);
    }
}

void
gate_restore(struct engine *engine, struct target *target, int64_t wall_ms)
{
    int64_t now_ms = engine->now.mono.ms;
    struct breaker *breaker = &target->breaker;

    if (breaker->epoch == 0) {
        return;
    }
    int64_t passed_ms = wall_ms > target->breaker_wall_ms
                            ? wall_ms - target->breaker_wall_ms
                            : 0;

    breaker->since_ms = now_ms - passed_ms;
    breaker->reopen_ms = breaker->state == BREAKER_OPEN
                             ? breaker->since_ms +
                                   (int64_t)target->breaker_open_ms
                             : 0;
    target->restarts = true;
    holder_restore(target, wall_ms, now_ms);
}
