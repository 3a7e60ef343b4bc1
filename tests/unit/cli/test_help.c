/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Help comes from the tables; the manual and the installed completion must be
 * in step with them.
 */
#include "client/cli/exit.h"
#include "client/cli/help.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *
read_source(const char *path)
{
    const char *root = getenv("REDIAL_SOURCE_DIR");
    char name[4096];
    size_t size = 1 << 20;
    char *content = calloc(1, size);
    FILE *file;

    assert_non_null(root);
    assert_non_null(content);
    (void)snprintf(name, sizeof(name), "%s/%s", root, path);
    file = fopen(name, "re");
    assert_non_null(file);
    assert_true(fread(content, 1, size - 1, file) > 0);
    (void)fclose(file);
    return content;
}

/* The manual without the backslashes before its dashes. */
static char *
read_manual(void)
{
    char *manual = read_source("deploy/man/redial.1");
    char *to = manual;

    for (const char *from = manual; *from != '\0'; from++) {
        if (from[0] != '\\' || from[1] != '-') {
            *to++ = *from;
        }
    }
    *to = '\0';
    return manual;
}

static void
the_installed_completion_is_what_the_tool_prints(void **state)
{
    char *installed = read_source("deploy/completion/redial.bash");
    struct text text = {.at = NULL};

    (void)state;
    help_add_bash(&text);
    assert_string_equal(installed, text_string(&text));
    text_fini(&text);
    free(installed);
}

static void
the_manual_knows_every_verb_option_and_exit_code(void **state)
{
    char *manual = read_manual();
    char wanted[512];

    (void)state;
    for (size_t i = 0; i < verb_count; i++) {
        /* Two words in bold are quoted, beside words in italics. */
        const char *quote = strchr(verbs[i].name, ' ') != NULL &&
                                    verbs[i].words[0] != '\0'
                                ? "\""
                                : "";

        (void)snprintf(wanted, sizeof(wanted), "\n.B%s %s%s%s",
                       verbs[i].words[0] == '\0' ||
                               strcmp(verbs[i].name, "completion") == 0
                           ? ""
                           : "I",
                       quote, verbs[i].name, quote);
        if (strstr(manual, wanted) == NULL) {
            fail_msg("the manual has no verb %s", verbs[i].name);
        }
    }
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        (void)snprintf(wanted, sizeof(wanted), "--%s", option_rows[i].name);
        if (strstr(manual, wanted) == NULL) {
            fail_msg("the manual has no option %s", wanted);
        }
    }
    for (size_t i = 0; i < exit_meaning_count; i++) {
        (void)snprintf(wanted, sizeof(wanted), "\n.B %d\n%s\n",
                       (int)exit_meanings[i].code, exit_meanings[i].meaning);
        if (strstr(manual, wanted) == NULL) {
            fail_msg("the manual has no exit code%s", wanted);
        }
    }
    free(manual);
}

static void
every_help_fits_into_80_columns(void **state)
{
    struct text text = {.at = NULL};
    const char *line;

    (void)state;
    help_add_overview(&text);
    for (size_t i = 0; i < verb_count; i++) {
        help_add_verb(&text, &verbs[i]);
    }
    line = text_string(&text);
    while (*line != '\0') {
        size_t len = strcspn(line, "\n");

        if (len > 79) {
            fail_msg("too long: %.*s", (int)len, line);
        }
        line += len + 1;
    }
    text_clear(&text);
    for (size_t i = 0; i < verb_group_count; i++) {
        help_add_group(&text, &verb_groups[i]);
        assert_non_null(strstr(text_string(&text), verb_groups[i].summary));
    }
    text_fini(&text);
}

static void
a_verb_explains_its_options_and_shows_examples(void **state)
{
    struct text text = {.at = NULL};

    (void)state;
    for (size_t i = 0; i < verb_count; i++) {
        text_clear(&text);
        help_add_verb(&text, &verbs[i]);
        assert_non_null(strstr(text_string(&text), "\nExamples:\n"));
        assert_non_null(strstr(text_string(&text), verbs[i].summary));
        for (size_t k = 0; k < OPTION_COUNT; k++) {
            char wanted[64];
            bool is_there;

            (void)snprintf(wanted, sizeof(wanted), " --%s%s",
                           option_rows[k].name,
                           option_rows[k].kind == KIND_FLAG ? "" : " ");
            is_there = strstr(text_string(&text), wanted) != NULL;
            assert_true(is_there || ((verbs[i].options >> k & 1) == 0 &&
                                     ((VERB_COMMON) >> k & 1) == 0));
        }
    }
    text_fini(&text);
}

static void
verbs_are_found_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < verb_count; i++) {
        assert_ptr_equal(verb_find(verbs[i].name), &verbs[i]);
        assert_true(verbs[i].run != NULL);
    }
    assert_null(verb_find("nothing"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_installed_completion_is_what_the_tool_prints),
        cmocka_unit_test(the_manual_knows_every_verb_option_and_exit_code),
        cmocka_unit_test(every_help_fits_into_80_columns),
        cmocka_unit_test(a_verb_explains_its_options_and_shows_examples),
        cmocka_unit_test(verbs_are_found_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
