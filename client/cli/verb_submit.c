/* SPDX-License-Identifier: Apache-2.0 */
/*
 * submit and call. The job gets its id here, and the request is marked as a
 * repeat: the library may say it again after a lost connection, and the gateway
 * then looks for the id among finished jobs too.
 */
#include "client/cli/cli.h"
#include "client/cli/line.h"
#include "client/cli/payload.h"
#include "client/cli/progress.h"
#include "client/cli/verb.h"
#include "client/cli/wait.h"
#include "proto/limits.h"
#include "proto/name.h"
#include "proto/uuid.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PROBLEM_BYTES 256

struct submission {
    struct cli *cli;
    char service[WIRE_SERVICE_BYTES_MAX + 1];
    char method[WIRE_METHOD_BYTES_MAX + 1];
    char id[WIRE_UUID_TEXT_LEN + 1]; /* the gateway's, once it has answered */
    struct payload payload;
    Redial__V1__JobSpec spec;
    Redial__V1__Metadata *metadata; /* what spec.metadata points to */
    Redial__V1__Metadata **metadata_list;
    Redial__V1__Job__State state; /* at acceptance */
};

/* protobuf-c's members are not const, but it does not write to them. */
static char *
unconst(const char *string)
{
    return (char *)(uintptr_t)string;
}

static void
submission_fini(struct submission *submission)
{
    payload_fini(&submission->payload);
    for (size_t i = 0; i < submission->spec.n_metadata; i++) {
        free(submission->metadata[i].key);
    }
    free(submission->metadata);
    free(submission->metadata_list);
}

static bool
take_metadata(struct submission *submission)
{
    const struct args *args = submission->cli->args;
    size_t count = args_count(args, OPTION_META);

    submission->metadata = calloc(count + 1, sizeof(*submission->metadata));
    submission->metadata_list = calloc(count + 1,
                                       sizeof(*submission->metadata_list));
    if (submission->metadata == NULL || submission->metadata_list == NULL) {
        return false;
    }
    submission->spec.metadata = submission->metadata_list;
    for (size_t i = 0; i < count; i++) {
        const char *pair = args_nth(args, OPTION_META, i);
        size_t key_len = strcspn(pair, "=");
        Redial__V1__Metadata *entry = &submission->metadata[i];

        redial__v1__metadata__init(entry);
        entry->key = strndup(pair, key_len);
        if (entry->key == NULL) {
            return false;
        }
        entry->has_value = true;
        entry->value.data = (uint8_t *)unconst(pair + key_len + 1);
        entry->value.len = strlen(pair + key_len + 1);
        submission->metadata_list[i] = entry;
        submission->spec.n_metadata++;
    }
    return true;
}

static bool
take_id(struct submission *submission)
{
    const char *given = args_get(submission->cli->args, OPTION_ID);
    struct wire_uuid uuid;

    if (given == NULL) {
        redial_new_id(submission->id);
        return true;
    }
    if (!wire_uuid_parse(given, strlen(given), &uuid)) {
        (void)cli_usage(submission->cli, "--id: \"%s\" is not a UUID", given);
        return false;
    }
    wire_uuid_format(&uuid, submission->id);
    return true;
}

static void
fill_duration(const struct args *args, enum option option,
              protobuf_c_boolean *has, uint64_t *ms)
{
    *has = args_has(args, option);
    *ms = args_number(args, option, 0);
}

static void
fill_policy(Redial__V1__JobSpec *spec, const struct args *args)
{
    const char *idempotent = args_get(args, OPTION_IDEMPOTENT);

    spec->has_priority = args_has(args, OPTION_PRIORITY);
    spec->priority = (uint32_t)args_number(args, OPTION_PRIORITY, 0);
    spec->has_max_attempts = args_has(args, OPTION_MAX_ATTEMPTS);
    spec->max_attempts = (uint32_t)args_number(args, OPTION_MAX_ATTEMPTS, 0);
    fill_duration(args, OPTION_DEADLINE, &spec->has_deadline_ms,
                  &spec->deadline_ms);
    fill_duration(args, OPTION_NOT_BEFORE, &spec->has_not_before_ms,
                  &spec->not_before_ms);
    fill_duration(args, OPTION_TTL, &spec->has_queue_ttl_ms,
                  &spec->queue_ttl_ms);
    fill_duration(args, OPTION_ATTEMPT_TIMEOUT, &spec->has_attempt_timeout_ms,
                  &spec->attempt_timeout_ms);
    if (idempotent != NULL) {
        spec->has_idempotent = true;
        spec->idempotent = strcmp(idempotent, "yes") == 0
                               ? REDIAL__V1__IDEMPOTENCY__IDEMPOTENT
                               : REDIAL__V1__IDEMPOTENCY__NOT_IDEMPOTENT;
    }
}

static void
fill_spec(struct submission *submission)
{
    const struct args *args = submission->cli->args;
    Redial__V1__JobSpec *spec = &submission->spec;

    spec->id = submission->id;
    spec->service = submission->service;
    spec->method = submission->method;
    spec->key = unconst(args_get(args, OPTION_KEY));
    spec->correlation_id = unconst(args_get(args, OPTION_CORRELATION_ID));
    spec->tenant = unconst(args_get(args, OPTION_TENANT));
    spec->content_type = unconst(args_get(args, OPTION_CONTENT_TYPE));
    if (spec->content_type == NULL && submission->payload.is_json) {
        spec->content_type = unconst("application/json");
    }
    spec->has_payload = submission->payload.len > 0;
    spec->payload.data = submission->payload.bytes;
    spec->payload.len = submission->payload.len;
    fill_policy(spec, args);
}

/* From the command line; EXIT_DONE, or the user has been told. */
static enum exit_code
prepare(struct submission *submission, struct cli *cli)
{
    char problem[PROBLEM_BYTES];

    *submission = (struct submission){.cli = cli};
    redial__v1__job_spec__init(&submission->spec);
    if (!cli_method(cli, submission->service, submission->method) ||
        !take_id(submission)) {
        return EXIT_USAGE;
    }
    if (!payload_read(&submission->payload, cli->args, cli->in, problem,
                      sizeof(problem))) {
        return cli_usage(cli, "%s", problem);
    }
    if (!take_metadata(submission)) {
        return EXIT_INTERNAL;
    }
    fill_spec(submission);
    return EXIT_DONE;
}

/* ---- Sending ------------------------------------------------------------ */

static void
say_joined(struct cli *cli, const Redial__V1__SubmitResult *result)
{
    text_addf(&cli->note,
              "redial %s: joined the job that is there already, %s\n",
              cli->args->verb->name, line_state_name(result->state));
    cli_say(cli);
}

static enum exit_code
take_result(struct submission *submission,
            const Redial__V1__SubmitResult *result)
{
    struct cli *cli = submission->cli;
    const Redial__V1__Status *status = result->status;

    if (status != NULL && status->code != REDIAL__V1__CODE__OK) {
        cli->error = (struct redial_error){
            .status = (enum redial_status)status->code,
            .retry_after_ms = status->retry_after_ms,
        };
        (void)snprintf(cli->error.reason, sizeof(cli->error.reason), "%s",
                       status->reason != NULL ? status->reason : "");
        (void)snprintf(cli->error.text, sizeof(cli->error.text), "%s",
                       status->message != NULL ? status->message : "");
        return cli_fail(cli);
    }
    if (result->id != NULL && strlen(result->id) < sizeof(submission->id)) {
        memcpy(submission->id, result->id, strlen(result->id) + 1);
    }
    submission->state = result->state;
    if (result->deduplicated) {
        say_joined(cli, result);
    }
    return EXIT_DONE;
}

static enum exit_code
send_job(struct submission *submission, bool prints)
{
    Redial__V1__SubmitRequest request = REDIAL__V1__SUBMIT_REQUEST__INIT;
    Redial__V1__JobSpec *jobs[] = {&submission->spec};
    struct cli *cli = submission->cli;
    struct redial_i_response response;
    const Redial__V1__SubmitResponse *answer;
    enum exit_code code = EXIT_INTERNAL;

    request.jobs = jobs;
    request.n_jobs = 1;
    request.has_repeat = true;
    request.repeat = true;
    cli->job_id = submission->id;
    if (cli_call(cli, &cli_submit, &request.base, 0, &response) != REDIAL_OK) {
        return cli_fail(cli);
    }
    answer = (const Redial__V1__SubmitResponse *)response.message;
    if (answer->n_results == 1) {
        code = take_result(submission, answer->results[0]);
        if (prints && code == EXIT_DONE && args_has(cli->args, OPTION_JSON)) {
            cli_print_json(cli, &answer->results[0]->base);
        } else if (prints && code == EXIT_DONE) {
            text_addf(&cli->line, "%s\n", submission->id);
            cli_print(cli);
        }
    }
    redial_i_response_fini(&response);
    return code;
}

static enum exit_code
wait_for(struct submission *submission,
         void (*done)(struct cli *cli, const Redial__V1__Job *job))
{
    struct wait wait;
    enum exit_code code;

    if (!wait_init(&wait, submission->cli, 1)) {
        return EXIT_INTERNAL;
    }
    wait.ids[wait.id_count++] = submission->id;
    wait.done = done;
    code = wait_run(&wait);
    wait_fini(&wait);
    return code;
}

enum exit_code
verb_submit(struct cli *cli)
{
    struct submission submission;
    enum exit_code code = prepare(&submission, cli);

    if (code == EXIT_DONE) {
        code = send_job(&submission, true);
        if (code == EXIT_DONE && args_has(cli->args, OPTION_WAIT)) {
            code = wait_for(&submission, wait_print_job);
        }
    }
    submission_fini(&submission);
    return code;
}

/* ---- call --------------------------------------------------------------- */

static void
print_outcome(struct cli *cli, const Redial__V1__Job *job)
{
    const Redial__V1__Outcome *outcome = job->outcome;

    if (args_has(cli->args, OPTION_JSON)) {
        cli_print_json(cli, &job->base);
        return;
    }
    if (job->state == REDIAL__V1__JOB__STATE__SUCCEEDED) {
        if (outcome != NULL && outcome->has_result) {
            cli_print_bytes(cli, outcome->result.data, outcome->result.len);
        }
        return;
    }
    text_addf(&cli->note, "redial call: %s  ", job->id);
    line_add_job(&cli->note, job, cli->wall_ms());
    text_addf(&cli->note, "\n  Every attempt and why: redial show %s --why\n",
              job->id);
    cli_say(cli);
}

static enum exit_code
call(struct submission *submission, struct progress *progress)
{
    enum exit_code code = send_job(submission, false);

    if (code != EXIT_DONE) {
        return code;
    }
    if (!line_state_is_final(submission->state)) {
        progress_run(progress, submission->id);
    }
    return wait_for(submission, print_outcome);
}

enum exit_code
verb_call(struct cli *cli)
{
    struct submission submission;
    struct progress progress = {.cli = cli};
    enum exit_code code = prepare(&submission, cli);

    if (code == EXIT_DONE) {
        if (args_has(cli->args, OPTION_VERBOSE) ||
            (cli->err_is_terminal && !args_has(cli->args, OPTION_JSON))) {
            progress_start(&progress);
        }
        code = call(&submission, &progress);
    }
    progress_fini(&progress);
    submission_fini(&submission);
    return code;
}
