/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/session.h"

#include "server/core/apply.h"
#include "server/core/attempt.h"
#include "server/core/dispatch.h"
#include "server/core/emit.h"
#include "server/core/life.h"
#include "server/core/names.h"
#include "server/core/outcome.h"
#include "server/core/settle.h"
#include "server/core/worker.h"

#include <string.h>

static void
emit_worker(struct engine *engine, enum event_type type,
            const struct worker *worker, const char *reason)
{
    struct record *record = emit_begin(engine, type, NULL);

    record->worker = emit_text(engine, worker_text(worker));
    if (reason != NULL) {
        record->reason = text_of(reason);
    }
    emit_end(engine, record, &(struct known){0});
}

/* The attempt of a token, or NULL; with the job in any case. */
static struct attempt *
find_attempt(const struct engine *engine, const struct engine_token *token)
{
    const struct job *job = job_by_id(engine, token->job);

    return job == NULL ? NULL : attempt_by_token(job, token);
}

/* ---- Hello ------------------------------------------------------------- */

static bool
hello_is_valid(struct engine *engine, const struct engine_hello *hello)
{
    if (hello->name.len == 0 || hello->name.len > NAME_BYTES_MAX) {
        return outcome_invalid(engine, "name: 1 to 128 bytes");
    }
    if (hello->instance.len == 0 || hello->instance.len > NAME_BYTES_MAX) {
        return outcome_invalid(engine, "instance: 1 to 128 bytes");
    }
    if (hello->concurrency == 0) {
        return outcome_invalid(engine, "concurrency: at least 1");
    }
    if (hello->method_count == 0 ||
        hello->method_count > OFFERS_PER_WORKER_MAX) {
        return outcome_invalid(engine, "methods: 1 to 256");
    }
    if (hello->in_hand_count > TOKENS_MAX) {
        return outcome_invalid(engine, "in_hand: at most 1000");
    }
    for (size_t i = 0; i < hello->method_count; i++) {
        const struct engine_slots *slots = &hello->methods[i];

        if (slots->service.len == 0 || slots->service.len > NAME_BYTES_MAX ||
            slots->method.len > NAME_BYTES_MAX) {
            return outcome_invalid(engine,
                                   "methods: service 1 to 128 bytes, method "
                                   "at most 128");
        }
    }
    return true;
}

/* Voids the id that the worker had until now. */
static void
void_id(struct engine *engine, struct worker *worker)
{
    emit_command(engine, COMMAND_FORGET, worker->id);
    engine->connected--;
}

static void
connect(struct engine *engine, struct worker *worker,
        const struct engine_hello *hello)
{
    if (worker->state == WORKER_CONNECTED) {
        void_id(engine, worker);
    }
    engine->connected++;
    engine->generation++;
    worker->id = engine->generation << 32 |
                 slab_index(&engine->workers, worker);
    worker->state = WORKER_CONNECTED;
    worker->silent = false;
    worker->concurrency = hello->concurrency;
    worker->free_total = 0;
    worker->heard_ms = engine->now.mono.ms;
    heap_set(&engine->worker_timers, &worker->timer,
             worker->heard_ms + duration_ms(engine->limits.silence_ms));
    worker_refresh(engine, worker);
}

/* What it lists and we know goes on; what it lists in vain it shall stop. */
static void
match_tokens(struct engine *engine, struct worker *worker,
             const struct engine_hello *hello)
{
    for (size_t i = 0; i < hello->in_hand_count; i++) {
        const struct engine_token *token = &hello->in_hand[i];
        struct attempt *attempt = find_attempt(engine, token);

        if (attempt != NULL && attempt->worker == worker) {
            attempt->listed = true;
            attempt->end = ATTEMPT_GOES_ON;
            list_remove(&attempt->ending);
        }
        if (attempt == NULL || attempt->worker != worker || attempt->ghost) {
            emit_stop(engine, worker, token);
        }
    }
}

/* Attempts that the worker lists are its own again; others never started. */
static void
adopt(struct engine *engine, struct worker *worker)
{
    list_foreach(at, &worker->attempts) {
        struct attempt *attempt = container_of(at, struct attempt, of_worker);
        bool listed = attempt->listed;

        attempt->listed = false;
        if (listed) {
            attempt_count(attempt);
            attempt_place(engine, attempt,
                          worker_offer_for(worker, attempt->job->method));
        } else {
            attempt_end_later(engine, attempt, ATTEMPT_NEVER_STARTED);
        }
    }
}

void
session_hello(struct engine *engine, const struct engine_hello *hello)
{
    char buf[WORKER_BYTES_MAX];
    struct text name = {.at = buf};

    if (!hello_is_valid(engine, hello)) {
        return;
    }
    memcpy(buf, hello->name.at, hello->name.len);
    buf[hello->name.len] = '/';
    memcpy(buf + hello->name.len + 1, hello->instance.at, hello->instance.len);
    name.len = hello->name.len + 1 + hello->instance.len;
    struct worker *worker = worker_by_name(engine, name);
    bool connected = worker != NULL && worker->state == WORKER_CONNECTED;

    if (!connected && engine->connected >= engine->limits.workers_max) {
        outcome_refuse(engine, REDIAL_RESOURCE_EXHAUSTED, "WORKERS_FULL",
                       "no room for one more worker");
        return;
    }
    worker = worker_await(engine, name);
    redial_assert(worker != NULL);
    if (!worker_replace_offers(engine, worker, hello->methods,
                               hello->method_count)) {
        worker_release(engine, worker);
        outcome_refuse(engine, REDIAL_RESOURCE_EXHAUSTED, "METHODS_FULL",
                       "no room for all methods of this worker");
        return;
    }
    worker_unreserve(engine, worker);
    connect(engine, worker, hello);
    match_tokens(engine, worker, hello);
    adopt(engine, worker);
    emit_worker(engine, EVENT_WORKER_JOINED, worker, NULL);
    engine->out->result.worker = worker->id;
}

/* ---- Poll -------------------------------------------------------------- */

/* Nothing said of an offer: with no credits at all only the total counts. */
static void
take_credits(struct worker *worker, const struct engine_poll *poll)
{
    struct offer *hint = NULL;

    list_foreach(at, &worker->offers) {
        struct offer *offer = container_of(at, struct offer, of_worker);

        offer->free = poll->credit_count == 0 ? poll->free_total : 0;
    }
    if (!list_is_empty(&worker->offers)) {
        hint = container_of(list_first(&worker->offers), struct offer,
                            of_worker);
    }
    for (size_t i = 0; i < poll->credit_count; i++) {
        const struct engine_slots *slots = &poll->credits[i];
        struct offer *offer = worker_offer_named(worker, slots->service,
                                                 slots->method, hint);

        if (offer != NULL) {
            offer->free = slots->count;
            struct list *next = list_after(&worker->offers, &offer->of_worker);

            hint = next == NULL ? NULL
                                : container_of(next, struct offer, of_worker);
        }
    }
    worker->free_total = poll->free_total;
}

/* Nothing of what it had acknowledged runs any more: ghosts have ended. */
static void
end_confirmed_ghosts(struct engine *engine, struct worker *worker)
{
    list_foreach(at, &worker->attempts) {
        struct attempt *attempt = container_of(at, struct attempt, of_worker);

        if (attempt->ghost && attempt->acked) {
            attempt_end_later(engine, attempt, ATTEMPT_NEVER_STARTED);
        }
    }
}

void
session_poll(struct engine *engine, const struct engine_poll *poll)
{
    struct worker *worker = worker_by_id(engine, poll->worker);

    if (worker == NULL) {
        outcome_refuse(engine, REDIAL_NOT_FOUND, "UNKNOWN_WORKER",
                       "say Hello first");
        return;
    }
    worker_heard(engine, worker);
    for (size_t i = 0; i < poll->ack_count; i++) {
        struct attempt *attempt = find_attempt(engine, &poll->acks[i]);

        if (attempt != NULL && attempt->worker == worker) {
            attempt_count(attempt);
        }
    }
    take_credits(worker, poll);
    if (poll->free_total >= worker->concurrency) {
        end_confirmed_ghosts(engine, worker);
    }
    worker_refresh(engine, worker);
    list_foreach(at, &worker->offers) {
        offer_refresh(engine, container_of(at, struct offer, of_worker));
    }
}

void
session_heartbeat(struct engine *engine, uint64_t id)
{
    struct worker *worker = worker_by_id(engine, id);

    if (worker == NULL) {
        outcome_refuse(engine, REDIAL_NOT_FOUND, "UNKNOWN_WORKER",
                       "say Hello first");
        return;
    }
    worker_heard(engine, worker);
}

/* ---- Leaving ----------------------------------------------------------- */

void
session_end_attempts(struct engine *engine, struct worker *worker,
                     enum attempt_end end)
{
    bool alone = worker->in_hand == 1;

    list_foreach(at, &worker->attempts) {
        struct attempt *attempt = container_of(at, struct attempt, of_worker);

        attempt->alone = alone;
        attempt_end_later(engine, attempt, end);
    }
}

/* Until it comes back its attempts keep what they have. */
static void
await(struct engine *engine, struct worker *worker)
{
    worker->state = WORKER_AWAITED;
    worker->awaited_until_ms = engine->now.mono.ms +
                               duration_ms(engine->limits.adopt_ms);
    heap_set(&engine->worker_timers, &worker->timer, worker->awaited_until_ms);
    list_foreach(at, &worker->attempts) {
        attempt_arm(engine, container_of(at, struct attempt, of_worker));
    }
}

/* One that was waited for is dead: its attempts need not wait for the lease. */
static bool
end_awaited(struct engine *engine, struct text name, enum engine_gone how)
{
    struct worker *worker = name.len == 0 ? NULL : worker_by_name(engine, name);

    if (worker == NULL || worker->state != WORKER_AWAITED ||
        how != ENGINE_GONE_DEAD) {
        return false;
    }
    heap_remove(&engine->worker_timers, &worker->timer);
    worker->state = WORKER_GONE;
    session_end_attempts(engine, worker, ATTEMPT_WORKER_DEAD);
    worker_release(engine, worker);
    return true;
}

void
session_gone(struct engine *engine, uint64_t id, struct text name,
             enum engine_gone how)
{
    static const char *const reasons[] = {
        [ENGINE_GONE_DROPPED] = "DROPPED",
        [ENGINE_GONE_DEAD] = "DEAD",
        [ENGINE_GONE_GOODBYE] = "GOODBYE",
    };
    struct worker *worker = worker_by_id(engine, id);

    if (worker == NULL && end_awaited(engine, name, how)) {
        return;
    }
    if (worker == NULL) {
        outcome_refuse(engine, REDIAL_NOT_FOUND, "UNKNOWN_WORKER",
                       "it is gone already");
        return;
    }
    worker_unreserve(engine, worker);
    worker_clear_offers(engine, worker);
    void_id(engine, worker);
    emit_worker(engine, EVENT_WORKER_LEFT, worker, reasons[how]);
    worker->id = 0;
    switch (how) {
    case ENGINE_GONE_DROPPED:
        await(engine, worker);
        break;
    case ENGINE_GONE_DEAD:
        worker->state = WORKER_GONE;
        session_end_attempts(engine, worker, ATTEMPT_WORKER_DEAD);
        break;
    case ENGINE_GONE_GOODBYE:
        worker->state = WORKER_GONE;
        session_end_attempts(engine, worker, ATTEMPT_NEVER_STARTED);
        break;
    }
    worker_release(engine, worker);
}

void
session_unsent(struct engine *engine, const struct engine_token *token)
{
    struct attempt *attempt = find_attempt(engine, token);

    if (attempt == NULL) {
        return; /* it ended meanwhile */
    }
    if (attempt->ghost) {
        attempt_end_later(engine, attempt, ATTEMPT_NEVER_STARTED);
    } else {
        settle_never_started(engine, attempt, "UNSENT");
    }
}
