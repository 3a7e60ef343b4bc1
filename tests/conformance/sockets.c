/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world of real sockets: a gateway process, an agent and workers of
 * libredial, and the stream of events as what was seen. Time is real: what
 * happens is expected so long after what caused it, never earlier, and at most
 * a while later (the machine may be busy).
 *
 *     conformance_sockets FILE...   plays the rows that say `sockets`
 */
#include "tests/conformance/check.h"
#include "tests/conformance/world.h"
#include "tests/e2e/harness/harness.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    EARLY_MS = 5, /* two clocks, each cut to milliseconds */
    LATE_MS = 3000,
    WORKERS_MAX = 4,
    ROW_SECONDS_MAX = 50,
    AT_ONCE = 4, /* rows; they mostly wait */
    DECISION_MS = 300,
};

/* What a worker's thread has to say to the script's. */
struct letter {
    redial_attempt *attempt;
    bool is_stop;
    char job[NAME_MAX_BYTES];
    struct call call;
};

struct real_worker {
    char name[NAME_MAX_BYTES];
    redial_worker *worker;
};

static struct {
    struct test_gateway gateway;
    redial_client *client;
    redial_watch *watch;
    char config[96];
    struct real_worker workers[WORKERS_MAX];
    int worker_count;
    char ids[JOBS_MAX][REDIAL_NAME_BYTES];
    redial_attempt *attempts[SEEN_MAX]; /* of each call; NULL: completed */
    pthread_mutex_t lock;               /* of what follows */
    struct letter letters[SEEN_MAX];
    size_t letter_count;
    size_t letters_read;
} real = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- Workers ----------------------------------------------------------- */

static void
post(const struct letter *letter)
{
    pthread_mutex_lock(&real.lock);
    if (real.letter_count < SEEN_MAX) {
        real.letters[real.letter_count++] = *letter;
    }
    pthread_mutex_unlock(&real.lock);
}

/* The payload is the name of the job in the script. */
static void
take_attempt(void *ctx, redial_attempt *attempt)
{
    const struct redial_assignment *work = redial_attempt_work(attempt);
    const struct real_worker *worker = ctx;
    struct letter letter = {
        .attempt = attempt,
        .call = {.token = {.attempt = work->attempt, .fence = work->fence},
                 .timeout_ms = work->timeout_ms,
                 .remaining_ms = work->remaining_ms,
                 .charged_before = work->charged_before},
    };

    if (work->payload_bytes < sizeof(letter.job)) {
        memcpy(letter.job, work->payload, work->payload_bytes);
    }
    memcpy(letter.call.worker, worker->name, sizeof(letter.call.worker));
    post(&letter);
}

static void
take_stop(void *ctx, redial_attempt *attempt)
{
    (void)ctx;
    post(&(struct letter){.attempt = attempt, .is_stop = true});
}

static void
open_letter(struct world *world, struct letter *letter)
{
    if (!letter->is_stop) {
        letter->call.job = world_job(world, letter->job, false);
        real.attempts[world->call_count] = letter->attempt;
        world->calls[world->call_count++] = letter->call;
        return;
    }
    for (size_t i = 0; i < world->call_count; i++) {
        if (real.attempts[i] == letter->attempt) {
            world->calls[i].stopped = true;
        }
    }
}

/* Takes what the workers' threads have posted. */
static void
read_letters(struct world *world)
{
    for (;;) {
        struct letter letter;

        pthread_mutex_lock(&real.lock);
        bool more = real.letters_read < real.letter_count;

        if (more) {
            letter = real.letters[real.letters_read++];
        }
        pthread_mutex_unlock(&real.lock);
        if (!more) {
            return;
        }
        open_letter(world, &letter);
    }
}

static void
real_open_worker(struct world *world, const struct worker_asked *asked)
{
    struct real_worker *worker = &real.workers[real.worker_count++];
    struct redial_worker_method method = {
        .service = asked->service,
        .method = asked->method[0] == '\0' ? NULL : asked->method,
        .concurrency = asked->slots,
        .handler = take_attempt,
        .cancel = take_stop,
        .ctx = worker,
        .is_async = true,
    };
    struct redial_worker_options options = {
        .struct_size = sizeof(options),
        .connection.addresses = real.gateway.workers,
        .name = worker->name,
        .methods = &method,
        .method_count = 1,
    };
    struct redial_error error;

    if (real.worker_count > WORKERS_MAX ||
        strlen(asked->name) >= NAME_MAX_BYTES) {
        world_fail(world, "too many workers, or too long a name");
    }
    memcpy(worker->name, asked->name, strlen(asked->name) + 1);
    if (redial_worker_open(&options, &worker->worker, &error) != REDIAL_OK ||
        redial_worker_wait_ready(worker->worker, patience(), &error) !=
            REDIAL_OK) {
        world_fail(world, "the worker cannot work: %s", error.text);
    }
}

static void
real_change_worker(struct world *world, const char *name, const char *how)
{
    world_fail(world, "worker %s cannot do this through sockets: %s", name,
               how);
}

/* ---- The stream of events ---------------------------------------------- */

static struct text
text_from(const char *string)
{
    return (struct text){.at = string, .len = (uint32_t)strlen(string)};
}

static void
read_decision(const struct redial_decision *from, struct decision *to)
{
    *to = (struct decision){
        .jitter_permille = from->jitter_permille,
        .backoff_ms = from->backoff_ms,
        .delay_ms = from->delay_ms,
        .attempts_charged = from->attempts_charged,
        .attempts_free = from->attempts_free,
        .attempts_left = from->attempts_left,
        .tokens_milli = from->has_tokens ? from->tokens_milli : -1,
        .tokens_max_milli = from->tokens_max_milli,
        .budget_milli = from->has_budget ? from->budget_milli : -1,
        .until_wall_ms = from->until_wall_ms,
        .policy_version = from->policy_version,
    };
    for (int rule = 0; rule <= RULE_HEDGE_LOST; rule++) {
        if (strcmp(rule_name((enum rule)rule), from->rule) == 0) {
            to->rule = (enum rule)rule;
        }
    }
    for (int i = 0; i <= DELAY_TARGET_PUSHBACK; i++) {
        if (strcmp(delay_source_name((enum delay_source)i),
                   from->delay_source) == 0) {
            to->delay_source = (enum delay_source)i;
        }
    }
    for (int i = 0; i <= CLAMP_ATTEMPTS_LIMIT; i++) {
        if (strcmp(clamp_name((enum clamp)i), from->clamp) == 0) {
            to->clamp = (enum clamp)i;
        }
    }
}

static int
job_by_id(const struct world *world, const char *id)
{
    for (int job = 0; id[0] != '\0' && job < world->job_count; job++) {
        if (strcmp(real.ids[job], id) == 0) {
            return job;
        }
    }
    return NO_JOB;
}

static void
note_event(struct world *world, const struct redial_event *event)
{
    struct record record = {
        .attempt = event->attempt,
        .fence = event->fence,
        .code = event->has_code ? event->code : REDIAL_OK,
        .charged = event->charged,
        .job_seq = event->job_seq,
        .since_accepted_ms = event->since_accepted_ms,
        .reason = text_from(event->reason),
        .text = text_from(event->text),
        .worker = text_from(event->worker),
        .service = text_from(event->service),
        .method = text_from(event->method),
        .tenant = text_from(event->tenant),
        .correlation = text_from(event->correlation_id),
        .target = text_from(event->target),
        .hedge = event->hedge,
        .overloaded = event->overloaded,
        .for_target = event->for_target,
        .has_pushback = event->has_pushback,
        .pushback_ms = event->pushback_ms,
        .timeout_ms = event->timeout_ms,
    };

    if (!event_type_from_name(text_from(event->type), &record.type) ||
        event->seq == 0) {
        return; /* live only: heartbeats, progress */
    }
    if (event->decision != NULL) {
        read_decision(event->decision, &record.decision);
    }
    if (world->wall_zero_ms == 0) {
        world->wall_zero_ms = event->wall_ms;
    }
    (void)world_note(world, &record, job_by_id(world, event->job_id),
                     event->wall_ms - world->wall_zero_ms);
}

/* Waits for one event; false: none came in this time. */
static bool
pump(struct world *world, uint64_t ms)
{
    const struct redial_event *event;
    struct redial_error error;
    enum redial_status status = redial_watch_next(real.watch, redial_in_ms(ms),
                                                  &event, &error);

    read_letters(world);
    if (status == REDIAL_OK) {
        note_event(world, event);
        return true;
    }
    if (status != REDIAL_DEADLINE_EXCEEDED) {
        world_fail(world, "no events: %s", error.text);
    }
    return false;
}

static bool
has_call(const struct world *world, int job, uint32_t attempt)
{
    for (size_t i = 0; i < world->call_count; i++) {
        if (world->calls[i].job == job &&
            (attempt == 0 || world->calls[i].token.attempt == attempt)) {
            return true;
        }
    }
    return false;
}

static bool
real_await(struct world *world, int job, enum event_type type, uint32_t attempt)
{
    int64_t end = now_ms() + PATIENCE_MS;

    while (now_ms() < end) {
        if (world_find(world, job, type, attempt) != NULL &&
            (type != EVENT_ATTEMPT_STARTED || has_call(world, job, attempt))) {
            return true;
        }
        (void)pump(world, 20);
    }
    return false;
}

/* The events come by another way and may be first. */
static bool
real_await_stop(struct world *world, const struct call *call)
{
    int64_t end = now_ms() + PATIENCE_MS;

    while (!call->stopped && now_ms() < end) {
        (void)pump(world, 5);
    }
    return call->stopped;
}

/* What the script does happens at its own time, whenever that is. */
static void
anchor(struct world *world, int job, enum event_type type, uint32_t attempt)
{
    if (!real_await(world, job, type, attempt)) {
        world_fail(world, "%s did not come", event_type_name(type));
    }
    world->skew = world_find(world, job, type, attempt)->at - world->now;
}

/* The clock of events: the last one seen tells the way to ours. */
static void
real_advance(struct world *world, int64_t to)
{
    struct timespec at;

    if (to < world->now) {
        world_fail(world, "it is %lld already", (long long)world->now);
    }
    for (;;) {
        (void)clock_gettime(CLOCK_REALTIME, &at);
        int64_t wall_ms = (int64_t)at.tv_sec * 1000 + at.tv_nsec / 1000000;
        int64_t left = world->wall_zero_ms + world->skew + to - wall_ms;

        if (left <= 0) {
            break;
        }
        (void)pump(world, (uint64_t)left);
    }
    while (pump(world, 0)) {
    }
    world->now = to;
}

/* ---- The gateway ------------------------------------------------------- */

static void
close_gateway(void)
{
    if (real.gateway.dir[0] != '\0') {
        gateway_teardown(&real.gateway);
    }
}

static void
open_client(struct world *world)
{
    struct redial_error error;

    real.client = client_of(&real.gateway);
    if (redial_watch_open(real.client, NULL, "start", patience(), &real.watch,
                          &error) != REDIAL_OK) {
        world_fail(world, "no stream of events: %s", error.text);
    }
    if (!real_await(world, NO_JOB, EVENT_GATEWAY_STARTED, 0)) {
        world_fail(world, "the gateway has not started");
    }
    world->skew = world_find(world, NO_JOB, EVENT_GATEWAY_STARTED, 0)->at;
}

static bool
reload(struct world *world)
{
    struct seen *seen = world_find(world, NO_JOB, EVENT_GATEWAY_RELOADED, 0);
    struct seen *last = seen;

    (void)kill(real.gateway.pid, SIGHUP);
    for (int64_t end = now_ms() + PATIENCE_MS; seen == last;) {
        if (now_ms() > end) {
            world_fail(world, "the gateway does not reload");
        }
        (void)pump(world, 20);
        seen = world_find(world, NO_JOB, EVENT_GATEWAY_RELOADED, 0);
    }
    return strncmp(seen->text, "refused", 7) != 0;
}

static bool
real_use_policy(struct world *world, const char *json, bool refused)
{
    static const char *const sets[] = {"store.ephemeral=true", NULL};

    if (real.gateway.dir[0] == '\0') {
        gateway_setup(&real.gateway);
        (void)atexit(close_gateway);
        (void)snprintf(real.config, sizeof(real.config), "%s/redial.json",
                       real.gateway.dir);
        real.gateway.config = real.config;
        real.gateway.sets = sets;
    }
    FILE *file = fopen(real.config, "w");

    if (file == NULL || fputs(json, file) < 0 || fclose(file) != 0) {
        world_fail(world, "%s cannot be written", real.config);
    }
    if (real.client != NULL) {
        return reload(world);
    }
    if (refused) {
        return gateway_fail(&real.gateway) == 0;
    }
    gateway_run(&real.gateway);
    open_client(world);
    return true;
}

/* ---- The agent --------------------------------------------------------- */

static struct answer
answer_of(enum redial_status status, const struct redial_error *error)
{
    struct answer answer = {.status = status, .job = NO_JOB};

    if (status != REDIAL_OK) {
        (void)snprintf(answer.reason, sizeof(answer.reason), "%.63s",
                       error->reason);
    }
    return answer;
}

static struct answer
real_submit(struct world *world, const struct asked *asked)
{
    const char *name = world->jobs[asked->job];
    struct redial_submitted submitted;
    struct redial_error error;

    redial_new_id(real.ids[asked->job]);
    struct redial_job job = {
        .struct_size = sizeof(job),
        .service = asked->service,
        .method = asked->method,
        .payload = name,
        .payload_bytes = strlen(name),
        .id = real.ids[asked->job],
        .key = asked->key,
        .correlation_id = asked->correlation,
        .tenant = asked->tenant,
        .priority = REDIAL_PRIORITY((int)asked->priority),
        .idempotent = (enum redial_idempotency)asked->idempotency,
        .not_before_ms = asked->not_before_ms,
        .deadline_ms = asked->deadline_ms,
        .queue_ttl_ms = asked->queue_ttl_ms,
        .max_attempts = asked->max_attempts,
        .attempt_timeout_ms = asked->attempt_timeout_ms,
    };
    enum redial_status status = redial_submit(real.client, &job, patience(),
                                              &submitted, &error);
    struct answer answer = answer_of(status, &error);

    if (status == REDIAL_OK) {
        answer.deduplicated = submitted.deduplicated;
        answer.job = job_by_id(world, submitted.id);
        anchor(world, asked->job, EVENT_JOB_ACCEPTED, 0);
    }
    return answer;
}

static struct answer
real_cancel(struct world *world, int job)
{
    struct redial_cancelled cancelled = {0};
    struct redial_error error;
    enum redial_status status = redial_cancel(
        real.client, (struct redial_job_ref){.id = real.ids[job]},
        "cancelled by the script", patience(), &cancelled, &error);
    struct answer answer = answer_of(status, &error);

    answer.changed = cancelled.cancelled;
    if (answer.changed) {
        anchor(world, job, EVENT_JOB_CANCELLED, 0);
    }
    return answer;
}

static const char *
real_state_of(struct world *world, int job)
{
    struct redial_job_info *info = NULL;
    struct redial_error error;

    if (redial_get(real.client, (struct redial_job_ref){.id = real.ids[job]},
                   patience(), &info, &error) != REDIAL_OK) {
        world_fail(world, "the job cannot be shown: %s", error.text);
    }
    const char *name = redial_job_state_name(info->state);

    redial_job_info_free(info);
    return name;
}

/* ---- What workers say -------------------------------------------------- */

/* Takes the attempt of a call; NULL: it was completed before. */
static redial_attempt *
take_handle(const struct world *world, const struct call *call)
{
    size_t i = (size_t)(call - world->calls);
    redial_attempt *attempt = real.attempts[i];

    real.attempts[i] = NULL;
    return attempt;
}

/* What follows from an end comes with it; of a hedge nothing may follow. */
static void
await_decision(struct world *world, int job)
{
    int64_t end = now_ms() + DECISION_MS;

    while (now_ms() < end) {
        size_t i = world->seen_count;

        while (i > 0 && world->seen[i - 1].job != job) {
            i--;
        }
        if (i > 0 && world->seen[i - 1].record.type != EVENT_ATTEMPT_FAILED &&
            world->seen[i - 1].record.type != EVENT_ATTEMPT_SUCCEEDED) {
            return;
        }
        (void)pump(world, 20);
    }
}

static struct answer
real_report(struct world *world, const struct call *call,
            const struct said *said)
{
    struct redial_outcome outcome = {
        .code = (enum redial_status)said->code,
        .reason = said->reason,
        .text = said->text,
        .has_pushback = said->has_pushback,
        .pushback_ms = said->pushback_ms,
    };
    unsigned flags = 0;

    if (said->kind == REPORT_PROGRESS) {
        world_fail(world, "this cannot be said through sockets");
    }
    flags |= said->overloaded ? (unsigned)REDIAL_COMPLETE_OVERLOADED : 0;
    flags |= said->for_target ? (unsigned)REDIAL_COMPLETE_FOR_TARGET : 0;
    flags |= said->kind == REPORT_NOT_STARTED
                 ? (unsigned)REDIAL_COMPLETE_NOT_STARTED
                 : 0;
    redial_attempt *attempt = take_handle(world, call);

    if (attempt == NULL) {
        world_fail(world, "the attempt has ended already");
    }
    redial_attempt_complete(attempt, &outcome, flags);
    anchor(world, call->job,
           said->kind == REPORT_OUTCOME && said->code == REDIAL_OK
               ? EVENT_ATTEMPT_SUCCEEDED
               : EVENT_ATTEMPT_FAILED,
           call->token.attempt);
    await_decision(world, call->job);
    return (struct answer){.status = REDIAL_OK, .job = call->job};
}

/* The library tells the handler at the limit; that gives up then. */
static void
real_time_out(struct world *world, const struct call *call)
{
    const struct seen *started = world_find(
        world, call->job, EVENT_ATTEMPT_STARTED, call->token.attempt);
    int64_t at = started->at - world->skew + (int64_t)call->timeout_ms;

    if (!real_await_stop(world, call)) {
        world_fail(world, "the attempt is not told to stop");
    }
    redial_attempt_complete(take_handle(world, call),
                            &(struct redial_outcome){.code = REDIAL_CANCELLED},
                            0);
    (void)real_await(world, call->job, EVENT_ATTEMPT_FAILED,
                     call->token.attempt);
    check_time(
        world,
        world_find(world, call->job, EVENT_ATTEMPT_FAILED, call->token.attempt),
        at);
    world->now = at;
}

/* ---- Rows -------------------------------------------------------------- */

static void
close_row(struct world *world)
{
    read_letters(world);
    for (size_t i = 0; i < world->call_count; i++) {
        redial_attempt *attempt = take_handle(world, &world->calls[i]);

        if (attempt != NULL) {
            redial_attempt_complete(
                attempt, &(struct redial_outcome){.code = REDIAL_CANCELLED}, 0);
        }
    }
    for (int i = 0; i < real.worker_count; i++) {
        redial_worker_close(real.workers[i].worker);
    }
    redial_watch_close(real.watch);
    redial_client_close(real.client);
    free(world->seen);
    free(world->calls);
}

static pid_t
start_row(const struct section *section, const struct row *row)
{
    static const struct world_ops ops = {
        .use_policy = real_use_policy,
        .open_worker = real_open_worker,
        .change_worker = real_change_worker,
        .submit = real_submit,
        .cancel = real_cancel,
        .report = real_report,
        .time_out = real_time_out,
        .advance = real_advance,
        .await = real_await,
        .await_stop = real_await_stop,
        .state_of = real_state_of,
    };
    static struct world world;

    (void)fflush(stdout);
    pid_t pid = fork();

    if (pid == 0) {
        (void)setpgid(0, 0);
        (void)alarm(ROW_SECONDS_MAX);
        world = (struct world){
            .ops = &ops,
            .is_real = true,
            .early = EARLY_MS,
            .late = LATE_MS,
        };
        world_play(&world, section, row);
        close_row(&world);
        exit(0);
    }
    return pid;
}

struct playing {
    pid_t pid; /* 0: nobody */
    const struct row *row;
};

/* Waits for the end of one; returns 1 if it failed. */
static int
reap_one(struct playing *playing)
{
    static int number;
    int status = 0;
    pid_t pid = waitpid(-1, &status, 0);
    bool passed = WIFEXITED(status) && WEXITSTATUS(status) == 0;

    for (int i = 0; i < AT_ONCE; i++) {
        if (pid > 0 && playing[i].pid == pid) {
            (void)kill(-pid, SIGKILL); /* a gateway that it left behind */
            playing[i].pid = 0;
            printf("%s %d - %s %s\n", passed ? "ok" : "not ok", ++number,
                   playing[i].row->id, playing[i].row->title);
            return passed ? 0 : 1;
        }
    }
    perror("waitpid");
    exit(2);
}

static int
play_section(const struct section *section, int *count)
{
    struct playing playing[AT_ONCE] = {{0}};
    int running = 0;
    int failed = 0;

    for (size_t i = 0; i < section->count; i++) {
        if (!section->rows[i].sockets) {
            continue;
        }
        if (running == AT_ONCE) {
            failed += reap_one(playing);
            running--;
        }
        int place = 0;

        while (playing[place].pid != 0) {
            place++;
        }
        playing[place] = (struct playing){
            .pid = start_row(section, &section->rows[i]),
            .row = &section->rows[i],
        };
        running++;
        (*count)++;
    }
    for (; running > 0; running--) {
        failed += reap_one(playing);
    }
    return failed;
}

int
main(int argc, char **argv)
{
    int failed = 0;
    int count = 0;

    for (int i = 1; i < argc; i++) {
        struct section section;

        section_read(argv[i], &section);
        failed += play_section(&section, &count);
        section_free(&section);
    }
    printf("sockets: %d passed, %d failed\n", count - failed, failed);
    return failed == 0 && count > 0 ? 0 : 1;
}
