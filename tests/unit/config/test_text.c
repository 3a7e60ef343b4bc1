/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is JSON and what is not, where it stops, and in which line things are.
 */
#include "server/config/scan.h"
#include "tests/unit/config/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *text;
    const char *report;
} not_json[] = {
    {"", "1: error: column 1: nothing but space"},
    {" \n ", "1: error: column 1: nothing but space"},
    {"{'name': 'a'} 5", "1: error: column 15: text after the end"},
    {"{} {}", "1: error: column 4: text after the end"},
    {"{'name': 'a',}", "1: error: column 14: not JSON"},
    {"{'name' 'a'}", "1: error: column 9: not JSON"},
    {"{name: 'a'}", "1: error: column 2: not JSON"},
    {"{\n 'name': 'a'\n", "1: error: column 1: not closed"},
    {"{'a': [1, 2}", "1: error: column 12: the wrong closing bracket"},
    {"}", "1: error: column 1: closes nothing"},
    {"{\n\n  'log': 01}", "3: error: column 10: not a JSON number"},
    {"{'log': 0x10}", "1: error: column 9: not a JSON number"},
    {"{'log': 1.}", "1: error: column 9: not a JSON number"},
    {"{'log': .5}", "1: error: column 9: not JSON"},
    {"{'log': +5}", "1: error: column 9: not JSON"},
    {"{'log': -}", "1: error: column 9: not a JSON number"},
    {"{'log': 1.5.5}", "1: error: column 9: not a JSON number"},
    {"{'log': 1-2}", "1: error: column 9: not a JSON number"},
    {"{'log': 12e}", "1: error: column 9: not a JSON number"},
    {"{'log': 1e+}", "1: error: column 9: not a JSON number"},
    {"{'log': NaN}", "1: error: column 9: not JSON"},
    {"{'log': tru}", "1: error: column 9: not JSON"},
    {"{'log': True}", "1: error: column 9: not JSON"},
    {"{'log': truely}", "1: error: column 9: not JSON"},
    {"{} // why", "1: error: column 4: JSON has no comments"},
    {"# why\n{}", "1: error: column 1: JSON has no comments"},
    {"{'name': 'a", "1: error: column 10: a string without its closing "
                    "quote"},
    {"{'name': 'a\tb'}", "1: error: column 12: a control character inside "
                         "a string"},
    {"{'name': 'a\nb'}", "1: error: column 12: a control character inside "
                         "a string"},
    {"{'name': '\\x'}", "1: error: column 12: no such escape"},
    {"{'name': '\\u12g4'}", "1: error: column 12: \\u takes four "
                            "hexadecimal digits"},
    {"{'name': '\\u0000'}", "1: error: column 12: the character NUL is not "
                            "allowed"},
    {"{'name': '\\ud800'}", "1: error: column 11: not JSON"},
    {"{'name': '\xff'}", "1: error: column 11: not valid UTF-8"},
    {"{'name': '\xc0\x80'}", "1: error: column 11: not valid UTF-8"},
    {"{'name': '\xed\xa0\x80'}", "1: error: column 11: not valid UTF-8"},
    {"{'name': '\xf4\x90\x80\x80'}", "1: error: column 11: not valid UTF-8"},
    {"{'name': '\xe2\x82'}", "1: error: column 11: not valid UTF-8"},
    {"{'\xff': 1}", "1: error: column 3: not valid UTF-8"},
    {"\xef\xbb\xbf{}", "1: error: column 1: a byte order mark; save "
                       "without one"},
    {"{\f}", "1: error: column 2: not JSON"},
};

static void
what_is_not_json_is_refused_with_its_place(void **state)
{
    int failed = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(not_json) / sizeof(not_json[0]); i++) {
        struct loaded loaded;
        char expected[256];

        load_text(&loaded, not_json[i].text);
        (void)snprintf(expected, sizeof(expected), "redial.json:%s\n",
                       not_json[i].report);
        if (strcmp(loaded_report(&loaded), expected) != 0) {
            print_error("%s: expected %sgot %s", not_json[i].text, expected,
                        loaded_report(&loaded));
            failed++;
        }
        assert_int_equal(loaded.status, REDIAL_INVALID_ARGUMENT);
        loaded_fini(&loaded);
    }
    assert_int_equal(failed, 0);
}

static void
what_is_json_is_taken(void **state)
{
    static const char *const texts[] = {
        "{}",
        " \t\r\n{ } \n",
        "{'name': '\\u00e9\\n\\\\'}",
        "{'name': '\xf4\x8f\xbf\xbf \xe2\x82\xac \xc3\xa9'}",
        "{'name': '\\ud83d\\ude00'}",
        "{'a': [-0, 0.5, 1e9, 1E-9, 1.25e+3, -9007199254740992]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char text[256];
        struct scan scan;
        size_t len = strlen(texts[i]);

        memcpy(text, texts[i], len + 1);
        for (char *at = text; *at != '\0'; at++) {
            *at = *at == '\'' ? '"' : *at;
        }
        assert_true(scan_text(&scan, text, len));
        free(scan.values);
    }
}

/* Every prefix of a text ends at a page that cannot be read. */
static void
a_cut_text_is_never_read_beyond(void **state)
{
    static const char text[] =
        "{\"a\": [1, 2.5e3, true, \"x\\u00e9\xe2\x82\xac\", {\"b\": null}]}";

    (void)state;
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        char *copy = malloc(len > 0 ? len : 1);
        struct scan scan;

        assert_non_null(copy);
        memcpy(copy, text, len);
        assert_true(!scan_text(&scan, copy, len) || len == 0);
        free(scan.values);
        free(copy);
    }
}

static void
nesting_is_bounded(void **state)
{
    char text[2 * SCAN_DEPTH_MAX + 16];

    (void)state;
    for (size_t depth = SCAN_DEPTH_MAX; depth <= SCAN_DEPTH_MAX + 1; depth++) {
        struct loaded loaded;
        bool deep;

        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        text[2 * depth] = '\0';
        load_text(&loaded, text);
        assert_int_equal(loaded.status, REDIAL_INVALID_ARGUMENT);
        deep = strstr(loaded_report(&loaded), "nested too deeply") != NULL;
        assert_int_equal(deep, depth > SCAN_DEPTH_MAX);
        loaded_fini(&loaded);
    }
}

static void
numbers_must_be_exact(void **state)
{
    static const struct {
        const char *number;
        const char *issues;
    } rows[] = {
        {"9007199254740992", "!limits.jobsMax"},
        {"9007199254740993", "!limits.jobsMax !limits.jobsMax"},
        {"-9007199254740993", "!limits.jobsMax !limits.jobsMax"},
        {"123456789012345678901234567890123456789",
         "!limits.jobsMax !limits.jobsMax"},
        {"1e999", "!limits.jobsMax !limits.jobsMax"},
        {"1e2", ""},
        {"5.0", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct loaded loaded;
        char text[128];

        (void)snprintf(text, sizeof(text), "{'limits': {'jobsMax': %s}}",
                       rows[i].number);
        load_text(&loaded, text);
        assert_string_equal(loaded_issues(&loaded, ""), rows[i].issues);
        loaded_fini(&loaded);
    }
}

static void
a_key_comes_once(void **state)
{
    struct loaded loaded;

    (void)state;
    load_text(&loaded, "{'plugins': [{'name': 'a', 'plugin': 'http',\n"
                       " 'methods': [{'service': 'S'}], 'config': {\n"
                       "  'x': {'deep': [{'k': 1, 'j': 2,\n"
                       "   'k': 3}]}}}],\n"
                       " 'name': 'a', 'drainTime': '1s',\n"
                       " 'name': 'b', 'name': 'c'}");
    assert_string_equal(
        loaded_report(&loaded),
        "redial.json:6: error: name: found \"b\"; allowed: one field of this "
        "name (there is one in line 5)\n"
        "redial.json:6: error: name: found \"c\"; allowed: one field of this "
        "name (there is one in line 6)\n"
        "redial.json:4: error: plugins[0].config.x.deep[0].k: found 3; "
        "allowed: one field of this name (there is one in line 3)\n");
    loaded_fini(&loaded);
}

/* Lines count the key, wherever its value begins. */
static void
lines_are_those_of_the_file(void **state)
{
    struct loaded loaded;

    (void)state;
    load_text(&loaded, "{\n"
                       "  'limits': {\r\n"
                       "    'jobsMax':\n"
                       "      0,\n"
                       "    'keysMax'\n"
                       "      : 0\n"
                       "  },\n"
                       "  'methodConfig': [\n"
                       "    5\n"
                       "    , 6\n"
                       "  ]\n"
                       "}\n");
    assert_string_equal(loaded_issues(&loaded, ""),
                        "!limits.jobsMax !limits.keysMax !methodConfig[0] "
                        "!methodConfig[1]");
    assert_int_equal(loaded.report.issues[0].line, 3);
    assert_int_equal(loaded.report.issues[1].line, 5);
    assert_int_equal(loaded.report.issues[2].line, 9);
    assert_int_equal(loaded.report.issues[3].line, 10);
    loaded_fini(&loaded);
}

static void
odd_keys_do_no_harm(void **state)
{
    struct loaded loaded;

    (void)state;
    load_text(&loaded, "{'a.b\\u001b[31m\\n': 1, '': 2, '\xc3\xa9': 3}");
    assert_string_equal(loaded_issues(&loaded, ""),
                        "![\"a.b?[31m?\"] ![\"\"] ![\"?\?\"]");
    loaded_fini(&loaded);
}

static void
a_file_has_at_most_one_mebibyte(void **state)
{
    size_t size = CONFIG_FILE_BYTES_MAX;

    (void)state;
    for (size_t len = size; len <= size + 1; len++) {
        char *text = malloc(len + 1);
        struct loaded loaded;

        assert_non_null(text);
        memset(text, ' ', len);
        text[0] = '{';
        text[len - 1] = '}';
        text[len] = '\0';
        load_text(&loaded, text);
        assert_int_equal(loaded.status,
                         len == size ? REDIAL_OK : REDIAL_INVALID_ARGUMENT);
        assert_string_equal(
            loaded_report(&loaded),
            len == size ? "" : "redial.json: error: longer than 1 MiB\n");
        loaded_fini(&loaded);
        free(text);
    }
}

/* A flood of errors is counted, not kept. */
static void
a_report_is_bounded(void **state)
{
    enum { FIELDS = 3 * CONFIG_ISSUES_MAX };
    struct bytes text;
    struct loaded loaded;

    (void)state;
    bytes_init(&text, CONFIG_FILE_BYTES_MAX);
    for (int i = 0; i < FIELDS; i++) {
        char field[32];
        int len = snprintf(field, sizeof(field), "%c'x%d': 1",
                           i == 0 ? '{' : ',', i);

        assert_true(bytes_append(&text, field, (size_t)len));
    }
    assert_true(bytes_append(&text, "}", 2));
    load_text(&loaded, (const char *)text.at);
    assert_int_equal(loaded.report.errors, FIELDS);
    assert_int_equal(loaded.report.count, CONFIG_ISSUES_MAX);
    assert_int_equal(loaded.report.left_out, FIELDS - CONFIG_ISSUES_MAX);
    assert_non_null(strstr(loaded_report(&loaded), "\nand 2000 more\n"));
    loaded_fini(&loaded);
    bytes_fini(&text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_json_is_refused_with_its_place),
        cmocka_unit_test(what_is_json_is_taken),
        cmocka_unit_test(a_cut_text_is_never_read_beyond),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(numbers_must_be_exact),
        cmocka_unit_test(a_key_comes_once),
        cmocka_unit_test(lines_are_those_of_the_file),
        cmocka_unit_test(odd_keys_do_no_harm),
        cmocka_unit_test(a_file_has_at_most_one_mebibyte),
        cmocka_unit_test(a_report_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, folder_fini);
}
