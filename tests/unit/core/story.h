/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One random story of failures for the real engine, told on the rig, and for
 * the reference beside it. After each input the records that came out are
 * followed in their order; each must be what the reference expects.
 *
 * A story is a list of acts. Act i draws from a generator of its own, so that
 * acts can be left out without changing the others: that is how a story that
 * fails is made short.
 */
#ifndef REDIAL_TESTS_UNIT_CORE_STORY_H
#define REDIAL_TESTS_UNIT_CORE_STORY_H

#include "server/base/rng.h"
#include "server/core/engine.h"
#include "tests/unit/core/reference.h"

enum {
    STORY_ACTS = 48,
    STORY_JOBS = 10,
    STORY_METHODS = 3, /* s/m, s/n, t/m */
    STORY_TARGETS = 2, /* s, t */
};

/* The policies in force, in both languages. */
struct story_policy {
    struct policy_set set; /* for the engine */
    struct method_policy rows[STORY_METHODS];
    struct target_policy targets[STORY_TARGETS];
    struct text words[STORY_METHODS][2][REFERENCE_WORDS_MAX];
    struct reference_policy reference[STORY_METHODS];
    uint64_t timeout_ms[STORY_METHODS];
    uint64_t deadline_ms[STORY_METHODS];
    struct reference_target wanted[STORY_TARGETS];
};

struct story_job {
    bool accepted;
    bool ended;
    bool running;
    bool acked;
    bool over;    /* the decision is still to come */
    bool decided; /* not to go on: the end is still to come */
    bool failed;  /* an attempt that counted */
    bool suspect;
    int method;
    uint32_t attempt;
    uint64_t timeout_ms; /* its own; 0: the policy's */
    uint64_t not_before_ms;
    int64_t due_at;
    int64_t ttl_at; /* INT64_MAX: none */
    int64_t started_at;
    int64_t timeout_at; /* the gateway's, with its grace */
    struct engine_token token;
    struct reference_job reference;
    struct reference_failure failure; /* of the attempt that is over */
    struct reference_answer answer;
    struct decision decision; /* as recorded with the refusal */
    uint32_t last_code;       /* of the last failure that counted */
    const char *last_reason;
};

struct story {
    uint64_t seed;
    uint64_t without; /* acts that are left out, bit i: act i */
    bool telling;     /* prints what happens */
    char wrong[400];  /* empty: all is as expected */

    struct story_policy policies[2]; /* in turn */
    struct story_policy *policy;
    uint32_t version;
    struct reference_target guards[STORY_TARGETS];
    uint64_t slice_base[STORY_TARGETS]; /* the engine's count of slice 0 */
    int64_t released_at; /* by then all that was held has come back */
    struct story_job jobs[STORY_JOBS];
    int job_count;
    uint64_t worker;
    uint32_t incarnation;
    bool leases;     /* they run out while nobody is heard of */
    bool deadly;     /* few jobs, many deaths */
    bool lone_death; /* the worker that died had one attempt in hand */
    uint32_t seen;   /* assignments */

    /* What was fed last. */
    const struct engine_input *input;
    uint32_t rules[32]; /* decisions compared so far, by enum rule */
};

/* Tells the story of `story->seed`; false when something was wrong. */
bool
story_tell(struct story *story);

/* ---- Between story*.c -------------------------------------------------- */

/* Draws the policies of a version, in both languages. */
void
story_make_policy(struct story *story, struct rng *rng);

/* What the record does to the job's target, and nothing else. */
void
story_follow_target(struct story *story, struct story_job *job,
                    const struct record *record);

/* A record about a target itself. */
void
story_follow_own(struct story *story, const struct record *record);

/* Checks the records of the last step against the reference. */
void
story_follow(struct story *story);

/* Nothing that is due was left undone. */
void
story_check_due(struct story *story);

/* The engine shows the job as the reference has it. */
void
story_check_views(struct story *story);

/* Keeps what was wrong first. */
void
story_object(struct story *story, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
