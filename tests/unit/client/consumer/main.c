/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uses the library the way an agent and a worker do, as far as that goes
 * without a gateway.
 */
#include <redial/client.h>
#include <redial/version.h>
#include <redial/worker.h>

#include <stdio.h>
#include <string.h>

static void
handle(void *ctx, redial_attempt *attempt)
{
    struct redial_outcome outcome = {.code = REDIAL_OK};

    (void)ctx;
    redial_attempt_complete(attempt, &outcome, 0);
}

static int
try_worker(void)
{
    struct redial_worker_method method = {
        .service = "a.Service",
        .handler = handle,
    };
    struct redial_worker_options options = {
        .struct_size = sizeof(options),
        .connection.addresses = "ipc:///nonexistent/socket",
        .name = "consumer",
        .methods = &method,
        .method_count = 1,
    };
    struct redial_error error;
    redial_worker *worker;

    if (redial_worker_open(&options, &worker, &error) != REDIAL_OK) {
        return 1;
    }
    redial_worker_close(worker);
    return 0;
}

static int
try_client(void)
{
    struct redial_client_options options = {
        .struct_size = sizeof(options),
        .connection.addresses = "ipc:///nonexistent/socket",
    };
    struct redial_job job = {
        .struct_size = sizeof(job),
        .service = "a.Service",
        .method = "Do",
    };
    struct redial_submitted submitted;
    struct redial_error error;
    enum redial_status status;
    redial_client *client;

    if (redial_client_open(&options, &client, &error) != REDIAL_OK) {
        return 1;
    }
    status = redial_submit(client, &job, redial_in_ms(50), &submitted, &error);
    redial_client_close(client);
    (void)printf("%s: %s\n", redial_status_name(status), error.text);
    return status == REDIAL_UNAVAILABLE ? 0 : 1;
}

int
main(void)
{
    (void)printf("redial %s\n", redial_version());
    if (strcmp(redial_version(), REDIAL_VERSION_STRING) != 0) {
        return 1;
    }
    return try_client() + try_worker();
}
