/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/explain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* 2026-01-31T23:59:59Z. */
#define NOW INT64_C(1769903999000)

static struct text text;
static Redial__V1__ExplainRequest request;
static Redial__V1__ExplainResponse answer;
static Redial__V1__Decision decision;
static Redial__V1__ExplainStep steps[3];
static Redial__V1__ExplainStep *step_list[3];

static char *
unconst(const char *string)
{
    return (char *)(uintptr_t)string;
}

static void
fill_step(size_t i, const char *name, const char *verdict, const char *words)
{
    redial__v1__explain_step__init(&steps[i]);
    steps[i].number = (uint32_t)i + 1;
    steps[i].name = unconst(name);
    steps[i].verdict = unconst(verdict);
    steps[i].text = unconst(words);
    step_list[i] = &steps[i];
}

static int
setup(void **state)
{
    (void)state;
    text_clear(&text);
    text.colour = false;
    redial__v1__explain_request__init(&request);
    redial__v1__explain_response__init(&answer);
    redial__v1__decision__init(&decision);
    decision.rule = unconst("RETRY_PLANNED");
    decision.has_delay_ms = true;
    decision.delay_ms = 1200;
    decision.delay_source = unconst("backoff");
    decision.has_backoff_ms = true;
    decision.backoff_ms = 1200;
    decision.has_until_wall_ms = true;
    decision.until_wall_ms = NOW + 1200;
    decision.has_attempts_charged = true;
    decision.attempts_charged = 2;
    decision.has_attempts_left = true;
    decision.attempts_left = 3;
    answer.decision = &decision;
    answer.has_delay_ms_min = true;
    answer.delay_ms_min = 960;
    answer.has_delay_ms_max = true;
    answer.delay_ms_max = 1440;
    fill_step(0, "overloaded", "passes", "the worker did not say so");
    fill_step(1, "code", "ends here", "ABORTED is not in the list");
    fill_step(2, "throttle", "not asked", NULL);
    answer.steps = step_list;
    answer.n_steps = 3;
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    text_fini(&text);
    return 0;
}

static const char *
explained(size_t columns)
{
    struct explain_options options = {.now_ms = NOW, .columns = columns};

    text_clear(&text);
    explain_add(&text, &request, &answer, &options);
    return text_string(&text);
}

static void
the_decision_comes_first_then_each_step(void **state)
{
    (void)state;
    answer.sentence = unconst("retries in 960 ms to 1.44 s");
    assert_string_equal(
        explained(0),
        "RETRY_PLANNED: retries in 960 ms to 1.44 s\n"
        "  delay     960 to 1440 ms, as chance draws; backoff 1200 ms before "
        "jitter\n"
        "  next try  2026-01-31T23:59:59.960Z to 2026-02-01T00:00:00.440Z\n"
        "  attempts  2 charged, 0 free, 3 left\n"
        "\n"
        "  1  overloaded  passes     the worker did not say so\n"
        "  2  code        ends here  ABORTED is not in the list\n"
        "  3  throttle    not asked\n");
}

static void
without_chance_there_is_one_delay(void **state)
{
    (void)state;
    answer.delay_ms_min = 5000;
    answer.delay_ms_max = 5000;
    decision.delay_ms = 5000;
    decision.delay_source = unconst("pushback");
    decision.has_until_wall_ms = false;
    assert_non_null(strstr(explained(0), "  delay     5000 ms = pushback of "
                                         "the worker\n"));
}

static void
the_rule_has_words_where_the_gateway_gives_none(void **state)
{
    (void)state;
    assert_int_equal(
        strncmp(explained(0), "RETRY_PLANNED: the failure is retryable", 39),
        0);
    decision.rule = unconst("MOON_PHASE");
    assert_int_equal(strncmp(explained(0), "MOON_PHASE\n", 11), 0);
    answer.decision = NULL;
    answer.n_steps = 0;
    answer.sentence = unconst("who\nknows");
    assert_string_equal(explained(0), "who knows\n");
}

static void
the_rule_is_not_said_twice(void **state)
{
    (void)state;
    decision.rule = unconst("THROTTLED");
    answer.sentence = unconst("no retry (THROTTLED): used up (for now)");
    assert_int_equal(
        strncmp(explained(0), "THROTTLED: no retry: used up (for now)\n", 39),
        0);
}

static void
steps_behind_the_end_are_one_line(void **state)
{
    Redial__V1__ExplainStep rest[3];
    Redial__V1__ExplainStep *all[] = {&steps[0], &steps[1], &rest[0], &rest[1],
                                      &rest[2]};
    struct explain_options options = {.verbose = true};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        rest[i] = steps[2];
        rest[i].text = unconst("an earlier step has ended it");
    }
    rest[1].name = unconst("budget");
    rest[2].name = unconst("retry");
    answer.steps = all;
    answer.n_steps = 5;
    assert_non_null(strstr(explained(0),
                           "  2  code        ends here  ABORTED is not in the "
                           "list\n"
                           "     3 more      not asked  throttle, budget, "
                           "retry\n"));
    text_clear(&text);
    explain_add(&text, &request, &answer, &options);
    assert_non_null(strstr(text_string(&text),
                           "  3  retry       not asked  an earlier step has "
                           "ended it\n"));
    /* Those that say something of their own are shown. */
    rest[1].text = unconst("no budget");
    assert_null(strstr(explained(0), "more"));
}

static void
long_steps_are_broken_and_stay_in_their_column(void **state)
{
    (void)state;
    fill_step(1, "code", "ends here",
              "ABORTED is not among the codes of the policy");
    assert_non_null(strstr(explained(49),
                           "  2  code        ends here  ABORTED is not among\n"
                           "                            the codes of the\n"
                           "                            policy\n"));
    /* A terminal that is too narrow breaks by itself. */
    assert_non_null(strstr(explained(30), "codes of the policy\n"));
}

static void
colour_does_not_move_a_column(void **state)
{
    (void)state;
    text.colour = true;
    assert_non_null(strstr(explained(0),
                           "  1  overloaded  \033[32mpasses\033[0m     the "
                           "worker"));
    assert_non_null(strstr(explained(0),
                           "  2  code        \033[31mends here\033[0m  "
                           "ABORTED"));
    assert_non_null(strstr(explained(0), "\033[2mnot asked\033[0m\n"));
    assert_int_equal(strncmp(explained(0), "\033[32mRETRY_PLANNED", 18), 0);
    decision.rule = unconst("THROTTLED");
    assert_int_equal(strncmp(explained(0), "\033[31mTHROTTLED", 14), 0);
}

static void
figures_that_no_gateway_means_do_no_harm(void **state)
{
    (void)state;
    answer.delay_ms_max = UINT64_MAX;
    assert_null(strstr(explained(0), "next try"));
    answer.delay_ms_max = 0;
    decision.delay_ms = UINT64_MAX;
    decision.backoff_ms = UINT64_MAX;
    decision.has_jitter_permille = true;
    decision.jitter_permille = UINT32_MAX;
    decision.clamp = unconst("max_backoff");
    assert_non_null(strstr(explained(0), ", cut to maxBackoff"));
}

static void
words_of_a_gateway_do_no_harm_to_a_terminal(void **state)
{
    (void)state;
    fill_step(0, "a\033[2J", NULL, "b\033[2J");
    assert_non_null(strstr(explained(0), "  1  a?[2J     "));
    assert_null(strchr(explained(0), '\033'));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        TEST(the_decision_comes_first_then_each_step),
        TEST(without_chance_there_is_one_delay),
        TEST(the_rule_has_words_where_the_gateway_gives_none),
        TEST(the_rule_is_not_said_twice),
        TEST(steps_behind_the_end_are_one_line),
        TEST(long_steps_are_broken_and_stay_in_their_column),
        TEST(colour_does_not_move_a_column),
        TEST(figures_that_no_gateway_means_do_no_harm),
        TEST(words_of_a_gateway_do_no_harm_to_a_terminal),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
