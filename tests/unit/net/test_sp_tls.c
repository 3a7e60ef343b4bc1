/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SP server over tls+tcp, with certificates that openssl makes on the
 * spot. Skipped where there is no openssl.
 */
#include "tests/unit/net/rig.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/tls/tls.h>

#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct rig rig;
static char cert[96];
static char key[96];
static char other_cert[96];
static char other_key[96];

/* A self-signed certificate for localhost; false: no openssl. */
static bool
make_certificate(char *key_path, char *cert_path)
{
    char *arguments[] = {(char[]){"openssl"},
                         (char[]){"req"},
                         (char[]){"-x509"},
                         (char[]){"-newkey"},
                         (char[]){"ec"},
                         (char[]){"-pkeyopt"},
                         (char[]){"ec_paramgen_curve:prime256v1"},
                         (char[]){"-nodes"},
                         (char[]){"-subj"},
                         (char[]){"/CN=localhost"},
                         (char[]){"-days"},
                         (char[]){"2"},
                         (char[]){"-keyout"},
                         key_path,
                         (char[]){"-out"},
                         cert_path,
                         NULL};
    posix_spawn_file_actions_t actions;
    int status = -1;
    pid_t pid;

    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null",
                                           1, 0);
    if (posix_spawnp(&pid, "openssl", &actions, NULL, arguments, environ) ==
        0) {
        (void)waitpid(pid, &status, 0);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int
setup(void **state)
{
    (void)state;
    rig_init(&rig);
    (void)snprintf(cert, sizeof(cert), "%s/cert.pem", rig.dir);
    (void)snprintf(key, sizeof(key), "%s/key.pem", rig.dir);
    (void)snprintf(other_cert, sizeof(other_cert), "%s/cert2.pem", rig.dir);
    (void)snprintf(other_key, sizeof(other_key), "%s/key2.pem", rig.dir);
    rig.options.tls_cert_file = cert;
    rig.options.tls_key_file = key;
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    (void)unlink(cert);
    (void)unlink(key);
    (void)unlink(other_cert);
    (void)unlink(other_key);
    rig_end(&rig);
    return 0;
}

static void
make_certificates(void)
{
    if (!make_certificate(key, cert) ||
        !make_certificate(other_key, other_cert)) {
        skip();
    }
}

/* ---- a stock client ---- */

static void
load(const char *path, char *ret_text, size_t size)
{
    FILE *file = fopen(path, "re");

    assert_non_null(file);
    ret_text[fread(ret_text, 1, size - 1, file)] = '\0';
    (void)fclose(file);
}

static nng_tls_config *
client_config(const char *ca_path, const char *cert_path, const char *key_path)
{
    char first[4096];
    char second[4096];
    nng_tls_config *config;

    assert_int_equal(nng_tls_config_alloc(&config, NNG_TLS_MODE_CLIENT), 0);
    load(ca_path, first, sizeof(first));
    assert_int_equal(nng_tls_config_ca_chain(config, first, NULL), 0);
    assert_int_equal(nng_tls_config_server_name(config, "localhost"), 0);
    if (cert_path != NULL) {
        load(cert_path, first, sizeof(first));
        load(key_path, second, sizeof(second));
        assert_int_equal(nng_tls_config_own_cert(config, first, second, NULL),
                         0);
    }
    return config;
}

struct client {
    nng_socket socket;
    bool is_owner; /* of the socket */
    nng_ctx ctx;
    nng_aio *aio;
    atomic_bool is_done;
    bool is_sent;
};

static void
client_asked(void *arg)
{
    struct client *client = arg;

    if (nng_aio_result(client->aio) == 0 && !client->is_sent) {
        client->is_sent = true;
        nng_ctx_recv(client->ctx, client->aio);
        return;
    }
    atomic_store(&client->is_done, true);
}

static void
client_start(struct client *client)
{
    assert_int_equal(nng_ctx_open(&client->ctx, client->socket), 0);
    assert_int_equal(nng_aio_alloc(&client->aio, client_asked, client), 0);
    nng_aio_set_timeout(client->aio, 20000);
}

static void
client_open(struct client *client, nng_tls_config *config)
{
    nng_dialer dialer;
    char url[128];

    memset(client, 0, sizeof(*client));
    (void)snprintf(url, sizeof(url), "tls+tcp://localhost%s",
                   strrchr(rig.url, ':'));
    client->is_owner = true;
    assert_int_equal(nng_req0_open(&client->socket), 0);
    assert_int_equal(nng_dialer_create(&dialer, client->socket, url), 0);
    assert_int_equal(nng_dialer_set_ptr(dialer, NNG_OPT_TLS_CONFIG, config), 0);
    assert_int_equal(nng_dialer_start(dialer, NNG_FLAG_NONBLOCK), 0);
    client_start(client);
}

/* One more request on the connection of `owner`. */
static void
client_share(struct client *client, const struct client *owner)
{
    memset(client, 0, sizeof(*client));
    client->socket = owner->socket;
    client_start(client);
}

static void
client_ask(struct client *client, size_t len)
{
    nng_msg *msg;

    assert_int_equal(nng_msg_alloc(&msg, len), 0);
    memset(nng_msg_body(msg), 0x5a, len);
    nng_aio_set_msg(client->aio, msg);
    client->is_sent = false;
    atomic_store(&client->is_done, false);
    nng_ctx_send(client->ctx, client->aio);
}

static void
client_expect(struct client *client, size_t len)
{
    nng_msg *msg;

    nng_aio_wait(client->aio);
    assert_int_equal(nng_aio_result(client->aio), 0);
    msg = nng_aio_get_msg(client->aio);
    assert_int_equal(nng_msg_len(msg), len);
    for (size_t i = 0; i < len; i += 997) {
        assert_int_equal(((uint8_t *)nng_msg_body(msg))[i], 0x5a);
    }
    nng_msg_free(msg);
}

static void
client_close(struct client *client)
{
    nng_aio_stop(client->aio);
    if (!client->is_sent) { /* it never got through */
        nng_msg_free(nng_aio_get_msg(client->aio));
    }
    (void)nng_ctx_close(client->ctx);
    if (client->is_owner) {
        (void)nng_close(client->socket);
    }
    nng_aio_free(client->aio);
}

/* ---- tests ---- */

static void
a_stock_client_is_answered_over_tls(void **state)
{
    static const size_t sizes[] = {0, 100, 70000, 4u << 20};
    nng_tls_config *config;
    struct client client;
    struct sp_event event;

    (void)state;
    make_certificates();
    rig_start(&rig, "tls+tcp");
    config = client_config(cert, NULL, NULL);
    client_open(&client, config);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        client_ask(&client, sizes[i]);
        if (i == 0) {
            event = rig_expect(&rig, SP_OPENED);
            assert_true(sp_conn_peer(rig.server, event.conn)->is_tls);
            assert_false(sp_conn_peer(rig.server, event.conn)->has_uid);
        }
        event = rig_expect(&rig, SP_FRAME);
        assert_int_equal(event.body_len, sizes[i]);
        rig_echo(&rig, &event);
        client_expect(&client, sizes[i]);
    }
    client_close(&client);
    (void)rig_expect(&rig, SP_CLOSED);
    nng_tls_config_free(config);
}

/* TLS writes only the first piece of what it is given, and that in parts. */
static void
many_queued_replies_arrive_whole_over_tls(void **state)
{
    enum { COUNT = 60 };
    static struct sp_event events[COUNT];
    static struct client clients[COUNT];
    nng_tls_config *config;

    (void)state;
    make_certificates();
    rig_start(&rig, "tls+tcp");
    config = client_config(cert, NULL, NULL);
    client_open(&clients[0], config);
    for (size_t i = 1; i < COUNT; i++) {
        client_share(&clients[i], &clients[0]);
    }
    for (size_t i = 0; i < COUNT; i++) {
        client_ask(&clients[i], 1 + 700 * i); /* some large, most not */
    }
    (void)rig_expect(&rig, SP_OPENED);
    for (size_t i = 0; i < COUNT; i++) {
        events[i] = rig_expect(&rig, SP_FRAME);
    }
    for (size_t i = COUNT; i > 0; i--) {
        rig_echo(&rig, &events[i - 1]);
    }
    for (size_t i = 0; i < COUNT; i++) {
        client_expect(&clients[i], 1 + 700 * i);
    }
    for (size_t i = COUNT; i > 0; i--) {
        client_close(&clients[i - 1]);
    }
    nng_tls_config_free(config);
}

static void
plain_text_and_silence_are_closed(void **state)
{
    int plain;
    int silent;

    (void)state;
    make_certificates();
    rig.limits.greeting_ms = 100;
    rig_start(&rig, "tls+tcp");
    plain = peer_connect(&rig);
    silent = peer_connect(&rig);
    peer_greet(plain, 0x30);
    peer_write(plain, "GET / HTTP/1.1\r\n\r\n", 18);
    peer_expect_closed(plain);
    peer_expect_closed(silent);
    rig_expect_nothing(&rig);
    assert_int_equal(rig_count(&rig, opened), 0);
    (void)close(plain);
    (void)close(silent);
}

static void
a_client_needs_a_certificate_where_one_is_asked_for(void **state)
{
    nng_tls_config *config;
    struct client client;
    struct sp_event event;

    (void)state;
    make_certificates();
    rig.options.tls_ca_file = other_cert;
    rig_start(&rig, "tls+tcp");
    config = client_config(cert, NULL, NULL);
    client_open(&client, config);
    client_ask(&client, 10);
    rig_wait_count(&rig, accepted, 1);
    while (sp_server_connections(rig.server) > 0) {
        rig_pump(&rig);
    }
    assert_int_equal(rig_count(&rig, opened), 0);
    client_close(&client);
    nng_tls_config_free(config);

    config = client_config(cert, other_cert, other_key);
    client_open(&client, config);
    client_ask(&client, 10);
    (void)rig_expect(&rig, SP_OPENED);
    event = rig_expect(&rig, SP_FRAME);
    rig_echo(&rig, &event);
    client_expect(&client, 10);
    client_close(&client);
    nng_tls_config_free(config);
}

static void
missing_and_wrong_files_are_named(void **state)
{
    struct sp_listen_options options;
    const char *url = "tls+tcp://127.0.0.1:0";

    (void)state;
    make_certificates();
    rig_start(&rig, "tcp");
    memset(&options, 0, sizeof(options));
    assert_int_equal(
        sp_server_listen(rig.server, url, SP_ROLE_AGENT, &options, NULL),
        REDIAL_INVALID_ARGUMENT);
    options.tls_cert_file = cert;
    options.tls_key_file = "/no/such/key";
    assert_int_equal(
        sp_server_listen(rig.server, url, SP_ROLE_AGENT, &options, NULL),
        REDIAL_INVALID_ARGUMENT);
    assert_non_null(strstr(sp_server_error(rig.server), "/no/such/key"));
    options.tls_key_file = cert; /* no key at all */
    assert_int_not_equal(
        sp_server_listen(rig.server, url, SP_ROLE_AGENT, &options, NULL),
        REDIAL_OK);
}

int
main(void)
{
#define TLS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TLS_TEST(a_stock_client_is_answered_over_tls),
        TLS_TEST(many_queued_replies_arrive_whole_over_tls),
        TLS_TEST(plain_text_and_silence_are_closed),
        TLS_TEST(a_client_needs_a_certificate_where_one_is_asked_for),
        TLS_TEST(missing_and_wrong_files_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, rig_end_all);
}
