/* SPDX-License-Identifier: Apache-2.0 */
/* The check for people: a table, and one line for each finding. */
#include "server/config/breakers.h"
#include "server/config/lint.h"
#include "server/config/value.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    LINE_BYTES = 1024,
    NAMES_BYTES = 64,      /* of the first column */
    NAMES_REST_BYTES = 24, /* " and 65536 more" */
    NAMES_TOLD = 3,
    CELL_BYTES = 80,
};

static void
print(struct bytes *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
print(struct bytes *out, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    (void)bytes_append(out, line, strlen(line));
}

/* "S/M, T and 3 more"; "default policy". Long ones are cut. */
static void
describe_names(const struct lint_policy *row, char text[NAMES_BYTES])
{
    size_t len = 0;
    size_t told = 0;

    for (; told < row->name_count && told < NAMES_TOLD; told++) {
        const struct method_policy *name = row->names[told];
        char one[2 * VALUE_NAME_BYTES_MAX + 8];

        (void)snprintf(one, sizeof(one), "%s%s%s%s", told == 0 ? "" : ", ",
                       name->service.len == 0 ? "{}" : name->service.at,
                       name->method.len == 0 ? "" : "/",
                       name->method.len == 0 ? "" : name->method.at);
        size_t more = strlen(one);
        size_t room = NAMES_BYTES - NAMES_REST_BYTES - len;

        if (told > 0 && more > room) {
            break;
        }
        more = more < room ? more : room;
        memcpy(text + len, one, more);
        len += more;
    }
    text[len] = '\0';
    if (row->name_count == 0) {
        (void)snprintf(text, NAMES_BYTES, "default policy");
    } else if (told < row->name_count) {
        (void)snprintf(text + len, NAMES_BYTES - len, " and %zu more",
                       row->name_count - told);
    }
}

static void
describe_delays(const struct lint_policy *row, char text[CELL_BYTES])
{
    char from[VALUE_TEXT_BYTES];
    char to[VALUE_TEXT_BYTES];

    value_duration_print(row->delay_min_ms, from);
    value_duration_print(row->delay_max_ms, to);
    if (row->attempts_max < 2) {
        (void)snprintf(text, CELL_BYTES, "-");
    } else if (row->delay_min_ms == row->delay_max_ms) {
        (void)snprintf(text, CELL_BYTES, "%s", from);
    } else {
        (void)snprintf(text, CELL_BYTES, "%s to %s", from, to);
    }
}

static void
describe_bound(const struct lint_load *load, char text[CELL_BYTES])
{
    if (load->bound_milli == load->worst_milli) {
        (void)snprintf(text, CELL_BYTES, "-");
    } else if (load->bound_once > 0) {
        (void)snprintf(text, CELL_BYTES, "x %g + %" PRIu64,
                       (double)load->bound_milli / 1000, load->bound_once);
    } else if (load->bound_per_second > 0) {
        (void)snprintf(text, CELL_BYTES, "x %g + %" PRIu64 "/s",
                       (double)load->bound_milli / 1000,
                       load->bound_per_second);
    } else {
        (void)snprintf(text, CELL_BYTES, "x %g",
                       (double)load->bound_milli / 1000);
    }
}

static void
print_policies(const struct lint *lint, struct bytes *out)
{
    char names[NAMES_BYTES];
    char delays[CELL_BYTES];
    char bound[CELL_BYTES];
    int width = 6;

    for (size_t i = 0; i < lint->policy_count; i++) {
        describe_names(&lint->policies[i], names);
        width = (int)strlen(names) > width ? (int)strlen(names) : width;
    }
    print(out, "%-*s  attempts  %-22s  load   with guards\n", width, "policy",
          "waits in all");
    for (size_t i = 0; i < lint->policy_count; i++) {
        const struct lint_policy *row = &lint->policies[i];

        describe_names(row, names);
        describe_delays(row, delays);
        describe_bound(&row->load, bound);
        print(out, "%-*s  %8u  %-22s  x %-3u  %s\n", width, names,
              (unsigned)row->attempts_max, delays,
              (unsigned)(row->load.worst_milli / 1000), bound);
    }
}

static void
describe_target(const struct target_policy *target, char throttle[CELL_BYTES],
                char budget[CELL_BYTES])
{
    char window[VALUE_TEXT_BYTES];

    (void)snprintf(throttle, CELL_BYTES, "-");
    (void)snprintf(budget, CELL_BYTES, "-");
    if (target->has_throttle) {
        (void)snprintf(throttle, CELL_BYTES, "%u tokens, %g for a success",
                       (unsigned)(target->tokens_max_milli / 1000),
                       (double)target->tokens_ok_milli / 1000);
    }
    if (target->has_budget) {
        value_duration_print(target->budget_window_ms, window);
        (void)snprintf(budget, CELL_BYTES, "%g of %s + %u/s",
                       (double)target->budget_ratio_milli / 1000, window,
                       (unsigned)target->budget_floor);
    }
}

static const char *
name_of(const struct lint_target *row)
{
    return row->target->name.len == 0 ? "all others" : row->target->name.at;
}

static void
print_targets(const struct lint *lint, struct bytes *out)
{
    int width = 10;

    if (lint->target_count == 0) {
        return;
    }
    for (size_t i = 0; i < lint->target_count; i++) {
        int len = (int)strlen(name_of(&lint->targets[i]));

        width = len > width ? len : width;
    }
    print(out, "\n%-*s  %-31s  budget\n", width, "target", "throttle");
    for (size_t i = 0; i < lint->target_count; i++) {
        const struct lint_target *row = &lint->targets[i];
        char throttle[CELL_BYTES];
        char budget[CELL_BYTES];

        describe_target(row->target, throttle, budget);
        print(out, "%-*s  %-31s  %s\n", width, name_of(row), throttle, budget);
    }
}

static void
print_breaker(const char *name, int width, const struct breaker_policy *policy,
              struct bytes *out)
{
    char text[BREAKER_TEXT_BYTES];

    breaker_describe(policy, text);
    print(out, "%-*s  %s\n", width, name, text);
}

/* One line for each breaker: what it means. */
static void
print_breakers(const struct lint *lint, struct bytes *out)
{
    static const char instances[] = "each worker instance";
    bool any = lint->instances->has_breaker;
    int width = (int)strlen(instances);

    for (size_t i = 0; i < lint->target_count; i++) {
        int len = (int)strlen(name_of(&lint->targets[i]));

        any |= lint->targets[i].target->has_breaker;
        width = len > width ? len : width;
    }
    if (!any) {
        return;
    }
    print(out, "\n%-*s  breaker\n", width, "target");
    for (size_t i = 0; i < lint->target_count; i++) {
        const struct target_policy *target = lint->targets[i].target;

        if (target->has_breaker) {
            print_breaker(name_of(&lint->targets[i]), width, &target->breaker,
                          out);
        }
    }
    if (lint->instances->has_breaker) {
        print_breaker(instances, width, &lint->instances->breaker, out);
    }
}

/* `place` begins the line: "redial.json:3: " or nothing. */
static void
print_findings(const struct lint_finding *finding, const char *place,
               const char *subject, struct bytes *out)
{
    for (; finding != NULL; finding = finding->next) {
        const struct lint_row *row = &lint_table[finding->code];

        if (!row->at_load) {
            print(out, "%s%s: %s: %s [%s]\n", place,
                  row->severity == LINT_SEVERITY_WARNING ? "warning" : "note",
                  subject, finding->text, row->word);
        }
    }
}

static void
print_policy_findings(const struct lint_policy *row, struct bytes *out)
{
    char place[LINE_BYTES / 2] = "";
    char line[16] = "";

    if (row->entry != NULL) {
        if (row->entry->line > 0) {
            (void)snprintf(line, sizeof(line), ":%u",
                           (unsigned)row->entry->line);
        }
        (void)snprintf(place, sizeof(place), "%s%s: ", row->entry->source,
                       line);
    }
    print_findings(row->findings, place,
                   row->entry == NULL ? "defaultPolicy" : row->entry->path,
                   out);
}

void
lint_print(const struct lint *lint, struct bytes *out)
{
    print_policies(lint, out);
    print_targets(lint, out);
    print_breakers(lint, out);
    print(out, "\n");
    print_findings(lint->findings, "", "all", out);
    for (size_t i = 0; i < lint->policy_count; i++) {
        print_policy_findings(&lint->policies[i], out);
    }
    for (size_t i = 0; i < lint->target_count; i++) {
        char subject[VALUE_NAME_BYTES_MAX + 16];

        (void)snprintf(subject, sizeof(subject), "target %s",
                       name_of(&lint->targets[i]));
        print_findings(lint->targets[i].findings, "", subject, out);
    }
    print(out, "%zu %s, %zu %s, %zu %s\n", lint->policy_count,
          lint->policy_count == 1 ? "policy" : "policies", lint->warnings,
          lint->warnings == 1 ? "warning" : "warnings", lint->notes,
          lint->notes == 1 ? "note" : "notes");
}
