/* SPDX-License-Identifier: Apache-2.0 */
#include "client/agent.h"
#include "client/clock.h"
#include "client/error.h"
#include <redial/version.h>

#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS      30000
#define QUEUE_JOBS_MAX  100000
#define QUEUE_BYTES_MAX (64u * 1024 * 1024)

const char *
redial_version(void)
{
    return REDIAL_VERSION_STRING;
}

/* ---- calls of the program ---- */

enum redial_status
redial_i_fail_closing(struct redial_error *ret_error)
{
    return redial_i_fail(ret_error, REDIAL_CANCELLED, "CLIENT_CLOSED",
                         "the client is being closed");
}

enum redial_status
redial_i_enter_locked(redial_client *client, struct redial_error *ret_error)
{
    if (client->is_closing) {
        return redial_i_fail_closing(ret_error);
    }
    client->inside++;
    return REDIAL_OK;
}

void
redial_i_leave_locked(redial_client *client)
{
    client->inside--;
    if (client->is_closing && client->inside == 0) {
        (void)pthread_cond_broadcast(&client->left);
    }
}

enum redial_status
redial_i_fail_late_locked(const redial_client *client, bool was_sent,
                          struct redial_error *ret_error)
{
    if (was_sent) {
        return redial_i_fail(ret_error, REDIAL_DEADLINE_EXCEEDED, "NO_ANSWER",
                             "sent, but not answered within the deadline");
    }
    if (client->link.is_ready) {
        return redial_i_fail(ret_error, REDIAL_DEADLINE_EXCEEDED, "NOT_SENT",
                             "still waiting to be sent at the deadline");
    }
    return redial_i_fail(ret_error, REDIAL_UNAVAILABLE, "NOT_CONNECTED",
                         "no gateway reached within the deadline; %s",
                         client->link.error);
}

/* ---- open and close ---- */

/* The link has become ready: everybody goes on. */
static void
link_up(void *ctx)
{
    redial_client *client = ctx;

    redial_i_submit_pump_locked(client);
    redial_i_await_pump_locked(client);
    redial_i_watch_pump_locked(client);
    REDIAL_I_EACH(node, &client->callers)
    {
        struct redial_i_waiter *waiter = redial_i_caller_waiter(node);

        (void)pthread_cond_signal(&waiter->cond);
    }
}

static void
client_free(redial_client *client)
{
    redial_i_link_fini(&client->link);
    (void)pthread_cond_destroy(&client->room);
    (void)pthread_cond_destroy(&client->left);
    redial_i_loop_fini(&client->loop);
    free(client);
}

static void
client_init(redial_client *client, const struct redial_client_options *options)
{
    client->timeout_ms = options->timeout_ms != 0 ? options->timeout_ms
                                                  : TIMEOUT_MS;
    client->queue_jobs_max = options->queue_jobs_max != 0
                                 ? options->queue_jobs_max
                                 : QUEUE_JOBS_MAX;
    client->queue_bytes_max = options->queue_bytes_max != 0
                                  ? options->queue_bytes_max
                                  : QUEUE_BYTES_MAX;
    redial_i_cond_init(&client->left);
    redial_i_cond_init(&client->room);
    redial_i_list_init(&client->callers);
    redial_i_list_init(&client->watches);
    redial_i_await_init(client);
    redial_i_submit_init(client);
    client->link.up = link_up;
    client->link.ctx = client;
}

enum redial_status
redial_client_open(const struct redial_client_options *options,
                   redial_client **ret_client, struct redial_error *ret_error)
{
    struct redial_client_options copy = {0};
    enum redial_status status;
    redial_client *client;

    if (options->struct_size < sizeof(options->struct_size)) {
        return redial_i_fail(ret_error, REDIAL_INVALID_ARGUMENT, "",
                             "options.struct_size is not set");
    }
    memcpy(&copy, options,
           options->struct_size < sizeof(copy) ? options->struct_size
                                               : sizeof(copy));
    client = calloc(1, sizeof(*client));
    if (client == NULL) {
        return redial_i_fail_memory(ret_error);
    }
    client_init(client, &copy);
    if (!redial_i_loop_init(&client->loop)) {
        status = redial_i_fail(ret_error, REDIAL_RESOURCE_EXHAUSTED,
                               "NO_THREAD", "no thread can be started");
        goto fail;
    }
    status = redial_i_link_init(&client->link, &client->loop, &copy.connection,
                                ret_error);
    if (status != REDIAL_OK) {
        goto fail;
    }
    redial_i_link_start(&client->link);
    *ret_client = client;
    return REDIAL_OK;

fail:
    client_free(client);
    return status;
}

/* First phase: no new calls, and those that wait are told. */
static void
client_refuse(redial_client *client)
{
    redial_i_lock(&client->loop);
    WIRE_CHECK(!client->is_closing);
    WIRE_CHECK(redial_i_list_is_empty(&client->watches));
    WIRE_CHECK(!redial_i_loop_is_here(&client->loop));
    client->is_closing = true;
    (void)pthread_cond_broadcast(&client->room);
    REDIAL_I_EACH(node, &client->callers)
    {
        struct redial_i_waiter *waiter = redial_i_caller_waiter(node);

        (void)pthread_cond_signal(&waiter->cond);
    }
    redial_i_unlock(&client->loop);
}

void
redial_client_close(redial_client *client)
{
    if (client == NULL) {
        return;
    }
    client_refuse(client);

    /* Second: nothing of nng runs any more, and nobody waits. */
    redial_i_link_stop(&client->link);
    redial_i_lock(&client->loop);
    redial_i_submit_close_locked(client);
    redial_i_await_close_locked(client);
    while (client->inside > 0) {
        (void)redial_i_wait_locked(&client->loop, &client->left,
                                   REDIAL_I_NEVER);
    }
    redial_i_unlock(&client->loop);
    redial_i_loop_stop(&client->loop); /* the last callbacks */

    client_free(client);
}
