/* SPDX-License-Identifier: Apache-2.0 */
/* A gateway without files: it forgets what it must, and goes on. */
#include "tests/e2e/harness/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum {
    KEPT = 1000, /* finished jobs, by configuration */
    BATCH = 500,
    BATCHES = 8,
};

static struct test_gateway gateway;
static struct script worker;
static redial_client *client;

static int
start(void **state)
{
    static const char *const sets[] = {
        "store.ephemeral=true",
        "retention.finishedJobs=1000",
        NULL,
    };

    (void)state;
    gateway_setup(&gateway);
    gateway.sets = sets;
    gateway_run(&gateway);
    script_open(&worker, &gateway, 32);
    client = client_of(&gateway);
    return 0;
}

static int
stop(void **state)
{
    (void)state;
    redial_client_close(client);
    script_close(&worker);
    assert_int_equal(gateway_terminate(&gateway), 0);
    gateway_teardown(&gateway);
    return 0;
}

static void
run_batch(char ret_first[REDIAL_NAME_BYTES])
{
    static struct redial_submitted submitted[BATCH];
    struct redial_job jobs[BATCH];
    const char *ids[BATCH];
    struct redial_await what = {
        .struct_size = sizeof(what),
        .ids = ids,
        .id_count = BATCH,
        .all = true,
    };
    struct redial_job_list *list = NULL;
    struct redial_error error = {.text = ""};

    for (size_t i = 0; i < BATCH; i++) {
        jobs[i] = job_of("ok");
        ids[i] = submitted[i].id;
    }
    assert_int_equal(
        redial_submit_many(client, jobs, BATCH, patience(), submitted, &error),
        REDIAL_OK);
    assert_int_equal(redial_await(client, &what, patience(), &list, &error),
                     REDIAL_OK);
    assert_int_equal(list->count, BATCH);
    redial_job_list_free(list);
    memcpy(ret_first, submitted[0].id, REDIAL_NAME_BYTES);
}

static void
more_jobs_than_it_may_keep_are_no_trouble(void **state)
{
    char id[REDIAL_NAME_BYTES];

    (void)state;
    assert_true(BATCH * BATCHES > 2 * KEPT);
    for (int i = 0; i < BATCHES; i++) {
        run_batch(id);
    }
    redial_job_info_free(final_of(client, id));
}

static void
a_restart_begins_anew(void **state)
{
    struct redial_job job = job_of("ok");
    struct redial_submitted submitted;
    struct redial_job_info *info = NULL;
    struct redial_error error;

    (void)state;
    submitted = submit_job(client, &job);
    redial_job_info_free(final_of(client, submitted.id));
    gateway_kill(&gateway);
    gateway_run(&gateway);
    assert_int_equal(redial_get(client,
                                (struct redial_job_ref){.id = submitted.id},
                                patience(), &info, &error),
                     REDIAL_NOT_FOUND);
    redial_job_info_free(final_of(client, submit_job(client, &job).id));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_jobs_than_it_may_keep_are_no_trouble),
        cmocka_unit_test(a_restart_begins_anew),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
