/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every verb needs: the command line, a connection, a place to print, and
 * the time that is left. One thread.
 *
 * Results go to standard output; what is said about them, and every failure,
 * goes to standard error.
 */
#ifndef REDIAL_CLIENT_CLI_CLI_H
#define REDIAL_CLIENT_CLI_CLI_H

#include "client/cli/args.h"
#include "client/cli/exit.h"
#include "client/cli/text.h"
#include "client/cli/where.h"
#include "client/internal.h"
#include <redial/v1/admin.pb-c.h>
#include <redial/v1/gateway.pb-c.h>

#include <stdio.h>

/* What the gateway lets a call wait at most, ms. */
#define CLI_PARK_MS 20000

/*
 * One call and its answer, as redial_i_call(): the seam at which tests put a
 * gateway of their own.
 */
typedef enum redial_status (*cli_caller)(void *ctx,
                                         const struct redial_i_method *method,
                                         const ProtobufCMessage *request,
                                         struct redial_deadline deadline,
                                         struct redial_i_response *ret_response,
                                         struct redial_error *ret_error);

struct cli {
    const struct args *args;
    FILE *out;
    FILE *err;
    FILE *in;
    bool out_is_terminal;
    bool err_is_terminal;
    where_environment environment;
    int64_t (*wall_ms)(void);

    cli_caller caller; /* NULL: connects at the first call */
    void *caller_ctx;
    redial_client *client;
    struct text addresses;
    enum where_source source;

    uint32_t pause_ms; /* before a gateway that is away is tried again */
    bool has_timeout;
    struct redial_deadline deadline; /* of everything, or never */
    struct redial_error error;       /* of the last call that failed */
    bool is_misused;                 /* that was the command line's fault */
    const char *job_id;              /* of a job that may exist, or NULL */
    struct text line;                /* to standard output, colours set */
    struct text note;                /* to standard error, colours set */
};

/* The methods of the gateway that the tool calls. */
extern const struct redial_i_method cli_submit, cli_await, cli_get, cli_cancel,
    cli_watch, cli_list, cli_stats, cli_health, cli_reload, cli_budgets,
    cli_explain;

/* Sets up for a command line that was understood, with the real world. */
void
cli_init(struct cli *cli, const struct args *args);

/* Closes the connection, frees everything. */
void
cli_fini(struct cli *cli);

/*
 * Calls the gateway; `wait_ms` is what the request itself asks it to wait. On
 * failure the status is in cli->error as well.
 */
enum redial_status
cli_call(struct cli *cli, const struct redial_i_method *method,
         const ProtobufCMessage *request, uint32_t wait_ms,
         struct redial_i_response *ret_response);

/*
 * The same for verbs that wait: while the gateway is away it is tried again,
 * until --timeout, with a note on standard error.
 */
enum redial_status
cli_wait_call(struct cli *cli, const struct redial_i_method *method,
              const ProtobufCMessage *request, uint32_t wait_ms,
              struct redial_i_response *ret_response);

/* How long a call may wait now: at most CLI_PARK_MS and what is left. */
uint32_t
cli_wait_ms(const struct cli *cli);

/* Is --timeout over? */
bool
cli_is_late(const struct cli *cli);

/* Writes cli->line to standard output, with nothing added, and clears it. */
void
cli_print(struct cli *cli);

/* Writes cli->note to standard error and clears it. */
void
cli_say(struct cli *cli);

/* A message as one line of JSON, on standard output. */
void
cli_print_json(struct cli *cli, const ProtobufCMessage *message);

/* How wide standard output is; 0: not a terminal, or it does not say. */
size_t
cli_columns(const struct cli *cli);

/* Bytes as they are, on standard output. */
void
cli_print_bytes(struct cli *cli, const void *bytes, size_t len);

/* Says why the last call failed and what to do; the exit code of that. */
enum exit_code
cli_fail(struct cli *cli);

/* The command line is wrong in a way that only the verb knows. */
enum exit_code
cli_usage(struct cli *cli, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * The job that a verb is about: an id, or --key (and --tenant). False: both or
 * neither are given, and the user has been told.
 */
bool
cli_job_ref(struct cli *cli, struct redial_job_ref *ret_ref);

/*
 * Takes the first word apart, SERVICE/METHOD, into buffers of
 * WIRE_SERVICE_BYTES_MAX + 1 and WIRE_METHOD_BYTES_MAX + 1 bytes. False: it is
 * none, and the user has been told.
 */
bool
cli_method(struct cli *cli, char *ret_service, char *ret_method);

/* Runs the verb of the command line; the whole program but for main(). */
enum exit_code
cli_run(struct cli *cli);

#endif
