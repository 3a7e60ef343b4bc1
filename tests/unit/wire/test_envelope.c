/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/envelope.h"
#include "proto/limits.h"
#include "redial/v1/gateway.pb-c.h"
#include "redial/v1/rpc.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct wire_error problem;

/* A Call with everything in it. */
static void
fill_call(struct wire_call *call)
{
    memset(call, 0, sizeof(*call));
    call->method = wire_text("/redial.v1.Gateway/Submit");
    call->timeout_ms = 300;
    call->has_message = true;
    call->message.at = (const uint8_t *)"\x10\x07";
    call->message.len = 2;
    call->metadata.count = 2;
    call->metadata.items[0].key = wire_text("traceparent");
    call->metadata.items[0].value.at = (const uint8_t *)"00-ab";
    call->metadata.items[0].value.len = 5;
    call->metadata.items[1].key = wire_text("authorization");
}

static void
fill_reply(struct wire_reply *reply)
{
    memset(reply, 0, sizeof(*reply));
    reply->status = REDIAL_RESOURCE_EXHAUSTED;
    reply->text = wire_text("a limit");
    reply->reason = wire_text("KEY_TABLE_FULL");
    reply->retry_after_ms = 86400000000u;
    reply->has_message = true;
    reply->message.at = (const uint8_t *)"abc";
    reply->message.len = 3;
    reply->server_version = wire_text("0.1.0");
    reply->metadata.count = 1;
    reply->metadata.items[0].key = wire_text("k");
    reply->metadata.items[0].value.at = (const uint8_t *)"\0\xff";
    reply->metadata.items[0].value.len = 2;
}

static void
our_call_is_the_generated_codes_call_byte_for_byte(void **state)
{
    struct wire_call call;
    uint8_t ours[256];
    uint8_t theirs[256];
    size_t len;
    Redial__V1__Call *generated;

    (void)state;
    fill_call(&call);
    len = wire_call_size(&call);
    assert_true(len <= sizeof(ours));
    wire_call_encode(&call, NULL, ours);
    generated = redial__v1__call__unpack(NULL, len, ours);
    assert_non_null(generated);
    assert_string_equal(generated->method, "/redial.v1.Gateway/Submit");
    assert_int_equal(generated->timeout_ms, 300);
    assert_int_equal(generated->n_metadata, 2);
    assert_string_equal(generated->metadata[1]->key, "authorization");
    assert_int_equal(generated->message.len, 2);
    assert_int_equal(redial__v1__call__get_packed_size(generated), len);
    assert_int_equal(redial__v1__call__pack(generated, theirs), len);
    assert_memory_equal(ours, theirs, len);
    redial__v1__call__free_unpacked(generated, NULL);
}

static void
our_reply_is_the_generated_codes_reply_byte_for_byte(void **state)
{
    struct wire_reply reply;
    uint8_t ours[256];
    uint8_t theirs[256];
    size_t len;
    Redial__V1__Reply *generated;

    (void)state;
    fill_reply(&reply);
    len = wire_reply_size(&reply);
    assert_true(len <= sizeof(ours));
    wire_reply_encode(&reply, NULL, ours);
    generated = redial__v1__reply__unpack(NULL, len, ours);
    assert_non_null(generated);
    assert_int_equal(generated->status->code,
                     REDIAL__V1__CODE__RESOURCE_EXHAUSTED);
    assert_string_equal(generated->status->reason, "KEY_TABLE_FULL");
    assert_int_equal(generated->status->retry_after_ms, 86400000000u);
    assert_string_equal(generated->server_version, "0.1.0");
    assert_int_equal(redial__v1__reply__get_packed_size(generated), len);
    assert_int_equal(redial__v1__reply__pack(generated, theirs), len);
    assert_memory_equal(ours, theirs, len);
    redial__v1__reply__free_unpacked(generated, NULL);
}

static void
a_call_is_read_back_without_a_copy(void **state)
{
    struct wire_call call;
    struct wire_call back;
    uint8_t bytes[256];
    size_t len;

    (void)state;
    fill_call(&call);
    len = wire_call_size(&call);
    wire_call_encode(&call, NULL, bytes);
    assert_int_equal(wire_call_decode(bytes, len, &back, &problem), REDIAL_OK);
    assert_true(wire_text_equals(back.method, "/redial.v1.Gateway/Submit"));
    assert_int_equal(back.timeout_ms, 300);
    assert_true(back.has_message);
    assert_false(back.is_json);
    assert_true(back.message.at > bytes && back.message.at < bytes + len);
    assert_int_equal(back.metadata.count, 2);
    assert_int_equal(wire_metadata_find(&back.metadata, "traceparent")->len, 5);
    assert_int_equal(wire_metadata_find(&back.metadata, "authorization")->len,
                     0);
    assert_null(wire_metadata_find(&back.metadata, "other"));
}

static void
a_reply_is_read_back_without_a_copy(void **state)
{
    struct wire_reply reply;
    struct wire_reply back;
    uint8_t bytes[256];
    size_t len;

    (void)state;
    fill_reply(&reply);
    len = wire_reply_size(&reply);
    wire_reply_encode(&reply, NULL, bytes);
    assert_int_equal(wire_reply_decode(bytes, len, &back, &problem), REDIAL_OK);
    assert_int_equal(back.status, REDIAL_RESOURCE_EXHAUSTED);
    assert_true(wire_text_equals(back.text, "a limit"));
    assert_true(wire_text_equals(back.reason, "KEY_TABLE_FULL"));
    assert_int_equal(back.retry_after_ms, 86400000000u);
    assert_true(back.has_message);
    assert_memory_equal(back.message.at, "abc", 3);
    assert_true(wire_text_equals(back.server_version, "0.1.0"));
    assert_int_equal(back.metadata.items[0].value.at[1], 0xff);
}

static void
messages_are_packed_in_place(void **state)
{
    Redial__V1__GetRequest request = REDIAL__V1__GET_REQUEST__INIT;
    struct wire_call call;
    struct wire_call back;
    uint8_t bytes[256];
    Redial__V1__GetRequest *got;

    (void)state;
    request.id = (char[]){"01890a5d-ac96-774b-bcce-b302099a8057"};
    memset(&call, 0, sizeof(call));
    call.method = wire_text("/redial.v1.Gateway/Get");
    call.has_message = true;
    call.message.len = protobuf_c_message_get_packed_size(&request.base);
    wire_call_encode(&call, &request.base, bytes);
    assert_int_equal(
        wire_call_decode(bytes, wire_call_size(&call), &back, &problem),
        REDIAL_OK);
    got = redial__v1__get_request__unpack(NULL, back.message.len,
                                          back.message.at);
    assert_non_null(got);
    assert_string_equal(got->id, request.id);
    redial__v1__get_request__free_unpacked(got, NULL);
}

static void
an_empty_message_is_not_a_missing_one(void **state)
{
    struct wire_reply reply;
    struct wire_reply back;
    uint8_t bytes[64];

    (void)state;
    memset(&reply, 0, sizeof(reply));
    wire_reply_encode(&reply, NULL, bytes);
    assert_int_equal(
        wire_reply_decode(bytes, wire_reply_size(&reply), &back, NULL),
        REDIAL_OK);
    assert_false(back.has_message);
    reply.has_message = true;
    wire_reply_encode(&reply, NULL, bytes);
    assert_int_equal(
        wire_reply_decode(bytes, wire_reply_size(&reply), &back, NULL),
        REDIAL_OK);
    assert_true(back.has_message);
    assert_int_equal(back.message.len, 0);
}

static void
a_code_from_a_newer_server_is_unknown(void **state)
{
    static const uint8_t bytes[] = {0x0a, 0x02, 0x08, 0x63};
    struct wire_reply reply;

    (void)state;
    assert_int_equal(wire_reply_decode(bytes, sizeof(bytes), &reply, NULL),
                     REDIAL_OK);
    assert_int_equal(reply.status, REDIAL_UNKNOWN);
}

static void
a_brace_is_the_json_form(void **state)
{
    static const uint8_t bytes[] = "{\"method\":1}";
    struct wire_call call;

    (void)state;
    assert_int_equal(wire_call_decode(bytes, 12, &call, NULL), REDIAL_OK);
    assert_true(call.is_json);
    assert_ptr_equal(call.message.at, bytes);
    assert_int_equal(call.message.len, 12);
}

static void
nothing_is_a_call_of_nothing(void **state)
{
    struct wire_call call;
    struct wire_reply reply;

    (void)state;
    assert_int_equal(wire_call_decode(NULL, 0, &call, NULL), REDIAL_OK);
    assert_int_equal(call.method.len, 0);
    assert_int_equal(wire_reply_decode(NULL, 0, &reply, NULL), REDIAL_OK);
    assert_int_equal(reply.status, REDIAL_OK);
}

/* Each cut in memory of its own, so that a sanitizer sees a read beyond. */
static void
truncation_at_every_byte_is_survived(void **state)
{
    struct wire_call call;
    struct wire_reply reply;
    uint8_t bytes[256];
    size_t len;

    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        fill_call(&call);
        fill_reply(&reply);
        len = kind == 0 ? wire_call_size(&call) : wire_reply_size(&reply);
        if (kind == 0) {
            wire_call_encode(&call, NULL, bytes);
        } else {
            wire_reply_encode(&reply, NULL, bytes);
        }
        for (size_t cut = 1; cut < len; cut++) {
            uint8_t *exact = malloc(cut);
            enum redial_status status;

            memcpy(exact, bytes, cut);
            status = kind == 0
                         ? wire_call_decode(exact, cut, &call, &problem)
                         : wire_reply_decode(exact, cut, &reply, &problem);
            assert_true(status == REDIAL_OK ||
                        status == REDIAL_INVALID_ARGUMENT);
            free(exact);
        }
    }
}

static void
any_single_wrong_byte_is_survived(void **state)
{
    struct wire_call call;
    uint8_t bytes[256];
    size_t len;

    (void)state;
    fill_call(&call);
    len = wire_call_size(&call);
    wire_call_encode(&call, NULL, bytes);
    for (size_t at = 0; at < len; at++) {
        uint8_t before = bytes[at];

        for (int value = 0; value < 256; value++) {
            bytes[at] = (uint8_t)value;
            (void)wire_call_decode(bytes, len, &call, &problem);
        }
        bytes[at] = before;
    }
}

static void
expect_call_refused(const uint8_t *bytes, size_t len, const char *text)
{
    struct wire_call call;

    memset(&call, 0x5a, sizeof(call));
    assert_int_equal(wire_call_decode(bytes, len, &call, &problem),
                     REDIAL_INVALID_ARGUMENT);
    assert_string_equal(problem.text, text);
    assert_int_equal(call.timeout_ms, 0x5a5a5a5a); /* untouched */
}

static void
malformed_fields_are_named(void **state)
{
    static const uint8_t number_as_method[] = {0x08, 0x01};
    static const uint8_t nul_in_method[] = {0x0a, 0x01, 0x00};
    static const uint8_t text_as_timeout[] = {0x12, 0x00};
    static const uint8_t number_as_message[] = {0x20, 0x00};
    static const uint8_t no_key[] = {0x1a, 0x02, 0x12, 0x00};
    static const uint8_t group[] = {0x0b};

    (void)state;
    expect_call_refused(number_as_method, 2, "method: not a text");
    expect_call_refused(nul_in_method, 3, "method: not a text");
    expect_call_refused(text_as_timeout, 2, "timeout_ms: not an integer");
    expect_call_refused(number_as_message, 2, "message: not bytes");
    expect_call_refused(
        no_key, 4,
        "metadata[0]: the key must be 1 to 128 printable characters");
    expect_call_refused(group, 1, "Call: not valid protobuf");
}

/* A Call with `count` entries of `bytes` bytes in all. */
static enum redial_status
decode_with_metadata(size_t count, size_t bytes)
{
    static uint8_t value[WIRE_METADATA_BYTES_MAX + 64];
    static uint8_t frame[3 * WIRE_METADATA_BYTES_MAX];
    uint8_t *at = frame;
    struct wire_call call;

    for (size_t i = 0; i < count; i++) {
        struct wire_call one;
        size_t part = bytes / count + (i < bytes % count ? 1 : 0);

        memset(&one, 0, sizeof(one));
        one.metadata.count = 1;
        one.metadata.items[0].key = wire_text("k");
        one.metadata.items[0].value.at = value;
        one.metadata.items[0].value.len = part - 1;
        wire_call_encode(&one, NULL, at);
        at += wire_call_size(&one);
    }
    return wire_call_decode(frame, (size_t)(at - frame), &call, &problem);
}

static void
metadata_has_32_entries_at_most(void **state)
{
    (void)state;
    assert_int_equal(decode_with_metadata(31, 31), REDIAL_OK);
    assert_int_equal(decode_with_metadata(32, 32), REDIAL_OK);
    assert_int_equal(decode_with_metadata(33, 33), REDIAL_INVALID_ARGUMENT);
    assert_string_equal(problem.text, "metadata: more than 32 entries");
}

static void
metadata_has_8_kib_at_most(void **state)
{
    (void)state;
    assert_int_equal(decode_with_metadata(4, 8191), REDIAL_OK);
    assert_int_equal(decode_with_metadata(4, 8192), REDIAL_OK);
    assert_int_equal(decode_with_metadata(1, 8192), REDIAL_OK);
    assert_int_equal(decode_with_metadata(4, 8193), REDIAL_INVALID_ARGUMENT);
    assert_string_equal(problem.text, "metadata: more than 8192 bytes");
}

static void
the_last_of_a_repeated_field_counts(void **state)
{
    static const uint8_t bytes[] = {0x10, 0x01, 0x0a, 0x01, 'a',
                                    0x10, 0x02, 0x0a, 0x01, 'b'};
    struct wire_call call;

    (void)state;
    assert_int_equal(wire_call_decode(bytes, sizeof(bytes), &call, NULL),
                     REDIAL_OK);
    assert_int_equal(call.timeout_ms, 2);
    assert_true(wire_text_equals(call.method, "b"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_call_is_the_generated_codes_call_byte_for_byte),
        cmocka_unit_test(our_reply_is_the_generated_codes_reply_byte_for_byte),
        cmocka_unit_test(a_call_is_read_back_without_a_copy),
        cmocka_unit_test(a_reply_is_read_back_without_a_copy),
        cmocka_unit_test(messages_are_packed_in_place),
        cmocka_unit_test(an_empty_message_is_not_a_missing_one),
        cmocka_unit_test(a_code_from_a_newer_server_is_unknown),
        cmocka_unit_test(a_brace_is_the_json_form),
        cmocka_unit_test(nothing_is_a_call_of_nothing),
        cmocka_unit_test(truncation_at_every_byte_is_survived),
        cmocka_unit_test(any_single_wrong_byte_is_survived),
        cmocka_unit_test(malformed_fields_are_named),
        cmocka_unit_test(metadata_has_32_entries_at_most),
        cmocka_unit_test(metadata_has_8_kib_at_most),
        cmocka_unit_test(the_last_of_a_repeated_field_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
