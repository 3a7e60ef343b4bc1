/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SP server with peers that do not behave: each test ends by serving an
 * honest one.
 */
#include "tests/unit/net/rig.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
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

/* The next frame of whoever else is there to open and close. */
static struct sp_event
next_frame(void)
{
    struct sp_event event = rig_next(&rig);

    while (event.kind != SP_FRAME) {
        event = rig_next(&rig);
    }
    return event;
}

static void
serve_honest_peer(void)
{
    struct sp_event event;
    char body[8];
    int fd = peer_open(&rig);

    peer_send(&rig, fd, 77, "honest", 6);
    event = next_frame();
    assert_memory_equal(event.body, "honest", 6);
    rig_echo(&rig, &event);
    assert_int_equal(peer_receive(&rig, fd, NULL, body, sizeof(body)), 6);
    (void)close(fd);
}

static int
teardown(void **state)
{
    (void)state;
    serve_honest_peer();
    rig_end(&rig);
    return 0;
}

/* ---- the handshake ---- */

static void
ipc_peers_that_leave_at_once_do_no_harm(void **state)
{
    (void)state;
    rig_start(&rig, "ipc");
    for (size_t i = 0; i < 400; i++) {
        (void)close(peer_connect(&rig));
        rig_expect_nothing(&rig);
    }
}

static void
peers_that_leave_within_the_greeting_do_no_harm(void **state)
{
    static const uint8_t greeting[8] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};

    (void)state;
    rig_start(&rig, "ipc");
    for (size_t i = 0; i < 100; i++) {
        int fd = peer_connect(&rig);

        peer_write(fd, greeting, i % 8);
        (void)close(fd);
    }
    rig_wait_count(&rig, accepted, 100);
    rig_expect_nothing(&rig);
}

/*
 * What a stock client does that dials without waiting and is closed: many at
 * once, each with its greeting under way. (Real ones leak when that happens.)
 */
static void
clients_that_dial_and_leave_do_no_harm(void **state)
{
    enum { PEERS = 50 };

    (void)state;
    rig_start(&rig, "ipc");
    for (size_t round = 0; round < 4; round++) {
        int fds[PEERS];

        for (size_t i = 0; i < PEERS; i++) {
            fds[i] = peer_connect(&rig);
            peer_greet(fds[i], 0x30);
        }
        for (size_t i = 0; i < PEERS; i++) {
            (void)close(fds[i]);
        }
    }
    rig_wait_count(&rig, accepted, 4 * PEERS);
}

static void
a_second_server_on_the_path_is_refused_and_does_no_harm(void **state)
{
    struct sp_server *second;

    (void)state;
    rig_start(&rig, "ipc");
    assert_int_equal(
        sp_server_create(&rig.limits, (void (*)(void *))abort, NULL, &second),
        REDIAL_OK);
    assert_int_equal(
        sp_server_listen(second, rig.url, SP_ROLE_AGENT, &rig.options, NULL),
        REDIAL_ALREADY_EXISTS);
    assert_non_null(strstr(sp_server_error(second), rig.url));
    sp_server_fini(second);
}

/* FIN and then RST, all while still in the backlog. */
static void
tcp_peers_that_reset_do_no_harm(void **state)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    (void)state;
    rig_start(&rig, "tcp");
    for (size_t i = 0; i < 200; i++) {
        int fd = peer_connect(&rig);

        (void)shutdown(fd, SHUT_WR);
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        (void)close(fd);
        rig_expect_nothing(&rig);
    }
}

static void
garbage_and_other_protocols_are_closed(void **state)
{
    int fd;

    (void)state;
    rig_start(&rig, "tcp");
    fd = peer_connect(&rig);
    peer_write(fd, "GET / HTTP/1.1\r\n\r\n", 18);
    peer_expect_closed(fd);
    (void)close(fd);
    for (uint16_t protocol = 0x10; protocol < 0x80; protocol++) {
        if (protocol != 0x30) {
            fd = peer_connect(&rig);
            peer_greet(fd, protocol);
            peer_expect_closed(fd);
            (void)close(fd);
        }
    }
    rig_wait_count(&rig, greeting_failures, 112);
    assert_int_equal(rig_count(&rig, opened), 0);
}

static void
a_silent_peer_is_closed_after_the_greeting_time(void **state)
{
    int silent;
    int half;

    (void)state;
    rig.limits.greeting_ms = 50;
    rig_start(&rig, "ipc");
    silent = peer_connect(&rig);
    half = peer_connect(&rig);
    peer_write(half, "\0SP", 3);
    peer_expect_closed(silent);
    peer_expect_closed(half);
    rig_wait_count(&rig, greeting_timeouts, 2);
    rig_wait_connections(&rig, 0);
    (void)close(silent);
    (void)close(half);
    rig.limits.greeting_ms = 3000;
}

/* ---- frames ---- */

static void
a_frame_without_an_id_is_closed(void **state)
{
    uint8_t zeros[64] = {0};
    int fd;

    (void)state;
    rig_start(&rig, "ipc");
    fd = peer_open(&rig);
    (void)rig_expect(&rig, SP_OPENED);
    peer_write_head(&rig, fd, sizeof(zeros));
    peer_write(fd, zeros, sizeof(zeros));
    (void)rig_expect(&rig, SP_CLOSED);
    peer_expect_closed(fd);
    assert_int_equal(rig_count(&rig, frames_bad), 1);
    (void)close(fd);
}

static void
a_giant_length_is_answered_and_closed(void **state)
{
    static const uint8_t id[4] = {0x80, 0, 0, 3};
    uint32_t got;
    char body[256] = "";
    int fd;

    (void)state;
    rig.limits.linger_ms = 50;
    rig_start(&rig, "tcp");
    fd = peer_open(&rig);
    (void)rig_expect(&rig, SP_OPENED);
    peer_write_head(&rig, fd, 1ull << 62);
    peer_write(fd, id, sizeof(id));
    assert_true(peer_receive(&rig, fd, &got, body, sizeof(body)) > 0);
    assert_int_equal(got, 3);
    assert_non_null(memmem(body, sizeof(body), "FRAME_TOO_LARGE", 15));
    assert_non_null(memmem(body, sizeof(body), "9.9.9", 5));
    peer_expect_closed(fd);
    (void)rig_expect(&rig, SP_CLOSED);
    assert_int_equal(rig_count(&rig, frames_too_large), 1);
    (void)close(fd);
}

/* It goes on sending what nobody wants, and still gets its answer. */
static void
who_sends_too_much_can_read_the_refusal_afterwards(void **state)
{
    size_t len = 1u << 20;
    char *body = calloc(1, len);
    char answer[256] = "";
    int fd;

    (void)state;
    rig.options.is_authenticated_at_accept = false;
    rig_start(&rig, "tcp");
    fd = peer_open(&rig);
    (void)rig_expect(&rig, SP_OPENED);
    peer_send(&rig, fd, 3, body, len);
    assert_true(peer_receive(&rig, fd, NULL, answer, sizeof(answer)) > 0);
    assert_non_null(memmem(answer, sizeof(answer), "FRAME_TOO_LARGE", 15));
    (void)close(fd);
    (void)rig_expect(&rig, SP_CLOSED);
    free(body);
}

static void
a_claimed_length_reserves_nothing(void **state)
{
    static const uint8_t start[100] = {0x80};
    int fds[20];

    (void)state;
    rig_start(&rig, "ipc");
    for (size_t i = 0; i < 20; i++) {
        fds[i] = peer_open(&rig);
        (void)rig_expect(&rig, SP_OPENED);
        peer_write_head(&rig, fds[i], 6000000);
        peer_write(fds[i], start, sizeof(start));
    }
    rig_wait_count(&rig, bytes_in, 20 * (8 + 9 + 100));
    assert_true(sp_server_buffer_bytes(rig.server) < 20 * 16384);
    for (size_t i = 0; i < 20; i++) {
        (void)close(fds[i]);
    }
}

static void
an_unfinished_frame_is_closed_in_time(void **state)
{
    int fd;

    (void)state;
    rig.limits.frame_ms = 50;
    rig_start(&rig, "ipc");
    fd = peer_open(&rig);
    (void)rig_expect(&rig, SP_OPENED);
    peer_write_head(&rig, fd, 100);
    peer_expect_closed(fd);
    (void)rig_expect(&rig, SP_CLOSED);
    assert_int_equal(rig_count(&rig, frames_stalled), 1);
    (void)close(fd);
}

/* Random bytes, from a seed, after an honest greeting. */
static void
noise_is_survived(void **state)
{
    uint32_t seed = 42;

    (void)state;
    rig.limits.linger_ms = 1;
    rig.limits.frame_ms = 20;
    rig_start(&rig, "tcp");
    for (size_t i = 0; i < 50; i++) {
        uint8_t noise[512];
        int fd = peer_open(&rig);

        for (size_t k = 0; k < sizeof(noise); k++) {
            seed = seed * 1664525u + 1013904223u;
            noise[k] = (uint8_t)(seed >> 24);
        }
        memset(noise, 0, 6); /* so that some lengths are possible */
        peer_write(fd, noise, sizeof(noise));
        peer_expect_closed(fd);
        (void)close(fd);
    }
    rig.limits.frame_ms = 60000;
}

/* ---- resources ---- */

/* A peer that never reads has its own queue full, and nobody else's. */
static void
a_slow_reader_costs_only_itself(void **state)
{
    static char large[3u << 20];
    struct sp_event event;
    struct sp_message *message;
    size_t accepted = 0;
    int slow;

    (void)state;
    rig.limits.queued_bytes_max = 8u << 20;
    rig_start(&rig, "tcp");
    slow = peer_open(&rig);
    (void)rig_expect(&rig, SP_OPENED);
    for (uint32_t i = 0;; i++) {
        peer_send(&rig, slow, i, "", 0);
        event = rig_expect(&rig, SP_FRAME);
        sp_frame_release(rig.server, event.frame);
        message = sp_message_new(sizeof(large));
        memcpy(sp_message_body(message), large, sizeof(large));
        if (sp_send(rig.server, event.conn, event.request, message) !=
            REDIAL_OK) {
            break;
        }
        sp_server_flush(rig.server);
        accepted++;
        assert_true(sp_conn_queued_bytes(rig.server, event.conn) <=
                    rig.limits.queued_bytes_max);
    }
    assert_true(sp_conn_over_cap(rig.server, event.conn));
    assert_int_equal(rig_count(&rig, sends_over_cap), 1);
    serve_honest_peer();

    /* It reads at last: the refused reply can follow. */
    for (size_t i = 0; i < accepted; i++) {
        assert_int_equal(peer_receive(&rig, slow, NULL, NULL, 0),
                         sizeof(large));
    }
    while (rig_next(&rig).kind != SP_WRITABLE) {
    }
    assert_false(sp_conn_over_cap(rig.server, event.conn));
    assert_int_equal(sp_send(rig.server, event.conn, event.request, message),
                     REDIAL_OK);
    sp_server_flush(rig.server);
    assert_int_equal(peer_receive(&rig, slow, NULL, NULL, 0), sizeof(large));
    (void)close(slow);
}

static void
a_peer_that_reads_nothing_is_closed_in_time(void **state)
{
    static char large[6000000];
    struct sp_event event;
    int fd;

    (void)state;
    rig.limits.write_ms = 50;
    rig_start(&rig, "ipc");
    fd = peer_open(&rig);
    (void)rig_expect(&rig, SP_OPENED);
    peer_send(&rig, fd, 1, "", 0);
    event = rig_expect(&rig, SP_FRAME);
    rig_reply(&rig, &event, large, sizeof(large));
    (void)rig_expect(&rig, SP_CLOSED);
    assert_int_equal(rig_count(&rig, writes_stalled), 1);
    (void)close(fd);
}

/* Its large frames find no memory; small peers are served meanwhile. */
static void
a_large_user_waits_when_memory_is_short(void **state)
{
    static char part[600000];
    int fd;

    (void)state;
    rig.limits.buffer_bytes_max = 512u << 10;
    rig.limits.frame_ms = 300;
    rig_start(&rig, "ipc");
    fd = peer_open(&rig);
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    (void)rig_expect(&rig, SP_OPENED);
    part[0] = (char)0x80;
    peer_write_head(&rig, fd, 6000000);
    while (rig_count(&rig, reads_paused_memory) == 0) {
        (void)send(fd, part, sizeof(part), MSG_NOSIGNAL);
    }
    assert_true(sp_server_buffer_bytes(rig.server) < 1u << 20);
    serve_honest_peer();
    while (rig_next(&rig).kind != SP_CLOSED) { /* it never can finish */
    }
    rig_wait_count(&rig, frames_stalled, 1);
    assert_true(sp_server_buffer_bytes(rig.server) < 64u << 10);
    (void)close(fd);
}

/*
 * The peers' sockets are made first; then the limit is where the next accept
 * would go. They wait in the backlog until there is room again.
 */
static void
running_out_of_descriptors_is_survived(void **state)
{
    enum { PEERS = 8 };
    struct rlimit before;
    struct rlimit tight;
    int fds[PEERS];
    int lowest;

    (void)state;
    rig_start(&rig, "abstract");
    serve_honest_peer();
    rig_wait_count(&rig, closed, 1);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    lowest = dup(STDOUT_FILENO);
    (void)close(lowest);
    tight = before;
    tight.rlim_cur = (rlim_t)lowest + PEERS / 2;
    for (size_t i = 0; i < PEERS; i++) {
        fds[i] = peer_socket(&rig);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    for (size_t i = 0; i < PEERS; i++) {
        peer_reach(&rig, fds[i]);
    }
    rig_wait_count(&rig, accept_errors, 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (size_t i = 0; i < PEERS; i++) {
        (void)close(fds[i]);
    }
}

int
main(void)
{
#define HOSTILE_TEST(name) \
    cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        HOSTILE_TEST(ipc_peers_that_leave_at_once_do_no_harm),
        HOSTILE_TEST(peers_that_leave_within_the_greeting_do_no_harm),
        HOSTILE_TEST(clients_that_dial_and_leave_do_no_harm),
        HOSTILE_TEST(a_second_server_on_the_path_is_refused_and_does_no_harm),
        HOSTILE_TEST(tcp_peers_that_reset_do_no_harm),
        HOSTILE_TEST(garbage_and_other_protocols_are_closed),
        HOSTILE_TEST(a_silent_peer_is_closed_after_the_greeting_time),
        HOSTILE_TEST(a_frame_without_an_id_is_closed),
        HOSTILE_TEST(a_giant_length_is_answered_and_closed),
        HOSTILE_TEST(who_sends_too_much_can_read_the_refusal_afterwards),
        HOSTILE_TEST(a_claimed_length_reserves_nothing),
        HOSTILE_TEST(an_unfinished_frame_is_closed_in_time),
        HOSTILE_TEST(noise_is_survived),
        HOSTILE_TEST(a_slow_reader_costs_only_itself),
        HOSTILE_TEST(a_peer_that_reads_nothing_is_closed_in_time),
        HOSTILE_TEST(a_large_user_waits_when_memory_is_short),
        HOSTILE_TEST(running_out_of_descriptors_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, rig_end_all);
}
