/* SPDX-License-Identifier: Apache-2.0 */
/* The statements that do something. */
#include "tests/conformance/check.h"
#include "tests/conformance/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JSON_BYTES_MAX = 16384, WORD_BYTES = 256 };

/* ---- policy ------------------------------------------------------------ */

/* Where the value of a JSON field ends. */
static const char *
value_end(const char *at)
{
    int depth = 0;
    bool quoted = false;

    for (; *at != '\0'; at++) {
        if (*at == '"') {
            quoted = !quoted;
        } else if (!quoted && (*at == '{' || *at == '[')) {
            depth++;
        } else if (!quoted && (*at == '}' || *at == ']')) {
            if (depth-- == 0) {
                return at;
            }
        } else if (!quoted && *at == ',' && depth == 0) {
            return at;
        }
    }
    return at;
}

/* Puts another value into the first field of this name. */
static void
replace(const struct world *world, char *json, const char *word)
{
    char quoted[64];
    char rest[JSON_BYTES_MAX];
    size_t len = strcspn(word, "=");
    int made = snprintf(quoted, sizeof(quoted), "\"%.*s\":", (int)len, word);
    char *at = made < (int)sizeof(quoted) ? strstr(json, quoted) : NULL;

    if (word[len] != '=' || at == NULL) {
        world_fail(world, "the configuration has no such field: %s", word);
    }
    at += made;
    (void)snprintf(rest, sizeof(rest), "%s", value_end(at));
    size_t room = JSON_BYTES_MAX - (size_t)(at - json);

    if (snprintf(at, room, " %s%s", word + len + 1, rest) >= (int)room) {
        world_fail(world, "the configuration is too long");
    }
}

/* policy [refused] NAME [field=json]... | policy [refused] {...} */
static void
do_policy(struct world *world, const struct statement *statement)
{
    char json[JSON_BYTES_MAX] = "";
    bool refused = strcmp(statement->words[1], "refused") == 0;
    int first = refused ? 2 : 1;
    const char *name = statement->words[first];

    if (name[0] == '{') {
        (void)snprintf(json, sizeof(json), "%s", name);
    }
    for (size_t i = 0; i < world->section->config_count; i++) {
        if (strcmp(world->section->configs[i].name, name) == 0) {
            (void)snprintf(json, sizeof(json), "%s",
                           world->section->configs[i].json);
        }
    }
    if (json[0] == '\0') {
        world_fail(world, "there is no configuration %s", name);
    }
    for (int i = first + 1; i < statement->count; i++) {
        replace(world, json, statement->words[i]);
    }
    bool used = world->ops->use_policy(world, json, refused);

    world->expectations += refused;
    if (used == refused) {
        world_fail(world, "the configuration was %s: %s",
                   used ? "taken" : "refused", json);
    }
}

/* ---- worker ------------------------------------------------------------ */

/* worker W [slots=N] [method=SERVICE/METHOD] [instance=I] | worker W HOW */
static void
do_worker(struct world *world, const struct statement *statement)
{
    static char service[WORD_BYTES];
    struct worker_asked asked = {
        .name = statement->words[1],
        .instance = "1",
        .service = "s",
        .method = "",
        .slots = 10,
    };

    for (int i = 2; i < statement->count; i++) {
        const char *word = statement->words[i];
        const char *value;

        if ((value = check_option(word, "slots")) != NULL) {
            asked.slots = (uint32_t)check_number(world, value);
        } else if ((value = check_option(word, "instance")) != NULL) {
            asked.instance = value;
        } else if ((value = check_option(word, "method")) != NULL) {
            size_t len = strcspn(value, "/");

            (void)snprintf(service, sizeof(service), "%.*s", (int)len, value);
            asked.service = service;
            asked.method = value[len] == '/' ? value + len + 1 : "";
        } else {
            world->ops->change_worker(world, statement->words[1], word);
            return;
        }
    }
    world->ops->open_worker(world, &asked);
}

/* ---- submit, cancel ---------------------------------------------------- */

static bool
read_ask_number(struct world *world, const char *word, struct asked *asked)
{
    const struct {
        const char *name;
        uint64_t *at;
    } numbers[] = {
        {"deadline", &asked->deadline_ms},
        {"ttl", &asked->queue_ttl_ms},
        {"not-before", &asked->not_before_ms},
        {"timeout", &asked->attempt_timeout_ms},
        {"bytes", &asked->payload_bytes},
    };
    const char *value;

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if ((value = check_option(word, numbers[i].name)) != NULL) {
            *numbers[i].at = (uint64_t)check_number(world, value);
            return true;
        }
    }
    if ((value = check_option(word, "attempts")) != NULL) {
        asked->max_attempts = (uint32_t)check_number(world, value);
        return true;
    }
    if ((value = check_option(word, "priority")) != NULL) {
        asked->priority = (uint32_t)check_number(world, value);
        return true;
    }
    return false;
}

static bool
read_ask_text(const char *word, struct asked *asked)
{
    static char service[WORD_BYTES];
    const struct {
        const char *name;
        const char **at;
    } texts[] = {
        {"tenant", &asked->tenant},
        {"key", &asked->key},
        {"content", &asked->content},
        {"correlation", &asked->correlation},
    };
    const char *value;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if ((value = check_option(word, texts[i].name)) != NULL) {
            *texts[i].at = value;
            return true;
        }
    }
    if ((value = check_option(word, "method")) != NULL) {
        size_t len = strcspn(value, "/");

        (void)snprintf(service, sizeof(service), "%.*s", (int)len, value);
        asked->service = service;
        asked->method = value[len] == '/' ? value + len + 1 : "m";
        return true;
    }
    if ((value = check_option(word, "idempotent")) != NULL) {
        asked->idempotency = strcmp(value, "yes") == 0 ? IDEMPOTENCY_YES
                                                       : IDEMPOTENCY_NO;
        return true;
    }
    return false;
}

static void
expect_answer(struct world *world, const struct answer *answer,
              const char *code, const char *reason)
{
    world->expectations++;
    if (answer->status != (enum redial_status)check_code(world, code) ||
        (reason != NULL && strcmp(answer->reason, reason) != 0)) {
        world_fail(world, "the answer is %s %s",
                   redial_status_name(answer->status), answer->reason);
    }
}

/* submit J [option=value]... [refused CODE [REASON]] [joins OTHER] */
static void
do_submit(struct world *world, const struct statement *statement)
{
    struct asked asked = {
        .job = world_job(world, statement->words[1], true),
        .service = "s",
        .method = "m",
        .priority = 5,
        .payload_bytes = 1,
    };
    int i = 2;

    while (i < statement->count &&
           (read_ask_number(world, statement->words[i], &asked) ||
            read_ask_text(statement->words[i], &asked))) {
        i++;
    }
    struct answer answer = world->ops->submit(world, &asked);

    if (i == statement->count) {
        if (answer.status != REDIAL_OK || answer.deduplicated) {
            world_fail(world, "refused: %s %s",
                       redial_status_name(answer.status), answer.reason);
        }
        return;
    }
    const char *word = statement->words[i++];

    if (strcmp(word, "refused") == 0 && i < statement->count) {
        expect_answer(world, &answer, statement->words[i],
                      i + 1 < statement->count ? statement->words[i + 1]
                                               : NULL);
    } else if (strcmp(word, "joins") == 0 && i < statement->count) {
        world->expectations++;
        if (!answer.deduplicated ||
            answer.job != world_job(world, statement->words[i], false)) {
            world_fail(world, "it has not joined that job");
        }
    } else {
        world_fail(world, "unknown word: %s", word);
    }
}

/* cancel J [too-late] */
static void
do_cancel(struct world *world, const struct statement *statement)
{
    int job = world_job(world, statement->words[1], false);
    bool late = statement->count > 2;
    struct answer answer = world->ops->cancel(world, job);

    world->expectations += late;
    if (answer.changed == late) {
        world_fail(world, "cancelled: %s", answer.changed ? "yes" : "no");
    }
}

/* ---- What workers say -------------------------------------------------- */

static bool
read_said(struct world *world, const char *word, struct said *said)
{
    const char *value;

    if ((value = check_option(word, "pushback")) != NULL) {
        said->has_pushback = true;
        said->pushback_ms = strcmp(value, "stop") == 0
                                ? -1
                                : check_number(world, value);
    } else if ((value = check_option(word, "reason")) != NULL) {
        said->reason = value;
    } else if ((value = check_option(word, "text")) != NULL) {
        said->text = value;
    } else if (strcmp(word, "for-target") == 0) {
        said->for_target = true;
    } else if (strcmp(word, "overloaded") == 0) {
        said->overloaded = true;
    } else {
        return false;
    }
    return true;
}

/* VERB J [CODE] [attempt=N] [late] [what `read_said` knows]... */
static void
say(struct world *world, const struct statement *statement, int from,
    struct said *said)
{
    int job = world_job(world, statement->words[1], false);
    uint32_t attempt = 0;
    bool late = false;

    for (int i = from; i < statement->count; i++) {
        const char *word = statement->words[i];
        const char *value = check_option(word, "attempt");

        if (value != NULL) {
            attempt = (uint32_t)check_number(world, value);
        } else if (strcmp(word, "late") == 0) {
            late = true;
        } else if (!read_said(world, word, said)) {
            world_fail(world, "unknown word: %s", word);
        }
    }
    (void)world->ops->await(world, job, EVENT_ATTEMPT_STARTED, attempt);
    struct answer answer = world->ops->report(
        world, world_call(world, job, attempt), said);

    if (late) {
        expect_answer(world, &answer, "NOT_FOUND", "LATE");
    } else if (answer.status != REDIAL_OK) {
        world_fail(world, "the report was refused: %s", answer.reason);
    }
}

static void
do_fails(struct world *world, const struct statement *statement)
{
    struct said said = {.code = check_code(world, statement->words[2])};

    say(world, statement, 3, &said);
}

static void
do_ok(struct world *world, const struct statement *statement)
{
    say(world, statement, 2, &(struct said){.code = REDIAL_OK});
}

static void
do_not_started(struct world *world, const struct statement *statement)
{
    say(world, statement, 2,
        &(struct said){.kind = REPORT_NOT_STARTED, .code = REDIAL_UNAVAILABLE});
}

static void
do_progress(struct world *world, const struct statement *statement)
{
    say(world, statement, 2, &(struct said){.kind = REPORT_PROGRESS});
}

/* times-out J: silent until the worker's own clock ends the attempt */
static void
do_times_out(struct world *world, const struct statement *statement)
{
    int job = world_job(world, statement->words[1], false);

    (void)world->ops->await(world, job, EVENT_ATTEMPT_STARTED, 0);
    world->ops->time_out(world, world_call(world, job, 0));
}

static void
do_at(struct world *world, const struct statement *statement)
{
    world->ops->advance(world, check_number(world, statement->words[1]));
}

static void
do_wait(struct world *world, const struct statement *statement)
{
    world->ops->advance(world,
                        world->now + check_number(world, statement->words[1]));
}

/* ---- The script -------------------------------------------------------- */

static bool
do_verb(struct world *world, const struct statement *statement)
{
    static const struct {
        const char *verb;
        int words; /* at least */
        void (*act)(struct world *, const struct statement *);
    } verbs[] = {
        {"policy", 2, do_policy},       {"worker", 2, do_worker},
        {"submit", 2, do_submit},       {"cancel", 2, do_cancel},
        {"fails", 3, do_fails},         {"ok", 2, do_ok},
        {"progress", 2, do_progress},   {"not-started", 2, do_not_started},
        {"times-out", 2, do_times_out}, {"at", 2, do_at},
        {"wait", 2, do_wait},
    };

    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].verb, statement->words[0]) == 0) {
            if (statement->count < verbs[i].words) {
                world_fail(world, "too few words");
            }
            verbs[i].act(world, statement);
            return true;
        }
    }
    return false;
}

static void
play_one(struct world *world, const struct statement *statement)
{
    world->statement = statement;
    if (!do_verb(world, statement) && !check_verb(world, statement) &&
        (world->ops->verb == NULL || !world->ops->verb(world, statement))) {
        world_fail(world, "unknown verb");
    }
}

/* The same with the number of the turn in place of every #. */
static void
play_turn(struct world *world, const struct statement *statement, int turn)
{
    static char words[SCRIPT_WORDS_MAX][WORD_BYTES];
    struct statement own = *statement;

    for (int i = 0; i < own.count; i++) {
        const char *sign = strchr(own.words[i], '#');

        if (sign != NULL && own.words[i][0] != '{') {
            (void)snprintf(words[i], WORD_BYTES, "%.*s%d%s",
                           (int)(sign - own.words[i]), own.words[i], turn,
                           sign + 1);
            own.words[i] = words[i];
        }
    }
    play_one(world, &own);
}

/* repeat N ... end; not one within another. Returns where `end` is. */
static size_t
play_loop(struct world *world, size_t from)
{
    const struct row *row = world->row;
    size_t end = from;

    world->statement = &row->statements[from];
    while (end < row->count &&
           strcmp(row->statements[end].words[0], "end") != 0) {
        end++;
    }
    if (end == row->count || row->statements[from].count != 2) {
        world_fail(world, "repeat how often, and where is its end?");
    }
    int64_t count = check_number(world, row->statements[from].words[1]);

    for (int turn = 1; turn <= count; turn++) {
        for (size_t i = from + 1; i < end; i++) {
            play_turn(world, &row->statements[i], turn);
        }
    }
    return end;
}

void
world_play(struct world *world, const struct section *section,
           const struct row *row)
{
    world->section = section;
    world->row = row;
    world->seen = calloc(SEEN_MAX, sizeof(*world->seen));
    world->calls = calloc(SEEN_MAX, sizeof(*world->calls));
    if (world->seen == NULL || world->calls == NULL) {
        world_fail(world, "no memory");
    }
    size_t from = row->own && world->is_real ? row->through : 0;
    size_t end = row->own && !world->is_real ? row->through : row->count;

    for (size_t i = from; i < end; i++) {
        if (strcmp(row->statements[i].words[0], "repeat") == 0) {
            i = play_loop(world, i);
        } else {
            play_one(world, &row->statements[i]);
        }
    }
    if (world->expectations == 0) {
        world_fail(world, "the script expects nothing");
    }
}
