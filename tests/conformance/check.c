/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Values ------------------------------------------------------------ */

int64_t
check_number(const struct world *world, const char *text)
{
    char *end = NULL;
    double value = strtod(text, &end);

    if (end == text) {
        world_fail(world, "not a number: %s", text);
    }
    if (strcmp(end, "s") == 0) {
        value *= 1000;
    } else if (*end != '\0' && strcmp(end, "ms") != 0) {
        world_fail(world, "not a number: %s", text);
    }
    return (int64_t)(value < 0 ? value - 0.5 : value + 0.5);
}

const char *
check_option(const char *word, const char *name)
{
    size_t len = strlen(name);

    return strncmp(word, name, len) == 0 && word[len] == '=' ? word + len + 1
                                                             : NULL;
}

void
check_range(const struct world *world, const char *what, int64_t found,
            const char *text)
{
    char low[32];
    const char *dots = strstr(text, "..");

    if (dots == NULL) {
        if (found != check_number(world, text)) {
            world_fail(world, "%s is %lld, not %s", what, (long long)found,
                       text);
        }
        return;
    }
    (void)snprintf(low, sizeof(low), "%.*s", (int)(dots - text), text);
    if (found < check_number(world, low) ||
        found > check_number(world, dots + 2)) {
        world_fail(world, "%s is %lld, not in %s", what, (long long)found,
                   text);
    }
}

void
check_time(struct world *world, const struct seen *seen, int64_t at)
{
    int64_t late = seen->at - world->skew - at;

    if (late < -world->early || late > world->late) {
        world_fail(world, "%s came at %lld, not at %lld",
                   event_type_name(seen->record.type),
                   (long long)(seen->at - world->skew), (long long)at);
    }
    world->skew += late;
}

enum event_type
check_event(const struct world *world, const char *name)
{
    enum event_type type = EVENT_JOB_ACCEPTED;
    struct text text = {.at = name, .len = (uint32_t)strlen(name)};

    if (!event_type_from_name(text, &type)) {
        world_fail(world, "there is no event %s", name);
    }
    return type;
}

uint32_t
check_code(const struct world *world, const char *name)
{
    enum redial_status status = REDIAL_OK;

    if (redial_status_from_name(name, &status)) {
        return (uint32_t)status;
    }
    return (uint32_t)check_number(world, name);
}

/* ---- Fields ------------------------------------------------------------ */

bool
check_get_number(const struct world *world, const struct seen *seen,
                 const char *name, int64_t *ret)
{
    const struct record *record = &seen->record;
    const struct decision *decision = &record->decision;
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {
        {"at", seen->at - world->skew},
        {"attempt", record->attempt},
        {"delay", (int64_t)decision->delay_ms},
        {"backoff", (int64_t)decision->backoff_ms},
        {"jitter", decision->jitter_permille},
        {"charged-attempts", decision->attempts_charged},
        {"free-attempts", decision->attempts_free},
        {"left", decision->attempts_left},
        {"tokens", decision->tokens_milli},
        {"tokens-max", decision->tokens_max_milli},
        {"budget", decision->budget_milli},
        {"until", decision->until_wall_ms == 0
                      ? -1
                      : decision->until_wall_ms - world->wall_zero_ms},
        {"version", decision->policy_version},
        {"timeout", (int64_t)record->timeout_ms},
        {"lease", (int64_t)record->lease_ms},
        {"pushback", record->pushback_ms},
        {"priority", record->priority},
        {"deadline", (int64_t)record->deadline_ms},
        {"since", (int64_t)record->since_accepted_ms},
        {"job-seq", (int64_t)record->job_seq},
        {"epoch", (int64_t)record->breaker.epoch},
        {"step", record->breaker.step},
        {"open-for", (int64_t)record->breaker.open_ms},
    };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (strcmp(numbers[i].name, name) == 0) {
            *ret = numbers[i].value;
            return true;
        }
    }
    return false;
}

static const char *
yes_or_no(bool value)
{
    return value ? "yes" : "no";
}

static const char *
get_text(const struct seen *seen, const char *name)
{
    const struct record *record = &seen->record;
    const struct {
        const char *name;
        const char *value;
    } texts[] = {
        {"code", redial_status_name(record->code)},
        {"reason", seen->reason},
        {"text", seen->text},
        {"worker", seen->worker},
        {"target", seen->target},
        {"service", seen->service},
        {"method", seen->method},
        {"tenant", seen->tenant},
        {"correlation", seen->correlation},
        {"rule", rule_name(record->decision.rule)},
        {"cause",
         breaker_cause_name((enum breaker_cause)record->breaker.cause)},
        {"holder", seen->holder},
        {"source", delay_source_name(record->decision.delay_source)},
        {"clamp", clamp_name(record->decision.clamp)},
        {"charged", yes_or_no(record->charged)},
        {"hedge", yes_or_no(record->hedge)},
        {"overloaded", yes_or_no(record->overloaded)},
        {"for-target", yes_or_no(record->for_target)},
        {"has-pushback", yes_or_no(record->has_pushback)},
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (strcmp(texts[i].name, name) == 0) {
            return texts[i].value;
        }
    }
    return NULL;
}

void
check_field(struct world *world, const struct seen *seen, const char *word)
{
    char name[32];
    size_t len = strcspn(word, "=");
    const char *value = word + len + 1;
    int64_t number;

    if (word[len] != '=' || len >= sizeof(name)) {
        world_fail(world, "not a field: %s", word);
    }
    memcpy(name, word, len);
    name[len] = '\0';
    if (check_get_number(world, seen, name, &number)) {
        check_range(world, name, number, value);
        return;
    }
    const char *found = get_text(seen, name);

    if (found == NULL) {
        world_fail(world, "there is no field %s", name);
    }
    if (strcmp(found, value) != 0) {
        world_fail(world, "%s is \"%s\", not %s", name, found, value);
    }
}

static void
check_fields(struct world *world, const struct seen *seen,
             const struct statement *statement, int from)
{
    for (int i = from; i < statement->count; i++) {
        if (strcmp(statement->words[i], "at") == 0) {
            if (++i == statement->count) {
                world_fail(world, "at when?");
            }
            check_time(world, seen, check_number(world, statement->words[i]));
        } else {
            check_field(world, seen, statement->words[i]);
        }
    }
}

/* The number behind the word "at"; -1: it is not there. */
static int64_t
time_of(const struct world *world, const struct statement *statement)
{
    for (int i = 1; i + 1 < statement->count; i++) {
        if (strcmp(statement->words[i], "at") == 0) {
            return check_number(world, statement->words[i + 1]);
        }
    }
    return -1;
}

static void
run_to(struct world *world, int64_t at)
{
    if (at > world->now) {
        world->ops->advance(world, at);
    }
}

static void
need_words(const struct world *world, const struct statement *statement,
           int count)
{
    if (statement->count < count) {
        world_fail(world, "too few words");
    }
}

/* ---- Expectations ------------------------------------------------------ */

/* attempt JOB N starts [at T] [field=value]... */
static void
expect_attempt(struct world *world, const struct statement *statement)
{
    need_words(world, statement, 4);
    int job = world_job(world, statement->words[1], false);
    uint32_t number = (uint32_t)check_number(world, statement->words[2]);
    int64_t at = time_of(world, statement);

    run_to(world, at);
    if (!world->ops->await(world, job, EVENT_ATTEMPT_STARTED, number)) {
        world_fail(world, "attempt %u of %s has not started", (unsigned)number,
                   statement->words[1]);
    }
    const struct seen *seen = world_find(world, job, EVENT_ATTEMPT_STARTED,
                                         number);
    const struct call *call = world_call(world, job, number);

    if (at < 0) {
        check_time(world, seen, world->now);
    }
    for (int i = 4; i < statement->count; i++) {
        const char *word = statement->words[i];
        const char *value;

        if (strcmp(word, "at") == 0) {
            check_time(world, seen, at);
            i++;
        } else if ((value = check_option(word, "before")) != NULL) {
            check_range(world, "before", call->charged_before, value);
        } else if ((value = check_option(word, "remaining")) != NULL) {
            check_range(world, "remaining", (int64_t)call->remaining_ms, value);
        } else if ((value = check_option(word, "timeout")) != NULL) {
            check_range(world, "timeout", (int64_t)call->timeout_ms, value);
        } else if ((value = check_option(word, "on")) != NULL) {
            if (strcmp(call->worker, value) != 0) {
                world_fail(world, "worker %s has got it", call->worker);
            }
        } else {
            check_field(world, seen, word);
        }
    }
}

/* nothing until T: neither starts an attempt nor ends a job meanwhile */
static void
expect_nothing(struct world *world, const struct statement *statement)
{
    size_t from = world->seen_count;

    need_words(world, statement, 3);
    int64_t until = check_number(world, statement->words[2]);

    run_to(world, until);
    for (; from < world->seen_count; from++) {
        enum event_type type = world->seen[from].record.type;

        /* Real time does not stop at a point. */
        if (world->seen[from].at - world->skew + world->early > until &&
            world->is_real) {
            break;
        }

        if (type == EVENT_ATTEMPT_STARTED || type == EVENT_JOB_SUCCEEDED ||
            type == EVENT_JOB_FAILED || type == EVENT_JOB_CANCELLED ||
            type == EVENT_JOB_EXPIRED) {
            world_fail(world, "%s came at %lld", event_type_name(type),
                       (long long)world->seen[from].at);
        }
    }
}

static const struct seen *
find_end(struct world *world, int job, const char *state)
{
    static const struct {
        const char *state;
        enum event_type type;
    } ends[] = {
        {"SUCCEEDED", EVENT_JOB_SUCCEEDED},
        {"FAILED", EVENT_JOB_FAILED},
        {"CANCELLED", EVENT_JOB_CANCELLED},
        {"EXPIRED", EVENT_JOB_EXPIRED},
    };

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (strcmp(ends[i].state, state) == 0) {
            if (!world->ops->await(world, job, ends[i].type, 0)) {
                world_fail(world, "%s is not %s but %s", world->jobs[job],
                           state, world->ops->state_of(world, job));
            }
            return world_find(world, job, ends[i].type, 0);
        }
    }
    return NULL;
}

/* The last record of the job that carries a decision. */
static const struct seen *
find_decision(const struct world *world, int job)
{
    for (size_t i = world->seen_count; i-- > 0;) {
        if (world->seen[i].job == job &&
            world->seen[i].record.decision.rule != RULE_NONE) {
            return &world->seen[i];
        }
    }
    return NULL;
}

/* job JOB STATE [at T] [field=value]... */
static void
expect_job(struct world *world, const struct statement *statement)
{
    need_words(world, statement, 3);
    int job = world_job(world, statement->words[1], false);

    run_to(world, time_of(world, statement));
    const struct seen *end = find_end(world, job, statement->words[2]);

    if (end == NULL) {
        const char *state = world->ops->state_of(world, job);

        if (strcmp(state, statement->words[2]) != 0) {
            world_fail(world, "%s is %s", statement->words[1], state);
        }
        end = find_decision(world, job);
    }
    if (statement->count > 3 && end == NULL) {
        world_fail(world, "nothing was decided about %s yet",
                   statement->words[1]);
    }
    check_fields(world, end, statement, 3);
}

/* record JOB|- TYPE [at T] [field=value]... */
static void
expect_record(struct world *world, const struct statement *statement)
{
    need_words(world, statement, 3);
    bool about_job = strcmp(statement->words[1], "-") != 0;
    int job = about_job ? world_job(world, statement->words[1], false) : NO_JOB;
    enum event_type type = check_event(world, statement->words[2]);

    run_to(world, time_of(world, statement));
    if (!world->ops->await(world, job, type, 0)) {
        world_fail(world, "there is no such record");
    }
    check_fields(world, world_find(world, job, type, 0), statement, 3);
}

/* events JOB|- TYPE...: all of the job since the last `events` of it */
static void
expect_events(struct world *world, const struct statement *statement)
{
    need_words(world, statement, 3);
    bool about_job = strcmp(statement->words[1], "-") != 0;
    int job = about_job ? world_job(world, statement->words[1], false) : NO_JOB;
    int word = 2;

    (void)world->ops->await(
        world, job, check_event(world, statement->words[statement->count - 1]),
        0);
    for (size_t i = 0; i < world->seen_count; i++) {
        struct seen *seen = &world->seen[i];
        const char *name = event_type_name(seen->record.type);

        if (seen->job != job || seen->checked) {
            continue;
        }
        seen->checked = true;
        if (word == statement->count) {
            world_fail(world, "%s came after that", name);
        }
        if (strcmp(name, statement->words[word]) != 0) {
            world_fail(world, "%s came, not %s", name, statement->words[word]);
        }
        word++;
    }
    if (word < statement->count) {
        world_fail(world, "%s did not come", statement->words[word]);
    }
}

/* no record JOB TYPE | no stop JOB N | no attempt JOB N */
static void
expect_no(struct world *world, const struct statement *statement)
{
    need_words(world, statement, 4);
    bool about_job = strcmp(statement->words[2], "-") != 0;
    int job = about_job ? world_job(world, statement->words[2], false) : NO_JOB;
    const char *last = statement->words[3];

    if (strcmp(statement->words[1], "record") == 0) {
        if (world_find(world, job, check_event(world, last), 0) != NULL) {
            world_fail(world, "there is one");
        }
    } else if (strcmp(statement->words[1], "stop") == 0) {
        uint32_t number = (uint32_t)check_number(world, last);

        if (world_call(world, job, number)->stopped) {
            world_fail(world, "the worker was told to stop");
        }
    } else if (world_find(world, job, EVENT_ATTEMPT_STARTED,
                          (uint32_t)check_number(world, last)) != NULL) {
        world_fail(world, "it has started");
    }
}

/* stop JOB N: the worker was told to give this attempt up */
static void
expect_stop(struct world *world, const struct statement *statement)
{
    need_words(world, statement, 3);
    int job = world_job(world, statement->words[1], false);
    uint32_t number = (uint32_t)check_number(world, statement->words[2]);

    if (!world->ops->await_stop(world, world_call(world, job, number))) {
        world_fail(world, "the worker was not told to stop");
    }
}

/* calls N [JOB]: so many attempts have reached workers */
static void
expect_calls(struct world *world, const struct statement *statement)
{
    need_words(world, statement, 2);
    int job = statement->count > 2
                  ? world_job(world, statement->words[2], false)
                  : NO_JOB;
    int64_t count = 0;

    for (size_t i = 0; i < world->call_count; i++) {
        count += job == NO_JOB || world->calls[i].job == job;
    }
    check_range(world, "calls", count, statement->words[1]);
}

/* all TYPE FIELD mean=low..high | each=low..high | least= | most= */
static void
expect_all(struct world *world, const struct statement *statement)
{
    need_words(world, statement, 4);
    enum event_type type = check_event(world, statement->words[1]);
    int64_t sum = 0;
    int64_t count = 0;
    int64_t least = INT64_MAX;
    int64_t most = INT64_MIN;

    for (size_t i = 0; i < world->seen_count; i++) {
        int64_t value;

        if (world->seen[i].record.type != type) {
            continue;
        }
        if (!check_get_number(world, &world->seen[i], statement->words[2],
                              &value)) {
            world_fail(world, "no number: %s", statement->words[2]);
        }
        sum += value;
        count++;
        least = value < least ? value : least;
        most = value > most ? value : most;
    }
    if (count == 0) {
        world_fail(world, "there is none");
    }
    for (int i = 3; i < statement->count; i++) {
        const char *word = statement->words[i];

        if (check_option(word, "mean") != NULL) {
            check_range(world, "mean", sum / count, check_option(word, "mean"));
        } else if (check_option(word, "least") != NULL) {
            check_range(world, "least", least, check_option(word, "least"));
        } else if (check_option(word, "most") != NULL) {
            check_range(world, "most", most, check_option(word, "most"));
        } else if (check_option(word, "count") != NULL) {
            check_range(world, "count", count, check_option(word, "count"));
        } else {
            world_fail(world, "unknown word: %s", word);
        }
    }
}

bool
check_verb(struct world *world, const struct statement *statement)
{
    static const struct {
        const char *verb;
        void (*expect)(struct world *, const struct statement *);
    } verbs[] = {
        {"attempt", expect_attempt}, {"nothing", expect_nothing},
        {"job", expect_job},         {"record", expect_record},
        {"events", expect_events},   {"no", expect_no},
        {"stop", expect_stop},       {"calls", expect_calls},
        {"all", expect_all},
    };

    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].verb, statement->words[0]) == 0) {
            verbs[i].expect(world, statement);
            world->expectations++;
            return true;
        }
    }
    return false;
}
