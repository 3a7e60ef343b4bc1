/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may take how much. Ghosts make this uncertain: the ledger does not know
 * for sure when the engine lets go of one. So there are two counts. What surely
 * runs must fit before a start; what may run must leave room before the ledger
 * complains that a job waits in vain.
 */
#include "tests/sim/ledger.h"
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <string.h>

/* The offer under which a method is served, as an index, or offer_count. */
static uint32_t
offer_for(const struct sim *sim, const struct ledger_worker *worker,
          uint32_t method)
{
    for (uint32_t i = 0; i < worker->offer_count; i++) {
        const struct message_slots *offer = &worker->offers[i];

        if (offer->whole_service
                ? strcmp(sim->plan.method[offer->method].service,
                         sim->plan.method[method].service) == 0
                : offer->method == method) {
            return i;
        }
    }
    return worker->offer_count;
}

/* ---- Ghosts ------------------------------------------------------------ */

void
ledger_must_stop(struct sim *sim, uint32_t worker, uint64_t fence)
{
    struct ledger *ledger = &sim->ledger;

    if (ledger->workers[worker].connected &&
        ledger->to_stop_count < LEDGER_STOPS_MAX) {
        ledger->to_stop[ledger->to_stop_count++] = fence;
    }
}

void
ledger_ghost(struct sim *sim, uint32_t spec,
             const struct ledger_attempt *attempt)
{
    const struct engine_input *input = sim->ledger.input;

    /* Its end is being confirmed with the very input at hand. */
    if ((input->type == ENGINE_REPORT &&
         input->report.kind != REPORT_PROGRESS &&
         input->report.token.fence == attempt->fence) ||
        (input->type == ENGINE_UNSENT &&
         input->unsent.fence == attempt->fence)) {
        return;
    }
    ledger_must_stop(sim, attempt->worker, attempt->fence);
    for (uint32_t i = 0; i < LEDGER_GHOSTS_MAX; i++) {
        struct ledger_ghost *ghost = &sim->ledger.ghosts[i];

        if (ghost->token.fence == 0) {
            *ghost = (struct ledger_ghost){
                .token = {.job = sim->agents.specs[spec].id,
                          .attempt = attempt->number,
                          .fence = attempt->fence},
                .worker = attempt->worker,
                .method = sim->agents.specs[spec].method,
                .worker_id = sim->ledger.workers[attempt->worker].id,
                .started_at = attempt->started_at,
                .acked = attempt->ack == ACK_YES,
                .solo = attempt->solo,
            };
            return;
        }
    }
    sim_fail(sim, VIOLATION_RUN, "too many ghosts");
}

void
ledger_lay_ghost(struct sim *sim, const struct ledger_worker *worker,
                 const struct engine_token *token)
{
    for (uint32_t i = 0; i < LEDGER_GHOSTS_MAX; i++) {
        struct ledger_ghost *ghost = &sim->ledger.ghosts[i];

        if (memcmp(&ghost->token, token, sizeof(*token)) == 0 &&
            (worker == NULL || worker == &sim->ledger.workers[ghost->worker])) {
            ghost->token.fence = 0;
        }
    }
}

void
ledger_doubt_ghosts(struct sim *sim, uint32_t worker)
{
    for (uint32_t i = 0; i < LEDGER_GHOSTS_MAX; i++) {
        if (sim->ledger.ghosts[i].worker == worker) {
            sim->ledger.ghosts[i].worker_id = 0;
        }
    }
}

/* It holds its places: same session, lease not over, nothing confirmed. */
static bool
surely_holds(const struct sim *sim, const struct ledger_ghost *ghost)
{
    const struct ledger_worker *worker = &sim->ledger.workers[ghost->worker];
    int64_t since = ghost->acked ? worker->heard_at : ghost->started_at;

    return worker->connected && worker->id == ghost->worker_id &&
           worker->confirmed_at < ghost->started_at &&
           sim->mono_ms - since < (int64_t)sim->plan.limits.lease_ms;
}

void
ledger_end_leases(struct sim *sim)
{
    for (uint32_t i = 0; i < LEDGER_GHOSTS_MAX; i++) {
        if (!surely_holds(sim, &sim->ledger.ghosts[i])) {
            sim->ledger.ghosts[i].worker_id = 0;
        }
    }
}

/* Drops those that hold nothing any more, whatever the engine thinks. */
static bool
may_hold(const struct sim *sim, const struct ledger_ghost *ghost)
{
    const struct ledger_worker *worker = &sim->ledger.workers[ghost->worker];
    int64_t patience = (int64_t)(sim->plan.limits.lease_ms +
                                 sim->plan.limits.adopt_ms);
    int64_t since = worker->connected ? worker->heard_at : worker->left_at;

    if (since < ghost->started_at) {
        since = ghost->started_at;
    }
    return !worker->dead && !worker->goodbye &&
           sim->mono_ms - since <= patience;
}

/* For the story, before a complaint that may be about them. */
static void
tell_ghosts(struct sim *sim)
{
    for (uint32_t i = 0; i < LEDGER_GHOSTS_MAX; i++) {
        const struct ledger_ghost *ghost = &sim->ledger.ghosts[i];

        if (ghost->token.fence != 0) {
            sim_tell(sim, "ghost of fence %" PRIu64 " on %s, method %u, %s",
                     ghost->token.fence,
                     sim->ledger.workers[ghost->worker].name, ghost->method,
                     surely_holds(sim, ghost) ? "surely"
                     : may_hold(sim, ghost)   ? "perhaps"
                                              : "gone");
        }
    }
}

/* ---- Counting ---------------------------------------------------------- */

struct tally {
    uint32_t all;
    uint32_t of_method[PLAN_METHODS_MAX];
    uint32_t of_tenant[PLAN_TENANTS_MAX];
    /* Of one worker, when one is asked for. */
    uint32_t total;
    uint32_t of_offer[SIM_OFFERS_MAX + 1];
    bool solo;
};

static void
tally_one(const struct sim *sim, struct tally *tally,
          const struct ledger_worker *worker, bool on_it, uint32_t spec)
{
    uint32_t method = sim->agents.specs[spec].method;

    tally->all++;
    tally->of_method[method]++;
    tally->of_tenant[sim->agents.specs[spec].tenant]++;
    if (on_it) {
        tally->total++;
        tally->of_offer[offer_for(sim, worker, method)]++;
    }
}

static struct tally
count_load(const struct sim *sim, const struct ledger_worker *worker,
           bool surely)
{
    uint32_t index = (uint32_t)(worker - sim->ledger.workers);
    struct tally tally = {0};

    for (uint32_t i = 0; i < sim->agents.spec_count; i++) {
        const struct ledger_job *job = &sim->ledger.jobs[i];

        for (uint32_t k = 0; k < job->running_count; k++) {
            const struct ledger_attempt *attempt = &job->running[k];
            bool on_it = attempt->worker == index;

            tally_one(sim, &tally, worker, on_it, i);
            tally.solo = tally.solo || (on_it && attempt->solo);
        }
    }
    for (uint32_t i = 0; i < LEDGER_GHOSTS_MAX; i++) {
        const struct ledger_ghost *ghost = &sim->ledger.ghosts[i];

        if (ghost->token.fence != 0 &&
            (surely ? surely_holds(sim, ghost) : may_hold(sim, ghost))) {
            tally_one(sim, &tally, worker, ghost->worker == index,
                      spec_of(sim, ghost->token.job));
        }
    }
    return tally;
}

void
ledger_assigned(struct sim *sim, struct ledger_worker *worker, uint64_t fence,
                uint32_t method)
{
    if (sim->ledger.replaying) {
        return;
    }
    if (worker->uncounted == LEDGER_UNCOUNTED_MAX) {
        sim_fail(sim, VIOLATION_RUN, "too much assigned at once");
    }
    worker->uncounted_of[worker->uncounted].fence = fence;
    worker->uncounted_of[worker->uncounted].method = method;
    worker->uncounted++;
}

void
ledger_counted(struct ledger_worker *worker, uint64_t fence)
{
    for (uint32_t i = 0; i < worker->uncounted; i++) {
        if (worker->uncounted_of[i].fence == fence) {
            worker->uncounted--;
            worker->uncounted_of[i] = worker->uncounted_of[worker->uncounted];
            return;
        }
    }
}

void
ledger_count_anew(struct sim *sim, struct ledger_worker *worker)
{
    uint32_t index = (uint32_t)(worker - sim->ledger.workers);

    worker->uncounted = 0;
    for (uint32_t i = 0; i < sim->agents.spec_count; i++) {
        const struct ledger_job *job = &sim->ledger.jobs[i];

        for (uint32_t k = 0; k < job->running_count; k++) {
            if (job->running[k].worker == index) {
                ledger_assigned(sim, worker, job->running[k].fence,
                                sim->agents.specs[i].method);
            }
        }
    }
}

/* Those of the uncounted that surely run, of one offer or of all. */
static uint32_t
surely_uncounted(const struct sim *sim, const struct ledger_worker *worker,
                 uint32_t offer)
{
    uint32_t index = (uint32_t)(worker - sim->ledger.workers);
    uint32_t count = 0;

    for (uint32_t i = 0; i < sim->agents.spec_count; i++) {
        const struct ledger_job *job = &sim->ledger.jobs[i];
        uint32_t method = sim->agents.specs[i].method;

        for (uint32_t k = 0; k < job->running_count; k++) {
            count += job->running[k].worker == index &&
                     job->running[k].ack == ACK_NO &&
                     (offer == worker->offer_count ||
                      offer_for(sim, worker, method) == offer);
        }
    }
    return count;
}

/* ---- Too much ---------------------------------------------------------- */

static bool
is_heard(const struct sim *sim, const struct ledger_worker *worker)
{
    return worker->connected && sim->mono_ms - worker->heard_at <=
                                    (int64_t)sim->plan.limits.silence_ms;
}

void
ledger_check_worker(struct sim *sim, uint32_t spec,
                    const struct ledger_worker *worker)
{
    uint32_t method = sim->agents.specs[spec].method;
    uint32_t offer = offer_for(sim, worker, method);
    uint32_t all = worker->offer_count;
    uint32_t limit = ledger_policy_of(sim, spec, sim->gateway.policy_version)
                         ->limits.concurrency;

    if (!is_heard(sim, worker) || offer == all) {
        sim_fail(sim, VIOLATION_CREDIT, "job %u: %s cannot take it", spec,
                 worker->name);
    }
    struct tally tally = count_load(sim, worker, true);

    if (surely_uncounted(sim, worker, all) >= worker->free_total ||
        surely_uncounted(sim, worker, offer) >= worker->credit[offer]) {
        sim_fail(sim, VIOLATION_CREDIT, "job %u: %s gave no credit", spec,
                 worker->name);
    }
    if (tally.total >= worker->concurrency ||
        tally.of_offer[offer] >= worker->offers[offer].count ||
        (limit > 0 && tally.of_method[method] >= limit) ||
        tally.all >= sim->plan.limits.attempts_max) {
        tell_ghosts(sim);
        sim_fail(sim, VIOLATION_CONCURRENCY,
                 "job %u: %u (%u of the offer) on %s, %u of the method run "
                 "already",
                 spec, tally.total, tally.of_offer[offer], worker->name,
                 tally.of_method[method]);
    }
    uint32_t tenant = sim->agents.specs[spec].tenant;
    uint32_t most = ledger_tenant_policy(sim, tenant)->limits.concurrency;

    if (most > 0 && tally.of_tenant[tenant] >= most) {
        tell_ghosts(sim);
        sim_fail(sim, VIOLATION_CONCURRENCY,
                 "job %u: %u of tenant %u run already", spec,
                 tally.of_tenant[tenant], tenant);
    }
    if (tally.solo || (sim->ledger.jobs[spec].suspect && tally.total > 0)) {
        sim_fail(sim, VIOLATION_CONCURRENCY,
                 "job %u: a suspect is not alone on %s", spec, worker->name);
    }
}

/* ---- Too little -------------------------------------------------------- */

static bool
waits(const struct sim *sim, const struct ledger_job *job)
{
    return (job->state == JOB_READY || job->state == JOB_SCHEDULED ||
            job->state == JOB_BACKOFF) &&
           job->due_at <= sim->mono_ms;
}

/* Others of it run, and the time of one more has come. */
static bool
waits_beside(const struct sim *sim, uint32_t spec)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];

    return job->state == JOB_RUNNING && job->frozen == RULE_NONE &&
           job->hedge_at <= sim->mono_ms && ledger_may_hedge(sim, spec);
}

/*
 * A retry may wait for the end of a hold, and for its turn behind it: also of a
 * target that guarded it before another policy.
 */
bool
ledger_may_be_held(const struct sim *sim, uint32_t spec)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];

    if (job->charged == 0 && job->state != JOB_RUNNING) {
        return false;
    }
    for (uint32_t i = 0; i < LEDGER_TARGETS_MAX; i++) {
        if (sim->mono_ms <= sim->ledger.targets[i].released_at) {
            return true;
        }
    }
    return false;
}

/* A suspect's ghost is on it: nothing else may be. */
static bool
is_haunted(const struct sim *sim, uint32_t worker)
{
    for (uint32_t i = 0; i < LEDGER_GHOSTS_MAX; i++) {
        const struct ledger_ghost *ghost = &sim->ledger.ghosts[i];

        if (ghost->token.fence != 0 && ghost->solo && ghost->worker == worker) {
            return true;
        }
    }
    return false;
}

/*
 * Methods with waiting suspects: each may keep one worker free for itself. How
 * soon a suspect itself finds an empty one is not judged, only that it does.
 */
static uint32_t
suspect_methods(const struct sim *sim)
{
    uint32_t methods = 0;
    uint32_t count = 0;

    for (uint32_t i = 0; i < sim->agents.spec_count; i++) {
        const struct ledger_job *job = &sim->ledger.jobs[i];

        if (job->suspect && waits(sim, job)) {
            methods |= 1u << sim->agents.specs[i].method;
        }
    }
    for (; methods != 0; methods &= methods - 1) {
        count++;
    }
    return count;
}

/* How many workers can certainly take a job of each method. */
struct room {
    uint32_t free[PLAN_METHODS_MAX];
    const char *who[PLAN_METHODS_MAX];
};

static void
add_room(const struct sim *sim, const struct ledger_worker *worker,
         struct room *room)
{
    struct tally tally = count_load(sim, worker, false);
    uint32_t uncounted[SIM_OFFERS_MAX + 1] = {0};

    for (uint32_t i = 0; i < worker->uncounted; i++) {
        uncounted[offer_for(sim, worker, worker->uncounted_of[i].method)]++;
    }
    if (worker->uncounted >= worker->free_total ||
        tally.total >= worker->concurrency || tally.solo ||
        tally.all >= sim->plan.limits.attempts_max ||
        is_haunted(sim, (uint32_t)(worker - sim->ledger.workers))) {
        return;
    }
    for (uint32_t i = 0; i < sim->plan.methods; i++) {
        uint32_t offer = offer_for(sim, worker, i);

        if (offer != worker->offer_count &&
            uncounted[offer] < worker->credit[offer] &&
            tally.of_offer[offer] < worker->offers[offer].count) {
            room->free[i]++;
            room->who[i] = worker->name;
        }
    }
}

bool
ledger_is_served(const struct sim *sim, uint32_t method)
{
    for (uint32_t i = 0; i < sim->ledger.worker_count; i++) {
        const struct ledger_worker *worker = &sim->ledger.workers[i];

        if (worker->connected &&
            offer_for(sim, worker, method) != worker->offer_count) {
            return true;
        }
    }
    return false;
}

/* It does not wait for a worker to come, and none is there: it fails at once.
 */
static void
check_hopeless(struct sim *sim, uint32_t spec)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];
    int64_t patience = (int64_t)sim->plan.limits.adopt_ms;

    if (waits(sim, job) &&
        !ledger_policy_of(sim, spec, sim->gateway.policy_version)
             ->wait_for_ready &&
        sim->mono_ms >= sim->ledger.recovered_at + patience &&
        !ledger_is_served(sim, sim->agents.specs[spec].method) &&
        !ledger_may_be_held(sim, spec)) {
        sim_fail(sim, VIOLATION_STUCK, "job %u waits, and nobody serves it",
                 spec);
    }
}

/* The policy lets one more of the job's method run. */
static bool
is_below_limit(const struct sim *sim, uint32_t spec, uint32_t running)
{
    uint32_t limit = ledger_policy_of(sim, spec, sim->gateway.policy_version)
                         ->limits.concurrency;

    return limit == 0 || running < limit;
}

/* A suspect for which a worker is being emptied keeps its tenant's place. */
static bool
has_suspect(const struct sim *sim, uint32_t tenant)
{
    for (uint32_t i = 0; i < sim->agents.spec_count; i++) {
        if (sim->agents.specs[i].tenant == tenant &&
            sim->ledger.jobs[i].suspect && waits(sim, &sim->ledger.jobs[i])) {
            return true;
        }
    }
    return false;
}

/* Its tenant lets one more of it run. */
static bool
tenant_has_room(const struct sim *sim, uint32_t spec, const struct tally *tally)
{
    uint32_t tenant = sim->agents.specs[spec].tenant;
    const struct limit_policy *limits =
        &ledger_tenant_policy(sim, tenant)->limits;

    if (limits->concurrency == 0 && limits->rate == 0) {
        return true;
    }
    return (limits->concurrency == 0 ||
            tally->of_tenant[tenant] < limits->concurrency) &&
           !has_suspect(sim, tenant);
}

static void
find_room(const struct sim *sim, struct room *room)
{
    for (uint32_t i = 0; i < sim->ledger.worker_count; i++) {
        const struct ledger_worker *worker = &sim->ledger.workers[i];

        if (is_heard(sim, worker) && sim->mono_ms - worker->heard_at <
                                         (int64_t)sim->plan.limits.silence_ms) {
            add_room(sim, worker, room);
        }
    }
}

void
ledger_check_idle(struct sim *sim)
{
    struct tally tally = count_load(sim, &sim->ledger.workers[0], false);
    uint32_t kept = suspect_methods(sim);
    struct room room = {0};

    if (sim->gateway.draining) {
        return;
    }
    find_room(sim, &room);
    for (uint32_t i = 0; i < sim->agents.spec_count; i++) {
        const struct ledger_job *job = &sim->ledger.jobs[i];
        uint32_t method = sim->agents.specs[i].method;

        check_hopeless(sim, i);
        if (room.free[method] <= kept || job->suspect ||
            !(waits(sim, job) || waits_beside(sim, i)) ||
            !is_below_limit(sim, i, tally.of_method[method]) ||
            ledger_may_be_held(sim, i) || !ledger_limits_let(sim, i) ||
            !tenant_has_room(sim, i, &tally)) {
            continue;
        }
        tell_ghosts(sim);
        sim_fail(sim, VIOLATION_STUCK,
                 "job %u waits in %s since %" PRId64 ", and %s could take it",
                 i, job_state_name(job->state),
                 (job->state == JOB_RUNNING ? job->hedge_at : job->due_at) -
                     SIM_MONO_START,
                 room.who[method]);
    }
}
