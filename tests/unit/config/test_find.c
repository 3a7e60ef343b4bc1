/* SPDX-License-Identifier: Apache-2.0 */
/* Ten thousand methods: each is found, in steps that grow with the logarithm.
 */
#include "tests/unit/config/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    SERVICES = 100,
    METHODS = 100,
    TEXT_BYTES = 1048576,
    /* Two searches of 14 steps, two names in a step. */
    STEPS_MAX = 2 * 14 * 2,
};

static size_t steps;

int
__wrap_memcmp(const void *a, const void *b, size_t size);

int
__real_memcmp(const void *a, const void *b, size_t size);

int
__wrap_memcmp(const void *a, const void *b, size_t size)
{
    steps++;
    return __real_memcmp(a, b, size);
}

static struct text
text_of(const char *text)
{
    return (struct text){.at = text, .len = (uint32_t)strlen(text)};
}

/* Each method has a deadline of its own; each tenth service has one for all. */
static char *
make_text(void)
{
    char *text = malloc(TEXT_BYTES);
    size_t len;

    assert_non_null(text);
    len = (size_t)snprintf(text, TEXT_BYTES, "{'methodConfig': [");
    for (unsigned i = 0; i < SERVICES * METHODS; i++) {
        len += (size_t)snprintf(text + len, TEXT_BYTES - len,
                                "%s{'name': [{'service': 's%02u',"
                                " 'method': 'm%02u'}], 'timeout': '%us'}",
                                i == 0 ? "" : ",", i * 37 % SERVICES,
                                i / SERVICES, 1 + i);
    }
    (void)snprintf(text + len, TEXT_BYTES - len,
                   ",{'name': [{'service': 's07'}], 'timeout': '77777s'}]}");
    return text;
}

static void
ten_thousand_methods_are_found_in_a_few_steps(void **state)
{
    struct loaded loaded;
    char *text = make_text();
    size_t most = 0;

    (void)state;
    load_text(&loaded, text);
    free(text);
    assert_int_equal(loaded.status, REDIAL_OK);
    const struct policy_set *set = config_policy(loaded.config);

    assert_int_equal(set->method_count, SERVICES * METHODS + 1);
    for (unsigned i = 0; i < SERVICES * METHODS; i++) {
        char service[8];
        char method[8];

        (void)snprintf(service, sizeof(service), "s%02u", i * 37 % SERVICES);
        (void)snprintf(method, sizeof(method), "m%02u", i / SERVICES);
        steps = 0;
        const struct method_policy *policy = policy_find(set, text_of(service),
                                                         text_of(method));

        most = steps > most ? steps : most;
        assert_int_equal(policy->deadline_ms, (1 + i) * 1000);
    }
    steps = 0;
    assert_int_equal(
        policy_find(set, text_of("s07"), text_of("other"))->deadline_ms,
        77777000);
    most = steps > most ? steps : most;
    steps = 0;
    assert_ptr_equal(policy_find(set, text_of("s08"), text_of("other")),
                     &set->fallback);
    most = steps > most ? steps : most;
    assert_in_range(most, 10, STEPS_MAX);
    loaded_fini(&loaded);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_methods_are_found_in_a_few_steps),
    };

    return cmocka_run_group_tests(tests, NULL, folder_fini);
}
