/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One lock guards the slots; it is never held while calling into the plugin or
 * completing towards libredial, but it is while handing on progress, so that an
 * attempt's handle cannot go away meanwhile.
 */
#include "server/plugins/host/calls.h"

#include "server/base/check.h"
#include "server/plugins/groups.h"
#include "server/plugins/host/host_log.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    METADATA_MAX = 32,
    INDEX_BITS = 16, /* of a call's id; the rest counts the uses of a slot */
};

#define OUTCOME_V1_BYTES \
    (offsetof(struct redial_plugin_outcome, content_type) + sizeof(char *))

struct slot {
    uint64_t use;            /* how often it has been taken; in the id */
    redial_attempt *attempt; /* NULL: free */
    bool must_stop;
    bool is_stopped; /* the plugin has been told */
    enum redial_plugin_stop why;
    struct redial_plugin_attempt view;
    struct redial_plugin_metadata metadata[METADATA_MAX];
};

struct calls {
    struct calls_options options;
    struct redial_plugin_host host;
    const struct redial_plugin *plugin;
    void *state;
    pthread_mutex_t lock; /* of the slots */
    struct slot *slots;
    uint32_t slot_count;
};

static struct redial_plugin_call
call_of(const struct calls *calls, const struct slot *slot)
{
    uint64_t index = (uint64_t)(slot - calls->slots) + 1;
    return (struct redial_plugin_call){slot->use << INDEX_BITS | index};
}

/* The slot of a call that has not ended; caller holds the lock. */
static struct slot *
find_slot(struct calls *calls, struct redial_plugin_call call)
{
    uint64_t index = call.id & ((1u << INDEX_BITS) - 1);
    if (index == 0 || index > calls->slot_count) {
        return NULL;
    }
    struct slot *slot = &calls->slots[index - 1];
    return slot->attempt != NULL && slot->use == call.id >> INDEX_BITS ? slot
                                                                       : NULL;
}

/* Ends a call: takes the handle out of its slot. NULL: it has ended. */
static redial_attempt *
take_attempt(struct calls *calls, struct redial_plugin_call call)
{
    redial_attempt *attempt = NULL;
    pthread_mutex_lock(&calls->lock);
    struct slot *slot = find_slot(calls, call);
    if (slot != NULL) {
        attempt = slot->attempt;
        slot->attempt = NULL;
        slot->must_stop = false;
    }
    pthread_mutex_unlock(&calls->lock);
    return attempt;
}

static void
complete_attempt(redial_attempt *attempt,
                 const struct redial_plugin_outcome *from)
{
    struct redial_outcome outcome = {
        .code = from->code,
        .reason = from->reason == NULL ? "" : from->reason,
        .text = from->text == NULL ? "" : from->text,
        .has_pushback = (from->flags & REDIAL_PLUGIN_HAS_PUSHBACK) != 0,
        .pushback_ms = from->pushback_ms,
        .result = from->result,
        .result_bytes = from->result_bytes,
        .content_type = from->content_type == NULL ? "" : from->content_type,
    };
    unsigned flags = 0;
    if ((from->flags & REDIAL_PLUGIN_NOT_STARTED) != 0) {
        flags |= REDIAL_COMPLETE_NOT_STARTED;
    }
    if ((from->flags & REDIAL_PLUGIN_OVERLOADED) != 0) {
        flags |= REDIAL_COMPLETE_OVERLOADED;
    }
    if ((from->flags & REDIAL_PLUGIN_FOR_TARGET) != 0) {
        flags |= REDIAL_COMPLETE_FOR_TARGET;
    }
    redial_attempt_complete(attempt, &outcome, flags);
}

static void
complete_defect(redial_attempt *attempt, const char *reason, const char *text)
{
    const struct redial_assignment *work = redial_attempt_work(attempt);
    struct redial_plugin_outcome outcome = {
        .code = REDIAL_INTERNAL,
        .reason = reason,
        .text = text,
    };
    host_log_job(HOST_LOG_BAD_OUTCOME, work->job_id, work->correlation_id,
                 text);
    complete_attempt(attempt, &outcome);
}

static enum redial_status
host_complete(void *ctx, struct redial_plugin_call call,
              const struct redial_plugin_outcome *outcome)
{
    redial_attempt *attempt = take_attempt(ctx, call);
    if (attempt == NULL) {
        return REDIAL_NOT_FOUND;
    }
    if (outcome == NULL || outcome->struct_size < OUTCOME_V1_BYTES) {
        complete_defect(attempt, "PLUGIN_DEFECT",
                        "the outcome is smaller than that of version 1");
        return REDIAL_INVALID_ARGUMENT;
    }
    complete_attempt(attempt, outcome);
    return REDIAL_OK;
}

static enum redial_status
host_progress(void *ctx, struct redial_plugin_call call, const char *text)
{
    struct calls *calls = ctx;
    pthread_mutex_lock(&calls->lock);
    struct slot *slot = find_slot(calls, call);
    if (slot != NULL) {
        redial_attempt_progress(slot->attempt, text);
    }
    pthread_mutex_unlock(&calls->lock);
    return slot == NULL ? REDIAL_NOT_FOUND : REDIAL_OK;
}

static enum host_log_id
log_id_of(enum redial_plugin_level level)
{
    switch (level) {
    case REDIAL_PLUGIN_DEBUG:
        return HOST_LOG_PLUGIN_DEBUG;
    case REDIAL_PLUGIN_INFO:
        return HOST_LOG_PLUGIN_INFO;
    case REDIAL_PLUGIN_WARNING:
        return HOST_LOG_PLUGIN_WARNING;
    case REDIAL_PLUGIN_ERROR:
        break;
    }
    return HOST_LOG_PLUGIN_ERROR;
}

static void
host_say(void *ctx, enum redial_plugin_level level,
         struct redial_plugin_call call, const char *text)
{
    struct calls *calls = ctx;
    pthread_mutex_lock(&calls->lock);
    struct slot *slot = find_slot(calls, call);
    host_log_job(log_id_of(level), slot == NULL ? NULL : slot->view.job_id,
                 slot == NULL ? NULL : slot->view.correlation_id, text);
    pthread_mutex_unlock(&calls->lock);
}

/* These two may run in a child that shares our memory: no locks. */
static void
host_group_started(void *ctx, int64_t pgid)
{
    const struct calls *calls = ctx;
    if (calls->options.groups_fd >= 0) {
        groups_report(calls->options.groups_fd, true, pgid);
    }
    if (calls->options.guard_fd >= 0) {
        groups_report(calls->options.guard_fd, true, pgid);
    }
}

static void
host_group_ended(void *ctx, int64_t pgid)
{
    const struct calls *calls = ctx;
    if (calls->options.groups_fd >= 0) {
        groups_report(calls->options.groups_fd, false, pgid);
    }
    if (calls->options.guard_fd >= 0) {
        groups_report(calls->options.guard_fd, false, pgid);
    }
}

struct calls *
calls_new(const struct calls_options *options)
{
    redial_assert(options->concurrency < (1u << INDEX_BITS));
    struct calls *calls = calloc(1, sizeof(*calls));
    struct slot *slots = calloc(options->concurrency, sizeof(*slots));
    if (calls == NULL || slots == NULL) {
        free(calls);
        free(slots);
        return NULL;
    }
    calls->options = *options;
    calls->slots = slots;
    calls->slot_count = options->concurrency;
    pthread_mutex_init(&calls->lock, NULL);
    calls->host = (struct redial_plugin_host){
        .struct_size = sizeof(calls->host),
        .abi = REDIAL_PLUGIN_ABI,
        .ctx = calls,
        .complete = host_complete,
        .progress = host_progress,
        .log = host_say,
        .group_started = host_group_started,
        .group_ended = host_group_ended,
    };
    return calls;
}

void
calls_free(struct calls *calls)
{
    if (calls != NULL) {
        pthread_mutex_destroy(&calls->lock);
        free(calls->slots);
        free(calls);
    }
}

const struct redial_plugin_host *
calls_host(struct calls *calls)
{
    return &calls->host;
}

void
calls_set_plugin(struct calls *calls, const struct redial_plugin *plugin,
                 void *state)
{
    calls->plugin = plugin;
    calls->state = state;
}

static void
fill_view(struct slot *slot, const struct redial_assignment *work)
{
    size_t count = work->metadata_count;
    count = count < METADATA_MAX ? count : METADATA_MAX;
    for (size_t i = 0; i < count; i++) {
        slot->metadata[i] = (struct redial_plugin_metadata){
            .key = work->metadata[i].key,
            .value = work->metadata[i].value,
            .value_bytes = work->metadata[i].value_bytes,
        };
    }
    slot->view = (struct redial_plugin_attempt){
        .struct_size = sizeof(slot->view),
        .number = work->attempt,
        .charged_before = work->charged_before,
        .metadata_count = (uint32_t)count,
        .fence = work->fence,
        .timeout_ms = work->timeout_ms,
        .remaining_ms = work->remaining_ms,
        .job_id = work->job_id,
        .correlation_id = work->correlation_id,
        .service = work->service,
        .method = work->method,
        .key = work->key,
        .tenant = work->tenant,
        .content_type = work->content_type,
        .payload = work->payload_bytes == 0 ? NULL : work->payload,
        .payload_bytes = work->payload_bytes,
        .metadata = slot->metadata,
    };
}

static struct slot *
take_slot(struct calls *calls, redial_attempt *attempt)
{
    struct slot *found = NULL;
    pthread_mutex_lock(&calls->lock);
    for (uint32_t i = 0; i < calls->slot_count && found == NULL; i++) {
        if (calls->slots[i].attempt == NULL) {
            found = &calls->slots[i];
            found->use++;
            found->attempt = attempt;
            found->must_stop = false;
            found->is_stopped = false;
            fill_view(found, redial_attempt_work(attempt));
        }
    }
    pthread_mutex_unlock(&calls->lock);
    return found;
}

static void
refuse(redial_attempt *attempt)
{
    struct redial_plugin_outcome outcome = {
        .flags = REDIAL_PLUGIN_NOT_STARTED,
        .code = REDIAL_UNAVAILABLE,
        .reason = "HOST_BUSY",
    };
    complete_attempt(attempt, &outcome);
}

void
calls_run(void *ctx, redial_attempt *attempt)
{
    struct calls *calls = ctx;
    struct slot *slot = take_slot(calls, attempt);
    if (slot == NULL) {
        refuse(attempt);
        return;
    }
    struct redial_plugin_call call = call_of(calls, slot);
    if (redial_attempt_cancelled(attempt)) {
        /* Told before there was a slot: calls_stop() found nothing. */
        calls_stop(ctx, attempt);
    }
    calls->plugin->invoke(calls->state, call, &slot->view);
    if ((calls->plugin->flags & REDIAL_PLUGIN_ASYNCHRONOUS) != 0) {
        return;
    }
    redial_attempt *left = take_attempt(calls, call);
    if (left != NULL) {
        complete_defect(left, "PLUGIN_NO_OUTCOME",
                        "invoke returned without an outcome");
    }
}

static bool
is_over_time(const redial_attempt *attempt)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return redial_attempt_deadline(attempt).mono_ns <=
           (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void
calls_stop(void *ctx, redial_attempt *attempt)
{
    struct calls *calls = ctx;
    uint64_t one = 1;
    enum redial_plugin_stop why = is_over_time(attempt)
                                      ? REDIAL_PLUGIN_STOP_TIMEOUT
                                      : REDIAL_PLUGIN_STOP_CANCELLED;
    pthread_mutex_lock(&calls->lock);
    for (uint32_t i = 0; i < calls->slot_count; i++) {
        struct slot *slot = &calls->slots[i];
        if (slot->attempt == attempt && !slot->must_stop) {
            slot->must_stop = true;
            slot->why = why;
        }
    }
    pthread_mutex_unlock(&calls->lock);
    (void)!write(calls->options.wake_fd, &one, sizeof(one));
}

void
calls_stop_pending(struct calls *calls)
{
    if (calls->plugin == NULL || calls->plugin->cancel == NULL) {
        return;
    }
    for (uint32_t i = 0; i < calls->slot_count; i++) {
        struct slot *slot = &calls->slots[i];
        pthread_mutex_lock(&calls->lock);
        bool is_due = slot->attempt != NULL && slot->must_stop &&
                      !slot->is_stopped;
        struct redial_plugin_call call = call_of(calls, slot);
        enum redial_plugin_stop why = slot->why;
        slot->is_stopped = slot->is_stopped || is_due;
        pthread_mutex_unlock(&calls->lock);
        if (is_due) {
            calls->plugin->cancel(calls->state, call, why);
        }
    }
}
