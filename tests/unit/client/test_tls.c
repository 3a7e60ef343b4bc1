/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same over TLS. Certificates are made on the spot by the openssl program;
 * without it the test is skipped.
 */
#include "client/clock.h"
#include "proto/check.h"
#include "tests/unit/client/support.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_BYTES 64
#define SKIPPED    77

static char directory[PATH_BYTES];

static const char *
path_of(const char *name)
{
    static char path[2][PATH_BYTES * 2];
    static unsigned turn;

    turn = (turn + 1) % 2;
    (void)snprintf(path[turn], sizeof(path[turn]), "%s/%s", directory, name);
    return path[turn];
}

static bool
run_openssl(const char *const *arguments)
{
    union {
        const char *const *in;
        char *const *out;
    } u = {.in = arguments};
    posix_spawn_file_actions_t actions;
    int status = -1;
    pid_t pid;

    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY,
                                           0);
    if (posix_spawnp(&pid, "openssl", &actions, NULL, u.out, environ) == 0) {
        WIRE_CHECK(waitpid(pid, &status, 0) == pid);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return status == 0;
}

/* <name>.pem: a certificate for this host name, signed by itself, and its key;
 * <name>.crt: the certificate alone. */
static bool
make_certificate(const char *name, const char *subject)
{
    char key[PATH_BYTES * 2];
    char crt[PATH_BYTES * 2];
    char pem[PATH_BYTES * 2];
    const char *const arguments[] = {
        "openssl", "req",    "-x509",    "-newkey",
        "ec",      "-nodes", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-days",   "2",      "-subj",    subject,
        "-keyout", key,      "-out",     crt,
        NULL};
    char line[512];
    FILE *out;

    (void)snprintf(key, sizeof(key), "%s/%s.key", directory, name);
    (void)snprintf(crt, sizeof(crt), "%s/%s.crt", directory, name);
    (void)snprintf(pem, sizeof(pem), "%s/%s.pem", directory, name);
    if (!run_openssl(arguments)) {
        return false;
    }
    out = fopen(pem, "w");
    WIRE_CHECK(out != NULL);
    for (int i = 0; i < 2; i++) {
        FILE *in = fopen(i == 0 ? crt : key, "r");

        WIRE_CHECK(in != NULL);
        while (fgets(line, sizeof(line), in) != NULL) {
            WIRE_CHECK(fputs(line, out) >= 0);
        }
        (void)fclose(in);
    }
    WIRE_CHECK(fclose(out) == 0);
    return true;
}

static void
remove_all(void)
{
    static const char *const names[] = {"server.key", "server.crt",
                                        "server.pem", "other.key",
                                        "other.crt",  "other.pem"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)unlink(path_of(names[i]));
    }
    (void)rmdir(directory);
}

/* ---- the tests ---- */

struct rig {
    struct peer *peer;
    redial_client *client;
};

static int
set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    WIRE_CHECK(rig != NULL);
    rig->peer = peer_new("tls+tcp://localhost:0");
    peer_use_tls(rig->peer, path_of("server.pem"));
    peer_start(rig->peer);
    *state = rig;
    return 0;
}

static int
tear_down(void **state)
{
    struct rig *rig = *state;

    redial_client_close(rig->client);
    peer_free(rig->peer);
    free(rig);
    return 0;
}

static void
open_tls(struct rig *rig, const char *ca_file, const char *server_name)
{
    struct redial_client_options options = {
        .struct_size = sizeof(options),
        .connection.addresses = peer_url(rig->peer),
        .connection.tls_ca_file = ca_file,
        .connection.tls_server_name = server_name,
    };
    struct redial_error error = {0};

    if (redial_client_open(&options, &rig->client, &error) != REDIAL_OK) {
        fail_msg("open: %s", error.text);
    }
}

static bool
accept_all(void *ctx, struct peer_request *request)
{
    (void)ctx;
    accept_jobs(request);
    return true;
}

static void
a_trusted_gateway_is_used_also_for_large_jobs(void **state)
{
    struct rig *rig = *state;
    struct redial_job job = test_job();
    struct redial_submitted submitted;
    struct redial_error error = {0};
    uint8_t *payload = calloc(1, REDIAL_PAYLOAD_BYTES_MAX);

    assert_non_null(payload);
    peer_handle(rig->peer, accept_all, NULL);
    open_tls(rig, path_of("server.crt"), NULL);
    job.payload = payload;
    job.payload_bytes = REDIAL_PAYLOAD_BYTES_MAX;
    for (int i = 0; i < 3; i++) {
        if (redial_submit(rig->client, &job, redial_in_ms(30000), &submitted,
                          &error) != REDIAL_OK) {
            fail_msg("submit: %s", error.text);
        }
    }
    free(payload);
}

static void
not_trusted(struct rig *rig)
{
    struct redial_job job = test_job();
    struct redial_submitted submitted;
    struct redial_error error = {0};

    assert_int_equal(redial_submit(rig->client, &job, redial_in_ms(2000),
                                   &submitted, &error),
                     REDIAL_UNAVAILABLE);
    assert_non_null(strstr(error.text, "tls+tcp://localhost:"));
    assert_false(peer_has(rig->peer, NULL));
}

static void
another_authority_is_not_trusted(void **state)
{
    struct rig *rig = *state;

    open_tls(rig, path_of("other.crt"), NULL);
    not_trusted(rig);
}

static void
another_name_is_not_trusted(void **state)
{
    struct rig *rig = *state;

    open_tls(rig, path_of("server.crt"), "gateway.example");
    not_trusted(rig);
}

#define TEST(function) \
    cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_trusted_gateway_is_used_also_for_large_jobs),
        TEST(another_authority_is_not_trusted),
        TEST(another_name_is_not_trusted),
    };
    int failed = SKIPPED;

    (void)snprintf(directory, sizeof(directory), "/tmp/redial-test-XXXXXX");
    WIRE_CHECK(mkdtemp(directory) != NULL);
    if (make_certificate("server", "/CN=localhost") &&
        make_certificate("other", "/CN=localhost")) {
        failed = cmocka_run_group_tests(tests, NULL, NULL);
    }
    remove_all();
    return failed;
}
