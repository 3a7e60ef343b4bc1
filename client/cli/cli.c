/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/cli.h"

#include "client/cli/connect.h"
#include "client/cli/hint.h"
#include "client/cli/verb.h"
#include "client/clock.h"
#include "proto/json_out.h"
#include "proto/name.h"
#include "proto/uuid.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CALL_MS        10000 /* one answer may take, beside what it waits */
#define LATE_MS        1000  /* the gateway has after --timeout to answer */
#define PAUSE_MS       1000  /* before a gateway that refuses is tried again */
#define JSON_BYTES_MAX (64u * 1024 * 1024)

const struct redial_i_method cli_submit = {&redial__v1__gateway__descriptor,
                                           "Submit", true};
const struct redial_i_method cli_await = {&redial__v1__gateway__descriptor,
                                          "Await", true};
const struct redial_i_method cli_get = {&redial__v1__gateway__descriptor, "Get",
                                        true};
const struct redial_i_method cli_cancel = {&redial__v1__gateway__descriptor,
                                           "Cancel", true};
const struct redial_i_method cli_watch = {&redial__v1__gateway__descriptor,
                                          "Watch", true};
const struct redial_i_method cli_list = {&redial__v1__admin__descriptor, "List",
                                         true};
const struct redial_i_method cli_stats = {&redial__v1__admin__descriptor,
                                          "Stats", true};
const struct redial_i_method cli_health = {&redial__v1__admin__descriptor,
                                           "Health", true};
const struct redial_i_method cli_budgets = {&redial__v1__admin__descriptor,
                                            "Budgets", true};
const struct redial_i_method cli_explain = {&redial__v1__admin__descriptor,
                                            "Explain", true};
const struct redial_i_method cli_reload = {&redial__v1__admin__descriptor,
                                           "Reload", true};

/* ---- Beginning and end -------------------------------------------------- */

static int64_t
wall_ms(void)
{
    return (int64_t)redial_i_wall_ms();
}

static bool
wants_colour(const struct cli *cli, bool is_terminal)
{
    const char *no_colour = cli->environment("NO_COLOR");
    const char *term = cli->environment("TERM");

    return is_terminal && !args_has(cli->args, OPTION_JSON) &&
           (no_colour == NULL || no_colour[0] == '\0') &&
           (term == NULL || strcmp(term, "dumb") != 0);
}

void
cli_init(struct cli *cli, const struct args *args)
{
    *cli = (struct cli){
        .args = args,
        .out = stdout,
        .err = stderr,
        .in = stdin,
        .out_is_terminal = isatty(STDOUT_FILENO) == 1,
        .err_is_terminal = isatty(STDERR_FILENO) == 1,
        .environment = getenv,
        .wall_ms = wall_ms,
        .pause_ms = PAUSE_MS,
        .has_timeout = args_has(args, OPTION_TIMEOUT),
        .deadline = redial_never(),
    };
    if (cli->has_timeout) {
        cli->deadline = redial_in_ms(args_number(args, OPTION_TIMEOUT, 0));
    }
    cli->line.colour = wants_colour(cli, cli->out_is_terminal);
    cli->note.colour = wants_colour(cli, cli->err_is_terminal);
    cli->source = where_add(&cli->addresses, args, cli->environment);
}

void
cli_fini(struct cli *cli)
{
    redial_client_close(cli->client);
    cli->client = NULL;
    text_fini(&cli->addresses);
    text_fini(&cli->line);
    text_fini(&cli->note);
}

/* ---- Printing ----------------------------------------------------------- */

static void
write_text(FILE *file, struct text *text)
{
    if (text->failed) {
        (void)fputs("redial: out of memory\n", file);
    } else if (text->len > 0) {
        (void)fwrite(text->at, 1, text->len, file);
    }
    (void)fflush(file);
    text_clear(text);
}

void
cli_print(struct cli *cli)
{
    write_text(cli->out, &cli->line);
}

void
cli_say(struct cli *cli)
{
    write_text(cli->err, &cli->note);
}

static void
write_json(FILE *file, const ProtobufCMessage *message)
{
    struct wire_json json;

    wire_json_init(&json, JSON_BYTES_MAX);
    wire_json_message(&json, message);
    if (json.status == REDIAL_OK) {
        (void)fwrite(json.text, 1, json.len, file);
        (void)fputc('\n', file);
    } else {
        (void)fputs("redial: the message is too large for JSON\n", stderr);
    }
    (void)fflush(file);
    wire_json_fini(&json);
}

void
cli_print_json(struct cli *cli, const ProtobufCMessage *message)
{
    write_json(cli->out, message);
}

size_t
cli_columns(const struct cli *cli)
{
    struct winsize size = {.ws_col = 0};

    if (cli->out_is_terminal) {
        (void)ioctl(fileno(cli->out), TIOCGWINSZ, &size);
    }
    return size.ws_col;
}

void
cli_print_bytes(struct cli *cli, const void *bytes, size_t len)
{
    if (len > 0) {
        (void)fwrite(bytes, 1, len, cli->out);
    }
    (void)fflush(cli->out);
}

/* ---- Failing ------------------------------------------------------------ */

static void
fail_json(struct cli *cli)
{
    Redial__V1__Status status = REDIAL__V1__STATUS__INIT;

    status.has_code = true;
    status.code = (Redial__V1__Code)cli->error.status;
    status.message = cli->error.text;
    status.reason = cli->error.reason[0] != '\0' ? cli->error.reason : NULL;
    status.has_retry_after_ms = cli->error.retry_after_ms > 0;
    status.retry_after_ms = cli->error.retry_after_ms;
    write_json(cli->err, &status.base);
}

/* Before there is a gateway to refuse anything, it is the command line. */
static enum exit_code
exit_of_error(const struct cli *cli)
{
    return cli->is_misused ? EXIT_USAGE : exit_of_status(cli->error.status);
}

enum exit_code
cli_fail(struct cli *cli)
{
    struct hint hint = {
        .error = &cli->error,
        .verb = cli->args->verb->name,
        .addresses = text_string(&cli->addresses),
        .source = cli->source,
        .job_id = cli->job_id,
    };

    if (args_has(cli->args, OPTION_JSON)) {
        fail_json(cli);
        return exit_of_error(cli);
    }
    text_addf(&cli->note, "redial %s: ", hint.verb);
    text_paint(&cli->note, PAINT_RED, redial_status_name(cli->error.status));
    if (cli->error.reason[0] != '\0' &&
        strcmp(cli->error.reason, redial_status_name(cli->error.status)) != 0) {
        text_add(&cli->note, " ");
        text_add_foreign(&cli->note, cli->error.reason, 0);
    }
    text_add(&cli->note, ": ");
    text_add_foreign(&cli->note,
                     cli->error.text[0] != '\0'
                         ? cli->error.text
                         : redial_status_text(cli->error.status),
                     0);
    text_add(&cli->note, "\n");
    hint_add(&cli->note, &hint);
    cli_say(cli);
    return exit_of_error(cli);
}

enum exit_code
cli_usage(struct cli *cli, const char *format, ...)
{
    char words[ARGS_ERROR_BYTES];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(words, sizeof(words), format, arguments);
    va_end(arguments);
    text_addf(&cli->note, "redial %s: ", cli->args->verb->name);
    text_add_foreign(&cli->note, words, 0);
    text_addf(&cli->note, "\n  See: redial %s --help\n", cli->args->verb->name);
    cli_say(cli);
    return EXIT_USAGE;
}

/* ---- Calling ------------------------------------------------------------ */

bool
cli_is_late(const struct cli *cli)
{
    return redial_i_now() >= cli->deadline.mono_ns;
}

uint32_t
cli_wait_ms(const struct cli *cli)
{
    return redial_i_ms_until(cli->deadline.mono_ns, CLI_PARK_MS);
}

enum redial_status
cli_call(struct cli *cli, const struct redial_i_method *method,
         const ProtobufCMessage *request, uint32_t wait_ms,
         struct redial_i_response *ret_response)
{
    struct redial_deadline deadline = redial_in_ms(CALL_MS + wait_ms);
    int64_t last = redial_i_after(cli->deadline.mono_ns, LATE_MS);
    enum redial_status status;

    if (cli->caller == NULL) {
        status = cli_connect(cli);
        if (status != REDIAL_OK) {
            return status;
        }
    }
    if (last < deadline.mono_ns) {
        deadline.mono_ns = last;
    }
    return cli->caller(cli->caller_ctx, method, request, deadline, ret_response,
                       &cli->error);
}

/*
 * Before the next attempt to reach the gateway. Ends at once when nobody reads
 * our output any more.
 */
static bool
pause_before_next(struct cli *cli)
{
    struct pollfd reader = {.fd = fileno(cli->out)};

    return poll(&reader, 1,
                (int)redial_i_ms_until(cli->deadline.mono_ns, cli->pause_ms)) ==
           0;
}

enum redial_status
cli_wait_call(struct cli *cli, const struct redial_i_method *method,
              const ProtobufCMessage *request, uint32_t wait_ms,
              struct redial_i_response *ret_response)
{
    bool was_connected = cli->caller != NULL;
    bool was_said = false;
    enum redial_status status;

    for (;;) {
        status = cli_call(cli, method, request, wait_ms, ret_response);
        if (status != REDIAL_UNAVAILABLE || !was_connected) {
            return status;
        }
        if (!was_said) {
            text_add(&cli->note, "redial: the gateway is away, trying again: ");
            text_add_foreign(&cli->note, cli->error.text, 0);
            text_add(&cli->note, "\n");
            cli_say(cli);
            was_said = true;
        }
        if (cli_is_late(cli) || !pause_before_next(cli)) {
            return status;
        }
    }
}

/* ---- Verbs -------------------------------------------------------------- */

bool
cli_job_ref(struct cli *cli, struct redial_job_ref *ret_ref)
{
    const char *key = args_get(cli->args, OPTION_KEY);
    const char *id = cli->args->word_count > 0 ? cli->args->words[0] : NULL;
    struct wire_uuid uuid;

    if ((id == NULL) == (key == NULL)) {
        (void)cli_usage(cli, id == NULL ? "name the job by its id or by --key"
                                        : "give an id or --key, not both");
        return false;
    }
    if (id != NULL && !wire_uuid_parse(id, strlen(id), &uuid)) {
        (void)cli_usage(cli,
                        "\"%.100s\" is not the id of a job (a UUID); a key is "
                        "given with --key",
                        id);
        return false;
    }
    *ret_ref = (struct redial_job_ref){
        .id = id,
        .key = key,
        .tenant = args_get(cli->args, OPTION_TENANT),
    };
    return true;
}

bool
cli_method(struct cli *cli, char *ret_service, char *ret_method)
{
    const char *word = cli->args->words[0];
    const char *slash = strchr(word, '/');
    size_t service_len = slash != NULL ? (size_t)(slash - word) : 0;
    const char *problem;

    if (slash == NULL) {
        (void)cli_usage(cli,
                        "\"%.100s\" is not SERVICE/METHOD, as in "
                        "image.ImageGen/Generate",
                        word);
        return false;
    }
    problem = wire_name_check_bytes(WIRE_NAME_SERVICE, word, service_len);
    if (problem == NULL) {
        problem = wire_name_check(WIRE_NAME_METHOD, slash + 1);
    }
    if (problem != NULL) {
        (void)cli_usage(cli, "\"%.100s\" is not SERVICE/METHOD: one of them %s",
                        word, problem);
        return false;
    }
    memcpy(ret_service, word, service_len);
    ret_service[service_len] = '\0';
    memcpy(ret_method, slash + 1, strlen(slash + 1) + 1);
    return true;
}

enum exit_code
cli_run(struct cli *cli)
{
    enum exit_code code = cli->args->verb->run(cli);

    if (fflush(cli->out) != 0 || ferror(cli->out)) {
        (void)fprintf(cli->err, "redial: standard output: %s\n",
                      strerror(errno));
        return code == EXIT_DONE ? EXIT_INTERNAL : code;
    }
    return code;
}
