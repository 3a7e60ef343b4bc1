/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/ledger_target.h"

#include "tests/sim/sim.h"

#include <inttypes.h>
#include <string.h>

enum { SLICES = 10, RETRY = 1000, TOKEN = 1000 };

static bool
same_text(struct text a, struct text b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* ---- Which one --------------------------------------------------------- */

uint32_t
ledger_target_named(struct sim *sim, struct text name)
{
    for (uint32_t i = 0; i < LEDGER_TARGETS_MAX; i++) {
        struct ledger_target *target = &sim->ledger.targets[i];

        if (target->name[0] == '\0' && name.len < sizeof(target->name)) {
            memcpy(target->name, name.at, name.len);
        }
        if (same_text(plan_text(target->name), name)) {
            return i;
        }
    }
    sim_fail(sim, VIOLATION_RUN, "too many targets");
}

struct ledger_target *
ledger_target_of(struct sim *sim, uint32_t spec)
{
    const struct method_policy *policy = ledger_policy_of(
        sim, spec, sim->gateway.policy_version);
    struct text name = policy->target;

    if (name.len == 0) {
        name = plan_text(
            sim->plan.method[sim->agents.specs[spec].method].service);
    }
    return &sim->ledger.targets[ledger_target_named(sim, name)];
}

/* Not by policy_find_target(), which is under test too. */
static const struct target_policy *
policy_of(const struct sim *sim, const struct ledger_target *target)
{
    const struct policy_set *set =
        sim->ledger.policies[sim->gateway.policy_version];

    for (size_t i = 0; i < set->target_count; i++) {
        if (same_text(set->targets[i].name, plan_text(target->name))) {
            return &set->targets[i];
        }
    }
    return &set->target_fallback;
}

/* ---- Throttle ---------------------------------------------------------- */

int64_t
ledger_tokens(const struct sim *sim, const struct ledger_target *target)
{
    const struct target_policy *policy = policy_of(sim, target);
    int64_t most = (int64_t)policy->tokens_max_milli;

    if (!policy->has_throttle) {
        return -1;
    }
    if (target->tokens_most == 0) {
        return most;
    }
    /* As full as it was, to the nearest thousandth. */
    return (2 * target->tokens * most + target->tokens_most) /
           (2 * target->tokens_most);
}

int64_t
ledger_tokens_refunded(const struct sim *sim,
                       const struct ledger_target *target)
{
    const struct target_policy *policy = policy_of(sim, target);
    int64_t tokens = ledger_tokens(sim, target);

    if (tokens < 0) {
        return -1;
    }
    tokens += (int64_t)policy->tokens_ok_milli;
    return tokens > (int64_t)policy->tokens_max_milli
               ? (int64_t)policy->tokens_max_milli
               : tokens;
}

bool
ledger_tokens_allow(const struct sim *sim, const struct ledger_target *target,
                    int64_t tokens)
{
    return tokens < 0 ||
           tokens > (int64_t)policy_of(sim, target)->tokens_max_milli / 2;
}

/* ---- Budget ------------------------------------------------------------ */

static struct ledger_slice *
slice_of(struct ledger_target *target, uint64_t number)
{
    struct ledger_slice *slice = &target->slices[number % LEDGER_SLICES_MAX];

    if (slice->number != number) {
        *slice = (struct ledger_slice){.number = number};
    }
    return slice;
}

static int64_t
left_in(const struct sim *sim, const struct ledger_target *target,
        uint64_t number)
{
    const struct target_policy *policy = policy_of(sim, target);
    int64_t left = (int64_t)policy->budget_floor *
                   (int64_t)policy->budget_window_ms;

    for (uint64_t i = 0; i < SLICES && i < number; i++) {
        const struct ledger_slice *slice =
            &target->slices[(number - i) % LEDGER_SLICES_MAX];

        if (slice->number == number - i) {
            left += slice->in - slice->out;
        }
    }
    return left < 0 ? 0 : left;
}

/* The slices that it can be now, as far as is known. */
static void
find_range(const struct sim *sim, const struct ledger_target *target,
           uint64_t *ret_from, uint64_t *ret_to)
{
    int64_t length = target->slice_ms;

    if (target->seen == 0) {
        /* Beyond a whole window nothing changes any more. */
        *ret_from = target->newest == 0 ? 1 : target->newest;
        *ret_to = *ret_from + SLICES + 1;
        return;
    }
    *ret_from = target->seen +
                (uint64_t)((sim->mono_ms - target->seen_first_at) / length);
    *ret_to = target->seen +
              (uint64_t)((sim->mono_ms - target->seen_last_at + length - 1) /
                         length);
}

bool
ledger_budget_may_be(const struct sim *sim, const struct ledger_target *target,
                     uint64_t slice, int64_t left)
{
    uint64_t from = slice;
    uint64_t to = slice;

    if (!policy_of(sim, target)->has_budget) {
        return left == -1;
    }
    if (slice == 0) {
        find_range(sim, target, &from, &to);
    }
    for (uint64_t i = from; i <= to; i++) {
        if (left_in(sim, target, i) == left) {
            return true;
        }
    }
    return false;
}

bool
ledger_budget_may_refuse(const struct sim *sim,
                         const struct ledger_target *target)
{
    uint64_t from;
    uint64_t to;

    if (!policy_of(sim, target)->has_budget) {
        return false;
    }
    find_range(sim, target, &from, &to);
    for (uint64_t i = from; i <= to; i++) {
        if (left_in(sim, target, i) < RETRY) {
            return true;
        }
    }
    return false;
}

/* Slices follow one another in time, none is left out or runs ahead. */
static void
see_slice(struct sim *sim, struct ledger_target *target, uint64_t number)
{
    int64_t length = (int64_t)policy_of(sim, target)->budget_window_ms / SLICES;
    uint64_t from;
    uint64_t to;

    find_range(sim, target, &from, &to);
    if (target->seen != 0 && (number < from || number > to)) {
        sim_fail(sim, VIOLATION_BUDGET,
                 "%s: slice %" PRIu64 " is not within %" PRIu64 " to %" PRIu64,
                 target->name, number, from, to);
    }
    if (number < target->newest) {
        sim_fail(sim, VIOLATION_BUDGET, "%s: slice %" PRIu64 " again",
                 target->name, number);
    }
    if (number != target->seen) {
        target->seen_first_at = sim->mono_ms;
    }
    target->seen = number;
    target->seen_last_at = sim->mono_ms;
    target->slice_ms = length > 0 ? length : 1;
}

static bool
is_end(enum event_type type)
{
    return type == EVENT_JOB_SUCCEEDED || type == EVENT_JOB_FAILED ||
           type == EVENT_JOB_CANCELLED || type == EVENT_JOB_EXPIRED;
}

/* Nothing in the window is as if there never was anything. */
static void
forget_blank(struct ledger_target *target)
{
    for (uint64_t i = 0; i < SLICES && i < target->newest; i++) {
        const struct ledger_slice *slice =
            &target->slices[(target->newest - i) % LEDGER_SLICES_MAX];

        if (slice->number == target->newest - i &&
            (slice->in != 0 || slice->out != 0)) {
            return;
        }
    }
    memset(target->slices, 0, sizeof(target->slices));
    target->newest = 0;
}

/* A retry that never starts gives back what it took. */
static void
give_back(struct sim *sim, struct ledger_target *target, uint32_t spec,
          const struct record *record)
{
    struct ledger_job *job = &sim->ledger.jobs[spec];
    struct ledger_slice *slice;
    bool ends = is_end(record->type) || record->type == EVENT_RETRY_REFUSED;

    if (!ends || record->budget_delta_milli != RETRY ||
        job->token_slice != record->budget_slice) {
        sim_fail(sim, VIOLATION_BUDGET, "job %u: gives back what it has not",
                 spec);
    }
    job->token_slice = 0;
    /* By now the job may be guarded by another target: then it is lost. */
    if (record->budget_slice <= target->newest &&
        target->newest - record->budget_slice < SLICES) {
        slice = slice_of(target, record->budget_slice);
        slice->out = slice->out > RETRY ? slice->out - RETRY : 0;
        sim->coverage->guards[GUARD_GIVEN_BACK] += !sim->ledger.replaying;
        forget_blank(target);
    }
}

static void
take(struct sim *sim, struct ledger_target *target, uint32_t spec,
     const struct record *record)
{
    int64_t left = record->decision.budget_milli;

    if (!sim->ledger.replaying) {
        see_slice(sim, target, record->budget_slice);
        if (record->budget_delta_milli != -RETRY || left < 0 ||
            !ledger_budget_may_be(sim, target, record->budget_slice,
                                  left + RETRY)) {
            sim_fail(sim, VIOLATION_BUDGET,
                     "job %u: a retry of %s leaves %" PRId64 " of %" PRId64,
                     spec, target->name, left,
                     left_in(sim, target, record->budget_slice));
        }
        sim->coverage->guards[GUARD_BUDGET_TAKEN]++;
    }
    slice_of(target, record->budget_slice)->out += RETRY;
}

static void
deposit(struct sim *sim, struct ledger_target *target, uint32_t spec,
        const struct record *record)
{
    const struct target_policy *policy = policy_of(sim, target);

    if (!sim->ledger.replaying) {
        see_slice(sim, target, record->budget_slice);
        if (record->attempt != 1 ||
            record->budget_delta_milli != (int64_t)policy->budget_ratio_milli) {
            sim_fail(sim, VIOLATION_BUDGET, "job %u: a deposit of %" PRId64,
                     spec, record->budget_delta_milli);
        }
    }
    slice_of(target, record->budget_slice)->in += record->budget_delta_milli;
}

static void
follow_budget(struct sim *sim, struct ledger_target *target, uint32_t spec,
              const struct record *record)
{
    if (record->budget_slice == 0) {
        return;
    }
    if (record->type != EVENT_ATTEMPT_STARTED &&
        record->budget_delta_milli > 0) {
        give_back(sim, target, spec, record);
        return;
    }
    if (record->budget_delta_milli < 0) {
        take(sim, target, spec, record);
    } else {
        deposit(sim, target, spec, record);
    }
    if (record->budget_slice > target->newest) {
        target->newest = record->budget_slice;
    }
}

bool
ledger_has_retry_planned(const struct ledger_job *job)
{
    return job->decision.rule == RULE_RETRY_PLANNED &&
           (job->state != JOB_RUNNING || job->hedge_at != INT64_MAX);
}

void
ledger_check_payment(struct sim *sim, uint32_t spec,
                     const struct record *record)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];
    const struct ledger_target *target = ledger_target_of(sim, spec);
    const struct target_policy *policy = policy_of(sim, target);
    /* A failure pays for what follows it, nobody for other hedges. */
    bool pays = record->hedge && job->decision.rule == RULE_HEDGE_PLANNED;
    bool deposits = record->attempt == 1 && policy->budget_ratio_milli > 0;

    if (pays && !ledger_tokens_allow(sim, target, ledger_tokens(sim, target))) {
        sim_fail(sim, VIOLATION_THROTTLE, "job %u: a hedge without tokens",
                 spec);
    }
    if ((record->budget_slice != 0) !=
            (policy->has_budget && (pays || deposits)) ||
        (pays && record->budget_delta_milli > 0)) {
        sim_fail(sim, VIOLATION_BUDGET, "job %u: attempt %u %s", spec,
                 record->attempt,
                 record->budget_slice == 0 ? "costs nothing" : "costs a retry");
    }
}

void
ledger_check_give_back(struct sim *sim, uint32_t spec,
                       const struct record *record)
{
    const struct ledger_job *job = &sim->ledger.jobs[spec];
    bool refused = record->type == EVENT_RETRY_REFUSED;
    bool due = job->token_slice != 0 &&
               (job->running_count == 0 ? !refused
                                        : ledger_has_retry_planned(job));

    if (due != (record->budget_slice != 0)) {
        sim_fail(sim, VIOLATION_BUDGET, "job %u %s a retry", spec,
                 due ? "keeps" : "gives back");
    }
}

/* ---- Shared pushback --------------------------------------------------- */

int64_t
ledger_hold_ms(const struct sim *sim, const struct ledger_target *target)
{
    return target->hold_until_at > sim->mono_ms
               ? target->hold_until_at - sim->mono_ms
               : 0;
}

int64_t
ledger_spread_ms(const struct ledger_target *target)
{
    int64_t spread = target->hold_length_ms / 5;

    if (spread < 1000) {
        return 1000;
    }
    return spread > 60000 ? 60000 : spread;
}

/* Some drew when they come back while an earlier hold was the last one. */
static void
note_release(struct ledger_target *target)
{
    int64_t at = target->hold_until_at + ledger_spread_ms(target);

    if (target->hold_until_at != 0 && at > target->released_at) {
        target->released_at = at;
    }
}

/* A worker asked for it, and the latest end counts. */
static void
follow_hold(struct sim *sim, struct ledger_target *target, uint32_t spec,
            const struct record *record)
{
    const struct message_report *report = &sim->ledger.jobs[spec].over_report;
    int64_t length = report->pushback_ms;
    bool asked = record->type == EVENT_ATTEMPT_FAILED && report->for_target &&
                 report->has_pushback && length > 0;

    if (asked && !sim->ledger.replaying) {
        int64_t most = (int64_t)ledger_policy_of(sim, spec,
                                                 sim->gateway.policy_version)
                           ->retry.max_pushback_ms;

        length = length > most ? most : length;
        asked = length > 0 && sim->mono_ms + length > target->hold_until_at;
        if (asked != (record->hold_until_wall_ms != 0) ||
            (asked && record->hold_until_wall_ms != record->wall_ms + length)) {
            sim_fail(sim, VIOLATION_HOLD,
                     "job %u: %s is held until %" PRId64
                     " by a pushback of %" PRId64,
                     spec, target->name, record->hold_until_wall_ms, length);
        }
    } else if (!sim->ledger.replaying && record->hold_until_wall_ms != 0) {
        sim_fail(sim, VIOLATION_HOLD, "job %u: nobody asked to hold %s", spec,
                 target->name);
    }
    if (record->hold_until_wall_ms != 0) {
        target->hold_until_wall_ms = record->hold_until_wall_ms;
        target->hold_length_ms = record->hold_until_wall_ms - record->wall_ms;
        target->hold_until_at = sim->mono_ms + target->hold_length_ms;
        note_release(target);
        sim->coverage->guards[GUARD_HELD] += !sim->ledger.replaying;
    }
}

/* ---- What is said of the target itself --------------------------------- */

static void
check_told(struct sim *sim, struct ledger_target *target,
           const struct record *record, bool throttle)
{
    bool exhausted = record->type == EVENT_BUDGET_EXHAUSTED;
    bool told = throttle ? target->told_throttle : target->told_budget;
    int64_t tokens = ledger_tokens(sim, target);
    int64_t left = record->decision.budget_milli;
    bool empty = throttle ? !ledger_tokens_allow(sim, target, tokens)
                          : left >= 0 && left < RETRY;

    if (told == exhausted || empty != exhausted ||
        record->decision.tokens_milli != tokens ||
        !ledger_budget_may_be(sim, target, 0, left)) {
        sim_fail(sim, VIOLATION_BUDGET,
                 "%s of %s: %" PRId64 " tokens of %" PRId64 ", %" PRId64
                 " of the budget",
                 event_type_name(record->type), target->name,
                 record->decision.tokens_milli, tokens, left);
    }
}

static void
forget(struct ledger_target *target, bool all)
{
    target->tokens = 0;
    target->tokens_most = 0;
    if (all) {
        memset(target->slices, 0, sizeof(target->slices));
        target->newest = 0;
        target->seen = 0;
        target->hold_until_wall_ms = 0;
        target->hold_until_at = 0;
        target->told_throttle = false;
        target->told_budget = false;
    }
}

static void
follow_own(struct sim *sim, struct ledger_target *target,
           const struct record *record)
{
    bool throttle = same_text(record->reason, plan_text("THROTTLE"));
    bool *told = throttle ? &target->told_throttle : &target->told_budget;

    if (record->type == EVENT_GATEWAY_RELOADED) {
        if (!sim->ledger.replaying && throttle &&
            (policy_of(sim, target)->has_throttle ||
             target->tokens_most == 0)) {
            sim_fail(sim, VIOLATION_THROTTLE, "%s forgets its tokens",
                     target->name);
        }
        forget(target, !throttle);
        return;
    }
    if (!sim->ledger.replaying) {
        check_told(sim, target, record, throttle);
    }
    *told = record->type == EVENT_BUDGET_EXHAUSTED;
    if (*told) {
        *(throttle ? &target->told_throttle_at
                   : &target->told_budget_at) = sim->mono_ms;
    }
}

/* ---- Records ----------------------------------------------------------- */

/* Which one it says that it is about. */
static struct ledger_target *
named_by(struct sim *sim, uint32_t spec, const struct record *record)
{
    struct text name = record->target.len > 0 ? record->target
                                              : record->service;
    struct ledger_target *target =
        &sim->ledger.targets[ledger_target_named(sim, name)];

    if (spec != PLAN_JOBS_MAX && !sim->ledger.replaying &&
        target != ledger_target_of(sim, spec)) {
        sim_fail(sim, VIOLATION_RECORD, "job %u is not guarded by %s", spec,
                 target->name);
    }
    return target;
}

void
ledger_target_record(struct sim *sim, uint32_t spec,
                     const struct record *record)
{
    bool asks = spec != PLAN_JOBS_MAX && !sim->ledger.replaying &&
                record->type == EVENT_ATTEMPT_FAILED &&
                sim->ledger.jobs[spec].over_report.for_target;
    bool own = spec == PLAN_JOBS_MAX && record->target.len > 0;

    if (record->decision.tokens_max_milli == 0 && record->budget_slice == 0 &&
        record->hold_until_wall_ms == 0 && !asks && !own) {
        return;
    }
    /* What changes nothing does not name its target. */
    struct ledger_target *target =
        record->decision.tokens_max_milli == 0 && record->budget_slice == 0 &&
                record->hold_until_wall_ms == 0 && !own
            ? (sim->ledger.replaying ? NULL : ledger_target_of(sim, spec))
            : named_by(sim, spec, record);

    if (target == NULL) {
        return;
    }
    target->seq = record->seq;
    if (own) {
        follow_own(sim, target, record);
    } else {
        follow_budget(sim, target, spec, record);
        follow_hold(sim, target, spec, record);
    }
    if (record->decision.tokens_max_milli > 0) {
        target->tokens = record->decision.tokens_milli;
        target->tokens_most = record->decision.tokens_max_milli;
    }
}

/* ---- Restart, reload --------------------------------------------------- */

void
ledger_targets_crashed(struct sim *sim)
{
    for (uint32_t i = 0; i < LEDGER_TARGETS_MAX; i++) {
        struct ledger_target *target = &sim->ledger.targets[i];
        struct ledger_target fresh = {0};

        memcpy(fresh.name, target->name, sizeof(fresh.name));
        *target = fresh;
    }
}

void
ledger_targets_recovering(struct sim *sim, int64_t wall_ms)
{
    for (uint32_t i = 0; i < LEDGER_TARGETS_MAX; i++) {
        struct ledger_target *target = &sim->ledger.targets[i];
        int64_t left = target->hold_until_wall_ms - wall_ms;

        if (left > target->hold_length_ms) {
            left = target->hold_length_ms;
        }
        target->seen = 0;
        target->hold_until_at = target->hold_until_wall_ms == 0 || left <= 0
                                    ? 0
                                    : sim->mono_ms + left;
        target->released_at = 0;
        note_release(target);
    }
}

void
ledger_targets_policy(struct sim *sim)
{
    for (uint32_t i = 0; i < LEDGER_TARGETS_MAX; i++) {
        struct ledger_target *target = &sim->ledger.targets[i];

        /* Slices of another length from now on. */
        target->seen = 0;
    }
}

/* ---- Figures ----------------------------------------------------------- */

/* Said to be exhausted, and long enough ago for the opposite to be said. */
static bool
is_told_late(const struct sim *sim, bool told, int64_t told_at)
{
    enum { FLIP_MS = 1000 };
    int64_t since = told_at > sim->ledger.recovered_at
                        ? told_at
                        : sim->ledger.recovered_at;

    return told && sim->mono_ms > since + FLIP_MS;
}

static void
check_recovered(struct sim *sim, const struct ledger_target *target)
{
    int64_t tokens = ledger_tokens(sim, target);

    if (is_told_late(sim, target->told_throttle, target->told_throttle_at) &&
        ledger_tokens_allow(sim, target, tokens)) {
        sim_fail(sim, VIOLATION_THROTTLE,
                 "%s is not exhausted any more, nobody says so", target->name);
    }
    if (is_told_late(sim, target->told_budget, target->told_budget_at) &&
        !ledger_budget_may_refuse(sim, target)) {
        sim_fail(sim, VIOLATION_BUDGET, "%s has a budget again, nobody says so",
                 target->name);
    }
}

static void
check_stats(struct sim *sim, const struct engine_target_stats *stats)
{
    struct ledger_target *target =
        &sim->ledger.targets[ledger_target_named(sim, stats->name)];
    int64_t tokens = ledger_tokens(sim, target);

    if (stats->tokens_milli != tokens) {
        sim_fail(sim, VIOLATION_THROTTLE,
                 "%s shows %" PRId64 " tokens, not %" PRId64, target->name,
                 stats->tokens_milli, tokens);
    }
    if (!ledger_budget_may_be(sim, target, 0, stats->budget_milli)) {
        sim_fail(sim, VIOLATION_BUDGET, "%s shows a budget of %" PRId64,
                 target->name, stats->budget_milli);
    }
    if (stats->hold_ms != (uint64_t)ledger_hold_ms(sim, target)) {
        sim_fail(sim, VIOLATION_HOLD,
                 "%s shows %" PRIu64 " ms of hold, not %" PRId64, target->name,
                 stats->hold_ms, ledger_hold_ms(sim, target));
    }
    check_recovered(sim, target);
    if (stats->throttle_exhausted && !target->told_throttle &&
        stats->has_throttle) {
        sim_fail(sim, VIOLATION_THROTTLE, "%s is exhausted, nobody says so",
                 target->name);
    }
}

void
ledger_check_targets(struct sim *sim)
{
    struct engine_target_stats stats;

    for (uint32_t i = 0;
         engine_target_stats(sim->gateway.engine, gateway_now(sim), i, &stats);
         i++) {
        if (stats.name.len > 0) {
            check_stats(sim, &stats);
        }
    }
}
