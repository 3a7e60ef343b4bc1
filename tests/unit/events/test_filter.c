/* SPDX-License-Identifier: Apache-2.0 */
#include "server/events/filter.h"
#include "server/events/tail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct text
text(const char *string)
{
    return (struct text){string, (uint32_t)strlen(string)};
}

static struct record
make(const char *correlation, uint8_t job)
{
    return (struct record){
        .type = EVENT_ATTEMPT_FAILED,
        .job_seq = 3,
        .job = {{job}},
        .correlation = text(correlation),
        .service = text("image.ImageGen"),
        .method = text("Generate"),
        .tenant = text("blue"),
    };
}

/* Both looks at a record must agree on a yes. */
static bool
matches(const struct filter *filter, const struct record *record)
{
    struct tail_entry entry = {
        .type = record->type,
        .correlation_hash = filter_hash_correlation(record->correlation),
        .method_hash = filter_hash_method(record->service, record->method),
        .job = record->job,
    };
    bool exact = filter_matches(filter, record);

    assert_true(!exact || filter_may_match(filter, &entry));
    return exact;
}

static void
an_empty_filter_takes_everything(void **state)
{
    struct filter filter;
    struct record record = make("c1", 1);

    (void)state;
    filter_init(&filter);
    filter_seal(&filter, NULL);
    assert_true(matches(&filter, &record));
    filter_fini(&filter);
}

static void
a_correlation_id_takes_its_jobs_only(void **state)
{
    struct filter filter;
    struct record yes = make("c1", 1);
    struct record no = make("c2", 1);
    struct record none = make("", 1);

    (void)state;
    filter_init(&filter);
    (void)snprintf(filter.correlation, sizeof(filter.correlation), "c1");
    filter_seal(&filter, NULL);
    assert_true(matches(&filter, &yes));
    assert_false(matches(&filter, &no));
    assert_false(matches(&filter, &none));
    filter_fini(&filter);
}

static void
a_job_without_one_is_correlated_by_its_id(void **state)
{
    struct filter filter;
    struct job_id id = {{7}};
    struct record own = make("", 7);
    struct record other = make("", 8);

    (void)state;
    filter_init(&filter);
    (void)snprintf(filter.correlation, sizeof(filter.correlation), "its id");
    filter_seal(&filter, &id);
    assert_true(matches(&filter, &own));
    assert_false(matches(&filter, &other));
    filter_fini(&filter);
}

static void
types_are_taken_by_name_and_by_group(void **state)
{
    struct filter filter;
    struct record record = make("c", 1);

    (void)state;
    filter_init(&filter);
    assert_true(filter_add_type(&filter, text("attempt")));
    filter_seal(&filter, NULL);
    assert_true(matches(&filter, &record));
    record.type = EVENT_JOB_FAILED;
    assert_false(matches(&filter, &record));
    assert_true(filter_add_type(&filter, text("job.failed")));
    assert_true(matches(&filter, &record));
    record.type = EVENT_JOB_SUCCEEDED;
    assert_false(matches(&filter, &record));
    filter_fini(&filter);
}

static void
a_type_that_is_none_is_refused(void **state)
{
    struct filter filter;

    (void)state;
    filter_init(&filter);
    assert_false(filter_add_type(&filter, text("job.suceeded")));
    assert_false(filter_add_type(&filter, text("jo")));
    assert_false(filter_add_type(&filter, text("")));
    assert_false(filter.has_types);
    filter_fini(&filter);
}

static void
all_parts_must_match(void **state)
{
    struct filter filter;
    struct record record = make("c", 1);

    (void)state;
    filter_init(&filter);
    (void)snprintf(filter.service, sizeof(filter.service), "image.ImageGen");
    (void)snprintf(filter.method, sizeof(filter.method), "Generate");
    (void)snprintf(filter.tenant, sizeof(filter.tenant), "blue");
    filter_seal(&filter, NULL);
    assert_true(matches(&filter, &record));
    record.tenant = text("red");
    assert_false(matches(&filter, &record));
    record.tenant = text("blue");
    record.method = text("Other");
    assert_false(matches(&filter, &record));
    filter_fini(&filter);
}

static void
a_thousand_jobs_are_the_limit(void **state)
{
    struct filter filter;
    struct record record = make("c", 0);

    (void)state;
    filter_init(&filter);
    for (uint32_t i = 0; i < FILTER_JOBS_MAX; i++) {
        struct job_id id = {{(uint8_t)(i % 250 + 1), (uint8_t)(i / 250)}};

        assert_true(filter_add_job(&filter, id));
    }
    assert_false(filter_add_job(&filter, (struct job_id){{9}}));
    filter_seal(&filter, NULL);
    assert_false(matches(&filter, &record));
    record.job = (struct job_id){{250, 3}};
    assert_true(matches(&filter, &record));
    filter_fini(&filter);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_filter_takes_everything),
        cmocka_unit_test(a_correlation_id_takes_its_jobs_only),
        cmocka_unit_test(a_job_without_one_is_correlated_by_its_id),
        cmocka_unit_test(types_are_taken_by_name_and_by_group),
        cmocka_unit_test(a_type_that_is_none_is_refused),
        cmocka_unit_test(all_parts_must_match),
        cmocka_unit_test(a_thousand_jobs_are_the_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
