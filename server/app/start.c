/* SPDX-License-Identifier: Apache-2.0 */
#include "server/app/start.h"

#include "server/app/hosts.h"
#include "server/app/ids.h"
#include "server/app/recover.h"
#include "server/app/reload.h"
#include "server/app/services.h"
#include <redial/version.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TAIL_ENTRIES = 1 << 18,
    TAIL_BYTES = 64 << 20,
    STORE_RESERVE_BYTES = 16 << 20,
    EPHEMERAL_FINISHED_MAX = 200000, /* jobs whose outcome stays in memory */
    FLUSH_MS = 2000,                 /* for replies, when the gateway stops */
};

static struct gateway_service gateway_service;
static struct worker_service worker_service;
static struct admin_service admin_service;

/* ---- Building ---------------------------------------------------------- */

/* From any thread: ends the loop's sleep. */
static void
wake(void *ctx)
{
    const struct gateway *gateway = ctx;
    uint64_t one = 1;

    (void)!write(gateway->wake_fd, &one, sizeof(one));
}

static struct engine_limits
engine_limits_of(const struct config *config)
{
    return (struct engine_limits){
        .jobs_max = config->limits_jobs_max,
        .attempts_max = config->limits_attempts_max,
        .workers_max = config->limits_workers_max,
        .methods_max = config->limits_methods_max,
        .tenants_max = config->limits_tenants_max,
        .keys_max = config->limits_keys_max,
        .attempts_limit = config->max_attempts_limit,
        .payload_bytes_max = config->limits_live_payload_bytes_max,
        .lease_ms = config->worker_lease_ms,
        .adopt_ms = config->worker_adopt_ms,
        .silence_ms = config->worker_silence_ms,
        .grace_ms = config->worker_grace_ms,
    };
}

static bool
build_engine(struct gateway *gateway)
{
    struct engine_limits limits = engine_limits_of(gateway->config);
    uint64_t seed;

    /* Zero pages of the system: what is not used takes no memory. */
    gateway->engine_memory = calloc(1, engine_size(&limits) + 64);
    if (gateway->engine_memory == NULL || !engine_outbox_init(&gateway->out)) {
        return false;
    }
    ids_random(&seed, sizeof(seed));
    gateway->engine = engine_init(
        (void *)(((uintptr_t)gateway->engine_memory + 63) & ~(uintptr_t)63),
        &limits, config_policy(gateway->config), seed, gateway->now);
    return true;
}

static struct codec_limits
codec_limits_of(const struct config *config)
{
    return (struct codec_limits){
        .payload_bytes_max = config->limits_payload_bytes_max,
        .result_bytes_max = config->limits_result_bytes_max,
        .text_bytes_max = config->limits_text_bytes_max,
        .metadata_bytes_max = config->limits_metadata_bytes_max,
        .metadata_max = config->limits_metadata_max,
        .name_bytes_max = config->limits_name_bytes_max,
        .service_bytes_max = config->limits_service_bytes_max,
        .method_bytes_max = config->limits_method_bytes_max,
    };
}

static uint64_t
smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static bool
build_parts(struct gateway *gateway)
{
    const struct config *config = gateway->config;
    struct store_options options = {
        .dir = config->store_ephemeral ? NULL : config->store_dir,
        .reserve_bytes = STORE_RESERVE_BYTES,
        .memory_bytes_max = smaller(config->retention_events_bytes,
                                    config->limits_memory_payload_bytes_max),
        .finished_max = (uint32_t)smaller(config->retention_finished_jobs,
                                          EPHEMERAL_FINISHED_MAX),
        .payloads_max = config->limits_jobs_max,
        .wake = wake,
        .ctx = gateway,
    };

    const struct engine_limits limits = engine_limits_of(config);
    uint32_t slots = engine_slots_max(&limits);

    gateway->rules.limits = codec_limits_of(config);
    asks_init(&gateway->asks);
    watchers_init(&gateway->watchers);
    if (!build_engine(gateway)) {
        return false;
    }
    gateway->store = store_new(&options);
    gateway->tail = tail_new(TAIL_ENTRIES, TAIL_BYTES);
    return gateway->store != NULL && gateway->tail != NULL &&
           pipeline_init(&gateway->pipeline) &&
           projector_init(&gateway->projector, slots, 0) &&
           contents_init(&gateway->contents, slots,
                         config->limits_memory_payload_bytes_max) &&
           waiters_init(&gateway->waiters, slots) &&
           mailboxes_init(&gateway->mailboxes, config->limits_workers_max) &&
           parking_init(&gateway->parking);
}

/* ---- Peers ------------------------------------------------------------- */

static void
on_reply(void *ctx, struct rpc_reply *reply)
{
    pipeline_reply(ctx, reply);
}

/* Of Admin, everybody may ask for Health; the rest is for tools. */
static enum redial_status
guard(void *ctx, struct rpc_call *call, struct wire_error *ret_error)
{
    static const char admin[] = "/redial.v1.Admin/";
    const char *method = rpc_call_method(call);

    (void)ctx;
    if (rpc_call_role(call) == SP_ROLE_ADMIN ||
        strncmp(method, admin, sizeof(admin) - 1) != 0 ||
        strcmp(method, "/redial.v1.Admin/Health") == 0) {
        return REDIAL_OK;
    }
    return wire_error_set(ret_error, REDIAL_PERMISSION_DENIED,
                          "%s is served on listeners with role admin only",
                          method);
}

static void
on_closed(void *ctx, struct sp_conn_id conn)
{
    mailboxes_closed(ctx, conn);
}

static void
register_services(struct gateway *gateway)
{
    struct rpc *rpc = gateway->rpc;

    gateway_service_init(&gateway_service, gateway);
    worker_service_init(&worker_service, gateway);
    admin_service_init(&admin_service, gateway);
    rpc_register(rpc, SP_ROLE_AGENT, &gateway_service.base.base);
    rpc_register(rpc, SP_ROLE_WORKER, &worker_service.base.base);
    rpc_register(rpc, SP_ROLE_ADMIN, &gateway_service.base.base);
    for (int role = 0; role < SP_ROLE_COUNT; role++) {
        rpc_register(rpc, (enum sp_role)role, &admin_service.base.base);
    }
}

static bool
build_server(struct gateway *gateway)
{
    const struct config *config = gateway->config;
    struct rpc_hooks hooks = {
        .ctx = gateway,
        .reply = on_reply,
        .guard = guard,
        .closed = on_closed,
    };
    struct sp_limits limits;

    sp_limits_default(&limits);
    limits.frame_bytes_guest_max = config->limits_guest_frame_bytes_max;
    limits.frame_bytes_max = config->limits_frame_bytes_max;
    limits.waiting_frames_max = config->limits_unprocessed_frames_max;
    limits.waiting_bytes_max = config->limits_unprocessed_bytes_max;
    limits.requests_max = config->limits_unanswered_max;
    limits.queued_bytes_max = config->limits_queued_bytes_max;
    limits.buffer_bytes_max = config->limits_buffer_bytes_max;
    limits.greeting_ms = (uint32_t)config->limits_greeting_timeout_ms;
    limits.server_version = REDIAL_VERSION_STRING;
    if (sp_server_create(&limits, wake, gateway, &gateway->sp) != REDIAL_OK ||
        rpc_create(gateway->sp, REDIAL_VERSION_STRING, &hooks, &gateway->rpc) !=
            REDIAL_OK) {
        log_event(LOG_OUT_OF_MEMORY, NULL);
        return false;
    }
    register_services(gateway);
    return true;
}

/* The folder of an ipc socket, for us alone, if it is not there. */
static void
make_folder(const char *url)
{
    const char *path = strncmp(url, "ipc://", 6) == 0 ? url + 6 : NULL;
    char folder[256];
    char *slash;

    if (path == NULL || strlen(path) >= sizeof(folder)) {
        return;
    }
    memcpy(folder, path, strlen(path) + 1);
    slash = strrchr(folder, '/');
    if (slash != NULL && slash != folder) {
        *slash = '\0';
        (void)mkdir(folder, 0700);
    }
}

static enum sp_role
role_of(enum config_role role)
{
    switch (role) {
    case CONFIG_ROLE_AGENT:
        return SP_ROLE_AGENT;
    case CONFIG_ROLE_WORKER:
        return SP_ROLE_WORKER;
    case CONFIG_ROLE_ADMIN:
        return SP_ROLE_ADMIN;
    }
    redial_unreachable();
}

static bool
listen_on(struct gateway *gateway, size_t index)
{
    const struct config_listener *from = &gateway->config->listeners[index];
    struct sp_listener *listener;
    struct sp_listen_options options = {
        .ipc_mode = from->mode,
        .tls_cert_file = from->tls_cert,
        .tls_key_file = from->tls_key,
        .tls_ca_file = from->tls_ca,
        .connections_max = gateway->config->limits_connections_max,
        /* Without tokens, whom the listener lets in is known. */
        .is_authenticated_at_accept = true,
    };

    make_folder(from->url);
    if (sp_server_listen(gateway->sp, from->url, role_of(from->role), &options,
                         &listener) != REDIAL_OK) {
        log_eventf(LOG_LISTEN_FAILED, "%s (%s): %s", from->url,
                   config_role_name(from->role), sp_server_error(gateway->sp));
        return false;
    }
    gateway->listener_urls[index] = sp_listener_url(listener);
    log_eventf(LOG_LISTENING, "%s (%s)", sp_listener_url(listener),
               config_role_name(from->role));
    return true;
}

static void
note_start(struct gateway *gateway)
{
    struct bytes text;

    bytes_init(&text, 1 << 20);
    reload_policy_text(gateway, &text);
    reload_note(gateway, EVENT_GATEWAY_STARTED,
                (struct text){(const char *)text.at, (uint32_t)text.len});
    bytes_fini(&text);
}

enum gateway_exit
gateway_start(struct gateway *gateway)
{
    enum gateway_exit status;

    gateway->now = ids_now();
    gateway->started = gateway->now.mono;
    gateway->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (gateway->wake_fd < 0 || !build_parts(gateway)) {
        log_event(LOG_OUT_OF_MEMORY, strerror(errno));
        return GATEWAY_EXIT_INTERNAL;
    }
    status = recover(gateway);
    if (status != GATEWAY_EXIT_OK) {
        return status;
    }
    note_start(gateway);
    if (!build_server(gateway)) {
        return GATEWAY_EXIT_INTERNAL;
    }
    for (size_t i = 0; i < gateway->config->listener_count; i++) {
        if (!listen_on(gateway, i)) {
            return GATEWAY_EXIT_LISTEN;
        }
    }
    if (!hosts_start(gateway)) {
        return GATEWAY_EXIT_INTERNAL;
    }
    log_event(LOG_STARTED, REDIAL_VERSION_STRING);
    return GATEWAY_EXIT_OK;
}

/* ---- Tearing down ------------------------------------------------------ */

void
gateway_stop(struct gateway *gateway)
{
    hosts_fini(gateway);
    if (gateway->sp != NULL) {
        sp_server_stop(gateway->sp, FLUSH_MS);
    }
    if (gateway->rpc != NULL) {
        pipeline_fini(gateway);
    }
    if (gateway->store != NULL) {
        (void)store_close(gateway->store);
    }
    asks_fini(&gateway->asks);
    mailboxes_fini(&gateway->mailboxes);
    waiters_fini(&gateway->waiters);
    contents_fini(&gateway->contents);
    projector_fini(&gateway->projector);
    parking_fini(&gateway->parking);
    tail_free(gateway->tail);
    rpc_fini(gateway->rpc);
    sp_server_fini(gateway->sp);
    store_free(gateway->store);
    engine_outbox_fini(&gateway->out);
    free(gateway->engine_memory);
    if (gateway->wake_fd > 0) {
        (void)close(gateway->wake_fd);
    }
}
