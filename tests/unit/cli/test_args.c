/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/args.h"
#include "client/cli/verb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WORDS_MAX 16

static struct args args;

/* Splits a line at single spaces and parses it. */
static bool
parse(const char *line)
{
    static char copy[512];
    char *argv[WORDS_MAX] = {NULL};
    int argc = 1;

    args_fini(&args);
    (void)strncpy(copy, line, sizeof(copy) - 1);
    for (char *at = copy; at != NULL && argc < WORDS_MAX; argc++) {
        argv[argc] = at;
        at = strchr(at, ' ');
        if (at != NULL) {
            *at++ = '\0';
        }
    }
    return args_parse(&args, argc, argv);
}

static void
refused(const char *line, const char *why)
{
    assert_false(parse(line));
    if (strcmp(args.error, why) != 0) {
        print_error("%s: got \"%s\"\n", line, args.error);
    }
    assert_string_equal(args.error, why);
}

static int
teardown(void **state)
{
    (void)state;
    args_fini(&args);
    return 0;
}

static void
options_and_words_come_in_any_order(void **state)
{
    (void)state;
    assert_true(parse("--json submit a.B/C -d hello --priority=9 -c story"));
    assert_string_equal(args.verb->name, "submit");
    assert_int_equal(args.word_count, 1);
    assert_string_equal(args.words[0], "a.B/C");
    assert_true(args_has(&args, OPTION_JSON));
    assert_false(args_has(&args, OPTION_VERBOSE));
    assert_string_equal(args_get(&args, OPTION_DATA), "hello");
    assert_string_equal(args_get(&args, OPTION_CORRELATION_ID), "story");
    assert_int_equal(args_number(&args, OPTION_PRIORITY, 5), 9);
    assert_int_equal(args_number(&args, OPTION_MAX_ATTEMPTS, 3), 3);
    assert_null(args_get(&args, OPTION_KEY));
}

static void
short_options_may_stand_together(void **state)
{
    (void)state;
    assert_true(parse("await -jv -t1.5s -k one -k two"));
    assert_true(args_has(&args, OPTION_JSON));
    assert_true(args_has(&args, OPTION_VERBOSE));
    assert_int_equal(args_number(&args, OPTION_TIMEOUT, 0), 1500);
    assert_int_equal(args_count(&args, OPTION_KEYS), 2);
    assert_string_equal(args_nth(&args, OPTION_KEYS, 0), "one");
    assert_string_equal(args_nth(&args, OPTION_KEYS, 1), "two");
    assert_null(args_nth(&args, OPTION_KEYS, 2));
}

static void
a_double_dash_ends_the_options(void **state)
{
    (void)state;
    assert_true(parse("watch -- --json"));
    assert_string_equal(args.words[0], "--json");
    assert_false(args_has(&args, OPTION_JSON));
}

static void
a_single_dash_is_a_word(void **state)
{
    (void)state;
    assert_true(parse("submit a/b -"));
    assert_int_equal(args.word_count, 2);
    assert_string_equal(args.words[1], "-");
}

static void
values_may_be_anything_even_options(void **state)
{
    (void)state;
    assert_true(parse("submit a/b --data --json"));
    assert_string_equal(args_get(&args, OPTION_DATA), "--json");
    assert_false(args_has(&args, OPTION_JSON));
    assert_true(parse("submit a/b --data="));
    assert_string_equal(args_get(&args, OPTION_DATA), "");
}

static void
a_mistyped_name_is_answered_with_the_nearest(void **state)
{
    (void)state;
    refused("sumbit", "redial has no verb \"sumbit\"; did you mean submit?");
    refused("frobnicate", "redial has no verb \"frobnicate\"");
    refused("submit a/b --priorty 3",
            "redial submit has no option --priorty; did you mean --priority?");
    refused("submit a/b --prio=3",
            "redial submit has no option --prio; did you mean --priority?");
    refused("submit a/b --xyzzy", "redial submit has no option --xyzzy");
    refused("health -x", "redial health has no option -x");
    refused("--jsn", "redial has no option --jsn; did you mean --json?");
}

static void
options_of_other_verbs_are_refused(void **state)
{
    (void)state;
    refused("health --data x", "redial health has no option --data");
    refused("submit a/b --why", "redial submit has no option --why");
}

static void
words_are_counted(void **state)
{
    (void)state;
    refused("submit", "something is missing: redial submit SERVICE/METHOD [-]");
    refused("health now", "\"now\" is too much: redial health ");
    refused("watch a b", "\"b\" is too much: redial watch CORRELATION-ID");
    assert_false(parse("--json"));
    assert_string_equal(args.error, "a verb is missing");
}

static void
values_are_checked_by_their_kind(void **state)
{
    (void)state;
    refused("call a/b --timeout 30",
            "--timeout: \"30\" has no unit; write it like 500ms, 2s, 1.5s, 3m "
            "or 1h");
    refused("call a/b --timeout 0s",
            "--timeout: 0s is not between 1 ms and 315360000 s");
    refused("call a/b --priority 10",
            "--priority: \"10\" is not a number from 0 to 9");
    refused("call a/b --idempotent maybe",
            "--idempotent: \"maybe\" is none of yes|no");
    refused("call a/b --meta novalue", "--meta: \"novalue\" is not KEY=VALUE");
    refused("call a/b --meta =x", "--meta: \"=x\" is not KEY=VALUE");
    assert_false(parse("call a/b --key="));
    assert_false(parse("list --state GONE"));
    assert_true(parse("list --state READY --state PARKED"));
}

static void
an_option_needs_its_value_once(void **state)
{
    (void)state;
    refused("call a/b --timeout", "--timeout needs a value: --timeout TIME");
    refused("call a/b -t", "--timeout needs a value: --timeout TIME");
    refused("call a/b -d x -d y", "--data is given twice");
    refused("health --json=yes", "--json takes no value");
}

static void
help_asks_for_nothing_else(void **state)
{
    (void)state;
    assert_true(parse("submit --help"));
    assert_string_equal(args.verb->name, "submit");
    assert_true(parse("-h"));
    assert_null(args.verb);
}

static void
words_of_a_list_are_found_whole(void **state)
{
    (void)state;
    assert_true(args_is_word("yes|no", "yes"));
    assert_true(args_is_word("yes|no", "no"));
    assert_false(args_is_word("yes|no", "ye"));
    assert_false(args_is_word("yes|no", "yes|no"));
    assert_false(args_is_word("yes|no", ""));
}

static void
every_verb_knows_its_options_by_one_name(void **state)
{
    (void)state;
    for (size_t v = 0; v < verb_count; v++) {
        uint64_t set = verbs[v].options | VERB_COMMON;

        for (size_t i = 0; i < OPTION_COUNT; i++) {
            for (size_t k = 0; k < i; k++) {
                if ((set >> i & 1) == 0 || (set >> k & 1) == 0) {
                    continue;
                }
                assert_string_not_equal(option_rows[i].name,
                                        option_rows[k].name);
                assert_true(option_rows[i].letter == 0 ||
                            option_rows[i].letter != option_rows[k].letter);
            }
        }
    }
}

static void
some_verbs_have_two_words(void **state)
{
    (void)state;
    assert_true(parse("--json policy -v check fox.json"));
    assert_string_equal(args.verb->name, "policy check");
    assert_int_equal(args.word_count, 1);
    assert_string_equal(args.words[0], "fox.json");
    assert_true(args_has(&args, OPTION_VERBOSE));
    refused("policy", "redial policy needs one word more: check, explain, "
                      "simulate");
    refused("policy chek", "redial policy has no verb \"chek\"; did you mean "
                           "check?");
    refused("check", "redial has no verb \"check\"; did you mean policy "
                     "check?");
    refused("polcy check", "redial has no verb \"polcy\"; did you mean "
                           "policy?");
    refused("policy --code ABORTED explain", "redial has no option --code");
    assert_true(parse("policy --help"));
    assert_null(args.verb);
    assert_string_equal(args.group->name, "policy");
}

static void
two_words_in_one_are_no_verb(void **state)
{
    char tool[] = "redial";
    char verb[] = "policy check";
    char *argv[] = {tool, verb};

    (void)state;
    args_fini(&args);
    assert_false(args_parse(&args, 2, argv));
    assert_null(args.verb);
}

static void
a_code_that_is_none_is_refused_with_all_that_are(void **state)
{
    (void)state;
    assert_false(parse("policy explain a/b --code BROKEN"));
    assert_non_null(strstr(args.error, "--code: \"BROKEN\" is none of "
                                       "CANCELLED|UNKNOWN|"));
    assert_false(parse("policy explain a/b --code OK"));
    assert_false(parse("policy explain a/b --code unavailable"));
    assert_false(parse("policy explain a/b --code ABORTED --attempt 0"));
    assert_false(parse("policy explain a/b --code ABORTED --deadline soon"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_and_words_come_in_any_order),
        cmocka_unit_test(short_options_may_stand_together),
        cmocka_unit_test(a_double_dash_ends_the_options),
        cmocka_unit_test(a_single_dash_is_a_word),
        cmocka_unit_test(values_may_be_anything_even_options),
        cmocka_unit_test(a_mistyped_name_is_answered_with_the_nearest),
        cmocka_unit_test(options_of_other_verbs_are_refused),
        cmocka_unit_test(words_are_counted),
        cmocka_unit_test(values_are_checked_by_their_kind),
        cmocka_unit_test(an_option_needs_its_value_once),
        cmocka_unit_test(help_asks_for_nothing_else),
        cmocka_unit_test(words_of_a_list_are_found_whole),
        cmocka_unit_test(every_verb_knows_its_options_by_one_name),
        cmocka_unit_test(some_verbs_have_two_words),
        cmocka_unit_test(two_words_in_one_are_no_verb),
        cmocka_unit_test(a_code_that_is_none_is_refused_with_all_that_are),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
