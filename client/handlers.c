/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who runs handlers: a pool of threads for those that may block, started when
 * they are needed, and the loop's thread for the others and for cancel
 * callbacks.
 */
#include "client/clock.h"
#include "client/crew.h"

#include <stdlib.h>

/* ---- threads that may block ---- */

/* The handler has come back without an outcome. */
static void
end_without_outcome_locked(redial_attempt *attempt)
{
    uint8_t *report = NULL;
    size_t bytes = 0;

    (void)redial_i_report_pack_failure(
        attempt, REDIAL_INTERNAL, "NO_OUTCOME",
        "the handler returned without completing the attempt", &report, &bytes);
    redial_i_attempt_end_locked(attempt, report, bytes);
}

static void
run_blocking_locked(redial_attempt *attempt)
{
    redial_worker *worker = attempt->worker;
    const struct redial_i_crew_method *method = attempt->method;

    attempt->state = REDIAL_I_ATTEMPT_RUNNING;
    attempt->in_handler = true;
    redial_i_unlock(&worker->loop);
    method->handler(method->ctx, attempt);
    redial_i_lock(&worker->loop);
    while (attempt->in_cancel) {
        (void)redial_i_wait_locked(&worker->loop, &worker->changed,
                                   REDIAL_I_NEVER);
    }
    if (attempt->state != REDIAL_I_ATTEMPT_ENDED) {
        end_without_outcome_locked(attempt); /* in_handler keeps it */
    }
    attempt->in_handler = false;
    redial_i_attempt_release_locked(attempt);
    redial_i_session_pump_locked(worker);
}

static void *
run_thread(void *arg)
{
    redial_worker *worker = arg;

    redial_i_lock(&worker->loop);
    for (;;) {
        struct redial_i_list *node = redial_i_list_pop(&worker->pool_queue);

        if (node != NULL) {
            run_blocking_locked(
                REDIAL_I_OF(node, struct redial_attempt, queue));
        } else if (worker->is_pool_closing) {
            break;
        } else {
            worker->threads_idle++;
            (void)redial_i_wait_locked(&worker->loop, &worker->pool_work,
                                       REDIAL_I_NEVER);
            worker->threads_idle--;
        }
    }
    redial_i_unlock(&worker->loop);
    return NULL;
}

static size_t
queue_length(const struct redial_i_list *head, size_t max)
{
    size_t count = 0;

    for (const struct redial_i_list *at = head->next; at != head && count < max;
         at = at->next) {
        count++;
    }
    return count;
}

/* One more thread, if those that wait are fewer than the attempts that do. */
static void
grow_pool_locked(redial_worker *worker)
{
    if (worker->thread_count < worker->concurrency &&
        queue_length(&worker->pool_queue, worker->threads_idle + 1) >
            worker->threads_idle &&
        pthread_create(&worker->threads[worker->thread_count], NULL, run_thread,
                       worker) == 0) {
        worker->thread_count++;
    }
    (void)pthread_cond_signal(&worker->pool_work);
}

void
redial_i_handlers_stop(redial_worker *worker)
{
    redial_i_lock(&worker->loop);
    worker->is_pool_closing = true;
    (void)pthread_cond_broadcast(&worker->pool_work);
    redial_i_unlock(&worker->loop);
    for (uint32_t i = 0; i < worker->thread_count; i++) {
        WIRE_CHECK(pthread_join(worker->threads[i], NULL) == 0);
    }
    worker->thread_count = 0;
}

/* ---- the loop's thread ---- */

/* All that wait, then everything that came of it in one message. */
static void
run_on_loop(struct redial_i_task *task)
{
    redial_worker *worker = REDIAL_I_OF(task, struct redial_worker, loop_task);
    struct redial_i_list *node;

    while ((node = redial_i_list_pop(&worker->loop_queue)) != NULL) {
        redial_attempt *attempt = REDIAL_I_OF(node, struct redial_attempt,
                                              queue);
        const struct redial_i_crew_method *method = attempt->method;

        attempt->state = REDIAL_I_ATTEMPT_RUNNING;
        redial_i_unlock(&worker->loop);
        method->handler(method->ctx, attempt); /* which may be its end */
        redial_i_lock(&worker->loop);
    }
    worker->is_corked = false;
    (void)pthread_cond_broadcast(&worker->changed);
    redial_i_session_pump_locked(worker);
}

static void
run_cancels(struct redial_i_task *task)
{
    redial_worker *worker = REDIAL_I_OF(task, struct redial_worker,
                                        cancel_task);
    struct redial_i_list *node;

    while ((node = redial_i_list_pop(&worker->cancels)) != NULL) {
        redial_attempt *attempt = REDIAL_I_OF(node, struct redial_attempt,
                                              cancel);
        const struct redial_i_crew_method *method = attempt->method;

        attempt->in_cancel = true;
        redial_i_unlock(&worker->loop);
        method->cancel(method->ctx, attempt);
        redial_i_lock(&worker->loop);
        attempt->in_cancel = false;
        (void)pthread_cond_broadcast(&worker->changed);
        redial_i_attempt_release_locked(attempt);
    }
}

void
redial_i_handlers_init(redial_worker *worker)
{
    redial_i_list_init(&worker->pool_queue);
    redial_i_list_init(&worker->loop_queue);
    redial_i_list_init(&worker->cancels);
    redial_i_cond_init(&worker->pool_work);
    worker->loop_task.run = run_on_loop;
    worker->cancel_task.run = run_cancels;
}

void
redial_i_handlers_run_locked(redial_attempt *attempt)
{
    redial_worker *worker = attempt->worker;

    attempt->state = REDIAL_I_ATTEMPT_QUEUED;
    if (attempt->method->is_async) {
        worker->is_corked = true;
        redial_i_list_append(&worker->loop_queue, &attempt->queue);
        redial_i_post_locked(&worker->loop, &worker->loop_task);
    } else {
        redial_i_list_append(&worker->pool_queue, &attempt->queue);
        grow_pool_locked(worker);
    }
}

void
redial_i_handlers_cancel_locked(redial_attempt *attempt)
{
    redial_worker *worker = attempt->worker;

    if (attempt->method->cancel != NULL &&
        !redial_i_list_is_linked(&attempt->cancel)) {
        redial_i_list_append(&worker->cancels, &attempt->cancel);
        redial_i_post_locked(&worker->loop, &worker->cancel_task);
    }
}
