/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client and a worker each have one of: a lock for all their state, and
 * a thread for what must happen at a time or must not happen under the lock
 * (callbacks into the program).
 *
 * Everything else is done by whoever causes it: a thread of the program that
 * calls, or a thread of nng that brings an answer. That saves two switches of
 * thread per exchange.
 *
 * Functions ending in _locked are called with the lock held. Timers and tasks
 * run on the loop's thread with the lock held; they may release it and take it
 * again (to call into the program), and must then look at their state anew.
 */
#ifndef REDIAL_CLIENT_LOOP_H
#define REDIAL_CLIENT_LOOP_H

#include "client/list.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A node of a pairing heap, ordered by time, then by the order of starting.
 * Needs no memory beside itself, so starting one cannot fail.
 */
struct redial_i_timer {
    void (*fire)(struct redial_i_timer *timer); /* set by the owner */
    int64_t at_ns;
    uint64_t order;
    bool is_armed;
    struct redial_i_timer *child;
    struct redial_i_timer *next; /* sibling */
    struct redial_i_timer *prev; /* sibling before, or parent of the first */
};

/* Something to do soon. */
struct redial_i_task {
    void (*run)(struct redial_i_task *task); /* set by the owner */
    struct redial_i_list link;
};

struct redial_i_loop {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool has_thread;
    bool is_stopping;
    struct redial_i_timer *timers;
    uint64_t timers_started;
    int64_t sleeps_until_ns; /* 0: awake */
    struct redial_i_list tasks;
};

/* False: the system has no thread left. */
bool
redial_i_loop_init(struct redial_i_loop *loop);

/*
 * Runs the tasks that are still posted, forgets the timers, ends the thread.
 * Not from the loop's thread. Twice is fine.
 */
void
redial_i_loop_stop(struct redial_i_loop *loop);

void
redial_i_loop_fini(struct redial_i_loop *loop);

void
redial_i_lock(struct redial_i_loop *loop);

void
redial_i_unlock(struct redial_i_loop *loop);

/* Is the caller the loop's own thread? */
bool
redial_i_loop_is_here(const struct redial_i_loop *loop);

/* No effect if it is posted already. */
void
redial_i_post_locked(struct redial_i_loop *loop, struct redial_i_task *task);

/* Moves it if it is armed. REDIAL_I_NEVER stops it. */
void
redial_i_timer_start_locked(struct redial_i_loop *loop,
                            struct redial_i_timer *timer, int64_t at_ns);

void
redial_i_timer_stop_locked(struct redial_i_loop *loop,
                           struct redial_i_timer *timer);

/* Conditions that go with the lock measure monotonic time. */
void
redial_i_cond_init(pthread_cond_t *cond);

/* Waits with the lock held; false when `at_ns` has come. */
bool
redial_i_wait_locked(struct redial_i_loop *loop, pthread_cond_t *cond,
                     int64_t at_ns);

#endif /* REDIAL_CLIENT_LOOP_H */
