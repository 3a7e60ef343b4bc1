/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/cli.h"
#include "client/cli/line.h"
#include "client/cli/timeline.h"
#include "client/cli/verb.h"
#include "client/cli/why.h"

#define READY_LONG_MS 10000 /* a job that waits longer deserves a hint */

/* What the user may want to look at next. */
static void
say_next(struct cli *cli, const Redial__V1__Job *job, bool why)
{
    int64_t waits_ms = cli->wall_ms() - job->state_since_wall_ms;

    if (job->state == REDIAL__V1__JOB__STATE__READY &&
        waits_ms > READY_LONG_MS) {
        text_add(&cli->note, "It waits for a worker, a limit or its turn: "
                             "redial stats shows which.\n");
    } else if (job->state == REDIAL__V1__JOB__STATE__FAILED && !why) {
        text_add(&cli->note,
                 "What each decision was made of: redial show --why\n");
    }
    cli_say(cli);
}

static void
print_job(struct cli *cli, const Redial__V1__Job *job)
{
    bool why = args_has(cli->args, OPTION_WHY);
    struct timeline_options options = {.why = why};
    int64_t now_ms = cli->wall_ms();

    timeline_add_head(&cli->line, job, now_ms);
    if (job->n_attempts > 0) {
        text_add(&cli->line, "\n");
        timeline_add_attempts(&cli->line, job, now_ms, &options);
    }
    if (why && job->n_attempts == 0 && job->decision != NULL) {
        struct why of_job = {.decision = job->decision};

        why_add(&cli->line, &of_job, 2);
    }
    cli_print(cli);
    if (cli->err_is_terminal) {
        say_next(cli, job, why);
    }
}

enum exit_code
verb_show(struct cli *cli)
{
    Redial__V1__GetRequest request = REDIAL__V1__GET_REQUEST__INIT;
    struct redial_i_response response;
    const Redial__V1__GetResponse *answer;
    struct redial_job_ref ref;

    if (!cli_job_ref(cli, &ref)) {
        return EXIT_USAGE;
    }
    request.id = (char *)(uintptr_t)ref.id;
    request.key = (char *)(uintptr_t)ref.key;
    request.tenant = (char *)(uintptr_t)ref.tenant;
    if (cli_call(cli, &cli_get, &request.base, 0, &response) != REDIAL_OK) {
        return cli_fail(cli);
    }
    answer = (const Redial__V1__GetResponse *)response.message;
    if (answer->job == NULL) {
        redial_i_response_fini(&response);
        cli->error = (struct redial_error){.status = REDIAL_NOT_FOUND};
        return cli_fail(cli);
    }
    if (args_has(cli->args, OPTION_JSON)) {
        cli_print_json(cli, &answer->job->base);
    } else {
        print_job(cli, answer->job);
    }
    redial_i_response_fini(&response);
    return EXIT_DONE;
}
