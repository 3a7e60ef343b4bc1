/* SPDX-License-Identifier: Apache-2.0 */
#include "server/app/gateway.h"
#include "server/app/services.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    FIELD_HELLO_STOP = 6,  /* of HelloResponse */
    FIELD_REPORT_STOP = 2, /* of ReportResponse */
    FIELD_POLL_ACKS = 4,   /* of PollResponse */
    FIELD_REPORT_ACKS = 1, /* of ReportResponse */
};

static struct gateway *
gateway_of(Redial__V1__Worker_Service *service)
{
    return ((struct worker_service *)(void *)service)->gateway;
}

static void
refuse(struct gateway *gateway, struct rpc_call *call,
       const struct wire_error *error)
{
    pipeline_reply(gateway, rpc_build_error(call, error->status, NULL, 0, "%s",
                                            error->text));
}

static void
refuse_worker(struct gateway *gateway, struct rpc_call *call, uint64_t worker)
{
    pipeline_reply(gateway,
                   rpc_build_error(call, REDIAL_NOT_FOUND, "UNKNOWN_WORKER", 0,
                                   "worker_id %" PRIu64 " is not known: say "
                                   "Hello first",
                                   worker));
}

/* ---- Hello ------------------------------------------------------------- */

static void
answer_hello(struct gateway *gateway, struct rpc_call *call,
             struct mailbox *mailbox)
{
    Redial__V1__HelloResponse response = REDIAL__V1__HELLO_RESPONSE__INIT;
    const struct config *config = gateway->config;
    struct bytes body;
    size_t len;
    uint8_t *at;

    response.has_worker_id = true;
    response.worker_id = mailbox->worker;
    response.has_lease_ms = true;
    response.lease_ms = (uint32_t)config->worker_lease_ms;
    response.has_heartbeat_ms = true;
    response.heartbeat_ms = (uint32_t)config->worker_heartbeat_ms;
    response.has_payload_bytes_max = true;
    response.payload_bytes_max = (uint32_t)config->limits_payload_bytes_max;
    response.has_result_bytes_max = true;
    response.result_bytes_max = (uint32_t)config->limits_result_bytes_max;
    response.gateway = unconst(config->name);
    bytes_init(&body, WIRE_FRAME_BYTES_MAX);
    len = protobuf_c_message_get_packed_size(&response.base);
    at = bytes_reserve(&body, len);
    if (at != NULL) {
        bytes_commit(&body, protobuf_c_message_pack(&response.base, at));
    }
    mailbox_take_stops(mailbox, FIELD_HELLO_STOP, &body);
    pipeline_reply(gateway, rpc_build_packed(call, body.at, body.len));
    bytes_fini(&body);
}

static void
join(struct gateway *gateway, struct rpc_call *call,
     const struct engine_hello *hello)
{
    struct engine_input input = {.type = ENGINE_HELLO, .hello = *hello};
    struct engine_result result;
    struct mailbox *mailbox = NULL;

    /* The mailbox must be there before the step's commands are posted. */
    engine_step(gateway->engine, gateway->now, &input, &gateway->out);
    result = gateway->out.result;
    if (result.status == REDIAL_OK) {
        mailbox = mailbox_open(gateway, result.worker, rpc_call_conn(call));
    }
    if (mailbox != NULL) {
        mailbox_name(mailbox, hello->name, hello->instance);
    }
    pipeline_absorb(gateway, (struct text){NULL, 0});
    if (result.status != REDIAL_OK || mailbox == NULL) {
        pipeline_reply(
            gateway,
            rpc_build_error(
                call,
                result.status != REDIAL_OK ? result.status
                                           : REDIAL_RESOURCE_EXHAUSTED,
                result.reason, result.retry_after_ms, "%s",
                result.message != NULL ? result.message : "too many workers"));
        return;
    }
    log_eventf(LOG_WORKER_JOINED, "%.*s/%.*s", (int)hello->name.len,
               hello->name.at, (int)hello->instance.len, hello->instance.at);
    answer_hello(gateway, call, mailbox);
}

static void
on_hello(Redial__V1__Worker_Service *service,
         const Redial__V1__HelloRequest *input,
         Redial__V1__HelloResponse_Closure closure, void *call)
{
    struct gateway *gateway = gateway_of(service);
    struct wire_error error = {.status = REDIAL_RESOURCE_EXHAUSTED,
                               .text = "the request is too large"};
    struct engine_slots *slots = rpc_call_alloc(call, (input->n_methods + 1) *
                                                          sizeof(*slots));
    struct engine_token *tokens = rpc_call_alloc(call, (input->n_in_hand + 1) *
                                                           sizeof(*tokens));
    struct engine_hello hello;

    (void)closure;
    if (slots == NULL || tokens == NULL ||
        codec_hello(input, slots, tokens, &hello, &error) != REDIAL_OK) {
        refuse(gateway, call, &error);
        return;
    }
    join(gateway, call, &hello);
}

/* ---- Reports ----------------------------------------------------------- */

static void
put_ack(struct bytes *out, uint32_t field, enum redial_status status,
        const char *reason, const char *message)
{
    Redial__V1__Status packed = REDIAL__V1__STATUS__INIT;
    Redial__V1__ReportAck ack = REDIAL__V1__REPORT_ACK__INIT;

    packed.has_code = true;
    packed.code = (Redial__V1__Code)status;
    packed.reason = unconst(reason);
    packed.message = unconst(message);
    ack.status = &packed;
    codec_put(out, field, &ack.base);
}

static void
keep_progress(struct gateway *gateway, const struct engine_report *report)
{
    uint32_t slot = engine_find(gateway->engine, report->token.job);

    if (slot != ENGINE_NO_SLOT && report->text.len > 0) {
        contents_set_progress(gateway, slot, report->text);
    }
}

static void
take_report(struct gateway *gateway, uint64_t worker,
            const Redial__V1__AttemptReport *report, uint32_t ack_field,
            struct bytes *acks)
{
    struct engine_input input = {.type = ENGINE_REPORT};
    const struct engine_result *result = &gateway->out.result;
    struct wire_error error;
    uint8_t *attached = NULL;
    size_t len = 0;

    if (codec_report(report, worker, &gateway->rules.limits, &input.report,
                     &error) != REDIAL_OK) {
        put_ack(acks, ack_field, error.status, NULL, error.text);
        return;
    }
    if (report->outcome != NULL && report->outcome->result.len > 0) {
        len = content_size_of_result(report->outcome);
        attached = malloc(len);
        if (attached == NULL) {
            put_ack(acks, ack_field, REDIAL_RESOURCE_EXHAUSTED, "MEMORY",
                    "out of memory: report it again");
            return;
        }
        content_write_result(report->outcome, attached);
    }
    pipeline_step(gateway, &input,
                  (struct text){(const char *)attached, (uint32_t)len});
    free(attached);
    put_ack(acks, ack_field, result->status, result->reason, result->message);
    if (input.report.kind == REPORT_PROGRESS && result->status == REDIAL_OK) {
        keep_progress(gateway, &input.report);
    }
}

static void
on_report(Redial__V1__Worker_Service *service,
          const Redial__V1__ReportRequest *input,
          Redial__V1__ReportResponse_Closure closure, void *call)
{
    struct gateway *gateway = gateway_of(service);
    struct mailbox *mailbox = mailbox_find(gateway, input->worker_id);
    struct engine_input beat = {.type = ENGINE_HEARTBEAT,
                                .heartbeat = input->worker_id};
    struct bytes body;

    (void)closure;
    if (mailbox == NULL) {
        refuse_worker(gateway, call, input->worker_id);
        return;
    }
    bytes_init(&body, WIRE_FRAME_BYTES_MAX);
    pipeline_step(gateway, &beat, (struct text){NULL, 0});
    for (size_t i = 0; i < input->n_reports; i++) {
        take_report(gateway, input->worker_id, input->reports[i],
                    FIELD_REPORT_ACKS, &body);
    }
    mailbox = mailbox_find(gateway, input->worker_id);
    if (input->goodbye) {
        struct engine_input gone = {
            .type = ENGINE_WORKER_GONE,
            .gone = {.worker = input->worker_id, .how = ENGINE_GONE_GOODBYE},
        };

        pipeline_step(gateway, &gone, (struct text){NULL, 0});
    } else if (mailbox != NULL) {
        mailbox_take_stops(mailbox, FIELD_REPORT_STOP, &body);
    }
    pipeline_reply(gateway, rpc_build_packed(call, body.at, body.len));
    bytes_fini(&body);
}

/* ---- Poll -------------------------------------------------------------- */

static void
poll_worker(struct gateway *gateway, struct rpc_call *call,
            const Redial__V1__PollRequest *request,
            const struct engine_poll *poll)
{
    struct engine_input input = {.type = ENGINE_POLL, .poll = *poll};
    struct mailbox *mailbox = mailbox_find(gateway, request->worker_id);

    mailbox_replace(mailbox, rpc_call_conn(call));
    for (size_t i = 0; i < request->n_reports; i++) {
        take_report(gateway, request->worker_id, request->reports[i],
                    FIELD_POLL_ACKS, &mailbox->acks);
    }
    pipeline_step(gateway, &input, (struct text){NULL, 0});
    mailbox = mailbox_find(gateway, request->worker_id);
    if (mailbox == NULL || gateway->out.result.status != REDIAL_OK) {
        refuse_worker(gateway, call, request->worker_id);
        return;
    }
    mailbox_park(mailbox, call, request->n_reports > 0 || request->wait_ms == 0,
                 parking_deadline(gateway, call, request->wait_ms));
}

static bool
check_items(const char *field, size_t count, const struct gateway *gateway,
            struct wire_error *error)
{
    uint32_t most = gateway->config->limits_poll_items_max;

    if (count <= most) {
        return true;
    }
    (void)wire_error_set(error, REDIAL_INVALID_ARGUMENT,
                         "%s has %zu entries; at most %" PRIu32 " are allowed",
                         field, count, most);
    return false;
}

static void
on_poll(Redial__V1__Worker_Service *service,
        const Redial__V1__PollRequest *input,
        Redial__V1__PollResponse_Closure closure, void *call)
{
    struct gateway *gateway = gateway_of(service);
    struct wire_error error = {.status = REDIAL_RESOURCE_EXHAUSTED,
                               .text = "the request is too large"};
    struct engine_slots *slots = rpc_call_alloc(call, (input->n_credits + 1) *
                                                          sizeof(*slots));
    struct engine_token *tokens = rpc_call_alloc(call, (input->n_acks + 1) *
                                                           sizeof(*tokens));
    struct engine_poll poll;

    (void)closure;
    if (mailbox_find(gateway, input->worker_id) == NULL) {
        refuse_worker(gateway, call, input->worker_id);
        return;
    }
    if (slots == NULL || tokens == NULL ||
        !check_items("acks", input->n_acks, gateway, &error) ||
        !check_items("reports", input->n_reports, gateway, &error) ||
        codec_poll(input, slots, tokens, &poll, &error) != REDIAL_OK) {
        refuse(gateway, call, &error);
        return;
    }
    poll_worker(gateway, call, input, &poll);
}

void
worker_service_init(struct worker_service *service, struct gateway *gateway)
{
    service->base = (Redial__V1__Worker_Service)REDIAL__V1__WORKER__INIT(on_);
    service->gateway = gateway;
}
