/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/report.h"
#include "tests/unit/config/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* One text with an error of every kind, and the whole report. */
static const char wrong[] =
    "{\n"
    "  'name': 'two words',\n"
    "  'limits': {'jobs_max': 5, 'keysMax': 0, 'frameBytesMax': '1EiB'},\n"
    "  'jobsMax': 3,\n"
    "  'log': {'level': 'verbose'},\n"
    "  'drainTime': '3c', 'tap': {},\n"
    "  'retryThrottling': {'maxTokens': 10},\n"
    "  'listeners': [{'url': 'tcp://0.0.0.0:7400', 'role': 'agent'}],\n"
    "  'methodConfig': [\n"
    "    {'name': [{'service': 'S'}], 'timeut': '1s',\n"
    "     'retryPolicy': {'maxAttempts': 1,\n"
    "                     'retryableStatusCodes': ['UNAVAILABEL']}},\n"
    "    {'name': [{'service': 'S'}]}\n"
    "  ],\n"
    "  'plugins': [{'name': 'p', 'plugin': 'htp',\n"
    "               'methods': [{'service': 'S', 'concurrency': 2}]}],\n"
    "  'store': 5\n"
    "}\n";

static void
everything_wrong_is_said_at_once(void **state)
{
    struct loaded loaded;

    (void)state;
    load_text(&loaded, wrong);
    assert_int_equal(loaded.status, REDIAL_INVALID_ARGUMENT);
    assert_string_equal(
        loaded_report(&loaded),
        "redial.json:4: error: jobsMax: found an unknown field; allowed: a "
        "known field; did you mean \"limits.jobsMax\"?\n"
        "redial.json:6: error: tap: found an object; allowed: nothing: not "
        "supported by this version\n"
        "redial.json:2: error: name: found \"two words\"; allowed: 1 to 128 "
        "printable ASCII characters without space and \"/\"\n"
        "redial.json:3: error: limits.jobs_max: found an unknown field; "
        "allowed: a known field; did you mean \"jobsMax\"?\n"
        "redial.json:3: error: limits.keysMax: found 0; allowed: an integer "
        "from 1 to 10000000\n"
        "redial.json:3: error: limits.frameBytesMax: found \"1EiB\"; allowed: "
        "bytes from 128KiB to 6MiB, such as 6291456 or \"6MiB\"\n"
        "redial.json:5: error: log.level: found \"verbose\"; allowed: one of "
        "\"debug\", \"info\", \"warn\", \"error\"\n"
        "redial.json:6: error: drainTime: found \"3c\"; allowed: a duration "
        "from \"0s\" to \"3600s\", such as \"1.5s\"\n"
        "redial.json:17: error: store: found 5; allowed: an object\n"
        "redial.json:8: error: listeners[0].url: found "
        "\"tcp://0.0.0.0:7400\"; allowed: ipc or a loopback address, unless "
        "\"allowRemote\": true says that other machines may connect\n"
        "redial.json:15: error: plugins[0].plugin: found \"htp\"; allowed: "
        "\"exec\", \"http\", \"fault\" or the absolute path of a shared "
        "object\n"
        "redial.json:16: error: plugins[0].methods[0].concurrency: found 2; "
        "allowed: at most the plugin's concurrency, which is 1\n"
        "redial.json:10: error: methodConfig[0].timeut: found an unknown "
        "field; allowed: a known field; did you mean \"timeout\"?\n"
        "redial.json:11: error: methodConfig[0].retryPolicy.initialBackoff: "
        "found nothing; allowed: a duration greater than \"0s\", such as "
        "\"1.5s\"\n"
        "redial.json:11: error: methodConfig[0].retryPolicy.maxBackoff: found "
        "nothing; allowed: a duration greater than \"0s\", such as \"1.5s\"\n"
        "redial.json:11: error: methodConfig[0].retryPolicy.backoffMultiplier: "
        "found nothing; allowed: a number greater than 0\n"
        "redial.json:11: error: methodConfig[0].retryPolicy.maxAttempts: found "
        "1; allowed: an integer from 2\n"
        "redial.json:12: error: "
        "methodConfig[0].retryPolicy.retryableStatusCodes[0]: found "
        "\"UNAVAILABEL\"; allowed: a status code other than OK: a name such "
        "as \"UNAVAILABLE\", or a number from 1 to 16\n"
        "redial.json:13: error: methodConfig[1].name[0]: found S; allowed: "
        "each name once (see methodConfig[0].name[0] in redial.json, line "
        "10)\n"
        "redial.json:7: error: retryThrottling.tokenRatio: found nothing; "
        "allowed: a number greater than 0\n");
    loaded_fini(&loaded);
}

static void
warnings_say_what_becomes_of_it(void **state)
{
    struct loaded loaded;

    (void)state;
    load_text(&loaded, "{'loadBalancingPolicy': 'round_robin',\n"
                       " 'methodConfig': [{'name': [{'service': 'S'}],\n"
                       "  'retryPolicy': {'maxAttempts': 20,\n"
                       "   'initialBackoff': '1s', 'maxBackoff': '1s',\n"
                       "   'backoffMultiplier': 1,\n"
                       "   'retryableStatusCodes': [3]}}]}");
    assert_int_equal(loaded.status, REDIAL_OK);
    assert_int_equal(loaded.report.warnings, 3);
    assert_string_equal(
        loaded_report(&loaded),
        "redial.json:1: warning: loadBalancingPolicy: found \"round_robin\"; "
        "has no effect: gRPC clients only.\n"
        "redial.json:3: warning: methodConfig[0].retryPolicy.maxAttempts: "
        "found 20; cut to maxAttemptsLimit, which is 10\n"
        "redial.json:6: warning: "
        "methodConfig[0].retryPolicy.retryableStatusCodes: found "
        "INVALID_ARGUMENT; another attempt fails the same way: it hides a "
        "defect and costs time\n");
    loaded_fini(&loaded);
}

static void
the_nearest_name_is_told(void **state)
{
    static const char *const names[] = {"jobsMax", "keysMax", "maxBackoff"};

    (void)state;
    assert_string_equal(report_nearest("jobs_max", 0, names, 3), "jobsMax");
    assert_string_equal(report_nearest("JOBS-MAX", 0, names, 3), "jobsMax");
    assert_string_equal(report_nearest("jobMax", 1, names, 3), "jobsMax");
    assert_string_equal(report_nearest("jobssMax", 1, names, 3), "jobsMax");
    assert_string_equal(report_nearest("kobsMax", 2, names, 3), "jobsMax");
    assert_string_equal(report_nearest("maxBackof", 2, names, 3), "maxBackoff");
    assert_null(report_nearest("jobMa", 1, names, 3));
    assert_null(report_nearest("", 2, names, 3));
    assert_null(report_nearest("jobsMax", 2, names, 0));
}

static void
where_few_names_are_known_all_are_told(void **state)
{
    struct loaded loaded;

    (void)state;
    load_text(&loaded, "{'methodConfig': [{'name': [{'target': 'x'}]}],"
                       " 'log': {'colour': 1}}");
    assert_string_equal(
        loaded_report(&loaded),
        "redial.json:1: error: log.colour: found an unknown field; allowed: "
        "only level\n"
        "redial.json:1: error: methodConfig[0].name[0].target: found an "
        "unknown field; allowed: only service, method\n");
    loaded_fini(&loaded);
}

static void
a_field_of_the_top_that_stands_elsewhere_is_sent_there(void **state)
{
    struct loaded loaded;

    (void)state;
    load_text(&loaded,
              "{'methodConfig': [{'name': [{}], 'retryThrottling': {}}],"
              " 'tenants': [{'plugins': []}]}");
    assert_string_equal(
        loaded_report(&loaded),
        "redial.json:1: error: methodConfig[0].retryThrottling: found an "
        "unknown field; allowed: a known field; this one belongs at the top\n"
        "redial.json:1: error: tenants[0].plugins: found an unknown field; "
        "allowed: only name, weight, limits; this one belongs at the top\n");
    loaded_fini(&loaded);
}

/* Long texts are cut, and never inside a character. */
static void
what_is_found_is_cut(void **state)
{
    char text[512] = "{'drainTime': '";
    struct loaded loaded;

    (void)state;
    for (int i = 0; i < 60; i++) {
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text),
                       "\xe2\x82\xac");
    }
    (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "'}");
    load_text(&loaded, text);
    const char *found = loaded.report.issues[0].found;
    size_t len = strlen(found);

    assert_true(len < 80);
    assert_string_equal(found + len - 6, "\xe2\x82\xac...");
    assert_int_equal((len - 4) % 3, 0);
    loaded_fini(&loaded);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_wrong_is_said_at_once),
        cmocka_unit_test(warnings_say_what_becomes_of_it),
        cmocka_unit_test(the_nearest_name_is_told),
        cmocka_unit_test(where_few_names_are_known_all_are_told),
        cmocka_unit_test(
            a_field_of_the_top_that_stands_elsewhere_is_sent_there),
        cmocka_unit_test(what_is_found_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, folder_fini);
}
