/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker: executes attempts of text.Caps/Raise, which writes a text in
 * capital letters.
 *
 *     example-worker
 *
 * The gateway's socket for workers is $REDIAL_ADDRESS. SIGTERM or SIGINT:
 * attempts in hand are finished, then it ends.
 *
 * A handler does its work once and reports honestly. To show what the gateway
 * makes of failures, a text that begins with "busy" is refused at the first
 * attempt, with a wish to be asked again in 50 ms.
 */
#include <redial/worker.h>

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONCURRENCY = 4, BUSY_MS = 50 };

/* Runs on a thread of the library's pool. */
static void
raise_letters(void *ctx, redial_attempt *attempt)
{
    const struct redial_assignment *work = redial_attempt_work(attempt);
    const unsigned char *text = work->payload;
    struct redial_outcome outcome = {.content_type = "text/plain"};
    char *capitals = malloc(work->payload_bytes + 1);

    (void)ctx;
    if (capitals == NULL) {
        outcome.code = REDIAL_RESOURCE_EXHAUSTED;
        outcome.reason = "NO_MEMORY";
    } else if (work->payload_bytes == 0) {
        outcome.code = REDIAL_INVALID_ARGUMENT;
        outcome.reason = "EMPTY_TEXT";
        outcome.text = "there is nothing to write in capitals";
    } else if (work->payload_bytes >= 4 && memcmp(text, "busy", 4) == 0 &&
               work->attempt == 1) {
        outcome.code = REDIAL_UNAVAILABLE;
        outcome.reason = "BUSY";
        outcome.has_pushback = true;
        outcome.pushback_ms = BUSY_MS;
    } else {
        for (size_t i = 0; i < work->payload_bytes; i++) {
            capitals[i] = (char)toupper(text[i]);
        }
        outcome.result = capitals;
        outcome.result_bytes = work->payload_bytes;
    }
    redial_attempt_complete(attempt, &outcome, 0); /* copies the outcome */
    free(capitals);
}

/* Waits for the signal to stop, then lets the attempts in hand end. */
static enum redial_status
serve(redial_worker *worker, const sigset_t *stop, struct redial_error *error)
{
    int number = 0;
    enum redial_status status = redial_worker_wait_ready(
        worker, redial_in_ms(30000), error);

    if (status == REDIAL_OK) {
        (void)puts("ready");
        (void)fflush(stdout);
        (void)sigwait(stop, &number);
        redial_worker_drain(worker);
        status = redial_worker_wait(worker, redial_in_ms(30000), error);
    }
    return status;
}

int
main(void)
{
    struct redial_worker_method methods[] = {
        {.service = "text.Caps",
         .method = "Raise",
         .concurrency = CONCURRENCY,
         .handler = raise_letters},
    };
    struct redial_worker_options options = {
        .struct_size = sizeof(options),
        .connection.addresses = getenv("REDIAL_ADDRESS"),
        .name = "caps",
        .methods = methods,
        .method_count = sizeof(methods) / sizeof(methods[0]),
    };
    redial_worker *worker = NULL;
    struct redial_error error;
    enum redial_status status;
    sigset_t stop;

    /* Blocked in all threads, so that sigwait() gets them. */
    (void)sigemptyset(&stop);
    (void)sigaddset(&stop, SIGTERM);
    (void)sigaddset(&stop, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &stop, NULL);

    status = redial_worker_open(&options, &worker, &error);
    if (status == REDIAL_OK) {
        status = serve(worker, &stop, &error);
        redial_worker_close(worker);
    }
    if (status != REDIAL_OK) {
        (void)fprintf(stderr, "%s: %s\n", redial_status_name(status),
                      error.text);
    }
    return status == REDIAL_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
