/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/event.h"
#include "client/cli/stream.h"
#include "client/cli/verb.h"

#include <stdlib.h>
#include <string.h>

static char *
unconst(const char *string)
{
    return (char *)(uintptr_t)string;
}

/* All values of an option; *ret_count of them, to be freed. */
static char **
all_values(const struct args *args, enum option option, size_t *ret_count)
{
    size_t count = args_count(args, option);
    char **values = calloc(count + 1, sizeof(*values));

    if (values == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        values[i] = unconst(args_nth(args, option, i));
    }
    *ret_count = count;
    return values;
}

static bool
fill_filter(Redial__V1__WatchFilter *filter, const struct args *args)
{
    redial__v1__watch_filter__init(filter);
    filter->correlation_id = unconst(args_get(args, OPTION_CORRELATION_ID));
    filter->key = unconst(args_get(args, OPTION_KEY));
    filter->tenant = unconst(args_get(args, OPTION_TENANT));
    filter->service = unconst(args_get(args, OPTION_SERVICE));
    filter->method = unconst(args_get(args, OPTION_METHOD));
    filter->job_ids = all_values(args, OPTION_JOB, &filter->n_job_ids);
    filter->types = all_values(args, OPTION_TYPE, &filter->n_types);
    return filter->job_ids != NULL && filter->types != NULL;
}

static bool
print_event(void *ctx, const Redial__V1__Event *event)
{
    struct cli *cli = ctx;

    if (args_has(cli->args, OPTION_JSON)) {
        cli_print_json(cli, &event->base);
    } else {
        event_add(&cli->line, event);
        text_add(&cli->line, "\n");
        cli_print(cli);
    }
    return ferror(cli->out) == 0;
}

/* Where to begin; free() it. NULL: cli->error says why not. */
static char *
find_cursor(struct cli *cli)
{
    const char *from = args_get(cli->args, OPTION_FROM);

    if (from != NULL) {
        return strdup(from);
    }
    if (args_has(cli->args, OPTION_SINCE)) {
        int64_t ago = (int64_t)args_number(cli->args, OPTION_SINCE, 0);

        return stream_since(cli, cli->wall_ms() - ago);
    }
    return stream_head(cli);
}

static enum exit_code
follow(struct stream *stream)
{
    struct cli *cli = stream->cli;
    bool follows = !args_has(cli->args, OPTION_NO_FOLLOW);

    do {
        enum redial_status status = stream_turn(stream,
                                                follows ? cli_wait_ms(cli) : 0);

        if (status != REDIAL_OK) {
            return cli_fail(cli);
        }
    } while (!stream->is_over && !cli_is_late(cli) &&
             (follows || !stream->is_at_head));
    if (args_has(cli->args, OPTION_VERBOSE) && stream->cursor != NULL) {
        text_addf(&cli->note, "redial events: go on with --from %s\n",
                  stream->cursor);
        cli_say(cli);
    }
    return EXIT_DONE;
}

enum exit_code
verb_events(struct cli *cli)
{
    Redial__V1__WatchFilter filter;
    struct stream stream = {
        .cli = cli, .filter = &filter, .take = print_event, .ctx = cli};
    enum exit_code code = EXIT_INTERNAL;

    if (args_has(cli->args, OPTION_FROM) && args_has(cli->args, OPTION_SINCE)) {
        return cli_usage(cli, "--from and --since exclude each other");
    }
    if (fill_filter(&filter, cli->args)) {
        stream.cursor = find_cursor(cli);
        code = stream.cursor != NULL ? follow(&stream) : cli_fail(cli);
    }
    stream_fini(&stream);
    free(filter.job_ids);
    free(filter.types);
    return code;
}
