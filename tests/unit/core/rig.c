/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/core/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rig_row {
    bool known;
    size_t len;
    uint8_t bytes[ENGINE_EXPORT_MAX];
};

struct rig rig;

/* Rows of targets: stale ones of all ages, and as each was last seen. */
struct rig_target {
    size_t len; /* 0: none */
    uint8_t bytes[ENGINE_TARGET_EXPORT_MAX];
    size_t stale_len;
    uint8_t stale[ENGINE_TARGET_EXPORT_MAX];
};

static struct rig_target rig_targets[RIG_TARGETS_MAX];

static struct text
text(const char *string)
{
    return (struct text){.at = string, .len = (uint32_t)strlen(string)};
}

/* ---- Life -------------------------------------------------------------- */

static struct engine *
make_engine(void)
{
    size_t size = (engine_size(&rig.limits) + 63) / 64 * 64;
    void *memory = aligned_alloc(64, size);

    assert_non_null(memory);
    memset(memory, 0, size);
    return engine_init(memory, &rig.limits, &rig.policy, 4711, rig.now);
}

static void
drop_engine(void)
{
    free(rig.engine);
    free(rig.rows);
    rig.engine = NULL;
    rig.rows = NULL;
}

void
rig_restart_empty(void)
{
    drop_engine();
    rig.engine = make_engine();
    rig.rows = calloc(rig.limits.jobs_max, sizeof(*rig.rows));
    assert_non_null(rig.rows);
    memset(rig_targets, 0, sizeof(rig_targets));
    rig.log_len = 0;
    rig.steps = 0;
    rig_seen();
}

int
rig_setup(void **state)
{
    (void)state;
    memset(&rig, 0, sizeof(rig));
    rig.limits = (struct engine_limits){
        .jobs_max = 64,
        .attempts_max = 64,
        .workers_max = 8,
        .methods_max = 8,
        .tenants_max = 8,
        .keys_max = 16,
        .attempts_limit = 10,
        .payload_bytes_max = 1 << 20,
        .lease_ms = 10000,
        .adopt_ms = 10000,
        .silence_ms = 6000,
        .grace_ms = 2000,
    };
    policy_set_default(&rig.policy);
    rig.policy.version = 7;
    rig.policy.fallback.retry.jitter = JITTER_NONE;
    rig.now = (struct now){.mono = {1000000}, .wall = {1700000000000}};
    rig.submit = (struct engine_submit){
        .service = text("s"), .method = text("m"), .priority = 5};
    assert_true(engine_outbox_init(&rig.out));
    rig_restart_empty();
    return 0;
}

int
rig_teardown(void **state)
{
    (void)state;
    rig_check_replay();
    drop_engine();
    free(rig.log);
    engine_outbox_fini(&rig.out);
    return 0;
}

struct method_policy *
rig_fallback(void)
{
    return &rig.policy.fallback;
}

void
rig_use_policy(void)
{
    rig_step(
        &(struct engine_input){.type = ENGINE_POLICY, .policy = &rig.policy});
}

/* ---- The log ----------------------------------------------------------- */

static void
log_record(const struct record *record)
{
    size_t need = rig.log_len + sizeof(size_t) + record_encoded_max(record, 0);

    if (need > rig.log_max) {
        rig.log_max = need * 2;
        rig.log = realloc(rig.log, rig.log_max);
        assert_non_null(rig.log);
    }
    size_t len = record_encode(record, (struct text){0},
                               rig.log + rig.log_len + sizeof(size_t));

    memcpy(rig.log + rig.log_len, &len, sizeof(len));
    rig.log_len += sizeof(len) + len;
}

/* Keeps a record with texts of its own; the log's bytes hold them. */
static void
keep_last(const struct record *record)
{
    uint8_t *buf = (uint8_t *)rig.last_texts[record->type];

    assert_true(record_encoded_max(record, 0) <= sizeof(rig.last_texts[0]));
    size_t len = record_encode(record, (struct text){0}, buf);

    assert_true(record_decode(buf, len, &rig.last[record->type]));
}

static void
apply_log(struct engine *engine, uint64_t from_seq)
{
    size_t at = 0;

    while (at < rig.log_len) {
        struct record record;
        size_t len;

        memcpy(&len, rig.log + at, sizeof(len));
        at += sizeof(len);
        assert_true(record_decode(rig.log + at, len, &record));
        at += len;
        if (record.seq >= from_seq) {
            assert_true(engine_apply(engine, &record));
        }
    }
}

void
rig_check_replay(void)
{
    struct engine *rebuilt = make_engine();
    uint64_t hash = engine_state_hash(rig.engine);

    apply_log(rebuilt, 0);
    assert_int_equal(engine_state_hash(rebuilt), hash);
    free(rebuilt);
    rebuilt = make_engine();
    for (uint32_t slot = 0; slot < rig.limits.jobs_max; slot++) {
        if (rig.rows[slot].known) {
            assert_true(engine_load_job(rebuilt, rig.rows[slot].bytes,
                                        rig.rows[slot].len));
        }
    }
    for (uint32_t i = 0; i < RIG_TARGETS_MAX; i++) {
        if (rig_targets[i].stale_len > 0) {
            assert_true(engine_load_target(rebuilt, rig_targets[i].stale,
                                           rig_targets[i].stale_len));
        }
    }
    apply_log(rebuilt, 0);
    assert_int_equal(engine_state_hash(rebuilt), hash);
    free(rebuilt);
}

static bool
a_record_names(uint32_t index)
{
    for (size_t i = 0; i < rig.out.record_count; i++) {
        if (rig.out.records[i].target_index == index) {
            return true;
        }
    }
    return false;
}

/* A row that changed must be one that a record of the step named. */
static void
keep_target_rows(bool check)
{
    struct engine_target_stats stats;

    for (uint32_t i = 0; engine_target_stats(rig.engine, rig.now, i, &stats);
         i++) {
        struct rig_target *target = &rig_targets[i];
        uint8_t buf[ENGINE_TARGET_EXPORT_MAX] = {0};

        assert_true(i < RIG_TARGETS_MAX);
        size_t len = engine_export_target(rig.engine, i, buf);

        if (len != target->len || memcmp(buf, target->bytes, len) != 0) {
            assert_true(!check || a_record_names(i));
            memcpy(target->bytes, buf, sizeof(buf));
            target->len = len;
        }
        if ((i + rig.steps) % 3 == 0 || len == 0) {
            memcpy(target->stale, buf, sizeof(buf));
            target->stale_len = len;
        }
    }
}

void
rig_restart(void)
{
    struct engine_stats stats;
    struct engine *engine = make_engine();

    engine_stats(rig.engine, rig.now, &stats);
    rig_check_replay();
    apply_log(engine, 0);
    free(rig.engine);
    rig.engine = engine;
    memset(rig.rows, 0, rig.limits.jobs_max * sizeof(*rig.rows));
    memset(rig_targets, 0, sizeof(rig_targets));
    engine_recover(engine, rig.now, stats.next_seq, &rig.out);
    for (size_t i = 0; i < rig.out.record_count; i++) {
        log_record(&rig.out.records[i]);
    }
    keep_target_rows(false);
    rig_seen();
}

/* ---- Steps ------------------------------------------------------------- */

struct job_id
rig_id(uint32_t n)
{
    struct job_id id = {{0x01, 0x90}};

    for (int i = 0; i < 4; i++) {
        id.bytes[15 - i] = (uint8_t)(n >> (8 * i));
    }
    return id;
}

static void
take_record(const struct record *record)
{
    const char *name = event_type_name(record->type);

    log_record(record);
    keep_last(record);
    if (rig.trace_len + strlen(name) + 2 < sizeof(rig.trace)) {
        rig.trace_len += (size_t)snprintf(rig.trace + rig.trace_len,
                                          sizeof(rig.trace) - rig.trace_len,
                                          "%s ", name);
    }
    if (event_type_is_about_job(record->type)) {
        assert_true(record->slot < rig.limits.jobs_max);
    }
}

static void
take_command(const struct engine_command *command)
{
    uint32_t at;

    switch (command->type) {
    case COMMAND_ASSIGN:
        at = rig.assigned_count++ % RIG_TOKENS_MAX;
        rig.assigned[at] = (struct rig_assigned){
            .token = command->token,
            .worker = command->worker,
            .timeout_ms = command->timeout_ms,
            .remaining_ms = command->remaining_ms,
            .charged_before = command->charged_before,
        };
        break;
    case COMMAND_STOP:
        rig.stops[rig.stop_count++ % RIG_TOKENS_MAX] = *command;
        break;
    case COMMAND_RELEASE:
        rig.released[rig.release_count++ % RIG_TOKENS_MAX] = command->slot;
        rig.rows[command->slot].known = false;
        break;
    case COMMAND_FORGET:
        rig.forgotten = command->worker;
        break;
    }
}

/* Every step a few rows are written anew: rows of all ages. */
static void
keep_rows(void)
{
    uint32_t slot = ENGINE_NO_SLOT;
    char scratch[ENGINE_VIEW_BYTES];
    struct job_view view;

    for (;;) {
        slot = engine_next_job(rig.engine, slot);
        if (slot == ENGINE_NO_SLOT) {
            break;
        }
        assert_true(engine_view(rig.engine, slot, scratch, &view));
        if (job_state_is_final(view.state)) {
            rig.rows[slot].known = false;
        } else if ((slot + rig.steps) % 5 == 0) {
            rig.rows[slot].known = true;
            rig.rows[slot].len = engine_export_job(rig.engine, slot,
                                                   rig.rows[slot].bytes);
        }
    }
    rig.steps++;
}

/* Records of a step continue the log without a gap, jobs their own count. */
void
rig_step(const struct engine_input *input)
{
    struct engine_stats before;
    struct engine_stats after;

    engine_stats(rig.engine, rig.now, &before);
    engine_step(rig.engine, rig.now, input, &rig.out);
    engine_stats(rig.engine, rig.now, &after);
    assert_int_equal(after.next_seq, before.next_seq + rig.out.record_count);
    for (size_t i = 0; i < rig.out.record_count; i++) {
        assert_int_equal(rig.out.records[i].seq, before.next_seq + i);
        take_record(&rig.out.records[i]);
    }
    for (size_t i = 0; i < rig.out.command_count; i++) {
        take_command(&rig.out.commands[i]);
    }
    keep_rows();
    keep_target_rows(true);
}

void
rig_tick(void)
{
    rig_step(&(struct engine_input){.type = ENGINE_TICK});
}

static void
move_to(int64_t mono_ms)
{
    rig.now.wall.ms += mono_ms - rig.now.mono.ms;
    rig.now.mono.ms = mono_ms;
}

void
rig_advance(int64_t ms)
{
    int64_t end = rig.now.mono.ms + ms;

    for (;;) {
        struct mono wake = engine_next_wake(rig.engine);

        if (wake.ms > end) {
            break;
        }
        if (wake.ms > rig.now.mono.ms) {
            move_to(wake.ms);
        }
        rig_tick();
    }
    move_to(end);
}

const struct engine_result *
rig_submit(uint32_t n)
{
    struct engine_input input = {.type = ENGINE_SUBMIT, .submit = rig.submit};

    input.submit.id = rig_id(n);
    rig_step(&input);
    return &rig.out.result;
}

const struct engine_result *
rig_cancel(uint32_t n)
{
    struct engine_input input = {.type = ENGINE_CANCEL};

    input.cancel.id = rig_id(n);
    input.cancel.reason = text("no longer needed");
    rig_step(&input);
    return &rig.out.result;
}

uint64_t
rig_hello_with(const char *name, const char *instance, uint32_t concurrency,
               const struct engine_token *in_hand, size_t count)
{
    struct engine_slots slots = {
        .service = text("s"), .method = text("m"), .count = concurrency};
    struct engine_input input = {
        .type = ENGINE_HELLO,
        .hello = {.name = text(name),
                  .instance = text(instance),
                  .methods = &slots,
                  .method_count = 1,
                  .concurrency = concurrency,
                  .in_hand = in_hand,
                  .in_hand_count = count},
    };

    rig_step(&input);
    return rig.out.result.worker;
}

uint64_t
rig_hello(const char *name, const char *instance, uint32_t concurrency)
{
    return rig_hello_with(name, instance, concurrency, NULL, 0);
}

void
rig_poll_acks(uint64_t worker, uint32_t free_total,
              const struct engine_token *acks, size_t count)
{
    struct engine_input input = {
        .type = ENGINE_POLL,
        .poll = {.worker = worker,
                 .free_total = free_total,
                 .acks = acks,
                 .ack_count = count},
    };

    rig_step(&input);
}

void
rig_poll(uint64_t worker, uint32_t free_total)
{
    static struct engine_token acks[RIG_TOKENS_MAX];
    size_t count = 0;

    for (uint32_t i = 0; i < rig.assigned_count && i < RIG_TOKENS_MAX; i++) {
        if (rig.assigned[i].worker == worker) {
            acks[count++] = rig.assigned[i].token;
        }
    }
    rig_poll_acks(worker, free_total, acks, count);
}

void
rig_heartbeat(uint64_t worker)
{
    rig_step(
        &(struct engine_input){.type = ENGINE_HEARTBEAT, .heartbeat = worker});
}

void
rig_gone(uint64_t worker, enum engine_gone how)
{
    struct engine_input input = {.type = ENGINE_WORKER_GONE};

    input.gone.worker = worker;
    input.gone.how = how;
    rig_step(&input);
}

const struct engine_result *
rig_report_kind(uint64_t worker, struct engine_token token,
                enum report_kind kind)
{
    struct engine_input input = {.type = ENGINE_REPORT, .report = rig.report};

    input.report.worker = worker;
    input.report.token = token;
    input.report.kind = kind;
    rig_step(&input);
    return &rig.out.result;
}

const struct engine_result *
rig_succeed(uint64_t worker, struct engine_token token)
{
    struct engine_report before = rig.report;

    rig.report = (struct engine_report){.result_bytes = 3};
    rig_report_kind(worker, token, REPORT_OUTCOME);
    rig.report = before;
    return &rig.out.result;
}

const struct engine_result *
rig_fail(uint64_t worker, struct engine_token token, enum redial_status code,
         const char *reason)
{
    struct engine_report before = rig.report;

    rig.report.code = code;
    rig.report.reason = text(reason);
    rig_report_kind(worker, token, REPORT_OUTCOME);
    rig.report = before;
    return &rig.out.result;
}

/* ---- What came out ----------------------------------------------------- */

struct engine_token
rig_token(uint32_t i)
{
    assert_true(i < rig.assigned_count);
    return rig.assigned[i].token;
}

struct engine_token
rig_token_of(uint32_t n)
{
    struct job_id id = rig_id(n);

    for (uint32_t i = rig.assigned_count; i-- > 0;) {
        if (memcmp(&rig.assigned[i].token.job, &id, sizeof(id)) == 0) {
            return rig.assigned[i].token;
        }
    }
    fail_msg("job %u was not assigned", n);
    return (struct engine_token){0};
}

void
rig_seen(void)
{
    rig.trace_len = 0;
    rig.trace[0] = '\0';
    rig.assigned_count = 0;
    rig.stop_count = 0;
    rig.release_count = 0;
    memset(rig.last, 0, sizeof(rig.last));
}

void
rig_expect_at(const char *events, const char *file, int line)
{
    if (rig.trace_len > 0) {
        rig.trace[--rig.trace_len] = '\0';
    }
    if (strcmp(rig.trace, events) != 0) {
        print_error("expected: %s\nbut came: %s\n", events, rig.trace);
        _fail(file, line);
    }
    rig.trace_len = 0;
    rig.trace[0] = '\0';
}

const struct record *
rig_record(enum event_type type)
{
    assert_int_equal(rig.last[type].type, type);
    return &rig.last[type];
}

struct engine_target_stats
rig_target(const char *name)
{
    struct engine_target_stats stats;

    for (uint32_t i = 0; engine_target_stats(rig.engine, rig.now, i, &stats);
         i++) {
        if (stats.name.len == strlen(name) &&
            memcmp(stats.name.at, name, stats.name.len) == 0) {
            return stats;
        }
    }
    fail_msg("no target %s", name);
    return (struct engine_target_stats){0};
}

struct job_view
rig_view(uint32_t n)
{
    static char scratch[ENGINE_VIEW_BYTES];
    struct job_view view = {0};
    uint32_t slot = engine_find(rig.engine, rig_id(n));

    assert_int_not_equal(slot, ENGINE_NO_SLOT);
    assert_true(engine_view(rig.engine, slot, scratch, &view));
    return view;
}

bool
rig_is_live(uint32_t n)
{
    return engine_find(rig.engine, rig_id(n)) != ENGINE_NO_SLOT;
}
