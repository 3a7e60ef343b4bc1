/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/payload.h"
#include "proto/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct args_item items[4];
static const char *words[2];
static struct args args;
static struct payload payload;
static char problem[256];

static int
setup(void **state)
{
    (void)state;
    args = (struct args){.items = items, .words = words, .word_count = 1};
    words[0] = "s/m";
    problem[0] = '\0';
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    payload_fini(&payload);
    return 0;
}

static void
give(enum option option, const char *value)
{
    items[args.item_count++] = (struct args_item){option, value};
}

static bool
read_from(FILE *in)
{
    return payload_read(&payload, &args, in, problem, sizeof(problem));
}

static FILE *
file_of(const void *bytes, size_t len)
{
    /* Not written to, in spite of the type. */
    FILE *file = fmemopen((void *)(uintptr_t)bytes, len, "r");

    assert_non_null(file);
    return file;
}

static void
payload_is(const char *expected)
{
    assert_int_equal(payload.len, strlen(expected));
    assert_memory_equal(payload.bytes, expected, payload.len);
}

static void
without_an_option_it_is_empty(void **state)
{
    (void)state;
    assert_true(read_from(NULL));
    assert_int_equal(payload.len, 0);
}

static void
data_is_taken_as_it_is(void **state)
{
    (void)state;
    give(OPTION_DATA, "a red fox");
    assert_true(read_from(NULL));
    payload_is("a red fox");
    assert_false(payload.is_json);
}

static void
json_is_checked(void **state)
{
    (void)state;
    give(OPTION_JSON_DATA, "{\"topic\": \"fox\"}");
    assert_true(read_from(NULL));
    payload_is("{\"topic\": \"fox\"}");
    assert_true(payload.is_json);
    payload_fini(&payload);
    items[0].value = "{\"topic\": fox}";
    assert_false(read_from(NULL));
    assert_string_equal(problem, "--json-data is not JSON, from here: fox}");
    payload_fini(&payload);
    items[0].value = "{} {}";
    assert_false(read_from(NULL));
}

static void
standard_input_has_two_names(void **state)
{
    FILE *in = file_of("piped", 5);

    (void)state;
    words[1] = "-";
    args.word_count = 2;
    assert_true(read_from(in));
    payload_is("piped");
    payload_fini(&payload);
    rewind(in);
    args.word_count = 1;
    give(OPTION_FILE, "-");
    assert_true(read_from(in));
    payload_is("piped");
    (void)fclose(in);
}

static void
a_file_may_hold_any_bytes(void **state)
{
    const char *folder = getenv("TMPDIR");
    char path[4096];
    int fd;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/redial-payload-XXXXXX",
                   folder != NULL ? folder : "/tmp");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "a\0b", 3), 3);
    (void)close(fd);
    give(OPTION_FILE, path);
    assert_true(read_from(NULL));
    assert_int_equal(payload.len, 3);
    assert_memory_equal(payload.bytes, "a\0b", 3);
    (void)unlink(path);
    payload_fini(&payload);
    assert_false(read_from(NULL));
    assert_non_null(strstr(problem, "No such file"));
}

static void
the_largest_payload_fits_and_one_byte_more_does_not(void **state)
{
    char *bytes = calloc(1, WIRE_PAYLOAD_BYTES_MAX + 1);
    FILE *in;

    (void)state;
    assert_non_null(bytes);
    give(OPTION_FILE, "-");
    in = file_of(bytes, WIRE_PAYLOAD_BYTES_MAX);
    assert_true(read_from(in));
    assert_int_equal(payload.len, WIRE_PAYLOAD_BYTES_MAX);
    payload_fini(&payload);
    (void)fclose(in);
    in = file_of(bytes, WIRE_PAYLOAD_BYTES_MAX + 1);
    assert_false(read_from(in));
    assert_non_null(strstr(problem, "larger than 4 MiB"));
    (void)fclose(in);
    free(bytes);
}

static void
a_payload_is_given_once(void **state)
{
    (void)state;
    give(OPTION_DATA, "x");
    give(OPTION_FILE, "y");
    assert_false(read_from(NULL));
    assert_non_null(strstr(problem, "twice"));
    args.item_count = 0;
    args.word_count = 2;
    words[1] = "x";
    assert_false(read_from(NULL));
    assert_non_null(strstr(problem, "--data"));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(without_an_option_it_is_empty),
        TEST(data_is_taken_as_it_is),
        TEST(json_is_checked),
        TEST(standard_input_has_two_names),
        TEST(a_file_may_hold_any_bytes),
        TEST(the_largest_payload_fits_and_one_byte_more_does_not),
        TEST(a_payload_is_given_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
