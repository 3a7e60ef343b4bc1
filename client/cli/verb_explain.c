/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy explain.
 */
#include "client/cli/cli.h"
#include "client/cli/explain.h"
#include "client/cli/units.h"
#include "client/cli/verb.h"
#include "proto/limits.h"
#include "proto/name.h"
#include "proto/uuid.h"

#include <string.h>

/* The request, and what it points at. */
struct question {
    struct cli *cli;
    Redial__V1__ExplainRequest request;
    Redial__V1__Outcome failure;
    char service[WIRE_SERVICE_BYTES_MAX + 1];
    char method[WIRE_METHOD_BYTES_MAX + 1];
};

static char *
unconst(const char *string)
{
    return (char *)(uintptr_t)string;
}

/* "5s", or "stop". */
static bool
take_pushback(struct question *question)
{
    const char *given = args_get(question->cli->args, OPTION_PUSHBACK);
    uint64_t ms = 0;
    const char *problem;

    if (given == NULL) {
        return true;
    }
    question->failure.has_pushback_ms = true;
    question->failure.pushback_ms = -1;
    if (strcmp(given, "stop") == 0) {
        return true;
    }
    problem = units_parse_duration(given, &ms);
    if (problem != NULL) {
        (void)cli_usage(question->cli,
                        "--pushback: \"%.100s\" %s; write it like 500ms, 2s or "
                        "3m, or stop",
                        given, problem);
        return false;
    }
    question->failure.pushback_ms = (int64_t)ms;
    return true;
}

static bool
take_failure(struct question *question)
{
    const struct args *args = question->cli->args;
    const char *code = args_get(args, OPTION_CODE);
    const ProtobufCEnumValue *value;

    if (code == NULL) {
        (void)cli_usage(question->cli, "--code is missing: the code that the "
                                       "attempt fails with");
        return false;
    }
    value = protobuf_c_enum_descriptor_get_value_by_name(
        &redial__v1__code__descriptor, code);
    if (value == NULL) {
        return false; /* the table of options and the schema differ */
    }
    question->failure.has_code = true;
    question->failure.code = (Redial__V1__Code)value->value;
    question->failure.reason = unconst(args_get(args, OPTION_FAILURE_REASON));
    question->failure.has_for_target = args_has(args, OPTION_FOR_TARGET);
    question->failure.for_target = question->failure.has_for_target;
    if (question->failure.for_target && !args_has(args, OPTION_PUSHBACK)) {
        (void)cli_usage(question->cli,
                        "--for-target says whom --pushback is for: give both");
        return false;
    }
    return take_pushback(question);
}

/* A live job brings what else has to be given. */
static bool
take_job(struct question *question)
{
    struct cli *cli = question->cli;
    const char *id = args_get(cli->args, OPTION_FOR_JOB);
    struct wire_uuid uuid;

    if (id == NULL && cli->args->word_count == 0) {
        (void)cli_usage(cli, "name what fails: SERVICE/METHOD, or a job with "
                             "--for-job");
        return false;
    }
    if (id == NULL) {
        return true;
    }
    if (!wire_uuid_parse(id, strlen(id), &uuid)) {
        (void)cli_usage(cli,
                        "--for-job: \"%.100s\" is not the id of a job (a "
                        "UUID)",
                        id);
        return false;
    }
    if (cli->args->word_count > 0 || args_has(cli->args, OPTION_ATTEMPT) ||
        args_has(cli->args, OPTION_TIME_LEFT) ||
        args_has(cli->args, OPTION_IDEMPOTENT)) {
        (void)cli_usage(cli, "a job has its own method, attempts, deadline and "
                             "idempotency: --for-job stands without "
                             "SERVICE/METHOD, --attempt, --deadline and "
                             "--idempotent");
        return false;
    }
    question->request.job_id = unconst(id);
    return true;
}

static void
take_numbers(struct question *question)
{
    const struct args *args = question->cli->args;
    Redial__V1__ExplainRequest *request = &question->request;
    const char *idempotent = args_get(args, OPTION_IDEMPOTENT);

    request->has_overloaded = args_has(args, OPTION_OVERLOADED);
    request->overloaded = request->has_overloaded;
    request->has_uncertain = args_has(args, OPTION_UNCERTAIN);
    request->uncertain = request->has_uncertain;
    request->has_attempts = request->job_id == NULL;
    request->attempts = (uint32_t)args_number(args, OPTION_ATTEMPT, 1);
    request->has_deadline_ms = args_has(args, OPTION_TIME_LEFT);
    request->deadline_ms = args_number(args, OPTION_TIME_LEFT, 0);
    if (idempotent != NULL) {
        request->has_idempotent = true;
        request->idempotent = strcmp(idempotent, "yes") == 0
                                  ? REDIAL__V1__IDEMPOTENCY__IDEMPOTENT
                                  : REDIAL__V1__IDEMPOTENCY__NOT_IDEMPOTENT;
    }
}

static bool
take_question(struct question *question)
{
    struct cli *cli = question->cli;

    redial__v1__explain_request__init(&question->request);
    redial__v1__outcome__init(&question->failure);
    question->request.failure = &question->failure;
    if (!take_job(question) || !take_failure(question)) {
        return false;
    }
    if (cli->args->word_count > 0) {
        if (!cli_method(cli, question->service, question->method)) {
            return false;
        }
        question->request.service = question->service;
        question->request.method = question->method;
    }
    take_numbers(question);
    return true;
}

enum exit_code
verb_policy_explain(struct cli *cli)
{
    struct question question = {.cli = cli};
    struct redial_i_response response;
    const Redial__V1__ExplainResponse *answer;

    if (!take_question(&question)) {
        return EXIT_USAGE;
    }
    if (cli_call(cli, &cli_explain, &question.request.base, 0, &response) !=
        REDIAL_OK) {
        return cli_fail(cli);
    }
    answer = (const Redial__V1__ExplainResponse *)response.message;
    if (args_has(cli->args, OPTION_JSON)) {
        cli_print_json(cli, &answer->base);
    } else {
        struct explain_options options = {
            .now_ms = cli->wall_ms(),
            .columns = cli_columns(cli),
            .verbose = args_has(cli->args, OPTION_VERBOSE),
        };

        explain_add(&cli->line, &question.request, answer, &options);
        cli_print(cli);
    }
    redial_i_response_fini(&response);
    return EXIT_DONE;
}
