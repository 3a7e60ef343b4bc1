/* SPDX-License-Identifier: Apache-2.0 */
#include "server/net/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static Redial__V1__Metadata pair;
static Redial__V1__Metadata *pairs[] = {&pair};

static Redial__V1__JobSpec
spec_with_everything(void)
{
    static uint8_t payload[] = {1, 0, 2, 255};
    static uint8_t value[] = {'v', 0, 'w'};
    Redial__V1__JobSpec spec = REDIAL__V1__JOB_SPEC__INIT;

    redial__v1__metadata__init(&pair);
    pair.key = unconst("traceparent");
    pair.has_value = true;
    pair.value = (ProtobufCBinaryData){sizeof(value), value};
    spec.metadata = pairs;
    spec.n_metadata = 1;
    spec.content_type = unconst("application/x-test");
    spec.has_payload = true;
    spec.payload = (ProtobufCBinaryData){sizeof(payload), payload};
    return spec;
}

static void
what_is_written_is_read(void **state)
{
    Redial__V1__JobSpec spec = spec_with_everything();
    size_t len = content_size(&spec);
    uint8_t *bytes = malloc(len);
    struct content content;
    Redial__V1__Metadata read;

    (void)state;
    content_write(&spec, bytes);
    assert_true(content_read(bytes, len, &content));
    assert_string_equal(content.content_type, "application/x-test");
    assert_int_equal(content.payload_bytes, 4);
    assert_memory_equal(content.payload, spec.payload.data, 4);
    assert_int_equal(content.metadata_count, 1);
    content_metadata(&content.metadata, &read);
    assert_string_equal(read.key, "traceparent");
    assert_int_equal(read.value.len, 3);
    assert_memory_equal(read.value.data, "v\0w", 3);
    free(bytes);
}

static void
a_cut_header_is_refused_at_every_byte(void **state)
{
    Redial__V1__JobSpec spec = spec_with_everything();
    size_t len = content_size(&spec);
    size_t header = len - spec.payload.len;
    uint8_t *bytes = malloc(len);
    struct content content;

    (void)state;
    content_write(&spec, bytes);
    for (size_t cut = 0; cut < header; cut++) {
        uint8_t *copy = malloc(cut + 1);

        memcpy(copy, bytes, cut);
        assert_false(content_read(copy, cut, &content));
        free(copy);
    }
    assert_true(content_read(bytes, header, &content));
    assert_int_equal(content.payload_bytes, 0);
    free(bytes);
}

static void
json_payload_brings_its_type(void **state)
{
    Redial__V1__JobSpec spec = REDIAL__V1__JOB_SPEC__INIT;
    struct content content;
    uint8_t bytes[128];

    (void)state;
    spec.payload_json = unconst("{\"a\":1}");
    assert_true(content_size(&spec) <= sizeof(bytes));
    content_write(&spec, bytes);
    assert_true(content_read(bytes, content_size(&spec), &content));
    assert_string_equal(content.content_type, "application/json");
    assert_int_equal(content.payload_bytes, 7);
}

static void
a_result_is_content_as_well(void **state)
{
    static uint8_t result[] = "done";
    Redial__V1__Outcome outcome = REDIAL__V1__OUTCOME__INIT;
    struct content content;
    uint8_t bytes[64];

    (void)state;
    outcome.has_result = true;
    outcome.result = (ProtobufCBinaryData){4, result};
    outcome.content_type = unconst("text/plain");
    content_write_result(&outcome, bytes);
    assert_true(
        content_read(bytes, content_size_of_result(&outcome), &content));
    assert_string_equal(content.content_type, "text/plain");
    assert_int_equal(content.payload_bytes, 4);
    assert_memory_equal(content.payload, "done", 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_cut_header_is_refused_at_every_byte),
        cmocka_unit_test(json_payload_brings_its_type),
        cmocka_unit_test(a_result_is_content_as_well),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
