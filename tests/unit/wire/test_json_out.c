/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/json_out.h"
#include "redial/v1/admin.pb-c.h"
#include "redial/v1/gateway.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct wire_json json;

static int
setup(void **state)
{
    (void)state;
    wire_json_init(&json, 65536);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    wire_json_fini(&json);
    return 0;
}

static void
expect(const char *text)
{
    assert_int_equal(json.status, REDIAL_OK);
    assert_string_equal(json.text, text);
    assert_int_equal(json.len, strlen(text));
    wire_json_reset(&json);
}

static void
a_message_with_nothing_set_is_empty(void **state)
{
    Redial__V1__JobSpec job = REDIAL__V1__JOB_SPEC__INIT;

    (void)state;
    wire_json_message(&json, &job.base);
    expect("{}");
    wire_json_message(&json, NULL);
    expect("null");
}

static void
names_are_the_schemas_and_enums_go_by_name(void **state)
{
    Redial__V1__Job job = REDIAL__V1__JOB__INIT;

    (void)state;
    job.correlation_id = (char[]){"c-1"};
    job.has_state = 1;
    job.state = REDIAL__V1__JOB__STATE__PARKED;
    job.has_history_trimmed = 1;
    job.history_trimmed = 1;
    wire_json_message(&json, &job.base);
    expect("{\"correlation_id\":\"c-1\",\"state\":\"PARKED\","
           "\"history_trimmed\":true}");
}

static void
an_unknown_enum_value_is_a_number(void **state)
{
    Redial__V1__Status status = REDIAL__V1__STATUS__INIT;

    (void)state;
    status.has_code = 1;
    status.code = (Redial__V1__Code)77;
    wire_json_message(&json, &status.base);
    expect("{\"code\":77}");
}

static void
long_integers_are_strings_but_milliseconds_are_not(void **state)
{
    Redial__V1__Event event = REDIAL__V1__EVENT__INIT;
    Redial__V1__Outcome outcome = REDIAL__V1__OUTCOME__INIT;

    (void)state;
    event.has_seq = 1;
    event.seq = UINT64_MAX;
    event.has_wall_ms = 1;
    event.wall_ms = 1700000000123;
    event.has_attempt = 1;
    event.attempt = UINT32_MAX;
    wire_json_message(&json, &event.base);
    expect("{\"seq\":\"18446744073709551615\",\"wall_ms\":1700000000123,"
           "\"attempt\":4294967295}");
    outcome.has_pushback_ms = 1;
    outcome.pushback_ms = -1;
    wire_json_message(&json, &outcome.base);
    expect("{\"pushback_ms\":-1}");
}

static void
signed_long_integers_keep_their_sign(void **state)
{
    Redial__V1__Decision decision = REDIAL__V1__DECISION__INIT;

    (void)state;
    decision.has_tokens_milli = 1;
    decision.tokens_milli = INT64_MIN;
    wire_json_message(&json, &decision.base);
    expect("{\"tokens_milli\":\"-9223372036854775808\"}");
}

static void
defaults_are_left_out_until_they_are_set(void **state)
{
    Redial__V1__JobSpec job = REDIAL__V1__JOB_SPEC__INIT;

    (void)state;
    job.has_priority = 1;
    wire_json_message(&json, &job.base);
    expect("{\"priority\":5}");
}

static void
repeated_fields_are_arrays(void **state)
{
    Redial__V1__Job first = REDIAL__V1__JOB__INIT;
    Redial__V1__Job second = REDIAL__V1__JOB__INIT;
    Redial__V1__Job *jobs[] = {&first, &second};
    char *missing[] = {(char[]){"a"}, (char[]){"b"}};
    Redial__V1__AwaitResponse response = REDIAL__V1__AWAIT_RESPONSE__INIT;
    Redial__V1__Job__State states[] = {REDIAL__V1__JOB__STATE__READY,
                                       REDIAL__V1__JOB__STATE__FAILED};
    Redial__V1__ListRequest list = REDIAL__V1__LIST_REQUEST__INIT;

    (void)state;
    second.id = (char[]){"2"};
    response.n_jobs = 2;
    response.jobs = jobs;
    response.n_missing = 2;
    response.missing = missing;
    wire_json_message(&json, &response.base);
    expect("{\"jobs\":[{},{\"id\":\"2\"}],\"missing\":[\"a\",\"b\"]}");
    list.n_states = 2;
    list.states = states;
    wire_json_message(&json, &list.base);
    expect("{\"states\":[\"READY\",\"FAILED\"]}");
}

static void
messages_nest(void **state)
{
    Redial__V1__Outcome outcome = REDIAL__V1__OUTCOME__INIT;
    Redial__V1__Attempt attempt = REDIAL__V1__ATTEMPT__INIT;
    Redial__V1__Attempt *attempts[] = {&attempt};
    Redial__V1__Job job = REDIAL__V1__JOB__INIT;
    Redial__V1__GetResponse response = REDIAL__V1__GET_RESPONSE__INIT;

    (void)state;
    outcome.reason = (char[]){"HTTP_503"};
    attempt.outcome = &outcome;
    attempt.state = (char[]){"FAILED"};
    job.n_attempts = 1;
    job.attempts = attempts;
    response.job = &job;
    wire_json_message(&json, &response.base);
    expect("{\"job\":{\"attempts\":[{\"outcome\":{\"reason\":\"HTTP_503\"},"
           "\"state\":\"FAILED\"}]}}");
}

static void
bytes_are_base64_with_every_padding(void **state)
{
    (void)state;
    wire_json_base64(&json, (const uint8_t *)"", 0);
    expect("\"\"");
    wire_json_base64(&json, (const uint8_t *)"f", 1);
    expect("\"Zg==\"");
    wire_json_base64(&json, (const uint8_t *)"fo", 2);
    expect("\"Zm8=\"");
    wire_json_base64(&json, (const uint8_t *)"foobar", 6);
    expect("\"Zm9vYmFy\"");
    wire_json_base64(&json, (const uint8_t *)"\xfb\xff\xfe", 3);
    expect("\"+//+\"");
}

static void
strings_are_escaped_and_repaired(void **state)
{
    (void)state;
    wire_json_string(&json, "a\"b\\c\n\t\r\x01\x1f\x7f/", 12);
    expect("\"a\\\"b\\\\c\\n\\t\\r\\u0001\\u001f\\u007f/\"");
    wire_json_string(&json, "\xc3\xb6\xe2\x82\xac\xf0\x9f\x98\x80", 9);
    expect("\"\xc3\xb6\xe2\x82\xac\xf0\x9f\x98\x80\"");
    wire_json_string(&json, "x\xffy\xe2\x82", 5);
    expect("\"x\xef\xbf\xbdy\xef\xbf\xbd\xef\xbf\xbd\"");
    wire_json_string(&json, "a\0b", 3);
    expect("\"a\\u0000b\"");
    wire_json_string(&json, NULL, 0);
    expect("\"\"");
}

static void
the_maximum_is_kept_and_the_failure_sticks(void **state)
{
    struct wire_json small;

    (void)state;
    wire_json_init(&small, 4);
    wire_json_raw(&small, "1234");
    assert_int_equal(small.status, REDIAL_OK);
    wire_json_raw(&small, "5");
    assert_int_equal(small.status, REDIAL_RESOURCE_EXHAUSTED);
    wire_json_raw(&small, "");
    assert_int_equal(small.status, REDIAL_RESOURCE_EXHAUSTED);
    assert_string_equal(small.text, "1234");
    wire_json_reset(&small);
    assert_int_equal(small.status, REDIAL_OK);
    wire_json_int(&small, -12);
    assert_string_equal(small.text, "-12");
    wire_json_fini(&small);
    wire_json_fini(&small);
}

static void
a_long_text_grows_the_buffer(void **state)
{
    static char text[40000];

    (void)state;
    memset(text, 'x', sizeof(text));
    wire_json_string(&json, text, sizeof(text));
    assert_int_equal(json.status, REDIAL_OK);
    assert_int_equal(json.len, sizeof(text) + 2);
    assert_int_equal(json.text[json.len], '\0');
}

int
main(void)
{
#define JSON_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        JSON_TEST(a_message_with_nothing_set_is_empty),
        JSON_TEST(names_are_the_schemas_and_enums_go_by_name),
        JSON_TEST(an_unknown_enum_value_is_a_number),
        JSON_TEST(long_integers_are_strings_but_milliseconds_are_not),
        JSON_TEST(signed_long_integers_keep_their_sign),
        JSON_TEST(defaults_are_left_out_until_they_are_set),
        JSON_TEST(repeated_fields_are_arrays),
        JSON_TEST(messages_nest),
        JSON_TEST(bytes_are_base64_with_every_padding),
        JSON_TEST(strings_are_escaped_and_repaired),
        JSON_TEST(the_maximum_is_kept_and_the_failure_sticks),
        JSON_TEST(a_long_text_grows_the_buffer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
