/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many slow upstream calls in one plugin host: 300 transfers that the server
 * holds for five seconds each are under way at the same time.
 */
#include "tests/e2e/harness/harness.h"
#include "tests/unit/plugins/http_server.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { JOBS = 300, HELD_MS = 5000, LIMIT_MS = 10000 };

static struct http_server server;
static struct test_gateway gateway;
static redial_client *client;
static char config_path[128];

static int
start(void **state)
{
    (void)state;
    char config[1024];
    if (!http_server_start(&server)) {
        return -1;
    }
    gateway_setup(&gateway);
    snprintf(config_path, sizeof(config_path), "%s/redial.json", gateway.dir);
    int len = snprintf(config, sizeof(config),
                       "{\"plugins\":[{\"name\":\"caller\",\"plugin\":\"http\","
                       "\"concurrency\":%d,\"methods\":[{\"service\":\"http\","
                       "\"concurrency\":%d}],\"config\":{\"url\":"
                       "\"http://127.0.0.1:%d/hold/%d\"}}]}",
                       JOBS, JOBS, server.port, HELD_MS);
    int fd = open(config_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (write(fd, config, (size_t)len) != len || close(fd) != 0) {
        return -1;
    }
    gateway.config = config_path;
    gateway_run(&gateway);
    client = client_of(&gateway);
    return 0;
}

static int
stop(void **state)
{
    (void)state;
    redial_client_close(client);
    gateway_teardown(&gateway);
    return http_server_stop(&server) ? 0 : -1;
}

static void
one_host_holds_three_hundred_transfers(void **state)
{
    (void)state;
    struct redial_job job = {
        .struct_size = sizeof(job),
        .service = "http",
        .method = "Hold",
    };
    static struct redial_submitted submitted[JOBS];
    int64_t started_ms = now_ms();
    for (int i = 0; i < JOBS; i++) {
        submitted[i] = submit_job(client, &job);
    }
    for (int i = 0; i < JOBS; i++) {
        struct redial_job_info *info = final_of(client, submitted[i].id);
        assert_int_equal(info->state, REDIAL_JOB_SUCCEEDED);
        assert_int_equal(info->attempt_count, 1);
        redial_job_info_free(info);
    }
    assert_in_range(now_ms() - started_ms, HELD_MS, LIMIT_MS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_host_holds_three_hundred_transfers),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
