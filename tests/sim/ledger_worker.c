/* SPDX-License-Identifier: Apache-2.0 */
/* What inputs tell the gateway, and so the ledger, about workers. */
#include "tests/sim/ledger.h"
#include "tests/sim/sim.h"

#include <stdio.h>
#include <string.h>

/* The connected incarnation with this id, or NULL: the gateway forgot it. */
static struct ledger_worker *
by_id(struct sim *sim, uint64_t id)
{
    struct ledger *ledger = &sim->ledger;

    for (uint32_t i = ledger->worker_count; i-- > 0;) {
        if (ledger->workers[i].id == id && ledger->workers[i].connected) {
            return &ledger->workers[i];
        }
    }
    return NULL;
}

bool
ledger_knows_worker(struct sim *sim, uint64_t id)
{
    return by_id(sim, id) != NULL;
}

struct ledger_worker *
ledger_worker_named(struct sim *sim, struct text name)
{
    struct ledger *ledger = &sim->ledger;

    for (uint32_t i = ledger->worker_count; i-- > 0;) {
        struct ledger_worker *worker = &ledger->workers[i];

        if (strlen(worker->name) == name.len &&
            memcmp(worker->name, name.at, name.len) == 0) {
            return worker;
        }
    }
    return NULL;
}

/* The attempt that counts and has this token, or NULL. */
static struct ledger_attempt *
by_token(struct sim *sim, const struct engine_token *token)
{
    uint32_t spec = spec_of(sim, token->job);

    if (spec == PLAN_JOBS_MAX) {
        return NULL;
    }
    struct ledger_attempt *attempt = ledger_running(&sim->ledger.jobs[spec],
                                                    token->fence);

    return attempt != NULL && attempt->number == token->attempt ? attempt
                                                                : NULL;
}

static void
acknowledge(struct sim *sim, const struct ledger_worker *worker,
            const struct engine_token *token)
{
    struct ledger_attempt *attempt = by_token(sim, token);

    if (attempt != NULL && &sim->ledger.workers[attempt->worker] == worker) {
        attempt->ack = ACK_YES;
    }
}

static bool
is_listed(const struct engine_hello *hello,
          const struct ledger_attempt *attempt)
{
    for (size_t i = 0; i < hello->in_hand_count; i++) {
        if (hello->in_hand[i].fence == attempt->fence &&
            hello->in_hand[i].attempt == attempt->number) {
            return true;
        }
    }
    return false;
}

static void
full_name(const struct engine_hello *hello, char name[2 * SIM_WORD_BYTES])
{
    (void)snprintf(name, 2 * SIM_WORD_BYTES, "%.*s/%.*s", (int)hello->name.len,
                   hello->name.at, (int)hello->instance.len,
                   hello->instance.at);
}

/* The same incarnation is back: what it lists goes on, the rest never began. */
static void
hear_hello(struct sim *sim, const struct engine_hello *hello)
{
    char name[2 * SIM_WORD_BYTES];

    full_name(hello, name);
    struct ledger_worker *worker = ledger_worker_named(sim, plan_text(name));

    if (worker == NULL) {
        return;
    }
    uint32_t index = (uint32_t)(worker - sim->ledger.workers);

    ledger_doubt_ghosts(sim, index);
    for (uint32_t i = 0; i < sim->agents.spec_count; i++) {
        struct ledger_job *job = &sim->ledger.jobs[i];

        for (uint32_t k = 0; k < job->running_count; k++) {
            struct ledger_attempt *attempt = &job->running[k];

            if (attempt->worker != index) {
                continue;
            }
            if (is_listed(hello, attempt)) {
                attempt->ack = ACK_YES;
            } else {
                attempt->not_listed = true;
            }
        }
    }
}

static void
hear_poll(struct sim *sim, const struct message *message)
{
    struct ledger_worker *worker = by_id(sim, message->worker);

    if (worker == NULL) {
        return;
    }
    worker->free_total = message->poll.free_total;
    memset(worker->credit, 0, sizeof(worker->credit));
    for (uint32_t i = 0; i < message->poll.credit_count; i++) {
        const struct message_slots *credit = &message->poll.credits[i];

        for (uint32_t k = 0; k < worker->offer_count; k++) {
            if (worker->offers[k].method == credit->method &&
                worker->offers[k].whole_service == credit->whole_service) {
                worker->credit[k] = credit->count;
            }
        }
    }
    for (uint32_t i = 0; i < message->poll.ack_count; i++) {
        acknowledge(sim, worker, &message->poll.acks[i]);
        ledger_counted(worker, message->poll.acks[i].fence);
    }
    worker->confirmed_at = message->poll.free_total >= worker->concurrency
                               ? sim->mono_ms
                               : worker->confirmed_at;
}

static uint32_t
running_on(const struct sim *sim, const struct ledger_worker *worker)
{
    uint32_t index = (uint32_t)(worker - sim->ledger.workers);
    uint32_t running = 0;

    for (uint32_t i = 0; i < sim->agents.spec_count; i++) {
        const struct ledger_job *job = &sim->ledger.jobs[i];

        for (uint32_t k = 0; k < job->running_count; k++) {
            running += job->running[k].worker == index;
        }
    }
    return running;
}

static void
hear_gone(struct sim *sim, uint64_t id, enum engine_gone how)
{
    struct ledger_worker *worker = by_id(sim, id);

    if (worker != NULL) {
        worker->in_hand_at_death = running_on(sim, worker);
        worker->connected = false;
        worker->left_at = sim->mono_ms;
        worker->dead = how == ENGINE_GONE_DEAD;
        worker->goodbye = how == ENGINE_GONE_GOODBYE;
    }
}

void
ledger_hear(struct sim *sim, const struct engine_input *input,
            const struct message *message)
{
    uint64_t id = 0;

    if (input == NULL) {
        return;
    }
    switch (input->type) {
    case ENGINE_HELLO:
        hear_hello(sim, &input->hello);
        break;
    case ENGINE_POLL:
        id = input->poll.worker;
        hear_poll(sim, message);
        break;
    case ENGINE_REPORT:
        id = input->report.worker;
        if (by_id(sim, id) != NULL) {
            acknowledge(sim, by_id(sim, id), &input->report.token);
        }
        if (input->report.kind != REPORT_PROGRESS) {
            ledger_lay_ghost(sim, by_id(sim, id), &input->report.token);
        }
        break;
    case ENGINE_HEARTBEAT:
        id = input->heartbeat;
        break;
    case ENGINE_WORKER_GONE:
        hear_gone(sim, input->gone.worker, input->gone.how);
        break;
    case ENGINE_UNSENT:
        ledger_lay_ghost(sim, NULL, &input->unsent);
        break;
    case ENGINE_SUBMIT:
    case ENGINE_CANCEL:
    case ENGINE_POLICY:
    case ENGINE_BREAKER:
    case ENGINE_GATEWAY:
    case ENGINE_DRAIN:
    case ENGINE_TICK:
        break;
    }
    struct ledger_worker *worker = id == 0 ? NULL : by_id(sim, id);

    if (worker != NULL) {
        ledger_end_leases(sim);
        worker->heard_at = sim->mono_ms;
    }
}

/* A refused Hello has said nothing. */
static void
unhear_hello(struct sim *sim, const struct ledger_worker *worker)
{
    for (uint32_t i = 0; worker != NULL && i < sim->agents.spec_count; i++) {
        struct ledger_job *job = &sim->ledger.jobs[i];

        for (uint32_t k = 0; k < job->running_count; k++) {
            if (&sim->ledger.workers[job->running[k].worker] == worker) {
                job->running[k].not_listed = false;
                job->running[k].ack = ACK_UNKNOWN;
            }
        }
    }
}

void
ledger_heard(struct sim *sim, const struct engine_result *result)
{
    struct ledger *ledger = &sim->ledger;
    char name[2 * SIM_WORD_BYTES];

    if (ledger->input->type != ENGINE_HELLO) {
        return;
    }
    full_name(&ledger->input->hello, name);
    struct ledger_worker *worker = ledger_worker_named(sim, plan_text(name));

    if (result->status != REDIAL_OK) {
        unhear_hello(sim, worker);
        return;
    }

    if (worker == NULL) {
        if (ledger->worker_count == LEDGER_WORKERS_MAX) {
            sim_fail(sim, VIOLATION_RUN, "too many incarnations of workers");
        }
        worker = &ledger->workers[ledger->worker_count++];
        memcpy(worker->name, name, sizeof(name));
    }
    worker->id = result->worker;
    worker->connected = true;
    worker->dead = false;
    worker->goodbye = false;
    worker->heard_at = sim->mono_ms;
    worker->concurrency = ledger->message->hello.concurrency;
    worker->free_total = 0;
    worker->offer_count = ledger->message->hello.offer_count;
    memcpy(worker->offers, ledger->message->hello.offers,
           sizeof(worker->offers));
    memset(worker->credit, 0, sizeof(worker->credit));
    ledger_count_anew(sim, worker);
}

void
ledger_workers_away(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->ledger.worker_count; i++) {
        struct ledger_worker *worker = &sim->ledger.workers[i];

        worker->connected = false;
        worker->left_at = sim->mono_ms;
        /* A death or farewell that was not dealt with is forgotten. */
        worker->dead = false;
        worker->goodbye = false;
    }
    memset(sim->ledger.ghosts, 0, sizeof(sim->ledger.ghosts));
}
