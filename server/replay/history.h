/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was recorded: jobs, what was asked of each, and how each of its attempts
 * went. Times are milliseconds since the first event. A job whose acceptance is
 * not among the events cannot be replayed and is only counted.
 *
 * Grows with what is added; all memory is given back by history_fini().
 */
#ifndef REDIAL_SERVER_REPLAY_HISTORY_H
#define REDIAL_SERVER_REPLAY_HISTORY_H

#include "server/base/map.h"
#include "server/core/engine.h"

#include <stdbool.h>
#include <stdint.h>

#define HISTORY_NONE UINT32_MAX

struct past_attempt {
    uint32_t next; /* of the same job; HISTORY_NONE: the last */
    uint32_t number;
    uint32_t worker; /* index in workers */
    int64_t started_ms;
    int64_t ended_ms; /* -1: still running at the end */
    enum redial_status code;
    uint32_t reason; /* index in texts; 0: none */
    bool free;       /* cost nothing */
    bool lost;
    bool has_pushback;
    bool for_target;
    bool overloaded;
    int64_t pushback_ms;
};

struct past_job {
    struct job_id id;
    uint32_t method;            /* index in methods */
    uint32_t tenant;            /* index in texts */
    uint32_t correlation;       /* index in texts; 0: the id */
    struct engine_submit asked; /* texts are filled in when it is submitted */
    int64_t accepted_ms;
    int64_t ended_ms;     /* -1: not final at the end */
    int64_t cancelled_ms; /* by an agent; -1: never */
    enum job_state state; /* final one, or JOB_NONE */
    enum rule rule;       /* why it ended */
    uint32_t first;       /* of its attempts */
    uint32_t last;
    uint32_t attempts;
    uint32_t attempts_free;
};

struct past_method {
    uint32_t service; /* index in texts */
    uint32_t name;
    uint32_t last_attempt; /* newest one that ended; HISTORY_NONE */
};

/* All incarnations of one name together. */
struct past_worker {
    uint32_t name;        /* index in texts */
    uint32_t in_hand;     /* now */
    uint32_t concurrency; /* the most that it ever had in hand */
};

/* A worker ran the method. */
struct past_offer {
    uint32_t worker;
    uint32_t method;
};

struct history {
    struct past_job *jobs;
    struct past_attempt *attempts;
    struct past_method *methods;
    struct past_worker *workers;
    struct past_offer *offers;
    struct text *texts; /* 0 is the empty one */
    uint32_t job_count;
    uint32_t attempt_count;
    uint32_t method_count;
    uint32_t worker_count;
    uint32_t offer_count;
    uint32_t text_count;
    struct map known; /* hashes of all of the above to their index */
    void *known_memory;
    uint32_t known_max;
    bool started; /* first_wall_ms is set */
    int64_t first_wall_ms;
    int64_t last_ms;   /* of the newest event; never goes back */
    uint64_t headless; /* events of jobs whose acceptance is not there */
    uint64_t gaps;
};

/* False: no memory. A zeroed history is fine for history_fini(). */
bool
history_init(struct history *history);

void
history_fini(struct history *history);

/* Index of a job, or HISTORY_NONE. */
uint32_t
history_find(const struct history *history, struct job_id id);

/* Adds what one event says. False: no memory. */
bool
history_add(struct history *history, const struct record *record);

#endif
