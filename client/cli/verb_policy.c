/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy check, policy simulate: what the gateway's own program does, so that
 * there is one opinion on what a policy means.
 */
#include "client/cli/event.h"
#include "client/cli/program.h"
#include "client/cli/stream.h"
#include "client/cli/verb.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- check -------------------------------------------------------------- */

enum exit_code
verb_policy_check(struct cli *cli)
{
    const char *argv[6] = {NULL, "--check"};
    struct program program;
    size_t count = 2;
    enum exit_code code;

    if (cli->args->word_count > 0) {
        argv[count++] = "--config";
        argv[count++] = cli->args->words[0];
    }
    if (args_has(cli->args, OPTION_JSON)) {
        argv[count++] = "--json";
    }
    code = program_start(&program, cli, argv, false);
    if (code == EXIT_DONE) {
        code = (enum exit_code)program_wait(&program);
    }
    program_fini(&program);
    return code;
}

/* ---- simulate ----------------------------------------------------------- */

struct simulation {
    struct cli *cli;
    struct stream stream;
    struct program program;
    enum exit_code written; /* how the last write went */
    uint64_t events;
};

static void
say_gap(struct cli *cli, const Redial__V1__Gap *gap)
{
    text_addf(&cli->note, "redial %s: ", cli->args->verb->name);
    event_add_gap(&cli->note, gap);
    text_add(&cli->note, "\n");
    cli_say(cli);
}

/* An answer as the program reads it: 4 bytes of length, big-endian, and it. */
static bool
hand_on(void *ctx, const Redial__V1__WatchResponse *answer)
{
    struct simulation *simulation = ctx;
    size_t len = redial__v1__watch_response__get_packed_size(answer);
    uint8_t *bytes = malloc(len + 4);

    if (bytes == NULL) {
        simulation->written = EXIT_INTERNAL;
        return false;
    }
    if (answer->gap != NULL) {
        say_gap(simulation->cli, answer->gap);
    }
    for (size_t i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(len >> (24 - 8 * i));
    }
    (void)redial__v1__watch_response__pack(answer, bytes + 4);
    simulation->written = program_write(&simulation->program, bytes, len + 4);
    simulation->events += answer->n_events;
    free(bytes);
    return simulation->written == EXIT_DONE;
}

/*
 * All that there is until now; what happens meanwhile is not waited for. False:
 * the program must not go on, it would take a part for the whole.
 */
static bool
feed(struct simulation *simulation, const char *head, enum exit_code *ret_code)
{
    struct stream *stream = &simulation->stream;

    do {
        if (stream_turn(stream, 0) != REDIAL_OK) {
            *ret_code = cli_fail(simulation->cli);
            return false;
        }
        if (cli_is_late(simulation->cli)) {
            simulation->written = EXIT_PENDING;
        }
    } while (simulation->written == EXIT_DONE && !stream->is_at_head &&
             !stream_is_behind(stream->cursor, head));
    *ret_code = simulation->written;
    return simulation->written == EXIT_DONE ||
           simulation->written == EXIT_FAILED;
}

/* It read no more: then it must say why itself, by how it exits. */
static enum exit_code
end(struct simulation *simulation)
{
    struct cli *cli = simulation->cli;
    int code;

    program_end_input(&simulation->program);
    code = program_wait(&simulation->program);
    if (code == EXIT_DONE && simulation->written == EXIT_FAILED) {
        text_addf(&cli->note,
                  "redial %s: the program ended before it had read all "
                  "events\n",
                  cli->args->verb->name);
        cli_say(cli);
        return EXIT_INTERNAL;
    }
    if (args_has(cli->args, OPTION_VERBOSE)) {
        text_addf(&cli->note, "redial %s: %" PRIu64 " events, until %s\n",
                  cli->args->verb->name, simulation->events,
                  simulation->stream.cursor);
        cli_say(cli);
    }
    return (enum exit_code)code;
}

static enum exit_code
simulate(struct simulation *simulation, const char *head)
{
    struct cli *cli = simulation->cli;
    const char *argv[5] = {NULL, "--simulate-policy",
                           args_get(cli->args, OPTION_POLICY)};
    enum exit_code code;

    if (args_has(cli->args, OPTION_JSON)) {
        argv[3] = "--json";
    }
    code = program_start(&simulation->program, cli, argv, true);
    if (code == EXIT_DONE && feed(simulation, head, &code)) {
        code = end(simulation);
    } else if (code == EXIT_PENDING) {
        text_addf(&cli->note, "redial %s: time is up\n", cli->args->verb->name);
        cli_say(cli);
    }
    program_fini(&simulation->program);
    return code;
}

enum exit_code
verb_policy_simulate(struct cli *cli)
{
    const char *from = args_get(cli->args, OPTION_FROM);
    struct simulation simulation = {
        .cli = cli,
        .stream = {.cli = cli, .take_answer = hand_on},
    };
    enum exit_code code;
    char *head;

    if (!args_has(cli->args, OPTION_POLICY)) {
        return cli_usage(cli, "--policy FILE is missing: the configuration to "
                              "try");
    }
    head = stream_head(cli);
    if (head == NULL) {
        return cli_fail(cli);
    }
    simulation.stream.ctx = &simulation;
    simulation.stream.cursor = strdup(from != NULL ? from : "start");
    code = simulation.stream.cursor != NULL ? simulate(&simulation, head)
                                            : EXIT_INTERNAL;
    stream_fini(&simulation.stream);
    free(head);
    return code;
}
