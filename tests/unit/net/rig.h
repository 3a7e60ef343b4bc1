/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server under test and the peers that talk to it.
 *
 * Everything happens in the test's thread: peers are blocking sockets with a
 * time limit, or nng sockets whose operations are asynchronous; the rig is the
 * loop. Whatever takes too long fails the test.
 */
#ifndef REDIAL_TESTS_UNIT_NET_RIG_H
#define REDIAL_TESTS_UNIT_NET_RIG_H

#include "server/net/sp_server.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RIG_EVENTS_MAX 128

struct rig {
    struct sp_limits limits; /* may be changed before rig_start() */
    struct sp_listen_options options;
    enum sp_role role;
    struct sp_server *server;
    struct sp_listener *listener;
    const char *url;
    char dir[64];
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool is_woken;
    atomic_uint wakes;
    struct sp_event events[RIG_EVENTS_MAX]; /* taken, not asked for yet */
    size_t at;
    size_t count;
};

/* Limits of the defaults, role agent, authenticated at accept. */
void
rig_init(struct rig *rig);

/* "ipc", "abstract", "tcp" or "tls+tcp", at an address of its own. */
void
rig_start(struct rig *rig, const char *transport);

/* Stops the server, frees everything, checks that no memory is counted. */
void
rig_end(struct rig *rig);

/* Group teardown: ends the library that everybody uses. */
int
rig_end_all(void **state);

/* Waits for the next event and returns it. */
struct sp_event
rig_next(struct rig *rig);

/* The next event must be of this kind. */
struct sp_event
rig_expect(struct rig *rig, enum sp_event_kind kind);

/* Nothing is there to be taken now. */
void
rig_expect_nothing(struct rig *rig);

/* Answers a FRAME and releases it. */
void
rig_reply(struct rig *rig, const struct sp_event *event, const void *body,
          size_t len);

/* Answers with what was asked. */
void
rig_echo(struct rig *rig, const struct sp_event *event);

/* Waits until a counter has reached `value`; events are kept. */
#define rig_wait_count(rig, name, value) \
    rig_wait_counter(rig, offsetof(struct sp_counters, name), value)

void
rig_wait_counter(struct rig *rig, size_t offset, uint64_t value);

/* The same without taking anything. */
#define rig_wait_count_untaken(rig, name, value) \
    rig_wait_counter_untaken(rig, offsetof(struct sp_counters, name), value)

void
rig_wait_counter_untaken(struct rig *rig, size_t offset, uint64_t value);

/* Waits until so many connections are left. */
void
rig_wait_connections(struct rig *rig, uint32_t count);

#define rig_count(rig, name) \
    rig_counter(rig, offsetof(struct sp_counters, name))

uint64_t
rig_counter(const struct rig *rig, size_t offset);

/* Waits for the server's next wake, or a moment; events are kept. */
void
rig_pump(struct rig *rig);

/* ---- raw peers ---- */

/* Makes a socket, and connects it: the two halves of peer_connect(). */
int
peer_socket(const struct rig *rig);

void
peer_reach(const struct rig *rig, int fd);

/* A connected socket; the caller closes it. */
int
peer_connect(const struct rig *rig);

/* Connected, greeted both ways. */
int
peer_open(const struct rig *rig);

/* The eight bytes of SP with this protocol, and their check. */
void
peer_greet(int fd, uint16_t protocol);

void
peer_expect_greeting(int fd);

void
peer_write(int fd, const void *bytes, size_t len);

/* Only the head of a frame whose body (with backtrace) has `len` bytes. */
void
peer_write_head(const struct rig *rig, int fd, uint64_t len);

/* A request with a backtrace of this id alone. */
void
peer_send(const struct rig *rig, int fd, uint32_t id, const void *body,
          size_t len);

/* Reads exactly; false: closed by the server. */
bool
peer_read(int fd, void *ret_bytes, size_t len);

/*
 * Reads one reply; returns its body's length (body cut to `size`), sets the
 * id. -1: closed by the server.
 */
long
peer_receive(const struct rig *rig, int fd, uint32_t *ret_id, void *ret_body,
             size_t size);

/* The server closes it, after whatever it still writes. */
void
peer_expect_closed(int fd);

#endif
