/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/value.h"
#include "tests/conformance/config/rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXPECTED_MAX = 16, FOUND_BYTES = 4096 };

static void
fail(struct rows *rows, const char *expected, const char *found)
{
    rows->failures++;
    (void)printf("%s:%u: %s: expected %s, found %s\n", rows->path, rows->line,
                 rows->ids[rows->count - 1], expected, found);
}

/* ---- Loading --------------------------------------------------------------
 */

/* Writes the case to a file of its own; the name has room for a template. */
static void
write_case(const struct rows *rows, char path[ROWS_PATH_BYTES])
{
    const char *folder = getenv("TMPDIR");
    char *printed = rows->text == NULL ? cJSON_PrintUnformatted(rows->tree)
                                       : strdup(rows->text);

    (void)snprintf(path, ROWS_PATH_BYTES, "%s/redial-rows-XXXXXX",
                   folder == NULL ? "/tmp" : folder);
    int fd = mkstemp(path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

    if (file == NULL || printed == NULL || fputs(printed, file) < 0 ||
        fclose(file) != 0) {
        rows_die(rows, "cannot write the case to a file");
    }
    free(printed);
}

/* The whole path of one that begins at the subject. */
static void
whole_path(const struct rows *rows, const char *path,
           char whole[ROWS_LINE_BYTES])
{
    const char *subject = rows->base->subject;

    if (strcmp(path, "$") == 0) {
        whole[0] = '\0';
    } else if (strncmp(path, "$.", 2) == 0) {
        (void)snprintf(whole, ROWS_LINE_BYTES, "%s", path + 2);
    } else if (strcmp(path, ".") == 0) {
        (void)snprintf(whole, ROWS_LINE_BYTES, "%s", subject);
    } else {
        (void)snprintf(whole, ROWS_LINE_BYTES, "%s%s%s", subject,
                       path[0] == '[' || subject[0] == '\0' ? "" : ".", path);
    }
}

/* Takes the issue that was expected out of the report's marks. */
static bool
take_issue(const struct rows *rows, bool *taken, const char *path,
           enum config_severity severity)
{
    for (size_t i = 0; i < rows->report.count; i++) {
        const struct config_issue *issue = &rows->report.issues[i];

        if (!taken[i] && issue->severity == severity &&
            strcmp(issue->path, path) == 0) {
            taken[i] = true;
            return true;
        }
    }
    return false;
}

static void
describe(const struct rows *rows, char found[FOUND_BYTES])
{
    size_t len = (size_t)snprintf(found, FOUND_BYTES, "%s",
                                  rows->config == NULL ? "refused"
                                                       : "accepted");

    for (size_t i = 0; i < rows->report.count && len < FOUND_BYTES; i++) {
        const struct config_issue *issue = &rows->report.issues[i];

        len += (size_t)snprintf(found + len, FOUND_BYTES - len, " %s<%s>",
                                issue->severity == CONFIG_ERROR ? "" : "?",
                                issue->path);
    }
}

/* Each path once in the report, as an error or a warning, and nothing else. */
static bool
issues_match(const struct rows *rows, bool refused, char *expected)
{
    bool taken[CONFIG_ISSUES_MAX] = {false};
    size_t count = 0;
    char *rest = NULL;

    for (char *word = strtok_r(expected, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest)) {
        bool warning = !refused || word[0] == '?';
        char whole[ROWS_LINE_BYTES];

        whole_path(rows, word + (word[0] == '?'), whole);
        if (!take_issue(rows, taken, whole,
                        warning ? CONFIG_WARNING : CONFIG_ERROR)) {
            return false;
        }
        count++;
    }
    return count == rows->report.count;
}

/* What is recorded of an accepted policy must load as the same policy. */
static void
check_round_trip(struct rows *rows)
{
    struct bytes first;
    struct bytes second;
    struct config *again = NULL;
    struct config_report report = {0};
    char path[ROWS_PATH_BYTES];
    char *text = rows->text;

    bytes_init(&first, CONFIG_TEXT_BYTES_MAX);
    bytes_init(&second, CONFIG_TEXT_BYTES_MAX);
    config_policy_print(rows->config, &first);
    (void)bytes_append_byte(&first, 0);
    rows->text = (char *)first.at;
    write_case(rows, path);
    rows->text = text;
    if (config_load(&(struct config_sources){.file = path}, &again, &report) ==
        REDIAL_OK) {
        config_policy_print(again, &second);
    }
    (void)bytes_append_byte(&second, 0);
    if (first.failed || second.failed || first.len != second.len ||
        memcmp(first.at, second.at, first.len) != 0) {
        fail(rows, "the same policy from its own print",
             (const char *)second.at);
    }
    config_free(again);
    config_report_fini(&report);
    bytes_fini(&first);
    bytes_fini(&second);
    (void)unlink(path);
}

void
check_load(struct rows *rows, bool refused, char *expected)
{
    char path[ROWS_PATH_BYTES];
    char wanted[ROWS_LINE_BYTES];

    (void)snprintf(wanted, sizeof(wanted), "%s%s%s",
                   refused ? "refused" : "accepted",
                   expected[0] == '\0' ? "" : " ", expected);
    write_case(rows, path);
    enum redial_status status = config_load(
        &(struct config_sources){.file = path}, &rows->config, &rows->report);

    (void)unlink(path);
    rows->checks++;
    if ((status == REDIAL_OK) == refused ||
        !issues_match(rows, refused, expected)) {
        char found[FOUND_BYTES];

        describe(rows, found);
        fail(rows, wanted, found);
    }
    if (status == REDIAL_OK) {
        check_round_trip(rows);
    }
}

void
check_end(struct rows *rows)
{
    config_free(rows->config);
    rows->config = NULL;
    config_report_fini(&rows->report);
    cJSON_Delete(rows->tree);
    rows->tree = NULL;
    free(rows->text);
    rows->text = NULL;
}

/* ---- Values ---------------------------------------------------------------
 */

static struct text
text_of(const char *text)
{
    return (struct text){.at = text, .len = (uint32_t)strlen(text)};
}

/* False: there is no such name. */
static bool
find_value(const struct policy_set *set, const struct method_policy *policy,
           const char *name, int64_t *ret)
{
    const struct retry_policy *retry = &policy->retry;
    struct text target = policy->target.len > 0 ? policy->target
                                                : policy->service;
    const struct target_policy *guard = policy_find_target(set, target);
    const struct {
        const char *name;
        uint64_t value;
    } values[] = {
        {"max_attempts", retry->max_attempts},
        {"clamped", retry->attempts_clamped},
        {"initial_backoff_ms", retry->initial_backoff_ms},
        {"max_backoff_ms", retry->max_backoff_ms},
        {"multiplier_milli", (uint64_t)(retry->backoff_multiplier * 1000)},
        {"codes", retry->retryable_codes},
        {"attempt_timeout_ms", policy->attempt_timeout_ms},
        {"deadline_ms", policy->deadline_ms},
        {"wait_for_ready", policy->wait_for_ready},
        {"hedged", policy->hedged},
        {"hedging_delay_ms", policy->hedging_delay_ms},
        {"tokens_max_milli", guard->tokens_max_milli},
        {"tokens_ok_milli", guard->tokens_ok_milli},
        {"window_ms", guard->breaker.window_ms},
        {"calls_min", guard->breaker.calls_min},
        {"failure_permille", guard->breaker.failure_permille},
        {"slow_permille", guard->breaker.slow_permille},
        {"slow_ms", guard->breaker.slow_ms},
        {"consecutive", guard->breaker.consecutive},
        {"open_ms", guard->breaker.open_ms},
        {"open_ms_max", guard->breaker.open_ms_max},
    };

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        if (strcmp(values[i].name, name) == 0) {
            *ret = (int64_t)values[i].value;
            return true;
        }
    }
    return false;
}

void
check_value(struct rows *rows, const char *arguments)
{
    char service[ROWS_ID_BYTES];
    char method[ROWS_ID_BYTES];
    char name[32];
    int64_t expected;
    int64_t found = 0;
    char texts[2][32];

    if (sscanf(arguments, "%15[^/]/%15s %31s %" SCNd64, service, method, name,
               &expected) != 4) {
        rows_die(rows, "value SERVICE/METHOD NAME NUMBER");
    }
    if (rows->config == NULL) {
        rows_die(rows, "a value of what was not accepted");
    }
    const struct policy_set *set = config_policy(rows->config);

    if (!find_value(set, policy_find(set, text_of(service), text_of(method)),
                    name, &found)) {
        rows_die(rows, "no such value");
    }
    rows->checks++;
    if (found != expected) {
        (void)snprintf(texts[0], sizeof(texts[0]), "%" PRId64, expected);
        (void)snprintf(texts[1], sizeof(texts[1]), "%" PRId64, found);
        fail(rows, texts[0], texts[1]);
    }
}

void
check_duration(struct rows *rows, const char *arguments)
{
    const char *end = strrchr(arguments, '"');
    struct duration duration = {0};
    char text[64];
    char found[32] = "refused";

    if (arguments[0] != '"' || end == arguments || end[1] != ' ') {
        rows_die(rows, "duration \"TEXT\" NUMBER");
    }
    (void)snprintf(text, sizeof(text), "%.*s", (int)(end - arguments - 1),
                   arguments + 1);
    if (value_duration_parse(text, &duration)) {
        (void)snprintf(found, sizeof(found), "%s%" PRIu64,
                       duration.negative ? "-" : "", duration.ms);
    }
    rows->checks++;
    if (strcmp(found, end + 2) != 0) {
        fail(rows, end + 2, found);
    }
}
