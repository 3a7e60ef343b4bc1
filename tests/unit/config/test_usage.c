/* SPDX-License-Identifier: Apache-2.0 */
/* What methods and tenants may use: concurrency, rate, queue, share. */
#include "tests/unit/config/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct text
text_of(const char *text)
{
    return (struct text){.at = text, .len = (uint32_t)strlen(text)};
}

static const struct policy_set *
policy_of(struct loaded *loaded)
{
    if (loaded->status != REDIAL_OK) {
        fail_msg("%s", loaded_report(loaded));
    }
    return config_policy(loaded->config);
}

static const struct vector usage_vectors[] = {
    {"nothing", "{}", ""},
    {"least", "{'concurrency': 1, 'rate': 1, 'queue': 1}", ""},
    {"most", "{'concurrency': 1000000, 'rate': 1000000, 'queue': 10000000}",
     ""},
    {"zero", "{'concurrency': 0, 'rate': 0, 'queue': 0}",
     "!concurrency !rate !queue"},
    {"too much", "{'concurrency': 1000001, 'rate': 1000001, 'queue': 10000001}",
     "!concurrency !rate !queue"},
    {"fractions", "{'concurrency': 1.5, 'rate': 1.5, 'queue': 1.5}",
     "!concurrency !rate !queue"},
    {"other kinds", "{'concurrency': '1', 'rate': '5/s', 'queue': true}",
     "!concurrency !rate !queue"},
    {"least objects", "{'rate': {'perSecond': 1, 'burst': 1}}", ""},
    {"most objects", "{'rate': {'perMinute': 1000000, 'burst': 1000000}}", ""},
    {"zero objects", "{'rate': {'perSecond': 0, 'burst': 0}}",
     "!rate.perSecond !rate.burst"},
    {"too much in objects",
     "{'rate': {'perMinute': 1000001, 'burst': 1000001}}",
     "!rate.perMinute !rate.burst"},
    {"both periods", "{'rate': {'perSecond': 1, 'perMinute': 60}}", "!rate"},
    {"no period", "{'rate': {'burst': 5}}", "!rate"},
    {"another period", "{'rate': {'perHour': 5}}", "!rate.perHour !rate"},
    {"a list", "{'rate': [5]}", "!rate"},
    {"unknown", "{'jobs': 5}", "!jobs"},
    {"no object", "5", "!"},
};

static void
limits_of_methods_and_tenants_are_checked(void **state)
{
    static const struct frame method = {
        "{'methodConfig': [{'name': [{}], 'limits': ", "}]}",
        "methodConfig[0].limits"};
    static const struct frame tenant = {
        "{'tenants': [{'name': 'a', 'limits': ", "}]}", "tenants[0].limits"};

    (void)state;
    RUN_VECTORS(usage_vectors, &method);
    RUN_VECTORS(usage_vectors, &tenant);
}

static void
limits_say_what_was_written(void **state)
{
    struct loaded loaded;

    (void)state;
    load_text(&loaded, "{'methodConfig': [{'name': [{'service': 'S'}],"
                       " 'limits': {'rate': 7, 'queue': 8}},"
                       " {'name': [{'service': 'T'}], 'limits':"
                       " {'rate': {'perMinute': 9, 'burst': 10}}},"
                       " {'name': [{}], 'limits': {'concurrency': 11,"
                       " 'rate': {'perSecond': 12}}}]}");
    const struct policy_set *set = policy_of(&loaded);
    const struct limit_policy *s =
        &policy_find(set, text_of("S"), text_of("M"))->limits;
    const struct limit_policy *t =
        &policy_find(set, text_of("T"), text_of("M"))->limits;
    const struct limit_policy *other = &set->fallback.limits;

    assert_int_equal(s->rate, 7);
    assert_int_equal(s->rate_period_ms, 1000);
    assert_int_equal(s->burst, 0);
    assert_int_equal(s->queue, 8);
    assert_int_equal(s->concurrency, 0);
    assert_int_equal(t->rate, 9);
    assert_int_equal(t->rate_period_ms, 60000);
    assert_int_equal(t->burst, 10);
    assert_int_equal(t->queue, 0);
    assert_int_equal(other->concurrency, 11);
    assert_int_equal(other->rate, 12);
    assert_int_equal(other->rate_period_ms, 1000);
    loaded_fini(&loaded);
}

static const struct vector tenant_vectors[] = {
    {"none", "[]", ""},
    {"a name only", "[{'name': 'a'}]", ""},
    {"least and most weight",
     "[{'name': 'a', 'weight': 1}, {'name': 'b', 'weight': 1000}]", ""},
    {"beyond", "[{'name': 'a', 'weight': 0}, {'name': 'b', 'weight': 1001}]",
     "![0].weight ![1].weight"},
    {"part of a weight", "[{'weight': 1.5}]", "![0].weight"},
    {"names as jobs have them", "[{'name': 'a/b:c'}, {'name': '**'}]", ""},
    {"names that no job has", "[{'name': 'a b'}, {'name': 5}]",
     "![0].name ![1].name"},
    {"twice", "[{'name': 'a'}, {'name': 'b'}, {'name': 'a'}]", "![2]"},
    {"the others twice", "[{'name': '*'}, {'weight': 2}, {'name': ''}]",
     "![1] ![2]"},
    {"no object", "['a']", "![0]"},
    {"no array", "{'a': 1}", "!"},
    {"unknown", "[{'name': 'a', 'rate': 5}]", "![0].rate"},
};

static void
tenants_are_checked_at_their_limits(void **state)
{
    static const struct frame frame = {"{'tenants': ", "}", "tenants"};

    (void)state;
    RUN_VECTORS(tenant_vectors, &frame);
}

static void
a_tenant_without_an_entry_is_like_the_others(void **state)
{
    struct loaded loaded;

    (void)state;
    load_text(&loaded, "{'tenants': [{'name': 'b', 'weight': 5},"
                       " {'name': '*', 'weight': 3,"
                       "  'limits': {'concurrency': 2}},"
                       " {'name': 'a', 'limits': {'queue': 4}}]}");
    const struct policy_set *set = policy_of(&loaded);
    const struct tenant_policy *a = policy_find_tenant(set, text_of("a"));

    assert_int_equal(set->tenant_count, 2);
    assert_int_equal(a->weight, 1);
    assert_int_equal(a->limits.queue, 4);
    assert_int_equal(a->limits.concurrency, 0);
    assert_int_equal(policy_find_tenant(set, text_of("b"))->weight, 5);
    assert_ptr_equal(policy_find_tenant(set, text_of("c")),
                     &set->tenant_fallback);
    assert_ptr_equal(policy_find_tenant(set, text_of("*")),
                     &set->tenant_fallback);
    assert_ptr_equal(policy_find_tenant(set, text_of("")),
                     &set->tenant_fallback);
    assert_int_equal(set->tenant_fallback.weight, 3);
    assert_int_equal(set->tenant_fallback.limits.concurrency, 2);
    loaded_fini(&loaded);
    load_text(&loaded, "{}");
    assert_int_equal(policy_of(&loaded)->tenant_fallback.weight, 1);
    assert_int_equal(policy_of(&loaded)->tenant_count, 0);
    loaded_fini(&loaded);
}

static void
tenants_and_targets_come_together_from_all_sources(void **state)
{
    static const char *const sets[] = {
        "tenants=[{\"name\":\"b\",\"weight\":2}]",
        "budget={\"ratio\":0.5}",
    };
    struct loaded loaded;

    (void)state;
    folder_write("redial.json", "{'tenants': [{'name': 'c'}],"
                                " 'budget': {'ratio': 0.1, 'window': '3s'}}");
    folder_write("conf.d/a.json", "{'tenants': [{'name': 'a'}],"
                                  " 'targets': [{'name': 'T',"
                                  " 'budget': {'ratio': 2}}]}");
    folder_write("conf.d/b.json", "{'targets': [{'name': 'S',"
                                  " 'budget': {'ratio': 3}}]}");
    load_sources(&loaded, &(struct config_sources){
                              .file = folder_path("redial.json"),
                              .sets = sets,
                              .set_count = 2,
                          });
    const struct policy_set *set = policy_of(&loaded);

    assert_int_equal(set->tenant_count, 3);
    assert_string_equal(set->tenants[0].name.at, "a");
    assert_string_equal(set->tenants[1].name.at, "b");
    assert_string_equal(set->tenants[2].name.at, "c");
    assert_int_equal(set->target_count, 2);
    assert_int_equal(policy_find_target(set, text_of("S"))->budget_ratio_milli,
                     3000);
    /* The last one counts as a whole. */
    assert_int_equal(set->target_fallback.budget_ratio_milli, 500);
    assert_int_equal(set->target_fallback.budget_window_ms, 10000);
    loaded_fini(&loaded);
    folder_write("conf.d/b.json", "{'tenants': [{'name': 'a'}]}");
    load_sources(&loaded, &(struct config_sources){
                              .file = folder_path("redial.json"),
                          });
    assert_string_equal(loaded_report(&loaded),
                        "conf.d/b.json:1: error: tenants[0]: found a; allowed: "
                        "each tenant once (see tenants[0] in conf.d/a.json, "
                        "line 1)\n");
    loaded_fini(&loaded);
    folder_remove("conf.d/a.json");
    folder_remove("conf.d/b.json");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_of_methods_and_tenants_are_checked),
        cmocka_unit_test(limits_say_what_was_written),
        cmocka_unit_test(tenants_are_checked_at_their_limits),
        cmocka_unit_test(a_tenant_without_an_entry_is_like_the_others),
        cmocka_unit_test(tenants_and_targets_come_together_from_all_sources),
    };

    return cmocka_run_group_tests(tests, NULL, folder_fini);
}
