/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program `redial` as a user runs it: words in, exit code and texts out.
 */
#ifndef REDIAL_TESTS_E2E_CLI_TOOL_H
#define REDIAL_TESTS_E2E_CLI_TOOL_H

#include "tests/e2e/harness/harness.h"

#define TOOL_TEXT_BYTES 262144
#define TOOL_WORDS_MAX  32

struct tool_result {
    int code; /* of the exit; -1: a signal */
    char out[TOOL_TEXT_BYTES];
    size_t out_len;
    char err[TOOL_TEXT_BYTES];
};

/* A run that goes on. */
struct tool {
    pid_t pid;
    int out_fd;
    char out[TOOL_TEXT_BYTES]; /* what it has written so far */
    size_t out_len;
};

/*
 * Runs "show --why 0189..." (words parted by spaces, "_" stands for a space in
 * one) against the gateway's socket for tools, with `input` (NULL: none) as
 * standard input, to its end.
 */
void
tool_run(const struct test_gateway *gateway, const char *line,
         const char *input, struct tool_result *ret_result);

/* Starts it and comes back; its errors go to the test's. */
void
tool_start(struct tool *tool, const struct test_gateway *gateway,
           const char *line);

/* Waits until it has written `word`; fails the test after too long. */
void
tool_wait_for(struct tool *tool, const char *word);

/* Waits for its end; the exit code. */
int
tool_wait(struct tool *tool);

/* SIGTERM, and waited for. */
void
tool_stop(struct tool *tool);

#endif
