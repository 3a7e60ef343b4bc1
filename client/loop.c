/* SPDX-License-Identifier: Apache-2.0 */
#include "client/loop.h"

#include "client/clock.h"

#include <errno.h>
#include <string.h>

/* ---- the heap ---- */

static bool
is_before(const struct redial_i_timer *a, const struct redial_i_timer *b)
{
    return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->order < b->order);
}

/* Makes one heap of two; either may be NULL. */
static struct redial_i_timer *
meld(struct redial_i_timer *a, struct redial_i_timer *b)
{
    if (a == NULL || b == NULL) {
        return a != NULL ? a : b;
    }
    if (is_before(b, a)) {
        struct redial_i_timer *other = a;

        a = b;
        b = other;
    }
    b->prev = a;
    b->next = a->child;
    if (a->child != NULL) {
        a->child->prev = b;
    }
    a->child = b;
    return a;
}

/* Makes one heap of siblings: pairs from the left, then all from the right. */
static struct redial_i_timer *
meld_siblings(struct redial_i_timer *first)
{
    struct redial_i_timer *pairs = NULL; /* a stack, linked by next */
    struct redial_i_timer *heap = NULL;

    while (first != NULL) {
        struct redial_i_timer *a = first;
        struct redial_i_timer *b = a->next;

        first = b != NULL ? b->next : NULL;
        a->next = NULL;
        a->prev = NULL;
        if (b != NULL) {
            b->next = NULL;
            b->prev = NULL;
        }
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    while (pairs != NULL) {
        struct redial_i_timer *next = pairs->next;

        pairs->next = NULL;
        heap = meld(heap, pairs);
        pairs = next;
    }
    return heap;
}

static void
heap_remove(struct redial_i_loop *loop, struct redial_i_timer *timer)
{
    struct redial_i_timer *rest = meld_siblings(timer->child);

    timer->child = NULL;
    if (loop->timers == timer) {
        loop->timers = rest;
        return;
    }
    if (timer->prev->child == timer) {
        timer->prev->child = timer->next;
    } else {
        timer->prev->next = timer->next;
    }
    if (timer->next != NULL) {
        timer->next->prev = timer->prev;
    }
    timer->next = NULL;
    timer->prev = NULL;
    loop->timers = meld(loop->timers, rest);
}

void
redial_i_timer_stop_locked(struct redial_i_loop *loop,
                           struct redial_i_timer *timer)
{
    if (timer->is_armed) {
        heap_remove(loop, timer);
        timer->is_armed = false;
    }
}

void
redial_i_timer_start_locked(struct redial_i_loop *loop,
                            struct redial_i_timer *timer, int64_t at_ns)
{
    redial_i_timer_stop_locked(loop, timer);
    if (at_ns == REDIAL_I_NEVER) {
        return;
    }
    timer->at_ns = at_ns;
    timer->order = loop->timers_started++;
    timer->is_armed = true;
    loop->timers = meld(loop->timers, timer);
    if (at_ns < loop->sleeps_until_ns) {
        (void)pthread_cond_signal(&loop->wake);
    }
}

/* ---- the thread ---- */

void
redial_i_lock(struct redial_i_loop *loop)
{
    WIRE_CHECK(pthread_mutex_lock(&loop->lock) == 0);
}

void
redial_i_unlock(struct redial_i_loop *loop)
{
    WIRE_CHECK(pthread_mutex_unlock(&loop->lock) == 0);
}

void
redial_i_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;

    WIRE_CHECK(pthread_condattr_init(&attributes) == 0);
    WIRE_CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    WIRE_CHECK(pthread_cond_init(cond, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
}

bool
redial_i_wait_locked(struct redial_i_loop *loop, pthread_cond_t *cond,
                     int64_t at_ns)
{
    struct timespec at;
    int result;

    if (at_ns == REDIAL_I_NEVER) {
        WIRE_CHECK(pthread_cond_wait(cond, &loop->lock) == 0);
        return true;
    }
    at = redial_i_timespec(at_ns);
    result = pthread_cond_timedwait(cond, &loop->lock, &at);
    WIRE_CHECK(result == 0 || result == ETIMEDOUT);
    return result == 0;
}

bool
redial_i_loop_is_here(const struct redial_i_loop *loop)
{
    return loop->has_thread && pthread_equal(loop->thread, pthread_self()) != 0;
}

void
redial_i_post_locked(struct redial_i_loop *loop, struct redial_i_task *task)
{
    if (redial_i_list_is_linked(&task->link)) {
        return;
    }
    redial_i_list_append(&loop->tasks, &task->link);
    (void)pthread_cond_signal(&loop->wake);
}

static void
run_timers(struct redial_i_loop *loop)
{
    int64_t now = redial_i_now();
    uint64_t order = loop->timers_started;

    /* One that is started meanwhile waits for the next turn. */
    while (loop->timers != NULL && loop->timers->at_ns <= now &&
           loop->timers->order < order) {
        struct redial_i_timer *timer = loop->timers;

        redial_i_timer_stop_locked(loop, timer);
        timer->fire(timer);
    }
}

static void
run_tasks(struct redial_i_loop *loop)
{
    struct redial_i_list batch;
    struct redial_i_list *link;

    redial_i_list_init(&batch);
    redial_i_list_splice(&batch, &loop->tasks);
    while ((link = redial_i_list_pop(&batch)) != NULL) {
        struct redial_i_task *task = REDIAL_I_OF(link, struct redial_i_task,
                                                 link);

        task->run(task);
    }
}

static void *
run_loop(void *arg)
{
    struct redial_i_loop *loop = arg;

    redial_i_lock(loop);
    while (!loop->is_stopping || !redial_i_list_is_empty(&loop->tasks)) {
        run_timers(loop);
        run_tasks(loop);
        if (!loop->is_stopping && redial_i_list_is_empty(&loop->tasks)) {
            loop->sleeps_until_ns = loop->timers != NULL ? loop->timers->at_ns
                                                         : REDIAL_I_NEVER;
            (void)redial_i_wait_locked(loop, &loop->wake,
                                       loop->sleeps_until_ns);
            loop->sleeps_until_ns = 0;
        }
    }
    redial_i_unlock(loop);
    return NULL;
}

bool
redial_i_loop_init(struct redial_i_loop *loop)
{
    memset(loop, 0, sizeof(*loop));
    WIRE_CHECK(pthread_mutex_init(&loop->lock, NULL) == 0);
    redial_i_cond_init(&loop->wake);
    redial_i_list_init(&loop->tasks);
    redial_i_lock(loop); /* the thread reads its own id, set below */
    loop->has_thread = pthread_create(&loop->thread, NULL, run_loop, loop) == 0;
    redial_i_unlock(loop);
    return loop->has_thread;
}

void
redial_i_loop_stop(struct redial_i_loop *loop)
{
    if (!loop->has_thread) {
        return;
    }
    redial_i_lock(loop);
    loop->is_stopping = true;
    (void)pthread_cond_signal(&loop->wake);
    redial_i_unlock(loop);
    WIRE_CHECK(pthread_join(loop->thread, NULL) == 0);
    loop->has_thread = false;
}

void
redial_i_loop_fini(struct redial_i_loop *loop)
{
    redial_i_loop_stop(loop);
    (void)pthread_cond_destroy(&loop->wake);
    (void)pthread_mutex_destroy(&loop->lock);
}
