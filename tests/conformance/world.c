/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
world_fail(const struct world *world, const char *format, ...)
{
    va_list args;
    const struct statement *statement = world->statement;

    va_start(args, format);
    printf("%s:%d: %s: ", world->section->path,
           statement == NULL ? world->row->line : statement->line,
           world->row->id);
    (void)vprintf(format, args);
    putchar('\n');
    va_end(args);
    for (int i = 0; statement != NULL && i < statement->count; i++) {
        printf("%s%s", i == 0 ? "    in: " : " ", statement->words[i]);
    }
    printf("\n    seen until %lld ms:\n", (long long)world->now);
    size_t from = world->seen_count > 30 ? world->seen_count - 30 : 0;

    for (size_t i = from; i < world->seen_count; i++) {
        const struct seen *seen = &world->seen[i];

        printf("    %6lld %-18s %s %s/%u %s %s %s\n", (long long)seen->at,
               event_type_name(seen->record.type),
               seen->job == NO_JOB ? "-" : world->jobs[seen->job], seen->worker,
               (unsigned)seen->record.attempt,
               redial_status_name(seen->record.code), seen->reason,
               rule_name(seen->record.decision.rule));
    }
    (void)fflush(stdout);
    exit(1);
}

int
world_job(struct world *world, const char *name, bool make)
{
    for (int i = 0; i < world->job_count; i++) {
        if (strcmp(world->jobs[i], name) == 0) {
            return i;
        }
    }
    if (!make) {
        world_fail(world, "there is no job %s", name);
    }
    if (world->job_count == JOBS_MAX || strlen(name) >= NAME_MAX_BYTES) {
        world_fail(world, "too many jobs, or too long a name");
    }
    memcpy(world->jobs[world->job_count], name, strlen(name) + 1);
    return world->job_count++;
}

/* Copies a text; it is cut where the room ends. */
static void
keep(struct text from, char *to, size_t bytes, struct text *ret_text)
{
    size_t len = from.len < bytes - 1 ? from.len : bytes - 1;

    if (len > 0) {
        memcpy(to, from.at, len);
    }
    to[len] = '\0';
    *ret_text = (struct text){.at = to, .len = (uint32_t)len};
}

struct seen *
world_note(struct world *world, const struct record *record, int job,
           int64_t at)
{
    if (world->seen_count == SEEN_MAX) {
        world_fail(world, "too many records");
    }
    struct seen *seen = &world->seen[world->seen_count++];

    *seen = (struct seen){.record = *record, .job = job, .at = at};
    keep(record->reason, seen->reason, sizeof(seen->reason),
         &seen->record.reason);
    keep(record->text, seen->text, sizeof(seen->text), &seen->record.text);
    keep(record->worker, seen->worker, sizeof(seen->worker),
         &seen->record.worker);
    keep(record->target, seen->target, sizeof(seen->target),
         &seen->record.target);
    keep(record->service, seen->service, sizeof(seen->service),
         &seen->record.service);
    keep(record->method, seen->method, sizeof(seen->method),
         &seen->record.method);
    keep(record->tenant, seen->tenant, sizeof(seen->tenant),
         &seen->record.tenant);
    keep(record->correlation, seen->correlation, sizeof(seen->correlation),
         &seen->record.correlation);
    keep(record->holder, seen->holder, sizeof(seen->holder),
         &seen->record.holder);
    return seen;
}

struct seen *
world_find(const struct world *world, int job, enum event_type type,
           uint32_t attempt)
{
    for (size_t i = world->seen_count; i-- > 0;) {
        struct seen *seen = &world->seen[i];

        if (seen->job == job && seen->record.type == type &&
            (attempt == 0 || seen->record.attempt == attempt)) {
            return seen;
        }
    }
    return NULL;
}

struct call *
world_call(const struct world *world, int job, uint32_t attempt)
{
    for (size_t i = world->call_count; i-- > 0;) {
        struct call *call = &world->calls[i];

        if (call->job == job &&
            (attempt == 0 || call->token.attempt == attempt)) {
            return call;
        }
    }
    world_fail(world, "no worker has got attempt %u of %s", (unsigned)attempt,
               world->jobs[job]);
}
