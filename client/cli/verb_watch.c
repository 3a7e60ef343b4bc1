/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The jobs of one correlation id, live. Events only say which jobs to look at
 * again: what is shown of a job always comes from Get, so the picture cannot
 * drift from the truth. The cursor is taken before the jobs are, so that
 * nothing falls between.
 */
#include "client/cli/event.h"
#include "client/cli/line.h"
#include "client/cli/stream.h"
#include "client/cli/verb.h"
#include "client/cli/view.h"
#include "proto/limits.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define JOBS_MAX 1000
#define TICK_MS  500 /* times on a terminal go on meanwhile */

struct watched {
    char id[WIRE_NAME_BYTES_MAX + 1];
    bool is_stale;
    struct redial_i_response response; /* of Get; zero before the first */
};

struct watching {
    struct cli *cli;
    struct stream stream;
    Redial__V1__WatchFilter filter;
    struct watched *jobs;
    size_t count;
    size_t left_out; /* beyond JOBS_MAX */
    bool draws;      /* on a terminal */
    size_t lines;    /* of the last picture */
};

static const Redial__V1__Job *
job_of(const struct watched *watched)
{
    const Redial__V1__GetResponse *answer =
        (const Redial__V1__GetResponse *)watched->response.message;

    return answer != NULL ? answer->job : NULL;
}

/* ---- Which jobs there are ----------------------------------------------- */

static void
note_job(struct watching *watching, const char *id)
{
    struct watched *job;

    for (size_t i = 0; i < watching->count; i++) {
        if (strcmp(watching->jobs[i].id, id) == 0) {
            watching->jobs[i].is_stale = true;
            return;
        }
    }
    if (watching->count == JOBS_MAX) {
        watching->left_out++;
        return;
    }
    job = &watching->jobs[watching->count++];
    (void)snprintf(job->id, sizeof(job->id), "%s", id);
    job->is_stale = true;
}

static enum redial_status
find_jobs(struct watching *watching)
{
    Redial__V1__AwaitRequest request = REDIAL__V1__AWAIT_REQUEST__INIT;
    struct redial_i_response response;
    const Redial__V1__AwaitResponse *answer;
    enum redial_status status;

    request.correlation_id = watching->filter.correlation_id;
    request.tenant = watching->filter.tenant;
    status = cli_call(watching->cli, &cli_await, &request.base, 0, &response);
    if (status == REDIAL_NOT_FOUND) {
        return REDIAL_OK; /* not yet */
    }
    if (status != REDIAL_OK) {
        return status;
    }
    answer = (const Redial__V1__AwaitResponse *)response.message;
    for (size_t i = 0; i < answer->n_jobs; i++) {
        note_job(watching, answer->jobs[i]->id);
    }
    for (size_t i = 0; i < answer->n_pending_ids; i++) {
        note_job(watching, answer->pending_ids[i]);
    }
    redial_i_response_fini(&response);
    return REDIAL_OK;
}

static enum redial_status
refresh(struct watching *watching)
{
    for (size_t i = 0; i < watching->count; i++) {
        Redial__V1__GetRequest request = REDIAL__V1__GET_REQUEST__INIT;
        struct watched *job = &watching->jobs[i];
        struct redial_i_response response;
        enum redial_status status;

        if (!job->is_stale) {
            continue;
        }
        request.id = job->id;
        status = cli_wait_call(watching->cli, &cli_get, &request.base, 0,
                               &response);
        job->is_stale = false;
        if (status == REDIAL_NOT_FOUND) {
            continue; /* what was known stays */
        }
        if (status != REDIAL_OK) {
            return status;
        }
        redial_i_response_fini(&job->response);
        job->response = response;
    }
    return REDIAL_OK;
}

static int
compare_acceptance(const void *one, const void *other)
{
    const Redial__V1__Job *a = *(const Redial__V1__Job *const *)one;
    const Redial__V1__Job *b = *(const Redial__V1__Job *const *)other;

    if (a->accepted_wall_ms != b->accepted_wall_ms) {
        return a->accepted_wall_ms < b->accepted_wall_ms ? -1 : 1;
    }
    return strcmp(a->id, b->id);
}

/* All jobs that are known, in order; free() it. NULL: no memory. */
static const Redial__V1__Job **
sorted_jobs(const struct watching *watching, size_t *ret_count)
{
    const Redial__V1__Job **jobs = calloc(watching->count + 1, sizeof(*jobs));
    size_t count = 0;

    for (size_t i = 0; jobs != NULL && i < watching->count; i++) {
        const Redial__V1__Job *job = job_of(&watching->jobs[i]);

        if (job != NULL) {
            jobs[count++] = job;
        }
    }
    if (jobs != NULL) {
        qsort(jobs, count, sizeof(*jobs), compare_acceptance);
        *ret_count = count;
    }
    return jobs;
}

/* ---- Drawing ------------------------------------------------------------ */

static void
draw(struct watching *watching)
{
    struct cli *cli = watching->cli;
    struct winsize size = {.ws_col = 80, .ws_row = 24};
    struct view view = {
        .correlation_id = watching->filter.correlation_id,
        .now_ms = cli->wall_ms(),
    };
    const Redial__V1__Job **jobs = sorted_jobs(watching, &view.job_count);

    if (jobs == NULL) {
        return;
    }
    (void)ioctl(fileno(cli->out), TIOCGWINSZ, &size);
    view.jobs = jobs;
    view.columns = size.ws_col > 0 ? size.ws_col : 80;
    view.rows = size.ws_row > 0 ? size.ws_row : 24;
    watching->lines = view_add_again(&cli->line, &view, watching->lines);
    cli_print(cli);
    free(jobs);
}

/* What was before, without a terminal: one line a job. */
static void
print_jobs(struct watching *watching)
{
    struct cli *cli = watching->cli;
    size_t count = 0;
    const Redial__V1__Job **jobs = sorted_jobs(watching, &count);

    for (size_t i = 0; jobs != NULL && i < count; i++) {
        text_addf(&cli->line, "%s  ", jobs[i]->id);
        line_add_job(&cli->line, jobs[i], cli->wall_ms());
        text_add(&cli->line, "\n");
    }
    cli_print(cli);
    free(jobs);
}

static bool
take_event(void *ctx, const Redial__V1__Event *event)
{
    struct watching *watching = ctx;
    struct cli *cli = watching->cli;

    if (event->job_id != NULL && event->job_id[0] != '\0') {
        note_job(watching, event->job_id);
    }
    if (args_has(cli->args, OPTION_JSON)) {
        cli_print_json(cli, &event->base);
    } else if (!watching->draws || event->gap != NULL) {
        event_add(&cli->line, event);
        text_add(&cli->line, "\n");
        cli_print(cli);
        watching->lines = 0;
    }
    return ferror(cli->out) == 0;
}

/* ---- The loop ----------------------------------------------------------- */

/* Is every job final? *ret_code is then what became of them. */
static bool
is_done(const struct watching *watching, enum exit_code *ret_code)
{
    enum exit_code code = EXIT_DONE;

    for (size_t i = 0; i < watching->count; i++) {
        const Redial__V1__Job *job = job_of(&watching->jobs[i]);

        if (job != NULL) {
            code = exit_worse(code, exit_of_state(job->state));
        }
    }
    *ret_code = code;
    return watching->count > 0 && code != EXIT_PENDING;
}

static enum redial_status
begin(struct watching *watching)
{
    struct cli *cli = watching->cli;
    enum redial_status status;

    watching->stream.cursor = stream_head(cli);
    if (watching->stream.cursor == NULL) {
        return cli->error.status;
    }
    status = find_jobs(watching);
    return status == REDIAL_OK ? refresh(watching) : status;
}

static enum exit_code
run(struct watching *watching)
{
    struct cli *cli = watching->cli;
    bool until_done = args_has(cli->args, OPTION_UNTIL_DONE);
    enum redial_status status = begin(watching);
    enum exit_code code;

    if (status == REDIAL_OK && !watching->draws &&
        !args_has(cli->args, OPTION_JSON)) {
        print_jobs(watching);
    }
    while (status == REDIAL_OK) {
        uint32_t wait_ms = cli_wait_ms(cli);

        if (watching->draws) {
            draw(watching);
            wait_ms = wait_ms < TICK_MS ? wait_ms : TICK_MS;
        }
        if (is_done(watching, &code) && until_done) {
            return code;
        }
        if (cli_is_late(cli) || watching->stream.is_over) {
            return until_done ? EXIT_PENDING : EXIT_DONE;
        }
        status = stream_turn(&watching->stream, wait_ms);
        if (status == REDIAL_OK) {
            status = refresh(watching);
        }
    }
    return cli_fail(cli);
}

enum exit_code
verb_watch(struct cli *cli)
{
    struct watching watching = {
        .cli = cli,
        .stream = {.cli = cli, .take = take_event},
        .draws = cli->out_is_terminal && !args_has(cli->args, OPTION_JSON),
    };
    enum exit_code code;

    redial__v1__watch_filter__init(&watching.filter);
    watching.filter.correlation_id = (char *)(uintptr_t)cli->args->words[0];
    watching.filter.tenant = (char *)(uintptr_t)args_get(cli->args,
                                                         OPTION_TENANT);
    watching.stream.filter = &watching.filter;
    watching.stream.ctx = &watching;
    watching.jobs = calloc(JOBS_MAX, sizeof(*watching.jobs));
    if (watching.jobs == NULL) {
        return EXIT_INTERNAL;
    }
    code = run(&watching);
    if (watching.left_out > 0) {
        text_addf(&cli->note,
                  "redial watch: more than %d jobs: not all of "
                  "them are shown\n",
                  JOBS_MAX);
        cli_say(cli);
    }
    for (size_t i = 0; i < watching.count; i++) {
        redial_i_response_fini(&watching.jobs[i].response);
    }
    free(watching.jobs);
    stream_fini(&watching.stream);
    return code;
}
