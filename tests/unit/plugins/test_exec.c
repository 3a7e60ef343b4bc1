/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/plugins/fake_host.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct fake_host fake;

static void
open_exec(const char *config)
{
    if (fake_host_open(&fake, "exec", config) != REDIAL_OK) {
        fail_msg("%s", fake.error);
    }
}

/* Opens a plugin that runs a line of shell. */
static void
open_shell(const char *line, const char *more_config)
{
    char config[4096];
    snprintf(config, sizeof(config), "{\"argv\":[\"/bin/sh\",\"-c\",\"%s\"]%s}",
             line, more_config);
    open_exec(config);
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

static void
every_exit_code_has_its_status(void **state)
{
    (void)state;
    static const struct {
        const char *exit_code;
        enum redial_status code;
        const char *reason;
    } rows[] = {
        {"0", REDIAL_OK, ""},
        {"1", REDIAL_UNKNOWN, "EXIT_1"},
        {"2", REDIAL_UNKNOWN, "EXIT_2"},
        {"63", REDIAL_UNKNOWN, "EXIT_63"},
        {"64", REDIAL_INVALID_ARGUMENT, "EXIT_64"},
        {"65", REDIAL_INVALID_ARGUMENT, "EXIT_65"},
        {"66", REDIAL_UNKNOWN, "EXIT_66"},
        {"69", REDIAL_UNAVAILABLE, "EXIT_69"},
        {"70", REDIAL_UNKNOWN, "EXIT_70"},
        {"75", REDIAL_UNAVAILABLE, "EXIT_75"},
        {"77", REDIAL_PERMISSION_DENIED, "EXIT_77"},
        {"78", REDIAL_FAILED_PRECONDITION, "EXIT_78"},
        {"124", REDIAL_DEADLINE_EXCEEDED, "EXIT_124"},
        {"126", REDIAL_UNKNOWN, "EXIT_126"},
        {"127", REDIAL_UNIMPLEMENTED, "EXIT_127"},
        {"255", REDIAL_UNKNOWN, "EXIT_255"},
    };
    open_shell("exit $REDIAL_METHOD", "");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct redial_plugin_attempt attempt = fake_attempt();
        attempt.method = rows[i].exit_code;
        const struct fake_outcome *outcome = fake_host_run(&fake, &attempt);
        assert_int_equal(outcome->code, rows[i].code);
        assert_string_equal(outcome->reason, rows[i].reason);
    }
}

static void
a_signal_is_unknown_and_named(void **state)
{
    (void)state;
    open_shell("kill -$REDIAL_METHOD $$", ",\"codes\":{\"SIGNAL_9\":"
                                          "\"RESOURCE_EXHAUSTED\"}");
    struct redial_plugin_attempt attempt = fake_attempt();
    attempt.method = "15";
    const struct fake_outcome *outcome = fake_host_run(&fake, &attempt);
    assert_int_equal(outcome->code, REDIAL_UNKNOWN);
    assert_string_equal(outcome->reason, "SIGNAL_15");
    attempt.method = "9";
    outcome = fake_host_run(&fake, &attempt);
    assert_int_equal(outcome->code, REDIAL_RESOURCE_EXHAUSTED);
    assert_string_equal(outcome->reason, "SIGNAL_9");
}

static void
codes_can_be_replaced(void **state)
{
    (void)state;
    open_shell("exit $REDIAL_METHOD",
               ",\"codes\":{\"3\":\"UNAVAILABLE\",\"EXIT_64\":\"ABORTED\","
               "\"4\":\"OK\"}");
    struct redial_plugin_attempt attempt = fake_attempt();
    attempt.method = "3";
    assert_int_equal(fake_host_run(&fake, &attempt)->code, REDIAL_UNAVAILABLE);
    attempt.method = "64";
    assert_int_equal(fake_host_run(&fake, &attempt)->code, REDIAL_ABORTED);
    attempt.method = "4";
    assert_int_equal(fake_host_run(&fake, &attempt)->code, REDIAL_OK);
}

static void
a_program_gives_reason_pushback_and_progress(void **state)
{
    (void)state;
    open_shell("exec >&2; echo first; echo REDIAL-PROGRESS: half way;"
               "echo REDIAL-REASON: SCRIPT_VALIDATION;"
               "echo REDIAL-PUSHBACK-MS: 1500; echo 'last é'; exit 65",
               "");
    struct redial_plugin_attempt attempt = fake_attempt();
    const struct fake_outcome *outcome = fake_host_run(&fake, &attempt);
    assert_int_equal(outcome->code, REDIAL_INVALID_ARGUMENT);
    assert_string_equal(outcome->reason, "SCRIPT_VALIDATION");
    assert_string_equal(outcome->text, "first\nlast é");
    assert_int_equal(outcome->flags, REDIAL_PLUGIN_HAS_PUSHBACK);
    assert_int_equal(outcome->pushback_ms, 1500);
    assert_string_equal(fake.progress, "half way");
}

static void
unreadable_notes_are_dropped(void **state)
{
    (void)state;
    open_shell("exec >&2; echo REDIAL-REASON: two words;"
               "echo REDIAL-PUSHBACK-MS: soon; exit 69",
               "");
    struct redial_plugin_attempt attempt = fake_attempt();
    const struct fake_outcome *outcome = fake_host_run(&fake, &attempt);
    assert_string_equal(outcome->reason, "EXIT_69");
    assert_int_equal(outcome->flags, 0);
    assert_string_equal(outcome->text, "");
}

static void
the_payload_goes_in_and_the_result_comes_out(void **state)
{
    (void)state;
    size_t len = 4194304;
    char *payload = malloc(len);
    assert_non_null(payload);
    for (size_t i = 0; i < len; i++) {
        payload[i] = (char)(i * 7 + i / 251);
    }
    open_exec("{\"argv\":[\"cat\"],\"content_type\":\"image/png\"}");
    struct redial_plugin_attempt attempt = fake_attempt();
    attempt.payload = payload;
    attempt.payload_bytes = len;
    const struct fake_outcome *outcome = fake_host_run(&fake, &attempt);
    assert_int_equal(outcome->code, REDIAL_OK);
    assert_int_equal(outcome->result_bytes, len);
    assert_memory_equal(outcome->result, payload, len);
    assert_string_equal(outcome->content_type, "image/png");
    free(payload);
}

static void
a_program_need_not_read_its_input(void **state)
{
    (void)state;
    size_t len = 1048576;
    char *payload = calloc(1, len);
    assert_non_null(payload);
    open_shell("exec <&-; echo done", "");
    struct redial_plugin_attempt attempt = fake_attempt();
    attempt.payload = payload;
    attempt.payload_bytes = len;
    const struct fake_outcome *outcome = fake_host_run(&fake, &attempt);
    assert_int_equal(outcome->code, REDIAL_OK);
    assert_string_equal(outcome->result, "done\n");
    free(payload);
}

static void
output_is_capped(void **state)
{
    (void)state;
    open_shell("head -c $REDIAL_METHOD /dev/zero",
               ",\"output_bytes_max\":100000");
    struct redial_plugin_attempt attempt = fake_attempt();
    attempt.method = "99999";
    assert_int_equal(fake_host_run(&fake, &attempt)->result_bytes, 99999);
    attempt.method = "100000";
    assert_int_equal(fake_host_run(&fake, &attempt)->result_bytes, 100000);
    attempt.method = "100001";
    const struct fake_outcome *outcome = fake_host_run(&fake, &attempt);
    assert_int_equal(outcome->code, REDIAL_INTERNAL);
    assert_string_equal(outcome->reason, "RESULT_TOO_LARGE");
    assert_int_equal(outcome->result_bytes, 0);
}

static void
endless_output_is_stopped(void **state)
{
    (void)state;
    open_exec("{\"argv\":[\"cat\",\"/dev/zero\"],\"output_bytes_max\":10}");
    struct redial_plugin_attempt attempt = fake_attempt();
    assert_string_equal(fake_host_run(&fake, &attempt)->reason,
                        "RESULT_TOO_LARGE");
}

static void
the_end_of_standard_error_is_kept(void **state)
{
    (void)state;
    open_shell("seq 1 20000 >&2; printf 'the end' >&2; exit 1",
               ",\"stderr_bytes_max\":20");
    struct redial_plugin_attempt attempt = fake_attempt();
    const struct fake_outcome *outcome = fake_host_run(&fake, &attempt);
    assert_string_equal(outcome->text, "19999\n20000\nthe end");
    assert_true(strlen(outcome->text) <= 20);
}

static void
a_missing_program_is_unimplemented(void **state)
{
    (void)state;
    open_exec("{\"argv\":[\"/no/such/program\"]}");
    struct redial_plugin_attempt attempt = fake_attempt();
    const struct fake_outcome *outcome = fake_host_run(&fake, &attempt);
    assert_int_equal(outcome->code, REDIAL_UNIMPLEMENTED);
    assert_string_equal(outcome->reason, "EXIT_127");
    assert_non_null(strstr(outcome->text, "/no/such/program"));
    struct fake_groups groups = fake_host_groups(&fake);
    assert_int_equal(groups.started, groups.ended);
    fake_host_close(&fake);

    open_exec("{\"argv\":[\"no-such-program\"]}");
    assert_string_equal(fake_host_run(&fake, &attempt)->reason, "EXIT_127");
    fake_host_close(&fake);

    open_exec("{\"argv\":[\"/etc/passwd\"]}");
    outcome = fake_host_run(&fake, &attempt);
    assert_int_equal(outcome->code, REDIAL_UNKNOWN);
    assert_string_equal(outcome->reason, "EXIT_126");
    fake_host_close(&fake);

    open_exec("{\"argv\":[\"/bin/true\"],\"cwd\":\"/no/such/folder\"}");
    assert_string_equal(fake_host_run(&fake, &attempt)->reason, "EXIT_127");
}

static void
fields_are_words_and_never_options(void **state)
{
    (void)state;
    open_exec("{\"argv\":[\"printf\",\"%s|\",\"{service}\",\"{method}\","
              "\"--key={key}\",\"{\\\"a\\\":{}}\",\"{attempt}{tenant}\"]}");
    struct redial_plugin_attempt attempt = fake_attempt();
    attempt.method = "two words; $(reboot) `x` *";
    attempt.key = "-rf";
    const struct fake_outcome *outcome = fake_host_run(&fake, &attempt);
    assert_string_equal(outcome->result,
                        "image.ImageGen|two words; $(reboot) `x` *|--key=-rf|"
                        "{\"a\":{}}|1|");
    attempt.service = "--help";
    outcome = fake_host_run(&fake, &attempt);
    assert_int_equal(outcome->code, REDIAL_INVALID_ARGUMENT);
    assert_string_equal(outcome->reason, "ARGUMENT_REFUSED");
}

static void
the_environment_is_what_was_asked_for(void **state)
{
    (void)state;
    assert_int_equal(setenv("EXEC_TEST_SECRET", "x", 1), 0);
    assert_int_equal(setenv("EXEC_TEST_GIVEN", "y", 1), 0);
    open_exec("{\"argv\":[\"env\"],\"env\":{\"A\":\"b c\"},"
              "\"inherit_env\":[\"PATH\",\"EXEC_TEST_GIVEN\"]}");
    struct redial_plugin_metadata trace = {"traceparent", "00-ab-cd-01", 11};
    struct redial_plugin_attempt attempt = fake_attempt();
    attempt.number = 3;
    attempt.charged_before = 2;
    attempt.key = "k1";
    attempt.metadata = &trace;
    attempt.metadata_count = 1;
    const char *env = fake_host_run(&fake, &attempt)->result;
    static const char *const wanted[] = {
        "REDIAL_JOB_ID=0190a5b0-0000-7000-8000-000000000001\n",
        "REDIAL_CORRELATION_ID=request-1\n",
        "REDIAL_SERVICE=image.ImageGen\n",
        "REDIAL_METHOD=Generate\n",
        "REDIAL_ATTEMPT=3\n",
        "REDIAL_CHARGED_BEFORE=2\n",
        "REDIAL_KEY=k1\n",
        "REDIAL_TENANT=\n",
        "REDIAL_FENCE=7\n",
        "REDIAL_TIMEOUT_MS=600000\n",
        "REDIAL_REMAINING_MS=0\n",
        "TRACEPARENT=00-ab-cd-01\n",
        "A=b c\n",
        "EXEC_TEST_GIVEN=y\n",
        "PATH=",
    };
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        if (strstr(env, wanted[i]) == NULL) {
            fail_msg("no %s in %s", wanted[i], env);
        }
    }
    assert_null(strstr(env, "EXEC_TEST_SECRET"));
}

static void
nothing_else_is_inherited(void **state)
{
    (void)state;
    int leak = open("/dev/null", O_RDONLY); /* without O_CLOEXEC */
    int high = fcntl(leak, F_DUPFD, 200);
    assert_true(leak >= 0 && high >= 200);
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    sigaction(SIGUSR1, &ignore, &before);
    open_shell("echo /proc/self/fd/*; grep -E 'Sig(Blk|Ign)' "
               "/proc/self/status",
               "");
    struct redial_plugin_attempt attempt = fake_attempt();
    const char *seen = fake_host_run(&fake, &attempt)->result;
    sigaction(SIGUSR1, &before, NULL);
    close(leak);
    close(high);
    assert_null(strstr(seen, "/fd/200"));
    assert_null(strstr(seen, "/fd/4"));
    assert_non_null(strstr(seen, "/fd/2"));
    assert_non_null(strstr(seen, "SigBlk:\t0000000000000000"));
    assert_non_null(strstr(seen, "SigIgn:\t0000000000000000"));
}

/* As the nearest subreaper we inherit, and can wait for, what is orphaned. */
static void
wait_killed(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static const char two_processes[] =
    "sleep 1000 & echo REDIAL-PROGRESS: $! >&2; wait";

static void
check_stopped(enum redial_plugin_stop why, enum redial_status code,
              const char *reason)
{
    struct redial_plugin_attempt attempt = fake_attempt();
    struct redial_plugin_call call = fake_host_start(&fake, &attempt);
    char text[4200];
    fake_host_wait_progress(&fake, text);
    pid_t orphan = (pid_t)strtol(text, NULL, 10);
    assert_true(orphan > 1);
    fake_host_stop(&fake, call, why);
    const struct fake_outcome *outcome = fake_host_wait(&fake, call);
    assert_int_equal(outcome->code, code);
    assert_string_equal(outcome->reason, reason);
    wait_killed(orphan);
    struct fake_groups groups = fake_host_groups(&fake);
    assert_int_equal(groups.started, 1);
    assert_int_equal(groups.ended, 1);
    /* Nobody of the group is left, not even a zombie. */
    assert_int_equal(kill(-groups.last, 0), -1);
    assert_int_equal(errno, ESRCH);
}

static void
the_time_limit_kills_the_whole_group(void **state)
{
    (void)state;
    open_shell(two_processes, "");
    check_stopped(REDIAL_PLUGIN_STOP_TIMEOUT, REDIAL_DEADLINE_EXCEEDED,
                  "ATTEMPT_TIMEOUT");
}

static void
cancelling_kills_the_whole_group(void **state)
{
    (void)state;
    open_shell(two_processes, "");
    check_stopped(REDIAL_PLUGIN_STOP_CANCELLED, REDIAL_CANCELLED, "CANCELLED");
}

static void
grace_lets_a_program_clean_up_but_not_for_ever(void **state)
{
    (void)state;
    open_shell("trap 'echo bye >&2; exit 3' TERM; echo REDIAL-PROGRESS: x >&2;"
               "while :; do read a </dev/zero; done",
               ",\"grace_ms\":1500");
    struct redial_plugin_attempt attempt = fake_attempt();
    struct redial_plugin_call call = fake_host_start(&fake, &attempt);
    char text[4200];
    fake_host_wait_progress(&fake, text);
    fake_host_stop(&fake, call, REDIAL_PLUGIN_STOP_CANCELLED);
    /* The shell cannot be interrupted while it reads: it is killed. */
    assert_int_equal(fake_host_wait(&fake, call)->code, REDIAL_CANCELLED);
    fake_host_close(&fake);

    open_shell("trap 'echo bye >&2; exit 3' TERM; echo REDIAL-PROGRESS: x >&2;"
               "sleep 1000 & wait",
               ",\"grace_ms\":1500");
    call = fake_host_start(&fake, &attempt);
    fake_host_wait_progress(&fake, text);
    fake_host_stop(&fake, call, REDIAL_PLUGIN_STOP_CANCELLED);
    assert_string_equal(fake_host_wait(&fake, call)->text, "bye");
}

static void
what_a_program_leaves_behind_is_killed(void **state)
{
    (void)state;
    open_shell("sleep 1000 & echo $!", "");
    struct redial_plugin_attempt attempt = fake_attempt();
    const struct fake_outcome *outcome = fake_host_run(&fake, &attempt);
    assert_int_equal(outcome->code, REDIAL_OK);
    wait_killed((pid_t)strtol(outcome->result, NULL, 10));
}

static void
many_programs_run_at_once(void **state)
{
    (void)state;
    enum { COUNT = 60 };
    open_exec("{\"argv\":[\"cat\"]}");
    static struct redial_plugin_attempt attempts[COUNT];
    static char payloads[COUNT][32];
    struct redial_plugin_call calls[COUNT];
    for (int i = 0; i < COUNT; i++) {
        attempts[i] = fake_attempt();
        snprintf(payloads[i], sizeof(payloads[i]), "payload %d", i);
        attempts[i].payload = payloads[i];
        attempts[i].payload_bytes = strlen(payloads[i]);
        calls[i] = fake_host_start(&fake, &attempts[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        assert_string_equal(fake_host_wait(&fake, calls[i])->result,
                            payloads[i]);
    }
    struct fake_groups groups = fake_host_groups(&fake);
    assert_int_equal(groups.started, COUNT);
    assert_int_equal(groups.ended, COUNT);
}

static void
all_mistakes_in_a_configuration_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *config;
        const char *complaint;
    } rows[] = {
        {"{}", "$.argv: is missing"},
        {"[]", "$: found a list, must be an object"},
        {"{\"argv\":[\"x\"],", "$: is not JSON"},
        {"{\"argv\":[\"x\"]} x", "$: is not JSON"},
        {"{\"argv\":[]}", "$.argv: found 0 entries, must be 1 to 256"},
        {"{\"argv\":\"ls -l\"}", "$.argv: found a text, must be a list"},
        {"{\"argv\":[1]}", "$.argv: found a number, must be a list of texts"},
        {"{\"argv\":[\"{key}\"]}", "$.argv[0]: must name a program"},
        {"{\"argv\":[\"x\",\"{servce}\"]}", "did you mean {service}?"},
        {"{\"argv\":[\"x\"],\"output_byte_max\":1}",
         "$.output_byte_max: unknown field; did you mean "
         "\"output_bytes_max\"?"},
        {"{\"argv\":[\"x\"],\"output_bytes_max\":4194305}",
         "$.output_bytes_max: found 4194305, must be 0 to 4194304"},
        {"{\"argv\":[\"x\"],\"grace_ms\":1.5}",
         "$.grace_ms: found a number, must be a whole number"},
        {"{\"argv\":[\"x\"],\"argv\":[\"y\"]}", "$.argv: given twice"},
        {"{\"argv\":[\"x\"],\"codes\":{\"256\":\"OK\"}}",
         "$.codes.256: is no reason"},
        {"{\"argv\":[\"x\"],\"codes\":{\"1\":\"FINE\"}}",
         "\"FINE\" is no status code"},
        {"{\"argv\":[\"x\"],\"env\":{\"A=B\":\"\"}}", "no name of a variable"},
        {"{\"argv\":[\"x\"],\"env\":{\"A\":1}}", "an object of texts"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(fake_host_open(&fake, "exec", rows[i].config),
                         REDIAL_INVALID_ARGUMENT);
        if (strstr(fake.error, rows[i].complaint) == NULL) {
            fail_msg("%s: %s", rows[i].config, fake.error);
        }
        fake_host_close(&fake);
    }
    assert_int_equal(fake_host_open(&fake, "exec", "{\"a\":1,\"grace_ms\":-1}"),
                     REDIAL_INVALID_ARGUMENT);
    assert_non_null(strstr(fake.error, "$.a: "));
    assert_non_null(strstr(fake.error, "$.grace_ms: "));
    assert_non_null(strstr(fake.error, "$.argv: "));
}

#define TEST(name) cmocka_unit_test_teardown(name, close_after)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_exit_code_has_its_status),
        TEST(a_signal_is_unknown_and_named),
        TEST(codes_can_be_replaced),
        TEST(a_program_gives_reason_pushback_and_progress),
        TEST(unreadable_notes_are_dropped),
        TEST(the_payload_goes_in_and_the_result_comes_out),
        TEST(a_program_need_not_read_its_input),
        TEST(output_is_capped),
        TEST(endless_output_is_stopped),
        TEST(the_end_of_standard_error_is_kept),
        TEST(a_missing_program_is_unimplemented),
        TEST(fields_are_words_and_never_options),
        TEST(the_environment_is_what_was_asked_for),
        TEST(nothing_else_is_inherited),
        TEST(the_time_limit_kills_the_whole_group),
        TEST(cancelling_kills_the_whole_group),
        TEST(grace_lets_a_program_clean_up_but_not_for_ever),
        TEST(what_a_program_leaves_behind_is_killed),
        TEST(many_programs_run_at_once),
        TEST(all_mistakes_in_a_configuration_are_named),
    };
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
