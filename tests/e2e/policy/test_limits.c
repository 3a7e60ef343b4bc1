/* SPDX-License-Identifier: Apache-2.0 */
/* Limits and shares of a real gateway: rate, queue, tenants, Stats. */
#include "client/internal.h"
#include "tests/e2e/harness/harness.h"
#include <redial/v1/admin.pb-c.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { FAIR_JOBS = 40 };

static struct test_gateway gateway;
static struct script worker;
static redial_client *client;
static redial_client *admin;

/* A worker with one place that writes down whose jobs come. */
static struct {
    redial_worker *worker;
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool open;
    char order[4 * FAIR_JOBS + 1]; /* the first letter of each payload */
    size_t count;
} fair;

static const struct redial_i_method stats_method = {
    &redial__v1__admin__descriptor, "Stats", true};

static void
connect_admin(void)
{
    struct redial_client_options options = {
        .struct_size = sizeof(options),
        .connection.addresses = gateway.admin,
    };
    struct redial_error error = {.text = ""};

    assert_int_equal(redial_client_open(&options, &admin, &error), REDIAL_OK);
}

static int
start(void **state)
{
    static const char *const sets[] = {
        "methodConfig=["
        "{\"name\":[{\"service\":\"test\",\"method\":\"Paced\"}],"
        "\"limits\":{\"rate\":{\"perSecond\":10,\"burst\":1}}},"
        "{\"name\":[{\"service\":\"test\",\"method\":\"Rare\"}],"
        "\"limits\":{\"rate\":{\"perMinute\":2,\"burst\":1},\"queue\":2}}]",
        "tenants=[{\"name\":\"tight\",\"limits\":{\"concurrency\":1,"
        "\"queue\":3}},{\"name\":\"heavy\",\"weight\":3}]",
        NULL,
    };

    (void)state;
    gateway_setup(&gateway);
    gateway.sets = sets;
    gateway_run(&gateway);
    script_open(&worker, &gateway, 8);
    client = client_of(&gateway);
    connect_admin();
    return 0;
}

static int
stop(void **state)
{
    (void)state;
    redial_client_close(admin);
    redial_client_close(client);
    script_close(&worker);
    gateway_teardown(&gateway);
    return 0;
}

static struct redial_submitted
submit_to(const char *method, const char *tenant, const char *payload)
{
    struct redial_job job = job_of(payload);

    job.method = method;
    job.tenant = tenant;
    return submit_job(client, &job);
}

static struct redial_error
refused(const char *method, const char *tenant)
{
    struct redial_job job = job_of("ok");
    struct redial_submitted submitted;
    struct redial_error error = {.text = ""};

    job.method = method;
    job.tenant = tenant;
    assert_int_equal(
        redial_submit(client, &job, patience(), &submitted, &error),
        REDIAL_RESOURCE_EXHAUSTED);
    return error;
}

static void
wait_success(const char *id)
{
    struct redial_job_info *info = final_of(client, id);

    assert_int_equal(info->state, REDIAL_JOB_SUCCEEDED);
    redial_job_info_free(info);
}

/* ---- Rate and queue ---------------------------------------------------- */

static void
a_rate_holds_attempts_back(void **state)
{
    enum { JOBS = 8 };
    char ids[JOBS][REDIAL_NAME_BYTES];
    int64_t since = now_ms();

    (void)state;
    for (int i = 0; i < JOBS; i++) {
        struct redial_submitted submitted = submit_to("Paced", NULL, "ok");

        memcpy(ids[i], submitted.id, sizeof(ids[i]));
    }
    for (int i = 0; i < JOBS; i++) {
        wait_success(ids[i]);
    }
    /* One may have had a token at once. */
    assert_true(now_ms() - since >= (JOBS - 1) * 100);
}

static void
a_full_queue_says_so_and_when_to_come_back(void **state)
{
    struct redial_submitted first = submit_to("Rare", NULL, "ok");

    (void)state;
    (void)submit_to("Rare", NULL, "ok");
    struct redial_error error = refused("Rare", NULL);

    assert_string_equal(error.reason, "QUEUE_FULL");
    assert_non_null(strstr(error.text, "limits.queue"));
    assert_int_equal(error.retry_after_ms, 30000);
    struct redial_cancelled cancelled;

    assert_int_equal(
        redial_cancel(client, (struct redial_job_ref){.id = first.id},
                      "makes room", patience(), &cancelled, &error),
        REDIAL_OK);
    (void)submit_to("Rare", NULL, "ok");
}

/* ---- Tenants ----------------------------------------------------------- */

static void
call_stats(struct redial_i_response *response)
{
    Redial__V1__StatsRequest request = REDIAL__V1__STATS_REQUEST__INIT;
    struct redial_error error = {.text = ""};

    if (redial_i_call(admin, &stats_method, &request.base, patience(), response,
                      &error) != REDIAL_OK) {
        fail_msg("Stats: %s", error.text);
    }
}

static const Redial__V1__TenantStats *
tenant_of(const struct redial_i_response *response, const char *name)
{
    const Redial__V1__StatsResponse *stats =
        (const Redial__V1__StatsResponse *)response->message;

    for (size_t i = 0; i < stats->n_tenants; i++) {
        if (strcmp(stats->tenants[i]->tenant, name) == 0) {
            return stats->tenants[i];
        }
    }
    fail_msg("no tenant %s", name);
    return NULL;
}

static uint64_t
counter_of(const struct redial_i_response *response, const char *name)
{
    const Redial__V1__StatsResponse *stats =
        (const Redial__V1__StatsResponse *)response->message;

    for (size_t i = 0; i < stats->n_counters; i++) {
        if (strcmp(stats->counters[i]->name, name) == 0) {
            return stats->counters[i]->value;
        }
    }
    return 0;
}

static void
a_tenant_without_a_place_stops_nobody_else(void **state)
{
    struct redial_submitted jobs[4];
    struct redial_i_response response = {0};

    (void)state;
    for (int i = 0; i < 4; i++) {
        jobs[i] = submit_to("Run", "tight", "hold");
    }
    assert_string_equal(refused("Run", "tight").reason, "TENANT_QUEUE_FULL");
    wait_success(submit_to("Run", "other", "ok").id);
    call_stats(&response);
    const Redial__V1__TenantStats *tight = tenant_of(&response, "tight");

    assert_int_equal(tight->running, 1);
    assert_int_equal(tight->ready, 3);
    assert_string_equal(tight->waits_for, "place");
    assert_int_equal(tight->limits->concurrency, 1);
    assert_int_equal(tight->limits->refused, 1);
    assert_false(tight->limits->has_rate);
    assert_int_equal(tenant_of(&response, "other")->weight, 1);
    assert_int_equal(counter_of(&response, "TENANT_QUEUE_FULL"), 1);
    assert_int_equal(counter_of(&response, "refused_submits"), 1);
    redial_i_response_fini(&response);
    script_release(&worker);
    for (int i = 0; i < 4; i++) {
        wait_success(jobs[i].id);
    }
}

/* The first job waits at the gate until all others have been submitted. */
static void
handle(void *ctx, redial_attempt *attempt)
{
    const struct redial_assignment *work = redial_attempt_work(attempt);
    struct redial_outcome outcome = {.code = REDIAL_OK};

    (void)ctx;
    pthread_mutex_lock(&fair.lock);
    while (!fair.open) {
        pthread_cond_wait(&fair.opened, &fair.lock);
    }
    if (fair.count < sizeof(fair.order) - 1) {
        fair.order[fair.count++] = *(const char *)work->payload;
    }
    pthread_mutex_unlock(&fair.lock);
    redial_attempt_complete(attempt, &outcome, 0);
}

static void
open_fair_worker(void)
{
    struct redial_worker_method method = {
        .service = "fair", .concurrency = 1, .handler = handle};
    struct redial_worker_options options = {
        .struct_size = sizeof(options),
        .connection.addresses = gateway.workers,
        .name = "fair",
        .methods = &method,
        .method_count = 1,
    };
    struct redial_error error = {.text = ""};

    memset(&fair, 0, sizeof(fair));
    pthread_mutex_init(&fair.lock, NULL);
    pthread_cond_init(&fair.opened, NULL);
    assert_int_equal(redial_worker_open(&options, &fair.worker, &error),
                     REDIAL_OK);
    assert_int_equal(redial_worker_wait_ready(fair.worker, patience(), &error),
                     REDIAL_OK);
}

static struct redial_submitted
submit_fair(const char *tenant, const char *payload)
{
    struct redial_job job = job_of(payload);

    job.service = "fair";
    job.tenant = tenant;
    return submit_job(client, &job);
}

static void
tenants_share_by_weight(void **state)
{
    struct redial_submitted jobs[2 * FAIR_JOBS];
    int heavy = 0;

    (void)state;
    open_fair_worker();
    (void)submit_fair("gate", "gate");
    for (int i = 0; i < FAIR_JOBS; i++) {
        jobs[2 * i] = submit_fair("light", "light");
        jobs[2 * i + 1] = submit_fair("heavy", "heavy");
    }
    pthread_mutex_lock(&fair.lock);
    fair.open = true;
    pthread_cond_broadcast(&fair.opened);
    pthread_mutex_unlock(&fair.lock);
    for (int i = 0; i < 2 * FAIR_JOBS; i++) {
        wait_success(jobs[i].id);
    }
    redial_worker_close(fair.worker);
    assert_int_equal(fair.order[0], 'g');
    for (int i = 1; i <= FAIR_JOBS; i++) {
        heavy += fair.order[i] == 'h';
    }
    /* While both compete: three of four; a round may have begun before. */
    assert_in_range(heavy, FAIR_JOBS * 3 / 4 - 3, FAIR_JOBS * 3 / 4 + 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_rate_holds_attempts_back, start,
                                        stop),
        cmocka_unit_test_setup_teardown(
            a_full_queue_says_so_and_when_to_come_back, start, stop),
        cmocka_unit_test_setup_teardown(
            a_tenant_without_a_place_stops_nobody_else, start, stop),
        cmocka_unit_test_setup_teardown(tenants_share_by_weight, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
