/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One of the example programs as its user runs it.
 */
#ifndef REDIAL_TESTS_E2E_EXAMPLES_PROGRAM_H
#define REDIAL_TESTS_E2E_EXAMPLES_PROGRAM_H

#include <stddef.h>
#include <sys/types.h>

enum { PROGRAM_TEXT_BYTES = 16384 };

struct program {
    pid_t pid;
    int fd;                        /* its output and errors */
    char text[PROGRAM_TEXT_BYTES]; /* what it has written so far */
    size_t len;
};

/*
 * Starts <build>/bin/examples/<argv[0]> with REDIAL_ADDRESS; the array ends
 * with NULL.
 */
void
program_start(struct program *program, const char *address,
              const char *const *argv);

/* Waits until it has written this; fails the test after too long. */
void
program_wait_for(struct program *program, const char *words);

/* Waits for its end; the exit code, or -1 for a signal. */
int
program_wait(struct program *program);

/* Sends a signal, and waits for its end. */
int
program_end(struct program *program, int number);

#endif
