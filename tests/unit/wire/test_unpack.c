/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/limits.h"
#include "proto/unpack.h"
#include "redial/v1/gateway.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct wire_arena arena;
static struct wire_error problem;

static Redial__V1__SubmitRequest *
unpack_submit(const uint8_t *bytes, size_t len)
{
    wire_arena_init(&arena, NULL, 0);
    wire_arena_reset(&arena, wire_arena_budget(len));
    memset(&problem, 0, sizeof(problem));
    return (Redial__V1__SubmitRequest *)wire_unpack(
        &redial__v1__submit_request__descriptor, bytes, len, &arena, &problem);
}

/* Two jobs, the second with metadata; returns the size. */
static size_t
pack_submit(uint8_t *out, char *key, char *metadata_key)
{
    Redial__V1__Metadata entry = REDIAL__V1__METADATA__INIT;
    Redial__V1__Metadata *entries[] = {&entry};
    Redial__V1__JobSpec first = REDIAL__V1__JOB_SPEC__INIT;
    Redial__V1__JobSpec second = REDIAL__V1__JOB_SPEC__INIT;
    Redial__V1__JobSpec *jobs[] = {&first, &second};
    Redial__V1__SubmitRequest request = REDIAL__V1__SUBMIT_REQUEST__INIT;
    static uint8_t payload[] = {0, 1, 2, 0xff};

    entry.key = metadata_key;
    first.service = (char[]){"a.B"};
    second.key = key;
    second.has_payload = 1;
    second.payload.data = payload;
    second.payload.len = sizeof(payload);
    second.n_metadata = 1;
    second.metadata = entries;
    request.n_jobs = 2;
    request.jobs = jobs;
    request.has_wait_ms = 1;
    request.wait_ms = 7;
    return redial__v1__submit_request__pack(&request, out);
}

static void
a_message_comes_out_as_it_went_in(void **state)
{
    uint8_t bytes[256];
    size_t len = pack_submit(bytes, (char[]){"k\xc3\xb6"},
                             (char[]){"traceparent"});
    Redial__V1__SubmitRequest *request = unpack_submit(bytes, len);

    (void)state;
    assert_non_null(request);
    assert_int_equal(request->n_jobs, 2);
    assert_string_equal(request->jobs[0]->service, "a.B");
    assert_string_equal(request->jobs[1]->key, "k\xc3\xb6");
    assert_int_equal(request->jobs[1]->payload.len, 4);
    assert_string_equal(request->jobs[1]->metadata[0]->key, "traceparent");
    assert_int_equal(request->wait_ms, 7);
    wire_arena_fini(&arena);
}

static void
nothing_is_a_message_with_nothing_set(void **state)
{
    (void)state;
    assert_non_null(unpack_submit(NULL, 0));
    wire_arena_fini(&arena);
}

static void
a_broken_string_is_named_by_its_path(void **state)
{
    uint8_t bytes[256];
    size_t len;

    (void)state;
    len = pack_submit(bytes, (char[]){"a\xffz"}, (char[]){"x"});
    assert_null(unpack_submit(bytes, len));
    assert_int_equal(problem.status, REDIAL_INVALID_ARGUMENT);
    assert_string_equal(problem.text, "jobs[1].key: not valid UTF-8");
    wire_arena_fini(&arena);

    len = pack_submit(bytes, (char[]){"good"}, (char[]){"a~z"});
    for (size_t i = 0; i < len; i++) {
        bytes[i] = bytes[i] == '~' ? 0 : bytes[i];
    }
    assert_null(unpack_submit(bytes, len));
    assert_string_equal(problem.text,
                        "jobs[1].metadata[0].key: holds a NUL byte");
    wire_arena_fini(&arena);
}

static void
bytes_fields_may_hold_anything(void **state)
{
    uint8_t bytes[256];
    size_t len = pack_submit(bytes, (char[]){"k"}, (char[]){"x"});
    Redial__V1__SubmitRequest *request = unpack_submit(bytes, len);

    (void)state;
    assert_non_null(request);
    assert_int_equal(request->jobs[1]->payload.data[3], 0xff);
    wire_arena_fini(&arena);
}

/* Never a crash, and what is cut inside of a field is refused. */
static void
truncation_at_every_byte_is_survived(void **state)
{
    uint8_t bytes[256];
    size_t len = pack_submit(bytes, (char[]){"key"}, (char[]){"meta"});
    size_t accepted = 0;

    (void)state;
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *exact = malloc(cut > 0 ? cut : 1);

        memcpy(exact, bytes, cut);
        if (unpack_submit(exact, cut) != NULL) {
            accepted++;
        } else {
            assert_int_equal(problem.status, REDIAL_INVALID_ARGUMENT);
            assert_true(problem.text[0] != '\0');
        }
        wire_arena_fini(&arena);
        free(exact);
    }
    /* Only the ends of the two jobs and the start are whole messages. */
    assert_int_equal(accepted, 3);
}

static void
any_single_wrong_byte_is_survived(void **state)
{
    uint8_t bytes[256];
    size_t len = pack_submit(bytes, (char[]){"key"}, (char[]){"meta"});

    (void)state;
    for (size_t at = 0; at < len; at++) {
        for (int value = 0; value < 256; value++) {
            uint8_t before = bytes[at];

            bytes[at] = (uint8_t)value;
            (void)unpack_submit(bytes, len);
            wire_arena_fini(&arena);
            bytes[at] = before;
        }
    }
}

static void
another_wire_type_than_the_schema_is_named(void **state)
{
    static const uint8_t number_as_job[] = {0x08, 0x01};
    static const uint8_t fixed_wait[] = {0x15, 1, 2, 3, 4};
    static const uint8_t group[] = {0x0b, 0x0c};
    static const uint8_t field_0[] = {0x02, 0x00};

    (void)state;
    assert_null(unpack_submit(number_as_job, sizeof(number_as_job)));
    assert_string_equal(problem.text,
                        "jobs[0]: has another type than the schema");
    wire_arena_fini(&arena);
    assert_null(unpack_submit(fixed_wait, sizeof(fixed_wait)));
    assert_string_equal(problem.text,
                        "wait_ms: has another type than the schema");
    wire_arena_fini(&arena);
    assert_null(unpack_submit(group, sizeof(group)));
    assert_string_equal(problem.text, "SubmitRequest: not valid protobuf");
    wire_arena_fini(&arena);
    assert_null(unpack_submit(field_0, sizeof(field_0)));
    wire_arena_fini(&arena);
}

static void
unknown_fields_are_ignored(void **state)
{
    static const uint8_t bytes[] = {0xf8, 0x07, 0x2a, 0x10, 0x05};
    Redial__V1__SubmitRequest *request = unpack_submit(bytes, sizeof(bytes));

    (void)state;
    assert_non_null(request);
    assert_int_equal(request->wait_ms, 5);
    wire_arena_fini(&arena);
}

static void
expect_exhausted(const uint8_t *bytes, size_t len)
{
    assert_null(unpack_submit(bytes, len));
    assert_int_equal(problem.status, REDIAL_RESOURCE_EXHAUSTED);
    assert_true(arena.taken_bytes <= wire_arena_budget(len));
    wire_arena_fini(&arena);
}

/* The inputs that make a default allocator take 50 times their size. */
static void
hostile_input_is_refused_within_the_budget(void **state)
{
    size_t len = 1u << 20;
    uint8_t *bytes = malloc(len);

    (void)state;
    for (size_t i = 0; i + 1 < len; i += 2) { /* empty jobs */
        bytes[i] = 0x0a;
        bytes[i + 1] = 0;
    }
    expect_exhausted(bytes, len);
    for (size_t i = 0; i + 2 < len; i += 3) { /* unknown numbers */
        bytes[i] = 0xf8;
        bytes[i + 1] = 0x07;
        bytes[i + 2] = 1;
    }
    expect_exhausted(bytes, len - len % 3);
    free(bytes);
}

/* The most ids that one Await takes. */
static void
a_thousand_ids_fit_into_the_budget(void **state)
{
    char id[] = "01890a5d-ac96-774b-bcce-b302099a8057";
    char *ids[WIRE_AWAIT_IDS_MAX];
    Redial__V1__AwaitRequest request = REDIAL__V1__AWAIT_REQUEST__INIT;
    ProtobufCMessage *message;
    uint8_t *bytes;
    size_t len;

    (void)state;
    for (size_t i = 0; i < WIRE_AWAIT_IDS_MAX; i++) {
        ids[i] = id;
    }
    request.n_ids = WIRE_AWAIT_IDS_MAX;
    request.ids = ids;
    len = redial__v1__await_request__get_packed_size(&request);
    bytes = malloc(len);
    (void)redial__v1__await_request__pack(&request, bytes);
    wire_arena_init(&arena, NULL, 0);
    wire_arena_reset(&arena, wire_arena_budget(len));
    message = wire_unpack(request.base.descriptor, bytes, len, &arena,
                          &problem);
    assert_non_null(message);
    assert_int_equal(((Redial__V1__AwaitRequest *)message)->n_ids,
                     WIRE_AWAIT_IDS_MAX);
    wire_arena_fini(&arena);
    free(bytes);
}

/* A schema that nests for ever, as ours never does. */
static const ProtobufCMessageDescriptor nested;
static const ProtobufCFieldDescriptor nested_fields[] = {
    {.name = "inner",
     .id = 1,
     .label = PROTOBUF_C_LABEL_OPTIONAL,
     .type = PROTOBUF_C_TYPE_MESSAGE,
     .offset = sizeof(ProtobufCMessage),
     .descriptor = &nested},
};
static const unsigned nested_by_name[] = {0};
static const ProtobufCIntRange nested_ranges[] = {{1, 0}, {0, 1}};
static const ProtobufCMessageDescriptor nested = {
    .magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
    .name = "Nested",
    .short_name = "Nested",
    .sizeof_message = sizeof(ProtobufCMessage) + sizeof(void *),
    .n_fields = 1,
    .fields = nested_fields,
    .fields_sorted_by_name = nested_by_name,
    .n_field_ranges = 1,
    .field_ranges = nested_ranges,
};

static void
nesting_has_a_limit(void **state)
{
    uint8_t bytes[2 * WIRE_DEPTH_MAX];
    size_t len = 0;

    (void)state;
    for (size_t depth = 1; depth <= WIRE_DEPTH_MAX; depth++) {
        assert_int_equal(wire_scan(&nested, bytes, len, &problem), REDIAL_OK);
        memmove(bytes + 2, bytes, len);
        bytes[0] = 0x0a;
        bytes[1] = (uint8_t)len;
        len += 2;
    }
    assert_int_equal(wire_scan(&nested, bytes, len, &problem),
                     REDIAL_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(problem.text, "inner.inner"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_comes_out_as_it_went_in),
        cmocka_unit_test(nothing_is_a_message_with_nothing_set),
        cmocka_unit_test(a_broken_string_is_named_by_its_path),
        cmocka_unit_test(bytes_fields_may_hold_anything),
        cmocka_unit_test(truncation_at_every_byte_is_survived),
        cmocka_unit_test(any_single_wrong_byte_is_survived),
        cmocka_unit_test(another_wire_type_than_the_schema_is_named),
        cmocka_unit_test(unknown_fields_are_ignored),
        cmocka_unit_test(hostile_input_is_refused_within_the_budget),
        cmocka_unit_test(a_thousand_ids_fit_into_the_budget),
        cmocka_unit_test(nesting_has_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
