/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy check and policy simulate, with a small script in the place of the
 * gateway's program: it keeps its words in NAME.args, its input in NAME.in, and
 * touches NAME.done at the end.
 */
#include "tests/unit/cli/fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define KEEP_WORDS "printf '%s\\n' \"$@\" > \"$0.args\"\n"
#define KEEP_INPUT "cat > \"$0.in\"\ntouch \"$0.done\"\n"
#define LONG_BYTES 300000 /* more than a pipe holds */

static char folder[64];
static char program[128];

static char *
unconst(const char *string)
{
    return (char *)(uintptr_t)string;
}

static void
path_of(const char *suffix, char *ret_path, size_t size)
{
    (void)snprintf(ret_path, size, "%s%s", program, suffix);
}

static void
write_program(const char *lines)
{
    FILE *file = fopen(program, "we");

    assert_non_null(file);
    assert_true(fprintf(file, "#!/bin/sh\n%s", lines) > 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(program, 0700), 0);
    fake_set_gateway(program);
}

/* What the program left behind; "" if nothing. free() it. */
static char *
read_left(const char *suffix, size_t *ret_len)
{
    char path[160];
    char *bytes = calloc(1, (size_t)4 * LONG_BYTES);
    FILE *file;

    assert_non_null(bytes);
    path_of(suffix, path, sizeof(path));
    file = fopen(path, "re");
    *ret_len = 0;
    if (file != NULL) {
        *ret_len = fread(bytes, 1, (size_t)4 * LONG_BYTES - 1, file);
        (void)fclose(file);
    }
    return bytes;
}

static void
words_are(const char *expected)
{
    size_t len;
    char *words = read_left(".args", &len);

    assert_string_equal(words, expected);
    free(words);
}

static bool
has_left(const char *suffix)
{
    char path[160];

    path_of(suffix, path, sizeof(path));
    return access(path, F_OK) == 0;
}

static int
setup(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/redial-policy-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(program, sizeof(program), "%s/gateway", folder);
    return 0;
}

static int
teardown(void **state)
{
    static const char *const suffixes[] = {"", ".args", ".in", ".done"};
    char path[160];

    (void)state;
    fake_end();
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        path_of(suffixes[i], path, sizeof(path));
        (void)unlink(path);
    }
    (void)rmdir(folder);
    return 0;
}

/* ---- check -------------------------------------------------------------- */

static void
check_passes_words_and_exit_code_on(void **state)
{
    (void)state;
    fake_begin("policy check a_b;$(touch_x) --json");
    write_program(KEEP_WORDS "exit 3\n");
    assert_int_equal(fake_run(), 3);
    words_are("--check\n--config\na b;$(touch x)\n--json\n");
    fake_begin("policy check");
    write_program(KEEP_WORDS "exit 0\n");
    assert_int_equal(fake_run(), EXIT_DONE);
    words_are("--check\n");
}

static void
a_file_that_looks_like_an_option_stays_a_file(void **state)
{
    (void)state;
    fake_begin("policy check -- --json");
    write_program(KEEP_WORDS);
    assert_int_equal(fake_run(), EXIT_DONE);
    words_are("--check\n--config\n--json\n");
}

static void
a_program_that_is_not_there_is_told_with_where_it_was_looked_for(void **state)
{
    (void)state;
    fake_begin("policy check");
    fake_set_gateway("/nowhere/redial-gateway");
    assert_int_equal(fake_run(), EXIT_UNREACHABLE);
    assert_string_equal(fake_err(),
                        "redial policy check: /nowhere/redial-gateway cannot "
                        "be started: No such file or directory\n"
                        "  It is looked for at REDIAL_GATEWAY, beside this "
                        "tool, and in PATH.\n");
    fake_begin("policy check");
    fake_set_gateway("/");
    assert_int_equal(fake_run(), EXIT_UNREACHABLE);
}

static void
a_program_that_crashes_is_a_defect(void **state)
{
    (void)state;
    fake_begin("policy check");
    write_program("kill -KILL $$\n");
    assert_int_equal(fake_run(), EXIT_INTERNAL);
    assert_non_null(strstr(fake_err(), "was ended by signal 9 (Killed)\n"));
}

static void
a_program_that_never_ends_is_ended_at_the_timeout(void **state)
{
    (void)state;
    fake_begin("policy check");
    write_program("exec sleep 1000\n");
    fake_limit_time(50);
    assert_int_equal(fake_run(), EXIT_PENDING);
    assert_string_equal(fake_err(), "redial policy check: time is up\n");
}

/* ---- simulate ----------------------------------------------------------- */

/* The next call is a Watch and gets one event, with a text of some length. */
static void
answer_watch(const char *cursor, const char *head, size_t text_len)
{
    Redial__V1__WatchResponse answer = REDIAL__V1__WATCH_RESPONSE__INIT;
    Redial__V1__Event event = REDIAL__V1__EVENT__INIT;
    Redial__V1__Event *events[] = {&event};

    event.type = unconst("job.accepted");
    event.text = calloc(1, text_len + 1);
    assert_non_null(event.text);
    memset(event.text, 'x', text_len);
    answer.events = events;
    answer.n_events = cursor != NULL ? 1 : 0;
    answer.cursor = unconst(cursor);
    answer.head = unconst(head);
    fake_answer("Watch", &answer.base);
    free(event.text);
}

/* One message of the program's input; NULL: it ends here. */
static Redial__V1__WatchResponse *
next_message(const char *input, size_t len, size_t *at)
{
    const uint8_t *bytes = (const uint8_t *)input + *at;
    Redial__V1__WatchResponse *message;
    size_t message_len;

    if (*at == len) {
        return NULL;
    }
    assert_true(len - *at >= 4);
    message_len = (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 |
                  (size_t)bytes[2] << 8 | bytes[3];
    assert_true(len - *at - 4 >= message_len);
    message = redial__v1__watch_response__unpack(NULL, message_len, bytes + 4);
    assert_non_null(message);
    *at += 4 + message_len;
    return message;
}

static void
input_has_cursors(const char *const *cursors, size_t count)
{
    size_t len;
    size_t at = 0;
    char *input = read_left(".in", &len);

    for (size_t i = 0; i < count; i++) {
        Redial__V1__WatchResponse *message = next_message(input, len, &at);

        assert_non_null(message);
        assert_string_equal(message->cursor, cursors[i]);
        assert_int_equal(message->n_events, 1);
        assert_string_equal(message->events[0]->type, "job.accepted");
        redial__v1__watch_response__free_unpacked(message, NULL);
    }
    assert_null(next_message(input, len, &at));
    free(input);
}

static void
simulate_hands_all_events_on_and_ends_where_it_began(void **state)
{
    static const char *const cursors[] = {"e:4", "e:8"};

    (void)state;
    fake_begin("policy simulate --policy new.json --json");
    write_program(KEEP_WORDS KEEP_INPUT "exit 0\n");
    answer_watch(NULL, "e:8", 0);
    answer_watch("e:4", "e:8", 3);
    answer_watch("e:8", "e:10", 0); /* two more happened meanwhile */
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(fake_err(), "");
    words_are("--simulate-policy\nnew.json\n--json\n");
    assert_non_null(strstr(fake_request(2), "\"cursor\":\"start\""));
    assert_non_null(strstr(fake_request(3), "\"cursor\":\"e:4\""));
    input_has_cursors(cursors, 2);
    assert_true(has_left(".done"));
}

static void
simulate_begins_where_it_is_told_to(void **state)
{
    static const char *const cursors[] = {"e:9"};

    (void)state;
    fake_begin("policy simulate --policy new.json --from e:7 -v");
    write_program(KEEP_WORDS KEEP_INPUT "exit 4\n");
    answer_watch(NULL, "e:9", 0);
    answer_watch("e:9", "e:9", 0);
    assert_int_equal(fake_run(), 4);
    assert_non_null(strstr(fake_request(2), "\"cursor\":\"e:7\""));
    assert_string_equal(fake_err(),
                        "redial policy simulate: 1 events, until e:9\n");
    input_has_cursors(cursors, 1);
}

static void
more_than_a_pipe_holds_waits_for_the_program(void **state)
{
    static const char *const cursors[] = {"e:1", "e:2"};

    (void)state;
    fake_begin("policy simulate --policy new.json");
    write_program(KEEP_INPUT);
    answer_watch(NULL, "e:2", 0);
    answer_watch("e:1", "e:2", LONG_BYTES);
    answer_watch("e:2", "e:2", LONG_BYTES);
    assert_int_equal(fake_run(), EXIT_DONE);
    input_has_cursors(cursors, 2);
}

static void
a_gap_is_told_and_handed_on(void **state)
{
    Redial__V1__WatchResponse answer = REDIAL__V1__WATCH_RESPONSE__INIT;
    Redial__V1__Gap gap = REDIAL__V1__GAP__INIT;
    Redial__V1__WatchResponse *message;
    size_t at = 0;
    size_t len;
    char *input;

    (void)state;
    fake_begin("policy simulate --policy new.json");
    write_program(KEEP_INPUT);
    answer_watch(NULL, "e:9", 0);
    gap.has_from_seq = true;
    gap.from_seq = 1;
    gap.has_to_seq = true;
    gap.to_seq = 5;
    gap.reason = unconst("TRIMMED");
    answer.gap = &gap;
    answer.cursor = unconst("e:9");
    answer.head = unconst("e:9");
    fake_answer("Watch", &answer.base);
    assert_int_equal(fake_run(), EXIT_DONE);
    assert_string_equal(fake_err(),
                        "redial policy simulate: gap: events 1 to 5 are not "
                        "kept any more (TRIMMED)\n");
    input = read_left(".in", &len);
    message = next_message(input, len, &at);
    assert_non_null(message);
    assert_non_null(message->gap);
    assert_int_equal(message->gap->to_seq, 5);
    redial__v1__watch_response__free_unpacked(message, NULL);
    free(input);
}

static void
a_program_that_refuses_the_policy_has_the_last_word(void **state)
{
    (void)state;
    fake_begin("policy simulate --policy new.json");
    write_program("exit 3\n");
    answer_watch(NULL, "e:9", 0);
    answer_watch("e:5", "e:9", LONG_BYTES);
    assert_int_equal(fake_run(), 3);
    assert_string_equal(fake_err(), "");
}

static void
a_report_on_a_part_of_the_events_is_no_success(void **state)
{
    (void)state;
    fake_begin("policy simulate --policy new.json");
    write_program("exit 0\n");
    answer_watch(NULL, "e:9", 0);
    answer_watch("e:5", "e:9", LONG_BYTES);
    assert_int_equal(fake_run(), EXIT_INTERNAL);
    assert_string_equal(fake_err(),
                        "redial policy simulate: the program ended before it "
                        "had read all events\n");
}

static void
without_all_events_the_program_must_not_go_on(void **state)
{
    (void)state;
    fake_begin("policy simulate --policy new.json");
    write_program(KEEP_INPUT);
    answer_watch(NULL, "e:9", 0);
    answer_watch("e:5", "e:9", 0);
    fake_refuse("Watch", REDIAL_PERMISSION_DENIED, "ROLE", "no more");
    assert_int_equal(fake_run(), EXIT_REFUSED);
    assert_non_null(strstr(fake_err(), "no more"));
    assert_false(has_left(".done"));
}

static void
a_program_that_does_not_read_is_ended_at_the_timeout(void **state)
{
    (void)state;
    fake_begin("policy simulate --policy new.json");
    write_program("exec sleep 1000\n");
    fake_limit_time(100);
    answer_watch(NULL, "e:9", 0);
    answer_watch("e:5", "e:9", LONG_BYTES);
    assert_int_equal(fake_run(), EXIT_PENDING);
    assert_string_equal(fake_err(), "redial policy simulate: time is up\n");
}

static void
nothing_is_started_without_a_policy_or_a_gateway(void **state)
{
    (void)state;
    fake_begin("policy simulate");
    assert_int_equal(fake_run(), EXIT_USAGE);
    assert_non_null(strstr(fake_err(), "--policy FILE is missing"));
    fake_begin("policy simulate --policy new.json");
    write_program(KEEP_WORDS);
    fake_refuse("Watch", REDIAL_UNAVAILABLE, "NOT_CONNECTED", "refused");
    assert_int_equal(fake_run(), EXIT_UNREACHABLE);
    assert_false(has_left(".args"));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(check_passes_words_and_exit_code_on),
        TEST(a_file_that_looks_like_an_option_stays_a_file),
        TEST(a_program_that_is_not_there_is_told_with_where_it_was_looked_for),
        TEST(a_program_that_crashes_is_a_defect),
        TEST(a_program_that_never_ends_is_ended_at_the_timeout),
        TEST(simulate_hands_all_events_on_and_ends_where_it_began),
        TEST(simulate_begins_where_it_is_told_to),
        TEST(more_than_a_pipe_holds_waits_for_the_program),
        TEST(a_gap_is_told_and_handed_on),
        TEST(a_program_that_refuses_the_policy_has_the_last_word),
        TEST(a_report_on_a_part_of_the_events_is_no_success),
        TEST(without_all_events_the_program_must_not_go_on),
        TEST(a_program_that_does_not_read_is_ended_at_the_timeout),
        TEST(nothing_is_started_without_a_policy_or_a_gateway),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
