/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health, stats, reload, version: about the gateway and the tool themselves.
 */
#include "client/cli/cli.h"
#include "client/cli/help.h"
#include "client/cli/line.h"
#include "client/cli/table.h"
#include "client/cli/units.h"
#include "client/cli/verb.h"
#include "proto/json_out.h"
#include <redial/version.h>

#include <inttypes.h>
#include <string.h>

#define TITLE "%-16s "

/* ---- health ------------------------------------------------------------- */

static void
add_health(struct text *text, const Redial__V1__HealthResponse *health)
{
    text_paint(text, health->ready ? PAINT_GREEN : PAINT_RED,
               health->ready ? "ready" : "not ready");
    if (!health->ready && health->why != NULL) {
        text_add(text, ": ");
        text_add_foreign(text, health->why, 0);
    }
    text_add(text, "  version ");
    text_add_foreign(text, health->version, 0);
    text_add(text, health->durable ? "  durable" : "  ephemeral");
    text_add(text, "  log ");
    text_add_foreign(text, health->epoch, 0);
    text_add(text, "\n");
}

enum exit_code
verb_health(struct cli *cli)
{
    Redial__V1__HealthRequest request = REDIAL__V1__HEALTH_REQUEST__INIT;
    const Redial__V1__HealthResponse *health;
    struct redial_i_response response;
    bool is_ready;

    if (cli_call(cli, &cli_health, &request.base, 0, &response) != REDIAL_OK) {
        return cli_fail(cli);
    }
    health = (const Redial__V1__HealthResponse *)response.message;
    is_ready = health->ready;
    if (args_has(cli->args, OPTION_JSON)) {
        cli_print_json(cli, &health->base);
    } else {
        add_health(&cli->line, health);
        cli_print(cli);
    }
    redial_i_response_fini(&response);
    return is_ready ? EXIT_DONE : EXIT_FAILED;
}

/* ---- stats -------------------------------------------------------------- */

static void
add_micros(struct text *text, uint64_t us)
{
    text_addf(text, "%" PRIu64 ".%02" PRIu64 " ms", us / 1000, us % 1000 / 10);
}

static void
add_states(struct text *text, const Redial__V1__StatsResponse *stats)
{
    bool is_first = true;

    text_addf(text, TITLE, "jobs");
    for (size_t i = 0; i < stats->n_states; i++) {
        const Redial__V1__StateCount *count = stats->states[i];

        if (count->jobs == 0) {
            continue;
        }
        text_add(text, is_first ? "" : ", ");
        text_paint(text, line_state_paint(count->state),
                   line_state_name(count->state));
        text_addf(text, " %" PRIu64, count->jobs);
        is_first = false;
    }
    text_add(text, is_first ? "none\n" : "\n");
}

/* What an operator alerts on. */
static void
add_alerts(struct text *text, const Redial__V1__StatsResponse *stats)
{
    text_addf(text, TITLE, "oldest READY");
    units_add_duration(text, stats->oldest_ready_ms);
    text_addf(text, "\n" TITLE "%" PRIu64 " kept\n", "FAILED",
              stats->failed_kept);
    text_addf(text, TITLE "%" PRIu64 " records, ", "projection lag",
              stats->projection_lag_records);
    units_add_bytes(text, stats->projection_lag_bytes);
    text_addf(text, "\n" TITLE "p50 ", "sync");
    add_micros(text, stats->sync_p50_us);
    text_add(text, ", p99 ");
    add_micros(text, stats->sync_p99_us);
    text_add(text, "\n");
}

static void
add_gateway(struct text *text, const Redial__V1__StatsResponse *stats)
{
    text_addf(text, TITLE "%u, connections %u\n", "workers",
              (unsigned)stats->workers, (unsigned)stats->connections);
    text_addf(text, TITLE, "payloads");
    units_add_bytes(text, stats->payload_bytes_memory);
    text_addf(text, " in memory\n" TITLE "%" PRIu64 " to %" PRIu64 " of log ",
              "events", stats->first_seq, stats->head_seq);
    text_add_foreign(text, stats->epoch, 0);
    text_addf(text, "\n" TITLE, "up");
    units_add_duration(text, stats->uptime_ms);
    text_add(text, "\n");
}

static void
add_count(struct table *table, uint64_t count)
{
    struct text cell = {.at = NULL};

    text_addf(&cell, "%" PRIu64, count);
    table_add_text(table, &cell, PAINT_NONE);
    text_fini(&cell);
}

/* "8 places, 7/min, queue 100": those that are set. */
static void
add_limits(struct table *table, const Redial__V1__LimitStats *limits)
{
    struct text cell = {.at = NULL};
    const char *comma = "";

    if (limits != NULL && limits->concurrency > 0) {
        text_addf(&cell, "%u places", (unsigned)limits->concurrency);
        comma = ", ";
    }
    if (limits != NULL && limits->rate > 0) {
        text_addf(&cell, "%s%u/%s", comma, (unsigned)limits->rate,
                  limits->rate_period_ms == 60000 ? "min" : "s");
        comma = ", ";
    }
    if (limits != NULL && limits->queue > 0) {
        text_addf(&cell, "%squeue %u", comma, (unsigned)limits->queue);
    }
    table_add_text(table, &cell, PAINT_NONE);
    text_fini(&cell);
}

/* Yellow where a limit holds jobs back. */
static void
add_waits_for(struct table *table, const char *waits_for)
{
    struct text cell = {.at = NULL};
    bool held = waits_for != NULL && strcmp(waits_for, "turn") != 0;

    text_add_foreign(&cell, waits_for == NULL ? "" : waits_for, 0);
    table_add_text(table, &cell, held ? PAINT_YELLOW : PAINT_NONE);
    text_fini(&cell);
}

static void
add_method_row(struct table *table, const Redial__V1__MethodStats *method)
{
    struct text cell = {.at = NULL};

    line_add_method(&cell, method->service, method->method);
    table_add_text(table, &cell, PAINT_NONE);
    add_count(table, method->ready);
    add_count(table, method->running);
    if (method->ready > 0) {
        units_add_duration(&cell, method->oldest_ready_ms);
    }
    table_add_text(table, &cell, PAINT_NONE);
    text_addf(&cell, "%u", (unsigned)method->workers);
    table_add_text(table, &cell,
                   method->workers == 0 && method->ready > 0 ? PAINT_RED
                                                             : PAINT_NONE);
    add_waits_for(table, method->waits_for);
    add_limits(table, method->limits);
    text_fini(&cell);
}

static void
add_methods(struct text *text, const Redial__V1__StatsResponse *stats)
{
    static const char *const heads[] = {"METHOD", "READY",   "RUNNING",
                                        "OLDEST", "WORKERS", "WAITS FOR",
                                        "LIMITS"};
    struct table table = {.columns = 7, .right = 0x1e};

    if (stats->n_methods == 0) {
        return;
    }
    text_add(text, "\n");
    for (size_t i = 0; i < table.columns; i++) {
        table_add(&table, heads[i], PAINT_DIM);
    }
    for (size_t i = 0; i < stats->n_methods; i++) {
        add_method_row(&table, stats->methods[i]);
    }
    table_print(&table, 0, text);
    table_fini(&table);
}

/* Only jobs without a tenant: then there is nothing to tell apart. */
static bool
has_tenants(const Redial__V1__StatsResponse *stats)
{
    return stats->n_tenants > 1 ||
           (stats->n_tenants == 1 && stats->tenants[0]->tenant != NULL &&
            stats->tenants[0]->tenant[0] != '\0');
}

static void
add_tenants(struct text *text, const Redial__V1__StatsResponse *stats)
{
    static const char *const heads[] = {"TENANT", "READY",     "RUNNING",
                                        "WEIGHT", "WAITS FOR", "LIMITS"};
    struct table table = {.columns = 6, .right = 0xe};
    struct text cell = {.at = NULL};

    if (!has_tenants(stats)) {
        return;
    }
    text_add(text, "\n");
    for (size_t i = 0; i < table.columns; i++) {
        table_add(&table, heads[i], PAINT_DIM);
    }
    for (size_t i = 0; i < stats->n_tenants; i++) {
        const Redial__V1__TenantStats *tenant = stats->tenants[i];
        bool named = tenant->tenant != NULL && tenant->tenant[0] != '\0';

        text_add_foreign(&cell, named ? tenant->tenant : "(none)", 0);
        table_add_text(&table, &cell, PAINT_NONE);
        add_count(&table, tenant->ready);
        add_count(&table, tenant->running);
        add_count(&table, tenant->weight);
        add_waits_for(&table, tenant->waits_for);
        add_limits(&table, tenant->limits);
    }
    table_print(&table, 0, text);
    table_fini(&table);
    text_fini(&cell);
}

/* What was decided, how often: the counters that have the name of a rule. */
static void
add_rules(struct text *text, const Redial__V1__StatsResponse *stats)
{
    struct table table = {.columns = 3, .right = 2};
    struct text cell = {.at = NULL};

    table_add(&table, "DECISION", PAINT_DIM);
    table_add(&table, "TIMES", PAINT_DIM);
    table_add(&table, "", PAINT_DIM);
    for (size_t i = 0; i < stats->n_counters; i++) {
        const char *sentence = line_rule_sentence(stats->counters[i]->name);

        if (sentence != NULL) {
            table_add(&table, stats->counters[i]->name, PAINT_NONE);
            text_addf(&cell, "%" PRIu64, stats->counters[i]->value);
            table_add_text(&table, &cell, PAINT_NONE);
            table_add(&table, sentence, PAINT_NONE);
        }
    }
    if (table.count > table.columns) {
        text_add(text, "\n");
        table_print(&table, 0, text);
    }
    table_fini(&table);
    text_fini(&cell);
}

static void
add_counters(struct text *text, const Redial__V1__StatsResponse *stats)
{
    struct table table = {.columns = 2, .right = 2};
    struct text cell = {.at = NULL};

    text_add(text, "\n");
    for (size_t i = 0; i < stats->n_counters; i++) {
        text_add_foreign(&cell, stats->counters[i]->name, 0);
        table_add_text(&table, &cell, PAINT_NONE);
        text_addf(&cell, "%" PRIu64, stats->counters[i]->value);
        table_add_text(&table, &cell, PAINT_NONE);
    }
    table_print(&table, 0, text);
    table_fini(&table);
    text_fini(&cell);
}

enum exit_code
verb_stats(struct cli *cli)
{
    Redial__V1__StatsRequest request = REDIAL__V1__STATS_REQUEST__INIT;
    const Redial__V1__StatsResponse *stats;
    struct redial_i_response response;

    if (cli_call(cli, &cli_stats, &request.base, 0, &response) != REDIAL_OK) {
        return cli_fail(cli);
    }
    stats = (const Redial__V1__StatsResponse *)response.message;
    if (args_has(cli->args, OPTION_JSON)) {
        cli_print_json(cli, &stats->base);
    } else {
        add_states(&cli->line, stats);
        add_alerts(&cli->line, stats);
        add_gateway(&cli->line, stats);
        add_methods(&cli->line, stats);
        add_tenants(&cli->line, stats);
        add_rules(&cli->line, stats);
        if (args_has(cli->args, OPTION_VERBOSE)) {
            add_counters(&cli->line, stats);
        }
        cli_print(cli);
    }
    redial_i_response_fini(&response);
    return EXIT_DONE;
}

/* ---- reload ------------------------------------------------------------- */

static void
print_reload(struct cli *cli, const Redial__V1__ReloadResponse *answer)
{
    for (size_t i = 0; i < answer->n_changes; i++) {
        text_add_foreign(&cli->line, answer->changes[i], 0);
        text_add(&cli->line, "\n");
    }
    if (answer->applied) {
        text_paint(&cli->line, PAINT_GREEN, "applied");
        text_addf(&cli->line, ": %zu change%s, policy version %u\n",
                  answer->n_changes, answer->n_changes == 1 ? "" : "s",
                  (unsigned)answer->policy_version);
    }
    cli_print(cli);
    for (size_t i = 0; i < answer->n_errors; i++) {
        text_add_foreign(&cli->note, answer->errors[i], 0);
        text_add(&cli->note, "\n");
    }
    if (!answer->applied) {
        text_paint(&cli->note, PAINT_RED, "refused");
        text_add(&cli->note, ": the gateway goes on with the configuration "
                             "that it has.\n"
                             "  Try it first with: redial policy check "
                             "FILE\n");
    }
    cli_say(cli);
}

enum exit_code
verb_reload(struct cli *cli)
{
    Redial__V1__ReloadRequest request = REDIAL__V1__RELOAD_REQUEST__INIT;
    const Redial__V1__ReloadResponse *answer;
    struct redial_i_response response;
    bool was_applied;

    if (cli_call(cli, &cli_reload, &request.base, 0, &response) != REDIAL_OK) {
        return cli_fail(cli);
    }
    answer = (const Redial__V1__ReloadResponse *)response.message;
    was_applied = answer->applied;
    if (args_has(cli->args, OPTION_JSON)) {
        cli_print_json(cli, &answer->base);
    } else {
        print_reload(cli, answer);
    }
    redial_i_response_fini(&response);
    return was_applied ? EXIT_DONE : EXIT_REFUSED;
}

/* ---- version, completion, help ------------------------------------------ */

enum exit_code
verb_version(struct cli *cli)
{
    if (args_has(cli->args, OPTION_JSON)) {
        text_addf(&cli->line, "{\"version\":\"%s\"}\n", redial_version());
    } else {
        text_addf(&cli->line, "redial %s\n", redial_version());
    }
    cli_print(cli);
    return EXIT_DONE;
}

enum exit_code
verb_completion(struct cli *cli)
{
    if (strcmp(cli->args->words[0], "bash") != 0) {
        return cli_usage(cli, "there is completion for bash only");
    }
    help_add_bash(&cli->line);
    cli_print(cli);
    return EXIT_DONE;
}

/* The verb that one word or two name; NULL: a group, all, or none of them. */
static const struct verb *
named_verb(const struct args *args, const struct verb_group *group)
{
    const char *first = args->word_count > 0 ? args->words[0] : NULL;

    if (first == NULL) {
        return NULL;
    }
    if (args->word_count == 1 && group == NULL) {
        return strchr(first, ' ') == NULL ? verb_find(first) : NULL;
    }
    for (size_t i = 0; i < verb_count && args->word_count == 2 && group != NULL;
         i++) {
        const char *second = verb_second_word(&verbs[i], group);

        if (second != NULL && strcmp(second, args->words[1]) == 0) {
            return &verbs[i];
        }
    }
    return NULL;
}

enum exit_code
verb_help(struct cli *cli)
{
    const struct args *args = cli->args;
    const char *name = args->word_count > 0 ? args->words[0] : NULL;
    const struct verb_group *group = name != NULL ? verb_find_group(name)
                                                  : NULL;
    const struct verb *verb = named_verb(args, group);

    if (verb != NULL) {
        help_add_verb(&cli->line, verb);
    } else if (name == NULL) {
        help_add_overview(&cli->line);
    } else if (group != NULL && args->word_count == 1) {
        help_add_group(&cli->line, group);
    } else {
        return cli_usage(cli,
                         "there is no verb \"%.60s%s%.60s\"; redial help "
                         "lists them",
                         name, args->word_count > 1 ? " " : "",
                         args->word_count > 1 ? args->words[1] : "");
    }
    cli_print(cli);
    return EXIT_DONE;
}
