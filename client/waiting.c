/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redial_await(): ids travel with those of other threads (await.c); keys and
 * correlation ids have calls of their own.
 */
#include "client/agent.h"
#include "client/clock.h"
#include "client/error.h"
#include "client/info.h"
#include "client/job.h"
#include "proto/limits.h"

#include <stdlib.h>
#include <string.h>

/* What the program gets, and what it stands on. */
struct list {
    struct redial_job_list view;
    struct redial_job_info *jobs;   /* copies of *owned */
    struct redial_job_info **owned; /* where their texts live */
    char **missing;
    size_t capacity; /* of each */
};

static void
list_free(struct list *list)
{
    if (list == NULL) {
        return;
    }
    for (size_t i = 0; i < list->view.count; i++) {
        redial_job_info_free(list->owned[i]);
    }
    for (size_t i = 0; i < list->view.missing_count; i++) {
        free(list->missing[i]);
    }
    free(list->jobs);
    free(list->owned);
    free(list->missing);
    free(list);
}

void
redial_job_list_free(struct redial_job_list *list)
{
    if (list != NULL) {
        list_free(REDIAL_I_OF(list, struct list, view));
    }
}

static struct list *
list_new(size_t capacity)
{
    struct list *list = calloc(1, sizeof(*list));

    if (list == NULL) {
        return NULL;
    }
    list->capacity = capacity;
    list->jobs = calloc(capacity + 1, sizeof(*list->jobs));
    list->owned = calloc(capacity + 1, sizeof(struct redial_job_info *));
    list->missing = calloc(capacity + 1, sizeof(char *));
    if (list->jobs == NULL || list->owned == NULL || list->missing == NULL) {
        list_free(list);
        return NULL;
    }
    list->view.jobs = list->jobs;
    return list;
}

/* Takes `info` over. */
static void
list_add(struct list *list, struct redial_job_info *info)
{
    WIRE_CHECK(list->view.count < list->capacity);
    list->owned[list->view.count] = info;
    list->jobs[list->view.count++] = *info;
}

static bool
list_add_missing(struct list *list, const char *name)
{
    char *copy = strdup(name);

    if (copy == NULL) {
        return false;
    }
    WIRE_CHECK(list->view.missing_count < list->capacity);
    list->missing[list->view.missing_count++] = copy;
    return true;
}

static enum redial_status
list_finish(struct list *list, struct redial_job_list **ret_list,
            struct redial_error *error)
{
    union {
        char **in;
        const char *const *out;
    } missing = {.in = list->missing};

    if (list->view.count == 0 && list->view.pending == 0) {
        list_free(list);
        return redial_i_fail(error, REDIAL_NOT_FOUND, "JOB_UNKNOWN",
                             "the gateway knows none of these jobs");
    }
    list->view.missing = missing.out;
    *ret_list = &list->view;
    return REDIAL_OK;
}

/* ---- ids ---- */

struct id_wait {
    redial_client *client;
    const struct redial_await *what;
    struct redial_i_entry *entries;
    struct redial_i_waiter waiter;
};

static void
wait_for_ids_locked(struct id_wait *wait)
{
    redial_client *client = wait->client;
    struct redial_i_waiter *waiter = &wait->waiter;

    for (size_t i = 0; i < wait->what->id_count; i++) {
        wait->entries[i].waiter = waiter;
        wait->entries[i].id = wait->what->ids[i];
        redial_i_await_add_locked(client, &wait->entries[i]);
    }
    waiter->pending = wait->what->id_count;
    redial_i_await_pump_locked(client);
    while ((wait->what->all ? waiter->pending > 0 : waiter->ended == 0) &&
           redial_i_wait_locked(&client->loop, &waiter->cond,
                                waiter->deadline_ns)) {
    }
    for (size_t i = 0; i < wait->what->id_count; i++) {
        redial_i_await_remove_locked(client, &wait->entries[i]);
    }
}

/* Moves what has ended into the list. */
static enum redial_status
collect_ids(struct id_wait *wait, struct list *list, struct redial_error *error)
{
    enum redial_status status = REDIAL_OK;

    for (size_t i = 0; i < wait->what->id_count; i++) {
        struct redial_i_entry *entry = &wait->entries[i];

        if (!entry->is_ended) {
            list->view.pending++;
        } else if (entry->info != NULL) {
            list_add(list, entry->info);
        } else if (entry->error.status != REDIAL_NOT_FOUND) {
            status = redial_i_fail_with(error, &entry->error);
        } else if (!list_add_missing(list, entry->id)) {
            status = redial_i_fail_memory(error);
        }
    }
    return status;
}

static enum redial_status
run_id_wait(struct id_wait *wait, struct list *list, struct redial_error *error)
{
    redial_client *client = wait->client;
    enum redial_status status;

    redial_i_cond_init(&wait->waiter.cond);
    redial_i_lock(&client->loop);
    status = redial_i_enter_locked(client, error);
    if (status == REDIAL_OK) {
        wait_for_ids_locked(wait);
        status = collect_ids(wait, list, error);
        if (status == REDIAL_OK &&
            (wait->what->all ? wait->waiter.pending > 0
                             : wait->waiter.ended == 0)) {
            status = client->link.is_ready
                         ? redial_i_fail(error, REDIAL_DEADLINE_EXCEEDED,
                                         "NOT_FINAL",
                                         "not final at the deadline")
                         : redial_i_fail_late_locked(client, false, error);
        }
        redial_i_leave_locked(client);
    }
    redial_i_unlock(&client->loop);
    (void)pthread_cond_destroy(&wait->waiter.cond);
    return status;
}

static enum redial_status
await_ids(redial_client *client, const struct redial_await *what,
          int64_t deadline_ns, struct list *list, struct redial_error *error)
{
    struct id_wait wait = {
        .client = client,
        .what = what,
        .waiter = {.deadline_ns = deadline_ns},
    };
    enum redial_status status;

    wait.entries = calloc(what->id_count, sizeof(*wait.entries));
    if (wait.entries == NULL) {
        return redial_i_fail_memory(error);
    }
    status = run_id_wait(&wait, list, error);
    free(wait.entries);
    return status;
}

/* ---- keys, with or without ids ---- */

static const struct redial_i_method await_method = {
    &redial__v1__gateway__descriptor, "Await", true};

/* What is still asked for: the first `count` of `names`. */
struct names {
    char **names;
    size_t count;
};

static void
names_drop(struct names *names, const char *name)
{
    for (size_t i = 0; name != NULL && i < names->count; i++) {
        if (strcmp(names->names[i], name) == 0) {
            names->names[i--] = names->names[--names->count];
        }
    }
}

static bool
names_init(struct names *names, const char *const *from, size_t count)
{
    names->names = calloc(count + 1, sizeof(char *));
    if (names->names == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        names->names[i] = redial_i_unconst(from[i]);
    }
    names->count = count;
    return true;
}

/* Moves an answer into the list; what it settles is asked for no more. */
static enum redial_status
take_answer(const Redial__V1__AwaitResponse *answer, struct names *ids,
            struct names *keys, struct list *list, struct redial_error *error)
{
    for (size_t i = 0; i < answer->n_jobs; i++) {
        const Redial__V1__Job *job = answer->jobs[i];
        struct redial_job_info *info;

        if (list->view.count == list->capacity) {
            break; /* more than was asked for */
        }
        info = redial_i_job_info(job);
        if (info == NULL) {
            return redial_i_fail_memory(error);
        }
        list_add(list, info);
        names_drop(ids, job->id);
        names_drop(keys, job->key);
    }
    for (size_t i = 0; i < answer->n_missing; i++) {
        if (list->view.missing_count < list->capacity &&
            !list_add_missing(list, answer->missing[i])) {
            return redial_i_fail_memory(error);
        }
        names_drop(ids, answer->missing[i]);
        names_drop(keys, answer->missing[i]);
    }
    list->view.pending = ids->count + keys->count;
    return REDIAL_OK;
}

static enum redial_status
await_names(redial_client *client, const struct redial_await *what,
            int64_t deadline_ns, struct list *list, struct redial_error *error)
{
    struct redial_deadline deadline = {deadline_ns};
    struct names ids = {NULL, 0};
    struct names keys = {NULL, 0};
    enum redial_status status = REDIAL_OK;

    if (!names_init(&ids, what->ids, what->id_count) ||
        !names_init(&keys, what->keys, what->key_count)) {
        status = redial_i_fail_memory(error);
    }
    while (status == REDIAL_OK && ids.count + keys.count > 0 &&
           (what->all || list->view.count + list->view.missing_count == 0)) {
        Redial__V1__AwaitRequest request = REDIAL__V1__AWAIT_REQUEST__INIT;
        struct redial_i_response response;

        request.ids = ids.names;
        request.n_ids = ids.count;
        request.keys = keys.names;
        request.n_keys = keys.count;
        request.tenant = redial_i_unconst(what->tenant);
        request.has_wait_ms = true;
        request.wait_ms = redial_i_ms_until(deadline_ns, WIRE_PARK_MS_MAX);
        status = redial_i_call(client, &await_method, &request.base, deadline,
                               &response, error);
        if (status == REDIAL_OK) {
            status = take_answer(
                (const Redial__V1__AwaitResponse *)response.message, &ids,
                &keys, list, error);
            redial_i_response_fini(&response);
        }
    }
    free(ids.names);
    free(keys.names);
    return status;
}

/* ---- a correlation id ---- */

/* One look; with wait_ms 0 only at what is there. */
static enum redial_status
look_at_correlation(redial_client *client, const struct redial_await *what,
                    int64_t deadline_ns, struct list **ret_list,
                    struct redial_error *error)
{
    Redial__V1__AwaitRequest request = REDIAL__V1__AWAIT_REQUEST__INIT;
    struct redial_deadline deadline = {deadline_ns};
    const Redial__V1__AwaitResponse *answer;
    struct redial_i_response response;
    struct names none = {NULL, 0};
    enum redial_status status;
    struct list *list;

    request.correlation_id = redial_i_unconst(what->correlation_id);
    request.tenant = redial_i_unconst(what->tenant);
    request.has_wait_ms = true;
    request.wait_ms = what->all
                          ? 0
                          : redial_i_ms_until(deadline_ns, WIRE_PARK_MS_MAX);
    status = redial_i_call(client, &await_method, &request.base, deadline,
                           &response, error);
    if (status != REDIAL_OK) {
        return status;
    }
    answer = (const Redial__V1__AwaitResponse *)response.message;
    list = list_new(answer->n_jobs + answer->n_missing);
    status = list == NULL ? redial_i_fail_memory(error)
                          : take_answer(answer, &none, &none, list, error);
    if (status == REDIAL_OK) {
        list->view.pending = answer->pending;
        *ret_list = list;
    } else {
        list_free(list);
    }
    redial_i_response_fini(&response);
    return status;
}

/* Reads events until as many jobs have ended as are pending, or a gap. */
static enum redial_status
watch_the_rest(redial_watch *watch, size_t pending, int64_t deadline_ns,
               struct redial_error *error)
{
    struct redial_deadline deadline = {deadline_ns};

    while (pending > 0) {
        const struct redial_event *event;
        enum redial_status status = redial_watch_next(watch, deadline, &event,
                                                      error);

        if (status != REDIAL_OK) {
            return status;
        }
        pending = event->gap != NULL ? 0 : pending - 1;
    }
    return REDIAL_OK;
}

/* All of them: an Await comes back with the first, so the others are followed
 * as events. The watch is opened first: nothing falls between. */
static enum redial_status
await_all_of_correlation(redial_client *client, const struct redial_await *what,
                         int64_t deadline_ns, struct list **ret_list,
                         struct redial_error *error)
{
    static const char *const types[] = {"job.succeeded", "job.failed",
                                        "job.cancelled", "job.expired"};
    struct redial_filter filter = {
        .struct_size = sizeof(filter),
        .correlation_id = what->correlation_id,
        .tenant = what->tenant,
        .types = types,
        .type_count = sizeof(types) / sizeof(types[0]),
    };
    struct redial_deadline deadline = {deadline_ns};
    struct list *list = NULL;
    redial_watch *watch;
    enum redial_status status = redial_watch_open(client, &filter, NULL,
                                                  deadline, &watch, error);

    if (status != REDIAL_OK) {
        return status;
    }
    do {
        list_free(list);
        list = NULL;
        status = look_at_correlation(client, what, deadline_ns, &list, error);
        if (status == REDIAL_OK && list->view.pending > 0) {
            status = watch_the_rest(watch, list->view.pending, deadline_ns,
                                    error);
        }
    } while (status == REDIAL_OK && list->view.pending > 0);
    redial_watch_close(watch);
    if (status == REDIAL_OK) {
        *ret_list = list;
    } else {
        list_free(list);
    }
    return status;
}

static enum redial_status
await_correlation(redial_client *client, const struct redial_await *what,
                  int64_t deadline_ns, struct list **ret_list,
                  struct redial_error *error)
{
    enum redial_status status = REDIAL_OK;
    struct list *list = NULL;

    if (what->all) {
        return await_all_of_correlation(client, what, deadline_ns, ret_list,
                                        error);
    }
    while (status == REDIAL_OK) {
        status = look_at_correlation(client, what, deadline_ns, &list, error);
        if (status == REDIAL_OK &&
            (list->view.count > 0 || list->view.pending == 0)) {
            *ret_list = list;
            return REDIAL_OK;
        }
        list_free(list);
        list = NULL;
    }
    return status;
}

/* ---- the call ---- */

static enum redial_status
check_names(const char *field, const char *const *names, size_t count,
            struct redial_error *error)
{
    for (size_t i = 0; i < count; i++) {
        enum redial_status status = redial_i_check_word(
            field, names[i] != NULL ? names[i] : "", error);

        if (status != REDIAL_OK) {
            return status;
        }
    }
    return REDIAL_OK;
}

static enum redial_status
check_what(const struct redial_await *what, struct redial_error *error)
{
    size_t names = what->id_count + what->key_count;
    enum redial_status status;

    if ((names == 0) == (what->correlation_id == NULL)) {
        return redial_i_fail(error, REDIAL_INVALID_ARGUMENT, "",
                             "what: give ids and keys, or correlation_id");
    }
    if (names > WIRE_AWAIT_IDS_MAX) {
        return redial_i_fail(error, REDIAL_INVALID_ARGUMENT, "",
                             "what.ids: more than %u ids and keys",
                             WIRE_AWAIT_IDS_MAX);
    }
    status = check_names("what.ids", what->ids, what->id_count, error);
    if (status == REDIAL_OK) {
        status = check_names("what.keys", what->keys, what->key_count, error);
    }
    if (status == REDIAL_OK) {
        status = redial_i_check_word("what.correlation_id",
                                     what->correlation_id, error);
    }
    if (status == REDIAL_OK) {
        status = redial_i_check_word("what.tenant", what->tenant, error);
    }
    return status;
}

enum redial_status
redial_await(redial_client *client, const struct redial_await *what,
             struct redial_deadline deadline, struct redial_job_list **ret_list,
             struct redial_error *ret_error)
{
    int64_t deadline_ns = redial_i_deadline(deadline, client->timeout_ms);
    struct redial_await copy = {0};
    struct list *list = NULL;
    enum redial_status status;

    memcpy(&copy, what,
           what->struct_size < sizeof(copy) ? what->struct_size : sizeof(copy));
    status = check_what(&copy, ret_error);
    if (status != REDIAL_OK) {
        return status;
    }
    if (copy.correlation_id != NULL) {
        status = await_correlation(client, &copy, deadline_ns, &list,
                                   ret_error);
    } else {
        list = list_new(copy.id_count + copy.key_count);
        if (list == NULL) {
            return redial_i_fail_memory(ret_error);
        }
        status = copy.key_count == 0
                     ? await_ids(client, &copy, deadline_ns, list, ret_error)
                     : await_names(client, &copy, deadline_ns, list, ret_error);
    }
    if (status != REDIAL_OK) {
        list_free(list);
        return status;
    }
    return list_finish(list, ret_list, ret_error);
}
