/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame codec and the reader that uses it.
 */
#include "server/net/sp_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BODY_BYTES_MAX 65536u

static struct sp_reader reader;

static void
start(enum sp_framing framing)
{
    uint8_t greeting[SP_GREETING_BYTES];
    size_t used;

    sp_reader_init(&reader, framing, BODY_BYTES_MAX);
    sp_greeting_write(SP_PROTOCOL_REQ, greeting);
    assert_int_equal(sp_reader_feed(&reader, greeting, sizeof(greeting), &used),
                     SP_READER_GREETED);
    assert_int_equal(used, sizeof(greeting));
    assert_true(sp_reader_is_idle(&reader));
}

static int
teardown(void **state)
{
    (void)state;
    sp_reader_fini(&reader);
    return 0;
}

/* A frame whose body is `words` of backtrace and a text; returns its size. */
static size_t
write_frame(uint8_t *out, enum sp_framing framing, size_t words,
            const char *text)
{
    size_t head = sp_head_size(framing);
    size_t len = strlen(text);

    sp_head_write(framing, 4 * words + len, out);
    memset(out + head, 0, 4 * words);
    out[head + 4 * (words - 1)] = 0x80;
    for (size_t i = 0; i < len; i++) {
        out[head + 4 * words + i] = (uint8_t)text[i];
    }
    return head + 4 * words + len;
}

static void
expect_text(const char *text)
{
    struct sp_frame *frame = sp_reader_take(&reader);

    assert_int_equal(frame->len - frame->backtrace_len, strlen(text));
    assert_memory_equal(frame->bytes + frame->backtrace_len, text,
                        strlen(text));
    free(frame);
}

static void
heads_round_trip_in_both_framings(void **state)
{
    static const uint64_t lengths[] = {0,     4,          255,
                                       65536, 1ull << 62, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        for (int framing = 0; framing < 2; framing++) {
            uint8_t head[SP_HEAD_BYTES_MAX];
            uint64_t len = 0;

            sp_head_write((enum sp_framing)framing, lengths[i], head);
            assert_true(sp_head_read((enum sp_framing)framing, head, &len));
            assert_true(len == lengths[i]);
        }
    }
}

static void
another_kind_of_ipc_message_is_refused(void **state)
{
    static const uint8_t head[9] = {2, 0, 0, 0, 0, 0, 0, 0, 8};
    uint64_t len;

    (void)state;
    assert_false(sp_head_read(SP_FRAMING_IPC, head, &len));
}

static void
a_backtrace_ends_with_the_top_bit_within_8_words(void **state)
{
    uint8_t body[40] = {0};

    (void)state;
    assert_int_equal(sp_backtrace_size(body, sizeof(body)), 0);
    for (size_t words = 1; words <= 9; words++) {
        memset(body, 0, sizeof(body));
        body[4 * (words - 1)] = 0x80;
        assert_int_equal(sp_backtrace_size(body, sizeof(body)),
                         words <= 8 ? 4 * words : 0);
        assert_int_equal(sp_backtrace_size(body, 4 * words - 1), 0);
    }
}

static void
frames_come_out_of_a_stream_fed_byte_by_byte(void **state)
{
    (void)state;
    for (int framing = 0; framing < 2; framing++) {
        uint8_t stream[256];
        size_t len = 0;
        size_t frames = 0;

        len += write_frame(stream, (enum sp_framing)framing, 1, "first");
        len += write_frame(stream + len, (enum sp_framing)framing, 3, "");
        len += write_frame(stream + len, (enum sp_framing)framing, 8, "third");
        start((enum sp_framing)framing);
        for (size_t at = 0; at < len; at++) {
            size_t used;
            enum sp_reader_result result = sp_reader_feed(&reader, stream + at,
                                                          1, &used);

            assert_int_equal(used, 1);
            if (result == SP_READER_FRAME) {
                expect_text(frames == 0 ? "first" : frames == 1 ? "" : "third");
                frames++;
            } else {
                assert_int_equal(result, SP_READER_MORE);
            }
        }
        assert_int_equal(frames, 3);
        assert_true(sp_reader_is_idle(&reader));
    }
}

static void
frames_come_out_of_a_stream_fed_in_any_two_pieces(void **state)
{
    uint8_t stream[128];
    size_t len = write_frame(stream, SP_FRAMING_STREAM, 1, "one");

    (void)state;
    len += write_frame(stream + len, SP_FRAMING_STREAM, 1, "two");
    for (size_t cut = 0; cut <= len; cut++) {
        size_t at = 0;
        size_t frames = 0;

        start(SP_FRAMING_STREAM);
        while (at < len) {
            size_t end = at < cut ? cut : len;
            size_t used;

            if (sp_reader_feed(&reader, stream + at, end - at, &used) ==
                SP_READER_FRAME) {
                expect_text(frames++ == 0 ? "one" : "two");
            }
            at += used;
        }
        assert_int_equal(frames, 2);
        sp_reader_fini(&reader);
    }
}

static void
a_wrong_greeting_is_refused_at_every_byte(void **state)
{
    (void)state;
    for (size_t at = 0; at < SP_GREETING_BYTES; at++) {
        uint8_t greeting[SP_GREETING_BYTES];
        size_t used;

        sp_greeting_write(SP_PROTOCOL_REQ, greeting);
        greeting[at] ^= 1;
        sp_reader_init(&reader, SP_FRAMING_STREAM, BODY_BYTES_MAX);
        assert_int_equal(
            sp_reader_feed(&reader, greeting, sizeof(greeting), &used),
            SP_READER_BAD);
    }
}

static void
a_body_without_room_for_an_id_is_refused(void **state)
{
    uint8_t stream[16];
    size_t used;

    (void)state;
    for (uint64_t len = 0; len < 4; len++) {
        start(SP_FRAMING_STREAM);
        sp_head_write(SP_FRAMING_STREAM, len, stream);
        assert_int_equal(sp_reader_feed(&reader, stream, 8, &used),
                         SP_READER_BAD);
    }
}

static void
a_body_without_an_id_is_refused(void **state)
{
    uint8_t stream[8 + 64] = {0};
    size_t used;

    (void)state;
    start(SP_FRAMING_STREAM);
    sp_head_write(SP_FRAMING_STREAM, 64, stream);
    assert_int_equal(sp_reader_feed(&reader, stream, sizeof(stream), &used),
                     SP_READER_BAD);
}

static void
the_limit_is_inclusive_and_can_be_raised(void **state)
{
    static uint8_t stream[8 + BODY_BYTES_MAX + 1];
    size_t used;

    (void)state;
    stream[8] = 0x80;
    start(SP_FRAMING_STREAM);
    sp_head_write(SP_FRAMING_STREAM, BODY_BYTES_MAX, stream);
    assert_int_equal(sp_reader_feed(&reader, stream, sizeof(stream) - 1, &used),
                     SP_READER_FRAME);
    assert_int_equal(used, sizeof(stream) - 1);
    free(sp_reader_take(&reader));

    reader.body_bytes_max++;
    sp_head_write(SP_FRAMING_STREAM, BODY_BYTES_MAX + 1, stream);
    assert_int_equal(sp_reader_feed(&reader, stream, sizeof(stream), &used),
                     SP_READER_FRAME);
    free(sp_reader_take(&reader));

    reader.body_bytes_max--;
    assert_int_equal(sp_reader_feed(&reader, stream, sizeof(stream), &used),
                     SP_READER_TOO_LARGE);
    sp_reader_fini(&reader);
}

static void
what_is_too_large_still_tells_its_id(void **state)
{
    uint8_t stream[8 + 12] = {0};
    enum sp_reader_result result = SP_READER_MORE;
    struct sp_frame *frame;

    (void)state;
    start(SP_FRAMING_STREAM);
    sp_head_write(SP_FRAMING_STREAM, 1ull << 62, stream);
    stream[16] = 0x81;
    stream[19] = 0x77;
    for (size_t at = 0; at < sizeof(stream); at++) {
        size_t used;

        assert_int_equal(result, SP_READER_MORE);
        result = sp_reader_feed(&reader, stream + at, 1, &used);
    }
    assert_int_equal(result, SP_READER_TOO_LARGE);
    frame = sp_reader_take(&reader);
    assert_int_equal(frame->backtrace_len, 12);
    assert_int_equal(frame->bytes[11], 0x77);
    free(frame);
}

static void
what_is_too_large_and_has_no_id_is_refused(void **state)
{
    uint8_t stream[8 + 64] = {0};
    size_t used;

    (void)state;
    start(SP_FRAMING_STREAM);
    sp_head_write(SP_FRAMING_STREAM, 1ull << 40, stream);
    assert_int_equal(sp_reader_feed(&reader, stream, sizeof(stream), &used),
                     SP_READER_BAD);
}

static void
a_claimed_length_takes_no_memory_before_it_arrives(void **state)
{
    uint8_t stream[8 + 100] = {0};
    size_t used;

    (void)state;
    start(SP_FRAMING_STREAM);
    stream[8] = 0x80;
    sp_head_write(SP_FRAMING_STREAM, BODY_BYTES_MAX, stream);
    assert_int_equal(sp_reader_feed(&reader, stream, sizeof(stream), &used),
                     SP_READER_MORE);
    assert_true(sp_reader_held_bytes(&reader) < 8192);
}

static void
large_bodies_are_read_straight_into_the_frame(void **state)
{
    uint8_t stream[8 + 8] = {0};
    enum sp_reader_result result = SP_READER_MORE;
    size_t sent = 8;
    struct sp_frame *frame;

    (void)state;
    start(SP_FRAMING_STREAM);
    stream[8] = 0x80;
    sp_head_write(SP_FRAMING_STREAM, BODY_BYTES_MAX, stream);
    assert_int_equal(sp_reader_room(&reader, &(uint8_t *){NULL}), 0);
    assert_int_equal(
        sp_reader_feed(&reader, stream, sizeof(stream), &(size_t){0}),
        SP_READER_MORE);
    while (result == SP_READER_MORE) {
        uint8_t *room = NULL;
        size_t len = sp_reader_room(&reader, &room);
        uint8_t byte = (uint8_t)(sent % 251);

        if (len == 0) { /* too few to bother */
            result = sp_reader_feed(&reader, &byte, 1, &len);
            sent++;
            continue;
        }
        len = len > 1000 ? 1000 : len;
        for (size_t i = 0; i < len; i++) {
            room[i] = (uint8_t)((sent + i) % 251);
        }
        assert_true(sp_reader_held_bytes(&reader) <= 2 * sent + 16384);
        sent += len;
        result = sp_reader_filled(&reader, len);
    }
    assert_int_equal(result, SP_READER_FRAME);
    assert_int_equal(sent, BODY_BYTES_MAX);
    frame = sp_reader_take(&reader);
    for (size_t i = 8; i < frame->len; i++) {
        assert_int_equal(frame->bytes[i], i % 251);
    }
    free(frame);
}

int
main(void)
{
#define READER_TEST(name) cmocka_unit_test_teardown(name, teardown)
    const struct CMUnitTest tests[] = {
        READER_TEST(heads_round_trip_in_both_framings),
        READER_TEST(another_kind_of_ipc_message_is_refused),
        READER_TEST(a_backtrace_ends_with_the_top_bit_within_8_words),
        READER_TEST(frames_come_out_of_a_stream_fed_byte_by_byte),
        READER_TEST(frames_come_out_of_a_stream_fed_in_any_two_pieces),
        READER_TEST(a_wrong_greeting_is_refused_at_every_byte),
        READER_TEST(a_body_without_room_for_an_id_is_refused),
        READER_TEST(a_body_without_an_id_is_refused),
        READER_TEST(the_limit_is_inclusive_and_can_be_raised),
        READER_TEST(what_is_too_large_still_tells_its_id),
        READER_TEST(what_is_too_large_and_has_no_id_is_refused),
        READER_TEST(a_claimed_length_takes_no_memory_before_it_arrives),
        READER_TEST(large_bodies_are_read_straight_into_the_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
