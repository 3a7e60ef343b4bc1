/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a script acts on. There are two: the pure core under a clock that only
 * the script moves (core.c), and a real gateway with real agents and workers
 * (sockets.c). Both write down what they saw in one form, against which the
 * expectations are checked (check.c).
 *
 * Times are milliseconds since the row began. A row runs in a process of its
 * own: whatever is wrong ends it by world_fail().
 */
#ifndef REDIAL_TESTS_CONFORMANCE_WORLD_H
#define REDIAL_TESTS_CONFORMANCE_WORLD_H

#include "server/core/engine.h"
#include "tests/conformance/script.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    JOBS_MAX = 4096,
    SEEN_MAX = 65536,
    NAME_MAX_BYTES = 32,
    NO_JOB = -1,
};

/* A record or an event, with texts of its own. */
struct seen {
    struct record record;
    int job; /* NO_JOB */
    int64_t at;
    char reason[64];
    char text[128];
    char worker[64];
    char target[64];
    char service[64];
    char method[64];
    char tenant[64];
    char correlation[64];
    char holder[64];
    bool checked; /* by `events` */
};

/* An attempt as a worker got it. */
struct call {
    int job;
    int64_t at;
    struct engine_token token;
    char worker[NAME_MAX_BYTES];
    uint64_t timeout_ms;
    uint64_t remaining_ms;
    uint32_t charged_before;
    bool stopped; /* the gateway told the worker to give it up */
};

struct asked {
    int job;
    const char *service;
    const char *method;
    const char *tenant;
    const char *key;
    const char *content;
    const char *correlation;
    uint32_t priority;
    enum idempotency idempotency;
    uint64_t not_before_ms;
    uint64_t deadline_ms;
    uint64_t queue_ttl_ms;
    uint32_t max_attempts;
    uint64_t attempt_timeout_ms;
    uint64_t payload_bytes;
};

struct said {
    enum report_kind kind;
    uint32_t code; /* also one that is not a status */
    const char *reason;
    const char *text;
    bool has_pushback;
    int64_t pushback_ms;
    bool for_target;
    bool overloaded;
};

struct worker_asked {
    const char *name;
    const char *instance;
    const char *service;
    const char *method;
    uint32_t slots;
};

struct answer {
    enum redial_status status;
    char reason[64];
    int job; /* that it is about */
    bool deduplicated;
    bool changed;
    uint64_t retry_after_ms;
};

struct world;

struct world_ops {
    /*
     * The first one starts the gateway; false: it was refused, which `refused`
     * says to expect.
     */
    bool (*use_policy)(struct world *world, const char *json, bool refused);
    void (*open_worker)(struct world *world, const struct worker_asked *asked);
    /* how: dies, drops, leaves, quiet, awake, silent-acks */
    void (*change_worker)(struct world *world, const char *name,
                          const char *how);
    struct answer (*submit)(struct world *world, const struct asked *asked);
    struct answer (*cancel)(struct world *world, int job);
    struct answer (*report)(struct world *world, const struct call *call,
                            const struct said *said);
    /* Lets the worker's clock end this attempt at its limit. */
    void (*time_out)(struct world *world, const struct call *call);
    /* Runs to this time. */
    void (*advance)(struct world *world, int64_t to);
    /* Waits for records of this kind; false: it did not come. */
    bool (*await)(struct world *world, int job, enum event_type type,
                  uint32_t attempt);
    /* Waits until the worker is told to give it up; false: it was not. */
    bool (*await_stop)(struct world *world, const struct call *call);
    /* The state as shown to agents; "NONE" when it is not live. */
    const char *(*state_of)(struct world *world, int job);
    /* What only this world has; NULL: nothing. False: no such verb. */
    bool (*verb)(struct world *world, const struct statement *statement);
};

struct world {
    const struct world_ops *ops;
    const struct section *section;
    const struct row *row;
    const struct statement *statement; /* that runs now */
    bool is_real;                      /* sockets, and time that nobody moves */
    int64_t now;
    int64_t skew;  /* of the real clock against the script's */
    int64_t early; /* so much too early is fine, */
    int64_t late;  /* and so much too late */
    int64_t wall_zero_ms;
    char jobs[JOBS_MAX][NAME_MAX_BYTES];
    int job_count;
    struct seen *seen;
    size_t seen_count;
    struct call *calls;
    size_t call_count;
    size_t expectations; /* checked so far */
};

/* Says what is wrong and where, and ends the process with 1. */
__attribute__((format(printf, 2, 3), noreturn)) void
world_fail(const struct world *world, const char *format, ...);

/* The job of this name; a new one if there is none and `make` is true. */
int
world_job(struct world *world, const char *name, bool make);

/* Notes a record of either world. */
struct seen *
world_note(struct world *world, const struct record *record, int job,
           int64_t at);

/* The last one of this kind from `from` on; attempt 0: any. Or NULL. */
struct seen *
world_find(const struct world *world, int job, enum event_type type,
           uint32_t attempt);

/* The job's attempt of this number (0: the last one) as a worker got it. */
struct call *
world_call(const struct world *world, int job, uint32_t attempt);

/* Runs one row of a section; ends the process by world_fail() if it fails. */
void
world_play(struct world *world, const struct section *section,
           const struct row *row);

/* The pure one. At the end of a row the log must rebuild its state. */
void
core_world(struct world *ret_world);

void
core_close(struct world *world);

#endif
