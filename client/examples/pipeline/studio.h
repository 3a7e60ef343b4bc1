/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agents of the studio have in common. Each is a process of its own
 * that reads files, hands one job to the gateway, waits, and writes one file:
 *
 *     script-writer CORRELATION-ID INPUT... OUTPUT
 *
 * The gateway is at $REDIAL_ADDRESS. None of them tries anything twice.
 */
#ifndef REDIAL_CLIENT_EXAMPLES_PIPELINE_STUDIO_H
#define REDIAL_CLIENT_EXAMPLES_PIPELINE_STUDIO_H

#include <stddef.h>

/* A growing text, or any bytes. Begin with {0}. */
struct text {
    char *bytes; /* has a NUL behind its end; NULL while empty */
    size_t len;
};

struct task {
    const char *agent; /* for people: "script-writer" */
    const char *service;
    const char *method;
    const char *content_type;
    struct text payload;
};

/* How an agent ends. */
enum studio_exit {
    STUDIO_DONE = 0,
    STUDIO_FAILED = 1, /* the job failed for good */
    STUDIO_USAGE = 2,
    STUDIO_TROUBLE = 3, /* no file, no gateway, no memory */
};

/* Adds bytes. Without memory the agent ends: STUDIO_TROUBLE. */
void
text_add(struct text *text, const char *bytes, size_t len);

/* Adds what is in the file. If it cannot be read, the agent ends. */
void
text_add_file(struct text *text, const char *path);

/*
 * Field `field` (from 0) of line `line` (from 1) of a script, whose lines look
 * like "1 | what the picture shows | what the voice says". Without such a line
 * the agent ends.
 */
struct text
script_field(const struct text *script, unsigned line, unsigned field);

/*
 * The agent's whole work: submits the task as a job under the correlation id,
 * waits for its end, writes the result to the file `output`. The job's key
 * comes from what is asked for, so an agent that is started again after a
 * crash joins the job of its predecessor. Returns how to exit.
 */
enum studio_exit
studio_run(const struct task *task, const char *correlation_id,
           const char *output);

#endif
