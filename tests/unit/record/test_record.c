/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct text
text_of(const char *string)
{
    return (struct text){string, (uint32_t)strlen(string)};
}

static void
every_event_has_its_stable_name(void **state)
{
    (void)state;
#define EVENT(name, number, string, about_job)                    \
    assert_string_equal(event_type_name(EVENT_##name), (string)); \
    assert_int_equal(event_type_is_about_job(EVENT_##name), (about_job));
#include "server/core/event.def"
#undef EVENT
}

static void
every_name_finds_its_event(void **state)
{
    enum event_type type = EVENT_JOB_PARKED;

    (void)state;
#define EVENT(name, number, string, about_job)                 \
    assert_true(event_type_from_name(text_of(string), &type)); \
    assert_int_equal(type, EVENT_##name);
#include "server/core/event.def"
#undef EVENT
}

static void
an_unknown_name_finds_nothing(void **state)
{
    static const char *const wrong[] = {
        "", "job", "job.", "job.accepte", "job.acceptedx", "JOB.ACCEPTED",
    };
    enum event_type type = EVENT_JOB_PARKED;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(event_type_from_name(text_of(wrong[i]), &type));
    }
    assert_int_equal(type, EVENT_JOB_PARKED);
}

static void
every_rule_has_its_name_and_sentence(void **state)
{
    (void)state;
#define RULE(name, number, sentence)                    \
    assert_string_equal(rule_name(RULE_##name), #name); \
    assert_string_equal(rule_sentence(RULE_##name), (sentence));
#include "server/core/rule.def"
#undef RULE
}

static void
sources_and_clamps_have_names(void **state)
{
    (void)state;
    assert_string_equal(delay_source_name(DELAY_NONE), "none");
    assert_string_equal(delay_source_name(DELAY_BACKOFF), "backoff");
    assert_string_equal(delay_source_name(DELAY_PUSHBACK), "pushback");
    assert_string_equal(delay_source_name(DELAY_BREAKER), "breaker");
    assert_string_equal(delay_source_name(DELAY_NOT_BEFORE), "not_before");
    assert_string_equal(delay_source_name(DELAY_HEDGE), "hedge");
    assert_string_equal(delay_source_name(DELAY_TARGET_PUSHBACK),
                        "target_pushback");
    assert_string_equal(clamp_name(CLAMP_NONE), "none");
    assert_string_equal(clamp_name(CLAMP_MAX_BACKOFF), "max_backoff");
    assert_string_equal(clamp_name(CLAMP_MAX_PUSHBACK), "max_pushback");
    assert_string_equal(clamp_name(CLAMP_ATTEMPTS_LIMIT), "attempts_limit");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_has_its_stable_name),
        cmocka_unit_test(every_name_finds_its_event),
        cmocka_unit_test(an_unknown_name_finds_nothing),
        cmocka_unit_test(every_rule_has_its_name_and_sentence),
        cmocka_unit_test(sources_and_clamps_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
