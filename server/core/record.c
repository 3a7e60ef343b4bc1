/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/record.h"

#include "server/base/check.h"

#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Indexed by number; numbers that no row has are NULL. */
static const char *const event_names[] = {
#define EVENT(name, number, string, about_job) [number] = (string),
#include "server/core/event.def"
#undef EVENT
};

static const bool event_about_job[] = {
#define EVENT(name, number, string, about_job) [number] = (about_job),
#include "server/core/event.def"
#undef EVENT
};

static const char *const rule_names[] = {
#define RULE(name, number, sentence) [number] = #name,
#include "server/core/rule.def"
#undef RULE
};

static const char *const rule_sentences[] = {
#define RULE(name, number, sentence) [number] = (sentence),
#include "server/core/rule.def"
#undef RULE
};

const char *
event_type_name(enum event_type type)
{
    redial_assert((size_t)type < COUNT_OF(event_names));
    redial_assert(event_names[type] != NULL);
    return event_names[type];
}

bool
event_type_from_name(struct text name, enum event_type *ret_type)
{
    for (size_t i = 0; i < COUNT_OF(event_names); i++) {
        const char *known = event_names[i];

        if (known != NULL && strlen(known) == name.len &&
            memcmp(known, name.at, name.len) == 0) {
            *ret_type = (enum event_type)i;
            return true;
        }
    }
    return false;
}

bool
event_type_is_about_job(enum event_type type)
{
    redial_assert((size_t)type < COUNT_OF(event_about_job));
    return event_about_job[type];
}

const char *
rule_name(enum rule rule)
{
    redial_assert((size_t)rule < COUNT_OF(rule_names));
    return rule_names[rule];
}

const char *
rule_sentence(enum rule rule)
{
    redial_assert((size_t)rule < COUNT_OF(rule_sentences));
    return rule_sentences[rule];
}

const char *
delay_source_name(enum delay_source source)
{
    switch (source) {
    case DELAY_NONE:
        return "none";
    case DELAY_BACKOFF:
        return "backoff";
    case DELAY_PUSHBACK:
        return "pushback";
    case DELAY_BREAKER:
        return "breaker";
    case DELAY_NOT_BEFORE:
        return "not_before";
    case DELAY_HEDGE:
        return "hedge";
    case DELAY_TARGET_PUSHBACK:
        return "target_pushback";
    }
    redial_unreachable();
}

const char *
clamp_name(enum clamp clamp)
{
    switch (clamp) {
    case CLAMP_NONE:
        return "none";
    case CLAMP_MAX_BACKOFF:
        return "max_backoff";
    case CLAMP_MAX_PUSHBACK:
        return "max_pushback";
    case CLAMP_ATTEMPTS_LIMIT:
        return "attempts_limit";
    }
    redial_unreachable();
}
