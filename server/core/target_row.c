/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The projected row of a target: all of its recorded state and nothing else.
 *
 *     format (1 byte) · name · seq · tokens · their maximum · what was told ·
 *     hold: until, said when · newest slice · its time · deposits · retries ·
 *     breaker: epoch, state, cause, step, forced, load, open for, since ·
 *     holders: how many; of each name, reason, since, until
 *
 * Format 1 ends before the breaker.
 *
 * Slices are written as they are kept, by their number modulo ten. Rows are
 * read from disk: any bytes may come.
 */
#include "server/base/varint.h"
#include "server/core/state.h"

#include <string.h>

enum { EXPORT_FORMAT = 2, EXPORT_FORMAT_OLDEST = 1 };

/* Far more than any clock will show, and far from overflow. */
static const int64_t wall_ms_max = INT64_C(4000000000000000);

/* Far more than any window holds. */
static const uint64_t slice_milli_max = UINT64_C(1) << 50;
static const uint64_t slice_max = (uint64_t)INT64_MAX / 2;

/* ---- Writing ----------------------------------------------------------- */

static uint8_t *
put_signed(uint8_t *at, int64_t value)
{
    return varint_write(at, zigzag_encode(value));
}

static uint32_t
told_bits(const struct target *target)
{
    return (target->told[TARGET_THROTTLE] ? 1u : 0u) |
           (target->told[TARGET_BUDGET] ? 2u : 0u);
}

static uint8_t *
put_text(uint8_t *at, const char *bytes, uint32_t len)
{
    at = varint_write(at, len);
    memcpy(at, bytes, len);
    return at + len;
}

static uint8_t *
put_breaker(uint8_t *at, const struct target *target)
{
    const struct breaker *breaker = &target->breaker;

    at = varint_write(at, breaker->epoch);
    at = varint_write(at, breaker->state);
    at = varint_write(at, target->breaker_cause);
    at = varint_write(at, breaker->step);
    at = varint_write(at, breaker->forced);
    at = varint_write(at, breaker->load);
    at = varint_write(at, target->breaker_open_ms);
    at = put_signed(at, target->breaker_wall_ms);
    at = varint_write(at, target->holder_count);
    for (uint32_t i = 0; i < target->holder_count; i++) {
        const struct holder *holder = &target->holders[i];

        at = put_text(at, holder->name, holder->name_len);
        at = put_text(at, holder->reason, holder->reason_len);
        at = put_signed(at, holder->since_wall_ms);
        at = put_signed(at, holder->until_wall_ms);
    }
    return at;
}

size_t
engine_export_target(const struct engine *engine, uint32_t index, uint8_t *buf)
{
    const struct target *target = slab_at(&engine->targets, index);
    uint8_t *at = buf;

    redial_assert(index < engine->targets.fresh);
    if (!target_remembers(target)) {
        return 0;
    }
    *at++ = EXPORT_FORMAT;
    at = put_text(at, target->name, target->name_len);
    at = varint_write(at, target->seq);
    at = varint_write(at, (uint64_t)target->throttle.tokens_milli);
    at = varint_write(at, (uint64_t)target->throttle.max_milli);
    at = varint_write(at, told_bits(target));
    at = put_signed(at, target->hold_until_wall_ms);
    at = put_signed(at, target->hold_wall_ms);
    at = varint_write(at, target->budget.newest);
    at = put_signed(at, target->budget_wall_ms);
    for (uint32_t i = 0; i < BUDGET_SLICES; i++) {
        at = varint_write(at, (uint64_t)target->budget.in_milli[i]);
        at = varint_write(at, (uint64_t)target->budget.out_milli[i]);
    }
    at = put_breaker(at, target);
    redial_assert(at <= buf + ENGINE_TARGET_EXPORT_MAX);
    return (size_t)(at - buf);
}

/* ---- Reading ----------------------------------------------------------- */

/* Bytes that are left; `at` is NULL once something was wrong. */
struct reader {
    const uint8_t *at;
    const uint8_t *end;
};

/* A number of at most `max`; 0 when it is not there. */
static uint64_t
get(struct reader *reader, uint64_t max)
{
    uint64_t value = 0;

    if (reader->at != NULL) {
        reader->at = varint_read(reader->at, reader->end, &value);
    }
    if (value > max) {
        reader->at = NULL;
    }
    return reader->at == NULL ? 0 : value;
}

static int64_t
get_wall(struct reader *reader)
{
    int64_t wall_ms = zigzag_decode(get(reader, UINT64_MAX));

    if (wall_ms < -wall_ms_max || wall_ms > wall_ms_max) {
        reader->at = NULL;
        return 0;
    }
    return wall_ms;
}

static struct text
get_text(struct reader *reader, uint32_t len_max)
{
    uint32_t len = (uint32_t)get(reader, len_max);
    struct text name = {.at = (const char *)reader->at, .len = len};

    if (reader->at == NULL || len > (size_t)(reader->end - reader->at)) {
        reader->at = NULL;
        return (struct text){0};
    }
    reader->at += len;
    return name;
}

static void
get_state(struct reader *reader, struct target *row)
{
    row->seq = get(reader, UINT64_MAX);
    row->throttle.tokens_milli = (int64_t)get(reader, UINT32_MAX);
    row->throttle.max_milli = (int64_t)get(reader, UINT32_MAX);
    uint64_t told = get(reader, 3);

    row->told[TARGET_THROTTLE] = (told & 1) != 0;
    row->told[TARGET_BUDGET] = (told & 2) != 0;
    row->hold_until_wall_ms = get_wall(reader);
    row->hold_wall_ms = get_wall(reader);
    row->budget.newest = get(reader, slice_max);
    row->budget_wall_ms = get_wall(reader);
    for (uint32_t i = 0; i < BUDGET_SLICES; i++) {
        row->budget.in_milli[i] = (int64_t)get(reader, slice_milli_max);
        row->budget.out_milli[i] = (int64_t)get(reader, slice_milli_max);
    }
}

static void
get_holder(struct reader *reader, struct holder *holder)
{
    struct text name = get_text(reader, NAME_BYTES_MAX);
    struct text reason = get_text(reader, REASON_BYTES_MAX);

    holder->since_wall_ms = get_wall(reader);
    holder->until_wall_ms = get_wall(reader);
    holder->until_ms = INT64_MAX; /* until recovery ends */
    if (reader->at == NULL || name.len == 0) {
        reader->at = NULL;
        return;
    }
    holder->name_len = name.len;
    memcpy(holder->name, name.at, name.len);
    holder->reason_len = reason.len;
    memcpy(holder->reason, reason.at, reason.len);
}

static void
get_breaker(struct reader *reader, struct target *row)
{
    struct breaker *breaker = &row->breaker;

    breaker->epoch = get(reader, UINT64_MAX);
    breaker->state = (uint8_t)get(reader, BREAKER_RAMP);
    row->breaker_cause = (uint8_t)get(reader, BREAKER_CAUSE_RESTART);
    breaker->step = (uint8_t)get(reader, BREAKER_STEPS_MAX);
    breaker->forced = get(reader, 1) != 0;
    breaker->load = (uint32_t)get(reader, UINT32_MAX);
    row->breaker_open_ms = get(reader, (uint64_t)DURATION_MS_MAX);
    row->breaker_wall_ms = get_wall(reader);
    row->holder_count = (uint8_t)get(reader, ENGINE_HOLDERS_MAX);
    for (uint32_t i = 0; i < row->holder_count; i++) {
        get_holder(reader, &row->holders[i]);
    }
}

static bool
breaker_is_sound(const struct target *row)
{
    const struct breaker *breaker = &row->breaker;

    return breaker->forced == (row->holder_count > 0) &&
           (breaker->epoch > 0 ||
            (breaker->state == BREAKER_CLOSED && !breaker->forced));
}

static bool
is_sound(const struct target *row)
{
    return row->seq > 0 && breaker_is_sound(row) &&
           row->throttle.tokens_milli <= row->throttle.max_milli &&
           (row->budget.newest == 0) == budget_is_blank(&row->budget);
}

bool
engine_load_target(struct engine *engine, const uint8_t *bytes, size_t len)
{
    struct reader reader = {.at = bytes + 1, .end = bytes + len};
    struct target row = {0};

    if (len == 0 || bytes[0] < EXPORT_FORMAT_OLDEST ||
        bytes[0] > EXPORT_FORMAT) {
        return false;
    }
    struct text name = get_text(&reader, NAME_BYTES_MAX);

    get_state(&reader, &row);
    if (bytes[0] > EXPORT_FORMAT_OLDEST) {
        get_breaker(&reader, &row);
    }
    if (reader.at == NULL || name.len == 0 || reader.at != reader.end ||
        !is_sound(&row)) {
        return false;
    }
    struct target *target = target_intern(engine, name);

    if (target == NULL) {
        return false;
    }
    if (row.seq > target->seq) {
        target_restore_row(engine, target, &row);
    }
    return true;
}

/* ---- Views ------------------------------------------------------------- */

uint64_t
targets_state_hash(const struct engine *engine, const struct hash_key *key)
{
    uint8_t buf[ENGINE_TARGET_EXPORT_MAX];
    uint64_t sum = 0;

    for (uint32_t i = 0; i < engine->targets.fresh; i++) {
        size_t len = engine_export_target(engine, i, buf);

        sum += len == 0 ? 0 : hash_64(key, buf, len);
    }
    return sum;
}

bool
engine_changes_target(const struct record *record, struct text *ret_name)
{
    if (!target_is_changed_by(record)) {
        return false;
    }
    *ret_name = record->target.len > 0 ? record->target : record->service;
    return true;
}

uint32_t
engine_find_target(const struct engine *engine, struct text name)
{
    const struct target *target = target_find(engine, name);

    return target == NULL ? ENGINE_NO_SLOT : target->index;
}

/* As of `now`, which may be later than the last step. */
bool
engine_target_stats(const struct engine *engine, struct now now, uint32_t index,
                    struct engine_target_stats *ret_stats)
{
    if (index >= engine->targets.fresh) {
        return false;
    }
    const struct target *target = slab_at(&engine->targets, index);
    const struct target_policy *policy = target->policy;
    int64_t held_ms = target->hold_until_ms > now.mono.ms
                          ? target->hold_until_ms - now.mono.ms
                          : 0;
    int64_t tokens_milli = throttle_tokens(&target->throttle, policy);
    int64_t budget_milli = budget_left(&target->budget, policy,
                                       target_slice_at(target, now.mono.ms));

    *ret_stats = (struct engine_target_stats){
        .name = target_text(target),
        .has_throttle = policy->has_throttle,
        .throttle_exhausted = !throttle_allows(tokens_milli,
                                               policy->tokens_max_milli),
        .tokens_milli = tokens_milli,
        .tokens_max_milli = policy->has_throttle
                                ? (int64_t)policy->tokens_max_milli
                                : 0,
        .has_budget = policy->has_budget,
        .budget_exhausted = !budget_allows(budget_milli),
        .budget_milli = budget_milli,
        .retries_waiting = target->retries_waiting,
        .retries_allowed = target->retries_allowed,
        .retries_refused = target->retries_refused,
        .hold_ms = (uint64_t)held_ms,
    };
    return true;
}
