/* SPDX-License-Identifier: Apache-2.0 */
/*
 * budget: one look, or one a second.
 */
#include "client/cli/budget.h"
#include "client/cli/cli.h"
#include "client/cli/verb.h"
#include "client/cli/view.h"
#include "client/clock.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define PAGE_MAX  1000
#define PAGES_MAX 100
#define TICK_MS   1000

/* All pages of one look; the budgets point into the answers. */
struct look {
    struct cli *cli;
    struct redial_i_response pages[PAGES_MAX];
    size_t page_count;
    const Redial__V1__Budget **budgets;
    size_t count;
    bool has_more; /* beyond PAGES_MAX */
};

static void
look_fini(struct look *look)
{
    for (size_t i = 0; i < look->page_count; i++) {
        redial_i_response_fini(&look->pages[i]);
    }
    free(look->budgets);
    *look = (struct look){.cli = look->cli};
}

static const Redial__V1__BudgetsResponse *
page_of(const struct look *look, size_t index)
{
    return (const Redial__V1__BudgetsResponse *)look->pages[index].message;
}

static enum redial_status
read_pages(struct look *look)
{
    Redial__V1__BudgetsRequest request = REDIAL__V1__BUDGETS_REQUEST__INIT;
    const struct args *args = look->cli->args;
    bool is_live = args_has(args, OPTION_WATCH);

    request.target = args->word_count > 0 ? (char *)(uintptr_t)args->words[0]
                                          : NULL;
    request.has_max = true;
    request.max = PAGE_MAX;
    do {
        struct redial_i_response *page = &look->pages[look->page_count];
        enum redial_status status =
            is_live
                ? cli_wait_call(look->cli, &cli_budgets, &request.base, 0, page)
                : cli_call(look->cli, &cli_budgets, &request.base, 0, page);

        if (status != REDIAL_OK) {
            return status;
        }
        look->page_count++;
        look->count += page_of(look, look->page_count - 1)->n_budgets;
        request.cursor = page_of(look, look->page_count - 1)->cursor;
        look->has_more = request.cursor != NULL && request.cursor[0] != '\0';
    } while (look->has_more && look->page_count < PAGES_MAX);
    return REDIAL_OK;
}

/* What there is now. EXIT_DONE, or the user has been told. */
static enum exit_code
take_look(struct look *look)
{
    size_t count = 0;

    if (read_pages(look) != REDIAL_OK) {
        return cli_fail(look->cli);
    }
    look->budgets = calloc(look->count + 1, sizeof(*look->budgets));
    if (look->budgets == NULL) {
        return EXIT_INTERNAL;
    }
    for (size_t i = 0; i < look->page_count; i++) {
        for (size_t k = 0; k < page_of(look, i)->n_budgets; k++) {
            look->budgets[count++] = page_of(look, i)->budgets[k];
        }
    }
    return EXIT_DONE;
}

/* ---- Printing ----------------------------------------------------------- */

static void
add_picture(struct text *text, const struct look *look, size_t columns)
{
    if (look->count == 0) {
        text_add(text, "no target has a throttle, a budget or retries yet\n");
    }
    budget_add(text, look->budgets, look->count, look->cli->wall_ms(), columns);
    if (look->has_more) {
        text_add(text, "and more\n");
    }
}

/* Over the last picture, which had `lines`; returns how many it has now. */
static size_t
draw(const struct look *look, size_t lines)
{
    struct cli *cli = look->cli;
    struct winsize size = {.ws_col = 80, .ws_row = 24};
    struct text picture = {.colour = cli->line.colour};

    (void)ioctl(fileno(cli->out), TIOCGWINSZ, &size);
    add_picture(&picture, look, size.ws_col);
    lines = view_add_over(&cli->line, &picture, size.ws_col, size.ws_row,
                          lines);
    cli_print(cli);
    text_fini(&picture);
    return lines;
}

static void
print(const struct look *look)
{
    struct cli *cli = look->cli;

    if (args_has(cli->args, OPTION_JSON)) {
        for (size_t i = 0; i < look->count; i++) {
            cli_print_json(cli, &look->budgets[i]->base);
        }
        return;
    }
    add_picture(&cli->line, look, cli_columns(cli));
    cli_print(cli);
}

/* ---- Again and again ---------------------------------------------------- */

/* False: time is up, or nobody reads our output any more. */
static bool
pause_a_tick(struct cli *cli)
{
    struct pollfd reader = {.fd = fileno(cli->out)};
    uint32_t tick_ms = cli->pause_ms < TICK_MS ? cli->pause_ms : TICK_MS;

    return !cli_is_late(cli) &&
           poll(&reader, 1,
                (int)redial_i_ms_until(cli->deadline.mono_ns, tick_ms)) == 0 &&
           !cli_is_late(cli) && ferror(cli->out) == 0;
}

static enum exit_code
follow(struct look *look)
{
    struct cli *cli = look->cli;
    bool is_json = args_has(cli->args, OPTION_JSON);
    bool draws = cli->out_is_terminal && !is_json;
    enum exit_code code;
    size_t lines = 0;

    do {
        look_fini(look);
        code = take_look(look);
        if (code == EXIT_DONE && draws) {
            lines = draw(look, lines);
        } else if (code == EXIT_DONE) {
            print(look);
            text_add(&cli->line, is_json ? NULL : "\n");
        }
    } while (code == EXIT_DONE && pause_a_tick(cli));
    return code;
}

enum exit_code
verb_budget(struct cli *cli)
{
    struct look look = {.cli = cli};
    enum exit_code code;

    if (args_has(cli->args, OPTION_WATCH)) {
        code = follow(&look);
    } else {
        code = take_look(&look);
        if (code == EXIT_DONE && look.count == 0 && cli->args->word_count > 0) {
            cli->error = (struct redial_error){.status = REDIAL_NOT_FOUND};
            (void)snprintf(cli->error.text, sizeof(cli->error.text),
                           "there is no target %.100s", cli->args->words[0]);
            code = cli_fail(cli);
        } else if (code == EXIT_DONE) {
            print(&look);
        }
    }
    look_fini(&look);
    return code;
}
