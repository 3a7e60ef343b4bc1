/* SPDX-License-Identifier: Apache-2.0 */
/* The check for programs. */
#include "server/config/breakers.h"
#include "server/config/json_out.h"
#include "server/config/lint.h"
#include "server/config/print.h"
#include "server/config/value.h"

#include <string.h>

static void
print_milli(struct json_out *json, const char *key, uint64_t milli)
{
    char text[VALUE_TEXT_BYTES];

    value_number_print((double)milli / 1000, text);
    json_key(json, key);
    json_text_raw(json->out, text, strlen(text));
}

static void
print_findings(struct json_out *json, const struct lint_finding *finding)
{
    json_open(json, "findings", '[');
    for (; finding != NULL; finding = finding->next) {
        const struct lint_row *row = &lint_table[finding->code];

        json_open(json, NULL, '{');
        json_string(json, "code", row->word);
        json_string(json, "severity",
                    row->severity == LINT_SEVERITY_WARNING ? "warning"
                                                           : "note");
        json_string(json, "text", finding->text);
        json_bool(json, "atLoad", row->at_load);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void
print_names(struct json_out *json, const struct lint_policy *row)
{
    json_open(json, "name", '[');
    for (size_t i = 0; i < row->name_count; i++) {
        const struct method_policy *name = row->names[i];

        json_open(json, NULL, '{');
        if (name->service.len > 0) {
            json_string(json, "service", name->service.at);
        }
        if (name->method.len > 0) {
            json_string(json, "method", name->method.at);
        }
        json_close(json, '}');
    }
    json_close(json, ']');
}

static const char *
kind_of(const struct lint_policy *row)
{
    if (row->attempts_max < 2) {
        return "single";
    }
    return row->policy->hedged ? "hedging" : "retry";
}

static void
print_policy(struct json_out *json, const struct lint_policy *row)
{
    json_open(json, NULL, '{');
    print_names(json, row);
    json_string(json, "path",
                row->entry == NULL ? "defaultPolicy" : row->entry->path);
    if (row->entry != NULL) {
        json_string(json, "source", row->entry->source);
        json_u64(json, "line", row->entry->line);
    }
    json_string(json, "kind", kind_of(row));
    json_bool(json, "isDefault", row->name_count == 0);
    json_u64(json, "attemptsMax", row->attempts_max);
    json_u64(json, "freeAttemptsMax", row->policy->retry.free_attempts_max);
    json_duration(json, "delayMin", row->delay_min_ms);
    json_duration(json, "delayMax", row->delay_max_ms);
    json_u64(json, "retriesThatFit", row->retries_fit);
    print_milli(json, "load", row->load.worst_milli);
    if (row->load.bound_milli < row->load.worst_milli) {
        print_milli(json, "loadBound", row->load.bound_milli);
        json_u64(json, "loadBoundOnce", row->load.bound_once);
        json_u64(json, "loadBoundPerSecond", row->load.bound_per_second);
    }
    print_findings(json, row->findings);
    json_close(json, '}');
}

static void
print_target_row(struct json_out *json, const struct lint_target *row)
{
    const struct target_policy *target = row->target;
    char means[BREAKER_TEXT_BYTES];

    json_open(json, NULL, '{');
    json_string(json, "name", target->name.len == 0 ? "*" : target->name.at);
    print_guards(json, target);
    if (target->has_breaker) {
        breaker_describe(&target->breaker, means);
        json_string(json, "breakerMeans", means);
    }
    if (target->has_throttle) {
        /* Retries stop for good above this share of failures. */
        print_milli(json, "failureShare",
                    (uint64_t)target->tokens_ok_milli * 1000 /
                        (1000 + target->tokens_ok_milli));
        print_milli(json, "okPerFailure",
                    UINT64_C(1000000) / target->tokens_ok_milli);
    }
    print_findings(json, row->findings);
    json_close(json, '}');
}

static void
print_instances(struct json_out *json, const struct lint *lint)
{
    char means[BREAKER_TEXT_BYTES];

    if (lint != NULL && lint->instances->has_breaker) {
        breaker_print_instances(json, lint->instances);
        breaker_describe(&lint->instances->breaker, means);
        json_string(json, "instanceBreakerMeans", means);
    }
}

static void
print_issues(struct json_out *json, const struct config_report *report)
{
    json_open(json, "issues", '[');
    for (size_t i = 0; i < report->count; i++) {
        const struct config_issue *issue = &report->issues[i];

        json_open(json, NULL, '{');
        json_string(json, "severity",
                    issue->severity == CONFIG_ERROR ? "error" : "warning");
        json_string(json, "source", issue->source);
        json_u64(json, "line", issue->line);
        json_string(json, "path", issue->path);
        json_string(json, "found", issue->found);
        json_string(json, "allowed", issue->allowed);
        json_close(json, '}');
    }
    json_close(json, ']');
}

void
lint_print_json(const struct lint *lint, const struct config_report *report,
                struct bytes *out)
{
    struct json_out json = {.out = out, .empty = true};

    json_open(&json, NULL, '{');
    json_open(&json, "policies", '[');
    for (size_t i = 0; lint != NULL && i < lint->policy_count; i++) {
        print_policy(&json, &lint->policies[i]);
    }
    json_close(&json, ']');
    json_open(&json, "targets", '[');
    for (size_t i = 0; lint != NULL && i < lint->target_count; i++) {
        print_target_row(&json, &lint->targets[i]);
    }
    json_close(&json, ']');
    print_instances(&json, lint);
    print_findings(&json, lint == NULL ? NULL : lint->findings);
    print_issues(&json, report);
    json_u64(&json, "errors", report->errors);
    json_u64(&json, "warnings",
             report->warnings + (lint == NULL ? 0 : lint->warnings));
    json_u64(&json, "notes", lint == NULL ? 0 : lint->notes);
    json_close(&json, '}');
    (void)bytes_append_byte(out, '\n');
}
