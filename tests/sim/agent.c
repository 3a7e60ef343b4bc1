/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/agent.h"

#include "server/base/hash.h"
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ASKS_MAX = 30 };

static const struct hash_key spec_key = {{11, 12}};

/* ---- What agents want -------------------------------------------------- */

/* UUIDv7: time, version, then what tells us whose it is. */
static struct job_id
make_id(struct sim *sim, uint32_t index, int64_t wall_ms)
{
    struct job_id id;
    uint64_t random = rng_next(&sim->rng);

    for (unsigned i = 0; i < 6; i++) {
        id.bytes[i] = (uint8_t)((uint64_t)wall_ms >> (40 - 8 * i));
    }
    memcpy(id.bytes + 6, &random, 6);
    id.bytes[6] = (uint8_t)(0x70 | (id.bytes[6] & 0x0f));
    id.bytes[8] = (uint8_t)(0x80 | (id.bytes[8] & 0x3f));
    for (unsigned i = 0; i < 4; i++) {
        id.bytes[12 + i] = (uint8_t)(index >> (24 - 8 * i));
    }
    return id;
}

uint32_t
spec_of(const struct sim *sim, struct job_id id)
{
    uint32_t index = 0;

    for (unsigned i = 0; i < 4; i++) {
        index = index << 8 | id.bytes[12 + i];
    }
    return index < sim->agents.spec_count &&
                   memcmp(&sim->agents.specs[index].id, &id, sizeof(id)) == 0
               ? index
               : PLAN_JOBS_MAX;
}

static uint64_t
sometimes(struct sim *sim, uint32_t percent, int64_t from, int64_t to)
{
    return sim_chance(sim, percent) ? (uint64_t)sim_between(sim, from, to) : 0;
}

/* A key that another job of the tenant has as well, mostly for the same. */
static void
choose_key(struct sim *sim, struct spec *spec)
{
    if (!sim_chance(sim, 35)) {
        return;
    }
    spec->key = (uint32_t)sim_between(sim, 1, PLAN_KEYS);
    for (uint32_t i = 0; i < sim->agents.spec_count; i++) {
        const struct spec *other = &sim->agents.specs[i];

        if (other->key != spec->key || other->tenant != spec->tenant) {
            continue;
        }
        if (sim_strikes(sim, FAULT_AGENT_KEY_CLASH)) {
            continue;
        }
        if (sim_strikes(sim, FAULT_AGENT_KEY_AGAIN)) {
            spec->content = other->content;
            spec->method = other->method;
        } else {
            spec->key = 0;
        }
        return;
    }
}

static void
hash_texts(struct spec *spec)
{
    uint64_t content[2] = {spec->content, spec->method};

    if (spec->key == 0) {
        return;
    }
    (void)snprintf(spec->key_text, sizeof(spec->key_text), "key-%u", spec->key);
    uint64_t key[2] = {spec->tenant, spec->key};

    hash_128(&spec_key, key, sizeof(key), spec->key_hash);
    hash_128(&spec_key, content, sizeof(content), spec->content_hash);
}

static void
make_character(struct sim *sim, struct spec *spec)
{
    spec->success_percent = sim_chance(sim, 60) ? 80 : 15;
    spec->killer = sim_chance(sim, 3);
    spec->wait_ms_max = sim_chance(sim, 80) ? 400 : 4000;
}

/* Everybody at once, for the same. */
static void
join_crowd(struct sim *sim, struct spec *spec)
{
    spec->method = 0;
    spec->priority = 5;
    spec->not_before_ms = 0;
    spec->ask_at_ms = SIM_MONO_START + sim->plan.span_ms / 4 +
                      sim_between(sim, 0, 3000);
}

static void
make_spec(struct sim *sim, uint32_t index)
{
    struct spec *spec = &sim->agents.specs[index];
    int64_t at = sim_between(sim, 0, sim->plan.span_ms * 9 / 10);

    if (sim_chance(sim, 30)) {
        at -= at % 5000; /* bursts */
    }
    *spec = (struct spec){
        .agent = (uint32_t)sim_below(sim, sim->plan.agents),
        .tenant = (uint32_t)sim_below(sim, sim->plan.tenants),
        .method = (uint32_t)sim_below(sim, sim->plan.methods),
        .content = index,
        .priority = sim_chance(sim, 50) ? 5 : (uint32_t)sim_below(sim, 10),
        .idempotency = (enum idempotency)sim_below(sim, 3),
        .not_before_ms = sometimes(sim, 15, 1, 20000),
        .deadline_ms = sometimes(sim, 25, 1, 40000),
        .queue_ttl_ms = sometimes(sim, 15, 1, 20000),
        .max_attempts = (uint32_t)sometimes(sim, 20, 1, 12),
        .attempt_timeout_ms = sometimes(sim, 20, 50, 8000),
        .payload_bytes = (uint64_t)sim_between(sim, 0, 1000),
        .has_correlation = sim_chance(sim, 50),
        .ask_at_ms = SIM_MONO_START + at,
        .cancel_at_ms = INT64_MAX,
        .job = PLAN_JOBS_MAX,
    };
    if (sim->plan.crowd && sim_chance(sim, 80)) {
        join_crowd(sim, spec);
    }
    spec->id = make_id(sim, index, SIM_WALL_START + at);
    choose_key(sim, spec);
    hash_texts(spec);
    make_character(sim, spec);
    (void)snprintf(spec->correlation, sizeof(spec->correlation), "story-%u",
                   (unsigned)sim_below(sim, 30));
    if (sim_strikes(sim, FAULT_AGENT_CANCELS)) {
        spec->cancel_at_ms = spec->ask_at_ms + sim_between(sim, 0, 15000);
    }
}

static void
schedule_agent(struct sim *sim, uint32_t agent)
{
    int64_t next = INT64_MAX;

    for (uint32_t i = 0; i < sim->agents.spec_count; i++) {
        const struct spec *spec = &sim->agents.specs[i];

        if (spec->agent == agent) {
            next = spec->ask_at_ms < next ? spec->ask_at_ms : next;
            next = spec->cancel_at_ms < next ? spec->cancel_at_ms : next;
        }
    }
    if (next == INT64_MAX) {
        sim_unschedule(sim, &sim->agents.wake[agent]);
    } else {
        sim_schedule(sim, &sim->agents.wake[agent], next);
    }
}

void
agents_make(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->plan.jobs + 60; i++) {
        make_spec(sim, i);
        sim->agents.spec_count = i + 1;
    }
    for (uint32_t i = 0; i < sim->plan.agents; i++) {
        sim->agents.wake[i].what = HAPPENS_PEER;
        sim->agents.wake[i].who = i;
        schedule_agent(sim, i);
    }
}

void
spec_submit(const struct sim *sim, const struct spec *spec,
            struct engine_submit *ret_submit)
{
    const struct plan_method *method = &sim->plan.method[spec->method];

    *ret_submit = (struct engine_submit){
        .id = spec->id,
        .key = plan_text(spec->key_text),
        .tenant = plan_text(sim->plan.tenant[spec->tenant]),
        .service = plan_text(method->service),
        .method = plan_text(method->method),
        .traceparent = plan_text("00-trace-01"),
        .priority = spec->priority,
        .idempotency = spec->idempotency,
        .not_before_ms = spec->not_before_ms,
        .deadline_ms = spec->deadline_ms,
        .queue_ttl_ms = spec->queue_ttl_ms,
        .max_attempts = spec->max_attempts,
        .attempt_timeout_ms = spec->attempt_timeout_ms,
        .payload_bytes = spec->payload_bytes,
    };
    if (spec->has_correlation) {
        ret_submit->correlation = plan_text(spec->correlation);
    }
    memcpy(ret_submit->key_hash, spec->key_hash, sizeof(spec->key_hash));
    memcpy(ret_submit->content_hash, spec->content_hash,
           sizeof(spec->content_hash));
}

/* ---- What they do ------------------------------------------------------ */

/*
 * Some never do, so that enough is done in the end; but the table of keys may
 * stay full for good.
 */
static bool
may_give_up(const struct spec *spec)
{
    return spec->key != 0 || spec->content % 4 == 0;
}

static void
ask(struct sim *sim, uint32_t index)
{
    struct spec *spec = &sim->agents.specs[index];
    struct message *message = message_new(MESSAGE_SUBMIT, spec->agent);

    message->submit.spec = index;
    message->submit.repeat = spec->asked > 0;
    spec->asked++;
    if (spec->state == SPEC_PLANNED) {
        spec->state = SPEC_ASKED;
    }
    spec->ask_at_ms = INT64_MAX;
    if (spec->state == SPEC_ASKED) {
        spec->ask_at_ms = sim->mono_ms + sim_between(sim, 500, 5000);
        if (spec->asked > ASKS_MAX && !sim->healing && index % 4 == 0) {
            spec->state = SPEC_REFUSED;
            spec->ask_at_ms = INT64_MAX;
        }
    }
    net_to_gateway(sim, message);
}

static void
cancel(struct sim *sim, uint32_t index)
{
    struct spec *spec = &sim->agents.specs[index];
    struct message *message = message_new(MESSAGE_CANCEL, spec->agent);

    spec->cancel_at_ms = INT64_MAX;
    message->cancel.spec = index;
    message->cancel.id = spec->id;
    if (sim_strikes(sim, FAULT_AGENT_CANCELS_AIR)) {
        message->cancel.id.bytes[7] ^= 1;
    }
    net_to_gateway(sim, message);
}

void
agent_act(struct sim *sim, uint32_t agent)
{
    if (!sim->net.links[agent].open && !net_connect(sim, agent)) {
        sim_schedule(sim, &sim->agents.wake[agent],
                     sim->mono_ms + sim_between(sim, 50, 500));
        return;
    }
    for (uint32_t i = 0; i < sim->agents.spec_count; i++) {
        struct spec *spec = &sim->agents.specs[i];

        if (spec->agent == agent && spec->ask_at_ms <= sim->mono_ms) {
            ask(sim, i);
        }
        if (spec->agent == agent && spec->cancel_at_ms <= sim->mono_ms) {
            cancel(sim, i);
        }
    }
    schedule_agent(sim, agent);
}

void
agent_lost_connection(struct sim *sim, uint32_t agent)
{
    for (uint32_t i = 0; i < sim->agents.spec_count; i++) {
        struct spec *spec = &sim->agents.specs[i];

        if (spec->agent == agent && spec->state == SPEC_ASKED) {
            spec->ask_at_ms = sim->mono_ms + sim_between(sim, 0, 1000);
        }
    }
    schedule_agent(sim, agent);
}

static void
acknowledged(struct sim *sim, uint32_t index,
             const struct engine_result *result)
{
    struct spec *spec = &sim->agents.specs[index];
    uint32_t job = spec_of(sim, result->job);

    if (job == PLAN_JOBS_MAX) {
        sim_fail(sim, VIOLATION_ANSWER, "job %u: an unknown id", index);
    }
    /* Once forgotten, the key may have brought it to another one. */
    if (spec->state == SPEC_ACKED && spec->job != job &&
        !sim->disk.trimmed[spec->job]) {
        sim_fail(sim, VIOLATION_DUPLICATE, "job %u is now job %u", spec->job,
                 job);
    }
    spec->state = SPEC_ACKED;
    spec->job = job;
    spec->ask_at_ms = INT64_MAX;
    if (sim_strikes(sim, FAULT_AGENT_REPEATS)) {
        spec->ask_at_ms = sim->mono_ms + sim_between(sim, 0, 20000);
    }
}

static void
refused(struct sim *sim, uint32_t index, const struct engine_result *result)
{
    struct spec *spec = &sim->agents.specs[index];
    bool later = result->status == REDIAL_RESOURCE_EXHAUSTED ||
                 result->status == REDIAL_UNAVAILABLE;

    if (spec->state == SPEC_ACKED) {
        return; /* an older answer, or a repeat that came at a bad time */
    }
    if (!later && result->status != REDIAL_ALREADY_EXISTS) {
        sim_fail(sim, VIOLATION_ANSWER, "job %u was refused: %s", index,
                 result->message);
    }
    if (later && (spec->asked <= ASKS_MAX || !may_give_up(spec))) {
        int64_t wait = (int64_t)result->retry_after_ms;

        spec->ask_at_ms = sim->mono_ms + (wait < 20000 ? wait : 20000) +
                          sim_between(sim, 0, 500);
        return;
    }
    spec->state = SPEC_REFUSED;
    spec->ask_at_ms = INT64_MAX;
}

void
agent_receive(struct sim *sim, const struct message *message)
{
    const struct engine_result *result = &message->answer.result;
    uint32_t index = message->answer.spec;

    if (message->type == MESSAGE_CANCELLED) {
        if (result->status == REDIAL_OK && result->changed) {
            sim->agents.specs[index].cancelled = true;
            sim->agents.specs[index].job = index;
        }
        return;
    }
    if (result->status == REDIAL_OK) {
        acknowledged(sim, index, result);
    } else {
        refused(sim, index, result);
    }
    schedule_agent(sim, message->peer);
}

bool
agents_are_done(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->agents.spec_count; i++) {
        const struct spec *spec = &sim->agents.specs[i];

        if (spec->state == SPEC_PLANNED || spec->state == SPEC_ASKED) {
            return false;
        }
    }
    return true;
}
