/* SPDX-License-Identifier: Apache-2.0 */
#include "server/net/sp_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct sp_requests requests;

static int
setup(void **state)
{
    (void)state;
    sp_requests_init(&requests, SP_REQUESTS_MAX);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    sp_requests_fini(&requests);
    return 0;
}

static enum sp_request_result
add(uint32_t id, uint32_t *ret_value)
{
    uint8_t backtrace[4] = {0x80, (uint8_t)(id >> 16), (uint8_t)(id >> 8),
                            (uint8_t)id};

    return sp_requests_add(&requests, backtrace, sizeof(backtrace), ret_value);
}

static void
a_repeat_is_known_until_it_is_removed(void **state)
{
    uint32_t value = 0;
    uint32_t other = 0;

    (void)state;
    assert_int_equal(add(7, &value), SP_REQUEST_NEW);
    assert_int_not_equal(value, 0);
    assert_int_equal(add(7, &other), SP_REQUEST_PENDING);
    assert_int_equal(other, 0);
    sp_requests_remove(&requests, value);
    assert_int_equal(add(7, &other), SP_REQUEST_NEW);
    assert_int_not_equal(other, value);
}

static void
stale_handles_find_nothing(void **state)
{
    uint32_t value;
    uint32_t next;

    (void)state;
    assert_null(sp_requests_find(&requests, 0));
    assert_null(sp_requests_find(&requests, 12345));
    assert_int_equal(add(1, &value), SP_REQUEST_NEW);
    sp_requests_remove(&requests, value);
    assert_null(sp_requests_find(&requests, value));
    assert_int_equal(add(2, &next), SP_REQUEST_NEW); /* the same slot */
    assert_null(sp_requests_find(&requests, value));
    sp_requests_remove(&requests, value);
    assert_non_null(sp_requests_find(&requests, next));
    assert_int_equal(requests.count, 1);
}

static void
the_table_grows_to_its_limit_and_no_further(void **state)
{
    uint32_t values[SP_REQUESTS_MAX];
    uint32_t value;

    (void)state;
    for (uint32_t id = 0; id < SP_REQUESTS_MAX; id++) {
        assert_int_equal(add(id, &values[id]), SP_REQUEST_NEW);
    }
    assert_int_equal(add(SP_REQUESTS_MAX, &value), SP_REQUEST_FULL);
    assert_int_equal(add(5, &value), SP_REQUEST_PENDING);
    for (uint32_t id = 0; id < SP_REQUESTS_MAX; id++) {
        const struct sp_request *request = sp_requests_find(&requests,
                                                            values[id]);

        assert_non_null(request);
        assert_int_equal(request->backtrace[3], id & 0xff);
    }
    sp_requests_remove(&requests, values[500]);
    assert_int_equal(add(SP_REQUESTS_MAX, &value), SP_REQUEST_NEW);
    assert_int_equal(add(500, &value), SP_REQUEST_FULL);
}

static void
a_smaller_limit_is_kept(void **state)
{
    uint32_t value;

    (void)state;
    sp_requests_fini(&requests);
    sp_requests_init(&requests, 3);
    for (uint32_t id = 0; id < 3; id++) {
        assert_int_equal(add(id, &value), SP_REQUEST_NEW);
    }
    assert_int_equal(add(3, &value), SP_REQUEST_FULL);
}

static void
backtraces_of_other_lengths_are_other_requests(void **state)
{
    static const uint8_t direct[] = {0x80, 0, 0, 9};
    static const uint8_t relayed[] = {0, 0, 0, 5, 0x80, 0, 0, 9};
    uint32_t value;

    (void)state;
    assert_int_equal(sp_requests_add(&requests, direct, 4, &value),
                     SP_REQUEST_NEW);
    assert_int_equal(sp_requests_add(&requests, relayed, 8, &value),
                     SP_REQUEST_NEW);
    assert_int_equal(sp_requests_find(&requests, value)->backtrace_len, 8);
    assert_int_equal(sp_requests_add(&requests, relayed, 8, &value),
                     SP_REQUEST_PENDING);
}

static void
any_order_of_adding_and_removing_keeps_the_books(void **state)
{
    uint32_t values[300] = {0};
    uint32_t seed = 1;
    size_t count = 0;

    (void)state;
    for (size_t step = 0; step < 20000; step++) {
        uint32_t id;

        seed = seed * 1664525u + 1013904223u;
        id = (seed >> 8) % 300;
        if (values[id] != 0) {
            sp_requests_remove(&requests, values[id]);
            values[id] = 0;
            count--;
        } else {
            assert_int_equal(add(id, &values[id]), SP_REQUEST_NEW);
            count++;
        }
        assert_int_equal(requests.count, count);
    }
    for (size_t id = 0; id < 300; id++) {
        assert_int_equal(sp_requests_find(&requests, values[id]) != NULL,
                         values[id] != 0);
    }
}

int
main(void)
{
#define REQUEST_TEST(name) \
    cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        REQUEST_TEST(a_repeat_is_known_until_it_is_removed),
        REQUEST_TEST(stale_handles_find_nothing),
        REQUEST_TEST(the_table_grows_to_its_limit_and_no_further),
        REQUEST_TEST(a_smaller_limit_is_kept),
        REQUEST_TEST(backtraces_of_other_lengths_are_other_requests),
        REQUEST_TEST(any_order_of_adding_and_removing_keeps_the_books),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
