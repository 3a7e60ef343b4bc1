/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/breakers.h"

#include "server/base/check.h"
#include "server/config/report.h"
#include "server/config/value.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum {
    MODE_ON = 0,
    MODE_METRICS_ONLY = 1,
    MODE_DISABLED = 2,
    SHORT_OPEN_MS = 60000,
    INSTANCE_CONSECUTIVE = 5,
    EJECTED_PERMILLE = 500,
};

#define MEMBER(field_, member, initial_)                                 \
    {                                                                    \
        FIELD_BREAKER_##field_, offsetof(struct breaker_policy, member), \
            initial_                                                     \
    }

const struct breaker_field breaker_fields[BREAKER_FIELD_COUNT] = {
    MEMBER(WINDOW, window_ms, 30000),
    MEMBER(MINIMUM_CALLS, calls_min, 20),
    MEMBER(FAILURE_RATE, failure_permille, 500),
    MEMBER(SLOW_RATE, slow_permille, 0),
    MEMBER(SLOW_CALL, slow_ms, 0),
    MEMBER(CONSECUTIVE_FAILURES, consecutive, 0),
    MEMBER(OPEN_TIME, open_ms, 5000),
    MEMBER(MAX_OPEN_TIME, open_ms_max, 300000),
    MEMBER(OPEN_TIME_MULTIPLIER, multiplier_milli, 2000),
    MEMBER(JITTER, jitter_permille, 200),
    MEMBER(PROBES, probes, 1),
    MEMBER(PROBES_NEEDED, probes_needed, 3),
    MEMBER(PROBE_FAILURES, probe_failures, 0),
    MEMBER(MAX_HALF_OPEN_TIME, trial_ms, 60000),
    MEMBER(RAMP_TIME, ramp_ms, 10000),
    MEMBER(RAMP_FROM, ramp_permille, 100),
    MEMBER(DECAY_TIME, decay_ms, 30000),
    MEMBER(MAX_HINT, hint_ms_max, 0),
};

static const uint32_t failure_codes_initial = 1u << REDIAL_UNKNOWN |
                                              1u << REDIAL_DEADLINE_EXCEEDED |
                                              1u << REDIAL_ABORTED |
                                              1u << REDIAL_INTERNAL |
                                              1u << REDIAL_UNAVAILABLE |
                                              1u << REDIAL_DATA_LOSS;

/* Of these the core never asks the policy. */
static const uint32_t neutral_codes = 1u << REDIAL_CANCELLED |
                                      1u << REDIAL_RESOURCE_EXHAUSTED;

/* ---- Numbers --------------------------------------------------------------
 */

static uint32_t *
number_at(struct breaker_policy *policy, const struct breaker_field *field)
{
    return (uint32_t *)(void *)((char *)policy + field->offset);
}

uint32_t
breaker_number(const struct breaker_policy *policy,
               const struct breaker_field *field)
{
    return *(const uint32_t *)(const void *)((const char *)policy +
                                             field->offset);
}

static void
set_initial(struct breaker_policy *policy)
{
    *policy = (struct breaker_policy){0};
    for (size_t i = 0; i < BREAKER_FIELD_COUNT; i++) {
        *number_at(policy, &breaker_fields[i]) = breaker_fields[i].initial;
    }
}

static bool
same_rules(const struct breaker_policy *a, const struct breaker_policy *b)
{
    for (size_t i = 0; i < BREAKER_FIELD_COUNT; i++) {
        if (breaker_number(a, &breaker_fields[i]) !=
            breaker_number(b, &breaker_fields[i])) {
            return false;
        }
    }
    return a->metrics_only == b->metrics_only && a->disabled == b->disabled;
}

bool
breaker_equal(const struct target_policy *a, const struct target_policy *b)
{
    return a->has_breaker == b->has_breaker &&
           a->failure_codes == b->failure_codes &&
           a->parked_max == b->parked_max &&
           same_rules(&a->breaker, &b->breaker);
}

void
breaker_copy(struct target_policy *target, const struct target_policy *from)
{
    target->has_breaker = from->has_breaker;
    target->breaker = from->breaker;
    target->failure_codes = from->failure_codes;
    target->parked_max = from->parked_max;
}

/* ---- Reading --------------------------------------------------------------
 */

/* A breaker while it is read. */
struct reading {
    struct config_report *report;
    const struct spot *spot;
    struct fields fields;
    struct breaker_policy policy;
    uint32_t failure_codes;
};

static struct spot
spot_of(const struct reading *reading, enum field field)
{
    return field_spot(reading->spot, &reading->fields, field);
}

static bool
is_given(const struct reading *reading, enum field field)
{
    return reading->fields.at[field] != NULL;
}

static void
read_number(struct reading *reading, const struct breaker_field *field)
{
    uint32_t *number = number_at(&reading->policy, field);
    uint64_t ms;

    switch (field_table[field->field].kind) {
    case FIELD_KIND_INTEGER:
        (void)field_integer(reading->report, reading->spot, &reading->fields,
                            field->field, number);
        return;
    case FIELD_KIND_THOUSANDTHS:
        (void)field_thousandths(reading->report, reading->spot,
                                &reading->fields, field->field, number);
        return;
    case FIELD_KIND_DURATION:
        if (field_duration(reading->report, reading->spot, &reading->fields,
                           field->field, &ms)) {
            *number = (uint32_t)ms;
        }
        return;
    case FIELD_KIND_STRING:
    case FIELD_KIND_NAME:
    case FIELD_KIND_TOKEN:
    case FIELD_KIND_PATH:
    case FIELD_KIND_NUMBER:
    case FIELD_KIND_BOOL:
    case FIELD_KIND_WORD:
    case FIELD_KIND_CODES:
    case FIELD_KIND_REASONS:
    case FIELD_KIND_RATE:
    case FIELD_KIND_OBJECT:
    case FIELD_KIND_ARRAY:
    case FIELD_KIND_ANY:
        break;
    }
    redial_unreachable();
}

/* failureThreshold: the rates are off, and what speaks of them is refused. */
static void
read_short_form(struct reading *reading)
{
    static const enum field others[] = {
        FIELD_BREAKER_WINDOW,       FIELD_BREAKER_MINIMUM_CALLS,
        FIELD_BREAKER_FAILURE_RATE, FIELD_BREAKER_SLOW_RATE,
        FIELD_BREAKER_SLOW_CALL,    FIELD_BREAKER_CONSECUTIVE_FAILURES,
    };

    if (!is_given(reading, FIELD_BREAKER_FAILURE_THRESHOLD)) {
        return;
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct spot spot = spot_of(reading, others[i]);

        if (spot.node != NULL) {
            report_error(reading->report, &spot,
                         "nothing beside failureThreshold, the short form");
        }
    }
    reading->policy.failure_permille = 0;
    reading->policy.slow_permille = 0;
    reading->policy.slow_ms = 0;
    (void)field_integer(reading->report, reading->spot, &reading->fields,
                        FIELD_BREAKER_FAILURE_THRESHOLD,
                        &reading->policy.consecutive);
    if (!is_given(reading, FIELD_BREAKER_OPEN_TIME)) {
        reading->policy.open_ms = SHORT_OPEN_MS;
    }
}

static void
read_mode_and_codes(struct reading *reading)
{
    uint32_t mode = MODE_ON;

    (void)field_word(reading->report, reading->spot, &reading->fields,
                     FIELD_BREAKER_MODE, &mode);
    reading->policy.metrics_only = mode == MODE_METRICS_ONLY;
    reading->policy.disabled = mode == MODE_DISABLED;
    reading->failure_codes = failure_codes_initial;
    if (field_codes(reading->report, reading->spot, &reading->fields,
                    FIELD_BREAKER_FAILURE_CODES, &reading->failure_codes) &&
        (reading->failure_codes & neutral_codes) != 0) {
        struct spot codes = spot_of(reading, FIELD_BREAKER_FAILURE_CODES);

        report_error(reading->report, &codes,
                     "neither CANCELLED nor RESOURCE_EXHAUSTED, which say "
                     "nothing of whether it works");
    }
}

/* What must hold between the rules. Without errors before. */
static void
check_rules(struct reading *reading)
{
    struct breaker_policy *policy = &reading->policy;
    struct spot slow_rate = spot_of(reading, FIELD_BREAKER_SLOW_RATE);
    struct spot slow_call = spot_of(reading, FIELD_BREAKER_SLOW_CALL);
    struct spot longest = spot_of(reading, FIELD_BREAKER_MAX_OPEN_TIME);

    if (policy->slow_permille > 0 && slow_call.node == NULL) {
        report_error(reading->report, &slow_rate,
                     "slowCall beside it: what is slow");
    }
    if (policy->slow_permille == 0 && slow_call.node != NULL) {
        report_warning(reading->report, &slow_call,
                       "has no effect without slowRate");
        policy->slow_ms = 0;
    }
    if (policy->failure_permille == 0 && policy->slow_permille == 0 &&
        policy->consecutive == 0) {
        report_error(reading->report, reading->spot,
                     "at least one of failureRate, slowRate and "
                     "consecutiveFailures above 0: it could never open");
    }
    if (policy->open_ms_max < policy->open_ms) {
        if (longest.node != NULL) {
            report_error(reading->report, &longest, "at least openTime");
        }
        policy->open_ms_max = policy->open_ms;
    }
}

/* False: errors, which are reported. */
static bool
read_breaker(struct reading *reading)
{
    size_t errors = reading->report->errors;

    for (size_t i = 0; i < BREAKER_FIELD_COUNT; i++) {
        read_number(reading, &breaker_fields[i]);
    }
    read_mode_and_codes(reading);
    read_short_form(reading);
    if (reading->report->errors == errors) {
        check_rules(reading);
    }
    return reading->report->errors == errors;
}

static void
refuse(const struct reading *reading, enum field field, const char *allowed)
{
    struct spot spot = spot_of(reading, field);

    if (spot.node != NULL) {
        report_error(reading->report, &spot, "%s", allowed);
    }
}

static struct place
place_of_trial(struct loader *loader, const struct reading *reading)
{
    struct spot spot = spot_of(reading, FIELD_BREAKER_MAX_HALF_OPEN_TIME);

    if (spot.node == NULL) {
        return (struct place){.path = NULL};
    }
    return loader_place(loader, &spot);
}

bool
breaker_read_target(struct loader *loader, const struct spot *spot,
                    struct target_policy *policy, struct place *ret_trial)
{
    struct reading reading = {.report = loader->report, .spot = spot};
    size_t errors = loader->report->errors;
    uint32_t parked_max = 0;

    if (!object_read(loader->report, spot, OBJECT_BREAKER, &reading.fields)) {
        return false;
    }
    set_initial(&reading.policy);
    (void)read_breaker(&reading);
    (void)field_integer(loader->report, spot, &reading.fields,
                        FIELD_BREAKER_PARKED_MAX, &parked_max);
    refuse(&reading, FIELD_BREAKER_MAX_EJECTED,
           "nothing: only instanceBreaker has it");
    *ret_trial = place_of_trial(loader, &reading);
    policy->has_breaker = loader->report->errors == errors;
    policy->breaker = reading.policy;
    policy->failure_codes = reading.failure_codes;
    policy->parked_max = parked_max;
    return policy->has_breaker;
}

void
breaker_read_instances(struct loader *loader, const struct spot *spot)
{
    struct instance_policy *policy = &loader->config->policy.instances;
    struct reading reading = {.report = loader->report, .spot = spot};
    size_t errors = loader->report->errors;
    uint32_t ejected_permille = EJECTED_PERMILLE;

    if (!object_read(loader->report, spot, OBJECT_BREAKER, &reading.fields)) {
        return;
    }
    set_initial(&reading.policy);
    reading.policy.consecutive = INSTANCE_CONSECUTIVE;
    (void)read_breaker(&reading);
    (void)field_thousandths(loader->report, spot, &reading.fields,
                            FIELD_BREAKER_MAX_EJECTED, &ejected_permille);
    refuse(&reading, FIELD_BREAKER_PARKED_MAX,
           "nothing: jobs wait behind the breaker of a target");
    loader->instance_trial = place_of_trial(loader, &reading);
    *policy = (struct instance_policy){
        .has_breaker = loader->report->errors == errors,
        .breaker = reading.policy,
        .failure_codes = reading.failure_codes,
        .ejected_permille = ejected_permille,
    };
}

/* ---- Trials ---------------------------------------------------------------
 */

/* Not given: at least `lease_ms`. Given: reported unless it is. */
static void
set_trial(struct loader *loader, struct breaker_policy *policy,
          const struct place *given, uint64_t lease_ms)
{
    char found[VALUE_TEXT_BYTES];
    char least[VALUE_TEXT_BYTES];
    char allowed[160];

    if (policy->trial_ms >= lease_ms) {
        return;
    }
    if (given->path == NULL) {
        policy->trial_ms = (uint32_t)lease_ms;
        return;
    }
    value_duration_print(policy->trial_ms, found);
    value_duration_print(lease_ms, least);
    (void)snprintf(allowed, sizeof(allowed),
                   "at least \"%s\", the longest attemptTimeout behind it: a "
                   "probe may take so long",
                   least);
    report_add(loader->report, &(struct config_issue){
                                   .severity = CONFIG_ERROR,
                                   .source = given->source,
                                   .line = given->line,
                                   .path = given->path,
                                   .found = found,
                                   .allowed = allowed,
                               });
}

static void
raise_to(uint64_t *most, uint64_t number)
{
    *most = number > *most ? number : *most;
}

/* The one with a breaker of its own that the method calls, or -1. */
static size_t
find_own(const struct policy_set *set, const struct target_rule *const *own,
         const struct method_policy *method)
{
    struct text name = method->target.len > 0 ? method->target
                                              : method->service;
    const struct target_policy *target = policy_find_target(set, name);

    if (target == &set->target_fallback) {
        return SIZE_MAX;
    }
    size_t index = (size_t)(target - set->targets);

    return own[index] == NULL ? SIZE_MAX : index;
}

void
breaker_set_trials(struct loader *loader, struct target_policy *targets,
                   const struct target_rule *const *own)
{
    struct policy_set *set = &loader->config->policy;
    uint64_t default_ms = set->fallback.attempt_timeout_ms;
    uint64_t top_ms = default_ms;
    uint64_t all_ms = default_ms;
    uint64_t *leases = config_arena_array(
        loader->config->arena, set->target_count + 1, sizeof(*leases));

    if (leases == NULL) {
        return;
    }
    for (size_t i = 0; i < set->method_count; i++) {
        const struct method_policy *method = &set->methods[i];
        size_t index = find_own(set, own, method);

        raise_to(index == SIZE_MAX ? &top_ms : &leases[index],
                 method->attempt_timeout_ms);
        raise_to(&all_ms, method->attempt_timeout_ms);
    }
    if (set->target_fallback.has_breaker) {
        set_trial(loader, &set->target_fallback.breaker, &loader->trial,
                  top_ms);
    }
    for (size_t i = 0; i < set->target_count; i++) {
        if (own[i] == NULL) {
            breaker_copy(&targets[i], &set->target_fallback);
        } else {
            set_trial(loader, &targets[i].breaker, &own[i]->trial,
                      leases[i] > 0 ? leases[i] : default_ms);
        }
    }
    if (set->instances.has_breaker) {
        set_trial(loader, &set->instances.breaker, &loader->instance_trial,
                  all_ms);
    }
}
