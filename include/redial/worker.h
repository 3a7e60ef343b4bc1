/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker needs: take attempts from a Redial gateway, run them, say how
 * they ended.
 *
 *     static void
 *     generate(void *ctx, redial_attempt *attempt)
 *     {
 *         const struct redial_assignment *work = redial_attempt_work(attempt);
 *         struct redial_outcome outcome = {0};  // code 0 is OK
 *         ... work->payload, work->payload_bytes ...
 *         redial_attempt_complete(attempt, &outcome, 0);
 *     }
 *
 *     struct redial_worker_method methods[] = {
 *         {.service = "image.ImageGen", .method = "Generate",
 *          .concurrency = 4, .handler = generate},
 *     };
 *     struct redial_worker_options options = {
 *         .struct_size = sizeof(options),
 *         .connection.addresses = "ipc:///run/redial/worker.sock",
 *         .name = "image-worker",
 *         .methods = methods, .method_count = 1,
 *     };
 *     redial_worker *worker;
 *     redial_worker_open(&options, &worker, &error);
 *     redial_worker_wait(worker, redial_never(), &error);
 *     redial_worker_close(worker);
 *
 * One attempt is one try: the handler does the work once and reports honestly
 * how it went; whether and when to try again is the gateway's business. The
 * library does the rest: credits (never more attempts in hand than asked for),
 * acknowledgements, heartbeats, the time limit of each attempt, reports that
 * are repeated until acknowledged. A lost connection or a gateway that restarts
 * does not end an attempt: the worker comes back under the same incarnation
 * with what it has in hand, and goes on.
 *
 * The general rules of redial/client.h hold here too.
 */
#ifndef REDIAL_WORKER_H
#define REDIAL_WORKER_H

#include <redial/client.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct redial_worker redial_worker;

/* One attempt in hand. */
typedef struct redial_attempt redial_attempt;

/*
 * Runs an attempt. The handle is good until redial_attempt_complete(), which
 * must be called exactly once for each attempt.
 *
 * A blocking handler runs on a thread of a pool that has as many as the
 * concurrency asks for, may take its time, and completes before it returns (if
 * it does not, the attempt ends as INTERNAL/NO_OUTCOME).
 *
 * An asynchronous one (is_async) runs on the worker's own thread, must come
 * back soon, and completes now or later from any thread. What is completed
 * within the handlers of one batch travels in one message: for short work this
 * is the fast way.
 */
typedef void (*redial_handler)(void *ctx, redial_attempt *attempt);

struct redial_worker_method {
    const char *service;
    const char *method;   /* NULL: every method of the service */
    uint32_t concurrency; /* attempts at a time, to 1000. 0: the worker's */
    redial_handler handler;
    /*
     * Told when an attempt shall stop: cancelled, over its time, superseded,
     * or the worker is closed. Runs on the worker's own thread and must not
     * wait. NULL: the handler asks redial_attempt_cancelled() now and then.
     */
    redial_handler cancel;
    void *ctx; /* of both */
    bool is_async;
};

struct redial_worker_options {
    size_t struct_size;
    struct redial_connection connection;
    const char *name; /* the kind of worker: "image-worker" */
    /*
     * This incarnation. NULL: a fresh random one, which is right unless the
     * attempts themselves survive the process.
     */
    const char *instance;
    const char *version;                  /* of the worker program, or NULL */
    const struct redial_metadata *labels; /* for people and routing */
    size_t label_count;
    const struct redial_worker_method *methods;
    size_t method_count;  /* 1 to 256 */
    uint32_t concurrency; /* in total, to 1000. 0: sum over the methods */
};

/*
 * Makes a worker and lets it connect and work in the background, again and
 * again until closed. Fails with INVALID_ARGUMENT or RESOURCE_EXHAUSTED.
 */
REDIAL_API enum redial_status
redial_worker_open(const struct redial_worker_options *options,
                   redial_worker **ret_worker, struct redial_error *ret_error);

/*
 * Waits until the worker has connected and is known to a gateway, at least
 * once. UNAVAILABLE with the reason at the deadline.
 */
REDIAL_API enum redial_status
redial_worker_wait_ready(redial_worker *worker, struct redial_deadline deadline,
                         struct redial_error *ret_error);

/*
 * Waits until the worker has drained, because the gateway or this program asked
 * for it: OK. DEADLINE_EXCEEDED: it has not. Any other status: the gateway
 * refuses this worker for good, e.g. UNAUTHENTICATED or INVALID_ARGUMENT, and
 * it has stopped trying.
 */
REDIAL_API enum redial_status
redial_worker_wait(redial_worker *worker, struct redial_deadline deadline,
                   struct redial_error *ret_error);

/*
 * Asks for no more work; attempts in hand are finished and reported, then the
 * worker says goodbye. Comes back at once: redial_worker_wait() tells when it
 * is done. May be called again.
 */
REDIAL_API void
redial_worker_drain(redial_worker *worker);

/*
 * Ends it. Attempts in hand are told to stop and **waited for**: handlers must
 * complete all of them. What they report is still delivered if the gateway
 * answers within a second. To leave in peace, drain and wait before. Not from
 * a handler. NULL is fine.
 */
REDIAL_API void
redial_worker_close(redial_worker *worker);

/* What shall be done. All of it lives as long as the attempt's handle. */
struct redial_assignment {
    const char *job_id;
    const char *key;
    const char *correlation_id;
    const char *service;
    const char *method;
    const char *tenant;
    uint32_t attempt;        /* its number, from 1 */
    uint64_t fence;          /* grows with each attempt of the job */
    uint32_t charged_before; /* > 0: this is a retry, or a hedge */
    const void *payload;
    size_t payload_bytes;
    const char *content_type;
    const struct redial_metadata *metadata;
    size_t metadata_count;
    uint64_t timeout_ms;   /* limit of this attempt, from its start; 0: none */
    uint64_t remaining_ms; /* to the deadline of the job, then; 0: none */
    enum redial_idempotency idempotent;
};

REDIAL_API const struct redial_assignment *
redial_attempt_work(const redial_attempt *attempt);

/* True from the moment that the attempt shall stop. Cheap. */
REDIAL_API bool
redial_attempt_cancelled(const redial_attempt *attempt);

/* When its time is up, for the deadlines of calls that the handler makes. */
REDIAL_API struct redial_deadline
redial_attempt_deadline(const redial_attempt *attempt);

/*
 * Tells how it goes, in up to 4 KiB; shown live to watchers and by
 * redial_get(). Only the last one of several in quick succession may be sent.
 */
REDIAL_API void
redial_attempt_progress(redial_attempt *attempt, const char *text);

/* For redial_attempt_complete(). */
enum redial_complete_flags {
    /* The upstream is overloaded: do not retry elsewhere either. */
    REDIAL_COMPLETE_OVERLOADED = 1,
    /*
     * Refused before anything was done. The try is free, and may go to another
     * worker at once. Not after the upstream has been touched.
     */
    REDIAL_COMPLETE_NOT_STARTED = 2,
    /*
     * outcome->pushback_ms is meant for the whole target: until then the
     * gateway holds all retries that go there, not just this job's.
     */
    REDIAL_COMPLETE_FOR_TARGET = 4,
};

/*
 * Says how the attempt ended, from any thread, once; the handle is gone then,
 * and no callback for it runs any more (if one does in another thread, this
 * waits for it). `outcome` is copied: code OK with a result, or a code and a
 * reason from the worker's own list. Texts that are too long are cut; a result
 * that is too large, or a code out of range, makes the attempt fail with
 * INTERNAL/RESULT_TOO_LARGE or INTERNAL/BAD_OUTCOME instead.
 *
 * After the time limit the attempt ends as DEADLINE_EXCEEDED/ATTEMPT_TIMEOUT,
 * whatever is said here. `flags`: any of enum redial_complete_flags.
 */
REDIAL_API void
redial_attempt_complete(redial_attempt *attempt,
                        const struct redial_outcome *outcome, unsigned flags);

#ifdef __cplusplus
}
#endif

#endif /* REDIAL_WORKER_H */
