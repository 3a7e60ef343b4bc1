/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/plugins/fake_host.h"
#include "tests/unit/plugins/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct fake_host fake;
static struct http_server server;

static int
start_server(void **state)
{
    (void)state;
    return http_server_start(&server) ? 0 : -1;
}

static int
stop_server(void **state)
{
    (void)state;
    return http_server_stop(&server) ? 0 : -1;
}

static void
open_http(const char *path, const char *more_config)
{
    char config[4096];
    snprintf(config, sizeof(config), "{\"url\":\"http://127.0.0.1:%d%s\"%s}",
             server.port, path, more_config);
    if (fake_host_open(&fake, "http", config) != REDIAL_OK) {
        fail_msg("%s", fake.error);
    }
}

static int
close_after(void **state)
{
    (void)state;
    if (fake.library != NULL) {
        fake_host_close(&fake);
    }
    return 0;
}

static const struct fake_outcome *
run_method(const char *method)
{
    struct redial_plugin_attempt attempt = fake_attempt();
    attempt.method = method;
    return fake_host_run(&fake, &attempt);
}

/* A counter of the server, which a plugin of its own reads. */
static long
server_count(const char *name)
{
    static struct fake_host reader;
    char config[256];
    snprintf(config, sizeof(config), "{\"url\":\"http://127.0.0.1:%d/stats\"}",
             server.port);
    assert_int_equal(fake_host_open(&reader, "http", config), REDIAL_OK);
    struct redial_plugin_attempt attempt = fake_attempt();
    const char *found = strstr(fake_host_run(&reader, &attempt)->result, name);
    assert_non_null(found);
    long count = strtol(found + strlen(name) + 1, NULL, 10);
    fake_host_close(&reader);
    return count;
}

static void
every_status_has_its_code(void **state)
{
    (void)state;
    static const struct {
        const char *status;
        enum redial_status code;
    } rows[] = {
        {"200", REDIAL_OK},
        {"201", REDIAL_OK},
        {"299", REDIAL_OK},
        {"301", REDIAL_FAILED_PRECONDITION},
        {"304", REDIAL_FAILED_PRECONDITION},
        {"400", REDIAL_INVALID_ARGUMENT},
        {"401", REDIAL_UNAUTHENTICATED},
        {"402", REDIAL_FAILED_PRECONDITION},
        {"403", REDIAL_PERMISSION_DENIED},
        {"404", REDIAL_NOT_FOUND},
        {"405", REDIAL_FAILED_PRECONDITION},
        {"408", REDIAL_DEADLINE_EXCEEDED},
        {"409", REDIAL_ABORTED},
        {"410", REDIAL_FAILED_PRECONDITION},
        {"422", REDIAL_FAILED_PRECONDITION},
        {"429", REDIAL_RESOURCE_EXHAUSTED},
        {"499", REDIAL_FAILED_PRECONDITION},
        {"500", REDIAL_INTERNAL},
        {"501", REDIAL_UNIMPLEMENTED},
        {"502", REDIAL_UNAVAILABLE},
        {"503", REDIAL_UNAVAILABLE},
        {"504", REDIAL_DEADLINE_EXCEEDED},
        {"505", REDIAL_INTERNAL},
        {"599", REDIAL_INTERNAL},
    };
    open_http("/status/{method}", "");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct fake_outcome *outcome = run_method(rows[i].status);
        assert_int_equal(outcome->code, rows[i].code);
        char reason[32] = "";
        char text[64] = "";
        if (outcome->code != REDIAL_OK) {
            snprintf(reason, sizeof(reason), "HTTP_%s", rows[i].status);
            snprintf(text, sizeof(text), "HTTP %s%s%s", rows[i].status,
                     strcmp(rows[i].status, "304") == 0 ? "" : ": body of ",
                     strcmp(rows[i].status, "304") == 0 ? "" : rows[i].status);
        }
        assert_string_equal(outcome->reason, reason);
        assert_string_equal(outcome->text, text);
        assert_int_equal(outcome->flags, 0);
    }
}

static void
codes_can_be_replaced(void **state)
{
    (void)state;
    open_http("/status/{method}",
              ",\"codes\":{\"418\":\"UNAVAILABLE\",\"HTTP_404\":\"OK\"}");
    assert_int_equal(run_method("418")->code, REDIAL_UNAVAILABLE);
    const struct fake_outcome *outcome = run_method("404");
    assert_int_equal(outcome->code, REDIAL_OK);
    assert_string_equal(outcome->result, "body of 404");
}

static void
a_header_can_give_the_reason(void **state)
{
    (void)state;
    open_http("/status/503?x-reason={method}",
              ",\"reason_header\":\"X-Reason\"");
    assert_string_equal(run_method("MODEL_LOADING")->reason, "MODEL_LOADING");
    assert_string_equal(run_method("two words")->reason, "HTTP_503");
}

static void
retry_after_holds_the_target_where_it_shall(void **state)
{
    (void)state;
    open_http("/status/{service}?retry-after={method}",
              ",\"retry_after_for\":\"target\"");
    struct redial_plugin_attempt attempt = fake_attempt();
    attempt.service = "503";
    attempt.method = "7";
    const struct fake_outcome *outcome = fake_host_run(&fake, &attempt);
    assert_int_equal(outcome->flags,
                     REDIAL_PLUGIN_HAS_PUSHBACK | REDIAL_PLUGIN_FOR_TARGET);
    assert_int_equal(outcome->pushback_ms, 7000);
    attempt.service = "500";
    assert_int_equal(fake_host_run(&fake, &attempt)->flags, 0);
}

static void
retry_after_becomes_pushback(void **state)
{
    (void)state;
    open_http("/status/{service}?retry-after={method}", "");
    struct redial_plugin_attempt attempt = fake_attempt();
    static const char *const statuses[] = {"429", "503"};
    for (size_t i = 0; i < 2; i++) {
        attempt.service = statuses[i];
        attempt.method = "120";
        const struct fake_outcome *outcome = fake_host_run(&fake, &attempt);
        assert_int_equal(outcome->flags, REDIAL_PLUGIN_HAS_PUSHBACK);
        assert_int_equal(outcome->pushback_ms, 120000);
        attempt.method = "soon";
        assert_int_equal(fake_host_run(&fake, &attempt)->flags, 0);
    }
    char date[64];
    struct tm parts;
    time_t at = 0;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    at = now.tv_sec + 300;
    gmtime_r(&at, &parts);
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    attempt.method = date;
    int64_t pushback_ms = fake_host_run(&fake, &attempt)->pushback_ms;
    assert_in_range(pushback_ms, 240000, 300000);
    attempt.service = "500";
    assert_int_equal(fake_host_run(&fake, &attempt)->flags, 0);
}

static void
the_request_carries_the_job(void **state)
{
    (void)state;
    open_http("/echo/{service}/{method}?key={key}",
              ",\"method\":\"PUT\",\"headers\":{\"X-Correlation-Id\":"
              "\"{correlation_id}\",\"Accept\":\"\",\"X-Try\":\"{attempt}\"}");
    struct redial_plugin_metadata metadata[] = {
        {"traceparent", "00-ab-cd-01", 11},
        {"tracestate", "bad\r\nX-Evil: 1", 14},
        {"other", "x", 1},
    };
    struct redial_plugin_attempt attempt = fake_attempt();
    attempt.method = "a b/../é?#%";
    attempt.key = "k/1";
    attempt.content_type = "application/json";
    attempt.payload = "{\"n\":1}";
    attempt.payload_bytes = 7;
    attempt.metadata = metadata;
    attempt.metadata_count = 3;
    const struct fake_outcome *outcome = fake_host_run(&fake, &attempt);
    assert_int_equal(outcome->code, REDIAL_OK);
    assert_string_equal(outcome->content_type, "text/x-echo");
    static const char *const wanted[] = {
        "PUT /echo/image.ImageGen/a%20b%2F..%2F%C3%A9%3F%23%25?key=k%2F1 ",
        "\r\nX-Correlation-Id: request-1\r\n",
        "\r\nX-Try: 1\r\n",
        "\r\nContent-Type: application/json\r\n",
        "\r\nContent-Length: 7\r\n",
        "\r\nIdempotency-Key: k/1\r\n",
        "\r\ntraceparent: 00-ab-cd-01\r\n",
        "\r\nUser-Agent: redial\r\n",
        "\r\n\r\n{\"n\":1}",
    };
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        if (strstr(outcome->result, wanted[i]) == NULL) {
            fail_msg("no %s in %s", wanted[i], outcome->result);
        }
    }
    static const char *const unwanted[] = {"Evil", "tracestate", "other",
                                           "Accept:", "Expect"};
    for (size_t i = 0; i < sizeof(unwanted) / sizeof(unwanted[0]); i++) {
        assert_null(strstr(outcome->result, unwanted[i]));
    }
}

static void
headers_cannot_be_injected(void **state)
{
    (void)state;
    open_http("/echo", ",\"headers\":{\"X-Type\":\"{content_type}\"}");
    struct redial_plugin_attempt attempt = fake_attempt();
    attempt.content_type = "text/plain\r\nX-Evil: 1";
    const struct fake_outcome *outcome = fake_host_run(&fake, &attempt);
    assert_int_equal(outcome->code, REDIAL_INVALID_ARGUMENT);
    assert_string_equal(outcome->reason, "REQUEST_REFUSED");
    fake_host_close(&fake);

    open_http("/{service}/{method}", "");
    attempt = fake_attempt();
    attempt.method = "..";
    assert_string_equal(fake_host_run(&fake, &attempt)->reason,
                        "REQUEST_REFUSED");
}

static void
methods_without_a_body_send_none(void **state)
{
    (void)state;
    open_http("/echo", ",\"method\":\"GET\"");
    struct redial_plugin_attempt attempt = fake_attempt();
    attempt.payload = "payload";
    attempt.payload_bytes = 7;
    const struct fake_outcome *outcome = fake_host_run(&fake, &attempt);
    assert_memory_equal(outcome->result, "GET /echo ", 10);
    assert_null(strstr(outcome->result, "payload"));
    assert_null(strstr(outcome->result, "Content-Type"));
    fake_host_close(&fake);

    open_http("/echo", ",\"method\":\"HEAD\"");
    assert_int_equal(fake_host_run(&fake, &attempt)->code, REDIAL_OK);
    fake_host_close(&fake);

    open_http("/echo", ""); /* and an empty body is a body */
    attempt.payload_bytes = 0;
    outcome = fake_host_run(&fake, &attempt);
    assert_memory_equal(outcome->result, "POST /echo ", 11);
    assert_non_null(strstr(outcome->result, "\r\nContent-Length: 0\r\n"));
}

static void
responses_are_capped(void **state)
{
    (void)state;
    open_http("/big/{method}", ",\"response_bytes_max\":100000");
    assert_int_equal(run_method("100000")->result_bytes, 100000);
    const struct fake_outcome *outcome = run_method("100001");
    assert_int_equal(outcome->code, REDIAL_INTERNAL);
    assert_string_equal(outcome->reason, "RESULT_TOO_LARGE");
    fake_host_close(&fake);

    /* A long error page does not hide the error. */
    open_http("/bigstatus/503/{method}", ",\"response_bytes_max\":1000");
    outcome = run_method("2000000");
    assert_string_equal(outcome->reason, "HTTP_503");
    assert_true(strlen(outcome->text) < 600);
}

/* A port where nobody listens: bound, not listening. */
static int
closed_port(int *ret_fd)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    *ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(*ret_fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(*ret_fd, (struct sockaddr *)&address, &len),
                     0);
    return ntohs(address.sin_port);
}

static void
no_connection_is_unavailable(void **state)
{
    (void)state;
    int fd;
    int before = server.port;
    server.port = closed_port(&fd);
    open_http("/", "");
    server.port = before;
    const struct fake_outcome *outcome = run_method("x");
    assert_int_equal(outcome->code, REDIAL_UNAVAILABLE);
    assert_string_equal(outcome->reason, "NO_CONNECTION");
    assert_string_not_equal(outcome->text, "");
    fake_host_close(&fake);
    close(fd);

    assert_int_equal(fake_host_open(&fake, "http",
                                    "{\"url\":\"http://no-such.invalid/\","
                                    "\"codes\":{\"NO_CONNECTION\":"
                                    "\"ABORTED\"}}"),
                     REDIAL_OK);
    outcome = run_method("x");
    assert_int_equal(outcome->code, REDIAL_ABORTED);
    assert_string_equal(outcome->reason, "NO_CONNECTION");
}

static void
limits_are_kept(void **state)
{
    (void)state;
    open_http("/never", ",\"timeout_ms\":50");
    const struct fake_outcome *outcome = run_method("x");
    assert_int_equal(outcome->code, REDIAL_DEADLINE_EXCEEDED);
    assert_string_equal(outcome->reason, "RESPONSE_TIMEOUT");
    fake_host_close(&fake);

    /* A queue of length 0 that is full: connecting takes for ever. */
    int fd;
    int before = server.port;
    server.port = closed_port(&fd);
    assert_int_equal(listen(fd, 0), 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)server.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fillers[2];
    for (int i = 0; i < 2; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                            0);
        (void)connect(fillers[i], (struct sockaddr *)&address, sizeof(address));
    }
    open_http("/", ",\"connect_timeout_ms\":100");
    server.port = before;
    outcome = run_method("x");
    close(fillers[0]);
    close(fillers[1]);
    close(fd);
    assert_int_equal(outcome->code, REDIAL_UNAVAILABLE);
    assert_string_equal(outcome->reason, "CONNECT_TIMEOUT");
}

static void
stopping_ends_an_exchange(void **state)
{
    (void)state;
    open_http("/never", "");
    struct redial_plugin_attempt attempt = fake_attempt();
    struct redial_plugin_call call = fake_host_start(&fake, &attempt);
    fake_host_stop(&fake, call, REDIAL_PLUGIN_STOP_TIMEOUT);
    const struct fake_outcome *outcome = fake_host_wait(&fake, call);
    assert_int_equal(outcome->code, REDIAL_DEADLINE_EXCEEDED);
    assert_string_equal(outcome->reason, "ATTEMPT_TIMEOUT");
    call = fake_host_start(&fake, &attempt);
    fake_host_stop(&fake, call, REDIAL_PLUGIN_STOP_CANCELLED);
    assert_int_equal(fake_host_wait(&fake, call)->code, REDIAL_CANCELLED);
}

static void
connections_are_used_again(void **state)
{
    (void)state;
    long before = server_count("connections");
    open_http("/status/200", "");
    for (int i = 0; i < 20; i++) {
        assert_int_equal(run_method("x")->code, REDIAL_OK);
    }
    fake_host_close(&fake);
    /* One for the twenty, one for asking. */
    assert_int_equal(server_count("connections") - before, 2);
}

static void
nothing_is_sent_twice(void **state)
{
    (void)state;
    open_http("/{method}", "");
    struct redial_plugin_attempt attempt = fake_attempt();
    attempt.payload = "payload";
    attempt.payload_bytes = 7;
    attempt.method = "echo";
    assert_int_equal(fake_host_run(&fake, &attempt)->code, REDIAL_OK);
    long before = server_count("requests");
    attempt.method = "drop"; /* on the connection that was used before */
    const struct fake_outcome *outcome = fake_host_run(&fake, &attempt);
    assert_int_equal(outcome->code, REDIAL_UNAVAILABLE);
    assert_string_equal(outcome->reason, "CONNECTION_LOST");
    /* The one request, and one for asking. */
    assert_int_equal(server_count("requests") - before, 2);
}

static void
redirects_are_answers_unless_allowed(void **state)
{
    (void)state;
    open_http("/redirect", "");
    assert_string_equal(run_method("x")->reason, "HTTP_302");
    fake_host_close(&fake);

    open_http("/redirect307", ",\"redirects_max\":1");
    struct redial_plugin_attempt attempt = fake_attempt();
    attempt.payload = "payload";
    attempt.payload_bytes = 7;
    const struct fake_outcome *outcome = fake_host_run(&fake, &attempt);
    assert_int_equal(outcome->code, REDIAL_OK);
    assert_non_null(strstr(outcome->result, "\r\n\r\npayload"));
}

static void
three_hundred_transfers_are_held_at_once(void **state)
{
    (void)state;
    enum { COUNT = 300, HELD_MS = 5000, LIMIT_S = 10 };
    open_http("/hold/{method}", "");
    static struct redial_plugin_attempt attempts[COUNT];
    struct redial_plugin_call calls[COUNT];
    char held[16];
    struct timespec start, end;
    snprintf(held, sizeof(held), "%d", HELD_MS);
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < COUNT; i++) {
        attempts[i] = fake_attempt();
        attempts[i].method = held;
        calls[i] = fake_host_start(&fake, &attempts[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(fake_host_wait(&fake, calls[i])->code, REDIAL_OK);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_int_equal(server_count("held"), COUNT);
    assert_true(end.tv_sec - start.tv_sec < LIMIT_S);
}

static void
all_mistakes_in_a_configuration_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *config;
        const char *complaint;
    } rows[] = {
        {"{}", "$.url: is missing"},
        {"{\"url\":\"ftp://x/\"}", "must begin with http://"},
        {"{\"url\":\"file:///etc/passwd\"}", "must begin with http://"},
        {"{\"url\":\"http:///x\"}", "and a host"},
        {"{\"url\":\"http://{service}/\"}", "may stand in the host"},
        {"{\"url\":\"http://{service}.x/\"}", "may stand in the host"},
        {"{\"url\":\"http://x/{servise}\"}", "did you mean {service}?"},
        {"{\"url\":\"http://x/\",\"urls\":\"\"}", "did you mean \"url\"?"},
        {"{\"url\":\"http://x/\",\"method\":\"GET /\"}", "is no method"},
        {"{\"url\":\"http://x/\",\"retry_after_for\":\"all\"}",
         "retry_after_for: \"all\" is neither"},
        {"{\"url\":\"http://x/\",\"headers\":{\"A B\":\"\"}}",
         "\"A B\" is no name of a header"},
        {"{\"url\":\"http://x/\",\"headers\":{\"A\":\"b\\r\\nc\"}}",
         "must be one line"},
        {"{\"url\":\"http://x/\",\"timeout_ms\":0}", "must be 1 to 86400000"},
        {"{\"url\":\"http://x/\",\"codes\":{\"99\":\"OK\"}}",
         "$.codes.99: is no reason"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(fake_host_open(&fake, "http", rows[i].config),
                         REDIAL_INVALID_ARGUMENT);
        if (strstr(fake.error, rows[i].complaint) == NULL) {
            fail_msg("%s: %s", rows[i].config, fake.error);
        }
        fake_host_close(&fake);
    }
}

#define TEST(name) cmocka_unit_test_teardown(name, close_after)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_status_has_its_code),
        TEST(codes_can_be_replaced),
        TEST(a_header_can_give_the_reason),
        TEST(retry_after_becomes_pushback),
        TEST(retry_after_holds_the_target_where_it_shall),
        TEST(the_request_carries_the_job),
        TEST(headers_cannot_be_injected),
        TEST(methods_without_a_body_send_none),
        TEST(responses_are_capped),
        TEST(no_connection_is_unavailable),
        TEST(limits_are_kept),
        TEST(stopping_ends_an_exchange),
        TEST(connections_are_used_again),
        TEST(nothing_is_sent_twice),
        TEST(redirects_are_answers_unless_allowed),
        TEST(three_hundred_transfers_are_held_at_once),
        TEST(all_mistakes_in_a_configuration_are_named),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
