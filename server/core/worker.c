/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/worker.h"

#include "server/core/dispatch.h"
#include "server/core/names.h"

#include <string.h>

enum { FAILURE_WEIGHT = 256 };

/* ---- The table --------------------------------------------------------- */

struct worker *
worker_by_id(const struct engine *engine, uint64_t id)
{
    uint32_t index = (uint32_t)id;

    if (index >= engine->workers.fresh) {
        return NULL;
    }
    struct worker *worker = slab_at(&engine->workers, index);

    return worker->state == WORKER_CONNECTED && worker->id == id ? worker
                                                                 : NULL;
}

struct worker *
worker_by_name(const struct engine *engine, struct text name)
{
    uint8_t key[16];

    hash_128(&engine->hash_key, name.at, name.len, key);
    uint32_t index = map_get(&engine->workers_by_name, key);

    return index == MAP_NONE ? NULL : slab_at(&engine->workers, index);
}

struct worker *
worker_await(struct engine *engine, struct text name)
{
    struct worker *worker = worker_by_name(engine, name);

    if (worker != NULL) {
        return worker;
    }
    worker = slab_take(&engine->workers);
    if (worker == NULL) {
        return NULL;
    }
    redial_assert(name.len <= WORKER_BYTES_MAX);
    worker->state = WORKER_AWAITED;
    worker->awaited_until_ms = INT64_MAX;
    list_init(&worker->attempts);
    list_init(&worker->offers);
    memcpy(worker->name, name.at, name.len);
    worker->name_len = name.len;
    hash_128(&engine->hash_key, name.at, name.len, worker->key);
    bool put = map_put(&engine->workers_by_name, worker->key,
                       slab_index(&engine->workers, worker));

    redial_assert(put);
    (void)put;
    return worker;
}

void
worker_release(struct engine *engine, struct worker *worker)
{
    if (worker->state == WORKER_CONNECTED || worker->in_hand > 0) {
        return;
    }
    heap_remove(&engine->worker_timers, &worker->timer);
    map_remove(&engine->workers_by_name, worker->key);
    slab_give(&engine->workers, worker);
}

/* ---- Offers ------------------------------------------------------------ */

struct offer *
worker_offer_for(const struct worker *worker, const struct method *method)
{
    struct offer *whole = NULL;

    list_foreach(at, &worker->offers) {
        struct offer *offer = container_of(at, struct offer, of_worker);

        if (offer->method == method) {
            return offer;
        }
        if (offer->method == NULL && offer->service == method->service) {
            whole = offer;
        }
    }
    return whole;
}

static bool
offer_is_named(const struct offer *offer, struct text service,
               struct text method)
{
    struct text own = {0};

    if (offer->method != NULL) {
        own = method_text(offer->method);
    }
    return text_equals(own, method) &&
           text_equals(service_text(offer->service), service);
}

struct offer *
worker_offer_named(const struct worker *worker, struct text service,
                   struct text method, struct offer *hint)
{
    if (hint != NULL && offer_is_named(hint, service, method)) {
        return hint;
    }
    list_foreach(at, &worker->offers) {
        struct offer *offer = container_of(at, struct offer, of_worker);

        if (offer_is_named(offer, service, method)) {
            return offer;
        }
    }
    return NULL;
}

static void
offer_off(struct engine *engine, struct offer *offer)
{
    if (list_is_linked(&offer->with_credit)) {
        credit_remove(offer);
        engine->offers_with_credit--;
    }
}

static void
offer_free(struct engine *engine, struct offer *offer)
{
    struct service *service = offer->service;
    struct method *method = offer->method;

    offer_off(engine, offer);
    list_remove(&offer->serving);
    list_remove(&offer->of_worker);
    slab_give(&engine->offers, offer);
    if (method != NULL) {
        method->workers--;
        dispatch_workers_changed(engine, method);
        method_unref(engine, method);
    } else {
        service->workers--;
        dispatch_service_changed(engine, service);
    }
    service_unref(engine, service);
}

static void
free_offers(struct engine *engine, struct list *offers)
{
    while (!list_is_empty(offers)) {
        offer_free(engine,
                   container_of(list_first(offers), struct offer, of_worker));
    }
}

static void
detach_attempts(struct worker *worker)
{
    list_foreach(at, &worker->attempts) {
        container_of(at, struct attempt, of_worker)->offer = NULL;
    }
    worker->on = false;
}

void
worker_clear_offers(struct engine *engine, struct worker *worker)
{
    detach_attempts(worker);
    free_offers(engine, &worker->offers);
}

/* Finds what the worker serves; false when that is one name too many. */
static bool
name_offer(struct engine *engine, struct offer *offer,
           const struct engine_slots *slots)
{
    if (slots->method.len == 0) {
        offer->service = service_intern(engine, slots->service);
        return offer->service != NULL &&
               service_may_be_used(engine, offer->service);
    }
    offer->method = method_intern(engine, slots->service, slots->method);
    if (offer->method == NULL || !method_may_be_used(engine, offer->method)) {
        return false;
    }
    offer->service = offer->method->service;
    return true;
}

static bool
add_offer(struct engine *engine, struct worker *worker,
          const struct engine_slots *slots)
{
    struct offer *offer = slab_take(&engine->offers);

    if (offer == NULL) {
        return false;
    }
    if (!name_offer(engine, offer, slots)) {
        slab_give(&engine->offers, offer);
        return false;
    }
    offer->worker = worker;
    offer->concurrency = slots->count;
    service_ref(engine, offer->service);
    list_append(&worker->offers, &offer->of_worker);
    if (offer->method != NULL) {
        method_ref(engine, offer->method);
        offer->method->workers++;
        list_append(&offer->method->serving, &offer->serving);
        dispatch_workers_changed(engine, offer->method);
    } else {
        offer->service->workers++;
        list_append(&offer->service->serving, &offer->serving);
        dispatch_service_changed(engine, offer->service);
    }
    return true;
}

bool
worker_replace_offers(struct engine *engine, struct worker *worker,
                      const struct engine_slots *slots, size_t count)
{
    struct list before;

    list_init(&before);
    list_splice(&before, &worker->offers);
    for (size_t i = 0; i < count; i++) {
        /* Named twice: the first counts. */
        if (worker_offer_named(worker, slots[i].service, slots[i].method,
                               NULL) == NULL &&
            !add_offer(engine, worker, &slots[i])) {
            free_offers(engine, &worker->offers);
            list_splice(&worker->offers, &before);
            return false;
        }
    }
    detach_attempts(worker);
    free_offers(engine, &before);
    return true;
}

/* ---- Credit ------------------------------------------------------------ */

static uint32_t
less(uint32_t a, uint32_t b)
{
    return a > b ? a - b : 0;
}

uint32_t
worker_credit(const struct worker *worker)
{
    uint32_t polled = less(worker->free_total, worker->uncounted);
    uint32_t room = less(worker->concurrency, worker->in_hand);

    return polled < room ? polled : room;
}

uint32_t
offer_credit(const struct offer *offer)
{
    uint32_t polled = less(offer->free, offer->uncounted);

    if (offer->concurrency == 0) {
        return polled;
    }
    uint32_t room = less(offer->concurrency, offer->in_hand);

    return polled < room ? polled : room;
}

void
offer_refresh(struct engine *engine, struct offer *offer)
{
    bool on = offer->worker->on && offer_credit(offer) > 0;

    if (on == list_is_linked(&offer->with_credit)) {
        return;
    }
    if (!on) {
        offer_off(engine, offer);
        return;
    }
    engine->offers_with_credit++;
    credit_put(offer);
    if (offer->method != NULL) {
        dispatch_wake(engine, offer->method);
    } else {
        dispatch_wake_service(engine, offer->service);
    }
}

/* Its load may have come to another class. */
static void
refresh_class(struct worker *worker)
{
    uint32_t class = choice_class(worker);

    if (class == worker->load_class) {
        return;
    }
    worker->load_class = class;
    list_foreach(at, &worker->offers) {
        struct offer *offer = container_of(at, struct offer, of_worker);

        if (list_is_linked(&offer->with_credit)) {
            credit_remove(offer);
            credit_put(offer);
        }
    }
}

void
worker_refresh(struct engine *engine, struct worker *worker)
{
    bool may = worker->state == WORKER_CONNECTED && !worker->silent &&
               worker_credit(worker) > 0;
    bool on = may && worker->reserved_for == NULL && !worker->solo;

    if (worker->state == WORKER_CONNECTED) {
        refresh_class(worker);
    }
    if (may && worker->reserved_for != NULL && worker->in_hand == 0) {
        dispatch_wake(engine, worker->reserved_for);
    }
    if (on == worker->on) {
        return;
    }
    worker->on = on;
    list_foreach(at, &worker->offers) {
        offer_refresh(engine, container_of(at, struct offer, of_worker));
    }
}

bool
worker_is_silent(const struct engine *engine, const struct worker *worker)
{
    return engine->now.mono.ms - worker->heard_ms >=
           duration_ms(engine->limits.silence_ms);
}

/* Methods that found nobody because all were silent may try again. */
static void
wake_offers(struct engine *engine, const struct worker *worker)
{
    list_foreach(at, &worker->offers) {
        struct offer *offer = container_of(at, struct offer, of_worker);

        if (list_is_linked(&offer->with_credit)) {
            credit_prefer(offer); /* others there may be silent too */
        }
        if (offer->method != NULL) {
            dispatch_wake(engine, offer->method);
        } else {
            dispatch_wake_service(engine, offer->service);
        }
    }
}

void
worker_heard(struct engine *engine, struct worker *worker)
{
    bool was_silent = worker_is_silent(engine, worker);

    worker->heard_ms = engine->now.mono.ms;
    if (was_silent) {
        worker->silent = false;
        heap_set(&engine->worker_timers, &worker->timer,
                 worker->heard_ms + duration_ms(engine->limits.silence_ms));
        worker_refresh(engine, worker);
        wake_offers(engine, worker);
    }
}

void
worker_unreserve(struct engine *engine, struct worker *worker)
{
    struct method *method = worker->reserved_for;

    if (method == NULL) {
        return;
    }
    method->reserved = NULL;
    worker->reserved_for = NULL;
    engine->reserved--;
    worker_refresh(engine, worker);
    dispatch_wake(engine, method);
}

void
worker_note_outcome(struct engine *engine, struct worker *worker, bool success)
{
    if (success) {
        worker->failures -= worker->failures / 4;
        if (worker->failures < 4) {
            worker->failures = 0;
        }
    } else {
        worker->failures += (FAILURE_WEIGHT * 4 - worker->failures) / 4;
    }
    worker_refresh(engine, worker);
}
