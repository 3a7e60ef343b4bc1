/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limits of the SP server: at, below and above each.
 */
#include "tests/unit/net/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct rig rig;

static int
setup(void **state)
{
    (void)state;
    rig_init(&rig);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    rig_end(&rig);
    return 0;
}

/* A frame of this size, id included, is delivered and echoed. */
static void
expect_passes(int fd, size_t frame_bytes)
{
    char *body = malloc(frame_bytes);
    char *got = malloc(frame_bytes);
    size_t len = frame_bytes - 4;
    struct sp_event event;

    for (size_t i = 0; i < len; i++) {
        body[i] = (char)(i % 253);
    }
    peer_send(&rig, fd, 1, body, len);
    event = rig_expect(&rig, SP_FRAME);
    assert_int_equal(event.body_len, len);
    rig_echo(&rig, &event);
    assert_int_equal(peer_receive(&rig, fd, NULL, got, len), len);
    assert_memory_equal(got, body, len);
    free(body);
    free(got);
}

/* A frame of this size is answered by a refusal. */
static void
expect_refused(int fd, size_t frame_bytes)
{
    char *body = calloc(1, frame_bytes);
    char answer[128] = "";

    peer_send(&rig, fd, 2, body, frame_bytes - 4);
    assert_true(peer_receive(&rig, fd, NULL, answer, sizeof(answer)) > 0);
    assert_non_null(memmem(answer, sizeof(answer), "FRAME_TOO_LARGE", 15));
    free(body);
}

static void
a_guests_frame_has_64_kib_at_most(void **state)
{
    struct sp_event event;
    int fd;

    (void)state;
    rig.options.is_authenticated_at_accept = false;
    rig_start(&rig, "ipc");
    fd = peer_open(&rig);
    event = rig_expect(&rig, SP_OPENED);
    assert_false(sp_conn_peer(rig.server, event.conn)->is_authenticated);
    expect_passes(fd, 65535);
    expect_passes(fd, 65536);
    expect_refused(fd, 65537);
    (void)close(fd);
}

static void
authentication_lifts_the_limit_to_6_mib(void **state)
{
    struct sp_event event;
    int fd;

    (void)state;
    rig.options.is_authenticated_at_accept = false;
    rig_start(&rig, "tcp");
    fd = peer_open(&rig);
    event = rig_expect(&rig, SP_OPENED);
    sp_conn_authenticated(rig.server, event.conn);
    assert_true(sp_conn_peer(rig.server, event.conn)->is_authenticated);
    expect_passes(fd, 65537);
    expect_passes(fd, (6u << 20) - 1);
    expect_passes(fd, 6u << 20);
    expect_refused(fd, (6u << 20) + 1);
    (void)close(fd);
}

static void
a_connection_with_16_frames_waiting_is_not_read(void **state)
{
    int fd;

    (void)state;
    rig_start(&rig, "ipc");
    fd = peer_open(&rig);
    (void)rig_expect(&rig, SP_OPENED);
    rig_expect_nothing(&rig);
    for (uint32_t i = 0; i < 100; i++) {
        peer_send(&rig, fd, i, &i, sizeof(i));
    }
    rig_wait_count_untaken(&rig, reads_paused, 1);
    assert_int_equal(rig_count(&rig, frames_in), 16);
    for (uint32_t i = 0; i < 100; i++) {
        struct sp_event event = rig_expect(&rig, SP_FRAME);

        assert_memory_equal(event.body, &i, sizeof(i));
        rig_echo(&rig, &event);
    }
    rig_expect_nothing(&rig);
    (void)close(fd);
}

static void
a_connection_with_too_many_bytes_waiting_is_not_read(void **state)
{
    static char body[40000];
    int fd;

    (void)state;
    rig.limits.waiting_bytes_max = 100000;
    rig_start(&rig, "tcp");
    fd = peer_open(&rig);
    (void)rig_expect(&rig, SP_OPENED);
    rig_expect_nothing(&rig);
    for (uint32_t i = 0; i < 6; i++) {
        peer_send(&rig, fd, i, body, sizeof(body));
    }
    rig_wait_count_untaken(&rig, reads_paused, 1);
    assert_int_equal(rig_count(&rig, frames_in), 3);
    for (uint32_t i = 0; i < 6; i++) {
        struct sp_event event = rig_expect(&rig, SP_FRAME);

        rig_echo(&rig, &event);
    }
    (void)close(fd);
}

/* Two busy peers: neither waits for the other to be done. */
static void
connections_are_taken_in_turn(void **state)
{
    enum { FRAMES = 150 };
    struct sp_event events[SP_LISTENERS_MAX * 64];
    size_t firsts = 0;
    size_t seen = 0;
    int fds[2];

    (void)state;
    rig.limits.waiting_frames_max = FRAMES;
    rig_start(&rig, "ipc");
    for (size_t k = 0; k < 2; k++) {
        fds[k] = peer_open(&rig);
        (void)rig_expect(&rig, SP_OPENED);
        rig_expect_nothing(&rig);
    }
    for (uint32_t i = 0; i < FRAMES; i++) {
        peer_send(&rig, fds[0], i, "0", 1);
        peer_send(&rig, fds[1], i, "1", 1);
    }
    rig_wait_count_untaken(&rig, frames_in, 2 * FRAMES);
    seen = sp_server_take(rig.server, events, 2 * 64);
    assert_int_equal(seen, 2 * 64);
    for (size_t i = 0; i < seen; i++) {
        assert_int_equal(events[i].kind, SP_FRAME);
        firsts += events[i].body[0] == '0' ? 1 : 0;
        sp_frame_release(rig.server, events[i].frame);
    }
    assert_int_equal(firsts, 64);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void
requests_beyond_the_limit_are_answered_at_once(void **state)
{
    struct sp_event events[3];
    char answer[128] = "";
    uint32_t id;
    int fd;

    (void)state;
    rig.limits.requests_max = 3;
    rig_start(&rig, "ipc");
    fd = peer_open(&rig);
    (void)rig_expect(&rig, SP_OPENED);
    for (uint32_t i = 0; i < 3; i++) {
        peer_send(&rig, fd, i, "", 0);
        events[i] = rig_expect(&rig, SP_FRAME);
    }
    peer_send(&rig, fd, 3, "", 0);
    assert_true(peer_receive(&rig, fd, &id, answer, sizeof(answer)) > 0);
    assert_int_equal(id, 3);
    assert_non_null(memmem(answer, sizeof(answer), "TOO_MANY_REQUESTS", 17));
    assert_int_equal(rig_count(&rig, requests_refused), 1);
    rig_reply(&rig, &events[0], "", 0);
    assert_int_equal(peer_receive(&rig, fd, &id, NULL, 0), 0);
    peer_send(&rig, fd, 4, "", 0); /* there is room again */
    rig_reply(&rig, &events[1], "", 0);
    rig_reply(&rig, &events[2], "", 0);
    events[0] = rig_expect(&rig, SP_FRAME);
    rig_reply(&rig, &events[0], "", 0);
    (void)close(fd);
}

static void
the_queue_of_a_connection_has_a_maximum(void **state)
{
    static char body[100000];
    struct sp_event events[20];
    struct sp_message *message;
    int fd;

    (void)state;
    rig.limits.queued_bytes_max = 1000000;
    rig.limits.waiting_frames_max = 20;
    rig_start(&rig, "ipc");
    fd = peer_open(&rig);
    (void)rig_expect(&rig, SP_OPENED);
    for (uint32_t i = 0; i < 20; i++) {
        peer_send(&rig, fd, i, "", 0);
        events[i] = rig_expect(&rig, SP_FRAME);
        sp_frame_release(rig.server, events[i].frame);
    }
    for (size_t i = 0; i < 20; i++) { /* nothing is flushed meanwhile */
        enum redial_status status;

        message = sp_message_new(sizeof(body));
        memcpy(sp_message_body(message), body, sizeof(body));
        status = sp_send(rig.server, events[i].conn, events[i].request,
                         message);
        assert_int_equal(status, i < 9 ? REDIAL_OK : REDIAL_RESOURCE_EXHAUSTED);
        if (status != REDIAL_OK) {
            sp_message_free(message);
        }
    }
    assert_true(sp_conn_over_cap(rig.server, events[0].conn));
    sp_server_flush(rig.server);
    for (size_t i = 0; i < 9; i++) {
        assert_int_equal(peer_receive(&rig, fd, NULL, NULL, 0), sizeof(body));
    }
    (void)rig_expect(&rig, SP_WRITABLE);
    rig_expect_nothing(&rig);
    (void)close(fd);
}

static void
connections_beyond_the_listeners_limit_wait(void **state)
{
    int fds[3];

    (void)state;
    rig.options.connections_max = 2;
    rig_start(&rig, "ipc");
    for (size_t i = 0; i < 2; i++) {
        fds[i] = peer_open(&rig);
        (void)rig_expect(&rig, SP_OPENED);
    }
    fds[2] = peer_connect(&rig); /* in the backlog */
    peer_greet(fds[2], 0x30);
    rig_wait_count(&rig, accept_pauses, 1);
    rig_expect_nothing(&rig);
    assert_int_equal(rig_count(&rig, accepted), 2);
    (void)close(fds[0]);
    (void)rig_expect(&rig, SP_CLOSED);
    (void)rig_expect(&rig, SP_OPENED);
    peer_expect_greeting(fds[2]);
    (void)close(fds[1]);
    (void)close(fds[2]);
}

static void
connections_beyond_the_servers_limit_wait(void **state)
{
    int fds[2];

    (void)state;
    rig.limits.connections_max = 1;
    rig_start(&rig, "tcp");
    fds[0] = peer_open(&rig);
    (void)rig_expect(&rig, SP_OPENED);
    fds[1] = peer_connect(&rig);
    peer_greet(fds[1], 0x30);
    rig_wait_count(&rig, accept_pauses, 1);
    (void)close(fds[0]);
    (void)rig_expect(&rig, SP_CLOSED);
    (void)rig_expect(&rig, SP_OPENED);
    (void)close(fds[1]);
}

static void
accepts_beyond_the_rate_come_in_the_next_second(void **state)
{
    int fds[3];

    (void)state;
    rig.options.accepts_per_s = 2;
    rig_start(&rig, "ipc");
    for (size_t i = 0; i < 3; i++) {
        fds[i] = peer_connect(&rig);
        peer_greet(fds[i], 0x30);
    }
    rig_wait_count(&rig, accept_delays, 1);
    assert_int_equal(rig_count(&rig, accepted), 2);
    rig_wait_count(&rig, accepted, 3);
    for (size_t i = 0; i < 3; i++) {
        (void)rig_expect(&rig, SP_OPENED);
        (void)close(fds[i]);
    }
}

static void
listeners_have_a_limit_and_bad_addresses_are_named(void **state)
{
    static const char *const bad[] = {"", "inproc://x", "ws://127.0.0.1:0",
                                      "tcp//127.0.0.1:0",
                                      "ipc:///no/such/folder/socket"};
    struct sp_listener *listener;

    (void)state;
    rig_start(&rig, "tcp");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_not_equal(sp_server_listen(rig.server, bad[i], SP_ROLE_AGENT,
                                              &rig.options, &listener),
                             REDIAL_OK);
        assert_true(strlen(sp_server_error(rig.server)) > 0);
    }
    for (size_t i = 1; i < SP_LISTENERS_MAX; i++) {
        assert_int_equal(sp_server_listen(rig.server, "tcp://127.0.0.1:0",
                                          SP_ROLE_AGENT, &rig.options,
                                          &listener),
                         REDIAL_OK);
        assert_string_not_equal(sp_listener_url(listener), rig.url);
    }
    assert_int_equal(sp_server_listen(rig.server, "tcp://127.0.0.1:0",
                                      SP_ROLE_AGENT, &rig.options, &listener),
                     REDIAL_RESOURCE_EXHAUSTED);
}

int
main(void)
{
#define LIMIT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        LIMIT_TEST(a_guests_frame_has_64_kib_at_most),
        LIMIT_TEST(authentication_lifts_the_limit_to_6_mib),
        LIMIT_TEST(a_connection_with_16_frames_waiting_is_not_read),
        LIMIT_TEST(a_connection_with_too_many_bytes_waiting_is_not_read),
        LIMIT_TEST(connections_are_taken_in_turn),
        LIMIT_TEST(requests_beyond_the_limit_are_answered_at_once),
        LIMIT_TEST(the_queue_of_a_connection_has_a_maximum),
        LIMIT_TEST(connections_beyond_the_listeners_limit_wait),
        LIMIT_TEST(connections_beyond_the_servers_limit_wait),
        LIMIT_TEST(accepts_beyond_the_rate_come_in_the_next_second),
        LIMIT_TEST(listeners_have_a_limit_and_bad_addresses_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, rig_end_all);
}
