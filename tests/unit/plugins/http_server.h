/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real HTTP server for tests, on a free loopback port: http_server.py, whose
 * head says what its paths do.
 */
#ifndef REDIAL_TESTS_UNIT_PLUGINS_HTTP_SERVER_H
#define REDIAL_TESTS_UNIT_PLUGINS_HTTP_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

struct http_server {
    pid_t pid;
    int input; /* it ends when this is closed */
    int port;
};

/* Returns when it listens. */
bool
http_server_start(struct http_server *ret_server);

bool
http_server_stop(struct http_server *server);

#endif
