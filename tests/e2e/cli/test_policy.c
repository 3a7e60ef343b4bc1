/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs about policies, with the real programs.
 */
#include "tests/e2e/cli/tool.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define HUGE_BYTES ((off_t)1 << 30) /* a hole: it takes no room */

static struct test_gateway gateway;
static struct script script;
static char config_path[96];
static struct tool_result result;

#define GOOD                                                         \
    "{\"methodConfig\":[{\"name\":[{}],\"retryPolicy\":{"            \
    "\"maxAttempts\":3,\"initialBackoff\":\"0.02s\",\"maxBackoff\":" \
    "\"0.05s\",\"backoffMultiplier\":1,\"retryableStatusCodes\":["   \
    "\"UNAVAILABLE\"]}}]}"

static void
write_config(const char *text)
{
    int fd = open(config_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
}

static int
setup(void **state)
{
    (void)state;
    gateway_setup(&gateway);
    (void)snprintf(config_path, sizeof(config_path), "%s/redial.json",
                   gateway.dir);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    gateway_teardown(&gateway);
    return 0;
}

/* Runs the tool and checks how it exits. */
static void
run(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
run(int code, const char *format, ...)
{
    char line[1024];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    tool_run(&gateway, line, NULL, &result);
    if (result.code != code) {
        print_message("redial %s\n%s%s", line, result.out, result.err);
    }
    assert_int_equal(result.code, code);
}

static void
says(const char *text, const char *words)
{
    if (strstr(text, words) == NULL) {
        fail_msg("\"%s\" is not in: %s", words, text);
    }
}

/* ---- check -------------------------------------------------------------- */

static void
a_good_policy_is_good(void **state)
{
    (void)state;
    write_config(GOOD);
    run(0, "policy check %s", config_path);
    says(result.out, "{}");
    says(result.out, "[constant-backoff]");
    says(result.out, "1 policy, 0 warnings, 2 notes");
}

static void
what_a_policy_amounts_to_is_told_to_programs(void **state)
{
    (void)state;
    write_config(GOOD);
    run(0, "policy check %s --json", config_path);
    says(result.out, "\"attemptsMax\": 3,");
    says(result.out, "\"code\": \"constant-backoff\",");
    says(result.out, "\"warnings\": 0,");
    write_config(
        "{\"retryThrottling\": {\"maxTokens\": 2, \"tokenRatio\": 1}}");
    run(0, "policy check %s --json", config_path);
    says(result.out, "\"code\": \"throttle-never-allows\",");
    says(result.out, "\"warnings\": 1,");
    write_config(
        "{\"retryThrottling\": {\"maxTokens\": 0, \"tokenRatio\": 1}}");
    run(3, "policy check %s --json", config_path);
    says(result.out, "\"path\": \"retryThrottling.maxTokens\",");
    says(result.out, "\"errors\": 1,");
    assert_string_equal(result.err, "");
}

static void
what_is_wrong_with_a_policy_is_told(void **state)
{
    (void)state;
    write_config("{\n\"methodConfg\": []\n}");
    run(3, "policy check %s", config_path);
    says(result.err, "redial.json:2: ");
    says(result.err, "methodConfig");
    write_config("{");
    run(3, "policy check %s", config_path);
    write_config("");
    run(3, "policy check %s", config_path);
}

static void
a_file_that_is_none_is_told(void **state)
{
    int fd;

    (void)state;
    run(3, "policy check /nowhere/redial.json");
    says(result.err, "/nowhere/redial.json: ");
    says(result.err, "No such file or directory");
    run(3, "policy check %s", gateway.dir);
    says(result.err, "Is a directory");
    fd = open(config_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, HUGE_BYTES), 0);
    (void)close(fd);
    run(3, "policy check %s", config_path);
    says(result.err, "redial.json: ");
    run(2, "policy check one two");
}

/* ---- With a gateway ----------------------------------------------------- */

/* Two failures of four tokens leave half of them, and no retries. */
#define GUARDED                                                            \
    "{\"methodConfig\":[{\"name\":[{}],\"retryPolicy\":{\"maxAttempts\":"  \
    "5,\"initialBackoff\":\"0.02s\",\"maxBackoff\":\"0.05s\","             \
    "\"backoffMultiplier\":1,\"retryableStatusCodes\":[\"UNAVAILABLE\"]}}" \
    ",{\"name\":[{\"service\":\"test\",\"method\":\"Twice\"}],"            \
    "\"idempotent\":true,\"hedgingPolicy\":{\"maxAttempts\":2,"            \
    "\"hedgingDelay\":\"0.01s\",\"nonFatalStatusCodes\":[\"UNAVAILABLE\"]" \
    "}}],\"retryThrottling\":{\"maxTokens\":4,\"tokenRatio\":0.1},"        \
    "\"budget\":{\"ratio\":1,\"minPerSecond\":10}}"

static int
start(void **state)
{
    (void)setup(state);
    write_config(GUARDED);
    gateway.config = config_path;
    gateway_run(&gateway);
    script_open(&script, &gateway, 16);
    return 0;
}

static int
stop(void **state)
{
    script_close(&script);
    return teardown(state);
}

static void
explain_tells_what_would_follow_and_changes_nothing(void **state)
{
    char before[TOOL_TEXT_BYTES];

    (void)state;
    run(0, "call test/Run -d ok");
    run(0, "budget test");
    (void)snprintf(before, sizeof(before), "%s", result.out);
    run(0, "policy explain test/Run --code UNAVAILABLE --attempt 2");
    assert_int_equal(strncmp(result.out, "RETRY_PLANNED: ", 15), 0);
    says(result.out, "attempts  2 charged, 0 free, 3 left; policy version 1\n");
    says(result.out, "  passes  ");
    run(0, "policy explain test/Run --code ABORTED");
    assert_int_equal(strncmp(result.out, "NON_RETRYABLE_CODE: ", 20), 0);
    says(result.out, "  ends here  ");
    says(result.out, " more ");
    run(0, "policy explain test/Run --code UNAVAILABLE --attempt 5");
    assert_int_equal(strncmp(result.out, "ATTEMPTS_EXHAUSTED: ", 20), 0);
    run(0, "policy explain test/Run --code UNAVAILABLE --pushback stop");
    assert_int_equal(strncmp(result.out, "PUSHBACK_STOP: ", 15), 0);
    run(0, "policy explain test/Run --code UNAVAILABLE --overloaded");
    assert_int_equal(strncmp(result.out, "OVERLOADED_MARK: ", 17), 0);
    run(0, "policy explain test/Run --code UNAVAILABLE --pushback 5s "
           "--deadline 2s");
    assert_int_equal(strncmp(result.out, "DEADLINE_WOULD_EXPIRE: ", 23), 0);
    run(0, "policy explain test/Run --code UNAVAILABLE --json");
    says(result.out, "{\"decision\":{\"rule\":\"RETRY_PLANNED\"");
    says(result.out, "\"verdict\":\"passes\"");
    run(0, "budget test");
    assert_string_equal(result.out, before);
}

static void
explain_takes_the_counts_of_a_live_job(void **state)
{
    char id[40];

    (void)state;
    run(0, "submit test/Run -d hold --deadline 60s");
    (void)snprintf(id, sizeof(id), "%.36s", result.out);
    script_wait_started(&script, 1);
    run(0, "policy explain --for-job %s --code UNAVAILABLE", id);
    says(result.out, "attempts  1 charged, 0 free, 4 left");
    run(2, "policy explain --for-job %s --code UNAVAILABLE --attempt 2", id);
    script_release(&script);
    run(0, "await %s", id);
    run(4, "policy explain --for-job %s --code UNAVAILABLE", id);
}

static void
budget_shows_what_a_target_has_left(void **state)
{
    (void)state;
    run(0, "budget");
    run(4, "budget test");
    says(result.err, "What targets there are: redial budget\n");
    run(1, "call test/Run -d fail_9_UNAVAILABLE_TIRED");
    run(0, "budget test");
    says(result.out, "\ntest    [##########|----------]  2 of 4, retries above "
                     "2 EXHAUSTED  ");
    run(0, "budget --json");
    says(result.out, "{\"target\":\"test\",\"tokens_milli\":\"2000\"");
    says(result.out, "\"throttle_exhausted\":true");
    run(0, "policy explain test/Run --code UNAVAILABLE");
    assert_int_equal(strncmp(result.out, "THROTTLED: ", 11), 0);
    run(0, "budget --watch --json --timeout 100ms");
    says(result.out, "{\"target\":\"test\"");
    run(0, "events --from start --no-follow --type budget");
    says(result.out, "budget.exhausted   test  no retries for now: throttle 2 "
                     "of 4 tokens left, retries while above 2\n");
    run(0, "stats");
    says(result.out, "\nTHROTTLED          1  ");
}

static void
why_has_every_figure_of_a_decision(void **state)
{
    (void)state;
    run(1, "call test/Run -k told -d fail_9_UNAVAILABLE_TIRED_30");
    run(0, "show --key told --why");
    says(result.out, "RETRY_PLANNED: the failure is retryable and all limits "
                     "allow it\n");
    says(result.out, "given     UNAVAILABLE TIRED as the script says, asked to "
                     "come back in 30 ms\n");
    says(result.out, "delay     30 ms = pushback of the worker, until 20");
    says(result.out, "throttle  3 of 4 tokens left, retries while above 2\n");
    says(result.out, "budget    ");
    says(result.out, "attempts  1 charged, 0 free, 4 left; policy version 1\n");
    says(result.out, "THROTTLED: ");
    says(result.out, "throttle  2 of 4 tokens left, retries while above 2\n");
}

static void
why_tells_hedges_apart(void **state)
{
    (void)state;
    run(0, "submit test/Twice -k twice -d hold");
    script_wait_started(&script, 2);
    run(0, "show --key twice");
    says(result.out, "RUNNING (hedge beside attempt 1)");
    script_release(&script);
    run(0, "await --key twice");
    run(0, "show --key twice --why");
    says(result.out, "hedge beside attempt 1");
    says(result.out, "lost the race, free)");
    says(result.out, "HEDGE_LOST: another attempt of the job settled it "
                     "first\n");
    run(0, "events --from start --no-follow --type attempt.started");
    says(result.out, ", a hedge beside others");
}

static void
simulate_tries_another_policy_on_what_happened(void **state)
{
    (void)state;
    run(1, "call test/Run -d fail_9_UNAVAILABLE_TIRED");
    write_config("{\"methodConfig\":[]}");
    run(0, "policy simulate --policy %s -v", config_path);
    says(result.out, "recorded");
    says(result.out, "replayed");
    says(result.err, " events, until ");
    run(0, "policy simulate --policy %s --json", config_path);
    says(result.out, "\"THROTTLED\": 1");
    says(result.out, "\"ATTEMPTS_EXHAUSTED\": 1");
    write_config("{");
    run(3, "policy simulate --policy %s", config_path);
    run(3, "policy simulate --policy /nowhere/redial.json");
}

static void
questions_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    run(2, "policy explain test/Run --code BROKEN");
    says(result.err, "\"BROKEN\" is none of CANCELLED|UNKNOWN|");
    run(2, "policy explain test/Run");
    run(2, "policy explain test/Run --code ABORTED --deadline soon");
    run(2, "policy explain test/Run --code ABORTED --pushback -5s");
    run(2, "policy explain test/Run --code ABORTED --attempt 99999999999999");
    run(2, "policy explain test/Run --code ABORTED --for-job x");
    run(4, "policy explain --for-job 01890a5d-ac96-774b-bcce-b302099a8051 "
           "--code ABORTED");
    run(2, "policy simulate");
    run(5, "policy simulate --policy %s --from nonsense", config_path);
    run(2, "budget one two");
}

int
main(void)
{
#define TEST(name)    cmocka_unit_test_setup_teardown(name, setup, teardown)
#define RUNNING(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(a_good_policy_is_good),
        TEST(what_a_policy_amounts_to_is_told_to_programs),
        TEST(what_is_wrong_with_a_policy_is_told),
        TEST(a_file_that_is_none_is_told),
        RUNNING(explain_tells_what_would_follow_and_changes_nothing),
        RUNNING(explain_takes_the_counts_of_a_live_job),
        RUNNING(budget_shows_what_a_target_has_left),
        RUNNING(why_has_every_figure_of_a_decision),
        RUNNING(why_tells_hedges_apart),
        RUNNING(simulate_tries_another_policy_on_what_happened),
        RUNNING(questions_that_make_no_sense_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
