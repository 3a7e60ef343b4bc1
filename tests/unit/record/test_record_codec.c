/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/rng.h"
#include "server/core/breaker.h"
#include "server/core/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BYTES_MAX = 4096 };

static const struct text nothing = {0};

static struct text
text_of(const char *string)
{
    return (struct text){string, (uint32_t)strlen(string)};
}

static void
assert_same_text(struct text a, struct text b)
{
    assert_int_equal(a.len, b.len);
    if (a.len > 0) {
        assert_memory_equal(a.at, b.at, a.len);
    }
}

/* Field by field, from the table; each kind compares in its own way. */
#define SAME_NUMBER(a, b)  assert_true((a) == (b))
#define SAME_U32           SAME_NUMBER
#define SAME_U64           SAME_NUMBER
#define SAME_I64           SAME_NUMBER
#define SAME_FLAG          SAME_NUMBER
#define SAME_BACK          SAME_NUMBER
#define SAME_AHEAD         SAME_NUMBER
#define SAME_RULE          SAME_NUMBER
#define SAME_CODE          SAME_NUMBER
#define SAME_DELAY_SOURCE  SAME_NUMBER
#define SAME_CLAMP         SAME_NUMBER
#define SAME_IDEMPOTENCY   SAME_NUMBER
#define SAME_ATTACHMENT    SAME_NUMBER
#define SAME_TEXT(a, b)    assert_same_text(a, b)
#define SAME_B16(a, b)     assert_memory_equal(a, b, 16)
#define SAME_BREAKER(a, b) assert_memory_equal(&(a), &(b), sizeof(a))

static void
assert_same_record(const struct record *a, const struct record *b)
{
    assert_int_equal(a->type, b->type);
    assert_true(a->seq == b->seq);
    assert_true(a->wall_ms == b->wall_ms);
#define RECORD_FIELD(bit, kind, member) SAME_##kind(a->member, b->member);
#include "server/core/record_fields.def"
#undef RECORD_FIELD
}

/* Exactly `len` bytes on the heap, so that a sanitizer sees a step too far. */
static bool
decode_copy(const uint8_t *buf, size_t len, struct record *ret_record)
{
    uint8_t *copy = malloc(len + 1);

    assert_non_null(copy);
    memcpy(copy, buf, len);
    uint8_t *exact = realloc(copy, len > 0 ? len : 1);

    assert_non_null(exact);
    bool good = record_decode(exact, len, ret_record);

    free(exact);
    return good;
}

static struct record
accepted(void)
{
    struct record record = {
        .type = EVENT_JOB_ACCEPTED,
        .seq = 1000001,
        .job_seq = 1,
        .wall_ms = INT64_C(1790000000123),
        .service = text_of("image.ImageGen"),
        .method = text_of("Generate"),
        .correlation = text_of("story-4711"),
        .tenant = text_of("studio"),
        .key = text_of("scene-12"),
        .traceparent = text_of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067-01"),
        .priority = 5,
        .idempotency = IDEMPOTENCY_NO,
        .not_before_ms = 1,
        .deadline_ms = 60000,
        .queue_ttl_ms = 1000,
        .max_attempts = 3,
        .attempt_timeout_ms = 500,
        .payload_bytes = 256,
        .attachment = ATTACHMENT_PAYLOAD,
    };

    for (uint8_t i = 0; i < 16; i++) {
        record.job.bytes[i] = (uint8_t)(i + 1);
        record.key_hash[i] = (uint8_t)(i * 3);
        record.content_hash[i] = (uint8_t)(255 - i);
    }
    return record;
}

static struct record
planned(void)
{
    return (struct record){
        .type = EVENT_RETRY_PLANNED,
        .seq = 1000003,
        .prev_seq = 1000002,
        .job_seq = 3,
        .wall_ms = INT64_C(1790000000123),
        .since_accepted_ms = 17,
        .job = {{1, 2, 3}},
        .service = text_of("image.ImageGen"),
        .method = text_of("Generate"),
        .attempt = 1,
        .fence = 1000002,
        .worker = text_of("painter/7f3a"),
        .reason = text_of("HTTP_503"),
        .text = text_of("the upstream is busy"),
        .code = REDIAL_UNAVAILABLE,
        .charged = true,
        .final_lost = true,
        .decision =
            {
                .rule = RULE_RETRY_PLANNED,
                .delay_source = DELAY_BACKOFF,
                .clamp = CLAMP_MAX_BACKOFF,
                .jitter_permille = 1100,
                .backoff_ms = 1000,
                .delay_ms = 1100,
                .attempts_charged = 1,
                .attempts_free = 2,
                .attempts_left = 2,
                .tokens_milli = -1,
                .until_wall_ms = INT64_C(1790000001223),
                .policy_version = 4,
            },
        .lease_ms = 10000,
        .timeout_ms = 600000,
        .hedge = true,
        .has_pushback = true,
        .pushback_ms = -1,
        .for_target = true,
        .overloaded = true,
        .target = text_of("upstream"),
        .budget_slice = UINT64_C(1) << 62,
        .budget_delta_milli = -1000,
        .hold_until_wall_ms = INT64_C(1790000009223),
    };
}

static struct record
opened(void)
{
    struct record record = {
        .type = EVENT_BREAKER_OPENED,
        .seq = 7,
        .wall_ms = INT64_C(1790000000123),
        .target = text_of("upstream"),
        .holder = text_of("ann"),
    };

    /* No byte between the members, so that memory can be compared. */
    memset(&record.breaker, 0, sizeof(record.breaker));
    record.breaker.epoch = UINT64_MAX;
    record.breaker.state = BREAKER_OPEN;
    record.breaker.cause = BREAKER_CAUSE_FAILURE_RATE;
    record.breaker.step = 3;
    record.breaker.forced = 1;
    record.breaker.load = UINT32_MAX;
    record.breaker.open_ms = UINT64_MAX;
    record.breaker.jitter_permille = 99;
    record.breaker.calls = UINT32_MAX;
    record.breaker.failed = 20;
    record.breaker.slow = 4;
    record.breaker.in_a_row = 5;
    record.breaker.waiting = UINT64_MAX;
    return record;
}

static void
a_record_with_every_field_comes_back(void **state)
{
    struct record records[] = {accepted(), planned(), opened()};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        uint8_t buf[BYTES_MAX];
        struct record decoded;
        size_t len = record_encode(&records[i], nothing, buf);

        assert_true(len <= record_encoded_max(&records[i], 0));
        assert_true(record_decode(buf, len, &decoded));
        assert_same_record(&records[i], &decoded);
        assert_int_equal(decoded.attached.len, 0);
    }
}

static void
an_attachment_stands_behind_the_fields(void **state)
{
    struct record record = accepted();
    struct text payload = text_of("{\"prompt\":\"a lighthouse\"}");
    uint8_t buf[BYTES_MAX];
    struct record decoded;

    (void)state;
    size_t bare = record_encode(&record, nothing, buf);
    size_t len = record_encode(&record, payload, buf);

    assert_int_equal(len, bare + payload.len);
    assert_true(record_decode(buf, len, &decoded));
    assert_same_record(&record, &decoded);
    assert_same_text(decoded.attached, payload);
    assert_ptr_equal(decoded.attached.at, buf + bare);
}

static void
a_bare_record_is_short(void **state)
{
    struct record record = {
        .type = EVENT_ATTEMPT_SUCCEEDED,
        .seq = 1000002,
        .prev_seq = 1000001,
        .job_seq = 3,
        .wall_ms = INT64_C(1790000000123),
        .job = {{1}},
        .attempt = 1,
        .fence = 1000001,
    };
    uint8_t buf[BYTES_MAX];

    (void)state;
    assert_in_range(record_encode(&record, nothing, buf), 25, 35);
}

static void
numbers_at_their_limits_come_back(void **state)
{
    struct record record = planned();
    uint8_t buf[BYTES_MAX];
    struct record decoded;

    (void)state;
    record.seq = UINT64_MAX;
    record.prev_seq = 1;
    record.fence = UINT64_MAX;
    record.wall_ms = INT64_MIN;
    record.since_accepted_ms = UINT64_MAX;
    record.attempt = UINT32_MAX;
    record.decision.until_wall_ms = INT64_MAX;
    record.decision.tokens_milli = INT64_MIN;
    size_t len = record_encode(&record, nothing, buf);

    assert_true(len <= record_encoded_max(&record, 0));
    assert_true(record_decode(buf, len, &decoded));
    assert_same_record(&record, &decoded);
    record.seq = 1;
    record.prev_seq = UINT64_MAX;
    record.wall_ms = INT64_MAX;
    record.decision.until_wall_ms = INT64_MIN;
    len = record_encode(&record, nothing, buf);
    assert_true(record_decode(buf, len, &decoded));
    assert_same_record(&record, &decoded);
}

static void
every_cut_is_refused(void **state)
{
    struct record records[] = {accepted(), planned(), opened()};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        uint8_t buf[BYTES_MAX];
        size_t len = record_encode(&records[i], nothing, buf);

        for (size_t cut = 0; cut < len; cut++) {
            struct record decoded = {.seq = 42};

            assert_false(decode_copy(buf, cut, &decoded));
            assert_int_equal(decoded.seq, 42);
        }
    }
}

static void
bytes_behind_a_record_without_attachment_are_refused(void **state)
{
    struct record record = planned();
    uint8_t buf[BYTES_MAX];
    struct record decoded;

    (void)state;
    size_t len = record_encode(&record, nothing, buf);

    buf[len] = 0;
    assert_false(record_decode(buf, len + 1, &decoded));
}

/* What decodes is what its own encoding says: one form for each record. */
static void
check_hostile(const uint8_t *buf, size_t len)
{
    uint8_t *again = malloc(len + 1024);
    struct record decoded;

    assert_non_null(again);
    if (record_decode(buf, len, &decoded)) {
        if (buf[0] == RECORD_FORMAT_OLDEST) {
            decoded.decision.budget_milli = 0; /* what it could not say */
        }
        assert_int_equal(record_encode(&decoded, decoded.attached, again), len);
        assert_memory_equal(again + 1, buf + 1, len - 1); /* behind format */
        assert_non_null(event_type_name(decoded.type));
        assert_non_null(rule_name(decoded.decision.rule));
        assert_non_null(delay_source_name(decoded.decision.delay_source));
        assert_non_null(clamp_name(decoded.decision.clamp));
    }
    free(again);
}

static void
each_flipped_bit_is_refused_or_read_as_what_it_says(void **state)
{
    struct record records[] = {accepted(), planned(), opened()};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        uint8_t buf[BYTES_MAX];
        size_t len = record_encode(&records[i], nothing, buf);

        for (size_t bit = 0; bit < len * 8; bit++) {
            buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
            check_hostile(buf, len);
            buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

static void
random_bytes_never_crash(void **state)
{
    uint8_t buf[200];
    struct rng rng;

    (void)state;
    rng_init(&rng, 7);
    for (size_t round = 0; round < 200000; round++) {
        size_t len = rng_below(&rng, sizeof(buf));

        for (size_t i = 0; i < len; i++) {
            buf[i] = (uint8_t)rng_next(&rng);
        }
        buf[0] = RECORD_FORMAT;
        buf[1] = (uint8_t)(1 + rng_below(&rng, 10));
        check_hostile(buf, len);
    }
}

static void
mutated_records_never_crash(void **state)
{
    struct record record = planned();
    uint8_t good[BYTES_MAX];
    uint8_t buf[BYTES_MAX];
    struct rng rng;

    (void)state;
    size_t len = record_encode(&record, nothing, good);

    rng_init(&rng, 8);
    for (size_t round = 0; round < 200000; round++) {
        memcpy(buf, good, len);
        for (uint64_t i = 0; i < 1 + round % 4; i++) {
            buf[rng_below(&rng, len)] = (uint8_t)rng_next(&rng);
        }
        check_hostile(buf, len);
    }
}

static void
the_oldest_format_is_read_without_the_newer_fields(void **state)
{
    struct record record = {.type = EVENT_JOB_ACCEPTED, .seq = 1};
    uint8_t buf[BYTES_MAX];
    struct record decoded;

    (void)state;
    size_t len = record_encode(&record, nothing, buf);

    buf[0] = RECORD_FORMAT_OLDEST;
    assert_true(record_decode(buf, len, &decoded));
    assert_int_equal(decoded.decision.budget_milli, 0);
    record.decision.rule = RULE_SCHEDULED;
    len = record_encode(&record, nothing, buf);
    buf[0] = RECORD_FORMAT_OLDEST;
    assert_true(record_decode(buf, len, &decoded));
    assert_int_equal(decoded.decision.budget_milli, -1); /* there were none */
    record.hedge = true;
    len = record_encode(&record, nothing, buf);
    assert_true(record_decode(buf, len, &decoded));
    buf[0] = RECORD_FORMAT_OLDEST;
    assert_false(record_decode(buf, len, &decoded));
}

static void
another_format_is_refused(void **state)
{
    struct record record = planned();
    uint8_t buf[BYTES_MAX];
    struct record decoded;

    (void)state;
    size_t len = record_encode(&record, nothing, buf);

    buf[0] = RECORD_FORMAT + 1;
    assert_false(record_decode(buf, len, &decoded));
    buf[0] = 0;
    assert_false(record_decode(buf, len, &decoded));
}

static void
only_types_of_the_table_are_read(void **state)
{
    struct record record = {.type = EVENT_JOB_ACCEPTED, .seq = 1};
    uint8_t buf[BYTES_MAX];

    (void)state;
    size_t len = record_encode(&record, nothing, buf);

    for (uint8_t type = 0; type < 128; type++) {
        struct record decoded;
        bool known = false;

#define EVENT(name, number, string, about_job) known |= type == (number);
#include "server/core/event.def"
#undef EVENT
        buf[1] = type;
        assert_int_equal(record_decode(buf, len, &decoded), known);
    }
}

static void
only_values_of_their_enums_are_read(void **state)
{
    (void)state;
    for (int value = 0; value < 40; value++) {
        struct record record = {.type = EVENT_RETRY_PLANNED, .seq = 1};
        uint8_t buf[BYTES_MAX];
        struct record decoded;
        bool known = false;

        record.code = (enum redial_status)value;
        assert_int_equal(
            record_decode(buf, record_encode(&record, nothing, buf), &decoded),
            value < REDIAL_STATUS_COUNT);
        record.code = REDIAL_OK;
        record.decision.rule = (enum rule)value;
#define RULE(name, number, sentence) known |= value == (number);
#include "server/core/rule.def"
#undef RULE
        assert_int_equal(
            record_decode(buf, record_encode(&record, nothing, buf), &decoded),
            known);
        record.decision.rule = RULE_NONE;
        record.idempotency = (enum idempotency)value;
        assert_int_equal(
            record_decode(buf, record_encode(&record, nothing, buf), &decoded),
            value <= IDEMPOTENCY_NO);
    }
}

static void
bits_and_rows_of_the_table_are_each_used_once(void **state)
{
    uint64_t seen = 0;
    int next = 0;

    (void)state;
#define RECORD_FIELD(bit, kind, member)   \
    assert_int_equal(seen >> (bit)&1, 0); \
    assert_int_equal((bit), next++);      \
    seen |= UINT64_C(1) << (bit);
#include "server/core/record_fields.def"
#undef RECORD_FIELD
    assert_true(next <= 64);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_with_every_field_comes_back),
        cmocka_unit_test(an_attachment_stands_behind_the_fields),
        cmocka_unit_test(a_bare_record_is_short),
        cmocka_unit_test(numbers_at_their_limits_come_back),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(bytes_behind_a_record_without_attachment_are_refused),
        cmocka_unit_test(each_flipped_bit_is_refused_or_read_as_what_it_says),
        cmocka_unit_test(random_bytes_never_crash),
        cmocka_unit_test(mutated_records_never_crash),
        cmocka_unit_test(the_oldest_format_is_read_without_the_newer_fields),
        cmocka_unit_test(another_format_is_refused),
        cmocka_unit_test(only_types_of_the_table_are_read),
        cmocka_unit_test(only_values_of_their_enums_are_read),
        cmocka_unit_test(bits_and_rows_of_the_table_are_each_used_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
