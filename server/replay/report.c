/* SPDX-License-Identifier: Apache-2.0 */
#include "server/replay/report.h"

#include "proto/uuid.h"
#include "server/config/json_out.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    COLUMNS = 3,
    LINE_BYTES = 512,
    METHODS_SHOWN = 50,
    CHANGES_SHOWN = 20,
};

/* Three figures that stand in one row. */
struct row {
    struct figures of[COLUMNS];
};

static void
sum(const struct history *history, const struct tellings *tellings,
    uint32_t method, struct row *ret_row)
{
    const struct replayed *jobs[COLUMNS] = {
        tellings->recorded, tellings->repeated, tellings->hopeful};

    for (size_t i = 0; i < COLUMNS; i++) {
        figures_sum(history, jobs[i], method, tellings->scratch,
                    &ret_row->of[i]);
    }
}

__attribute__((format(printf, 2, 3))) static void
put(struct bytes *out, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (len > 0) {
        bytes_append(out, line,
                     len < (int)sizeof(line) ? (size_t)len : sizeof(line) - 1);
    }
}

/* ---- For people -------------------------------------------------------- */

static void
put_numbers(struct bytes *out, const char *name,
            const uint64_t numbers[COLUMNS])
{
    put(out, "  %-28s %12" PRIu64 " %12" PRIu64 " %12" PRIu64 "\n", name,
        numbers[0], numbers[1], numbers[2]);
}

static void
put_times(struct bytes *out, const char *name, const int64_t ms[COLUMNS])
{
    put(out, "  %-28s", name);
    for (size_t i = 0; i < COLUMNS; i++) {
        if (ms[i] < 0) {
            put(out, " %12s", "-");
        } else {
            put(out, " %7" PRId64 ".%03" PRId64 "s", ms[i] / 1000,
                ms[i] % 1000);
        }
    }
    put(out, "\n");
}

#define NUMBERS(row, member)                                          \
    (const uint64_t[COLUMNS])                                         \
    {                                                                 \
        (row)->of[0].member, (row)->of[1].member, (row)->of[2].member \
    }
#define TIMES(row, member)                                          \
    (const int64_t[COLUMNS])                                        \
    {                                                               \
        (int64_t)(row)->of[0].member, (int64_t)(row)->of[1].member, \
            (int64_t)(row)->of[2].member                            \
    }

static void
put_totals(struct bytes *out, const struct row *all)
{
    put(out, "  %-28s %12s %12s %12s\n", "", "recorded", "replayed", "hopeful");
    put_numbers(out, "jobs", NUMBERS(all, jobs));
    put_numbers(out, "  succeeded", NUMBERS(all, by_state[JOB_SUCCEEDED]));
    put_numbers(out, "  failed", NUMBERS(all, by_state[JOB_FAILED]));
    put_numbers(out, "  expired", NUMBERS(all, by_state[JOB_EXPIRED]));
    put_numbers(out, "  cancelled", NUMBERS(all, by_state[JOB_CANCELLED]));
    put_numbers(out, "  not final", NUMBERS(all, open));
    put_numbers(out, "  refused", NUMBERS(all, refused));
    put_numbers(out, "attempts", NUMBERS(all, attempts));
    put_numbers(out, "  beyond the record", NUMBERS(all, beyond));
    put_times(out, "time in attempts", TIMES(all, busy_ms));
    put_times(out, "time waiting", TIMES(all, wait_ms));
    put_times(out, "time to the end, p50", TIMES(all, p50_ms));
    put_times(out, "time to the end, p95", TIMES(all, p95_ms));
    put_times(out, "time to the end, longest", TIMES(all, longest_ms));
}

static bool
any_rule(const struct row *all, uint32_t rule)
{
    return all->of[0].rules[rule] + all->of[1].rules[rule] +
               all->of[2].rules[rule] >
           0;
}

static void
put_rules(struct bytes *out, const struct row *all)
{
    put(out, "\nWhy jobs ended\n");
#define RULE(name, number, sentence)                            \
    if (any_rule(all, (number))) {                              \
        put_numbers(out, #name, NUMBERS(all, rules[(number)])); \
    }
#include "server/core/rule.def"
#undef RULE
}

static void
put_methods(struct bytes *out, const struct history *history,
            const struct tellings *tellings)
{
    put(out, "\nAttempts by method\n");
    for (uint32_t i = 0; i < history->method_count && i < METHODS_SHOWN; i++) {
        const struct past_method *method = &history->methods[i];
        struct text service = history->texts[method->service];
        struct text own = history->texts[method->name];
        char name[LINE_BYTES];
        struct row row;

        sum(history, tellings, i, &row);
        (void)snprintf(name, sizeof(name), "%.*s/%.*s", (int)service.len,
                       service.at, (int)own.len, own.at);
        put_numbers(out, name, NUMBERS(&row, attempts));
    }
    if (history->method_count > METHODS_SHOWN) {
        put(out, "  ... and %u more\n", history->method_count - METHODS_SHOWN);
    }
}

static const char *
state_of(const struct replayed *job)
{
    if (job->refused) {
        return "REFUSED";
    }
    return job->state == JOB_NONE ? "not final" : job_state_name(job->state);
}

static void
put_changes(struct bytes *out, const struct history *history,
            const struct tellings *tellings)
{
    uint32_t changes = 0;

    for (uint32_t i = 0; i < history->job_count; i++) {
        const struct replayed *was = &tellings->recorded[i];
        const struct replayed *is = &tellings->repeated[i];
        struct wire_uuid uuid;
        char id[WIRE_UUID_TEXT_LEN + 1];

        if (was->state == is->state && !is->refused) {
            continue;
        }
        if (changes++ == 0) {
            put(out, "\nJobs that would have ended otherwise\n");
        }
        if (changes <= CHANGES_SHOWN) {
            memcpy(uuid.bytes, history->jobs[i].id.bytes, sizeof(uuid.bytes));
            wire_uuid_format(&uuid, id);
            put(out, "  %s  %s (%s) -> %s (%s), %u -> %u attempts%s\n", id,
                state_of(was), rule_name(was->rule), state_of(is),
                rule_name(is->rule), was->attempts, is->attempts,
                is->beyond > 0 ? ", some beyond the record" : "");
        }
    }
    if (changes > CHANGES_SHOWN) {
        put(out, "  ... and %u more\n", changes - CHANGES_SHOWN);
    }
}

static void
put_reservations(struct bytes *out, const struct history *history)
{
    put(out,
        "\nreplayed: an attempt beyond the record repeats the job's last "
        "outcome.\nhopeful: it succeeds. Both with the %u workers that "
        "were seen, with room for\nwhat each ever had in hand.\n",
        history->worker_count);
    if (history->headless > 0) {
        put(out,
            "Left out: %" PRIu64 " events of jobs whose beginning is not "
            "kept.\n",
            history->headless);
    }
    if (history->gaps > 0) {
        put(out, "The events have %" PRIu64 " gaps.\n", history->gaps);
    }
}

void
report_text(const struct history *history, const struct tellings *tellings,
            const struct replay_options *options, struct bytes *out)
{
    struct row all;

    sum(history, tellings, HISTORY_NONE, &all);
    put(out, "What was recorded, and what it would have been with %s\n\n",
        options->policy_name);
    put_totals(out, &all);
    put_rules(out, &all);
    put_methods(out, history, tellings);
    put_changes(out, history, tellings);
    put_reservations(out, history);
}

/* ---- For programs ------------------------------------------------------ */

static void
json_figures(struct json_out *json, const char *key,
             const struct figures *figures)
{
    json_open(json, key, '{');
    json_u64(json, "jobs", figures->jobs);
    json_u64(json, "succeeded", figures->by_state[JOB_SUCCEEDED]);
    json_u64(json, "failed", figures->by_state[JOB_FAILED]);
    json_u64(json, "expired", figures->by_state[JOB_EXPIRED]);
    json_u64(json, "cancelled", figures->by_state[JOB_CANCELLED]);
    json_u64(json, "notFinal", figures->open);
    json_u64(json, "refused", figures->refused);
    json_u64(json, "attempts", figures->attempts);
    json_u64(json, "attemptsBeyondRecord", figures->beyond);
    json_u64(json, "attemptMs", figures->busy_ms);
    json_u64(json, "waitMs", figures->wait_ms);
    if (figures->p50_ms >= 0) {
        json_u64(json, "endP50Ms", (uint64_t)figures->p50_ms);
        json_u64(json, "endP95Ms", (uint64_t)figures->p95_ms);
        json_u64(json, "endLongestMs", (uint64_t)figures->longest_ms);
    }
    json_open(json, "rules", '{');
#define RULE(name, number, sentence)                     \
    if (figures->rules[(number)] > 0) {                  \
        json_u64(json, #name, figures->rules[(number)]); \
    }
#include "server/core/rule.def"
#undef RULE
    json_close(json, '}');
    json_close(json, '}');
}

static void
json_row(struct json_out *json, const struct row *row)
{
    json_figures(json, "recorded", &row->of[0]);
    json_figures(json, "replayed", &row->of[1]);
    json_figures(json, "hopeful", &row->of[2]);
}

static void
json_name(struct json_out *json, const char *key, struct text text)
{
    json_key(json, key);
    json_text_string(json->out, text.at == NULL ? "" : text.at, text.len);
}

void
report_json(const struct history *history, const struct tellings *tellings,
            const struct replay_options *options, struct bytes *out)
{
    struct json_out json = {.out = out, .empty = true};
    struct row row;

    json_open(&json, NULL, '{');
    json_string(&json, "policy", options->policy_name);
    json_u64(&json, "workers", history->worker_count);
    json_u64(&json, "eventsLeftOut", history->headless);
    json_u64(&json, "gaps", history->gaps);
    sum(history, tellings, HISTORY_NONE, &row);
    json_row(&json, &row);
    json_open(&json, "methods", '[');
    for (uint32_t i = 0; i < history->method_count; i++) {
        const struct past_method *method = &history->methods[i];

        json_open(&json, NULL, '{');
        json_name(&json, "service", history->texts[method->service]);
        json_name(&json, "method", history->texts[method->name]);
        sum(history, tellings, i, &row);
        json_row(&json, &row);
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_close(&json, '}');
    bytes_append_byte(out, '\n');
}
