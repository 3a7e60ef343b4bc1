/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The smallest useful agent: submits one job, waits for its end, prints the
 * result.
 *
 *     example-agent SERVICE METHOD PAYLOAD [CORRELATION-ID]
 *
 * The gateway's socket for agents is $REDIAL_ADDRESS. There is no retry loop:
 * should the attempt fail, the gateway decides what is next; should the gateway
 * restart meanwhile, the library asks the new one about the same job.
 */
#include <redial/client.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATIENCE_MS = 60000 };

static int
report(const struct redial_job_info *info)
{
    const struct redial_outcome *outcome = info->outcome;

    if (info->state == REDIAL_JOB_SUCCEEDED) {
        (void)fwrite(outcome->result, 1, outcome->result_bytes, stdout);
        return EXIT_SUCCESS;
    }
    (void)fprintf(stderr, "job %s %s after %u attempts: %s %s %s\n", info->id,
                  redial_job_state_name(info->state), info->attempts_charged,
                  redial_status_name(outcome->code), outcome->reason,
                  outcome->text);
    return EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
    struct redial_client_options options = {
        .struct_size = sizeof(options),
        .connection.addresses = getenv("REDIAL_ADDRESS"),
    };
    redial_client *client = NULL;
    struct redial_job_info *info = NULL;
    struct redial_error error;
    int result = EXIT_FAILURE;

    if (argc < 4) {
        (void)fprintf(stderr, "usage: %s SERVICE METHOD PAYLOAD [ID]\n",
                      argv[0]);
        return EXIT_FAILURE;
    }
    struct redial_job job = {
        .struct_size = sizeof(job),
        .service = argv[1],
        .method = argv[2],
        .payload = argv[3],
        .payload_bytes = strlen(argv[3]),
        .content_type = "text/plain",
        .correlation_id = argv[4], /* NULL if not given: the job's id */
    };
    if (redial_client_open(&options, &client, &error) == REDIAL_OK &&
        redial_call(client, &job, redial_in_ms(PATIENCE_MS), &info, &error) ==
            REDIAL_OK) {
        result = report(info);
        redial_job_info_free(info);
    } else {
        (void)fprintf(stderr, "%s: %s\n", redial_status_name(error.status),
                      error.text);
    }
    redial_client_close(client);
    return result;
}
