/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SP server with peers that behave.
 */
#include "tests/unit/net/rig.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/util/platform.h>

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

/* ---- stock clients ---- */

/* One request of an nng REQ context. */
struct asking {
    nng_ctx ctx;
    nng_aio *aio;
    atomic_int result; /* -1: under way */
    bool is_sent;
    uint32_t number; /* the request's body */
};

static void
asked(void *arg)
{
    struct asking *asking = arg;
    int result = nng_aio_result(asking->aio);

    if (result == 0 && !asking->is_sent) {
        asking->is_sent = true;
        nng_ctx_recv(asking->ctx, asking->aio);
        return;
    }
    atomic_store(&asking->result, result);
}

static void
ask(struct asking *asking, nng_socket socket, uint32_t number)
{
    nng_msg *msg;

    memset(asking, 0, sizeof(*asking));
    atomic_store(&asking->result, -1);
    asking->number = number;
    assert_int_equal(nng_ctx_open(&asking->ctx, socket), 0);
    assert_int_equal(nng_ctx_set_ms(asking->ctx, NNG_OPT_REQ_RESENDTIME,
                                    NNG_DURATION_INFINITE),
                     0);
    assert_int_equal(nng_aio_alloc(&asking->aio, asked, asking), 0);
    nng_aio_set_timeout(asking->aio, 20000);
    assert_int_equal(nng_msg_alloc(&msg, 0), 0);
    assert_int_equal(nng_msg_append_u32(msg, number), 0);
    nng_aio_set_msg(asking->aio, msg);
    nng_ctx_send(asking->ctx, asking->aio);
}

/* The answer must be the request's own number. */
static void
expect_answered(struct asking *asking)
{
    uint32_t number;
    nng_msg *msg;

    nng_aio_wait(asking->aio);
    assert_int_equal(atomic_load(&asking->result), 0);
    msg = nng_aio_get_msg(asking->aio);
    assert_int_equal(nng_msg_trim_u32(msg, &number), 0);
    assert_int_equal(number, asking->number);
    nng_msg_free(msg);
    nng_aio_free(asking->aio);
    (void)nng_ctx_close(asking->ctx);
}

static nng_socket
dial(void)
{
    nng_socket socket;

    assert_int_equal(nng_req0_open(&socket), 0);
    assert_int_equal(nng_dial(socket, rig.url, NULL, NNG_FLAG_NONBLOCK), 0);
    return socket;
}

static void
serve_one_stock_client(const char *transport)
{
    struct asking asking;
    struct sp_event event;
    nng_socket socket;

    rig_start(&rig, transport);
    socket = dial();
    ask(&asking, socket, 17);
    (void)rig_expect(&rig, SP_OPENED);
    event = rig_expect(&rig, SP_FRAME);
    assert_int_equal(event.body_len, 4);
    rig_echo(&rig, &event);
    expect_answered(&asking);
    (void)nng_close(socket);
    (void)rig_expect(&rig, SP_CLOSED);
}

static void
a_stock_client_is_answered_over_ipc(void **state)
{
    (void)state;
    serve_one_stock_client("ipc");
}

static void
a_stock_client_is_answered_over_abstract_sockets(void **state)
{
    (void)state;
    serve_one_stock_client("abstract");
}

static void
a_stock_client_is_answered_over_tcp(void **state)
{
    (void)state;
    serve_one_stock_client("tcp");
}

/* 200 requests wait at once, and are answered from the last to the first. */
static void
answers_in_any_order_reach_their_contexts(void **state)
{
    enum { COUNT = 200 };
    static struct asking askings[COUNT];
    static struct sp_event events[COUNT];
    nng_socket socket;

    (void)state;
    rig_start(&rig, "ipc");
    socket = dial();
    for (uint32_t i = 0; i < COUNT; i++) {
        ask(&askings[i], socket, i * 7919);
    }
    (void)rig_expect(&rig, SP_OPENED);
    for (size_t i = 0; i < COUNT; i++) {
        events[i] = rig_expect(&rig, SP_FRAME);
    }
    for (size_t i = COUNT; i > 0; i--) {
        rig_echo(&rig, &events[i - 1]);
    }
    for (size_t i = 0; i < COUNT; i++) {
        expect_answered(&askings[i]);
    }
    (void)nng_close(socket);
    (void)rig_expect(&rig, SP_CLOSED);
    assert_int_equal(rig_count(&rig, frames_out), COUNT);
}

/* The relay adds a word to each backtrace. */
static void
requests_come_through_a_device(void **state)
{
    static const char body[] = "relayed";
    const uint8_t backtrace[] = {0, 0, 0, 5, 0x12, 0, 0, 1, 0x80, 0, 0, 9};
    uint8_t reply[9 + sizeof(backtrace) + sizeof(body)];
    struct sp_event event;
    int fd;

    (void)state;
    rig_start(&rig, "ipc");
    fd = peer_open(&rig);
    (void)rig_expect(&rig, SP_OPENED);
    peer_write_head(&rig, fd, sizeof(backtrace) + sizeof(body));
    peer_write(fd, backtrace, sizeof(backtrace));
    peer_write(fd, body, sizeof(body));
    event = rig_expect(&rig, SP_FRAME);
    assert_int_equal(event.body_len, sizeof(body));
    assert_memory_equal(event.body, body, sizeof(body));
    rig_echo(&rig, &event);
    assert_true(peer_read(fd, reply, sizeof(reply)));
    assert_memory_equal(reply + 9, backtrace, sizeof(backtrace));
    assert_memory_equal(reply + 9 + sizeof(backtrace), body, sizeof(body));
    (void)close(fd);
}

/* ---- requests ---- */

static void
a_repeated_request_joins_the_pending_one(void **state)
{
    struct sp_event event;
    uint32_t id;
    char body[8];
    int fd;

    (void)state;
    rig_start(&rig, "ipc");
    fd = peer_open(&rig);
    peer_send(&rig, fd, 5, "first", 5);
    peer_send(&rig, fd, 5, "again", 5);
    peer_send(&rig, fd, 6, "other", 5);
    rig_wait_count(&rig, requests_joined, 1);
    (void)rig_expect(&rig, SP_OPENED);
    event = rig_expect(&rig, SP_FRAME);
    assert_memory_equal(event.body, "first", 5);
    rig_echo(&rig, &event);
    event = rig_expect(&rig, SP_FRAME);
    assert_memory_equal(event.body, "other", 5);
    rig_echo(&rig, &event);
    assert_int_equal(rig_count(&rig, requests_joined), 1);
    assert_int_equal(peer_receive(&rig, fd, &id, body, sizeof(body)), 5);
    assert_int_equal(id, 5);
    assert_int_equal(peer_receive(&rig, fd, &id, body, sizeof(body)), 5);
    assert_int_equal(id, 6);

    peer_send(&rig, fd, 5, "later", 5); /* answered before: a new one */
    event = rig_expect(&rig, SP_FRAME);
    assert_memory_equal(event.body, "later", 5);
    rig_echo(&rig, &event);
    (void)close(fd);
}

static void
a_request_is_answered_only_once(void **state)
{
    struct sp_message *message = sp_message_new(0);
    struct sp_event event;
    int fd;

    (void)state;
    rig_start(&rig, "ipc");
    fd = peer_open(&rig);
    peer_send(&rig, fd, 5, "", 0);
    (void)rig_expect(&rig, SP_OPENED);
    event = rig_expect(&rig, SP_FRAME);
    rig_reply(&rig, &event, "x", 1);
    assert_int_equal(sp_send(rig.server, event.conn, event.request, message),
                     REDIAL_NOT_FOUND);
    sp_message_free(message);
    (void)close(fd);
}

static void
a_dropped_request_may_come_again(void **state)
{
    struct sp_event event;
    int fd;

    (void)state;
    rig_start(&rig, "ipc");
    fd = peer_open(&rig);
    peer_send(&rig, fd, 5, "", 0);
    (void)rig_expect(&rig, SP_OPENED);
    event = rig_expect(&rig, SP_FRAME);
    sp_frame_release(rig.server, event.frame);
    sp_request_drop(rig.server, event.conn, event.request);
    peer_send(&rig, fd, 5, "", 0);
    event = rig_expect(&rig, SP_FRAME);
    rig_echo(&rig, &event);
    (void)close(fd);
}

static void
many_replies_arrive_whole_and_in_order(void **state)
{
    enum { COUNT = 1000 };
    static uint8_t body[COUNT];
    static uint8_t got[COUNT];
    int fd;

    (void)state;
    rig_start(&rig, "tcp");
    fd = peer_open(&rig);
    (void)rig_expect(&rig, SP_OPENED);
    for (uint32_t i = 0; i < COUNT; i++) {
        memset(body, (int)i, i);
        peer_send(&rig, fd, i, body, i);
        if (i % 50 == 49) {
            for (size_t k = 0; k < 50; k++) {
                struct sp_event event = rig_expect(&rig, SP_FRAME);

                rig_echo(&rig, &event);
            }
        }
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t id;

        memset(body, (int)i, i);
        assert_int_equal(peer_receive(&rig, fd, &id, got, sizeof(got)), i);
        assert_int_equal(id, i);
        assert_memory_equal(got, body, i);
    }
    (void)close(fd);
}

/* ---- connections ---- */

static void
open_and_close_come_in_pairs_exactly_once(void **state)
{
    enum { COUNT = 50 };
    struct sp_conn_id ids[COUNT];
    int fds[COUNT];

    (void)state;
    rig_start(&rig, "ipc");
    for (size_t i = 0; i < COUNT; i++) {
        fds[i] = peer_open(&rig);
        ids[i] = rig_expect(&rig, SP_OPENED).conn;
        for (size_t k = 0; k < i; k++) {
            assert_int_not_equal(ids[k].index, ids[i].index);
        }
    }
    assert_int_equal(sp_server_connections(rig.server), COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        struct sp_event event;

        (void)close(fds[i]);
        event = rig_expect(&rig, SP_CLOSED);
        assert_int_equal(event.conn.index, ids[i].index);
        assert_int_equal(event.conn.generation, ids[i].generation);
    }
    rig_expect_nothing(&rig);
    assert_int_equal(rig_count(&rig, opened), COUNT);
    assert_int_equal(rig_count(&rig, closed), COUNT);
    assert_int_equal(sp_server_connections(rig.server), 0);
}

static void
a_frame_of_a_peer_that_is_gone_comes_before_its_close(void **state)
{
    struct sp_message *message = sp_message_new(1);
    struct sp_event event;
    int fd;

    (void)state;
    rig_start(&rig, "tcp");
    fd = peer_open(&rig);
    (void)rig_expect(&rig, SP_OPENED);
    for (uint32_t i = 0; i < 40; i++) {
        peer_send(&rig, fd, i, "last words", 10);
    }
    (void)close(fd);
    for (uint32_t i = 0; i < 40; i++) {
        event = rig_expect(&rig, SP_FRAME);
        assert_memory_equal(event.body, "last words", 10);
        sp_frame_release(rig.server, event.frame);
    }
    (void)rig_expect(&rig, SP_CLOSED);
    assert_int_equal(sp_send(rig.server, event.conn, event.request, message),
                     REDIAL_NOT_FOUND);
    sp_message_free(message);
}

static void
stale_handles_are_harmless(void **state)
{
    struct sp_conn_id id;
    struct sp_conn_id none = {0, 0};
    struct sp_request_id request = {1};
    struct sp_message *message = sp_message_new(1);
    int fd;

    (void)state;
    rig_start(&rig, "ipc");
    fd = peer_open(&rig);
    id = rig_expect(&rig, SP_OPENED).conn;
    (void)close(fd);
    (void)rig_expect(&rig, SP_CLOSED);
    fd = peer_open(&rig); /* takes the same slot */
    assert_int_equal(rig_expect(&rig, SP_OPENED).conn.index, id.index);

    assert_int_equal(sp_send(rig.server, id, request, message),
                     REDIAL_NOT_FOUND);
    assert_int_equal(sp_send(rig.server, none, request, message),
                     REDIAL_NOT_FOUND);
    sp_request_drop(rig.server, id, request);
    sp_conn_authenticated(rig.server, id);
    sp_conn_close(rig.server, id);
    assert_null(sp_conn_peer(rig.server, id));
    assert_int_equal(sp_conn_queued_bytes(rig.server, id), 0);
    assert_false(sp_conn_over_cap(rig.server, id));
    rig_expect_nothing(&rig);
    sp_message_free(message);
    (void)close(fd);
}

static void
closing_a_connection_gives_its_close_event(void **state)
{
    struct sp_conn_id id;
    int fd;

    (void)state;
    rig_start(&rig, "tcp");
    fd = peer_open(&rig);
    id = rig_expect(&rig, SP_OPENED).conn;
    sp_conn_close(rig.server, id);
    sp_conn_close(rig.server, id);
    (void)rig_expect(&rig, SP_CLOSED);
    rig_expect_nothing(&rig);
    peer_expect_closed(fd);
    (void)close(fd);
}

static void
the_peer_on_ipc_is_known_by_its_user(void **state)
{
    const struct sp_peer *peer;
    struct stat status;
    int fd;

    (void)state;
    rig.role = SP_ROLE_ADMIN;
    rig_start(&rig, "ipc");
    assert_int_equal(stat(rig.url + 6, &status), 0);
    assert_int_equal(status.st_mode & 0777u, 0600);
    fd = peer_open(&rig);
    peer = sp_conn_peer(rig.server, rig_expect(&rig, SP_OPENED).conn);
    assert_non_null(peer);
    assert_true(peer->has_uid);
    assert_int_equal(peer->uid, getuid());
    assert_int_equal(peer->role, SP_ROLE_ADMIN);
    assert_true(peer->is_authenticated);
    assert_false(peer->is_tls);
    (void)close(fd);
}

static void
the_loop_is_woken_once_until_it_takes(void **state)
{
    int fd;

    (void)state;
    rig_start(&rig, "ipc");
    fd = peer_open(&rig);
    (void)rig_expect(&rig, SP_OPENED);
    rig_expect_nothing(&rig);
    atomic_store(&rig.wakes, 0);
    for (uint32_t i = 0; i < 10; i++) {
        peer_send(&rig, fd, i, "x", 1);
    }
    rig_wait_count_untaken(&rig, frames_in, 10);
    while (atomic_load(&rig.wakes) == 0) {
        (void)sched_yield();
    }
    /* One, and perhaps the last one for the opening, if that came late. */
    assert_in_range(atomic_load(&rig.wakes), 1, 2);
    for (uint32_t i = 0; i < 10; i++) {
        struct sp_event event = rig_expect(&rig, SP_FRAME);

        rig_echo(&rig, &event);
    }
    (void)close(fd);
}

/* ---- the end ---- */

struct reading {
    int fd;
    size_t len;
    bool is_whole;
};

static void *
read_all(void *arg)
{
    struct reading *reading = arg;
    char *bytes = malloc(reading->len);

    reading->is_whole = bytes != NULL &&
                        peer_read(reading->fd, bytes, reading->len);
    free(bytes);
    return NULL;
}

/* What the kernel cannot hold is still with us when stop is called. */
static void
stop_writes_what_is_queued(void **state)
{
    size_t len = 5u << 20;
    char *body = calloc(1, len);
    struct sp_event event;
    struct reading reading;
    pthread_t thread;

    (void)state;
    rig_start(&rig, "tcp");
    reading.fd = peer_open(&rig);
    reading.len = 8 + 4 + len;
    (void)rig_expect(&rig, SP_OPENED);
    peer_send(&rig, reading.fd, 1, "", 0);
    event = rig_expect(&rig, SP_FRAME);
    rig_reply(&rig, &event, body, len);
    peer_send(&rig, reading.fd, 2, "never answered", 14);
    assert_int_equal(pthread_create(&thread, NULL, read_all, &reading), 0);
    sp_server_stop(rig.server, 20000);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(reading.is_whole);
    rig_expect_nothing(&rig);
    (void)close(reading.fd);
    free(body);
}

static void
stop_does_not_wait_longer_than_it_is_told(void **state)
{
    size_t len = 6u << 20;
    char *body = calloc(1, len);
    struct sp_event event;
    nng_time before;
    int fd;

    (void)state;
    rig_start(&rig, "tcp");
    fd = peer_open(&rig);
    (void)rig_expect(&rig, SP_OPENED);
    for (uint32_t i = 0; i < 2; i++) {
        peer_send(&rig, fd, i, "", 0);
        event = rig_expect(&rig, SP_FRAME);
        rig_reply(&rig, &event, body, len);
    }
    before = nng_clock();
    sp_server_stop(rig.server, 50);
    assert_true(nng_clock() - before < 5000);
    (void)close(fd);
    free(body);
}

static void
close_stops_accepting_and_nothing_else(void **state)
{
    struct sp_event event;
    char body[8];
    int fd;

    (void)state;
    rig_start(&rig, "ipc");
    fd = peer_open(&rig);
    (void)rig_expect(&rig, SP_OPENED);
    sp_server_close(rig.server);
    sp_server_close(rig.server);
    peer_send(&rig, fd, 1, "still", 5);
    event = rig_expect(&rig, SP_FRAME);
    rig_echo(&rig, &event);
    assert_int_equal(peer_receive(&rig, fd, NULL, body, sizeof(body)), 5);
    (void)close(fd);
    (void)rig_expect(&rig, SP_CLOSED);
}

static void
frames_taken_may_be_released_after_the_stop(void **state)
{
    struct sp_event event;
    struct sp_message *message = sp_message_new(1);
    int fd;

    (void)state;
    rig_start(&rig, "ipc");
    fd = peer_open(&rig);
    (void)rig_expect(&rig, SP_OPENED);
    peer_send(&rig, fd, 1, "x", 1);
    event = rig_expect(&rig, SP_FRAME);
    sp_server_stop(rig.server, 0);
    assert_int_equal(sp_send(rig.server, event.conn, event.request, message),
                     REDIAL_NOT_FOUND);
    sp_frame_release(rig.server, event.frame);
    sp_message_free(message);
    (void)close(fd);
}

int
main(void)
{
#define SERVER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        SERVER_TEST(a_stock_client_is_answered_over_ipc),
        SERVER_TEST(a_stock_client_is_answered_over_abstract_sockets),
        SERVER_TEST(a_stock_client_is_answered_over_tcp),
        SERVER_TEST(answers_in_any_order_reach_their_contexts),
        SERVER_TEST(requests_come_through_a_device),
        SERVER_TEST(a_repeated_request_joins_the_pending_one),
        SERVER_TEST(a_request_is_answered_only_once),
        SERVER_TEST(a_dropped_request_may_come_again),
        SERVER_TEST(many_replies_arrive_whole_and_in_order),
        SERVER_TEST(open_and_close_come_in_pairs_exactly_once),
        SERVER_TEST(a_frame_of_a_peer_that_is_gone_comes_before_its_close),
        SERVER_TEST(stale_handles_are_harmless),
        SERVER_TEST(closing_a_connection_gives_its_close_event),
        SERVER_TEST(the_peer_on_ipc_is_known_by_its_user),
        SERVER_TEST(the_loop_is_woken_once_until_it_takes),
        SERVER_TEST(stop_writes_what_is_queued),
        SERVER_TEST(stop_does_not_wait_longer_than_it_is_told),
        SERVER_TEST(close_stops_accepting_and_nothing_else),
        SERVER_TEST(frames_taken_may_be_released_after_the_stop),
    };

    return cmocka_run_group_tests(tests, NULL, rig_end_all);
}
