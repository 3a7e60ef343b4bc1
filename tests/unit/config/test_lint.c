/* SPDX-License-Identifier: Apache-2.0 */
/* The check of policies: figures, findings, both prints. */
#include "server/config/lint.h"
#include "server/core/backoff.h"
#include "tests/unit/config/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- Findings -------------------------------------------------------------
 */

struct row {
    const char *text;     /* of a configuration */
    const char *findings; /* words, with spaces between; "": none */
};

static void
append_words(const struct lint_finding *finding, struct bytes *out)
{
    for (; finding != NULL; finding = finding->next) {
        const char *word = lint_table[finding->code].word;

        if (out->len > 0) {
            (void)bytes_append_byte(out, ' ');
        }
        (void)bytes_append(out, word, strlen(word));
    }
}

/* All but those of the default policy, which is the same everywhere. */
static void
list_findings(const struct lint *lint, struct bytes *out)
{
    append_words(lint->findings, out);
    for (size_t i = 0; i < lint->policy_count; i++) {
        if (lint->policies[i].name_count > 0) {
            append_words(lint->policies[i].findings, out);
        }
    }
    for (size_t i = 0; i < lint->target_count; i++) {
        append_words(lint->targets[i].findings, out);
    }
    assert_true(bytes_append_byte(out, 0));
}

static struct lint *
lint_of(struct loaded *loaded, const char *text)
{
    load_text(loaded, text);
    if (loaded->status != REDIAL_OK) {
        fail_msg("%s", loaded_report(loaded));
    }
    struct lint *lint = lint_create(loaded->config);

    assert_non_null(lint);
    return lint;
}

static void
run_rows(const struct row *rows, size_t count)
{
    size_t failed = 0;

    for (size_t i = 0; i < count; i++) {
        struct loaded loaded;
        struct lint *lint = lint_of(&loaded, rows[i].text);
        struct bytes words;

        bytes_init(&words, CONFIG_TEXT_BYTES_MAX);
        list_findings(lint, &words);
        if (strcmp((const char *)words.at, rows[i].findings) != 0) {
            print_error("%s\n  expected <%s>, found <%s>\n", rows[i].text,
                        rows[i].findings, (const char *)words.at);
            failed++;
        }
        bytes_fini(&words);
        lint_free(lint);
        loaded_fini(&loaded);
    }
    assert_int_equal(failed, 0);
}

#define GUARD "'budget': {'ratio': 0.1}, "
#define R(attempts, initial, max, factor, more)                                \
    "'retryPolicy': {'maxAttempts': " attempts ", 'initialBackoff': '" initial \
    "', 'maxBackoff': '" max "', 'backoffMultiplier': " factor more "}"
#define CODES(codes) ", 'retryableStatusCodes': [" codes "]"
#define METHOD(more) "'methodConfig': [{'name': [{'service': 'S'}], " more "}]"
#define ONE(more)    "{" GUARD METHOD(more) "}"
#define GOOD(more)   R("3", "1s", "10s", "2", CODES("14") more)

static const struct row retry_rows[] = {
    {"{}", ""},
    {ONE("'waitForReady': true"), ""},
    {ONE(GOOD("")), ""},
    {ONE(R("3", "1s", "10s", "2", CODES("3, 7, 12, 16"))), "hopeless-code"},
    {ONE(R("3", "1s", "10s", "2", CODES("1, 5, 6, 9, 11, 15"))),
     "doubtful-code"},
    {ONE(R("3", "1s", "10s", "2", CODES("2, 4, 8, 10, 13, 14"))), ""},
    {ONE(R("11", "1s", "10s", "2", CODES("14"))), "attempts-cut"},
    {ONE(R("10", "1s", "10s", "2", CODES("14"))), ""},
    {ONE(R("3", "1s", "10s", "0.999", CODES("14"))), "shrinking-backoff"},
    {ONE(R("3", "1s", "10s", "1", CODES("14"))), "constant-backoff"},
    {ONE(R("3", "1s", "10s", "1.001", CODES("14"))), ""},
    /* One wait only: it cannot grow. */
    {ONE(R("2", "1s", "10s", "1", CODES("14"))), ""},
    {ONE(R("3", "10s", "1s", "2", CODES("14"))), "max-below-initial"},
    {ONE(R("3", "1s", "1s", "2", CODES("14"))), ""},
    {ONE(GOOD(", 'jitter': 'none'")), "no-jitter"},
    {ONE(GOOD(", 'jitter': 'full'")), ""},
    {"{" METHOD(GOOD("")) "}", "unguarded"},
    {"{'budget': {'ratio': 1.999}, " METHOD(GOOD("")) "}", ""},
    {"{'budget': {'ratio': 2}, " METHOD(GOOD("")) "}", "unguarded"},
    {"{'retryThrottling': {'maxTokens': 9, 'tokenRatio': 0.5}, "
     "'budget': {'ratio': 2}, " METHOD(GOOD("")) "}",
     ""},
    {"{'targets': [{'name': 'T', 'budget': {'ratio': 0.1}}],"
     " 'methodConfig': [{'name': [{'service': 'S'}, {'service': 'T'}], " GOOD(
         "") "}]}",
     "unguarded"},
    {"{'retriesEnabled': false, " METHOD(GOOD(", 'jitter': 'none'")) "}",
     "retries-off"},
    {"{'freeAttemptsMax': 1001}", "free-attempts"},
    {"{'freeAttemptsMax': 1000}", ""},
};

static const struct row time_rows[] = {
    /* The waits are 0.8 to 1.2 and 1.6 to 2.4 seconds. */
    {ONE("'attemptTimeout': '0.5s', 'timeout': '3.601s', " GOOD("")), ""},
    {ONE("'attemptTimeout': '0.5s', 'timeout': '3.6s', " GOOD("")),
     "retries-may-not-fit"},
    {ONE("'attemptTimeout': '0.5s', 'timeout': '2.401s', " GOOD("")),
     "retries-may-not-fit"},
    {ONE("'attemptTimeout': '0.5s', 'timeout': '2.4s', " GOOD("")),
     "retries-never-fit"},
    {ONE("'attemptTimeout': '0.5s', 'timeout': '0.8s', " GOOD("")),
     "retries-never-fit"},
    {ONE("'attemptTimeout': '8.999s', 'timeout': '9s', " GOOD("")), ""},
    {ONE("'attemptTimeout': '9s', 'timeout': '9s', " GOOD("")),
     "timeout-below-attempt"},
    {ONE("'attemptTimeout': '9s', 'timeout': '1s'"), ""},
    {ONE("'limits': {'rate': {'perMinute': 2}}, " GOOD("")),
     "rate-below-retries"},
    {ONE("'limits': {'rate': {'perMinute': 3}}, " GOOD("")), ""},
    {ONE("'limits': {'rate': {'perMinute': 3, 'burst': 2}}, " GOOD("")),
     "rate-below-retries"},
    {ONE("'limits': {'rate': {'perSecond': 1, 'burst': 1}}, " GOOD("")), ""},
    {ONE("'limits': {'rate': {'perMinute': 34, 'burst': 1}}, " GOOD("")), ""},
    /* Two tokens in 3 s exactly, which is what the waits take. */
    {ONE("'limits': {'rate': {'perMinute': 40, 'burst': 1}}, " GOOD(
         ", 'jitter': 'equal'")),
     ""},
    {ONE("'limits': {'rate': {'perMinute': 39, 'burst': 1}}, " GOOD(
         ", 'jitter': 'equal'")),
     "rate-below-retries"},
    {ONE("'limits': {'rate': {'perMinute': 33, 'burst': 1}}, " GOOD("")),
     "rate-below-retries"},
};

#define HEDGED(more) \
    "'hedgingPolicy': {'maxAttempts': 3, 'hedgingDelay': '1s'" more "}"

static const struct row hedging_rows[] = {
    {ONE("'idempotent': true, " HEDGED("")), ""},
    {ONE(HEDGED("")), "hedging-not-idempotent"},
    {ONE("'idempotent': false, " HEDGED("")), "hedging-not-idempotent"},
    {ONE("'idempotent': true, 'hedgingPolicy': {'maxAttempts': 2}"),
     "hedging-at-once"},
    {ONE("'idempotent': true, 'limits': {'concurrency': 2}, " HEDGED("")),
     "hedging-concurrency"},
    {ONE("'idempotent': true, 'timeout': '2s', " HEDGED("")),
     "hedging-timeout"},
    {ONE("'idempotent': true, 'timeout': '2.001s', " HEDGED("")), ""},
    {ONE("'idempotent': true, 'limits': {'rate': {'perMinute': 2}}, " HEDGED(
         "")),
     "rate-below-retries"},
    {"{'retryThrottling': {'maxTokens': 10, 'tokenRatio': 0.1}, " METHOD(
         "'idempotent': true, " HEDGED("")) "}",
     "unguarded"},
    {ONE("'idempotent': true, " HEDGED(", 'nonFatalStatusCodes': [3, 5]")),
     "hopeless-code doubtful-code"},
};

static const struct row target_rows[] = {
    {"{'retryThrottling': {'maxTokens': 3, 'tokenRatio': 0.1}}", ""},
    {"{'retryThrottling': {'maxTokens': 2, 'tokenRatio': 0.1}}",
     "throttle-never-allows"},
    {"{'retryThrottling': {'maxTokens': 1, 'tokenRatio': 0.1}}",
     "throttle-never-allows"},
    {"{'retryThrottling': {'maxTokens': 10, 'tokenRatio': 0.01}}", ""},
    {"{'retryThrottling': {'maxTokens': 10, 'tokenRatio': 0.009}}",
     "throttle-refills-slowly"},
    {"{'retryThrottling': {'maxTokens': 10, 'tokenRatio': 0.999}}", ""},
    {"{'retryThrottling': {'maxTokens': 10, 'tokenRatio': 1}}",
     "throttle-hardly-holds"},
    {"{'budget': {'ratio': 0, 'minPerSecond': 0}}", "budget-never-allows"},
    {"{'budget': {'ratio': 0, 'minPerSecond': 1}}", ""},
    {"{'budget': {'ratio': 0.999, 'minPerSecond': 0}}", "budget-needs-load"},
    {"{'budget': {'ratio': 1, 'minPerSecond': 0}}", ""},
    /* What comes from the top is told once. */
    {"{'budget': {'ratio': 0, 'minPerSecond': 0}, 'targets': [{'name': 'T',"
     " 'retryThrottling': {'maxTokens': 1, 'tokenRatio': 0.1}}]}",
     "budget-never-allows throttle-never-allows"},
};

#define BREAKER(breaker, more)                              \
    "{" GUARD "'attemptTimeout': '5s', 'breaker': " breaker \
    ", " METHOD(more) "}"

static const struct row breaker_rows[] = {
    {BREAKER("{}", "'idempotent': true"), ""},
    {BREAKER("{'window': '5.001s'}", GOOD("")), ""},
    {BREAKER("{'window': '5s'}", GOOD("")), "breaker-window"},
    {BREAKER("{'window': '5s', 'mode': 'disabled'}", GOOD("")), ""},
    {BREAKER("{'window': '5s', 'consecutiveFailures': 9, 'failureRate': 0}",
             GOOD("")),
     ""},
    {BREAKER("{'slowRate': 1, 'slowCall': '4.999s'}", GOOD("")), ""},
    {BREAKER("{'slowRate': 1, 'slowCall': '5s'}", GOOD("")),
     "breaker-never-slow"},
    /* 1 at once and 10 a minute. */
    {BREAKER("{'minimumCalls': 11, 'window': '60s'}",
             "'limits': {'rate': {'perMinute': 10, 'burst': 1}}"),
     ""},
    {BREAKER("{'minimumCalls': 12, 'window': '60s'}",
             "'limits': {'rate': {'perMinute': 10, 'burst': 1}}"),
     "breaker-too-few-calls"},
    {BREAKER("{'minimumCalls': 61}", "'limits': {'rate': 2}"), ""},
    {BREAKER("{'minimumCalls': 63}", "'limits': {'rate': 2}"),
     "breaker-too-few-calls"},
    {BREAKER("{'consecutiveFailures': 4}", GOOD("")), ""},
    {BREAKER("{'consecutiveFailures': 3}", GOOD("")), "breaker-one-job"},
    {BREAKER("{'failureThreshold': 1}", "'idempotent': true"), ""},
    {BREAKER("{}", "'waitForReady': false"), "breaker-not-waiting"},
    {BREAKER("{}", "'waitForReady': false, 'whenOpen': 'reject'"), ""},
    {BREAKER("{'mode': 'metricsOnly'}", "'waitForReady': false"), ""},
    {BREAKER("{'openTime': '3s'}", "'timeout': '3.001s'"), ""},
    {BREAKER("{'openTime': '3s'}", "'timeout': '3s'"), "breaker-outlasts-jobs"},
    {BREAKER("{'openTime': '3s'}", "'timeout': '3s', 'whenOpen': 'reject'"),
     ""},
    {BREAKER("{}", "'timeout': '3s', 'breaker': {'mode': 'disabled'}"), ""},
};

static void
every_finding_is_made_at_its_limit_and_not_before(void **state)
{
    (void)state;
    run_rows(retry_rows, sizeof(retry_rows) / sizeof(retry_rows[0]));
    run_rows(time_rows, sizeof(time_rows) / sizeof(time_rows[0]));
    run_rows(hedging_rows, sizeof(hedging_rows) / sizeof(hedging_rows[0]));
    run_rows(target_rows, sizeof(target_rows) / sizeof(target_rows[0]));
    run_rows(breaker_rows, sizeof(breaker_rows) / sizeof(breaker_rows[0]));
}

static bool
is_in_rows(const char *word, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strstr(rows[i].findings, word) != NULL) {
            return true;
        }
    }
    return false;
}

static void
every_code_is_tested(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LINT_COUNT; i++) {
        const char *word = lint_table[i].word;

        assert_true(
            is_in_rows(word, retry_rows,
                       sizeof(retry_rows) / sizeof(retry_rows[0])) ||
            is_in_rows(word, time_rows,
                       sizeof(time_rows) / sizeof(time_rows[0])) ||
            is_in_rows(word, hedging_rows,
                       sizeof(hedging_rows) / sizeof(hedging_rows[0])) ||
            is_in_rows(word, target_rows,
                       sizeof(target_rows) / sizeof(target_rows[0])) ||
            is_in_rows(word, breaker_rows,
                       sizeof(breaker_rows) / sizeof(breaker_rows[0])));
    }
}

/* What is warned of at load is also said by the load, and nothing else is. */
static void
what_is_said_at_load_is_said_there(void **state)
{
    const struct row *const tables[] = {retry_rows, time_rows, hedging_rows,
                                        target_rows, breaker_rows};
    const size_t counts[] = {
        sizeof(retry_rows) / sizeof(retry_rows[0]),
        sizeof(time_rows) / sizeof(time_rows[0]),
        sizeof(hedging_rows) / sizeof(hedging_rows[0]),
        sizeof(target_rows) / sizeof(target_rows[0]),
        sizeof(breaker_rows) / sizeof(breaker_rows[0]),
    };

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        for (size_t j = 0; j < counts[i]; j++) {
            struct loaded loaded;
            struct lint *lint = lint_of(&loaded, tables[i][j].text);
            bool at_load = false;

            for (size_t k = 0; k < lint->policy_count; k++) {
                const struct lint_finding *finding = lint->policies[k].findings;

                for (; finding != NULL; finding = finding->next) {
                    at_load |= lint_table[finding->code].at_load;
                }
            }
            if (at_load != (loaded.report.warnings > 0)) {
                fail_msg("%s", tables[i][j].text);
            }
            lint_free(lint);
            loaded_fini(&loaded);
        }
    }
}

/* ---- Figures --------------------------------------------------------------
 */

static const struct {
    enum jitter jitter;
    double factor;
    uint64_t initial_ms;
    uint64_t max_ms;
} backoffs[] = {
    {JITTER_DEFAULT, 2, 1000, 7000},
    {JITTER_FULL, 1.5, 10, 1000},
    {JITTER_EQUAL, 3, 7, 100},
    {JITTER_DECORRELATED, 2, 100, 5000},
    {JITTER_DECORRELATED, 2, 5000, 3000},
    {JITTER_NONE, 0.5, 1000, 1000},
    {JITTER_DEFAULT, 1000, 1, 315576000000000},
};

/* The core draws within the range that is told, and comes near to both ends. */
static void
the_core_waits_within_the_range_that_is_told(void **state)
{
    struct rng rng;

    (void)state;
    rng_init(&rng, 7);
    for (size_t i = 0; i < sizeof(backoffs) / sizeof(backoffs[0]); i++) {
        struct retry_policy retry = {
            .initial_backoff_ms = backoffs[i].initial_ms,
            .max_backoff_ms = backoffs[i].max_ms,
            .backoff_multiplier = backoffs[i].factor,
            .jitter = backoffs[i].jitter,
        };
        uint64_t longest_ms = 0;

        for (uint32_t n = 1; n <= 6; n++) {
            uint64_t before_ms = n == 1 ? 0 : longest_ms;
            uint64_t shortest_ms = 0;
            uint64_t least = UINT64_MAX;
            uint64_t most = 0;

            lint_delay_range(&retry, n, &shortest_ms, &longest_ms);
            for (unsigned draws = 0; draws < 2000; draws++) {
                uint64_t drawn =
                    backoff_draw(&retry, n, before_ms, &rng).delay_ms;

                least = drawn < least ? drawn : least;
                most = drawn > most ? drawn : most;
            }
            uint64_t slack = (longest_ms - shortest_ms) / 50 + 1;

            assert_in_range(least, shortest_ms, shortest_ms + slack);
            assert_in_range(most, longest_ms - (slack < longest_ms ? slack : 0),
                            longest_ms);
        }
    }
}

struct figures {
    const char *text;
    uint32_t attempts;
    uint64_t delay_min_ms;
    uint64_t delay_max_ms;
    uint32_t fit;
    uint64_t bound_milli;
    uint64_t once;
    uint64_t per_second;
};

static const struct figures figures[] = {
    {"{" METHOD("'timeout': '1s'") "}", 1, 0, 0, 0, 1000, 0, 0},
    {"{" METHOD(GOOD("")) "}", 3, 2400, 3600, 2, 3000, 0, 0},
    {"{" METHOD("'timeout': '2s', " GOOD("")) "}", 3, 2400, 3600, 1, 3000, 0,
     0},
    {"{" METHOD("'timeout': '0.8s', " GOOD("")) "}", 3, 2400, 3600, 0, 3000, 0,
     0},
    {"{'maxAttemptsLimit': 5, " METHOD(
         R("9", "1s", "3s", "2", CODES("14") ", 'jitter': 'none'")) "}",
     5, 9000, 9000, 4, 5000, 0, 0},
    /* The core never waits longer than 10^13 ms at a time. */
    {"{'maxAttemptsLimit': 100, " METHOD(
         R("100", "315576000000s", "315576000000s", "2", CODES("14"))) "}",
     100, 792000000000000, 1188000000000000, 99, 100000, 0, 0},
    {"{'retryThrottling': {'maxTokens': 11, 'tokenRatio': 0.1}, " METHOD(
         GOOD("")) "}",
     3, 2400, 3600, 2, 1100, 5, 0},
    {"{'retryThrottling': {'maxTokens': 2, 'tokenRatio': 0.1}, " METHOD(
         GOOD("")) "}",
     3, 2400, 3600, 2, 1000, 0, 0},
    {"{'retryThrottling': {'maxTokens': 10, 'tokenRatio': 2}, " METHOD(
         GOOD("")) "}",
     3, 2400, 3600, 2, 3000, 0, 0},
    {"{'retryThrottling': {'maxTokens': 10, 'tokenRatio': 0.3}, 'budget':"
     " {'ratio': 0.2, 'minPerSecond': 7}, " METHOD(GOOD("")) "}",
     3, 2400, 3600, 2, 1200, 0, 7},
    {"{'retryThrottling': {'maxTokens': 10, 'tokenRatio': 0.1}, 'budget':"
     " {'ratio': 0.2, 'minPerSecond': 7}, " METHOD(GOOD("")) "}",
     3, 2400, 3600, 2, 1100, 5, 0},
    {"{'retryThrottling': {'maxTokens': 10, 'tokenRatio': 0.1}, 'budget':"
     " {'ratio': 0.5, 'minPerSecond': 7}, " METHOD(
         "'idempotent': true, " HEDGED("")) "}",
     3, 0, 2000, 2, 1500, 0, 7},
    {"{'retriesEnabled': false, " METHOD(GOOD("")) "}", 1, 0, 0, 0, 1000, 0, 0},
    /* Two targets: the looser bound holds for the entry. */
    {"{'budget': {'ratio': 0.1, 'minPerSecond': 1}, 'targets': [{'name': 'T',"
     " 'budget': {'ratio': 0.4, 'minPerSecond': 2}}], 'methodConfig': [{"
     "'name': [{'service': 'S'}, {'service': 'T'}, {'service': 'U'}], " GOOD(
         "") "}]}",
     3, 2400, 3600, 2, 1400, 0, 2},
};

static void
figures_follow_the_formulas(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
        const struct figures *expected = &figures[i];
        struct loaded loaded;
        struct lint *lint = lint_of(&loaded, expected->text);
        const struct lint_policy *row = &lint->policies[0];

        assert_int_equal(row->attempts_max, expected->attempts);
        assert_int_equal(row->delay_min_ms, expected->delay_min_ms);
        assert_int_equal(row->delay_max_ms, expected->delay_max_ms);
        assert_int_equal(row->retries_fit, expected->fit);
        assert_int_equal(row->load.worst_milli, expected->attempts * 1000);
        assert_int_equal(row->load.bound_milli, expected->bound_milli);
        assert_int_equal(row->load.bound_once, expected->once);
        assert_int_equal(row->load.bound_per_second, expected->per_second);
        lint_free(lint);
        loaded_fini(&loaded);
    }
}

static void
rows_are_the_entries_and_the_default(void **state)
{
    struct loaded loaded;
    struct lint *lint = lint_of(
        &loaded, "{'methodConfig': [{'name': [{'service': 'Z'}, {'service':"
                 " 'A', 'method': 'M'}]}, {}, {'name': [{}, {'service':"
                 " 'B'}]}]}");

    (void)state;
    /* The one without names means nothing; {} is the default. */
    assert_int_equal(lint->policy_count, 2);
    assert_string_equal(lint->policies[0].entry->path, "methodConfig[0]");
    assert_int_equal(lint->policies[0].entry->line, 1);
    assert_int_equal(lint->policies[0].name_count, 2);
    assert_string_equal(lint->policies[0].names[0]->service.at, "A");
    assert_string_equal(lint->policies[0].names[1]->service.at, "Z");
    assert_string_equal(lint->policies[1].entry->path, "methodConfig[2]");
    assert_int_equal(lint->policies[1].name_count, 2);
    assert_string_equal(lint->policies[1].names[0]->service.at, "B");
    assert_int_equal(lint->policies[1].names[1]->service.len, 0);
    lint_free(lint);
    loaded_fini(&loaded);
    lint = lint_of(&loaded, "{}");
    assert_int_equal(lint->policy_count, 1);
    assert_null(lint->policies[0].entry);
    assert_int_equal(lint->target_count, 0);
    lint_free(lint);
    loaded_fini(&loaded);
}

/* ---- Prints ---------------------------------------------------------------
 */

static const char printed[] =
    "{'retryThrottling': {'maxTokens': 10, 'tokenRatio': 0.1},\n"
    " 'targets': [{'name': 'T', 'budget': {'ratio': 0, 'minPerSecond': 0}}],\n"
    " 'methodConfig': [{'name': [{'service': 'S', 'method': 'M'},\n"
    "   {'service': 'A'}, {'service': 'B'}, {'service': 'C'}],\n"
    "   'timeout': '3s', " R(
        "20", "1s", "2s", "1",
        CODES("14")) "},\n"
                     "  {'name': [{'service': 'T'}], 'idempotent': true,\n"
                     "   'hedgingPolicy': {'maxAttempts': 2, 'hedgingDelay': "
                     "'0.5s'}}]}";

static void
the_table_is_for_people(void **state)
{
    struct loaded loaded;
    struct lint *lint = lint_of(&loaded, printed);
    char *at;

    (void)state;
    bytes_clear(&loaded.text);
    lint_print(lint, &loaded.text);
    assert_true(bytes_append_byte(&loaded.text, 0));
    while ((at = strstr((char *)loaded.text.at, folder())) != NULL) {
        memmove(at, at + strlen(folder()) + 1,
                strlen(at + strlen(folder()) + 1) + 1);
    }
    assert_string_equal(
        (const char *)loaded.text.at,
        "policy              attempts  waits in all            load   with "
        "guards\n"
        "A, B, C and 1 more        10  7.2s to 10.8s           x 10   x 1.1 + "
        "5\n"
        "T                          2  0s to 0.5s              x 2    x 1\n"
        "default policy             3  2.4s to 3.6s            x 3    x 1.1 + "
        "5\n"
        "\n"
        "target      throttle                         budget\n"
        "all others  10 tokens, 0.1 for a success     -\n"
        "T           10 tokens, 0.1 for a success     0 of 10s + 0/s\n"
        "\n"
        "redial.json:3: note: methodConfig[0]: backoffMultiplier 1: the waits "
        "do not grow while the target stays down [constant-backoff]\n"
        "redial.json:3: warning: methodConfig[0]: attemptTimeout 600s is not "
        "below timeout 3s: after an attempt that hangs there is no retry "
        "[timeout-below-attempt]\n"
        "redial.json:3: warning: methodConfig[0]: the waits take 7.2s at "
        "least, timeout is 3s: 3 of 9 retries can ever start "
        "[retries-never-fit]\n"
        "warning: target T: ratio 0 and minPerSecond 0: nothing is ever "
        "retried [budget-never-allows]\n"
        "3 policies, 3 warnings, 1 note\n");
    lint_free(lint);
    loaded_fini(&loaded);
}

static void
assert_has(const struct loaded *loaded, const char *text)
{
    if (strstr((const char *)loaded->text.at, text) == NULL) {
        fail_msg("<%s> is not in\n%s", text, (const char *)loaded->text.at);
    }
}

static void
the_object_is_for_programs(void **state)
{
    struct loaded loaded;
    struct lint *lint = lint_of(&loaded, printed);

    (void)state;
    bytes_clear(&loaded.text);
    lint_print_json(lint, &loaded.report, &loaded.text);
    assert_true(bytes_append_byte(&loaded.text, 0));
    assert_has(&loaded, "      \"path\": \"methodConfig[0]\",\n");
    assert_has(&loaded, "      \"line\": 3,\n"
                        "      \"kind\": \"retry\",\n"
                        "      \"isDefault\": false,\n"
                        "      \"attemptsMax\": 10,\n"
                        "      \"freeAttemptsMax\": 100,\n"
                        "      \"delayMin\": \"7.2s\",\n"
                        "      \"delayMax\": \"10.8s\",\n"
                        "      \"retriesThatFit\": 3,\n"
                        "      \"load\": 10,\n"
                        "      \"loadBound\": 1.1,\n"
                        "      \"loadBoundOnce\": 5,\n"
                        "      \"loadBoundPerSecond\": 0,\n");
    assert_has(&loaded, "          \"code\": \"attempts-cut\",\n"
                        "          \"severity\": \"warning\",\n");
    assert_has(&loaded, "          \"atLoad\": true\n");
    assert_has(&loaded, "      \"kind\": \"hedging\",\n");
    assert_has(&loaded, "      \"isDefault\": true,\n");
    assert_has(&loaded, "      \"failureShare\": 0.09,\n"
                        "      \"okPerFailure\": 10,\n");
    assert_has(&loaded, "      \"name\": \"*\",\n");
    assert_has(&loaded,
               "      \"path\": \"methodConfig[0].retryPolicy.maxAttempts\",\n"
               "      \"found\": \"20\",\n");
    assert_has(&loaded, "  \"errors\": 0,\n"
                        "  \"warnings\": 4,\n"
                        "  \"notes\": 1\n"
                        "}\n");
    lint_free(lint);
    loaded_fini(&loaded);
    load_text(&loaded, "{'x': 1}");
    bytes_clear(&loaded.text);
    lint_print_json(NULL, &loaded.report, &loaded.text);
    assert_true(bytes_append_byte(&loaded.text, 0));
    assert_has(&loaded, "  \"policies\": [],\n");
    assert_has(&loaded, "      \"severity\": \"error\",\n");
    assert_has(&loaded, "  \"errors\": 1,\n");
    loaded_fini(&loaded);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_finding_is_made_at_its_limit_and_not_before),
        cmocka_unit_test(every_code_is_tested),
        cmocka_unit_test(what_is_said_at_load_is_said_there),
        cmocka_unit_test(the_core_waits_within_the_range_that_is_told),
        cmocka_unit_test(figures_follow_the_formulas),
        cmocka_unit_test(rows_are_the_entries_and_the_default),
        cmocka_unit_test(the_table_is_for_people),
        cmocka_unit_test(the_object_is_for_programs),
    };

    return cmocka_run_group_tests(tests, NULL, folder_fini);
}
