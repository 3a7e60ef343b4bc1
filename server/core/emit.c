/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/emit.h"

#include <string.h>

#define RULE(name, number, sentence) \
    _Static_assert((number) < 32, "engine->rules has room for it");
#include "server/core/rule.def"
#undef RULE

static char *
take_text(struct engine *engine, uint32_t len)
{
    struct engine_outbox *out = engine->out;
    char *at = out->texts + out->text_bytes;

    redial_assert(out->text_bytes + len <= out->text_bytes_max);
    out->text_bytes += len;
    return at;
}

struct text
emit_text(struct engine *engine, struct text text)
{
    if (text.len == 0) {
        return (struct text){0};
    }
    char *at = take_text(engine, text.len);

    memcpy(at, text.at, text.len);
    return (struct text){.at = at, .len = text.len};
}

/* A text out of the chunk pool. */
static struct text
emit_chunk_text(struct engine *engine, uint32_t ref)
{
    if (ref == 0) {
        return (struct text){0};
    }
    uint32_t len = chunk_len(&engine->texts, ref);
    char *at = take_text(engine, len);

    chunk_get(&engine->texts, ref, at, len);
    return (struct text){.at = at, .len = len};
}

void
emit_key(struct engine *engine, struct record *record, const struct job *job)
{
    record->key = emit_chunk_text(engine, job->key);
}

/* What every record of a job says of it. */
static void
describe_job(struct engine *engine, struct record *record,
             const struct job *job)
{
    int64_t since_ms = engine->now.mono.ms - job->accepted_ms;

    record->prev_seq = job->seq;
    record->job_seq = job->job_seq + 1;
    record->since_accepted_ms = since_ms > 0 ? (uint64_t)since_ms : 0;
    record->job = job->id;
    record->slot = job->slot;
    record->correlation = emit_chunk_text(engine, job->correlation);
    record->tenant = emit_text(engine, tenant_text(job->tenant));
    record->service = emit_text(engine, service_text(job->method->service));
    record->method = emit_text(engine, method_text(job->method));
}

struct record *
emit_begin(struct engine *engine, enum event_type type, const struct job *job)
{
    struct engine_outbox *out = engine->out;

    redial_assert(out->record_count < ENGINE_RECORDS_MAX);
    struct record *record = &out->records[out->record_count];

    memset(record, 0, sizeof(*record));
    record->type = type;
    record->seq = engine->next_seq;
    record->wall_ms = engine->now.wall.ms;
    record->slot = ENGINE_NO_SLOT;
    record->target_index = ENGINE_NO_SLOT;
    if (job != NULL) {
        describe_job(engine, record, job);
    }
    return record;
}

/* A refusal is counted with the end of the job that follows it. */
static bool
is_decision(enum event_type type)
{
    return type != EVENT_RETRY_REFUSED && type != EVENT_ATTEMPT_LOST;
}

struct job *
emit_end(struct engine *engine, struct record *record,
         const struct known *known)
{
    struct known all = *known;
    struct job *job = NULL;

    redial_assert(record == &engine->out->records[engine->out->record_count]);
    engine->out->record_count++;
    if (is_decision(record->type)) {
        engine->rules[record->decision.rule]++;
    }
    engine->hedges_started += record->hedge;
    if (record->target_index != ENGINE_NO_SLOT) {
        all.target = slab_at(&engine->targets, record->target_index);
    }
    bool applied = apply_record(engine, record, &all, &job);

    redial_assert(applied);
    (void)applied;
    if (all.target != NULL) {
        target_note_change(engine, all.target);
    }
    if (job != NULL) {
        record->slot = job->slot;
    }
    return job;
}

void
emit_end_job(struct engine *engine, struct record *record, struct job *job)
{
    emit_end(engine, record, &(struct known){.job = job});
}

struct engine_command *
emit_command(struct engine *engine, enum engine_command_type type,
             uint64_t worker)
{
    struct engine_outbox *out = engine->out;

    redial_assert(out->command_count < ENGINE_COMMANDS_MAX);
    struct engine_command *command = &out->commands[out->command_count++];

    *command = (struct engine_command){
        .type = type, .worker = worker, .slot = ENGINE_NO_SLOT};
    return command;
}

void
emit_stop(struct engine *engine, const struct worker *worker,
          const struct engine_token *token)
{
    struct engine_command *command = emit_command(engine, COMMAND_STOP,
                                                  worker->id);

    command->token = *token;
}
