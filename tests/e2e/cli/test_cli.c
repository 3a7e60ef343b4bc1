/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tool against a real gateway with a scripted worker: what is printed, and
 * how it exits.
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

static struct test_gateway gateway;
static struct script script;
static char config_path[96];
static struct tool_result result;

#define CONFIG(max_attempts)                                  \
    "{\"methodConfig\":[{\"name\":[{}],\"retryPolicy\":{"     \
    "\"maxAttempts\":" max_attempts                           \
    ",\"initialBackoff\":\"0.02s\",\"maxBackoff\":\"0.05s\"," \
    "\"backoffMultiplier\":1,\"retryableStatusCodes\":[\"UNAVAILABLE\"]}}]}"

static void
write_config(const char *text)
{
    int fd = open(config_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
}

static int
start(void **state)
{
    (void)state;
    gateway_setup(&gateway);
    (void)snprintf(config_path, sizeof(config_path), "%s/redial.json",
                   gateway.dir);
    write_config(CONFIG("3"));
    gateway.config = config_path;
    gateway_run(&gateway);
    script_open(&script, &gateway, 16);
    return 0;
}

static int
stop(void **state)
{
    (void)state;
    script_close(&script);
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

/* Submits a job and gives its id. */
static const char *
submit(const char *options)
{
    static char id[40];

    run(0, "submit test/Run %s", options);
    assert_int_equal(result.out_len, 37);
    (void)snprintf(id, sizeof(id), "%.36s", result.out);
    return id;
}

static size_t
lines_of(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++) {
        count += *text == '\n' ? 1 : 0;
    }
    return count;
}

static void
says(const char *text, const char *words)
{
    if (strstr(text, words) == NULL) {
        fail_msg("\"%s\" is not in: %s", words, text);
    }
}

/* ---- Jobs --------------------------------------------------------------- */

static void
a_submitted_job_is_awaited_by_its_id(void **state)
{
    const char *id = submit("-d ok");

    (void)state;
    run(0, "await %s", id);
    says(result.out, id);
    says(result.out, "test/Run  SUCCEEDED  after 1 attempt");
    run(0, "await %s --result", id);
    assert_string_equal(result.out, "ok");
}

static void
call_prints_the_bytes_of_the_result(void **state)
{
    (void)state;
    tool_run(&gateway, "call test/Run -", "whatever\ncomes\n", &result);
    assert_int_equal(result.code, 0);
    assert_string_equal(result.out, "whatever\ncomes\n");
    assert_string_equal(result.err, "");
}

static void
call_tells_of_retries_and_of_the_end(void **state)
{
    (void)state;
    run(0, "call -v test/Run -d fail_1_UNAVAILABLE_TIRED");
    assert_string_equal(result.out, "fail 1 UNAVAILABLE TIRED");
    says(result.err, "attempt.failed     attempt 1 on script/");
    says(result.err, "UNAVAILABLE TIRED as the script says");
    says(result.err, "retry in ");
    says(result.err, "job.succeeded");
    run(1, "call test/Run -d fail_9_UNAVAILABLE_TIRED");
    assert_string_equal(result.out, "");
    says(result.err, "FAILED  after 3 attempts");
    says(result.err, "(ATTEMPTS_EXHAUSTED: all attempts that the policy "
                     "allows are used up)");
    says(result.err, "redial show ");
    run(1, "call test/Run -d fail_9_ABORTED_BUG");
    says(result.err, "after 1 attempt,");
    says(result.err, "NON_RETRYABLE_CODE");
}

static void
an_agent_without_ids_finds_its_jobs_by_correlation(void **state)
{
    (void)state;
    (void)submit("-c lost-agent -d ok");
    (void)submit("-c lost-agent -d fail_1_UNAVAILABLE_TIRED");
    (void)submit("-c lost-agent -d fail_2_UNAVAILABLE_TIRED");
    run(0, "await --correlation-id lost-agent --timeout 20s");
    assert_int_equal(lines_of(result.out), 3);
    run(0, "await --correlation-id lost-agent --json");
    assert_int_equal(lines_of(result.out), 3);
    says(result.out, "\"state\":\"SUCCEEDED\"");
    says(result.out, "\"result\":\"b2s=\"");
    run(4, "await --correlation-id nobody");
    run(4, "await 01890a5d-ac96-774b-bcce-b302099a8051");
    says(result.err, "no job has the id 01890a5d-ac96-774b-bcce-b302099a8051");
}

static void
a_job_that_is_not_done_in_time_is_pending(void **state)
{
    const char *id = submit("-d hold --key held");

    (void)state;
    script_wait_started(&script, 1);
    run(3, "await %s --timeout 50ms", id);
    says(result.err, "still waiting for 1 job");
    says(result.err, "test/Run  RUNNING  attempt 1 of 3");
    run(3, "call test/Run -d hold --key held --timeout 50ms");
    says(result.err, "joined the job that is there already, RUNNING");
    script_release(&script);
    run(0, "await --key held");
}

static void
show_tells_every_attempt_and_why(void **state)
{
    const char *id = submit("-c shown -d fail_1_UNAVAILABLE_TIRED");

    (void)state;
    run(0, "await %s", id);
    run(0, "show %s --why", id);
    says(result.out, "  test/Run  SUCCEEDED  after 2 attempts");
    says(result.out, "  correlation id shown\n");
    says(result.out, "FAILED UNAVAILABLE TIRED as the script says  retry in ");
    says(result.out, "(backoff 20 ms ×");
    says(result.out, "RETRY_PLANNED: the failure is retryable and all limits "
                     "allow it\n");
    says(result.out, "attempts  1 charged, 0 free, 2 left; policy version 1\n");
    run(0, "show %s --json", id);
    says(result.out, "\"rule\":\"RETRY_PLANNED\"");
    assert_int_equal(lines_of(result.out), 1);
    run(4, "show --key nothing");
}

static void
a_job_is_listed_and_cancelled(void **state)
{
    const char *id = submit("-d hold -c held");

    (void)state;
    script_wait_started(&script, 1);
    run(0, "list --correlation-id held");
    assert_int_equal(lines_of(result.out), 2);
    says(result.out, id);
    says(result.out, "RUNNING");
    run(0, "list --state PARKED");
    assert_string_equal(result.out, "");
    run(0, "cancel %s --reason changed_my_mind", id);
    assert_string_equal(result.out, "cancelled\n");
    run(1, "await %s", id);
    says(result.out, "CANCELLED");
    says(result.out, "changed my mind");
    run(0, "list --state CANCELLED --json");
    says(result.out, id);
    run(0, "await %s", submit("-d ok"));
    run(5, "cancel %.36s", result.out);
    says(result.out, "SUCCEEDED before");
}

/* A page that live jobs fill is not the last one. */
static void
finished_jobs_follow_a_page_full_of_live_ones(void **state)
{
    enum { PAGE = 1000 };
    static struct redial_job jobs[PAGE];
    static struct redial_submitted submitted[PAGE];
    struct redial_error error = {.text = ""};
    redial_client *client = client_of(&gateway);

    (void)state;
    for (size_t i = 0; i < PAGE; i++) {
        jobs[i] = job_of("later");
        jobs[i].not_before_ms = 3600000;
    }
    assert_int_equal(
        redial_submit_many(client, jobs, PAGE, patience(), submitted, &error),
        REDIAL_OK);
    redial_client_close(client);
    const char *id = submit("-d ok");

    run(0, "await %s", id);
    run(0, "list --state SCHEDULED --state SUCCEEDED --max 1000");
    says(result.err, "There are more");
    run(0, "list --state SCHEDULED --state SUCCEEDED --max 1100");
    says(result.out, id);
    assert_int_equal(lines_of(result.out), 1 + PAGE + 1);
    assert_string_equal(result.err, "");
}

static void
a_key_joins_the_same_and_refuses_another(void **state)
{
    char first[40];

    (void)state;
    (void)snprintf(first, sizeof(first), "%s", submit("-k fox -d ok"));
    assert_string_equal(submit("-k fox -d ok"), first);
    says(result.err, "joined the job that is there already");
    run(5, "submit test/Run -k fox -d fail_1_ABORTED_X");
    says(result.err, "ALREADY_EXISTS");
    says(result.err, "redial show --key KEY");
    run(0, "show --key fox");
    says(result.out, first);
}

/* ---- Events ------------------------------------------------------------- */

static void
events_are_read_again_from_the_start(void **state)
{
    const char *id = submit("-c told -d fail_1_UNAVAILABLE_TIRED");
    const char *at;
    static const char *const order[] = {
        "job.accepted",  "attempt.started", "attempt.failed",
        "retry.planned", "attempt.started", "attempt.succeeded",
        "job.succeeded",
    };

    (void)state;
    run(0, "await %s", id);
    run(0, "events --from start --no-follow --correlation-id told");
    assert_int_equal(lines_of(result.out), 7);
    at = result.out;
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        at = strstr(at, order[i]);
        assert_non_null(at);
        at++;
    }
    run(0, "events --since 1h --no-follow --json --type job.succeeded");
    assert_int_equal(lines_of(result.out), 1);
    says(result.out, "\"type\":\"job.succeeded\"");
    run(0, "events --from start --no-follow --type retry");
    assert_int_equal(lines_of(result.out), 1);
    run(5, "events --from nonsense");
}

static void
following_goes_on_over_a_crash_without_a_gap(void **state)
{
    struct tool follower;

    (void)state;
    tool_start(&follower, &gateway, "events --from start");
    tool_wait_for(&follower, "gateway.started");
    (void)submit("-d ok -c before");
    tool_wait_for(&follower, "  before");
    gateway_kill(&gateway);
    gateway_run(&gateway);
    (void)submit("-d ok -c after");
    tool_wait_for(&follower, "  after");
    assert_null(strstr(follower.out, "gap"));
    tool_stop(&follower);
}

static void
watching_ends_with_the_last_job(void **state)
{
    struct tool watcher;

    (void)state;
    (void)submit("-c seen -d hold");
    tool_start(&watcher, &gateway, "watch seen --until-done");
    tool_wait_for(&watcher, "test/Run  R");
    (void)submit("-c seen -d fail_9_UNAVAILABLE_TIRED");
    tool_wait_for(&watcher, "job.failed");
    script_release(&script);
    assert_int_equal(tool_wait(&watcher), 1);
    says(watcher.out, "job.succeeded");
}

static void
waiting_goes_on_over_a_crash(void **state)
{
    struct tool waiter;
    char line[64];

    (void)state;
    (void)snprintf(line, sizeof(line), "await %s", submit("-d hold"));
    script_wait_started(&script, 1);
    tool_start(&waiter, &gateway, line);
    gateway_kill(&gateway);
    script_release(&script);
    gateway_run(&gateway);
    tool_wait_for(&waiter, "SUCCEEDED");
    assert_int_equal(tool_wait(&waiter), 0);
}

/* ---- The gateway -------------------------------------------------------- */

static void
health_tells_ready_from_unreachable(void **state)
{
    (void)state;
    run(0, "health");
    says(result.out, "ready  version ");
    run(0, "health --json");
    says(result.out, "\"ready\":true");
    gateway_kill(&gateway);
    run(6, "health --timeout 100ms");
    says(result.err, "UNAVAILABLE NOT_CONNECTED");
    says(result.err, "Is the gateway running? Start it with: redial-gateway "
                     "--config FILE\n");
    says(result.err, gateway.admin);
    run(6, "submit test/Run --timeout 100ms");
    run(6, "events --timeout 100ms");
    run(6, "health --address ipc:///nowhere/admin.sock");
    says(result.err, "its socket does not exist");
    run(2, "health --address tcp://x");
    says(result.err, "tcp://x: ");
    run(2, "health --address tcp://x --json");
    says(result.err, "\"code\":\"INVALID_ARGUMENT\"");
    run(2, "health --token-file /nowhere/token");
}

static void
stats_show_queues_and_failures(void **state)
{
    (void)state;
    run(1, "call test/Run -d fail_9_UNAVAILABLE_TIRED");
    run(0, "submit nobody/Works");
    run(0, "stats");
    says(result.out, "READY 1");
    says(result.out, "oldest READY ");
    says(result.out, "FAILED           1 kept\n");
    says(result.out, "projection lag ");
    says(result.out, "sync             p50 ");
    says(result.out, "nobody/Works      1        0");
    run(0, "stats --json");
    says(result.out, "\"failed_kept\":\"1\"");
    says(result.out, "\"oldest_ready_ms\":");
    says(result.out, "\"sync_p99_us\":");
}

static void
reload_changes_all_or_nothing(void **state)
{
    (void)state;
    write_config(CONFIG("2"));
    run(0, "reload");
    says(result.out, "methodConfig");
    says(result.out, "applied: ");
    run(1, "call test/Run -d fail_9_UNAVAILABLE_TIRED");
    says(result.err, "after 2 attempts");
    write_config("{\"methodConfg\":[]}");
    run(5, "reload");
    says(result.err, "methodConfg");
    says(result.err, "refused: ");
    run(5, "reload --json");
    says(result.out, "\"applied\":false");
    run(0, "health");
}

static void
mistakes_on_the_command_line_are_explained(void **state)
{
    (void)state;
    run(2, "sumbit test/Run");
    says(result.err, "did you mean submit?");
    run(2, "submit test/Run --dta x");
    says(result.err, "did you mean --data?");
    run(2, "submit noslash");
    run(2, "await x");
    run(0, "help");
    run(0, "events --help");
    run(0, "version");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(a_submitted_job_is_awaited_by_its_id),
        TEST(call_prints_the_bytes_of_the_result),
        TEST(call_tells_of_retries_and_of_the_end),
        TEST(an_agent_without_ids_finds_its_jobs_by_correlation),
        TEST(a_job_that_is_not_done_in_time_is_pending),
        TEST(show_tells_every_attempt_and_why),
        TEST(a_job_is_listed_and_cancelled),
        TEST(finished_jobs_follow_a_page_full_of_live_ones),
        TEST(a_key_joins_the_same_and_refuses_another),
        TEST(events_are_read_again_from_the_start),
        TEST(following_goes_on_over_a_crash_without_a_gap),
        TEST(watching_ends_with_the_last_job),
        TEST(waiting_goes_on_over_a_crash),
        TEST(health_tells_ready_from_unreachable),
        TEST(stats_show_queues_and_failures),
        TEST(reload_changes_all_or_nothing),
        TEST(mistakes_on_the_command_line_are_explained),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
