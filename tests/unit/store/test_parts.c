/* SPDX-License-Identifier: Apache-2.0 */
/* The small parts: checksum, table, the parser of stored groups. */
#include "server/base/rng.h"
#include "server/store/checksum.h"
#include "server/store/group.h"
#include "server/store/table.h"
#include "tests/unit/store/fixture.h"

#include <stdlib.h>
#include <string.h>

static void
the_checksum_is_crc_32c(void **state)
{
    uint8_t bytes[48] = {0};

    (void)state;
    /* The check value of the catalogue, and RFC 3720 B.4. */
    assert_int_equal(checksum_add(0, "123456789", 9), 0xe3069283);
    assert_int_equal(checksum_add(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(checksum_add(0, bytes, 32), 0x62a8ab43);
    assert_int_equal(checksum_add(0, bytes, 0), 0);
}

static void
both_ways_to_the_checksum_agree(void **state)
{
    uint8_t bytes[300];
    struct rng rng;

    (void)state;
    rng_init(&rng, 1);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)rng_next(&rng);
    }
    for (size_t start = 0; start < 9; start++) {
        for (size_t len = 0; len + start <= sizeof(bytes); len++) {
            uint32_t whole = checksum_add(0, bytes + start, len);

            assert_int_equal(whole,
                             checksum_add_portable(0, bytes + start, len));
            assert_int_equal(
                whole, checksum_add(checksum_add(0, bytes + start, len / 3),
                                    bytes + start + len / 3, len - len / 3));
        }
    }
}

static void
a_table_keeps_slots_in_place_and_uses_them_again(void **state)
{
    struct table table;
    uint8_t key[16] = {0};

    (void)state;
    assert_true(table_init(&table, 10, 8, (struct hash_key){{1, 2}}));
    for (uint8_t i = 1; i <= 10; i++) {
        key[3] = i;
        uint32_t slot = table_put(&table, key);

        assert_int_not_equal(slot, TABLE_NONE);
        memset(table_slot(&table, slot), i, 8);
        assert_int_equal(table_put(&table, key), slot);
    }
    key[3] = 11;
    assert_int_equal(table_put(&table, key), TABLE_NONE);
    assert_null(table_get(&table, key));
    table_remove(&table, key);
    key[3] = 4;
    table_remove(&table, key);
    assert_null(table_get(&table, key));
    key[3] = 11;
    const uint8_t *fresh = table_slot(&table, table_put(&table, key));

    assert_int_equal(fresh[0], 0);
    for (uint8_t i = 5; i <= 10; i++) {
        key[3] = i;
        assert_int_equal(*(uint8_t *)table_get(&table, key), i);
    }
    table_fini(&table);
    table_fini(&table);
}

static struct store_group *
parse(const uint8_t *bytes, size_t len, size_t count)
{
    enum store_status status = STORE_OK;
    struct store_group *group = group_parse(1, count, bytes, len, &status);

    if (group == NULL) {
        assert_int_equal(status, STORE_CORRUPT);
    }
    return group;
}

static void
damaged_groups_are_refused_whatever_the_damage(void **state)
{
    struct fixture *fixture = *state;
    struct job job = fixture_job(fixture);
    struct store_group *group = begin(fixture);
    struct rng rng;

    (void)add(fixture, group, &job, EVENT_JOB_ACCEPTED, "payload");
    (void)add(fixture, group, &job, EVENT_ATTEMPT_STARTED, NULL);
    (void)add(fixture, group, &job, EVENT_JOB_SUCCEEDED, "result");
    size_t len = group->bytes.len;
    uint8_t *bytes = malloc(len);

    assert_non_null(bytes);
    memcpy(bytes, group->bytes.at, len);
    struct store_group *parsed = parse(bytes, len, 3);

    assert_non_null(parsed);
    assert_memory_equal(parsed->bytes.at, bytes, len);
    store_group_unref(parsed);
    assert_null(parse(bytes, len, 0));
    assert_null(parse(bytes, len, 2));
    assert_null(parse(bytes, len, 4));
    assert_null(parse(bytes, len, SIZE_MAX));
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *exact = malloc(cut + 1); /* for the sanitizer to see ends */

        assert_non_null(exact);
        memcpy(exact, bytes, cut);
        assert_null(parse(exact, cut, 3));
        free(exact);
    }
    rng_init(&rng, 7);
    for (int i = 0; i < 20000; i++) {
        size_t at = (size_t)rng_below(&rng, len);
        uint8_t was = bytes[at];

        bytes[at] = (uint8_t)rng_next(&rng);
        store_group_unref(parse(bytes, len, 3)); /* anything but a crash */
        bytes[at] = was;
    }
    free(bytes);
    store_group_unref(group);
}

static void
marks_name_what_trimming_must_know(void **state)
{
    struct fixture *fixture = *state;
    struct job job = fixture_job(fixture);
    struct store_group *group = begin(fixture);
    struct group_mark mark;

    job.key = "key";
    (void)add_other(fixture, group);
    (void)add(fixture, group, &job, EVENT_JOB_ACCEPTED, NULL);
    (void)add(fixture, group, &job, EVENT_ATTEMPT_STARTED, NULL);
    (void)add(fixture, group, &job, EVENT_JOB_FAILED, NULL);
    (void)add(fixture, group, &job, EVENT_JOB_REQUEUED, NULL);
    assert_int_equal(group_mark_count(group->marks.len), 3);
    assert_true(group_mark(group->marks.at, 0, &mark));
    assert_int_equal(mark.type, EVENT_JOB_ACCEPTED);
    assert_int_equal(mark.index, 1);
    assert_true(group_mark(group->marks.at, 1, &mark));
    assert_int_equal(mark.type, EVENT_JOB_FAILED);
    assert_int_equal(mark.index, 3);
    assert_true(mark.keyed);
    assert_memory_equal(&mark.job, &job.id, 16);
    assert_true(group_mark(group->marks.at, 2, &mark));
    assert_int_equal(mark.type, EVENT_JOB_REQUEUED);
    memset(group->marks.at, 0xff, GROUP_MARK_BYTES);
    assert_false(group_mark(group->marks.at, 0, &mark));
    store_group_unref(group);
}

static void
memory_stays_within_its_bounds(void **state)
{
    struct fixture *fixture = *state;
    struct job first = fixture_job(fixture);
    struct job last = {0};
    uint64_t evicted = 0;
    struct store_answer *answer;

    store_free(fixture->store);
    fixture->options.finished_max = 100;
    fixture->options.payloads_max = 100;
    fixture->options.memory_bytes_max = 20000;
    fixture_open(fixture);
    first.key = "key";
    (void)one(fixture, &first, EVENT_JOB_ACCEPTED, NULL);
    (void)one(fixture, &first, EVENT_JOB_SUCCEEDED, NULL);
    for (size_t i = 0; i < 500; i++) {
        last = finish_one(fixture,
                          i % 3 == 0 ? EVENT_JOB_FAILED : EVENT_JOB_SUCCEEDED);
        project_all(fixture);
    }
    struct store_stats stats;

    store_stats(fixture->store, &stats);
    assert_true(stats.kept_bytes < 22000);
    assert_true(stats.first_seq > 900);
    while ((answer = store_take_answer(fixture->store)) != NULL) {
        assert_int_equal(answer->type, STORE_TRIMMED);
        assert_int_equal(answer->ticket, 0);
        evicted += answer->key_count;
        store_answer_free(answer);
    }
    assert_int_equal(evicted, 1);
    assert_int_equal(lookup(fixture, &first, NULL), STORE_NOT_FOUND);
    assert_int_equal(lookup(fixture, &last, NULL), STORE_OK);
    assert_false(store_keeps_rows(fixture->store));
}

static void
each_ephemeral_store_has_an_epoch_of_its_own(void **state)
{
    struct fixture *fixture = *state;
    char epoch[STORE_EPOCH_BYTES];

    memcpy(epoch, fixture->recovered.epoch, sizeof(epoch));
    assert_int_equal(strlen(epoch), 32);
    fixture_reopen(fixture);
    assert_string_not_equal(epoch, fixture->recovered.epoch);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_checksum_is_crc_32c),
        cmocka_unit_test(both_ways_to_the_checksum_agree),
        cmocka_unit_test(a_table_keeps_slots_in_place_and_uses_them_again),
        cmocka_unit_test_setup_teardown(
            damaged_groups_are_refused_whatever_the_damage, setup_memory,
            teardown),
        cmocka_unit_test_setup_teardown(marks_name_what_trimming_must_know,
                                        setup_memory, teardown),
        cmocka_unit_test_setup_teardown(memory_stays_within_its_bounds,
                                        setup_memory, teardown),
        cmocka_unit_test_setup_teardown(
            each_ephemeral_store_has_an_epoch_of_its_own, setup_memory,
            teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
