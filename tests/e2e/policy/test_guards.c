/* SPDX-License-Identifier: Apache-2.0 */
/* Budgets and Explain of a real gateway, before and after what they tell of. */
#include "tests/e2e/policy/admin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct test_gateway gateway;
static struct script worker;
static redial_client *client;
static redial_client *admin;

static int
start(void **state)
{
    static const char *const sets[] = {
        "defaultPolicy.initialBackoff=0.1s",
        "retryThrottling={\"maxTokens\":4,\"tokenRatio\":0.5}",
        "targets=[{\"name\":\"other\",\"budget\":{\"ratio\":0.5}}]",
        NULL,
    };

    (void)state;
    gateway_setup(&gateway);
    gateway.sets = sets;
    gateway_run(&gateway);
    script_open(&worker, &gateway, 8);
    client = client_of(&gateway);
    admin = admin_of(&gateway);
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

/* ---- Calls ------------------------------------------------------------- */

static void
run_job(const char *payload)
{
    struct redial_job job = job_of(payload);

    redial_job_info_free(final_of(client, submit_job(client, &job).id));
}

/* ---- Budgets ----------------------------------------------------------- */

static void
tokens_are_as_the_jobs_left_them(void **state)
{
    Redial__V1__Budget budget;

    (void)state;
    run_job("ok");
    budget = admin_budget(admin, "test");
    assert_int_equal(budget.tokens_milli, 4000);
    assert_int_equal(budget.tokens_max_milli, 4000);
    assert_false(budget.throttle_exhausted);
    assert_false(budget.has_budget_milli);
    run_job("fail 1 UNAVAILABLE BUSY 5");
    budget = admin_budget(admin, "test");
    assert_int_equal(budget.tokens_milli, 3500);
    assert_int_equal(budget.retries_allowed, 1);
    assert_int_equal(budget.retries_refused, 0);
    assert_int_equal(budget.retries_waiting, 0);
}

static void
an_unknown_target_and_a_bad_cursor_are_refused(void **state)
{
    Redial__V1__BudgetsRequest request = REDIAL__V1__BUDGETS_REQUEST__INIT;
    struct redial_i_response response = {0};
    struct redial_error error;
    char target[] = "nobody";
    char cursor[] = "12x";

    (void)state;
    request.target = target;
    assert_int_equal(
        admin_call(admin, "Budgets", &request.base, &response, &error),
        REDIAL_NOT_FOUND);
    request.target = NULL;
    request.cursor = cursor;
    assert_int_equal(
        admin_call(admin, "Budgets", &request.base, &response, &error),
        REDIAL_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "cursor"));
}

static void
pages_hold_every_target_once(void **state)
{
    static const char *const services[] = {"test", "a", "b", "c"};
    Redial__V1__BudgetsRequest request = REDIAL__V1__BUDGETS_REQUEST__INIT;
    char cursor[16] = "";
    unsigned seen = 0;
    int pages = 0;

    (void)state;
    for (size_t i = 1; i < 4; i++) {
        struct redial_job job = job_of("ok");

        job.service = services[i];
        (void)submit_job(client, &job);
    }
    request.has_max = true;
    request.max = 3;
    do {
        struct redial_i_response response = {0};
        const Redial__V1__BudgetsResponse *got;
        struct redial_error error;

        request.cursor = cursor;
        assert_int_equal(
            admin_call(admin, "Budgets", &request.base, &response, &error),
            REDIAL_OK);
        got = (const Redial__V1__BudgetsResponse *)response.message;
        for (size_t i = 0; i < got->n_budgets; i++) {
            for (unsigned j = 0; j < 4; j++) {
                if (strcmp(got->budgets[i]->target, services[j]) == 0) {
                    assert_int_equal(seen & 1u << j, 0);
                    seen |= 1u << j;
                }
            }
        }
        (void)snprintf(cursor, sizeof(cursor), "%s", got->cursor);
        redial_i_response_fini(&response);
        pages++;
    } while (cursor[0] != '\0' && pages < 10);
    assert_int_equal(seen, 15);
    assert_int_equal(pages, 2);
}

/* ---- Explain ----------------------------------------------------------- */

/* What a request is made of. */
struct question {
    Redial__V1__ExplainRequest request;
    Redial__V1__Outcome failure;
    char service[32];
    char method[32];
    char reason[32];
    char job[REDIAL_NAME_BYTES];
};

static void
ask_about(struct question *question, enum redial_status code)
{
    *question = (struct question){
        .service = "test", .method = "Run", .reason = "BUSY"};
    redial__v1__explain_request__init(&question->request);
    redial__v1__outcome__init(&question->failure);
    question->request.failure = &question->failure;
    question->request.service = question->service;
    question->request.method = question->method;
    question->failure.has_code = true;
    question->failure.code = (Redial__V1__Code)code;
    question->failure.reason = question->reason;
}

static const Redial__V1__ExplainResponse *
answer_to(const struct question *question, struct redial_i_response *response)
{
    struct redial_error error;

    if (admin_call(admin, "Explain", &question->request.base, response,
                   &error) != REDIAL_OK) {
        fail_msg("Explain: %s", error.text);
    }
    return (const Redial__V1__ExplainResponse *)response->message;
}

static const Redial__V1__ExplainStep *
step_of(const Redial__V1__ExplainResponse *answer, const char *name)
{
    for (size_t i = 0; i < answer->n_steps; i++) {
        if (strcmp(answer->steps[i]->name, name) == 0) {
            return answer->steps[i];
        }
    }
    fail_msg("no step %s", name);
    return NULL;
}

static void
a_retry_is_explained_with_its_bounds_and_its_figures(void **state)
{
    struct redial_i_response response;
    struct question question;
    const Redial__V1__ExplainResponse *answer;
    const Redial__V1__ExplainStep *step;

    (void)state;
    ask_about(&question, REDIAL_UNAVAILABLE);
    answer = answer_to(&question, &response);
    assert_string_equal(answer->decision->rule, "RETRY_PLANNED");
    assert_int_equal(answer->decision->attempts_charged, 1);
    assert_int_equal(answer->decision->attempts_left, 2);
    assert_int_equal(answer->delay_ms_min, 80);
    assert_int_equal(answer->delay_ms_max, 120);
    assert_false(answer->decision->has_delay_ms);
    assert_string_equal(answer->sentence, "retries in 80 to 120 ms");
    step = step_of(answer, "throttle");
    assert_int_equal(step->number, 6);
    assert_string_equal(step->verdict, "passes");
    assert_string_equal(
        step->text, "2.5 of 4 tokens after this failure, must stay above 2");
    step = step_of(answer, "budget");
    assert_string_equal(step->verdict, "not asked");
    step = step_of(answer, "deadline");
    assert_string_equal(step->verdict, "not asked");
    assert_string_equal(step->text, "the job has none");
    redial_i_response_fini(&response);
    /* Asking has changed nothing. */
    assert_int_equal(admin_budget(admin, "test").tokens_milli, 3500);
}

static void
an_end_names_its_step_and_asks_no_later_one(void **state)
{
    struct redial_i_response response;
    struct question question;
    const Redial__V1__ExplainResponse *answer;

    (void)state;
    ask_about(&question, REDIAL_INTERNAL);
    answer = answer_to(&question, &response);
    assert_string_equal(answer->decision->rule, "NON_RETRYABLE_CODE");
    assert_false(answer->has_delay_ms_min);
    assert_string_equal(step_of(answer, "reason and code")->verdict,
                        "ends here");
    assert_string_equal(step_of(answer, "outcome")->verdict, "passes");
    assert_string_equal(step_of(answer, "attempts")->verdict, "not asked");
    redial_i_response_fini(&response);
}

static void
chance_and_the_deadline_may_decide_together(void **state)
{
    struct redial_i_response response;
    struct question question;
    const Redial__V1__ExplainResponse *answer;

    (void)state;
    ask_about(&question, REDIAL_UNAVAILABLE);
    question.request.has_deadline_ms = true;
    question.request.deadline_ms = 100;
    answer = answer_to(&question, &response);
    assert_string_equal(answer->decision->rule, "RETRY_PLANNED");
    assert_string_equal(step_of(answer, "deadline")->verdict, "may end here");
    redial_i_response_fini(&response);
    question.request.deadline_ms = 80;
    answer = answer_to(&question, &response);
    assert_string_equal(answer->decision->rule, "DEADLINE_WOULD_EXPIRE");
    redial_i_response_fini(&response);
}

static void
a_live_job_is_explained_with_its_own_counts(void **state)
{
    struct redial_job job = job_of("hold");
    struct redial_i_response response;
    struct redial_submitted submitted;
    struct question question;
    const Redial__V1__ExplainResponse *answer;

    (void)state;
    job.max_attempts = 1;
    submitted = submit_job(client, &job);
    wait_for_event(client, submitted.id, "attempt.started");
    ask_about(&question, REDIAL_UNAVAILABLE);
    question.request.service = NULL;
    question.request.method = NULL;
    question.request.job_id = submitted.id;
    answer = answer_to(&question, &response);
    assert_string_equal(answer->decision->rule, "ATTEMPTS_EXHAUSTED");
    assert_string_equal(step_of(answer, "attempts")->text,
                        "1 charged of 1 (the policy allows 3)");
    redial_i_response_fini(&response);
    script_release(&worker);
    redial_job_info_free(final_of(client, submitted.id));
}

static void
expect_refusal(const struct question *question, enum redial_status status,
               const char *word)
{
    struct redial_i_response response = {0};
    struct redial_error error;

    assert_int_equal(admin_call(admin, "Explain", &question->request.base,
                                &response, &error),
                     status);
    if (strstr(error.text, word) == NULL) {
        fail_msg("no \"%s\" in: %s", word, error.text);
    }
}

static void
a_wrong_question_names_its_field(void **state)
{
    char id[37];
    char bad[] = "no-id";
    struct question question;

    (void)state;
    ask_about(&question, REDIAL_UNAVAILABLE);
    question.request.method = NULL;
    expect_refusal(&question, REDIAL_INVALID_ARGUMENT, "method");
    ask_about(&question, REDIAL_UNAVAILABLE);
    question.request.has_attempts = true;
    expect_refusal(&question, REDIAL_INVALID_ARGUMENT, "attempts");
    ask_about(&question, REDIAL_UNAVAILABLE);
    question.request.failure = NULL;
    expect_refusal(&question, REDIAL_INVALID_ARGUMENT, "failure.code");
    ask_about(&question, REDIAL_UNAVAILABLE);
    question.failure.has_for_target = true;
    question.failure.for_target = true;
    expect_refusal(&question, REDIAL_INVALID_ARGUMENT, "failure.for_target");
    ask_about(&question, REDIAL_UNAVAILABLE);
    question.request.job_id = bad;
    expect_refusal(&question, REDIAL_INVALID_ARGUMENT, "job_id");
    redial_new_id(id);
    question.request.job_id = id;
    expect_refusal(&question, REDIAL_INVALID_ARGUMENT, "service");
    question.request.service = NULL;
    question.request.method = NULL;
    expect_refusal(&question, REDIAL_NOT_FOUND, "live job");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_as_the_jobs_left_them),
        cmocka_unit_test(an_unknown_target_and_a_bad_cursor_are_refused),
        cmocka_unit_test(a_retry_is_explained_with_its_bounds_and_its_figures),
        cmocka_unit_test(an_end_names_its_step_and_asks_no_later_one),
        cmocka_unit_test(chance_and_the_deadline_may_decide_together),
        cmocka_unit_test(a_live_job_is_explained_with_its_own_counts),
        cmocka_unit_test(a_wrong_question_names_its_field),
        cmocka_unit_test(pages_hold_every_target_once),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
