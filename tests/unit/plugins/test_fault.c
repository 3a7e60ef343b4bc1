/* SPDX-License-Identifier: Apache-2.0 */
#include "server/plugins/fault/fault_script.h"
#include "tests/unit/plugins/fake_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct fake_host fake;

static void
open_fault(const char *config)
{
    if (fake_host_open(&fake, "fault", config) != REDIAL_OK) {
        fail_msg("%s", fake.error);
    }
}

static int
close_after(void **state)
{
    (void)state;
    if (fake.library != NULL) {
        fake_host_close(&fake);
    }
    return 0;
}

/* The decision of a script for one attempt. */
static struct fault_decision
decide(const char *config, uint32_t charged_before, int64_t since_ms)
{
    static struct fault_script script;
    char text[512] = "";
    struct setting_error error = {text, sizeof(text), 0};
    struct redial_plugin_attempt attempt = fake_attempt();
    fault_script_clear(&script);
    attempt.charged_before = charged_before;
    attempt.number = charged_before + 1;
    if (!fault_script_read(&script, config, strlen(config), NULL, &error)) {
        fail_msg("%s", text);
    }
    return fault_decide(&script, &attempt, since_ms);
}

static void
the_first_attempts_fail_as_told(void **state)
{
    (void)state;
    const char *config = "{\"fail\":2,\"code\":\"ABORTED\",\"reason\":\"X\","
                         "\"text\":\"no\",\"pushback_ms\":0}";
    for (uint32_t before = 0; before < 2; before++) {
        struct fault_decision decision = decide(config, before, 0);
        assert_int_equal(decision.code, REDIAL_ABORTED);
        assert_string_equal(decision.reason, "X");
        assert_string_equal(decision.text, "no");
        assert_int_equal(decision.flags, REDIAL_PLUGIN_HAS_PUSHBACK);
        assert_int_equal(decision.pushback_ms, 0);
    }
    assert_int_equal(decide(config, 2, 0).code, REDIAL_OK);
    assert_int_equal(decide(config, 2, 0).flags, 0);
}

static void
a_way_to_fail_alone_means_always(void **state)
{
    (void)state;
    assert_int_equal(decide("{}", 0, 0).code, REDIAL_OK);
    assert_int_equal(decide("{\"code\":\"INTERNAL\"}", 99, 0).code,
                     REDIAL_INTERNAL);
    assert_true(decide("{\"hang\":true}", 99, 0).hangs);
    assert_true(decide("{\"crash\":true}", 99, 0).crashes);
    assert_false(decide("{\"crash\":true,\"fail\":1}", 1, 0).crashes);
    assert_int_equal(decide("{\"fail\":-1}", 99, 0).code, REDIAL_UNAVAILABLE);
    assert_int_equal(decide("{\"code\":\"INTERNAL\",\"fail\":0}", 0, 0).code,
                     REDIAL_OK);
}

static void
flapping_follows_its_schedule(void **state)
{
    (void)state;
    const char *config = "{\"flap\":{\"up_ms\":100,\"down_ms\":50}}";
    static const struct {
        int64_t at;
        bool is_up;
    } rows[] = {{0, true},    {99, true},   {100, false},
                {149, false}, {150, true},  {249, true},
                {250, false}, {299, false}, {300, true}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(decide(config, 0, rows[i].at).code == REDIAL_OK,
                         rows[i].is_up);
    }
}

static void
chance_is_repeatable_and_fair(void **state)
{
    (void)state;
    int failed = 0;
    for (uint32_t before = 0; before < 10000; before++) {
        const char *config = "{\"probability\":0.3,\"seed\":1}";
        enum redial_status code = decide(config, before, 0).code;
        assert_int_equal(decide(config, before, 5).code, code);
        failed += code != REDIAL_OK ? 1 : 0;
    }
    assert_in_range(failed, 2800, 3200);
    int differing = 0;
    for (uint32_t before = 0; before < 100; before++) {
        differing +=
            decide("{\"probability\":0.5,\"seed\":1}", before, 0).code !=
                    decide("{\"probability\":0.5,\"seed\":2}", before, 0).code
                ? 1
                : 0;
    }
    assert_in_range(differing, 20, 80);
    assert_int_equal(decide("{\"probability\":0}", 0, 0).code, REDIAL_OK);
    assert_int_equal(decide("{\"probability\":1}", 0, 0).code,
                     REDIAL_UNAVAILABLE);
}

static const struct fake_outcome *
run_payload(const char *payload)
{
    struct redial_plugin_attempt attempt = fake_attempt();
    attempt.payload = payload;
    attempt.payload_bytes = strlen(payload);
    attempt.content_type = "application/json";
    return fake_host_run(&fake, &attempt);
}

static void
a_success_echoes_unless_told_otherwise(void **state)
{
    (void)state;
    open_fault("{}");
    const struct fake_outcome *outcome = run_payload("hello");
    assert_int_equal(outcome->code, REDIAL_OK);
    assert_string_equal(outcome->result, "hello");
    assert_string_equal(outcome->content_type, "application/json");
    assert_string_equal(run_payload("{\"echo\":false}")->result, "");
    assert_string_equal(run_payload("{\"result\":\"r\"}")->result, "r");
}

static void
the_payload_overrules_the_configuration(void **state)
{
    (void)state;
    open_fault("{\"code\":\"INTERNAL\",\"reason\":\"CONFIGURED\"}");
    assert_string_equal(run_payload("x")->reason, "CONFIGURED");
    const struct fake_outcome *outcome = run_payload("{\"reason\":\"MINE\"}");
    assert_int_equal(outcome->code, REDIAL_INTERNAL);
    assert_string_equal(outcome->reason, "MINE");
    outcome = run_payload("{\"faill\":1}");
    assert_int_equal(outcome->code, REDIAL_INVALID_ARGUMENT);
    assert_string_equal(outcome->reason, "FAULT_SCRIPT");
    assert_non_null(strstr(outcome->text, "did you mean \"fail\"?"));
    fake_host_close(&fake);

    open_fault("{\"payload\":false}");
    assert_int_equal(run_payload("{\"faill\":1}")->code, REDIAL_OK);
}

static int64_t
now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
a_delay_is_waited_for(void **state)
{
    (void)state;
    open_fault("{\"delay_ms\":30,\"progress\":\"working\"}");
    int64_t start = now_ms();
    assert_int_equal(run_payload("x")->code, REDIAL_OK);
    assert_true(now_ms() - start >= 29);
    assert_string_equal(fake.progress, "working");
}

static void
what_hangs_can_be_stopped(void **state)
{
    (void)state;
    open_fault("{\"hang\":true}");
    struct redial_plugin_attempt attempt = fake_attempt();
    struct redial_plugin_call call = fake_host_start(&fake, &attempt);
    fake_host_stop(&fake, call, REDIAL_PLUGIN_STOP_TIMEOUT);
    assert_string_equal(fake_host_wait(&fake, call)->reason, "ATTEMPT_TIMEOUT");
    call = fake_host_start(&fake, &attempt);
    fake_host_stop(&fake, call, REDIAL_PLUGIN_STOP_CANCELLED);
    assert_int_equal(fake_host_wait(&fake, call)->code, REDIAL_CANCELLED);
}

static void
the_stubborn_finish_in_their_own_time(void **state)
{
    (void)state;
    open_fault("{\"delay_ms\":50,\"stubborn\":true}");
    struct redial_plugin_attempt attempt = fake_attempt();
    struct redial_plugin_call call = fake_host_start(&fake, &attempt);
    fake_host_stop(&fake, call, REDIAL_PLUGIN_STOP_CANCELLED);
    assert_int_equal(fake_host_wait(&fake, call)->code, REDIAL_OK);
}

static void
mistakes_in_a_configuration_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *config;
        const char *complaint;
    } rows[] = {
        {"{\"flap\":{\"up\":1}}", "$.flap.up: unknown field"},
        {"{\"flap\":1}", "$.flap: found a number, must be an object"},
        {"{\"probability\":1.5}", "$.probability: found 1.5, must be 0 to 1"},
        {"{\"code\":\"BAD\"}", "$.code: \"BAD\" is no status code"},
        {"{\"reason\":\"two words\"}", "$.reason: \"two words\" is no word"},
        {"{\"hang\":1}", "$.hang: found a number, must be true or false"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(fake_host_open(&fake, "fault", rows[i].config),
                         REDIAL_INVALID_ARGUMENT);
        if (strstr(fake.error, rows[i].complaint) == NULL) {
            fail_msg("%s: %s", rows[i].config, fake.error);
        }
        fake_host_close(&fake);
    }
}

#define TEST(name) cmocka_unit_test_teardown(name, close_after)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_attempts_fail_as_told),
        TEST(a_way_to_fail_alone_means_always),
        TEST(flapping_follows_its_schedule),
        TEST(chance_is_repeatable_and_fair),
        TEST(a_success_echoes_unless_told_otherwise),
        TEST(the_payload_overrules_the_configuration),
        TEST(a_delay_is_waited_for),
        TEST(what_hangs_can_be_stopped),
        TEST(the_stubborn_finish_in_their_own_time),
        TEST(mistakes_in_a_configuration_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
