/* SPDX-License-Identifier: Apache-2.0 */
#include "redial/v1/admin.pb-c.h"
#include "redial/v1/gateway.pb-c.h"
#include "redial/v1/rpc.pb-c.h"
#include "server/net/rpc.h"
#include "tests/unit/net/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { CALLS_MAX = 32 };

/* A gateway that keeps every Get, and answers Cancel at once. */
static struct {
    Redial__V1__Gateway_Service base; /* first */
    struct rpc_call *kept[CALLS_MAX];
    char ids[CALLS_MAX][40];
    size_t count;
    size_t closed; /* hooks of kept calls that ran */
} gateway;

static struct {
    size_t opened;
    size_t closed;
    size_t writable;
    enum redial_status verdict; /* of the guard */
    struct rpc_reply *replies;  /* held by the "loop", newest first */
    bool is_holding;
} loop;

static struct rig rig;
static struct rpc *rpc;
static int fd;
static uint32_t last_id;

/* ---- the service ---- */

static void
call_closed(void *owner, struct rpc_call *call)
{
    assert_true(rpc_call_is_closed(call));
    assert_ptr_equal(owner, &gateway);
    gateway.closed++;
}

static void
serve_get(Redial__V1__Gateway_Service *service,
          const Redial__V1__GetRequest *input,
          Redial__V1__GetResponse_Closure closure, void *closure_data)
{
    struct rpc_call *call = closure_data;

    (void)service;
    (void)closure;
    assert_true(gateway.count < CALLS_MAX);
    assert_ptr_equal(rpc_call_input(call), input);
    if (input->id != NULL) {
        memcpy(gateway.ids[gateway.count], input->id, strlen(input->id) + 1);
    }
    rpc_call_set_owner(call, &gateway);
    rpc_call_on_close(call, call_closed);
    gateway.kept[gateway.count++] = call;
}

static void
serve_cancel(Redial__V1__Gateway_Service *service,
             const Redial__V1__CancelRequest *input,
             Redial__V1__CancelResponse_Closure closure, void *closure_data)
{
    Redial__V1__CancelResponse response = REDIAL__V1__CANCEL_RESPONSE__INIT;

    (void)service;
    (void)input;
    response.has_cancelled = 1;
    response.cancelled = 1;
    closure(&response, closure_data);
}

static void
serve_watch(Redial__V1__Gateway_Service *service,
            const Redial__V1__WatchRequest *input,
            Redial__V1__WatchResponse_Closure closure, void *closure_data)
{
    (void)service;
    (void)input;
    closure(NULL, closure_data);
}

/* ---- the hooks ---- */

static void
hook_reply(void *ctx, struct rpc_reply *reply)
{
    (void)ctx;
    if (loop.is_holding) {
        reply->next = loop.replies;
        loop.replies = reply;
    } else {
        rpc_release(rpc, reply);
        sp_server_flush(rig.server);
    }
}

static enum redial_status
hook_guard(void *ctx, struct rpc_call *call, struct wire_error *ret_error)
{
    const struct wire_bytes *token = rpc_call_metadata(call, "authorization");

    (void)ctx;
    if (token != NULL && token->len == 4) {
        assert_memory_equal(token->at, "good", 4);
        sp_conn_authenticated(rig.server, rpc_call_conn(call));
    }
    if (loop.verdict == REDIAL_PERMISSION_DENIED) {
        (void)wire_error_set(ret_error, loop.verdict, "not you");
    }
    return loop.verdict;
}

static void
hook_opened(void *ctx, struct sp_conn_id conn)
{
    (void)ctx;
    (void)conn;
    loop.opened++;
}

static void
hook_closed(void *ctx, struct sp_conn_id conn)
{
    (void)ctx;
    (void)conn;
    loop.closed++;
}

static void
hook_writable(void *ctx, struct sp_conn_id conn)
{
    (void)ctx;
    (void)conn;
    loop.writable++;
}

/* ---- the fixture ---- */

static void
dispatch(enum sp_event_kind kind)
{
    struct sp_event event = rig_expect(&rig, kind);

    rpc_dispatch(rpc, &event);
}

static void
start(void)
{
    static const struct rpc_hooks hooks = {
        .reply = hook_reply,
        .guard = hook_guard,
        .opened = hook_opened,
        .closed = hook_closed,
        .writable = hook_writable,
    };

    rig_start(&rig, "ipc");
    assert_int_equal(rpc_create(rig.server, "1.2.3", &hooks, &rpc), REDIAL_OK);
    rpc_register(rpc, SP_ROLE_AGENT, (ProtobufCService *)&gateway.base);
    fd = peer_open(&rig);
    dispatch(SP_OPENED);
}

static int
setup(void **state)
{
    (void)state;
    memset(&gateway, 0, sizeof(gateway));
    memset(&loop, 0, sizeof(loop));
    redial__v1__gateway__init(&gateway.base, NULL);
    gateway.base.get = serve_get;
    gateway.base.cancel = serve_cancel;
    gateway.base.watch = serve_watch;
    last_id = 0;
    rig_init(&rig);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    rpc_fini(rpc);
    rpc = NULL;
    (void)close(fd);
    rig_end(&rig);
    return 0;
}

/* Sends a call and has it dispatched. */
static void
call_with(const struct wire_call *call, const ProtobufCMessage *request)
{
    uint8_t *frame = malloc(wire_call_size(call));

    wire_call_encode(call, request, frame);
    peer_send(&rig, fd, ++last_id, frame, wire_call_size(call));
    free(frame);
    dispatch(SP_FRAME);
}

static void
call_method(const char *method, const ProtobufCMessage *request)
{
    struct wire_call call;

    memset(&call, 0, sizeof(call));
    call.method = wire_text(method);
    call.timeout_ms = 1234;
    if (request != NULL) {
        call.has_message = true;
        call.message.len = protobuf_c_message_get_packed_size(request);
    }
    call_with(&call, request);
}

static void
call_get(const char *id)
{
    char copy[40] = "";
    Redial__V1__GetRequest request = REDIAL__V1__GET_REQUEST__INIT;

    memcpy(copy, id, strlen(id) + 1);
    request.id = copy;
    call_method("/redial.v1.Gateway/Get", &request.base);
}

static uint8_t reply_bytes[1u << 16];

/* The next reply on the wire; what it points to lives until the next. */
static struct wire_reply
next_reply(uint32_t *ret_id)
{
    struct wire_error error;
    struct wire_reply reply;
    long len = peer_receive(&rig, fd, ret_id, reply_bytes, sizeof(reply_bytes));

    assert_true(len > 0);
    if (wire_reply_decode(reply_bytes,
                          (size_t)len < sizeof(reply_bytes)
                              ? (size_t)len
                              : sizeof(reply_bytes),
                          &reply, &error) != REDIAL_OK) {
        fail_msg("%s", error.text);
    }
    assert_true(wire_text_equals(reply.server_version, "1.2.3"));
    return reply;
}

static void
expect_error(enum redial_status status, const char *reason, const char *text)
{
    struct wire_reply reply = next_reply(NULL);

    assert_int_equal(reply.status, status);
    assert_true(wire_text_equals(reply.reason, reason));
    if (!wire_text_equals(reply.text, text)) {
        fail_msg("%.*s", (int)reply.text.len, reply.text.at);
    }
    assert_false(reply.has_message);
}

static void
release(struct rpc_reply *reply)
{
    rpc_release(rpc, reply);
    sp_server_flush(rig.server);
}

static void
release_job(struct rpc_call *call, size_t payload_bytes)
{
    char *text = calloc(1, payload_bytes + 1);
    Redial__V1__Job job = REDIAL__V1__JOB__INIT;
    Redial__V1__GetResponse response = REDIAL__V1__GET_RESPONSE__INIT;

    memset(text, 'p', payload_bytes);
    job.progress = text;
    response.job = &job;
    release(rpc_build(call, &response.base));
    free(text);
}

/* ---- tests ---- */

static void
a_service_that_answers_at_once_is_heard(void **state)
{
    Redial__V1__CancelRequest request = REDIAL__V1__CANCEL_REQUEST__INIT;
    Redial__V1__CancelResponse *response;
    struct wire_reply reply;

    (void)state;
    start();
    call_method("/redial.v1.Gateway/Cancel", &request.base);
    reply = next_reply(NULL);
    assert_int_equal(reply.status, REDIAL_OK);
    assert_true(reply.has_message);
    response = redial__v1__cancel_response__unpack(NULL, reply.message.len,
                                                   reply.message.at);
    assert_non_null(response);
    assert_int_equal(response->cancelled, 1);
    redial__v1__cancel_response__free_unpacked(response, NULL);
    assert_int_equal(rpc_calls(rpc), 0);
}

static void
kept_calls_are_answered_later_in_any_order(void **state)
{
    uint32_t id;

    (void)state;
    start();
    call_get("a");
    call_get("b");
    call_get("c");
    assert_int_equal(gateway.count, 3);
    assert_int_equal(rpc_calls(rpc), 3);
    assert_int_equal(rpc_call_timeout_ms(gateway.kept[0]), 1234);
    assert_string_equal(rpc_call_method(gateway.kept[0]),
                        "/redial.v1.Gateway/Get");
    assert_int_equal(rpc_call_role(gateway.kept[0]), SP_ROLE_AGENT);
    assert_string_equal(gateway.ids[1], "b");
    release_job(gateway.kept[2], 1);
    release_job(gateway.kept[0], 1);
    release_job(gateway.kept[1], 1);
    (void)next_reply(&id);
    assert_int_equal(id, 3);
    (void)next_reply(&id);
    assert_int_equal(id, 1);
    (void)next_reply(&id);
    assert_int_equal(id, 2);
    assert_int_equal(rpc_calls(rpc), 0);
}

/* Persist, then speak. */
static void
a_reply_that_was_built_is_not_sent_before_it_is_released(void **state)
{
    struct rpc_reply *first;
    struct rpc_reply *second;
    uint32_t id;

    (void)state;
    start();
    call_get("a");
    call_get("b");
    first = rpc_build_error(gateway.kept[0], REDIAL_NOT_FOUND, NULL, 0, "a");
    second = rpc_build_packed(gateway.kept[1], (const uint8_t *)"", 0);
    assert_int_equal(rpc_calls(rpc), 0);
    first->next = second;
    sp_server_flush(rig.server);
    assert_int_equal(rig_count(&rig, frames_out), 0);
    release(first->next);
    (void)next_reply(&id);
    assert_int_equal(id, 2);
    rpc_reply_drop(rpc, first);
}

static void
errors_carry_reason_text_and_time(void **state)
{
    struct wire_reply reply;

    (void)state;
    start();
    call_get("a");
    release(rpc_build_error(gateway.kept[0], REDIAL_RESOURCE_EXHAUSTED,
                            "KEY_TABLE_FULL", 1500, "%d keys", 7));
    reply = next_reply(NULL);
    assert_int_equal(reply.status, REDIAL_RESOURCE_EXHAUSTED);
    assert_true(wire_text_equals(reply.reason, "KEY_TABLE_FULL"));
    assert_true(wire_text_equals(reply.text, "7 keys"));
    assert_int_equal(reply.retry_after_ms, 1500);
}

static void
a_long_text_is_cut_between_characters(void **state)
{
    static char text[6000];
    struct wire_reply reply;

    (void)state;
    for (size_t i = 0; i + 3 < sizeof(text); i += 3) {
        (void)snprintf(text + i, 4, "%s", "\xe2\x82\xac");
    }
    start();
    call_get("a");
    release(
        rpc_build_error(gateway.kept[0], REDIAL_INTERNAL, NULL, 0, "%s", text));
    reply = next_reply(NULL);
    assert_int_equal(reply.text.len, 4095);
}

static void
unknown_methods_and_services_are_unimplemented(void **state)
{
    static const char *const methods[] = {
        "/redial.v1.Gateway/Fetch", "/redial.v1.Gatewa/Get",
        "/redial.v1.Admin/Stats",   "redial.v1.Gateway/Get",
        "/redial.v1.Gateway",       "//Get",
        "/redial.v1.Gateway/get"};

    (void)state;
    start();
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        char text[128];

        (void)snprintf(text, sizeof(text), "no such method here: %s",
                       methods[i]);
        call_method(methods[i], NULL);
        expect_error(REDIAL_UNIMPLEMENTED, "UNIMPLEMENTED", text);
    }
}

static void
malformed_input_is_named(void **state)
{
    struct wire_call call;

    (void)state;
    start();
    memset(&call, 0, sizeof(call));
    call_with(&call, NULL);
    expect_error(REDIAL_INVALID_ARGUMENT, "INVALID_ARGUMENT",
                 "method: is missing");
    call.method = wire_text("/redial.v1.Gateway/Get");
    call.has_message = true;
    call.message.at = (const uint8_t *)"\x12\x02z\xff";
    call.message.len = 4;
    call_with(&call, NULL);
    expect_error(REDIAL_INVALID_ARGUMENT, "INVALID_ARGUMENT",
                 "key: not valid UTF-8");
    peer_send(&rig, fd, 99, "\x0a\x7f", 2);
    dispatch(SP_FRAME);
    expect_error(REDIAL_INVALID_ARGUMENT, "INVALID_ARGUMENT",
                 "Call: not valid protobuf");
    peer_send(&rig, fd, 98, "", 0);
    dispatch(SP_FRAME);
    expect_error(REDIAL_INVALID_ARGUMENT, "INVALID_ARGUMENT",
                 "method: is missing");
    assert_int_equal(gateway.count, 0);
}

static void
the_json_form_is_answered_in_json(void **state)
{
    static const char json[] = "{\"method\":\"/redial.v1.Gateway/Get\"}";
    char answer[512] = "";
    long len;

    (void)state;
    start();
    peer_send(&rig, fd, 1, json, strlen(json));
    dispatch(SP_FRAME);
    len = peer_receive(&rig, fd, NULL, answer, sizeof(answer) - 1);
    assert_true(len > 0 && answer[0] == '{' && answer[len - 1] == '}');
    assert_non_null(strstr(answer, "\"code\":\"UNIMPLEMENTED\""));
    assert_non_null(strstr(answer, "\"server_version\":\"1.2.3\""));
}

static void
a_service_without_a_response_is_internal(void **state)
{
    (void)state;
    start();
    call_method("/redial.v1.Gateway/Watch", NULL);
    expect_error(REDIAL_INTERNAL, "INTERNAL", "the service gave no response");
}

static void
the_guard_comes_before_the_service(void **state)
{
    (void)state;
    start();
    loop.verdict = REDIAL_UNAUTHENTICATED;
    call_get("a");
    expect_error(REDIAL_UNAUTHENTICATED, "UNAUTHENTICATED",
                 "no valid credentials");
    loop.verdict = REDIAL_PERMISSION_DENIED;
    call_get("a");
    expect_error(REDIAL_PERMISSION_DENIED, "PERMISSION_DENIED", "not you");
    assert_int_equal(gateway.count, 0);
    loop.verdict = REDIAL_OK;
    call_get("a");
    assert_int_equal(gateway.count, 1);
}

static void
the_guard_reads_metadata_and_lifts_the_frame_limit(void **state)
{
    struct wire_call call;
    struct sp_conn_id conn;

    (void)state;
    rig.options.is_authenticated_at_accept = false;
    start();
    memset(&call, 0, sizeof(call));
    call.method = wire_text("/redial.v1.Gateway/Get");
    call.metadata.count = 1;
    call.metadata.items[0].key = wire_text("authorization");
    call.metadata.items[0].value.at = (const uint8_t *)"good";
    call.metadata.items[0].value.len = 4;
    call_with(&call, NULL);
    conn = rpc_call_conn(gateway.kept[0]);
    assert_true(sp_conn_peer(rig.server, conn)->is_authenticated);
    assert_null(rpc_call_metadata(gateway.kept[0], "other"));
}

static void
calls_of_a_closed_connection_are_found_by_their_owner(void **state)
{
    (void)state;
    start();
    call_get("a");
    call_get("b");
    (void)close(fd);
    dispatch(SP_CLOSED);
    assert_int_equal(loop.opened, 1);
    assert_int_equal(loop.closed, 1);
    assert_int_equal(gateway.closed, 2);
    assert_int_equal(rpc_calls(rpc), 2); /* still the owner's */
    assert_string_equal(rpc_call_method(gateway.kept[0]),
                        "/redial.v1.Gateway/Get");
    release_job(gateway.kept[0], 10); /* to nobody */
    rpc_call_drop(gateway.kept[1]);
    assert_int_equal(rpc_calls(rpc), 0);
    fd = peer_open(&rig);
    dispatch(SP_OPENED);
}

static void
drop_the_other(void *owner, struct rpc_call *call)
{
    (void)owner;
    for (size_t i = 0; i < gateway.count; i++) {
        if (gateway.kept[i] != NULL && gateway.kept[i] != call) {
            rpc_call_drop(gateway.kept[i]);
        }
        gateway.kept[i] = NULL;
    }
    gateway.closed++;
    rpc_call_drop(call);
}

static void
a_close_hook_may_end_any_call(void **state)
{
    (void)state;
    start();
    call_get("a");
    call_get("b");
    call_get("c");
    for (size_t i = 0; i < 3; i++) {
        rpc_call_on_close(gateway.kept[i], drop_the_other);
    }
    (void)close(fd);
    dispatch(SP_CLOSED);
    assert_int_equal(gateway.closed, 1);
    assert_int_equal(rpc_calls(rpc), 0);
    fd = peer_open(&rig);
    dispatch(SP_OPENED);
}

static void
a_reply_built_before_the_close_goes_to_nobody(void **state)
{
    struct rpc_reply *reply;

    (void)state;
    start();
    call_get("a");
    reply = rpc_build_error(gateway.kept[0], REDIAL_ABORTED, NULL, 0, "x");
    (void)close(fd);
    dispatch(SP_CLOSED);
    assert_int_equal(gateway.closed, 0); /* it had ended */
    fd = peer_open(&rig);
    dispatch(SP_OPENED); /* in the same slot */
    release(reply);
    assert_int_equal(rig_count(&rig, frames_out), 0);
}

static void
a_response_over_the_frame_limit_is_refused(void **state)
{
    struct wire_reply reply;

    (void)state;
    start();
    call_get("a");
    release_job(gateway.kept[0], WIRE_FRAME_BYTES_MAX);
    reply = next_reply(NULL);
    assert_int_equal(reply.status, REDIAL_RESOURCE_EXHAUSTED);
    assert_true(wire_text_equals(reply.reason, "RESPONSE_TOO_LARGE"));
}

/* The queue of the connection is small: the rest waits, in order. */
static void
replies_over_the_cap_wait_for_their_turn(void **state)
{
    enum { CALLS = 12 };
    const size_t bytes = 400000;

    (void)state;
    rig.limits.queued_bytes_max = 1000000;
    start();
    for (size_t i = 0; i < CALLS; i++) {
        call_get("a");
    }
    for (size_t i = 0; i < CALLS; i++) {
        release_job(gateway.kept[i], bytes);
    }
    assert_true(rpc_conn_deferred_bytes(rpc, (struct sp_conn_id){0, 1}) >
                (CALLS - 6) * bytes);
    for (uint32_t i = 1; i <= CALLS; i++) {
        uint32_t id;
        struct sp_event event;

        assert_true(peer_receive(&rig, fd, &id, NULL, 0) > (long)bytes);
        assert_int_equal(id, i);
        while (rpc_conn_deferred_bytes(rpc, (struct sp_conn_id){0, 1}) > 0 &&
               (rig_pump(&rig), rig.at < rig.count)) {
            event = rig_next(&rig);
            assert_int_equal(event.kind, SP_WRITABLE);
            rpc_dispatch(rpc, &event);
            sp_server_flush(rig.server);
        }
    }
    assert_int_equal(rpc_conn_deferred_bytes(rpc, (struct sp_conn_id){0, 1}),
                     0);
}

static void
a_repeat_of_a_kept_call_is_not_a_second_call(void **state)
{
    struct wire_call call;
    uint8_t frame[64];
    uint32_t id;

    (void)state;
    start();
    memset(&call, 0, sizeof(call));
    call.method = wire_text("/redial.v1.Gateway/Get");
    wire_call_encode(&call, NULL, frame);
    peer_send(&rig, fd, 7, frame, wire_call_size(&call));
    dispatch(SP_FRAME);
    peer_send(&rig, fd, 7, frame, wire_call_size(&call));
    rig_wait_count(&rig, requests_joined, 1);
    rig_expect_nothing(&rig);
    assert_int_equal(gateway.count, 1);
    release_job(gateway.kept[0], 1);
    (void)next_reply(&id);
    assert_int_equal(id, 7);
}

static void
replies_of_this_module_go_to_the_hook(void **state)
{
    struct rpc_reply *reply;

    (void)state;
    start();
    loop.is_holding = true;
    call_method("/no.Such/Method", NULL);
    call_method("/redial.v1.Gateway/Watch", NULL);
    assert_non_null(loop.replies);
    assert_int_equal(rig_count(&rig, frames_out), 0);
    reply = loop.replies->next;
    release(loop.replies);
    release(reply);
    (void)next_reply(NULL);
    (void)next_reply(NULL);
}

static void
calls_have_memory_of_their_own(void **state)
{
    (void)state;
    start();
    call_get("a");
    assert_non_null(rpc_call_alloc(gateway.kept[0], 1000));
    assert_non_null(rpc_call_alloc(gateway.kept[0], 50000));
    assert_null(rpc_call_alloc(gateway.kept[0], 50000));
}

int
main(void)
{
#define RPC_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        RPC_TEST(a_service_that_answers_at_once_is_heard),
        RPC_TEST(kept_calls_are_answered_later_in_any_order),
        RPC_TEST(a_reply_that_was_built_is_not_sent_before_it_is_released),
        RPC_TEST(errors_carry_reason_text_and_time),
        RPC_TEST(a_long_text_is_cut_between_characters),
        RPC_TEST(unknown_methods_and_services_are_unimplemented),
        RPC_TEST(malformed_input_is_named),
        RPC_TEST(the_json_form_is_answered_in_json),
        RPC_TEST(a_service_without_a_response_is_internal),
        RPC_TEST(the_guard_comes_before_the_service),
        RPC_TEST(the_guard_reads_metadata_and_lifts_the_frame_limit),
        RPC_TEST(calls_of_a_closed_connection_are_found_by_their_owner),
        RPC_TEST(a_close_hook_may_end_any_call),
        RPC_TEST(a_reply_built_before_the_close_goes_to_nobody),
        RPC_TEST(a_response_over_the_frame_limit_is_refused),
        RPC_TEST(replies_over_the_cap_wait_for_their_turn),
        RPC_TEST(a_repeat_of_a_kept_call_is_not_a_second_call),
        RPC_TEST(replies_of_this_module_go_to_the_hook),
        RPC_TEST(calls_have_memory_of_their_own),
    };

    return cmocka_run_group_tests(tests, NULL, rig_end_all);
}
