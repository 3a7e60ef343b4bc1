/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs of client/examples against a real gateway: they do what their
 * first comment says.
 */
#include "tests/e2e/examples/program.h"
#include "tests/e2e/harness/harness.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct test_gateway gateway;
static struct program worker;
static char config_path[96];

static const char config_format[] =
    "{\"plugins\":[{\"name\":\"words\","
    "\"plugin\":\"%s/bin/examples/example-plugin.so\","
    "\"methods\":[{\"service\":\"text.Words\",\"method\":\"Count\"}]}],"
    "\"methodConfig\":[{\"name\":[{\"service\":\"text.Caps\"}],"
    "\"retryPolicy\":{\"maxAttempts\":3,\"initialBackoff\":\"60s\","
    "\"maxBackoff\":\"60s\",\"backoffMultiplier\":1,"
    "\"retryableStatusCodes\":[\"UNAVAILABLE\"]}}]}";

static int
start(void **state)
{
    static const char *const argv[] = {"example-worker", NULL};
    char config[2048];
    int len;
    int fd;

    (void)state;
    gateway_setup(&gateway);
    (void)snprintf(config_path, sizeof(config_path), "%s/redial.json",
                   gateway.dir);
    len = snprintf(config, sizeof(config), config_format,
                   getenv("REDIAL_BUILD_DIR"));
    fd = open(config_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, config, (size_t)len), len);
    (void)close(fd);
    gateway.config = config_path;
    gateway_run(&gateway);
    program_start(&worker, gateway.workers, argv);
    program_wait_for(&worker, "ready\n");
    return 0;
}

static int
stop(void **state)
{
    (void)state;
    assert_int_equal(program_end(&worker, SIGTERM), 0);
    gateway_teardown(&gateway);
    return 0;
}

/* Runs the agent; `id` NULL: without correlation id. Its exit code. */
static int
ask(struct program *agent, const char *method, const char *text, const char *id)
{
    const char *argv[] = {"example-agent", "text.Caps", method, text, id, NULL};

    if (strcmp(method, "Count") == 0) {
        argv[1] = "text.Words";
    }
    program_start(agent, gateway.agents, argv);
    return program_wait(agent);
}

static void
the_agent_prints_what_the_worker_made(void **state)
{
    struct program agent;

    (void)state;
    assert_int_equal(ask(&agent, "Raise", "a red fox", NULL), 0);
    assert_string_equal(agent.text, "A RED FOX");
}

static void
the_agent_says_why_a_job_failed(void **state)
{
    struct program agent;

    (void)state;
    assert_int_equal(ask(&agent, "Raise", "", NULL), 1);
    assert_non_null(strstr(agent.text, "FAILED after 1 attempts: "
                                       "INVALID_ARGUMENT EMPTY_TEXT"));
}

/* The policy's backoff is a minute, so only the pushback makes this pass. */
static void
a_busy_worker_is_asked_again_when_it_said(void **state)
{
    struct program agent;

    (void)state;
    assert_int_equal(ask(&agent, "Raise", "busy bee", NULL), 0);
    assert_string_equal(agent.text, "BUSY BEE");
}

static void
the_plugin_counts_words(void **state)
{
    struct program agent;

    (void)state;
    assert_int_equal(ask(&agent, "Count", " one two\nthree ", NULL), 0);
    assert_string_equal(agent.text, "3\n");
    assert_int_equal(ask(&agent, "Count", "", NULL), 0);
    assert_string_equal(agent.text, "0\n");
}

static void
the_follower_shows_attempts_and_decisions(void **state)
{
    char cursor[96];
    const char *argv[] = {"example-follow", "shown", cursor, NULL};
    struct program agent;
    struct program follower;

    (void)state;
    (void)snprintf(cursor, sizeof(cursor), "%s/shown", gateway.dir);
    program_start(&follower, gateway.agents, argv);
    assert_int_equal(ask(&agent, "Raise", "busy", "shown"), 0);
    program_wait_for(&follower, "job.succeeded");
    assert_int_equal(program_end(&follower, SIGTERM), -1);
    assert_non_null(strstr(follower.text, "text.Caps/Raise job.accepted\n"));
    assert_non_null(strstr(follower.text, "attempt.failed attempt 1 "
                                          "UNAVAILABLE BUSY"));
    assert_non_null(strstr(follower.text, "retry.planned attempt 1 UNAVAILABLE "
                                          "BUSY [RETRY_PLANNED]\n"));
    assert_non_null(strstr(follower.text, "attempt.started attempt 2\n"));
}

/*
 * It may print the event before its cursor again, because it is killed at any
 * point, but not the one before.
 */
static void
a_follower_started_again_goes_on_where_it_was(void **state)
{
    char cursor[96];
    const char *argv[] = {"example-follow", "resumed", cursor, NULL};
    struct program agent;
    struct program follower;

    (void)state;
    (void)snprintf(cursor, sizeof(cursor), "%s/resumed", gateway.dir);
    assert_int_equal(ask(&agent, "Raise", "one", "resumed"), 0);
    program_start(&follower, gateway.agents, argv);
    program_wait_for(&follower, "job.succeeded");
    assert_int_equal(program_end(&follower, SIGKILL), -1);
    assert_int_equal(ask(&agent, "Count", "two", "resumed"), 0);
    program_start(&follower, gateway.agents, argv);
    program_wait_for(&follower, "text.Words/Count job.succeeded");
    assert_int_equal(program_end(&follower, SIGKILL), -1);
    assert_null(strstr(follower.text, "text.Caps/Raise attempt.started"));
    assert_non_null(strstr(follower.text, "text.Words/Count job.accepted"));
}

static void
examples_explain_their_use(void **state)
{
    static const char *const names[] = {
        "example-agent", "example-follow", "story-finder", "script-writer",
        "illustrator",   "narrator",       "composer",     "editor",
    };
    struct program program;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *argv[] = {names[i], NULL};

        program_start(&program, gateway.agents, argv);
        assert_in_range(program_wait(&program), 1, 2);
        assert_non_null(strstr(program.text, "usage: "));
    }
}

static void
an_agent_of_the_pipeline_says_that_nobody_is_there(void **state)
{
    char out[96];
    const char *argv[] = {"story-finder", "lonely", config_path, out, NULL};
    struct program program;

    (void)state;
    (void)snprintf(out, sizeof(out), "%s/story", gateway.dir);
    program_start(&program, "no address", argv);
    assert_int_equal(program_wait(&program), 3);
    assert_non_null(strstr(program.text, "story-finder: INVALID_ARGUMENT"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_agent_prints_what_the_worker_made),
        cmocka_unit_test(the_agent_says_why_a_job_failed),
        cmocka_unit_test(a_busy_worker_is_asked_again_when_it_said),
        cmocka_unit_test(the_plugin_counts_words),
        cmocka_unit_test(the_follower_shows_attempts_and_decisions),
        cmocka_unit_test(a_follower_started_again_goes_on_where_it_was),
        cmocka_unit_test(examples_explain_their_use),
        cmocka_unit_test(an_agent_of_the_pipeline_says_that_nobody_is_there),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
