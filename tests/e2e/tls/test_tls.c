/* SPDX-License-Identifier: Apache-2.0 */
/* A gateway on tls+tcp: the right authority, the wrong one, the wrong name. */
#include "tests/e2e/harness/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct test_gateway gateway;
static struct script worker;
static char config_path[96];
static char ca_path[96];
static char other_ca_path[96];
static char address[96];

/* Runs a program to its end; true when it exits with 0. */
static bool
run_program(const char *const *argv)
{
    pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        (void)!freopen("/dev/null", "w", stderr);
        (void)execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

/* A certificate that signs itself: its own authority. */
static void
make_certificate(const char *name, char ret_cert[96])
{
    char key[96];
    const char *argv[] = {
        "openssl",       "req",      "-x509",
        "-newkey",       "rsa:2048", "-nodes",
        "-days",         "2",        "-subj",
        "/CN=localhost", "-addext",  "subjectAltName=DNS:localhost",
        "-keyout",       key,        "-out",
        ret_cert,        NULL,
    };

    (void)snprintf(ret_cert, 96, "%s/%s.pem", gateway.dir, name);
    (void)snprintf(key, sizeof(key), "%s/%s.key", gateway.dir, name);
    assert_true(run_program(argv));
}

static void
write_config(void)
{
    FILE *file;

    (void)snprintf(config_path, sizeof(config_path), "%s/gateway.json",
                   gateway.dir);
    file = fopen(config_path, "w");
    assert_non_null(file);
    (void)fprintf(file,
                  "{\"listeners\":["
                  "{\"url\":\"tls+tcp://127.0.0.1:0\",\"role\":\"agent\","
                  "\"tls\":{\"cert\":\"%s\",\"key\":\"%s/own.key\"}},"
                  "{\"url\":\"%s\",\"role\":\"worker\"}]}",
                  ca_path, gateway.dir, gateway.workers);
    assert_int_equal(fclose(file), 0);
}

/* The port that it got is in the log line of the listener. */
static void
find_address(void)
{
    const char *at = strstr(gateway.started, "tls+tcp://127.0.0.1:");

    assert_non_null(at);
    (void)snprintf(address, sizeof(address), "tls+tcp://localhost:%lu",
                   strtoul(at + strlen("tls+tcp://127.0.0.1:"), NULL, 10));
}

static int
start(void **state)
{
    (void)state;
    gateway_setup(&gateway);
    make_certificate("own", ca_path);
    make_certificate("other", other_ca_path);
    write_config();
    gateway.config = config_path;
    gateway_run(&gateway);
    find_address();
    script_open(&worker, &gateway, 2);
    return 0;
}

static int
stop(void **state)
{
    (void)state;
    script_close(&worker);
    assert_int_equal(gateway_terminate(&gateway), 0);
    gateway_teardown(&gateway);
    return 0;
}

static enum redial_status
call_with(const char *ca, const char *name, uint64_t patience_ms)
{
    struct redial_client_options options = {
        .struct_size = sizeof(options),
        .connection.addresses = address,
        .connection.tls_ca_file = ca,
        .connection.tls_server_name = name,
    };
    struct redial_job job = job_of("ok");
    struct redial_job_info *info = NULL;
    redial_client *client = NULL;
    struct redial_error error = {.text = ""};
    enum redial_status status;

    assert_int_equal(redial_client_open(&options, &client, &error), REDIAL_OK);
    status = redial_call(client, &job, redial_in_ms(patience_ms), &info,
                         &error);
    if (status == REDIAL_OK) {
        assert_int_equal(info->state, REDIAL_JOB_SUCCEEDED);
    }
    redial_job_info_free(info);
    redial_client_close(client);
    return status;
}

static void
with_the_right_authority_jobs_go_through(void **state)
{
    (void)state;
    assert_int_equal(call_with(ca_path, "localhost", PATIENCE_MS), REDIAL_OK);
}

static void
with_another_authority_nothing_is_sent(void **state)
{
    (void)state;
    assert_int_equal(call_with(other_ca_path, "localhost", 1500),
                     REDIAL_UNAVAILABLE);
}

static void
with_another_name_nothing_is_sent(void **state)
{
    (void)state;
    assert_int_equal(call_with(ca_path, "elsewhere", 1500), REDIAL_UNAVAILABLE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_the_right_authority_jobs_go_through),
        cmocka_unit_test(with_another_authority_nothing_is_sent),
        cmocka_unit_test(with_another_name_nothing_is_sent),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
