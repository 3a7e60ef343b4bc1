/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gateway with plugins, as a whole: hosts, the programs that they run, and
 * what becomes of them when something dies. The test is a child subreaper, so
 * whatever outlives the gateway becomes its child and can be waited for: where
 * waitpid() finds no child any more, nothing has been left behind.
 *
 * Programs tell their process ids through a FIFO.
 */
#include "tests/e2e/harness/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct test_gateway gateway;
static redial_client *client;
static char config_path[128];
static char fifo[128];

/* A program with a child of its own that is in its way of nothing. */
#define SLEEPER "sleep 1000 & echo $! >$OUT; "

static const char config_format[] =
    "{"
    "\"plugins\":["
    "{\"name\":\"runner\",\"plugin\":\"exec\",\"concurrency\":4,"
    "\"methods\":[{\"service\":\"sh\"}],"
    "\"config\":{\"argv\":[\"/bin/sh\",\"-c\",\"eval "
    "\\\"$(cat)\\\"\"],\"env\":{\"OUT\":\"%s\"}}},"
    "{\"name\":\"breaker\",\"plugin\":\"fault\",\"concurrency\":8,"
    "\"methods\":[{\"service\":\"fault\"}]},"
    "{\"name\":\"caller\",\"plugin\":\"http\",\"concurrency\":8,"
    "\"methods\":[{\"service\":\"http\"}],"
    "\"config\":{\"url\":\"http://127.0.0.1:1/{method}\"}},"
    "{\"name\":\"blocking\",\"plugin\":\"%s/odd_none.so\",\"concurrency\":2,"
    "\"methods\":[{\"service\":\"blocking\"}]},"
    "{\"name\":\"silent\",\"plugin\":\"%s/odd_silent.so\","
    "\"methods\":[{\"service\":\"silent\"}]},"
    "{\"name\":\"crashing\",\"plugin\":\"%s/odd_crash_load.so\","
    "\"methods\":[{\"service\":\"crashing\"}]},"
    "{\"name\":\"wrong\",\"plugin\":\"%s/odd_abi.so\","
    "\"methods\":[{\"service\":\"wrong\"}]}"
    "],"
    "\"methodConfig\":[{\"name\":[{}],\"retryPolicy\":{\"maxAttempts\":4,"
    "\"initialBackoff\":\"0.02s\",\"maxBackoff\":\"0.05s\","
    "\"backoffMultiplier\":1,\"retryableStatusCodes\":[\"UNAVAILABLE\"]}}]"
    "}";

static int
start(void **state)
{
    (void)state;
    char config[4096];
    const char *odd = getenv("REDIAL_ODD_PLUGIN_DIR");
    static const char *const sets[] = {"drainTime=0.2s", NULL};
    gateway_setup(&gateway);
    gateway.sets = sets;
    snprintf(config_path, sizeof(config_path), "%s/redial.json", gateway.dir);
    snprintf(fifo, sizeof(fifo), "%s/fifo", gateway.dir);
    int len = snprintf(config, sizeof(config), config_format, fifo, odd, odd,
                       odd, odd);
    int fd = open(config_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (odd == NULL || mkfifo(fifo, 0600) != 0 ||
        write(fd, config, (size_t)len) != len || close(fd) != 0) {
        return -1;
    }
    gateway.config = config_path;
    gateway_run(&gateway);
    client = client_of(&gateway);
    return 0;
}

static void
check_nothing_is_left(void)
{
    while (waitpid(-1, NULL, 0) > 0) {
    }
    assert_int_equal(errno, ECHILD);
}

static int
stop(void **state)
{
    (void)state;
    redial_client_close(client);
    client = NULL;
    if (gateway.pid != 0) {
        assert_int_equal(gateway_terminate(&gateway), 0);
    }
    gateway_teardown(&gateway);
    check_nothing_is_left();
    return 0;
}

static struct redial_submitted
submit(const char *service, const char *payload)
{
    struct redial_job job = {
        .struct_size = sizeof(job),
        .service = service,
        .method = "Run",
        .payload = payload,
        .payload_bytes = strlen(payload),
        .correlation_id = "request-1",
    };
    return submit_job(client, &job);
}

/* Submits, waits for the end, and returns all that is known about it. */
static struct redial_job_info *
run(const char *service, const char *payload)
{
    return final_of(client, submit(service, payload).id);
}

static void
check_result(const struct redial_job_info *info, const char *result)
{
    assert_int_equal(info->state, REDIAL_JOB_SUCCEEDED);
    assert_int_equal(info->outcome->result_bytes, strlen(result));
    assert_memory_equal(info->outcome->result, result, strlen(result));
}

/* Waits for a program to tell a process id. */
static pid_t
read_pid(void)
{
    char line[32] = "";
    FILE *file = fopen(fifo, "re");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof(line), file));
    fclose(file);
    pid_t pid = (pid_t)strtol(line, NULL, 10);
    assert_true(pid > 1);
    return pid;
}

/* Waits until a process that is not our child has gone. */
static void
wait_gone(pid_t pid)
{
    int64_t deadline = now_ms() + PATIENCE_MS;
    while (kill(pid, 0) == 0) {
        assert_true(now_ms() < deadline);
        sched_yield();
    }
}

static void
exec_runs_a_program_and_tries_again(void **state)
{
    (void)state;
    struct redial_job_info *info = run("sh", "echo $REDIAL_CORRELATION_ID");
    check_result(info, "request-1\n");
    redial_job_info_free(info);

    info = run("sh", "echo attempt $REDIAL_ATTEMPT; test $REDIAL_ATTEMPT = 3 ||"
                     " { echo REDIAL-REASON: NOT_YET >&2; exit 75; }");
    check_result(info, "attempt 3\n");
    assert_int_equal(info->attempt_count, 3);
    assert_int_equal(info->attempts[0].outcome->code, REDIAL_UNAVAILABLE);
    assert_string_equal(info->attempts[0].outcome->reason, "NOT_YET");
    assert_memory_equal(info->attempts[0].worker, "runner/", 7);
    redial_job_info_free(info);

    info = run("sh", "exit 65");
    assert_int_equal(info->state, REDIAL_JOB_FAILED);
    assert_int_equal(info->outcome->code, REDIAL_INVALID_ARGUMENT);
    assert_string_equal(info->outcome->reason, "EXIT_65");
    assert_int_equal(info->attempt_count, 1);
    redial_job_info_free(info);
}

static void
fault_fails_as_often_as_told(void **state)
{
    (void)state;
    const char *script = "{\"fail\":2,\"reason\":\"DRILL\",\"pushback_ms\":1}";
    struct redial_job_info *info = run("fault", script);
    check_result(info, script);
    assert_int_equal(info->attempt_count, 3);
    assert_string_equal(info->attempts[1].outcome->reason, "DRILL");
    assert_string_equal(info->attempts[1].decision->delay_source, "pushback");
    redial_job_info_free(info);
}

static void
http_without_a_server_is_unavailable(void **state)
{
    (void)state;
    struct redial_job_info *info = run("http", "x");
    assert_int_equal(info->state, REDIAL_JOB_FAILED);
    assert_int_equal(info->outcome->code, REDIAL_UNAVAILABLE);
    assert_string_equal(info->attempts[0].outcome->reason, "NO_CONNECTION");
    assert_int_equal(info->attempt_count, 4);
    redial_job_info_free(info);
}

static void
blocking_plugins_work_and_wrong_ones_harm_nobody(void **state)
{
    (void)state;
    struct redial_job_info *info = run("blocking", "hello");
    check_result(info, "hello");
    redial_job_info_free(info);

    info = run("silent", "hello");
    assert_int_equal(info->outcome->code, REDIAL_INTERNAL);
    assert_string_equal(info->outcome->reason, "PLUGIN_NO_OUTCOME");
    redial_job_info_free(info);
}

static void
a_crash_is_a_lost_worker(void **state)
{
    (void)state;
    struct redial_job_info *info = run(
        "fault", "{\"fail\":1,\"crash\":true,\"result\":\"alive\"}");
    check_result(info, "alive");
    assert_int_equal(info->attempt_count, 2);
    assert_string_equal(info->attempts[0].outcome->reason, "WORKER_LOST");
    redial_job_info_free(info);
}

static void
the_programs_of_a_dead_host_die(void **state)
{
    (void)state;
    struct redial_submitted submitted = submit(
        "sh",
        "test $REDIAL_ATTEMPT = 1 || exit 0; " SLEEPER "kill -9 $PPID; wait");
    pid_t sleeper = read_pid();
    struct redial_job_info *info = final_of(client, submitted.id);
    assert_int_equal(info->state, REDIAL_JOB_SUCCEEDED);
    assert_string_equal(info->attempts[0].outcome->reason, "WORKER_LOST");
    redial_job_info_free(info);
    wait_gone(sleeper);
}

static void
the_time_limit_ends_a_program(void **state)
{
    (void)state;
    struct redial_job job = {
        .struct_size = sizeof(job),
        .service = "sh",
        .method = "Run",
        .payload = SLEEPER "wait",
        .payload_bytes = strlen(SLEEPER "wait"),
        .attempt_timeout_ms = 200,
    };
    struct redial_submitted submitted = submit_job(client, &job);
    pid_t sleeper = read_pid();
    struct redial_job_info *info = final_of(client, submitted.id);
    assert_int_equal(info->state, REDIAL_JOB_FAILED);
    assert_int_equal(info->outcome->code, REDIAL_DEADLINE_EXCEEDED);
    assert_string_equal(info->attempts[0].outcome->reason, "ATTEMPT_TIMEOUT");
    redial_job_info_free(info);
    wait_gone(sleeper);
}

static void
cancelling_a_job_ends_its_program(void **state)
{
    (void)state;
    struct redial_submitted submitted = submit("sh", SLEEPER "wait");
    pid_t sleeper = read_pid();
    struct redial_cancelled cancelled;
    struct redial_error error;
    assert_int_equal(redial_cancel(client,
                                   (struct redial_job_ref){.id = submitted.id},
                                   "enough", patience(), &cancelled, &error),
                     REDIAL_OK);
    wait_gone(sleeper);
}

static void
nothing_outlives_a_killed_gateway(void **state)
{
    (void)state;
    submit("sh", SLEEPER "trap '' TERM HUP INT; wait");
    pid_t sleeper = read_pid();
    submit("fault", "{\"hang\":true}");
    gateway_kill(&gateway);
    check_nothing_is_left();
    assert_int_equal(kill(sleeper, 0), -1);
}

static void
a_gateway_that_ends_takes_its_plugins_along(void **state)
{
    (void)state;
    submit("sh", SLEEPER "trap '' TERM HUP INT; wait");
    pid_t sleeper = read_pid();
    assert_int_equal(gateway_terminate(&gateway), 0);
    check_nothing_is_left();
    assert_int_equal(kill(sleeper, 0), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(exec_runs_a_program_and_tries_again),
        TEST(fault_fails_as_often_as_told),
        TEST(http_without_a_server_is_unavailable),
        TEST(blocking_plugins_work_and_wrong_ones_harm_nobody),
        TEST(a_crash_is_a_lost_worker),
        TEST(the_programs_of_a_dead_host_die),
        TEST(the_time_limit_ends_a_program),
        TEST(cancelling_a_job_ends_its_program),
        TEST(nothing_outlives_a_killed_gateway),
        TEST(a_gateway_that_ends_takes_its_plugins_along),
    };
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
