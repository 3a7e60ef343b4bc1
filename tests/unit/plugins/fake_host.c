/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/plugins/fake_host.h"

#include "server/plugins/groups.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_S = 60 };

static void
die(const char *what)
{
    fprintf(stderr, "fake host: %s\n", what);
    abort();
}

static void
wait_changed(struct fake_host *fake, const struct timespec *deadline)
{
    if (pthread_cond_timedwait(&fake->changed, &fake->lock, deadline) ==
        ETIMEDOUT) {
        die("waited too long");
    }
}

static struct timespec
deadline(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += WAIT_S;
    return at;
}

static void
copy_text(char *ret_text, size_t size, const char *text)
{
    snprintf(ret_text, size, "%s", text == NULL ? "" : text);
}

static enum redial_status
complete(void *ctx, struct redial_plugin_call call,
         const struct redial_plugin_outcome *outcome)
{
    struct fake_host *fake = ctx;
    pthread_mutex_lock(&fake->lock);
    struct fake_outcome *kept = &fake->outcomes[call.id];
    if (call.id == 0 || call.id > fake->call_count || kept->is_complete) {
        die("completed twice, or something that was never started");
    }
    kept->is_complete = true;
    kept->code = outcome->code;
    kept->flags = outcome->flags;
    kept->pushback_ms = outcome->pushback_ms;
    copy_text(kept->reason, sizeof(kept->reason), outcome->reason);
    copy_text(kept->text, sizeof(kept->text), outcome->text);
    copy_text(kept->content_type, sizeof(kept->content_type),
              outcome->content_type);
    kept->result = calloc(1, outcome->result_bytes + 1);
    kept->result_bytes = outcome->result_bytes;
    if (kept->result == NULL) {
        die("out of memory");
    }
    if (outcome->result_bytes > 0) {
        memcpy(kept->result, outcome->result, outcome->result_bytes);
    }
    fake->complete_count++;
    pthread_cond_broadcast(&fake->changed);
    pthread_mutex_unlock(&fake->lock);
    return REDIAL_OK;
}

static enum redial_status
progress(void *ctx, struct redial_plugin_call call, const char *text)
{
    struct fake_host *fake = ctx;
    (void)call;
    pthread_mutex_lock(&fake->lock);
    copy_text(fake->progress, sizeof(fake->progress), text);
    pthread_cond_broadcast(&fake->changed);
    pthread_mutex_unlock(&fake->lock);
    return REDIAL_OK;
}

static void
write_log(void *ctx, enum redial_plugin_level level,
          struct redial_plugin_call call, const char *text)
{
    (void)ctx;
    (void)level;
    (void)call;
    fprintf(stderr, "plugin: %s\n", text);
}

/* In the child process: a pipe is what reaches us whatever memory it has. */
static void
group_started(void *ctx, int64_t pgid)
{
    const struct fake_host *fake = ctx;
    groups_report(fake->groups_pipe[1], true, pgid);
}

static void
group_ended(void *ctx, int64_t pgid)
{
    const struct fake_host *fake = ctx;
    groups_report(fake->groups_pipe[1], false, pgid);
}

static void
load(struct fake_host *fake, const char *plugin)
{
    char path[4096];
    const char *folder = getenv("REDIAL_PLUGIN_DIR");
    snprintf(path, sizeof(path), "%s/%s.so",
             folder == NULL ? "lib/redial" : folder, plugin);
    fake->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (fake->library == NULL) {
        die(dlerror());
    }
    const struct redial_plugin *(*entry)(void) = NULL;
    *(void **)(void *)&entry = dlsym(fake->library, "redial_plugin_v1");
    if (entry == NULL) {
        die("no entry point");
    }
    fake->plugin = entry();
}

enum redial_status
fake_host_open(struct fake_host *fake, const char *plugin, const char *config)
{
    memset(fake, 0, sizeof(*fake));
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&fake->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&fake->lock, NULL);
    fake->host = (struct redial_plugin_host){
        .struct_size = sizeof(fake->host),
        .abi = REDIAL_PLUGIN_ABI,
        .ctx = fake,
        .complete = complete,
        .progress = progress,
        .log = write_log,
        .group_started = group_started,
        .group_ended = group_ended,
    };
    if (pipe2(fake->groups_pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
        die("no pipe");
    }
    load(fake, plugin);
    struct redial_plugin_options options = {
        .struct_size = sizeof(options),
        .concurrency = FAKE_CALLS_MAX,
        .worker_name = "test",
        .config = config,
        .config_bytes = strlen(config),
        .host = &fake->host,
    };
    return fake->plugin->open(&options, fake->error, sizeof(fake->error),
                              &fake->state);
}

void
fake_host_close(struct fake_host *fake)
{
    if (fake->state != NULL) {
        fake->plugin->close(fake->state);
    }
    for (size_t i = 0; i < FAKE_CALLS_MAX; i++) {
        free(fake->outcomes[i].result);
    }
    close(fake->groups_pipe[0]);
    close(fake->groups_pipe[1]);
    dlclose(fake->library);
    pthread_cond_destroy(&fake->changed);
    pthread_mutex_destroy(&fake->lock);
    memset(fake, 0, sizeof(*fake));
}

struct redial_plugin_attempt
fake_attempt(void)
{
    return (struct redial_plugin_attempt){
        .struct_size = sizeof(struct redial_plugin_attempt),
        .number = 1,
        .fence = 7,
        .timeout_ms = 600000,
        .job_id = "0190a5b0-0000-7000-8000-000000000001",
        .correlation_id = "request-1",
        .service = "image.ImageGen",
        .method = "Generate",
        .key = "",
        .tenant = "",
        .content_type = "",
    };
}

struct redial_plugin_call
fake_host_start(struct fake_host *fake,
                const struct redial_plugin_attempt *attempt)
{
    pthread_mutex_lock(&fake->lock);
    struct redial_plugin_call call = {++fake->call_count};
    pthread_mutex_unlock(&fake->lock);
    if (call.id >= FAKE_CALLS_MAX) {
        die("too many calls");
    }
    fake->plugin->invoke(fake->state, call, attempt);
    return call;
}

const struct fake_outcome *
fake_host_wait(struct fake_host *fake, struct redial_plugin_call call)
{
    struct timespec at = deadline();
    pthread_mutex_lock(&fake->lock);
    while (!fake->outcomes[call.id].is_complete) {
        wait_changed(fake, &at);
    }
    pthread_mutex_unlock(&fake->lock);
    return &fake->outcomes[call.id];
}

const struct fake_outcome *
fake_host_run(struct fake_host *fake,
              const struct redial_plugin_attempt *attempt)
{
    return fake_host_wait(fake, fake_host_start(fake, attempt));
}

void
fake_host_wait_progress(struct fake_host *fake, char ret_text[4200])
{
    struct timespec at = deadline();
    pthread_mutex_lock(&fake->lock);
    while (fake->progress[0] == '\0') {
        wait_changed(fake, &at);
    }
    memcpy(ret_text, fake->progress, sizeof(fake->progress));
    fake->progress[0] = '\0';
    pthread_mutex_unlock(&fake->lock);
}

struct fake_groups
fake_host_groups(struct fake_host *fake)
{
    static char text[65536];
    struct fake_groups groups = {0};
    ssize_t len = read(fake->groups_pipe[0], text, sizeof(text) - 1);
    text[len > 0 ? len : 0] = '\0';
    for (char *at = text; *at != '\0'; at = strchr(at, '\n') + 1) {
        *(at[0] == '+' ? &groups.started : &groups.ended) += 1;
        groups.last = (pid_t)strtol(at + 1, NULL, 10);
    }
    return groups;
}

void
fake_host_stop(struct fake_host *fake, struct redial_plugin_call call,
               enum redial_plugin_stop why)
{
    fake->plugin->cancel(fake->state, call, why);
}
