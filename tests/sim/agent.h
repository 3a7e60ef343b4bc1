/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Agents: what they want done (specs), and what they know of it. A spec is one
 * intention to submit, with an id of its own; two specs with the same key and
 * content are one job, of which the first one's id names it.
 */
#ifndef REDIAL_TESTS_SIM_AGENT_H
#define REDIAL_TESTS_SIM_AGENT_H

#include "tests/sim/message.h"
#include "tests/sim/plan.h"

struct sim;

enum spec_state {
    SPEC_PLANNED,
    SPEC_ASKED,   /* no answer yet */
    SPEC_ACKED,   /* the gateway has it: it must end */
    SPEC_REFUSED, /* and the agent gave up */
};

struct spec {
    struct job_id id;
    uint32_t agent;
    uint32_t tenant;
    uint32_t method;
    uint32_t key; /* 0: none */
    uint32_t content;
    uint32_t priority;
    enum idempotency idempotency;
    uint64_t not_before_ms;
    uint64_t deadline_ms;
    uint64_t queue_ttl_ms;
    uint32_t max_attempts;
    uint64_t attempt_timeout_ms;
    uint64_t payload_bytes;
    bool has_correlation;
    uint8_t key_hash[16];
    uint8_t content_hash[16];
    char key_text[SIM_WORD_BYTES];
    char correlation[SIM_WORD_BYTES];

    /* What its attempts will be like. */
    uint32_t success_percent;
    bool killer;
    uint32_t wait_ms_max;

    /* What the agent knows. */
    enum spec_state state;
    uint32_t asked;    /* how often */
    int64_t ask_at_ms; /* the next time; INT64_MAX: not again */
    int64_t cancel_at_ms;
    uint32_t job;   /* spec whose id names the job, once ACKED */
    bool cancelled; /* an answer said that it is cancelled now */

    /* What happened upstream. */
    uint64_t begun_fence; /* of the attempt that a worker began last */
};

struct agents {
    struct happening_event wake[PLAN_AGENTS_MAX];
    uint32_t spec_count;
    struct spec specs[PLAN_JOBS_MAX];
};

/* Decides what all agents will want, and when. */
void
agents_make(struct sim *sim);

/* One agent acts: connects, submits, repeats, cancels. */
void
agent_act(struct sim *sim, uint32_t agent);

/* Its connection is gone: what was asked must be asked again. */
void
agent_lost_connection(struct sim *sim, uint32_t agent);

void
agent_receive(struct sim *sim, const struct message *message);

/* True when no agent waits for anything or plans anything. */
bool
agents_are_done(const struct sim *sim);

/* Fills the engine's form of a spec; texts point into the spec. */
void
spec_submit(const struct sim *sim, const struct spec *spec,
            struct engine_submit *ret_submit);

/* The spec that a job id was made for, or PLAN_JOBS_MAX: nobody's. */
uint32_t
spec_of(const struct sim *sim, struct job_id id);

#endif
