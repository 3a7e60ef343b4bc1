/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Breakers: each field at, below and above its limits, what lies between them,
 * and which breaker a target has in the end.
 */
#include "server/config/lint.h"
#include "tests/unit/config/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct policy_set *
policy_of(struct loaded *loaded)
{
    if (loaded->status != REDIAL_OK) {
        fail_msg("%s", loaded_report(loaded));
    }
    return config_policy(loaded->config);
}

static const struct target_policy *
target_of(struct loaded *loaded, const char *name)
{
    return policy_find_target(
        policy_of(loaded),
        (struct text){.at = name, .len = (uint32_t)strlen(name)});
}

/* ---- Single fields --------------------------------------------------------
 */

/* attemptTimeout is 1 ms around these, below every maxHalfOpenTime. */
static const struct vector common_vectors[] = {
    {"defaults", "{}", ""},
    {"no object", "[]", "!"},
    {"false", "false", "!"},
    {"null", "null", "!"},
    {"unknown", "{'thresholds': 1}", "!thresholds"},
    {"on", "{'mode': 'on'}", ""},
    {"metrics only", "{'mode': 'metricsOnly'}", ""},
    {"disabled", "{'mode': 'disabled'}", ""},
    {"forced", "{'mode': 'forcedOpen'}", "!mode"},
    {"mode as a number", "{'mode': 1}", "!mode"},
    {"least window", "{'window': '1s'}", ""},
    {"below the window", "{'window': '0.999s'}", "!window"},
    {"longest window", "{'window': '86400s'}", ""},
    {"above the window", "{'window': '86400.001s'}", "!window"},
    {"window as a number", "{'window': 30}", "!window"},
    {"least calls", "{'minimumCalls': 1}", ""},
    {"no calls", "{'minimumCalls': 0}", "!minimumCalls"},
    {"most calls", "{'minimumCalls': 1000000}", ""},
    {"too many calls", "{'minimumCalls': 1000001}", "!minimumCalls"},
    {"least rate", "{'failureRate': 0.001}", ""},
    {"a finer rate", "{'failureRate': 0.0005}", "!failureRate"},
    {"all fail", "{'failureRate': 1}", ""},
    {"more than all", "{'failureRate': 1.001}", "!failureRate"},
    {"percent", "{'failureRate': 50}", "!failureRate"},
    {"negative rate", "{'failureRate': -0.1}", "!failureRate"},
    {"all slow", "{'slowRate': 1, 'slowCall': '0.001s'}", ""},
    {"more than all slow", "{'slowRate': 1.001, 'slowCall': '1s'}",
     "!slowRate"},
    {"slow at once", "{'slowRate': 1, 'slowCall': '0s'}", "!slowCall"},
    {"longest slow", "{'slowRate': 1, 'slowCall': '604800s'}", ""},
    {"too long for slow", "{'slowRate': 1, 'slowCall': '604800.001s'}",
     "!slowCall"},
    {"what is slow", "{'slowRate': 0.5}", "!slowRate"},
    {"slow for nothing", "{'slowCall': '1s'}", "?slowCall"},
    {"slow never counts", "{'slowCall': '1s', 'slowRate': 0}", "?slowCall"},
    {"most in a row", "{'consecutiveFailures': 1000000}", ""},
    {"too many in a row", "{'consecutiveFailures': 1000001}",
     "!consecutiveFailures"},
    {"no rule", "{'failureRate': 0, 'consecutiveFailures': 0}", "!"},
    {"slow alone",
     "{'failureRate': 0, 'consecutiveFailures': 0, 'slowRate': 0.001,"
     " 'slowCall': '1s'}",
     ""},
    {"in a row alone", "{'failureRate': 0, 'consecutiveFailures': 1}", ""},
    {"rate alone", "{'failureRate': 0.001, 'consecutiveFailures': 0}", ""},
    {"shortest open", "{'openTime': '0.1s'}", ""},
    {"too short open", "{'openTime': '0.099s'}", "!openTime"},
    {"longest open", "{'openTime': '86400s'}", ""},
    {"too long open", "{'openTime': '86400.001s'}", "!openTime"},
    {"as long as open", "{'openTime': '7s', 'maxOpenTime': '7s'}", ""},
    {"shorter than open", "{'openTime': '7s', 'maxOpenTime': '6.999s'}",
     "!maxOpenTime"},
    {"shorter than the default", "{'maxOpenTime': '4.999s'}", "!maxOpenTime"},
    {"too short at most", "{'openTime': '0.1s', 'maxOpenTime': '0.099s'}",
     "!maxOpenTime"},
    {"too long at most", "{'maxOpenTime': '86400.001s'}", "!maxOpenTime"},
    {"no growth", "{'openTimeMultiplier': 1}", ""},
    {"shrinking", "{'openTimeMultiplier': 0.999}", "!openTimeMultiplier"},
    {"most growth", "{'openTimeMultiplier': 100}", ""},
    {"too much growth", "{'openTimeMultiplier': 100.001}",
     "!openTimeMultiplier"},
    {"no jitter", "{'jitter': 0}", ""},
    {"most jitter", "{'jitter': 1}", ""},
    {"too much jitter", "{'jitter': 1.001}", "!jitter"},
    {"jitter as a word", "{'jitter': 'full'}", "!jitter"},
    {"no probe", "{'probes': 0}", "!probes"},
    {"most probes", "{'probes': 10}", ""},
    {"too many probes", "{'probes': 11}", "!probes"},
    {"none needed", "{'probesNeeded': 0}", "!probesNeeded"},
    {"most needed", "{'probesNeeded': 100}", ""},
    {"too many needed", "{'probesNeeded': 101}", "!probesNeeded"},
    {"most forgiven", "{'probeFailures': 100}", ""},
    {"too many forgiven", "{'probeFailures': 101}", "!probeFailures"},
    {"shortest trial", "{'maxHalfOpenTime': '1s'}", ""},
    {"too short a trial", "{'maxHalfOpenTime': '0.999s'}", "!maxHalfOpenTime"},
    {"longest trial", "{'maxHalfOpenTime': '604800s'}", ""},
    {"too long a trial", "{'maxHalfOpenTime': '604800.001s'}",
     "!maxHalfOpenTime"},
    {"no ramp", "{'rampTime': '0s'}", ""},
    {"longest ramp", "{'rampTime': '86400s'}", ""},
    {"too long a ramp", "{'rampTime': '86400.001s'}", "!rampTime"},
    {"lowest ramp", "{'rampFrom': 0.001}", ""},
    {"ramp from nothing", "{'rampFrom': 0}", "!rampFrom"},
    {"ramp from all", "{'rampFrom': 1}", ""},
    {"ramp from more", "{'rampFrom': 1.001}", "!rampFrom"},
    {"fastest decay", "{'decayTime': '1s'}", ""},
    {"too fast a decay", "{'decayTime': '0.999s'}", "!decayTime"},
    {"slowest decay", "{'decayTime': '86400s'}", ""},
    {"too slow a decay", "{'decayTime': '86400.001s'}", "!decayTime"},
    {"no hint", "{'maxHint': '0s'}", ""},
    {"longest hint", "{'maxHint': '86400s'}", ""},
    {"too long a hint", "{'maxHint': '86400.001s'}", "!maxHint"},
    {"codes", "{'failureCodes': ['INTERNAL', 14]}", ""},
    {"no codes", "{'failureCodes': []}", "!failureCodes"},
    {"OK is no failure", "{'failureCodes': ['OK']}", "!failureCodes[0]"},
    {"overload is none", "{'failureCodes': [14, 'RESOURCE_EXHAUSTED']}",
     "!failureCodes"},
    {"cancelled is none", "{'failureCodes': ['CANCELLED']}", "!failureCodes"},
    {"short form", "{'failureThreshold': 5, 'openTime': '60s'}", ""},
    {"least threshold", "{'failureThreshold': 1}", ""},
    {"no threshold", "{'failureThreshold': 0}", "!failureThreshold"},
    {"most threshold", "{'failureThreshold': 1000000}", ""},
    {"above the threshold", "{'failureThreshold': 1000001}",
     "!failureThreshold"},
    {"both forms",
     "{'failureThreshold': 5, 'window': '10s', 'minimumCalls': 1,"
     " 'failureRate': 0.5, 'slowRate': 0.5, 'slowCall': '1s',"
     " 'consecutiveFailures': 5}",
     "!window !minimumCalls !failureRate !slowRate !slowCall "
     "!consecutiveFailures"},
    {"short form and the rest",
     "{'failureThreshold': 5, 'maxOpenTime': '60s', 'jitter': 0,"
     " 'probes': 2, 'mode': 'metricsOnly', 'failureCodes': ['INTERNAL']}",
     ""},
    {"all at once", "{'window': 1, 'probes': 11, 'jitter': 2, 'mode': ''}",
     "!window !jitter !probes !mode"},
};

static const struct vector target_vectors[] = {
    {"none park", "{'parkedMax': 0}", ""},
    {"most park", "{'parkedMax': 10000000}", ""},
    {"too many park", "{'parkedMax': 10000001}", "!parkedMax"},
    {"half a job", "{'parkedMax': 1.5}", "!parkedMax"},
    {"ejected", "{'maxEjected': 0.5}", "!maxEjected"},
    {"when open", "{'whenOpen': 'park'}", "!whenOpen"},
};

static const struct vector instance_vectors[] = {
    {"none ejected", "{'maxEjected': 0}", ""},
    {"all ejected", "{'maxEjected': 1}", ""},
    {"more ejected", "{'maxEjected': 1.001}", "!maxEjected"},
    {"parked", "{'parkedMax': 1}", "!parkedMax"},
};

static const struct frame top_frame = {
    "{'attemptTimeout': '0.001s', 'breaker': ", "}", "breaker"};

static const struct frame instance_frame = {
    "{'attemptTimeout': '0.001s', 'instanceBreaker': ", "}", "instanceBreaker"};

static const struct frame method_frame = {
    "{'attemptTimeout': '0.001s', 'methodConfig': [{'name': "
    "[{'service': 'S'}], 'breaker': ",
    "}]}", "methodConfig[0].breaker"};

static const struct frame target_frame = {
    "{'attemptTimeout': '0.001s', 'targets': [{'name': 'S', 'breaker': ", "}]}",
    "targets[0].breaker"};

static void
a_breaker_of_all_targets_is_checked_at_its_limits(void **state)
{
    (void)state;
    RUN_VECTORS(common_vectors, &top_frame);
    RUN_VECTORS(target_vectors, &top_frame);
}

static void
a_breaker_of_a_method_is_checked_at_its_limits(void **state)
{
    (void)state;
    RUN_VECTORS(target_vectors, &method_frame);
    RUN_VECTORS(target_vectors, &target_frame);
}

static void
a_breaker_of_instances_is_checked_at_its_limits(void **state)
{
    (void)state;
    RUN_VECTORS(common_vectors, &instance_frame);
    RUN_VECTORS(instance_vectors, &instance_frame);
}

/* ---- Defaults -------------------------------------------------------------
 */

static void
assert_defaults(const struct breaker_policy *policy)
{
    assert_int_equal(policy->window_ms, 30000);
    assert_int_equal(policy->calls_min, 20);
    assert_int_equal(policy->failure_permille, 500);
    assert_int_equal(policy->slow_permille, 0);
    assert_int_equal(policy->slow_ms, 0);
    assert_int_equal(policy->open_ms, 5000);
    assert_int_equal(policy->open_ms_max, 300000);
    assert_int_equal(policy->multiplier_milli, 2000);
    assert_int_equal(policy->jitter_permille, 200);
    assert_int_equal(policy->probes, 1);
    assert_int_equal(policy->probes_needed, 3);
    assert_int_equal(policy->probe_failures, 0);
    assert_int_equal(policy->trial_ms, 60000);
    assert_int_equal(policy->ramp_ms, 10000);
    assert_int_equal(policy->ramp_permille, 100);
    assert_int_equal(policy->decay_ms, 30000);
    assert_int_equal(policy->hint_ms_max, 0);
    assert_false(policy->metrics_only);
    assert_false(policy->disabled);
}

static void
without_a_word_there_is_no_breaker(void **state)
{
    struct loaded loaded;

    (void)state;
    load_text(&loaded, "{'methodConfig': [{'name': [{'service': 'S'}]}]}");
    assert_false(policy_of(&loaded)->target_fallback.has_breaker);
    assert_false(policy_of(&loaded)->instances.has_breaker);
    assert_false(policy_of(&loaded)->methods[0].reject_when_open);
    loaded_fini(&loaded);
}

static void
an_empty_object_takes_every_default(void **state)
{
    const uint32_t codes = 1u << REDIAL_UNKNOWN |
                           1u << REDIAL_DEADLINE_EXCEEDED |
                           1u << REDIAL_ABORTED | 1u << REDIAL_INTERNAL |
                           1u << REDIAL_UNAVAILABLE | 1u << REDIAL_DATA_LOSS;
    struct loaded loaded;

    (void)state;
    load_text(&loaded, "{'attemptTimeout': '60s', 'breaker': {},"
                       " 'instanceBreaker': {}}");
    const struct policy_set *set = policy_of(&loaded);

    assert_true(set->target_fallback.has_breaker);
    assert_defaults(&set->target_fallback.breaker);
    assert_int_equal(set->target_fallback.breaker.consecutive, 0);
    assert_int_equal(set->target_fallback.failure_codes, codes);
    assert_int_equal(set->target_fallback.parked_max, 0);
    assert_true(set->instances.has_breaker);
    assert_defaults(&set->instances.breaker);
    assert_int_equal(set->instances.breaker.consecutive, 5);
    assert_int_equal(set->instances.failure_codes, codes);
    assert_int_equal(set->instances.ejected_permille, 500);
    loaded_fini(&loaded);
}

static void
every_field_reaches_the_policy(void **state)
{
    struct loaded loaded;

    (void)state;
    load_text(&loaded,
              "{'attemptTimeout': '1s', 'breaker': {'mode': 'metricsOnly',"
              " 'window': '11s', 'minimumCalls': 12, 'failureRate': 0.013,"
              " 'slowRate': 0.014, 'slowCall': '15s', 'openTime': '17s',"
              " 'consecutiveFailures': 16, 'maxOpenTime': '18s',"
              " 'openTimeMultiplier': 1.9, 'jitter': 0.02, 'probes': 2,"
              " 'probesNeeded': 22, 'probeFailures': 23,"
              " 'maxHalfOpenTime': '24s', 'rampTime': '25s',"
              " 'rampFrom': 0.026, 'decayTime': '27s', 'maxHint': '28s',"
              " 'failureCodes': ['INTERNAL'], 'parkedMax': 29}}");
    const struct target_policy *target = target_of(&loaded, "any");
    const struct breaker_policy *policy = &target->breaker;

    assert_true(policy->metrics_only);
    assert_int_equal(policy->window_ms, 11000);
    assert_int_equal(policy->calls_min, 12);
    assert_int_equal(policy->failure_permille, 13);
    assert_int_equal(policy->slow_permille, 14);
    assert_int_equal(policy->slow_ms, 15000);
    assert_int_equal(policy->consecutive, 16);
    assert_int_equal(policy->open_ms, 17000);
    assert_int_equal(policy->open_ms_max, 18000);
    assert_int_equal(policy->multiplier_milli, 1900);
    assert_int_equal(policy->jitter_permille, 20);
    assert_int_equal(policy->probes, 2);
    assert_int_equal(policy->probes_needed, 22);
    assert_int_equal(policy->probe_failures, 23);
    assert_int_equal(policy->trial_ms, 24000);
    assert_int_equal(policy->ramp_ms, 25000);
    assert_int_equal(policy->ramp_permille, 26);
    assert_int_equal(policy->decay_ms, 27000);
    assert_int_equal(policy->hint_ms_max, 28000);
    assert_int_equal(target->failure_codes, 1u << REDIAL_INTERNAL);
    assert_int_equal(target->parked_max, 29);
    loaded_fini(&loaded);
}

static void
the_short_form_counts_failures_in_a_row_alone(void **state)
{
    struct loaded loaded;

    (void)state;
    load_text(&loaded, "{'breaker': {'failureThreshold': 7},"
                       " 'instanceBreaker': {'failureThreshold': 8,"
                       " 'openTime': '400s'}}");
    const struct policy_set *set = policy_of(&loaded);
    const struct breaker_policy *top = &set->target_fallback.breaker;
    const struct breaker_policy *instance = &set->instances.breaker;

    assert_int_equal(top->consecutive, 7);
    assert_int_equal(top->failure_permille, 0);
    assert_int_equal(top->slow_permille, 0);
    assert_int_equal(top->open_ms, 60000);
    assert_int_equal(top->open_ms_max, 300000);
    assert_int_equal(instance->consecutive, 8);
    assert_int_equal(instance->failure_permille, 0);
    assert_int_equal(instance->open_ms, 400000);
    assert_int_equal(instance->open_ms_max, 400000);
    loaded_fini(&loaded);
}

/* ---- Which breaker a target has -------------------------------------------
 */

static void
the_breaker_of_the_top_is_that_of_every_target(void **state)
{
    struct loaded loaded;

    (void)state;
    load_text(&loaded,
              "{'attemptTimeout': '1s', 'breaker': {'minimumCalls': 9},"
              " 'targets': [{'name': 'T', 'budget': {'ratio': 1}}],"
              " 'methodConfig': ["
              "  {'name': [{'service': 'S'}], 'breaker': {'jitter': 0.5}},"
              "  {'name': [{'service': 'R'}], 'target': 'up',"
              "   'whenOpen': 'reject', 'breaker': {'mode': 'disabled'}},"
              "  {'name': [{'service': 'Q'}], 'whenOpen': 'park'}]}");
    assert_int_equal(target_of(&loaded, "x")->breaker.calls_min, 9);
    assert_true(target_of(&loaded, "T")->has_breaker);
    assert_true(target_of(&loaded, "T")->has_budget);
    assert_int_equal(target_of(&loaded, "T")->breaker.calls_min, 9);
    /* Its own one is whole: nothing is taken from the top. */
    assert_int_equal(target_of(&loaded, "S")->breaker.calls_min, 20);
    assert_int_equal(target_of(&loaded, "S")->breaker.jitter_permille, 500);
    assert_true(target_of(&loaded, "up")->breaker.disabled);
    assert_false(target_of(&loaded, "R")->breaker.disabled);
    assert_int_equal(target_of(&loaded, "R")->breaker.calls_min, 9);
    for (size_t i = 0; i < 3; i++) {
        const struct method_policy *row = &policy_of(&loaded)->methods[i];

        assert_int_equal(row->reject_when_open, row->service.at[0] == 'R');
    }
    loaded_fini(&loaded);
}

static void
two_breakers_of_one_target_must_agree(void **state)
{
    static const struct vector vectors[] = {
        {"the same in other words",
         "{'name': [{'service': 'A'}], 'target': 't', 'breaker': {}},"
         "{'name': [{'service': 'B'}], 'target': 't',"
         " 'breaker': {'openTime': '5.0s'}}",
         ""},
        {"another number",
         "{'name': [{'service': 'A'}], 'target': 't', 'breaker': {}},"
         "{'name': [{'service': 'B'}], 'target': 't',"
         " 'breaker': {'openTime': '6s'}}",
         "!methodConfig[1].breaker"},
        {"another mode",
         "{'name': [{'service': 'A'}], 'target': 't', 'breaker': {}},"
         "{'name': [{'service': 'B'}], 'target': 't',"
         " 'breaker': {'mode': 'disabled'}}",
         "!methodConfig[1].breaker"},
        {"other codes",
         "{'name': [{'service': 'A'}], 'target': 't', 'breaker': {}},"
         "{'name': [{'service': 'B'}], 'target': 't',"
         " 'breaker': {'failureCodes': [14]}}",
         "!methodConfig[1].breaker"},
        {"other room",
         "{'name': [{'service': 'A', 'method': 'a'}], 'breaker': {}},"
         "{'name': [{'service': 'A', 'method': 'b'}],"
         " 'breaker': {'parkedMax': 1}}",
         "!methodConfig[1].breaker"},
        {"only one says it",
         "{'name': [{'service': 'A'}], 'target': 't', 'breaker': {}},"
         "{'name': [{'service': 'B'}], 'target': 't'}",
         ""},
        {"any target", "{'name': [{}], 'breaker': {}}",
         "!methodConfig[0].breaker"},
        {"all methods, one target",
         "{'name': [{}], 'target': 't', 'breaker': {}}", ""},
        {"a word", "{'name': [{}], 'whenOpen': 'wait'}",
         "!methodConfig[0].whenOpen"},
    };
    static const struct frame frame = {"{'methodConfig': [", "]}", ""};
    struct loaded loaded;

    (void)state;
    RUN_VECTORS(vectors, &frame);
    load_text(&loaded, "{'targets': [{'name': 't', 'breaker': {}}],\n"
                       "'methodConfig': [{'name': [{'service': 'B'}],\n"
                       "'target': 't', 'breaker': {'probes': 2}}]}");
    assert_string_equal(
        loaded_report(&loaded),
        "redial.json:1: error: targets[0].breaker: found t; "
        "allowed: one breaker for each target (see methodConfig[0].breaker in "
        "redial.json, line 3)\n");
    loaded_fini(&loaded);
}

/* ---- Trials ---------------------------------------------------------------
 */

static void
a_trial_outlasts_the_attempts_behind_the_breaker(void **state)
{
    struct loaded loaded;

    (void)state;
    load_text(&loaded,
              "{'attemptTimeout': '61s', 'breaker': {},"
              " 'instanceBreaker': {}, 'methodConfig': ["
              "  {'name': [{'service': 'A'}], 'attemptTimeout': '70s'},"
              "  {'name': [{'service': 'B'}], 'attemptTimeout': '90s',"
              "   'breaker': {}},"
              "  {'name': [{'service': 'C'}], 'attemptTimeout': '5s',"
              "   'breaker': {'maxHalfOpenTime': '5s'}}],"
              " 'targets': [{'name': 'D', 'breaker': {}}]}");
    assert_int_equal(target_of(&loaded, "A")->breaker.trial_ms, 70000);
    assert_int_equal(target_of(&loaded, "B")->breaker.trial_ms, 90000);
    assert_int_equal(target_of(&loaded, "C")->breaker.trial_ms, 5000);
    assert_int_equal(target_of(&loaded, "D")->breaker.trial_ms, 61000);
    assert_int_equal(target_of(&loaded, "x")->breaker.trial_ms, 70000);
    assert_int_equal(policy_of(&loaded)->instances.breaker.trial_ms, 90000);
    loaded_fini(&loaded);
}

static void
a_trial_shorter_than_an_attempt_is_refused(void **state)
{
    static const struct vector vectors[] = {
        {"all, as long", "'breaker': {'maxHalfOpenTime': '9s'}", ""},
        {"all, shorter", "'breaker': {'maxHalfOpenTime': '8.999s'}",
         "!breaker.maxHalfOpenTime"},
        {"instances, as long", "'instanceBreaker': {'maxHalfOpenTime': '9s'}",
         ""},
        {"instances, shorter",
         "'instanceBreaker': {'maxHalfOpenTime': '8.999s'}",
         "!instanceBreaker.maxHalfOpenTime"},
        {"a method's",
         "'methodConfig': [{'name': [{'service': 'S'}],"
         " 'attemptTimeout': '12s', 'breaker': {'maxHalfOpenTime': '11.9s'}}]",
         "!methodConfig[0].breaker.maxHalfOpenTime"},
        {"a method behind that of all",
         "'breaker': {'maxHalfOpenTime': '9s'}, 'methodConfig':"
         " [{'name': [{'service': 'S'}], 'attemptTimeout': '12s'}]",
         "!breaker.maxHalfOpenTime"},
        {"a target's",
         "'targets': [{'name': 'S', 'breaker':"
         " {'maxHalfOpenTime': '8.9s'}}]",
         "!targets[0].breaker.maxHalfOpenTime"},
    };
    static const struct frame frame = {"{'attemptTimeout': '9s', ", "}", ""};

    (void)state;
    RUN_VECTORS(vectors, &frame);
}

/* ---- What the check says --------------------------------------------------
 */

static void
the_check_says_what_each_breaker_means(void **state)
{
    static const char text[] =
        "{'attemptTimeout': '1s', 'breaker': {'slowRate': 0.335,"
        " 'slowCall': '0.5s', 'mode': 'metricsOnly'}, 'targets': ["
        "  {'name': 'A', 'breaker': {'mode': 'disabled'}},"
        "  {'name': 'B', 'breaker': {'failureThreshold': 1}},"
        "  {'name': 'C', 'breaker': {'failureRate': 0, 'slowRate': 1,"
        "   'slowCall': '0.5s', 'consecutiveFailures': 7}}],"
        " 'instanceBreaker': {}}";
    static const char table[] =
        "target                breaker\n"
        "all others            would open at 50 % failures or at 33.5 % slower "
        "than 0.5s of at least 20 calls in 30s, for 5s to 300s\n"
        "A                     disabled\n"
        "B                     opens after 1 failure in a row, for 60s to "
        "300s\n"
        "C                     opens at 100 % slower than 0.5s of at least 20 "
        "calls in 30s or after 7 failures in a row, for 5s to 300s\n"
        "each worker instance  opens at 50 % failures of at least 20 calls in "
        "30s or after 5 failures in a row, for 5s to 300s\n";
    struct loaded loaded;

    (void)state;
    load_text(&loaded, text);
    assert_int_equal(loaded.status, REDIAL_OK);
    struct lint *lint = lint_create(loaded.config);

    assert_non_null(lint);
    bytes_clear(&loaded.text);
    lint_print(lint, &loaded.text);
    assert_true(bytes_append_byte(&loaded.text, 0));
    if (strstr((const char *)loaded.text.at, table) == NULL) {
        fail_msg("%s", (const char *)loaded.text.at);
    }
    bytes_clear(&loaded.text);
    lint_print_json(lint, &loaded.report, &loaded.text);
    assert_true(bytes_append_byte(&loaded.text, 0));
    assert_non_null(
        strstr((const char *)loaded.text.at, "\"breakerMeans\": \"disabled\""));
    assert_non_null(strstr((const char *)loaded.text.at,
                           "  \"instanceBreakerMeans\": \"opens at"));
    lint_free(lint);
    loaded_fini(&loaded);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_breaker_of_all_targets_is_checked_at_its_limits),
        cmocka_unit_test(a_breaker_of_a_method_is_checked_at_its_limits),
        cmocka_unit_test(a_breaker_of_instances_is_checked_at_its_limits),
        cmocka_unit_test(without_a_word_there_is_no_breaker),
        cmocka_unit_test(an_empty_object_takes_every_default),
        cmocka_unit_test(every_field_reaches_the_policy),
        cmocka_unit_test(the_short_form_counts_failures_in_a_row_alone),
        cmocka_unit_test(the_breaker_of_the_top_is_that_of_every_target),
        cmocka_unit_test(two_breakers_of_one_target_must_agree),
        cmocka_unit_test(a_trial_outlasts_the_attempts_behind_the_breaker),
        cmocka_unit_test(a_trial_shorter_than_an_attempt_is_refused),
        cmocka_unit_test(the_check_says_what_each_breaker_means),
    };

    return cmocka_run_group_tests(tests, NULL, folder_fini);
}
