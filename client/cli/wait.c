/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/wait.h"

#include "client/cli/line.h"
#include "client/cli/verb.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Of jobs that are still pending at the end, how many are shown. */
#define PENDING_SHOWN_MAX 10

bool
wait_init(struct wait *wait, struct cli *cli, size_t count)
{
    *wait = (struct wait){.cli = cli, .done = wait_print_job};
    wait->ids = calloc(count + 1, sizeof(*wait->ids));
    wait->keys = calloc(count + 1, sizeof(*wait->keys));
    if (wait->ids == NULL || wait->keys == NULL) {
        wait_fini(wait);
        return false;
    }
    return true;
}

static void
forget_kept(struct wait *wait)
{
    for (size_t i = 0; i < wait->kept_count; i++) {
        free(wait->kept[i]);
    }
    free(wait->kept);
    wait->kept = NULL;
    wait->kept_count = 0;
}

void
wait_fini(struct wait *wait)
{
    forget_kept(wait);
    free(wait->ids);
    free(wait->keys);
    wait->ids = NULL;
    wait->keys = NULL;
}

typedef int (*compare)(const char *one, const char *other);

static bool
remove_name(const char **names, size_t *count, const char *name, compare same)
{
    for (size_t i = 0; i < *count; i++) {
        if (same(names[i], name) == 0) {
            (*count)--;
            memmove(&names[i], &names[i + 1], (*count - i) * sizeof(names[0]));
            return true;
        }
    }
    return false;
}

/* Ids are hexadecimal: of either case. */
static bool
remove_id(struct wait *wait, const char *id)
{
    return remove_name(wait->ids, &wait->id_count, id, strcasecmp);
}

static bool
remove_key(struct wait *wait, const char *key)
{
    return remove_name(wait->keys, &wait->key_count, key, strcmp);
}

static bool
same_name(const char *one, const char *other)
{
    return one != NULL && other != NULL && strcmp(one, other) == 0;
}

/* Jobs that were asked for, by any of their names, are waited for no more. */
static void
take_jobs(struct wait *wait, const Redial__V1__AwaitResponse *answer)
{
    for (size_t i = 0; i < answer->n_jobs; i++) {
        const Redial__V1__Job *job = answer->jobs[i];
        bool was_asked = same_name(wait->correlation_id, job->correlation_id);

        while (job->id != NULL && remove_id(wait, job->id)) {
            was_asked = true;
        }
        while (job->key != NULL && remove_key(wait, job->key)) {
            was_asked = true;
        }
        if (was_asked) {
            wait->done(wait->cli, job);
            wait->code = exit_worse(wait->code, exit_of_state(job->state));
        }
    }
}

static void
take_missing(struct wait *wait, const Redial__V1__AwaitResponse *answer)
{
    struct cli *cli = wait->cli;

    for (size_t i = 0; i < answer->n_missing; i++) {
        const char *name = answer->missing[i];
        bool was_id = remove_id(wait, name);

        if (!was_id && !remove_key(wait, name)) {
            continue;
        }
        text_addf(&cli->note, "redial %s: no job has the %s ",
                  cli->args->verb->name, was_id ? "id" : "key");
        text_add_foreign(&cli->note, name, 0);
        text_add(&cli->note, "\n");
        cli_say(cli);
        wait->code = exit_worse(wait->code, EXIT_NOT_FOUND);
    }
}

/* From now on the pending ids of the correlation id are what is waited for. */
static bool
take_pending(struct wait *wait, const Redial__V1__AwaitResponse *answer)
{
    size_t count = answer->n_pending_ids;
    const char **ids = calloc(count + 1, sizeof(*ids));

    wait->kept = calloc(count + 1, sizeof(*wait->kept));
    if (ids == NULL || wait->kept == NULL) {
        free(ids);
        return false;
    }
    free(wait->ids);
    wait->ids = ids;
    for (size_t i = 0; i < count; i++) {
        wait->kept[i] = strdup(answer->pending_ids[i]);
        if (wait->kept[i] == NULL) {
            return false;
        }
        wait->kept_count++;
        wait->ids[wait->id_count++] = wait->kept[i];
    }
    wait->correlation_id = NULL;
    return true;
}

/* False: no memory, or an answer about other jobs than were asked for. */
static bool
take_answer(struct wait *wait, const Redial__V1__AwaitResponse *answer)
{
    size_t before = wait->id_count + wait->key_count;

    take_jobs(wait, answer);
    take_missing(wait, answer);
    if (wait->correlation_id != NULL) {
        return take_pending(wait, answer);
    }
    return wait->id_count + wait->key_count < before ||
           answer->n_jobs + answer->n_missing == 0;
}

static void
fill_request(const struct wait *wait, Redial__V1__AwaitRequest *request)
{
    redial__v1__await_request__init(request);
    /* protobuf-c does not write to what it packs. */
    request->ids = (char **)(void *)wait->ids;
    request->n_ids = wait->id_count;
    request->keys = (char **)(void *)wait->keys;
    request->n_keys = wait->key_count;
    request->correlation_id = (char *)(uintptr_t)wait->correlation_id;
    request->tenant = (char *)(uintptr_t)wait->tenant;
    request->has_wait_ms = true;
    request->wait_ms = cli_wait_ms(wait->cli);
}

static bool
is_over(const struct wait *wait)
{
    return wait->id_count + wait->key_count == 0 &&
           wait->correlation_id == NULL;
}

/* ---- What is still pending ---------------------------------------------- */

static void
say_pending_job(struct cli *cli, const char *id, const char *key,
                const char *tenant)
{
    Redial__V1__GetRequest request = REDIAL__V1__GET_REQUEST__INIT;
    struct redial_i_response response;
    const Redial__V1__GetResponse *answer;

    text_addf(&cli->note, "  %s  ", id != NULL ? id : key);
    request.id = (char *)(uintptr_t)id;
    request.key = (char *)(uintptr_t)key;
    request.tenant = (char *)(uintptr_t)tenant;
    if (cli_call(cli, &cli_get, &request.base, 0, &response) == REDIAL_OK) {
        answer = (const Redial__V1__GetResponse *)response.message;
        if (answer->job != NULL) {
            line_add_job(&cli->note, answer->job, cli->wall_ms());
        }
        redial_i_response_fini(&response);
    }
    text_add(&cli->note, "\n");
}

static enum exit_code
say_pending(struct wait *wait)
{
    struct cli *cli = wait->cli;
    size_t count = wait->id_count + wait->key_count;

    text_addf(&cli->note, "redial %s: time is up, still waiting for %zu job%s",
              cli->args->verb->name, count, count == 1 ? "" : "s");
    if (wait->correlation_id != NULL) {
        text_addf(&cli->note, " of %s", wait->correlation_id);
    }
    text_add(&cli->note, "\n");
    for (size_t i = 0; i < count && i < PENDING_SHOWN_MAX; i++) {
        bool is_id = i < wait->id_count;

        say_pending_job(cli, is_id ? wait->ids[i] : NULL,
                        is_id ? NULL : wait->keys[i - wait->id_count],
                        wait->tenant);
    }
    if (count > PENDING_SHOWN_MAX) {
        text_addf(&cli->note, "  and %zu more\n", count - PENDING_SHOWN_MAX);
    }
    cli_say(cli);
    return exit_worse(wait->code, EXIT_PENDING);
}

enum exit_code
wait_run(struct wait *wait)
{
    struct cli *cli = wait->cli;
    bool was_asked = false;

    while (!is_over(wait)) {
        Redial__V1__AwaitRequest request;
        struct redial_i_response response;
        enum redial_status status;
        bool was_taken;

        if (was_asked && cli_is_late(cli)) {
            return say_pending(wait);
        }
        fill_request(wait, &request);
        status = cli_wait_call(cli, &cli_await, &request.base, request.wait_ms,
                               &response);
        if (status == REDIAL_NOT_FOUND && was_asked) {
            /* All that is left is unknown: gone meanwhile. */
            return exit_worse(wait->code, cli_fail(cli));
        }
        if (status != REDIAL_OK) {
            return cli_fail(cli);
        }
        was_asked = true;
        was_taken = take_answer(
            wait, (const Redial__V1__AwaitResponse *)response.message);
        redial_i_response_fini(&response);
        if (!was_taken) {
            (void)fputs("redial: the gateway's answer makes no sense\n",
                        cli->err);
            return EXIT_INTERNAL;
        }
    }
    return wait->code;
}

/* ---- Printing ----------------------------------------------------------- */

void
wait_print_job(struct cli *cli, const Redial__V1__Job *job)
{
    bool wants_result = args_has(cli->args, OPTION_RESULT);
    struct text *line = wants_result ? &cli->note : &cli->line;

    if (args_has(cli->args, OPTION_JSON)) {
        cli_print_json(cli, &job->base);
        return;
    }
    text_addf(line, "%s  ", job->id);
    line_add_job(line, job, cli->wall_ms());
    text_add(line, "\n");
    if (!wants_result) {
        cli_print(cli);
        return;
    }
    cli_say(cli);
    if (job->outcome != NULL && job->outcome->has_result) {
        cli_print_bytes(cli, job->outcome->result.data,
                        job->outcome->result.len);
    }
}
