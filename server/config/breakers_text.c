/* SPDX-License-Identifier: Apache-2.0 */
/* Breakers as text: for files, and for people in one line. */
#include "server/config/breakers.h"
#include "server/config/value.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *
name_of(enum field field)
{
    return field_table[field].name;
}

/* ---- As the configuration writes it ---------------------------------------
 */

static void
print_thousandths(struct json_out *json, enum field field, uint32_t number)
{
    char text[VALUE_TEXT_BYTES];

    value_number_print((double)number / 1000, text);
    json_key(json, name_of(field));
    json_text_raw(json->out, text, strlen(text));
}

static void
print_number(struct json_out *json, enum field field, uint32_t number)
{
    if (field_table[field].kind == FIELD_KIND_INTEGER) {
        json_u64(json, name_of(field), number);
    } else if (field_table[field].kind == FIELD_KIND_DURATION) {
        json_duration(json, name_of(field), number);
    } else {
        print_thousandths(json, field, number);
    }
}

static void
print_rules(struct json_out *json, const struct breaker_policy *policy,
            uint32_t failure_codes)
{
    json_string(json, name_of(FIELD_BREAKER_MODE),
                policy->disabled       ? "disabled"
                : policy->metrics_only ? "metricsOnly"
                                       : "on");
    for (size_t i = 0; i < BREAKER_FIELD_COUNT; i++) {
        const struct breaker_field *field = &breaker_fields[i];

        if (field->field != FIELD_BREAKER_SLOW_CALL || policy->slow_ms > 0) {
            print_number(json, field->field, breaker_number(policy, field));
        }
    }
    json_key(json, name_of(FIELD_BREAKER_FAILURE_CODES));
    json_text_codes(json->out, failure_codes);
}

void
breaker_print_target(struct json_out *json, const struct target_policy *policy)
{
    if (!policy->has_breaker) {
        return;
    }
    json_open(json, name_of(FIELD_ROOT_BREAKER), '{');
    print_rules(json, &policy->breaker, policy->failure_codes);
    json_u64(json, name_of(FIELD_BREAKER_PARKED_MAX), policy->parked_max);
    json_close(json, '}');
}

void
breaker_print_instances(struct json_out *json,
                        const struct instance_policy *policy)
{
    if (!policy->has_breaker) {
        return;
    }
    json_open(json, name_of(FIELD_ROOT_INSTANCE_BREAKER), '{');
    print_rules(json, &policy->breaker, policy->failure_codes);
    print_thousandths(json, FIELD_BREAKER_MAX_EJECTED,
                      policy->ejected_permille);
    json_close(json, '}');
}

/* ---- For people -----------------------------------------------------------
 */

static void
append(char text[BREAKER_TEXT_BYTES], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
append(char text[BREAKER_TEXT_BYTES], const char *format, ...)
{
    size_t len = strlen(text);
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text + len, BREAKER_TEXT_BYTES - len, format, arguments);
    va_end(arguments);
}

/* "50 % failures or 30 % slower than 3s of at least 20 calls in 30s" */
static void
describe_rates(const struct breaker_policy *policy,
               char text[BREAKER_TEXT_BYTES])
{
    char words[VALUE_TEXT_BYTES];

    if (policy->failure_permille > 0) {
        append(text, " at %g %% failures",
               (double)policy->failure_permille / 10);
    }
    if (policy->slow_permille > 0) {
        value_duration_print(policy->slow_ms, words);
        append(text, "%s at %g %% slower than %s",
               policy->failure_permille > 0 ? " or" : "",
               (double)policy->slow_permille / 10, words);
    }
    value_duration_print(policy->window_ms, words);
    append(text, " of at least %u calls in %s", (unsigned)policy->calls_min,
           words);
}

void
breaker_describe(const struct breaker_policy *policy,
                 char text[BREAKER_TEXT_BYTES])
{
    bool rates = policy->failure_permille > 0 || policy->slow_permille > 0;
    char from[VALUE_TEXT_BYTES];
    char to[VALUE_TEXT_BYTES];

    text[0] = '\0';
    if (policy->disabled) {
        append(text, "disabled");
        return;
    }
    append(text, "%s", policy->metrics_only ? "would open" : "opens");
    if (rates) {
        describe_rates(policy, text);
    }
    if (policy->consecutive > 0) {
        append(text, "%s after %u failure%s in a row", rates ? " or" : "",
               (unsigned)policy->consecutive,
               policy->consecutive == 1 ? "" : "s");
    }
    value_duration_print(policy->open_ms, from);
    value_duration_print(policy->open_ms_max, to);
    if (policy->multiplier_milli > 1000 &&
        policy->open_ms_max > policy->open_ms) {
        append(text, ", for %s to %s", from, to);
    } else {
        append(text, ", for %s", from);
    }
}
