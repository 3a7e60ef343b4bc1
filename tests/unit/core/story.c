/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/core/story.h"

#include "tests/unit/core/rig.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PLACES = 32 }; /* of the worker: more than there are jobs */

static const int64_t never_ms = INT64_C(1000000000000);

static struct text
text(const char *string)
{
    return (struct text){.at = string, .len = (uint32_t)strlen(string)};
}

static uint64_t
pick(struct rng *rng, const uint64_t *numbers, size_t count)
{
    return numbers[rng_below(rng, count)];
}

#define PICK(rng, ...)                         \
    pick(rng, (const uint64_t[]){__VA_ARGS__}, \
         sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

/* ---- Steps ------------------------------------------------------------- */

static void
feed(struct story *story, const struct engine_input *input)
{
    if (story->wrong[0] != '\0') {
        return;
    }
    story->input = input;
    rig_step(input);
    story_follow(story);
}

static void
poll(struct story *story)
{
    struct engine_token acks[STORY_JOBS];
    struct engine_input input = {.type = ENGINE_POLL};

    input.poll.worker = story->worker;
    input.poll.free_total = PLACES;
    input.poll.acks = acks;
    for (int i = 0; i < story->job_count; i++) {
        if (story->jobs[i].running && story->jobs[i].acked) {
            acks[input.poll.ack_count++] = story->jobs[i].token;
        }
    }
    feed(story, &input);
}

/* What was told to stop stops at once, so that no ghosts are about. */
static void
obey_stops(struct story *story)
{
    for (uint32_t i = 0; i < rig.stop_count; i++) {
        struct engine_input input = {.type = ENGINE_REPORT};

        input.report.worker = story->worker;
        input.report.token = rig.stops[i].token;
        input.report.code = REDIAL_CANCELLED;
        feed(story, &input);
    }
    rig.stop_count = 0;
}

/* Stops, then acknowledgements; all of them but for a few with leases. */
static void
settle_down(struct story *story, struct rng *rng)
{
    for (int round = 0; round < 100; round++) {
        bool more = rig.stop_count > 0;

        obey_stops(story);
        for (int i = 0; i < story->job_count; i++) {
            struct story_job *job = &story->jobs[i];

            if (job->running && !job->acked &&
                (!story->leases || rng_below(rng, 3) != 0)) {
                job->acked = true;
                more = true;
            }
        }
        if (!more || story->wrong[0] != '\0') {
            return;
        }
        poll(story);
    }
    story_object(story, "it does not settle down");
}

static void
hello(struct story *story)
{
    static const struct engine_slots slots[] = {
        {.service = {"s", 1}, .count = PLACES},
        {.service = {"t", 1}, .count = PLACES},
    };
    static char instance[16];
    struct engine_input input = {.type = ENGINE_HELLO};

    (void)snprintf(instance, sizeof(instance), "%u", ++story->incarnation);
    input.hello.name = text("w");
    input.hello.instance = text(instance);
    input.hello.methods = slots;
    input.hello.method_count = 2;
    input.hello.concurrency = 2 * PLACES;
    feed(story, &input);
    story->worker = rig.out.result.worker;
    poll(story);
}

static void
move_to(int64_t mono_ms)
{
    rig.now.wall.ms += mono_ms - rig.now.mono.ms;
    rig.now.mono.ms = mono_ms;
}

/* Ticks at every wake on the way; whoever has leases is heard of. */
static void
wait_until(struct story *story, struct rng *rng, int64_t end)
{
    const struct engine_input tick = {.type = ENGINE_TICK};
    struct engine_input heartbeat = {.type = ENGINE_HEARTBEAT,
                                     .heartbeat = story->worker};
    int64_t heard_at = rig.now.mono.ms;

    for (int i = 0; i < 10000 && story->wrong[0] == '\0'; i++) {
        int64_t wake = engine_next_wake(rig.engine).ms;
        int64_t beat = story->leases ? heard_at + 500 : INT64_MAX;

        if (wake > end && beat > end) {
            move_to(end);
            settle_down(story, rng);
            story_check_due(story);
            return;
        }
        if (beat < wake) {
            move_to(beat);
            heard_at = beat;
            feed(story, &heartbeat);
            continue;
        }
        if (wake > rig.now.mono.ms) {
            move_to(wake);
        }
        feed(story, &tick);
        settle_down(story, rng);
    }
    story_object(story, "time does not pass");
}

/* ---- Acts -------------------------------------------------------------- */

static void
act_submit(struct story *story, struct rng *rng)
{
    static const char *const services[STORY_METHODS] = {"s", "s", "t"};
    static const char *const methods[STORY_METHODS] = {"m", "n", "m"};
    struct engine_input input = {.type = ENGINE_SUBMIT};
    struct story_job *job = &story->jobs[story->job_count];

    if (story->job_count == STORY_JOBS) {
        return;
    }
    *job = (struct story_job){
        .method = (int)rng_below(rng, STORY_METHODS),
        .timeout_ms = PICK(rng, 0, 0, 0, 50, 1000000),
        .not_before_ms = PICK(rng, 0, 0, 0, 700),
        .last_reason = "",
    };
    input.submit = (struct engine_submit){
        .id = rig_id((uint32_t)story->job_count),
        .service = text(services[job->method]),
        .method = text(methods[job->method]),
        .priority = (uint32_t)rng_below(rng, 10),
        .idempotency = job->method == 1 && rng_below(rng, 2) == 0
                           ? IDEMPOTENCY_UNSET
                           : (enum idempotency)rng_below(rng, 3),
        .not_before_ms = job->not_before_ms,
        .deadline_ms = PICK(rng, 0, 0, 0, 300, 5000, 100000),
        .queue_ttl_ms = PICK(rng, 0, 0, 0, 0, 400),
        .max_attempts = (uint32_t)PICK(rng, 0, 0, 0, 1, 2, 5, 10),
        .attempt_timeout_ms = job->timeout_ms,
    };
    if (job->method == 1 && input.submit.idempotency == IDEMPOTENCY_YES) {
        input.submit.idempotency = IDEMPOTENCY_NO;
    }
    job->reference.own_max = input.submit.max_attempts;
    job->reference.says_idempotency = input.submit.idempotency !=
                                      IDEMPOTENCY_UNSET;
    job->reference.not_idempotent = input.submit.idempotency == IDEMPOTENCY_NO;
    story->job_count++;
    feed(story, &input);
    if (rig.out.result.status != REDIAL_OK) {
        story_object(story, "a submit is refused: %s", rig.out.result.message);
    }
}

/* One that runs, or NULL. */
static struct story_job *
some_running(struct story *story, struct rng *rng)
{
    int from = (int)rng_below(rng, STORY_JOBS);

    for (int i = 0; i < STORY_JOBS; i++) {
        struct story_job *job = &story->jobs[(from + i) % STORY_JOBS];

        if (job->running) {
            return job;
        }
    }
    return NULL;
}

static void
draw_failure(struct rng *rng, struct engine_report *report)
{
    static const char *const reasons[] = {
        "", "", "BUG", "QUOTA", "BUSY", "OTHER", "ATTEMPT_TIMEOUT",
    };

    report->code = (enum redial_status)PICK(rng, REDIAL_UNAVAILABLE,
                                            REDIAL_DEADLINE_EXCEEDED,
                                            1 + rng_below(rng, 16), 17, 300);
    report->reason = text(reasons[rng_below(rng, 7)]);
    report->overloaded = rng_below(rng, 12) == 0;
    report->has_pushback = rng_below(rng, 3) == 0;
    report->for_target = rng_below(rng, 4) == 0;
    if (report->has_pushback) {
        report->pushback_ms = (int64_t)PICK(rng, 0, 1, 40, 777, 9000, 5000000,
                                            INT64_MAX);
        if (rng_below(rng, 5) == 0) {
            report->pushback_ms = rng_below(rng, 2) == 0 ? -1 : INT64_MIN;
        }
    }
}

static void
act_report(struct story *story, struct rng *rng)
{
    struct engine_input input = {.type = ENGINE_REPORT};
    struct story_job *job = some_running(story, rng);
    uint64_t kind = rng_below(rng, 16);

    if (job == NULL) {
        return;
    }
    input.report.worker = story->worker;
    input.report.token = job->token;
    if (kind < 2) {
        input.report.kind = REPORT_NOT_STARTED;
    } else if (kind == 2) {
        input.report.kind = REPORT_PROGRESS;
        job->acked = true;
    } else if (kind == 3) {
        input.report.result_bytes = 3;
    } else {
        draw_failure(rng, &input.report);
    }
    feed(story, &input);
}

static void
act_wait(struct story *story, struct rng *rng)
{
    int64_t now = rig.now.mono.ms;
    int64_t wake = engine_next_wake(rig.engine).ms;
    int64_t longest = now + (story->leases ? 20000 : 10000000);
    int64_t end = now + (int64_t)PICK(rng, 1, 30, 500, 2500, 70000, 8000000);

    if (rng_below(rng, 2) == 0 && wake != INT64_MAX) {
        /* To the moment, or just before it. */
        end = wake - (int64_t)rng_below(rng, 2);
    }
    if (end > longest) {
        end = longest;
    }
    wait_until(story, rng, end < now ? now : end);
}

static void
act_cancel(struct story *story, struct rng *rng)
{
    struct engine_input input = {.type = ENGINE_CANCEL};
    uint32_t number = (uint32_t)rng_below(rng, STORY_JOBS);

    if ((int)number < story->job_count && !story->jobs[number].ended) {
        input.cancel.id = rig_id(number);
        input.cancel.reason = text("no longer needed");
        feed(story, &input);
    }
}

static void
act_reload(struct story *story, struct rng *rng)
{
    struct engine_input input = {.type = ENGINE_POLICY};
    struct story_policy *before = story->policy;

    story_make_policy(story, rng);
    for (int i = 0; i < STORY_TARGETS; i++) {
        reference_reload(&story->guards[i], &story->policy->wanted[i],
                         rig.now.mono.ms);
    }
    input.policy = &story->policy->set;
    feed(story, &input);
    memset(before, 0xa5, sizeof(*before));
}

static void
act_death(struct story *story, struct rng *rng)
{
    struct engine_input input = {.type = ENGINE_WORKER_GONE};
    int in_hand = 0;

    (void)rng;
    for (int i = 0; i < story->job_count; i++) {
        in_hand += story->jobs[i].running;
    }
    story->lone_death = in_hand == 1;
    input.gone.worker = story->worker;
    input.gone.how = ENGINE_GONE_DEAD;
    feed(story, &input);
    hello(story);
}

static void
act(struct story *story, int number)
{
    static const struct {
        const char *name;
        void (*play)(struct story *, struct rng *);
    } acts[] = {
        {"submit", act_submit}, {"submit", act_submit}, {"report", act_report},
        {"report", act_report}, {"report", act_report}, {"report", act_report},
        {"report", act_report}, {"wait", act_wait},     {"wait", act_wait},
        {"wait", act_wait},     {"wait", act_wait},     {"wait", act_wait},
        {"cancel", act_cancel}, {"reload", act_reload}, {"death", act_death},
    };
    struct rng rng;

    rng_init(&rng, story->seed * 1000 + (uint64_t)number);
    uint64_t which = number == 0 ? 0 : rng_below(&rng, 15);

    /* The last ones are rare: they end much. */
    if (story->deadly && number > 0) {
        which = which < 4 ? 14 : 7 + which % 5;
    } else if (which >= 12 && rng_below(&rng, 4) != 0) {
        which = 2;
    }
    if (story->telling) {
        printf("act %d at %" PRId64 ": %s\n", number, rig.now.mono.ms,
               acts[which].name);
    }
    acts[which].play(story, &rng);
    settle_down(story, &rng);
    if (story->wrong[0] == '\0') {
        story_check_views(story);
    }
}

static void
begin(struct story *story)
{
    struct rng rng;
    uint64_t seed = story->seed;
    uint64_t without = story->without;
    bool telling = story->telling;

    memset(story, 0, sizeof(*story));
    story->seed = seed;
    story->without = without;
    story->telling = telling;
    rng_init(&rng, seed);
    story->leases = rng_below(&rng, 4) == 0;
    story->deadly = rng_below(&rng, 6) == 0;
    rig.limits.lease_ms = story->leases ? 4000 : (uint64_t)never_ms;
    rig.limits.silence_ms = story->leases ? 3000 : (uint64_t)never_ms;
    rig.limits.attempts_limit = (uint32_t)PICK(&rng, 3, 5, 10);
    rig.now = (struct now){.mono = {1000000}, .wall = {1700000000000}};
    story_make_policy(story, &rng);
    for (int i = 0; i < STORY_TARGETS; i++) {
        story->guards[i] = story->policy->wanted[i];
    }
    rig_restart_empty();
    feed(story, &(struct engine_input){.type = ENGINE_POLICY,
                                       .policy = &story->policy->set});
    hello(story);
}

bool
story_tell(struct story *story)
{
    begin(story);
    for (int i = 0; i < STORY_ACTS && story->wrong[0] == '\0'; i++) {
        if ((story->without >> i & 1) == 0) {
            act(story, i);
        }
    }
    if (story->wrong[0] == '\0') {
        rig_check_replay();
    }
    return story->wrong[0] == '\0';
}
