/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an agent needs: hand jobs to a Redial gateway, wait for what became of
 * them, follow their attempts.
 *
 *     struct redial_client_options options = {
 *         .struct_size = sizeof(options),
 *         .connection.addresses = "ipc:///run/redial/agent.sock",
 *     };
 *     redial_client *client;
 *     struct redial_error error;
 *     redial_client_open(&options, &client, &error);
 *
 *     struct redial_job job = {
 *         .struct_size = sizeof(job),
 *         .service = "image.ImageGen",
 *         .method = "Generate",
 *         .payload = prompt,
 *         .payload_bytes = strlen(prompt),
 *     };
 *     struct redial_job_info *info;
 *     if (redial_call(client, &job, redial_in_ms(60000), &info, &error) ==
 *         REDIAL_OK) {
 *         ... info->state, info->outcome ...
 *         redial_job_info_free(info);
 *     }
 *     redial_client_close(client);
 *
 * There is no retry loop in an agent: the gateway tries again, by its policy.
 * This library only repeats its own messages after a lost connection, where
 * that is safe (everything below is: jobs carry an id, the rest are reads, or
 * may be said twice), and within the deadline of the call.
 *
 * Rules that hold for every function here:
 *
 * - Arguments: object, inputs (a pointer, then its length), deadline, `ret_`
 *   outputs last. Outputs are untouched on failure and always set on success,
 *   but for `ret_error`, which is set on failure only. It may be NULL.
 * - Structures that the caller fills begin with `struct_size`, which is the
 *   sizeof of the structure; it lets the library grow them. Everything that is
 *   zero or NULL is a sensible default.
 * - Texts are UTF-8, terminated by NUL. Texts in structures that the library
 *   fills are never NULL: absent is "".
 * - Names (ids, keys, correlation ids, tenants, services, methods) are 1 to
 *   128 printable ASCII characters without space.
 * - Inputs belong to the caller and are not referenced after the return.
 * - Every function may be called from any thread, at the same time as any
 *   other, unless it says otherwise. None may be called in a signal handler.
 *   A process must not fork() and go on using a client in the child.
 * - A call that may wait has a deadline and comes back at the latest then.
 *
 * What functions return, beside what they name themselves:
 *
 *   REDIAL_INVALID_ARGUMENT    an input is wrong; the text names the field
 *   REDIAL_UNAVAILABLE         no gateway could be reached within the deadline;
 *                              the text says why. Nothing was sent, or a
 *                              gateway said this itself
 *   REDIAL_DEADLINE_EXCEEDED   sent, but not answered within the deadline. A
 *                              job may have been accepted: submit it again
 *                              under the same id (or key) to learn that
 *   REDIAL_RESOURCE_EXHAUSTED  a limit, here or at the gateway; `reason` says
 *                              which, `retry_after_ms` when to come back
 *   REDIAL_CANCELLED           the client is being closed
 *   and whatever else the gateway says.
 */
#ifndef REDIAL_CLIENT_H
#define REDIAL_CLIENT_H

#include <redial/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The largest payload, and the largest result: 4 MiB. */
#define REDIAL_PAYLOAD_BYTES_MAX 4194304u

/* Room for a name and its NUL, for a reason and for the text of an error. */
#define REDIAL_NAME_BYTES   129
#define REDIAL_REASON_BYTES 129
#define REDIAL_TEXT_BYTES   256

/* A client: one connection at a time, any number of calls over it. */
typedef struct redial_client redial_client;

/* A position in the stream of events that moves on as it is read. */
typedef struct redial_watch redial_watch;

/* Why a call failed. */
struct redial_error {
    enum redial_status status;
    uint64_t retry_after_ms;          /* 0: the gateway did not say */
    char reason[REDIAL_REASON_BYTES]; /* a word for programs, or "" */
    char text[REDIAL_TEXT_BYTES];     /* a sentence for people */
};

/*
 * When to give up: a point on the monotonic clock, so one deadline can be used
 * for several calls in turn. {0} stands for the client's default timeout,
 * counted from the call.
 */
struct redial_deadline {
    int64_t mono_ns;
};

/* So many milliseconds from now; 0 is "do not wait". */
REDIAL_API struct redial_deadline
redial_in_ms(uint64_t ms);

/* Never give up. */
REDIAL_API struct redial_deadline
redial_never(void);

/* One entry of metadata: travels with a job to the worker, or with calls. */
struct redial_metadata {
    const char *key;
    const void *value; /* may be NULL when value_bytes is 0 */
    size_t value_bytes;
};

/*
 * Where gateways are and how to talk to them; the same for agents and workers.
 *
 * Several addresses are tried in turn, from the first, until one answers; after
 * a lost connection again, with a growing and jittered pause after each round
 * (up to 3 s). One connection is in use at a time.
 */
struct redial_connection {
    /*
     * One or more, separated by commas or spaces:
     *   ipc:///path   tcp://host:port   tls+tcp://host:port
     */
    const char *addresses;

    /* TLS: file with the authorities to trust (PEM). Needed for tls+tcp. */
    const char *tls_ca_file;
    /* TLS: name that the certificate must carry. NULL: the address's host. */
    const char *tls_server_name;
    /* TLS: file with our own certificate and key (PEM), or NULL. */
    const char *tls_cert_key_file;

    /* Sent as "authorization: Bearer <token>" with every call, or NULL. */
    const char *token;

    /* More metadata for every call: at most 16 entries, 4 KiB. */
    const struct redial_metadata *metadata;
    size_t metadata_count;

    /* How long one address may take to connect. 0: 3,000. */
    uint32_t connect_timeout_ms;
};

struct redial_client_options {
    size_t struct_size;
    struct redial_connection connection;

    /* For calls with the deadline {0}. 0: 30,000. */
    uint32_t timeout_ms;

    /*
     * Jobs and their bytes that may wait in this process to be sent; at the
     * limit redial_submit_async() refuses and the others wait.
     * 0: 100,000 jobs, 64 MiB. One job always finds room in an empty queue.
     */
    uint32_t queue_jobs_max;
    uint64_t queue_bytes_max;
};

/*
 * Makes a client. Does not wait for a connection: that is made in the
 * background, and calls wait for it. Fails with INVALID_ARGUMENT (also for a
 * file that cannot be read) or RESOURCE_EXHAUSTED.
 */
REDIAL_API enum redial_status
redial_client_open(const struct redial_client_options *options,
                   redial_client **ret_client, struct redial_error *ret_error);

/*
 * Ends it: calls that wait in other threads return CANCELLED, asynchronous
 * ones are called back with CANCELLED, then everything is freed. Jobs that the
 * gateway has accepted are not affected. Blocks until all that is done. Every
 * watch must have been closed. Not from a callback. NULL is fine.
 */
REDIAL_API void
redial_client_close(redial_client *client);

/* -- Jobs ---------------------------------------------------------------- */

/* For redial_job.priority: 0 to 9, 9 goes first. */
#define REDIAL_PRIORITY(level) ((level) + 1)

/* May the work be done twice? Unset: retried after loss, never hedged. */
enum redial_idempotency {
    REDIAL_IDEMPOTENCY_UNSET = 0,
    REDIAL_IDEMPOTENT = 1,
    REDIAL_NOT_IDEMPOTENT = 2,
};

/* What an agent asks for. Only service and method are needed. */
struct redial_job {
    size_t struct_size;
    const char *service; /* "image.ImageGen" */
    const char *method;  /* "Generate" */
    const void *payload;
    size_t payload_bytes;     /* at most REDIAL_PAYLOAD_BYTES_MAX */
    const char *content_type; /* of the payload, for the worker; or NULL */

    /*
     * NULL: a new UUIDv7. Give one to submit again after a failure: it joins
     * the job if that is live. The id of one that has ended makes it run again;
     * a key never does.
     */
    const char *id;
    /*
     * Makes submitting idempotent: a second job of this tenant with the same
     * key and content joins the first, running or done. NULL: none.
     */
    const char *key;
    /* Under what all events are reported. NULL: the id. */
    const char *correlation_id;
    const char *tenant; /* NULL: none */

    const struct redial_metadata *metadata; /* at most 32 entries, 8 KiB */
    size_t metadata_count;

    int priority; /* 0: default (5), or REDIAL_PRIORITY(0..9) */
    enum redial_idempotency idempotent;

    /* Durations, all from acceptance by the gateway, in milliseconds. */
    uint64_t not_before_ms; /* start no attempt earlier. 0: at once */
    uint64_t deadline_ms;   /* everything, all attempts. 0: none */
    uint64_t queue_ttl_ms;  /* to the first attempt. 0: none */

    /* These only tighten the policy. 0: as the policy says. */
    uint32_t max_attempts;
    uint64_t attempt_timeout_ms;
};

enum redial_job_state {
    REDIAL_JOB_STATE_UNSPECIFIED = 0,
    REDIAL_JOB_SCHEDULED = 1, /* not before a time */
    REDIAL_JOB_READY = 2,     /* waits for a worker, a limit or its turn */
    REDIAL_JOB_RUNNING = 3,
    REDIAL_JOB_BACKOFF = 4, /* retry at a time */
    REDIAL_JOB_PARKED = 5,  /* behind a breaker or a pause */
    REDIAL_JOB_SUCCEEDED = 6,
    REDIAL_JOB_FAILED = 7,
    REDIAL_JOB_CANCELLED = 8,
    REDIAL_JOB_EXPIRED = 9,
};

/* "RUNNING"; for other numbers "STATE_UNSPECIFIED". Lives for ever. */
REDIAL_API const char *
redial_job_state_name(enum redial_job_state state);

/* True for the last four: such a job never changes again. */
REDIAL_API bool
redial_job_state_is_final(enum redial_job_state state);

/* How an attempt or a job ended. */
struct redial_outcome {
    enum redial_status code;
    const char *reason;  /* a word: "SCRIPT_VALIDATION", "HTTP_503" */
    const char *text;    /* for people, at most 4 KiB */
    bool has_pushback;   /* the worker's own "come back after": */
    int64_t pushback_ms; /* < 0: do not retry */
    const void *result;  /* at most REDIAL_PAYLOAD_BYTES_MAX */
    size_t result_bytes;
    const char *content_type; /* of the result */
    /*
     * What the library fills only: the pushback was meant for all retries of
     * the target (a worker says REDIAL_COMPLETE_FOR_TARGET).
     */
    bool for_target;
};

/* Why a job goes on, waits or ends: the rule, its inputs, the next time. */
struct redial_decision {
    const char *rule;         /* "RETRY_PLANNED", "ATTEMPTS_EXHAUSTED" */
    uint64_t delay_ms;        /* what came out */
    const char *delay_source; /* "backoff", "pushback", "hedge" ... */
    uint64_t backoff_ms;      /* before jitter */
    uint32_t jitter_permille; /* the factor drawn; 1000 is 1.0 */
    const char *clamp;        /* which limit changed the delay */
    uint32_t attempts_charged;
    uint32_t attempts_free;
    uint32_t attempts_left;
    bool has_tokens;
    int64_t tokens_milli;  /* left in the throttle, in thousandths */
    int64_t until_wall_ms; /* next try, since 1970 UTC; 0: none */
    uint32_t policy_version;
    int64_t tokens_max_milli; /* of that throttle; 0: not known */
    bool has_budget;
    int64_t budget_milli; /* retries left in the budget, in thousandths */
};

struct redial_attempt_info {
    uint32_t number; /* from 1 */
    uint64_t fence;
    const char *worker;
    const char *state; /* "RUNNING", "SUCCEEDED", "FAILED", "LOST" */
    int64_t started_wall_ms;
    int64_t ended_wall_ms;                  /* 0: not yet */
    bool charged;                           /* counts against the limit */
    const struct redial_outcome *outcome;   /* without result; or NULL */
    const struct redial_decision *decision; /* what followed; or NULL */
};

/*
 * A job as the gateway knows it. One piece of memory: everything in it lives
 * until redial_job_info_free().
 */
struct redial_job_info {
    const char *id;
    const char *key;
    const char *correlation_id;
    const char *service;
    const char *method;
    const char *tenant;
    enum redial_job_state state;
    uint32_t priority; /* 0..9 */
    int64_t accepted_wall_ms;
    int64_t state_since_wall_ms;
    int64_t next_wall_ms;     /* next try, or not before; 0: none */
    int64_t deadline_wall_ms; /* 0: none */
    uint32_t attempts_charged;
    uint32_t attempts_free;
    uint32_t max_attempts;
    uint64_t job_seq;
    uint64_t payload_bytes;
    const char *progress; /* what the worker said last, while running */
    bool history_trimmed; /* earlier records are gone */
    const struct redial_outcome *outcome;       /* final states; else NULL */
    const struct redial_outcome *last_failure;  /* or NULL */
    const struct redial_decision *decision;     /* the last one; or NULL */
    const struct redial_attempt_info *attempts; /* of redial_get() only */
    size_t attempt_count;
};

/* NULL is fine. */
REDIAL_API void
redial_job_info_free(struct redial_job_info *info);

/* What the gateway said to one submitted job. */
struct redial_submitted {
    char id[REDIAL_NAME_BYTES]; /* of the job; the first one's when joined */
    enum redial_job_state state;
    bool deduplicated; /* joined an earlier job of the same key or id */
    /* redial_submit_many() and redial_submit_async(): OK, or why not. */
    struct redial_error error;
};

/*
 * Submits one job and waits until the gateway has accepted it, which means
 * (unless the gateway is ephemeral) that it is on disk. What other threads
 * submit at the same time travels in the same message.
 *
 * ALREADY_EXISTS: the key is taken by a job with other content. The job has
 * its id from the moment of the call, but the caller learns it on success
 * only: who wants to submit again after DEADLINE_EXCEEDED gives an id or a key
 * (redial_new_id()).
 */
REDIAL_API enum redial_status
redial_submit(redial_client *client, const struct redial_job *job,
              struct redial_deadline deadline,
              struct redial_submitted *ret_submitted,
              struct redial_error *ret_error);

/*
 * Submits `count` jobs (any number; they travel in batches of up to 1,000) and
 * waits until each has its answer. Each job stands alone: the call returns OK
 * when all were accepted, otherwise the status of the first that was not, and
 * ret_submitted[i] belongs to jobs[i] **in either case**, with its own error.
 * Only when an input is wrong is nothing sent and ret_submitted untouched.
 */
REDIAL_API enum redial_status
redial_submit_many(redial_client *client, const struct redial_job *jobs,
                   size_t count, struct redial_deadline deadline,
                   struct redial_submitted *ret_submitted,
                   struct redial_error *ret_error);

/*
 * Called once for each job whose submission was started, on the client's own
 * thread, with `submitted->error.status` OK or not. `submitted` lives for the
 * duration of the call. It must not wait: every asynchronous function of this
 * header may be called in it, redial_client_close() may not.
 */
typedef void (*redial_submit_done)(void *ctx,
                                   const struct redial_submitted *submitted);

/*
 * Starts to submit one job and comes back at once, with OK and `done` to be
 * called later, or with the reason why not (RESOURCE_EXHAUSTED with the reason
 * CLIENT_QUEUE_FULL: the queue of the options is full). The job is copied.
 */
REDIAL_API enum redial_status
redial_submit_async(redial_client *client, const struct redial_job *job,
                    struct redial_deadline deadline, redial_submit_done done,
                    void *ctx, struct redial_error *ret_error);

/*
 * Submits one job and waits until it is final. OK says that the end is known,
 * not that the job succeeded: look at (*ret_info)->state and ->outcome.
 *
 * At the deadline the job is not cancelled. Set job.deadline_ms for that.
 */
REDIAL_API enum redial_status
redial_call(redial_client *client, const struct redial_job *job,
            struct redial_deadline deadline, struct redial_job_info **ret_info,
            struct redial_error *ret_error);

/* A fresh UUIDv7 for redial_job.id: 36 characters and a NUL. */
REDIAL_API void
redial_new_id(char ret_id[37]);

/* Which jobs to wait for: ids and keys in any mixture, or a correlation id. */
struct redial_await {
    size_t struct_size;
    const char *const *ids;
    size_t id_count;
    const char *const *keys;
    size_t key_count;           /* ids and keys: at most 1,000 together */
    const char *correlation_id; /* with neither ids nor keys */
    const char *tenant;         /* of the keys, or NULL */
    bool all; /* wait until all are final; false: until at least one is */
};

/* All of it lives until redial_job_list_free(). */
struct redial_job_list {
    const struct redial_job_info *jobs; /* final ones, with results */
    size_t count;
    const char *const *missing; /* ids and keys that nobody knows */
    size_t missing_count;
    size_t pending; /* how many were not final yet */
};

/*
 * Waits until jobs are final and gives them with their results. Callers that
 * wait at the same time share the messages. Unknown ids and keys count as
 * final and are named in `missing`; NOT_FOUND: all of them are unknown.
 */
REDIAL_API enum redial_status
redial_await(redial_client *client, const struct redial_await *what,
             struct redial_deadline deadline, struct redial_job_list **ret_list,
             struct redial_error *ret_error);

/* NULL is fine. */
REDIAL_API void
redial_job_list_free(struct redial_job_list *list);

/* Names one job: by its id, or by its key and the tenant of the key. */
struct redial_job_ref {
    const char *id;
    const char *key;
    const char *tenant;
};

/* The job with all its attempts and the decision after each. NOT_FOUND. */
REDIAL_API enum redial_status
redial_get(redial_client *client, struct redial_job_ref ref,
           struct redial_deadline deadline, struct redial_job_info **ret_info,
           struct redial_error *ret_error);

struct redial_cancelled {
    enum redial_job_state state; /* what the job is in now */
    bool cancelled;              /* false: it was final before */
};

/*
 * Cancels a job in whatever state it is. A running attempt is told to stop,
 * but may have done its work already. `reason` is shown to people; or NULL.
 * May be said twice. NOT_FOUND.
 */
REDIAL_API enum redial_status
redial_cancel(redial_client *client, struct redial_job_ref ref,
              const char *reason, struct redial_deadline deadline,
              struct redial_cancelled *ret_cancelled,
              struct redial_error *ret_error);

/* -- Events -------------------------------------------------------------- */

/* Which events: those that match every member that is set. */
struct redial_filter {
    size_t struct_size;
    const char *correlation_id;
    const char *const *job_ids;
    size_t job_id_count;
    const char *key;
    const char *tenant;
    const char *service;
    const char *method;
    const char *const *types; /* "job.succeeded", or a group: "attempt" */
    size_t type_count;
};

/* A hole in the stream: what was between is not kept any more. */
struct redial_gap {
    const char *epoch;
    uint64_t from_seq;
    uint64_t to_seq;
    const char *reason; /* "TRIMMED", "EPOCH_CHANGED" */
};

/* One event. Ignore types that you do not know. */
struct redial_event {
    const char *type; /* "attempt.started" */
    const char *epoch;
    uint64_t seq;     /* total order of this epoch; 0: live only */
    uint64_t job_seq; /* without gap per job; 0: live only */
    int64_t wall_ms;  /* since 1970 UTC */
    uint64_t since_accepted_ms;
    const char *gateway;
    const char *correlation_id;
    const char *tenant;
    const char *service;
    const char *method;
    const char *job_id;
    const char *key;
    uint32_t attempt; /* 0: not about an attempt */
    uint64_t fence;
    const char *worker;
    bool has_code;
    enum redial_status code;
    const char *reason;
    const char *text;
    bool charged;
    const char *traceparent;
    const struct redial_decision *decision; /* or NULL */
    const struct redial_gap *gap;           /* type "stream.gap" only */

    const char *target;  /* that this changed, if it is not the service */
    bool has_pushback;   /* what the worker asked for: */
    int64_t pushback_ms; /* < 0: do not retry */
    bool for_target;     /* ... and that for all retries of the target */
    bool overloaded;     /* ... and not elsewhere either */
    bool hedge;          /* "attempt.started": beside others that run */
    uint64_t timeout_ms; /* "attempt.started": its time limit; 0: not told */
    /* "job.accepted": what the agent asked for; 0: nothing. */
    uint32_t priority;
    enum redial_idempotency idempotent;
    uint64_t not_before_ms;
    uint64_t deadline_ms;
    uint64_t queue_ttl_ms;
    uint32_t max_attempts;
    uint64_t attempt_timeout_ms;
    uint64_t payload_bytes;
};

/*
 * Starts to follow events. `filter` NULL: all. `cursor`: where to start, as
 * redial_watch_cursor() gave it, perhaps to another process and another
 * gateway before a restart; "start": with the oldest that is kept; NULL or "":
 * with what happens from now on. When this has returned OK, no event after that
 * point is missed, so open the watch first, then submit.
 */
REDIAL_API enum redial_status
redial_watch_open(redial_client *client, const struct redial_filter *filter,
                  const char *cursor, struct redial_deadline deadline,
                  redial_watch **ret_watch, struct redial_error *ret_error);

/*
 * The next event, in order; waits for one until the deadline
 * (DEADLINE_EXCEEDED or UNAVAILABLE then, and the watch stays good). It goes on
 * by itself after lost connections and restarts of the gateway. Events that are
 * not kept any more are replaced by one of the type "stream.gap": nothing is
 * ever left out in silence.
 *
 * *ret_event lives until the next call with this watch. One thread at a time
 * for each watch.
 */
REDIAL_API enum redial_status
redial_watch_next(redial_watch *watch, struct redial_deadline deadline,
                  const struct redial_event **ret_event,
                  struct redial_error *ret_error);

/*
 * The position behind the last event that redial_watch_next() gave: keep it
 * with what you made of that event, and go on from it later. Lives until the
 * next call with this watch; same thread as redial_watch_next().
 */
REDIAL_API const char *
redial_watch_cursor(const redial_watch *watch);

/* Not while another thread is in redial_watch_next(). NULL is fine. */
REDIAL_API void
redial_watch_close(redial_watch *watch);

/* -- The gateway --------------------------------------------------------- */

struct redial_health {
    bool ready;
    bool durable;                /* accepted jobs survive a crash */
    char why[REDIAL_TEXT_BYTES]; /* when not ready */
    char version[64];
    char epoch[REDIAL_NAME_BYTES]; /* of its log of events */
};

/* Is somebody there, and ready for work? */
REDIAL_API enum redial_status
redial_health(redial_client *client, struct redial_deadline deadline,
              struct redial_health *ret_health, struct redial_error *ret_error);

#ifdef __cplusplus
}
#endif

#endif /* REDIAL_CLIENT_H */
