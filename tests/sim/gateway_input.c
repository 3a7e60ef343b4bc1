/* SPDX-License-Identifier: Apache-2.0 */
/* From messages to inputs of the engine, and from results to answers. */
#include "tests/sim/gateway.h"
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An answer on the connection over which the question came. */
static struct message *
answer_to(const struct message *message, enum message_type type,
          const struct engine_result *result)
{
    struct message *answer = message_new(type, message->peer);

    answer->connection = message->connection;
    answer->worker = message->worker;
    answer->answer.result = *result;
    return answer;
}

static void
take_submit(struct sim *sim, const struct message *message)
{
    uint32_t index = message->submit.spec;
    const struct spec *spec = &sim->agents.specs[index];
    const struct ledger_job *job = &sim->ledger.jobs[index];
    struct engine_result found = {.status = REDIAL_OK,
                                  .job = spec->id,
                                  .state = (int)job->state,
                                  .deduplicated = true};
    const struct engine_result *result = &sim->gateway.outbox.result;

    sim_tell(sim, "submit %u%s key %u", index,
             message->submit.repeat ? " again" : "", spec->key);
    /* The store knows finished jobs; only a repeat is looked up there. */
    if (message->submit.repeat && job->final_seq != 0 &&
        engine_find(sim->gateway.engine, spec->id) == ENGINE_NO_SLOT) {
        result = &found;
    } else {
        struct engine_input input = {.type = ENGINE_SUBMIT};

        spec_submit(sim, spec, &input.submit);
        gateway_step(sim, &input, message);
    }
    struct message *answer = answer_to(message, MESSAGE_SUBMITTED, result);

    answer->answer.spec = index;
    gateway_release_later(sim, answer);
}

static void
take_cancel(struct sim *sim, const struct message *message)
{
    struct engine_input input = {.type = ENGINE_CANCEL};

    input.cancel.id = message->cancel.id;
    input.cancel.reason = plan_text("no longer wanted");
    sim_tell(sim, "cancel %u", message->cancel.spec);
    gateway_step(sim, &input, message);
    struct message *answer = answer_to(message, MESSAGE_CANCELLED,
                                       &sim->gateway.outbox.result);

    answer->answer.spec = message->cancel.spec;
    gateway_release_later(sim, answer);
}

/* Fills the engine's slots from the message's; returns how many. */
static size_t
fill_slots(const struct sim *sim, const struct message_slots *from,
           uint32_t count, struct engine_slots *slots)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct plan_method *method = &sim->plan.method[from[i].method];

        slots[i] = (struct engine_slots){
            .service = plan_text(method->service),
            .method = plan_text(from[i].whole_service ? "" : method->method),
            .count = from[i].count,
        };
    }
    return count;
}

static void
take_hello(struct sim *sim, const struct message *message)
{
    struct engine_slots slots[SIM_OFFERS_MAX];
    struct engine_input input = {.type = ENGINE_HELLO};
    char name[SIM_WORD_BYTES];

    (void)snprintf(name, sizeof(name), "w%u", message->peer - PLAN_AGENTS_MAX);
    input.hello = (struct engine_hello){
        .name = plan_text(name),
        .instance = plan_text(message->hello.instance),
        .methods = slots,
        .method_count = fill_slots(sim, message->hello.offers,
                                   message->hello.offer_count, slots),
        .concurrency = message->hello.concurrency,
        .in_hand = message->hello.hand,
        .in_hand_count = message->hello.hand_count,
    };
    sim_tell(sim, "hello %s/%s, %u in hand", name, message->hello.instance,
             message->hello.hand_count);
    gateway_step(sim, &input, message);
    gateway_release_later(
        sim, answer_to(message, MESSAGE_WELCOME, &sim->gateway.outbox.result));
}

static void
take_poll(struct sim *sim, const struct message *message)
{
    struct engine_slots slots[SIM_OFFERS_MAX];
    struct engine_input input = {.type = ENGINE_POLL};

    input.poll = (struct engine_poll){
        .worker = message->worker,
        .free_total = message->poll.free_total,
        .credits = slots,
        .credit_count = fill_slots(sim, message->poll.credits,
                                   message->poll.credit_count, slots),
        .acks = message->poll.acks,
        .ack_count = message->poll.ack_count,
    };
    sim_tell(sim, "poll w%u: %u free, %u acknowledged",
             message->peer - PLAN_AGENTS_MAX, message->poll.free_total,
             message->poll.ack_count);
    gateway_step(sim, &input, message);
    if (sim->gateway.outbox.result.status != REDIAL_OK) {
        gateway_release_later(sim, answer_to(message, MESSAGE_POLLED,
                                             &sim->gateway.outbox.result));
    }
}

/* The planted fault: whatever the fence, it is the one at hand. */
static void
ignore_fence(struct sim *sim, struct engine_token *token)
{
    uint32_t spec = spec_of(sim, token->job);

    if (sim->plant == PLANT_FENCE_IGNORED && spec != PLAN_JOBS_MAX &&
        sim->ledger.jobs[spec].state == JOB_RUNNING) {
        token->fence = sim->ledger.jobs[spec].fence;
        token->attempt = sim->ledger.jobs[spec].attempt;
    }
}

static void
take_report(struct sim *sim, struct message *message)
{
    struct message_report *report = &message->report;
    struct engine_token asked = report->token;
    struct engine_input input = {.type = ENGINE_REPORT};

    ignore_fence(sim, &report->token);
    input.report = (struct engine_report){
        .worker = message->worker,
        .token = report->token,
        .kind = report->kind,
        .code = report->code,
        .reason = plan_text(report->reason),
        .has_pushback = report->has_pushback,
        .pushback_ms = report->pushback_ms,
        .for_target = report->for_target && sim->plant != PLANT_HOLD_IGNORED,
        .overloaded = report->overloaded,
        .result_bytes = report->code == REDIAL_OK ? 20 : 0,
    };
    sim_tell(sim, "report w%u: job %u fence %" PRIu64 " kind %d code %d %s",
             message->peer - PLAN_AGENTS_MAX, spec_of(sim, report->token.job),
             report->token.fence, (int)report->kind, (int)report->code,
             report->reason);
    gateway_step(sim, &input, message);
    if (report->kind != REPORT_PROGRESS) {
        struct message *answer = answer_to(message, MESSAGE_REPORTED,
                                           &sim->gateway.outbox.result);

        answer->answer.token = asked;
        gateway_release_later(sim, answer);
    }
}

static void
take_gone(struct sim *sim, const struct message *message, enum engine_gone how)
{
    struct engine_input input = {.type = ENGINE_WORKER_GONE};
    struct session *session = &sim->gateway.sessions[message->peer];

    if (message->worker == 0) {
        return; /* an agent, or never welcomed */
    }
    input.gone.worker = message->worker;
    input.gone.how = how;
    sim_tell(sim, "gone w%u: %d", message->peer - PLAN_AGENTS_MAX, (int)how);
    gateway_step(sim, &input, message);
    if (session->worker == message->worker) {
        session->worker = 0;
    }
}

static void
take_heartbeat(struct sim *sim, const struct message *message)
{
    struct engine_input input = {.type = ENGINE_HEARTBEAT,
                                 .heartbeat = message->worker};

    sim_tell(sim, "heartbeat w%u", message->peer - PLAN_AGENTS_MAX);
    gateway_step(sim, &input, message);
    if (sim->gateway.outbox.result.status != REDIAL_OK) {
        gateway_release_later(sim, answer_to(message, MESSAGE_POLLED,
                                             &sim->gateway.outbox.result));
    }
}

static void
take_unsent(struct sim *sim, const struct message *message)
{
    struct engine_input input = {.type = ENGINE_UNSENT,
                                 .unsent = message->command.token};

    sim_tell(sim, "unsent: job %u fence %" PRIu64,
             spec_of(sim, input.unsent.job), input.unsent.fence);
    gateway_step(sim, &input, message);
}

void
gateway_take(struct sim *sim, struct message *message)
{
    switch ((int)message->type) {
    case MESSAGE_SUBMIT:
        take_submit(sim, message);
        break;
    case MESSAGE_CANCEL:
        take_cancel(sim, message);
        break;
    case MESSAGE_HELLO:
        take_hello(sim, message);
        break;
    case MESSAGE_POLL:
        take_poll(sim, message);
        break;
    case MESSAGE_REPORT:
        take_report(sim, message);
        break;
    case MESSAGE_HEARTBEAT:
        take_heartbeat(sim, message);
        break;
    case MESSAGE_GOODBYE:
        take_gone(sim, message, ENGINE_GONE_GOODBYE);
        break;
    case MESSAGE_CLOSED:
        take_gone(sim, message, ENGINE_GONE_DROPPED);
        break;
    case MESSAGE_REAPED:
        take_gone(sim, message, ENGINE_GONE_DEAD);
        break;
    default:
        take_unsent(sim, message);
        break;
    }
}
