/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many peers at once that come, ask, leave in the middle and come again, and
 * a loop that answers late, closes some and drops some: afterwards the books
 * must balance. Peers are threads of their own, so they only count.
 */
#include "tests/unit/net/rig.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

enum { THREADS = 4, ROUNDS = 120, FRAME = 8 + 4 + 8, HELD_MAX = 64 };

static struct rig rig;

struct peer {
    pthread_t thread;
    uint32_t seed;
    uint16_t port;
    uint64_t answers;
    uint64_t wrong; /* answers that are not what was asked */
    atomic_bool is_done;
};

static uint32_t
draw(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % below;
}

static int
join_in(const struct peer *peer)
{
    static const uint8_t greeting[8] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct timeval patience = {.tv_sec = 20};
    uint8_t theirs[8];
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(peer->port);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        send(fd, greeting, 8, MSG_NOSIGNAL) != 8 ||
        recv(fd, theirs, 8, MSG_WAITALL) != 8) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* Asks `count` questions, of which the last may be cut off. */
static void
ask(struct peer *peer, int fd, uint32_t count, size_t cut)
{
    uint8_t frames[HELD_MAX * FRAME] = {0};

    for (uint32_t i = 0; i < count; i++) {
        uint8_t *frame = frames + (size_t)i * FRAME;

        frame[7] = FRAME - 8;
        frame[8] = 0x80;
        frame[11] = (uint8_t)i;
        frame[12] = (uint8_t)i;
        frame[13] = (uint8_t)draw(&peer->seed, 256);
    }
    (void)send(fd, frames, count * FRAME - cut, MSG_NOSIGNAL);
}

static void
hear(struct peer *peer, int fd, uint32_t count)
{
    uint8_t frame[FRAME];

    for (uint32_t i = 0; i < count; i++) {
        if (recv(fd, frame, FRAME, MSG_WAITALL) != FRAME) {
            return; /* the loop has closed it */
        }
        peer->answers++;
        peer->wrong += frame[11] != frame[12] || frame[8] != 0x80 ? 1 : 0;
    }
}

static void *
storm(void *arg)
{
    struct peer *peer = arg;

    for (size_t round = 0; round < ROUNDS; round++) {
        int fd = join_in(peer);
        uint32_t asked = 1 + draw(&peer->seed, HELD_MAX - 1);
        size_t cut = draw(&peer->seed, 2) * draw(&peer->seed, FRAME);

        if (fd < 0) {
            continue;
        }
        ask(peer, fd, asked, cut);
        if (draw(&peer->seed, 3) > 0) { /* stay for some of the answers */
            hear(peer, fd, draw(&peer->seed, asked));
        }
        (void)close(fd);
    }
    atomic_store(&peer->is_done, true);
    return NULL;
}

/* Frames that the loop answers later than others. */
static struct sp_event held[HELD_MAX];
static size_t held_count;

static void
answer(const struct sp_event *event)
{
    struct sp_message *message = sp_message_new(event->body_len);

    memcpy(sp_message_body(message), event->body, event->body_len);
    sp_frame_release(rig.server, event->frame);
    if (sp_send(rig.server, event->conn, event->request, message) !=
        REDIAL_OK) {
        sp_message_free(message);
    }
}

static void
answer_held(void)
{
    for (; held_count > 0; held_count--) {
        answer(&held[held_count - 1]);
    }
    sp_server_flush(rig.server);
}

static void
serve(const struct sp_event *event, uint32_t *seed)
{
    if (event->kind != SP_FRAME) {
        return;
    }
    switch (draw(seed, 32)) {
    case 0:
        sp_frame_release(rig.server, event->frame);
        sp_request_drop(rig.server, event->conn, event->request);
        sp_conn_close(rig.server, event->conn); /* or it waits for ever */
        break;
    case 1:
        answer(event);
        if (draw(seed, 8) == 0) {
            sp_conn_close(rig.server, event->conn);
        }
        break;
    case 2:
    case 3:
    case 4:
        held[held_count++] = *event;
        break;
    default:
        answer(event);
        break;
    }
    if (held_count == HELD_MAX) {
        answer_held();
    }
}

static bool
is_over(struct peer *peers)
{
    for (size_t i = 0; i < THREADS; i++) {
        if (!atomic_load(&peers[i].is_done)) {
            return false;
        }
    }
    return sp_server_connections(rig.server) == 0;
}

static void
the_books_balance_after_a_storm(void **state)
{
    static struct peer peers[THREADS];
    uint32_t seed = 2026;
    uint64_t answers = 0;

    (void)state;
    rig_init(&rig);
    rig_start(&rig, "tcp");
    for (uint32_t i = 0; i < THREADS; i++) {
        peers[i].seed = i;
        peers[i].port = (uint16_t)strtoul(strrchr(rig.url, ':') + 1, NULL, 10);
        assert_int_equal(
            pthread_create(&peers[i].thread, NULL, storm, &peers[i]), 0);
    }
    while (!is_over(peers)) {
        rig_pump(&rig);
        while (rig.at < rig.count) {
            serve(&rig.events[rig.at++], &seed);
        }
        answer_held();
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(peers[i].thread, NULL), 0);
        assert_int_equal(peers[i].wrong, 0);
        answers += peers[i].answers;
    }
    assert_true(answers > 0);
    rig_expect_nothing(&rig);
    assert_int_equal(rig_count(&rig, opened), rig_count(&rig, closed));
    assert_int_equal(rig_count(&rig, accepted), THREADS * ROUNDS);
    assert_int_equal(rig_count(&rig, frames_bad), 0);
    assert_true(rig_count(&rig, frames_out) >= answers);
    assert_int_equal(sp_server_buffer_bytes(rig.server), 0);
    rig_end(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_books_balance_after_a_storm),
    };

    return cmocka_run_group_tests(tests, NULL, rig_end_all);
}
