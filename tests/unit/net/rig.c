/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/net/rig.h"

#include <nng/nng.h>
#include <nng/supplemental/util/platform.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_S 20
#define PUMP_MS    20

static void
woken(void *ctx)
{
    struct rig *rig = ctx;

    (void)pthread_mutex_lock(&rig->lock);
    rig->is_woken = true;
    atomic_fetch_add(&rig->wakes, 1);
    (void)pthread_cond_signal(&rig->cond);
    (void)pthread_mutex_unlock(&rig->lock);
}

static struct timespec
now_plus_ms(long ms)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += ms % 1000 * 1000000;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    return at;
}

/* Waits for a wake; false: none came in time. */
static bool
wait_wake(struct rig *rig, long ms)
{
    struct timespec until = now_plus_ms(ms);
    bool is_woken;

    (void)pthread_mutex_lock(&rig->lock);
    while (!rig->is_woken && pthread_cond_timedwait(&rig->cond, &rig->lock,
                                                    &until) != ETIMEDOUT) {
    }
    is_woken = rig->is_woken;
    rig->is_woken = false;
    (void)pthread_mutex_unlock(&rig->lock);
    return is_woken;
}

void
rig_init(struct rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    sp_limits_default(&rig->limits);
    rig->limits.server_version = "9.9.9";
    rig->options.is_authenticated_at_accept = true;
    rig->role = SP_ROLE_AGENT;
    (void)pthread_mutex_init(&rig->lock, NULL);
    (void)pthread_cond_init(&rig->cond, NULL);
    (void)snprintf(rig->dir, sizeof(rig->dir), "/tmp/redial-test-XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
}

void
rig_start(struct rig *rig, const char *transport)
{
    char url[128];

    if (strcmp(transport, "ipc") == 0) {
        (void)snprintf(url, sizeof(url), "ipc://%s/socket", rig->dir);
    } else if (strcmp(transport, "abstract") == 0) {
        (void)snprintf(url, sizeof(url), "abstract://%s", rig->dir + 5);
    } else {
        (void)snprintf(url, sizeof(url), "%s://127.0.0.1:0", transport);
    }
    assert_int_equal(sp_server_create(&rig->limits, woken, rig, &rig->server),
                     REDIAL_OK);
    if (sp_server_listen(rig->server, url, rig->role, &rig->options,
                         &rig->listener) != REDIAL_OK) {
        fail_msg("%s", sp_server_error(rig->server));
    }
    rig->url = sp_listener_url(rig->listener);
}

int
rig_end_all(void **state)
{
    (void)state;
    nng_fini();
    return 0;
}

void
rig_end(struct rig *rig)
{
    for (; rig->at < rig->count; rig->at++) {
        if (rig->events[rig->at].kind == SP_FRAME) {
            sp_frame_release(rig->server, rig->events[rig->at].frame);
        }
    }
    if (rig->server != NULL) {
        sp_server_stop(rig->server, 0);
        assert_int_equal(sp_server_buffer_bytes(rig->server), 0);
        assert_int_equal(sp_server_connections(rig->server), 0);
        sp_server_fini(rig->server);
    }
    if (rmdir(rig->dir) != 0) {
        fail_msg("%s: %s", rig->dir, strerror(errno));
    }
    (void)pthread_mutex_destroy(&rig->lock);
    (void)pthread_cond_destroy(&rig->cond);
}

/* Takes what there is, if there is room. */
static void
take(struct rig *rig)
{
    if (rig->at == rig->count) {
        rig->at = 0;
        rig->count = sp_server_take(rig->server, rig->events, RIG_EVENTS_MAX);
    }
}

struct sp_event
rig_next(struct rig *rig)
{
    take(rig);
    while (rig->at == rig->count) {
        if (!wait_wake(rig, PATIENCE_S * 1000)) {
            fail_msg("no event in time");
        }
        take(rig);
    }
    return rig->events[rig->at++];
}

struct sp_event
rig_expect(struct rig *rig, enum sp_event_kind kind)
{
    struct sp_event event = rig_next(rig);

    assert_int_equal(event.kind, kind);
    return event;
}

void
rig_expect_nothing(struct rig *rig)
{
    take(rig);
    assert_int_equal(rig->at, rig->count);
}

void
rig_reply(struct rig *rig, const struct sp_event *event, const void *body,
          size_t len)
{
    struct sp_message *message = sp_message_new(len);

    assert_non_null(message);
    if (len > 0) {
        memcpy(sp_message_body(message), body, len);
    }
    sp_frame_release(rig->server, event->frame);
    assert_int_equal(sp_send(rig->server, event->conn, event->request, message),
                     REDIAL_OK);
    sp_server_flush(rig->server);
}

void
rig_echo(struct rig *rig, const struct sp_event *event)
{
    struct sp_message *message = sp_message_new(event->body_len);

    assert_non_null(message);
    memcpy(sp_message_body(message), event->body, event->body_len);
    sp_frame_release(rig->server, event->frame);
    assert_int_equal(sp_send(rig->server, event->conn, event->request, message),
                     REDIAL_OK);
    sp_server_flush(rig->server);
}

uint64_t
rig_counter(const struct rig *rig, size_t offset)
{
    struct sp_counters counters;
    uint64_t value;

    sp_server_counters(rig->server, &counters);
    memcpy(&value, (const char *)&counters + offset, sizeof(value));
    return value;
}

void
rig_pump(struct rig *rig)
{
    take(rig);
    (void)wait_wake(rig, PUMP_MS);
    take(rig);
}

void
rig_wait_counter(struct rig *rig, size_t offset, uint64_t value)
{
    for (long ms = 0; rig_counter(rig, offset) < value; ms += PUMP_MS) {
        if (ms > PATIENCE_S * 1000) {
            fail_msg("the counter did not get there");
        }
        rig_pump(rig);
    }
}

void
rig_wait_counter_untaken(struct rig *rig, size_t offset, uint64_t value)
{
    nng_time until = nng_clock() + PATIENCE_S * 1000;

    while (rig_counter(rig, offset) < value) {
        if (nng_clock() > until) {
            fail_msg("the counter did not get there");
        }
        (void)sched_yield();
    }
}

void
rig_wait_connections(struct rig *rig, uint32_t count)
{
    nng_time until = nng_clock() + PATIENCE_S * 1000;

    while (sp_server_connections(rig->server) != count) {
        if (nng_clock() > until) {
            fail_msg("connections are left");
        }
        rig_pump(rig);
    }
}

/* ---- raw peers ---- */

static bool
is_ipc(const struct rig *rig)
{
    return strncmp(rig->url, "ipc:", 4) == 0 ||
           strncmp(rig->url, "abstract:", 9) == 0;
}

static void
reach_path(int fd, const char *path, bool is_abstract)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t start = is_abstract ? 1 : 0;
    size_t len = start + strlen(path);

    assert_true(len < sizeof(address.sun_path));
    memcpy(address.sun_path + start, path, strlen(path));
    len += offsetof(struct sockaddr_un, sun_path);
    if (connect(fd, (struct sockaddr *)&address, (socklen_t)len) != 0) {
        fail_msg("connect %s: %s", path, strerror(errno));
    }
}

static void
reach_port(int fd, const char *url)
{
    struct sockaddr_in address = {.sin_family = AF_INET};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(
        (uint16_t)strtoul(strrchr(url, ':') + 1, NULL, 10));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        fail_msg("connect %s: %s", url, strerror(errno));
    }
}

int
peer_socket(const struct rig *rig)
{
    struct timeval patience = {.tv_sec = PATIENCE_S};
    int on = 1;
    int fd = socket(is_ipc(rig) ? AF_UNIX : AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (!is_ipc(rig)) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    return fd;
}

void
peer_reach(const struct rig *rig, int fd)
{
    if (strncmp(rig->url, "ipc://", 6) == 0) {
        reach_path(fd, rig->url + 6, false);
    } else if (strncmp(rig->url, "abstract://", 11) == 0) {
        reach_path(fd, rig->url + 11, true);
    } else {
        reach_port(fd, rig->url);
    }
}

int
peer_connect(const struct rig *rig)
{
    int fd = peer_socket(rig);

    peer_reach(rig, fd);
    return fd;
}

void
peer_write(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;

    while (len > 0) {
        ssize_t part = send(fd, at, len, MSG_NOSIGNAL);

        if (part <= 0) {
            fail_msg("send: %s", strerror(errno));
        }
        at += part;
        len -= (size_t)part;
    }
}

bool
peer_read(int fd, void *ret_bytes, size_t len)
{
    char *at = ret_bytes;

    while (len > 0) {
        ssize_t part = recv(fd, at, len, 0);

        if (part < 0 && (errno == EAGAIN || errno == EINTR)) {
            fail_msg("nothing came in time");
        }
        if (part <= 0) {
            return false;
        }
        at += part;
        len -= (size_t)part;
    }
    return true;
}

void
peer_greet(int fd, uint16_t protocol)
{
    const uint8_t greeting[8] = {
        0, 'S', 'P', 0, (uint8_t)(protocol >> 8), (uint8_t)protocol, 0, 0};

    peer_write(fd, greeting, sizeof(greeting));
}

void
peer_expect_greeting(int fd)
{
    static const uint8_t expected[8] = {0, 'S', 'P', 0, 0, 0x31, 0, 0};
    uint8_t greeting[8];

    assert_true(peer_read(fd, greeting, sizeof(greeting)));
    assert_memory_equal(greeting, expected, sizeof(expected));
}

int
peer_open(const struct rig *rig)
{
    int fd = peer_connect(rig);

    peer_greet(fd, 0x30);
    peer_expect_greeting(fd);
    return fd;
}

static size_t
head_size(const struct rig *rig)
{
    return is_ipc(rig) ? 9 : 8;
}

static void
write_head(const struct rig *rig, uint8_t *out, uint64_t len)
{
    if (is_ipc(rig)) {
        *out++ = 1;
    }
    for (size_t i = 0; i < 8; i++) {
        out[i] = (uint8_t)(len >> (56 - 8 * i));
    }
}

void
peer_write_head(const struct rig *rig, int fd, uint64_t len)
{
    uint8_t head[9];

    write_head(rig, head, len);
    peer_write(fd, head, head_size(rig));
}

void
peer_send(const struct rig *rig, int fd, uint32_t id, const void *body,
          size_t len)
{
    size_t at = head_size(rig);
    uint8_t *frame = malloc(at + 4 + len);

    assert_non_null(frame);
    write_head(rig, frame, 4 + len);
    frame[at++] = (uint8_t)(0x80u | id >> 24);
    frame[at++] = (uint8_t)(id >> 16);
    frame[at++] = (uint8_t)(id >> 8);
    frame[at++] = (uint8_t)id;
    if (len > 0) {
        memcpy(frame + at, body, len);
    }
    peer_write(fd, frame, at + len); /* in one piece */
    free(frame);
}

long
peer_receive(const struct rig *rig, int fd, uint32_t *ret_id, void *ret_body,
             size_t size)
{
    uint8_t head[9];
    size_t at = is_ipc(rig) ? 1 : 0;
    uint64_t len = 0;
    char *rest;

    if (!peer_read(fd, head, at + 8)) {
        return -1;
    }
    for (size_t i = 0; i < 8; i++) {
        len = len << 8 | head[at + i];
    }
    assert_true(len >= 4 && len < (64u << 20));
    rest = malloc(len);
    assert_non_null(rest);
    if (!peer_read(fd, rest, len)) {
        free(rest);
        return -1;
    }
    if (ret_id != NULL) {
        *ret_id = (uint32_t)(uint8_t)rest[0] << 24 |
                  (uint32_t)(uint8_t)rest[1] << 16 |
                  (uint32_t)(uint8_t)rest[2] << 8 | (uint8_t)rest[3];
        *ret_id &= 0x7fffffffu;
    }
    if (size > 0) {
        memcpy(ret_body, rest + 4, len - 4 < size ? len - 4 : size);
    }
    free(rest);
    return (long)(len - 4);
}

void
peer_expect_closed(int fd)
{
    char bytes[4096];

    for (;;) {
        ssize_t part = recv(fd, bytes, sizeof(bytes), 0);

        if (part < 0 && errno == EAGAIN) {
            fail_msg("the server did not close it in time");
        }
        if (part <= 0) {
            return;
        }
    }
}
