/* SPDX-License-Identifier: Apache-2.0 */
/* What is JSON, and where it stops being it. */
#include "server/net/codec.h"
#include "server/net/json_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
values_of_all_kinds_are_json(void **state)
{
    static const char *const good[] = {
        "0",
        "-0",
        "-12.5e+3",
        "1E9",
        "\"\"",
        "\"\\u00e4 \\\"\\\\\\/\\b\"",
        "true",
        "false",
        "null",
        "[]",
        "{}",
        " [ ] ",
        "\t{\r\n}\n",
        "[1,2 , 3]",
        "{\"a\":1}",
        "{ \"a\" : [ {} , [] ] , \"\" : null }",
        "[[[[[[[[[[\"deep\"]]]]]]]]]]",
        "{\"a\":{\"b\":{\"c\":[0]}}}",
        "\"\xc3\xa4\"",
        "[{\"a\":[]},{\"a\":{}}]",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        size_t at = 0;
        const char *problem = json_check(good[i], strlen(good[i]), &at);

        if (problem != NULL) {
            fail_msg("%s: at %zu: %s", good[i], at, problem);
        }
    }
}

static void
what_is_not_is_refused_where_it_is_wrong(void **state)
{
    static const struct {
        const char *text;
        size_t at;
    } bad[] = {
        {"", 0},
        {"  ", 2},
        {"tru", 0},
        {"nul", 0},
        {"01", 1},
        {"-", 1},
        {"1.", 2},
        {"1e", 2},
        {"1e+", 3},
        {".5", 0},
        {"+1", 0},
        {"1 2", 2},
        {"\"a", 2},
        {"\"\\x\"", 2},
        {"\"\\u12g4\"", 5},
        {"\"a\nb\"", 2},
        {"[", 1},
        {"[1", 2},
        {"[1,", 3},
        {"[1,]", 3},
        {"[,1]", 1},
        {"[1}", 2},
        {"{", 1},
        {"{\"a\"}", 4},
        {"{\"a\":}", 5},
        {"{\"a\":1,}", 7},
        {"{a:1}", 1},
        {"{\"a\":1]", 6},
        {"{'a':1}", 1},
        {"[] []", 3},
        {"]", 0},
        {"{\"a\":1 \"b\":2}", 7},
        {"NaN", 0},
        {"[1]x", 3},
        {"{\"a\" 1}", 5},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        size_t at = SIZE_MAX;

        if (json_check(bad[i].text, strlen(bad[i].text), &at) == NULL) {
            fail_msg("%s is no JSON", bad[i].text);
        }
        if (at != bad[i].at) {
            fail_msg("%s: at %zu, not %zu", bad[i].text, bad[i].at, at);
        }
    }
}

static void
nesting_is_bounded(void **state)
{
    char text[2 * JSON_CHECK_DEPTH_MAX + 2];
    size_t at = 0;

    (void)state;
    memset(text, '[', JSON_CHECK_DEPTH_MAX + 1);
    memset(text + JSON_CHECK_DEPTH_MAX + 1, ']', JSON_CHECK_DEPTH_MAX + 1);
    assert_non_null(json_check(text, sizeof(text), &at));
    assert_int_equal(at, JSON_CHECK_DEPTH_MAX);
    assert_null(json_check(text + 1, sizeof(text) - 2, &at));
}

static void
a_submit_names_the_field_and_the_place(void **state)
{
    Redial__V1__JobSpec spec = REDIAL__V1__JOB_SPEC__INIT;
    struct codec_rules rules = {0};
    struct engine_submit job;
    struct wire_error error;
    char service[] = "s";
    char method[] = "m";
    char json[] = "{\"prompt\": }";
    bool has_id;

    (void)state;
    codec_limits_default(&rules.limits);
    spec.service = service;
    spec.method = method;
    spec.payload_json = json;
    assert_int_equal(codec_submit(&spec, &rules, &job, &has_id, &error),
                     REDIAL_INVALID_ARGUMENT);
    assert_string_equal(
        error.text, "payload_json is not JSON: at byte 12: a value is missing");
    json[10] = '1';
    assert_int_equal(codec_submit(&spec, &rules, &job, &has_id, &error),
                     REDIAL_OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_all_kinds_are_json),
        cmocka_unit_test(what_is_not_is_refused_where_it_is_wrong),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(a_submit_names_the_field_and_the_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
