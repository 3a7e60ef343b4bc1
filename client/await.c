/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The waits of many threads in one Await.
 *
 * Each thread waits for entries, one per job. Entries that nobody has asked for
 * yet stand in `unasked`; the next Await takes all of them. An Await comes back
 * with those that are final; the rest are unasked again and travel on with
 * whatever has gathered meanwhile. As the answer to a Submit of many jobs makes
 * many entries at once, they go out in one Await without waiting for company.
 */
#include "client/agent.h"
#include "client/clock.h"
#include "client/error.h"
#include "client/info.h"
#include "client/job.h"
#include "proto/limits.h"

#include <stdlib.h>
#include <string.h>

#define AWAIT_PATH "/redial.v1.Gateway/Await"

/* Awaits under way at a time. Beyond the second number each waits only shortly,
 * so that a slot soon becomes free for newcomers. */
#define AWAITS_FLYING_MAX  32
#define AWAITS_FLYING_MANY 24
#define AWAIT_SHORT_MS     1000

/* The answer comes this much after its own waiting time at the latest. */
#define ANSWER_SLACK_MS 10000

/* An answer with nothing in it sooner than this is no waiting (a gateway that
 * drains?): ask again only after this pause. */
#define EMPTY_MS 20
#define PAUSE_MS 100

/* Twice the ids of one Await, a power of two. */
#define TABLE_SIZE 2048

struct redial_i_await_batch {
    redial_client *client;
    size_t count;
    struct redial_i_entry *entries[WIRE_AWAIT_IDS_MAX]; /* NULL: given up */
    uint16_t table[TABLE_SIZE]; /* slot + 1 by hash of the id; 0: free */
};

_Static_assert(TABLE_SIZE > WIRE_AWAIT_IDS_MAX, "the table has free places");

/* ---- entries ---- */

static void
entry_end_locked(struct redial_i_entry *entry, struct redial_job_info *info,
                 const struct redial_error *error)
{
    entry->is_ended = true;
    entry->info = info;
    if (info == NULL) {
        entry->error = *error;
    }
    entry->waiter->pending--;
    entry->waiter->ended++;
    (void)pthread_cond_signal(&entry->waiter->cond);
}

void
redial_i_await_add_locked(redial_client *client, struct redial_i_entry *entry)
{
    redial_i_list_append(&client->unasked, &entry->node);
}

void
redial_i_await_remove_locked(redial_client *client,
                             struct redial_i_entry *entry)
{
    (void)client;
    redial_i_list_remove(&entry->node);
    if (entry->batch != NULL) {
        entry->batch->entries[entry->slot] = NULL;
        entry->batch = NULL;
    }
}

/* ---- batches ---- */

static uint32_t
hash_id(const char *id)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (; *id != '\0'; id++) {
        hash = (hash ^ (uint8_t)*id) * 16777619u;
    }
    return hash;
}

static void
batch_add_locked(struct redial_i_await_batch *batch,
                 struct redial_i_entry *entry)
{
    uint32_t at = hash_id(entry->id) % TABLE_SIZE;

    while (batch->table[at] != 0) {
        at = (at + 1) % TABLE_SIZE;
    }
    entry->batch = batch;
    entry->slot = batch->count;
    batch->entries[batch->count++] = entry;
    batch->table[at] = (uint16_t)batch->count;
}

/* Takes out the next entry with this id; NULL when there is no more. */
static struct redial_i_entry *
batch_take_locked(struct redial_i_await_batch *batch, const char *id)
{
    uint32_t at = hash_id(id) % TABLE_SIZE;

    for (; batch->table[at] != 0; at = (at + 1) % TABLE_SIZE) {
        struct redial_i_entry *entry = batch->entries[batch->table[at] - 1];

        if (entry != NULL && strcmp(entry->id, id) == 0) {
            redial_i_await_remove_locked(batch->client, entry);
            return entry;
        }
    }
    return NULL;
}

/* All that are left wait for the next Await. */
static void
batch_release_locked(struct redial_i_await_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct redial_i_entry *entry = batch->entries[i];

        if (entry != NULL) {
            redial_i_await_remove_locked(batch->client, entry);
            redial_i_await_add_locked(batch->client, entry);
        }
    }
}

static void
batch_fail_locked(struct redial_i_await_batch *batch,
                  const struct redial_error *error)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct redial_i_entry *entry = batch->entries[i];

        if (entry != NULL) {
            redial_i_await_remove_locked(batch->client, entry);
            entry_end_locked(entry, NULL, error);
        }
    }
}

/* ---- the answer ---- */

struct answer {
    struct wire_arena arena;
    const Redial__V1__AwaitResponse *message; /* NULL: see error */
    struct redial_job_info **infos;           /* one for each job, or NULL */
    struct redial_error error;
};

static bool
is_final(const Redial__V1__Job *job)
{
    return job->id != NULL &&
           redial_job_state_is_final((enum redial_job_state)job->state);
}

/* Without the lock. */
static void
read_answer(const struct redial_i_exchange *exchange, struct answer *answer)
{
    const Redial__V1__AwaitResponse *response;
    ProtobufCMessage *message;

    if (redial_i_reply_unpack(exchange->reply, exchange->reply_len,
                              &redial__v1__await_response__descriptor,
                              &answer->arena, &message,
                              &answer->error) != REDIAL_OK) {
        return;
    }
    response = (const Redial__V1__AwaitResponse *)message;
    answer->infos = calloc(response->n_jobs + 1,
                           sizeof(struct redial_job_info *));
    if (answer->infos == NULL) {
        (void)redial_i_fail_memory(&answer->error);
        return;
    }
    for (size_t i = 0; i < response->n_jobs; i++) {
        if (is_final(response->jobs[i])) {
            answer->infos[i] = redial_i_job_info(response->jobs[i]);
        }
    }
    answer->message = response;
}

static void
take_job_locked(struct redial_i_await_batch *batch, const Redial__V1__Job *job,
                struct redial_job_info **info)
{
    struct redial_i_entry *entry;
    struct redial_error error;

    while ((entry = batch_take_locked(batch, job->id)) != NULL) {
        if (*info == NULL) {
            *info = redial_i_job_info(job); /* two wait for the same job */
        }
        if (*info == NULL) {
            (void)redial_i_fail_memory(&error);
        }
        entry_end_locked(entry, *info, &error);
        *info = NULL;
    }
}

static void
take_answer_locked(struct redial_i_await_batch *batch, struct answer *answer)
{
    const Redial__V1__AwaitResponse *response = answer->message;
    struct redial_i_entry *entry;
    struct redial_error error;

    for (size_t i = 0; i < response->n_jobs; i++) {
        if (is_final(response->jobs[i])) {
            take_job_locked(batch, response->jobs[i], &answer->infos[i]);
        }
    }
    for (size_t i = 0; i < response->n_missing; i++) {
        (void)redial_i_fail(&error, REDIAL_NOT_FOUND, "JOB_UNKNOWN",
                            "the gateway does not know this job (any more)");
        while ((entry = batch_take_locked(batch, response->missing[i])) !=
               NULL) {
            entry_end_locked(entry, NULL, &error);
        }
    }
}

static void
answer_free(struct answer *answer)
{
    for (size_t i = 0; answer->message != NULL && i < answer->message->n_jobs;
         i++) {
        redial_job_info_free(answer->infos[i]);
    }
    free(answer->infos);
    wire_arena_fini(&answer->arena);
}

static bool
came_back_empty(const struct answer *answer, int64_t asked_ns)
{
    return answer->message != NULL && answer->message->n_jobs == 0 &&
           answer->message->n_missing == 0 &&
           redial_i_now() < redial_i_after(asked_ns, EMPTY_MS);
}

static void
await_done(struct redial_i_exchange *exchange)
{
    struct redial_i_loop *loop = exchange->link->loop;
    struct redial_i_await_batch *batch = exchange->owner;
    redial_client *client = batch->client;
    struct answer answer = {.message = NULL};
    bool has_reply = exchange->end == REDIAL_I_REPLY;

    wire_arena_init(&answer.arena, NULL, 0);
    if (has_reply) {
        read_answer(exchange, &answer);
    }
    redial_i_lock(loop);
    if (answer.message != NULL) {
        take_answer_locked(batch, &answer);
    } else if (has_reply) {
        batch_fail_locked(batch, &answer.error);
    }
    if (client->is_closing) {
        (void)redial_i_fail_closing(&answer.error);
        batch_fail_locked(batch, &answer.error);
    }
    batch_release_locked(batch);
    if (came_back_empty(&answer, exchange->started_ns)) {
        redial_i_timer_start_locked(loop, &client->await_pause,
                                    redial_i_after(redial_i_now(), PAUSE_MS));
    }
    redial_i_exchange_end_locked(exchange);
    client->awaits_flying--;
    redial_i_await_pump_locked(client);
    redial_i_unlock(loop);
    answer_free(&answer);
    free(batch);
}

/* ---- sending ---- */

static struct redial_i_frame *
batch_frame(const struct redial_i_await_batch *batch, uint32_t wait_ms)
{
    Redial__V1__AwaitRequest request = REDIAL__V1__AWAIT_REQUEST__INIT;
    char *ids[WIRE_AWAIT_IDS_MAX];
    struct redial_i_frame *msg;
    uint8_t *at;

    for (size_t i = 0; i < batch->count; i++) {
        ids[i] = redial_i_unconst(batch->entries[i]->id);
    }
    request.ids = ids;
    request.n_ids = batch->count;
    request.has_wait_ms = true;
    request.wait_ms = wait_ms;
    msg = redial_i_link_frame(
        &batch->client->link, AWAIT_PATH, wait_ms + ANSWER_SLACK_MS,
        redial__v1__await_request__get_packed_size(&request), &at);
    if (msg != NULL) {
        (void)redial__v1__await_request__pack(&request, at);
    }
    return msg;
}

static bool
send_locked(struct redial_i_await_batch *batch, int64_t deadline_ns)
{
    redial_client *client = batch->client;
    uint32_t wait_ms = redial_i_ms_until(deadline_ns, client->awaits_flying >=
                                                              AWAITS_FLYING_MANY
                                                          ? AWAIT_SHORT_MS
                                                          : WIRE_PARK_MS_MAX);
    struct redial_i_exchange *exchange;
    struct redial_i_frame *msg = batch_frame(batch, wait_ms);

    if (msg == NULL) {
        return false;
    }
    exchange = redial_i_exchange_get_locked(&client->link);
    if (exchange == NULL) {
        redial_i_frame_free(msg);
        return false;
    }
    client->awaits_flying++;
    redial_i_exchange_start_locked(
        exchange, msg,
        redial_i_after(redial_i_now(), wait_ms + ANSWER_SLACK_MS), await_done,
        batch);
    return true;
}

static void
pause_fire(struct redial_i_timer *timer)
{
    redial_i_await_pump_locked(
        REDIAL_I_OF(timer, struct redial_client, await_pause));
}

void
redial_i_await_init(redial_client *client)
{
    redial_i_list_init(&client->unasked);
    client->await_pause.fire = pause_fire;
}

void
redial_i_await_pump_locked(redial_client *client)
{
    while (client->link.is_ready && !client->await_pause.is_armed &&
           client->awaits_flying < AWAITS_FLYING_MAX &&
           !redial_i_list_is_empty(&client->unasked)) {
        struct redial_i_await_batch *batch = calloc(1, sizeof(*batch));
        struct redial_i_list *node;
        int64_t deadline_ns = 0;

        if (batch == NULL) {
            return; /* the entries stay, until their deadlines */
        }
        batch->client = client;
        while (batch->count < WIRE_AWAIT_IDS_MAX &&
               (node = redial_i_list_pop(&client->unasked)) != NULL) {
            struct redial_i_entry *entry = REDIAL_I_OF(
                node, struct redial_i_entry, node);

            if (entry->waiter->deadline_ns > deadline_ns) {
                deadline_ns = entry->waiter->deadline_ns;
            }
            batch_add_locked(batch, entry);
        }
        if (!send_locked(batch, deadline_ns)) {
            batch_release_locked(batch);
            free(batch);
            return;
        }
    }
}

void
redial_i_await_close_locked(redial_client *client)
{
    struct redial_i_list *node;
    struct redial_error error;

    (void)redial_i_fail_closing(&error);
    while ((node = redial_i_list_pop(&client->unasked)) != NULL) {
        entry_end_locked(REDIAL_I_OF(node, struct redial_i_entry, node), NULL,
                         &error);
    }
}
