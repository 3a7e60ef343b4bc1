/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin host for tests: loads a built plugin through its real entry point,
 * gives it attempts, and keeps how they ended. Waits for events, never longer
 * than a minute (the test program then aborts).
 */
#ifndef REDIAL_TESTS_UNIT_PLUGINS_FAKE_HOST_H
#define REDIAL_TESTS_UNIT_PLUGINS_FAKE_HOST_H

#include <redial/plugin.h>

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

enum { FAKE_CALLS_MAX = 1024, FAKE_ERROR_BYTES = 2048 };

struct fake_outcome {
    bool is_complete;
    enum redial_status code;
    uint32_t flags;
    int64_t pushback_ms;
    char reason[160];
    char text[4200];
    char content_type[160];
    char *result; /* with a NUL after it */
    size_t result_bytes;
};

struct fake_host {
    struct redial_plugin_host host;
    const struct redial_plugin *plugin;
    void *library;
    void *state;
    char error[FAKE_ERROR_BYTES]; /* of open */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t call_count;
    uint64_t complete_count;
    struct fake_outcome outcomes[FAKE_CALLS_MAX]; /* by call id */
    char progress[4200];                          /* the last one */
    int groups_pipe[2]; /* as a host's, for what happens in child processes */
};

/* What the plugin has said about process groups. */
struct fake_groups {
    int started;
    int ended;
    pid_t last;
};

/* Loads "exec", "http" or "fault" and opens it; what open returned. */
enum redial_status
fake_host_open(struct fake_host *fake, const char *plugin, const char *config);

/* Closes and unloads; also after a failed open. */
void
fake_host_close(struct fake_host *fake);

/* An attempt with plausible fields and no payload. */
struct redial_plugin_attempt
fake_attempt(void);

/* Invokes; `attempt` must live until the outcome is there. */
struct redial_plugin_call
fake_host_start(struct fake_host *fake,
                const struct redial_plugin_attempt *attempt);

/* Waits for the outcome, which lives until the close. */
const struct fake_outcome *
fake_host_wait(struct fake_host *fake, struct redial_plugin_call call);

/* Both. */
const struct fake_outcome *
fake_host_run(struct fake_host *fake,
              const struct redial_plugin_attempt *attempt);

/* Waits for a progress text and copies it; the next call waits for another. */
void
fake_host_wait_progress(struct fake_host *fake, char ret_text[4200]);

/* What has been said since the last call. */
struct fake_groups
fake_host_groups(struct fake_host *fake);

void
fake_host_stop(struct fake_host *fake, struct redial_plugin_call call,
               enum redial_plugin_stop why);

#endif
