/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list and cancel.
 */
#include "client/cli/cli.h"
#include "client/cli/line.h"
#include "client/cli/table.h"
#include "client/cli/units.h"
#include "client/cli/verb.h"

#include <stdlib.h>
#include <string.h>

#define JOBS_DEFAULT    100
#define PAGE_JOBS_MAX   1000
#define STATES_MAX      16
#define FAILURE_COLUMNS 60

enum column {
    COLUMN_ID,
    COLUMN_METHOD,
    COLUMN_STATE,
    COLUMN_AGE,
    COLUMN_ATTEMPTS,
    COLUMN_NEXT,
    COLUMN_LAST,
    COLUMN_COUNT,
};

struct list {
    struct cli *cli;
    Redial__V1__ListRequest request;
    Redial__V1__Job__State states[STATES_MAX];
    char *cursor; /* owned */
    uint64_t left;
    struct table table;
};

static char *
unconst(const char *string)
{
    return (char *)(uintptr_t)string;
}

/* ---- What is asked ------------------------------------------------------ */

static void
fill_states(struct list *list)
{
    const struct args *args = list->cli->args;
    size_t count = args_count(args, OPTION_STATE);

    for (size_t i = 0; i < count && i < STATES_MAX; i++) {
        const ProtobufCEnumValue *value =
            protobuf_c_enum_descriptor_get_value_by_name(
                &redial__v1__job__state__descriptor,
                args_nth(args, OPTION_STATE, i));

        if (value != NULL) {
            list->states[list->request.n_states++] =
                (Redial__V1__Job__State)value->value;
        }
    }
    list->request.states = list->states;
}

static void
fill_request(struct list *list)
{
    const struct args *args = list->cli->args;
    Redial__V1__ListRequest *request = &list->request;

    redial__v1__list_request__init(request);
    fill_states(list);
    request->service = unconst(args_get(args, OPTION_SERVICE));
    request->method = unconst(args_get(args, OPTION_METHOD));
    request->correlation_id = unconst(args_get(args, OPTION_CORRELATION_ID));
    request->tenant = unconst(args_get(args, OPTION_TENANT));
    list->left = args_number(args, OPTION_MAX, JOBS_DEFAULT);
}

/* ---- What is shown ------------------------------------------------------ */

static void
add_heads(struct table *table)
{
    static const char *const heads[COLUMN_COUNT] = {
        [COLUMN_ID] = "ID",
        [COLUMN_METHOD] = "METHOD",
        [COLUMN_STATE] = "STATE",
        [COLUMN_AGE] = "AGE",
        [COLUMN_ATTEMPTS] = "TRIED",
        [COLUMN_NEXT] = "NEXT IN",
        [COLUMN_LAST] = "LAST FAILURE",
    };

    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        table_add(table, heads[i], PAINT_DIM);
    }
}

static void
add_attempts(struct text *cell, const Redial__V1__Job *job)
{
    text_addf(cell, "%u", (unsigned)job->attempts_charged);
    if (job->has_max_attempts && job->max_attempts > 0) {
        text_addf(cell, "/%u", (unsigned)job->max_attempts);
    }
    if (job->has_attempts_free && job->attempts_free > 0) {
        text_addf(cell, "+%u", (unsigned)job->attempts_free);
    }
}

static void
add_last(struct text *cell, const Redial__V1__Job *job)
{
    const Redial__V1__Outcome *outcome = job->outcome != NULL
                                             ? job->outcome
                                             : job->last_failure;

    if (outcome != NULL && outcome->code != REDIAL__V1__CODE__OK) {
        line_add_outcome(cell, outcome, FAILURE_COLUMNS);
    }
}

static void
add_row(struct table *table, const Redial__V1__Job *job, int64_t now_ms)
{
    struct text cell = {.at = NULL};

    text_add_foreign(&cell, job->id, 0);
    table_add_text(table, &cell, PAINT_NONE);
    line_add_method(&cell, job->service, job->method);
    table_add_text(table, &cell, PAINT_NONE);
    table_add(table, line_state_name(job->state), line_state_paint(job->state));
    if (job->has_accepted_wall_ms) {
        units_add_between(&cell, job->accepted_wall_ms, now_ms);
    }
    table_add_text(table, &cell, PAINT_NONE);
    add_attempts(&cell, job);
    table_add_text(table, &cell, PAINT_NONE);
    if (job->has_next_wall_ms && !line_state_is_final(job->state)) {
        units_add_between(&cell, now_ms, job->next_wall_ms);
    }
    table_add_text(table, &cell, PAINT_NONE);
    add_last(&cell, job);
    table_add_text(table, &cell, PAINT_NONE);
    text_fini(&cell);
}

static void
take_page(struct list *list, const Redial__V1__ListResponse *page)
{
    struct cli *cli = list->cli;

    for (size_t i = 0; i < page->n_jobs && list->left > 0; i++) {
        if (args_has(cli->args, OPTION_JSON)) {
            cli_print_json(cli, &page->jobs[i]->base);
        } else {
            add_row(&list->table, page->jobs[i], cli->wall_ms());
        }
        list->left--;
    }
    free(list->cursor);
    list->cursor = page->cursor != NULL && page->cursor[0] != '\0'
                       ? strdup(page->cursor)
                       : NULL;
}

static enum redial_status
read_pages(struct list *list)
{
    do {
        struct redial_i_response response;
        enum redial_status status;

        list->request.cursor = list->cursor;
        list->request.has_max = true;
        list->request.max =
            (uint32_t)(list->left < PAGE_JOBS_MAX ? list->left : PAGE_JOBS_MAX);
        status = cli_call(list->cli, &cli_list, &list->request.base, 0,
                          &response);
        if (status != REDIAL_OK) {
            return status;
        }
        take_page(list, (const Redial__V1__ListResponse *)response.message);
        redial_i_response_fini(&response);
    } while (list->cursor != NULL && list->left > 0);
    return REDIAL_OK;
}

enum exit_code
verb_list(struct cli *cli)
{
    struct list list = {
        .cli = cli,
        .table = {.columns = COLUMN_COUNT,
                  .right = 1u << COLUMN_AGE | 1u << COLUMN_NEXT},
    };
    enum redial_status status;

    fill_request(&list);
    add_heads(&list.table);
    status = read_pages(&list);
    if (!args_has(cli->args, OPTION_JSON) && list.table.count > COLUMN_COUNT) {
        table_print(&list.table, 0, &cli->line);
        cli_print(cli);
    }
    if (status == REDIAL_OK && list.cursor != NULL) {
        text_add(&cli->note, "There are more: redial list --max COUNT\n");
        cli_say(cli);
    }
    table_fini(&list.table);
    free(list.cursor);
    return status == REDIAL_OK ? EXIT_DONE : cli_fail(cli);
}

/* ---- cancel ------------------------------------------------------------- */

static enum exit_code
print_cancelled(struct cli *cli, const Redial__V1__CancelResponse *answer)
{
    if (args_has(cli->args, OPTION_JSON)) {
        cli_print_json(cli, &answer->base);
    } else if (answer->cancelled) {
        text_add(&cli->line, "cancelled\n");
        cli_print(cli);
    } else {
        text_addf(&cli->line, "%s before: nothing to cancel\n",
                  line_state_name(answer->state));
        cli_print(cli);
    }
    return answer->cancelled ||
                   answer->state == REDIAL__V1__JOB__STATE__CANCELLED
               ? EXIT_DONE
               : EXIT_REFUSED;
}

enum exit_code
verb_cancel(struct cli *cli)
{
    Redial__V1__CancelRequest request = REDIAL__V1__CANCEL_REQUEST__INIT;
    struct redial_i_response response;
    struct redial_job_ref ref;
    enum exit_code code;

    if (!cli_job_ref(cli, &ref)) {
        return EXIT_USAGE;
    }
    request.id = unconst(ref.id);
    request.key = unconst(ref.key);
    request.tenant = unconst(ref.tenant);
    request.reason = unconst(args_get(cli->args, OPTION_REASON));
    if (cli_call(cli, &cli_cancel, &request.base, 0, &response) != REDIAL_OK) {
        return cli_fail(cli);
    }
    code = print_cancelled(
        cli, (const Redial__V1__CancelResponse *)response.message);
    redial_i_response_fini(&response);
    return code;
}
