/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin ABI: what a shared object offers so that redial-plugin-host can
 * run attempts with it. A plugin executes one attempt at a time as it is told;
 * it never repeats anything. Whether to try again is the gateway's business.
 *
 * A plugin exports one function, redial_plugin_v1(), that returns a table:
 *
 *     static const struct redial_plugin table = {
 *         .struct_size = sizeof(table),
 *         .abi = REDIAL_PLUGIN_ABI,
 *         .name = "thumbnail",
 *         .open = thumbnail_open,
 *         .invoke = thumbnail_invoke,
 *         .cancel = thumbnail_cancel,
 *         .close = thumbnail_close,
 *     };
 *
 *     REDIAL_API const struct redial_plugin *
 *     redial_plugin_v1(void)
 *     {
 *         return &table;
 *     }
 *
 * Order of calls: open; then invoke and cancel, in any number and at the same
 * time; then, when no attempt is under way any more, close. A host process
 * opens one plugin once.
 *
 * Growing without breaking: every structure begins with its own size, as its
 * maker compiled it. New fields are added at the end only; who reads a field
 * that version 1 did not have checks the size first. REDIAL_PLUGIN_ABI changes
 * only if a field had to change its meaning, and the host refuses a table of
 * another one, as it does one that is smaller than version 1's.
 *
 * A plugin runs in a process of its own. If it crashes, the gateway sees a lost
 * worker and starts another host; nothing else is touched. Writing to standard
 * output is harmless; standard error belongs to the host's log: use log().
 *
 * Strings are UTF-8, end with NUL, and are never NULL unless it says so; an
 * absent one is "". Times are milliseconds. Functions take the object, then
 * inputs, then ret_ outputs, which are set only on success.
 */
#ifndef REDIAL_PLUGIN_H
#define REDIAL_PLUGIN_H

#include <redial/status.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define REDIAL_PLUGIN_ABI 1

/* Names one attempt between host and plugin. Never 0, never used again. */
struct redial_plugin_call {
    uint64_t id;
};

struct redial_plugin_metadata {
    const char *key;
    const void *value;
    size_t value_bytes;
};

/* One attempt. Belongs to the host; valid until complete() has been called. */
struct redial_plugin_attempt {
    uint32_t struct_size;
    uint32_t number;         /* of this attempt, from 1 */
    uint32_t charged_before; /* earlier attempts that count or run */
    uint32_t metadata_count;
    uint64_t fence;        /* a newer attempt of the job has a larger one */
    uint64_t timeout_ms;   /* this attempt's limit, which the host watches;
                              0: none */
    uint64_t remaining_ms; /* to the job's deadline; 0: it has none */
    const char *job_id;
    const char *correlation_id;
    const char *service;
    const char *method;
    const char *key;    /* the agent's idempotency key; "": none */
    const char *tenant; /* "": none */
    const char *content_type;
    const void *payload; /* NULL if payload_bytes is 0 */
    size_t payload_bytes;
    const struct redial_plugin_metadata *metadata; /* e.g. traceparent */
};

enum redial_plugin_outcome_flags {
    /* The attempt never touched anything outside: it costs no retry. */
    REDIAL_PLUGIN_NOT_STARTED = 1u << 0,
    /* The upstream is overloaded: do not try elsewhere either. */
    REDIAL_PLUGIN_OVERLOADED = 1u << 1,
    /* pushback_ms is set. */
    REDIAL_PLUGIN_HAS_PUSHBACK = 1u << 2,
    /*
     * pushback_ms is meant for all retries of the target, not for this job
     * alone. A host that does not know the flag takes it for this job's.
     */
    REDIAL_PLUGIN_FOR_TARGET = 1u << 3,
};

/*
 * How an attempt ended. Belongs to the plugin; complete() copies it. Pointers
 * may be NULL for "none". A reason is a word for programs, such as
 * SCRIPT_VALIDATION, which policies can list as retryable or not. What is too
 * long for the protocol (reason 128 bytes, text 4,096) is cut; a result over
 * the gateway's limit turns the outcome into INTERNAL/RESULT_TOO_LARGE.
 */
struct redial_plugin_outcome {
    uint32_t struct_size;
    uint32_t flags; /* enum redial_plugin_outcome_flags */
    enum redial_status code;
    const char *reason;
    const char *text;    /* a sentence for people */
    int64_t pushback_ms; /* come back after this; < 0: do not come back */
    const void *result;
    size_t result_bytes;
    const char *content_type; /* of the result */
};

enum redial_plugin_level {
    REDIAL_PLUGIN_DEBUG,
    REDIAL_PLUGIN_INFO,
    REDIAL_PLUGIN_WARNING,
    REDIAL_PLUGIN_ERROR,
};

/*
 * What the host offers. Every function may be called from any thread, from
 * within invoke too, and none calls back into the plugin. `ctx` is theirs:
 * hand it over as it is.
 */
struct redial_plugin_host {
    uint32_t struct_size;
    uint32_t abi;
    void *ctx;

    /*
     * Ends the attempt. Exactly once for each; the first one counts, and a
     * further one returns NOT_FOUND without effect. Copies the outcome. After
     * it the attempt's memory is gone. Does not block.
     */
    enum redial_status (*complete)(void *ctx, struct redial_plugin_call call,
                                   const struct redial_plugin_outcome *outcome);

    /*
     * Tells watchers how far the attempt is, in a few words. A newer one
     * replaces one that has not been sent yet. NOT_FOUND if it has ended.
     */
    enum redial_status (*progress)(void *ctx, struct redial_plugin_call call,
                                   const char *text);

    /* One log line. A call of id 0 means that it is about no attempt. */
    void (*log)(void *ctx, enum redial_plugin_level level,
                struct redial_plugin_call call, const char *text);

    /*
     * For plugins that start processes, each in a process group of its own:
     * from group_started to group_ended the gateway kills that group if this
     * host dies. Call group_started before anything can leave the group, best
     * in the new process just before it executes its program: it is safe
     * between vfork() and exec. Call group_ended before the group's leader is
     * reaped, while its number cannot belong to another group.
     */
    void (*group_started)(void *ctx, int64_t pgid);
    void (*group_ended)(void *ctx, int64_t pgid);
};

struct redial_plugin_options {
    uint32_t struct_size;
    uint32_t concurrency;    /* at most so many attempts at the same time */
    const char *worker_name; /* this worker, as the gateway shows it */
    const char *config;      /* the plugin's own configuration: JSON text,
                                "{}" if there is none */
    size_t config_bytes;     /* without the NUL that follows it too */
    const struct redial_plugin_host *host; /* until close() has returned */
};

enum redial_plugin_flags {
    /*
     * invoke() only starts the attempt and returns without waiting. The host
     * then calls it from one thread, and any number of attempts costs no
     * threads. Without this flag each attempt has a thread of the host's.
     */
    REDIAL_PLUGIN_ASYNCHRONOUS = 1u << 0,
    /*
     * The plugin starts processes and reports their groups. The host then
     * keeps a guard: a process that kills the groups even when gateway and
     * host are gone at once.
     */
    REDIAL_PLUGIN_STARTS_PROCESSES = 1u << 1,
};

enum redial_plugin_stop {
    REDIAL_PLUGIN_STOP_CANCELLED, /* nobody wants the result any more */
    REDIAL_PLUGIN_STOP_TIMEOUT,   /* timeout_ms is over */
};

struct redial_plugin {
    uint32_t struct_size;
    uint32_t abi;
    uint32_t flags;      /* enum redial_plugin_flags */
    const char *name;    /* 1 to 128 printable characters, no space */
    const char *version; /* NULL: none */

    /*
     * Reads the configuration and gets ready. Returns OK, or another code and
     * a sentence in `error` (at most error_size bytes with its NUL), which the
     * host logs before it exits: a plugin that cannot open is started again
     * later. Unknown configuration fields should be refused by name.
     */
    enum redial_status (*open)(const struct redial_plugin_options *options,
                               char *error, size_t error_size,
                               void **ret_state);

    /*
     * Runs one attempt. Either waits, calls complete() and returns, or returns
     * at once and calls complete() later from any thread. A plugin without
     * REDIAL_PLUGIN_ASYNCHRONOUS has to complete before it returns (if it does
     * not, the host does: INTERNAL/PLUGIN_NO_OUTCOME). Called from several
     * threads at a time, unless the plugin is asynchronous.
     */
    void (*invoke)(void *state, struct redial_plugin_call call,
                   const struct redial_plugin_attempt *attempt);

    /*
     * Asks to give up the attempt soon and complete it: by any code if
     * cancelled; after a timeout by DEADLINE_EXCEEDED/ATTEMPT_TIMEOUT, or by
     * its result if that arrived just now. At most once for each reason; comes
     * from another thread than invoke, perhaps while invoke runs, perhaps
     * when complete() has just been called: what is not known any more is to
     * be ignored. Must not wait. NULL: cannot cancel.
     */
    void (*cancel)(void *state, struct redial_plugin_call call,
                   enum redial_plugin_stop why);

    /* Frees everything, ends the plugin's threads. May wait. */
    void (*close)(void *state);
};

/* The entry point that a plugin exports. The table lives for ever. */
REDIAL_API const struct redial_plugin *
redial_plugin_v1(void);

#ifdef __cplusplus
}
#endif

#endif /* REDIAL_PLUGIN_H */
