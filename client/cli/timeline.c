/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/timeline.h"

#include "client/cli/line.h"
#include "client/cli/table.h"
#include "client/cli/units.h"
#include "client/cli/why.h"

#include <string.h>

#define INDENT     2
#define WHY_INDENT 8

enum column {
    COLUMN_NUMBER,
    COLUMN_STARTED,
    COLUMN_TOOK,
    COLUMN_WORKER, /* not in narrow ones */
    COLUMN_ENDED,
    COLUMN_THEN,
    COLUMN_COUNT,
};

/* What is put into a table of attempts. */
struct drawing {
    struct table table;
    const Redial__V1__Job *job;
    int64_t now_ms;
    bool narrow;
};

static bool
is_given(const char *string)
{
    return string != NULL && string[0] != '\0';
}

/* ---- Head --------------------------------------------------------------- */

static void
add_name(struct text *text, const char *title, const char *name)
{
    if (is_given(name)) {
        text_addf(text, "  %-14s ", title);
        text_add_foreign(text, name, 0);
        text_add(text, "\n");
    }
}

static void
add_request(struct text *text, const Redial__V1__Job *job)
{
    if (job->has_accepted_wall_ms) {
        text_addf(text, "  %-14s ", "accepted");
        units_add_wall(text, job->accepted_wall_ms);
        if (job->has_payload_bytes) {
            text_add(text, ", payload ");
            units_add_bytes(text, job->payload_bytes);
        }
        if (job->has_priority) {
            text_addf(text, ", priority %u", (unsigned)job->priority);
        }
        text_add(text, "\n");
    }
    if (job->has_deadline_wall_ms) {
        text_addf(text, "  %-14s ", "deadline");
        units_add_wall(text, job->deadline_wall_ms);
        text_add(text, "\n");
    }
}

static void
add_result(struct text *text, const Redial__V1__Outcome *outcome)
{
    if (outcome == NULL || !outcome->has_result) {
        return;
    }
    text_addf(text, "  %-14s ", "result");
    units_add_bytes(text, outcome->result.len);
    if (is_given(outcome->content_type)) {
        text_add(text, ", ");
        text_add_foreign(text, outcome->content_type, 0);
    }
    text_add(text, "\n");
}

void
timeline_add_head(struct text *text, const Redial__V1__Job *job, int64_t now_ms)
{
    text_paint(text, PAINT_BOLD, job->id != NULL ? job->id : "?");
    text_add(text, "  ");
    line_add_job(text, job, now_ms);
    text_add(text, "\n");
    if (job->id == NULL || job->correlation_id == NULL ||
        strcmp(job->id, job->correlation_id) != 0) {
        add_name(text, "correlation id", job->correlation_id);
    }
    add_name(text, "key", job->key);
    add_name(text, "tenant", job->tenant);
    add_request(text, job);
    add_result(text, job->outcome);
    if (job->has_history_trimmed && job->history_trimmed) {
        text_add(text, "  earlier attempts are not kept any more\n");
    }
}

/* ---- Attempts ----------------------------------------------------------- */

static void
add_heads(struct drawing *drawing)
{
    static const char *const heads[COLUMN_COUNT] = {
        [COLUMN_NUMBER] = "#",           [COLUMN_STARTED] = "started",
        [COLUMN_TOOK] = "took",          [COLUMN_WORKER] = "worker",
        [COLUMN_ENDED] = "how it ended", [COLUMN_THEN] = "then",
    };

    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        if (i != COLUMN_WORKER || !drawing->narrow) {
            table_add(&drawing->table, heads[i], PAINT_DIM);
        }
    }
}

/* Did another attempt of the job settle it first? */
static bool
is_loser(const Redial__V1__Attempt *attempt)
{
    return attempt->decision != NULL && attempt->decision->rule != NULL &&
           strcmp(attempt->decision->rule, "HEDGE_LOST") == 0;
}

/* Did its job end before it, by cancel or deadline? The worker was told. */
static bool
is_stopped(const Redial__V1__Job *job, const Redial__V1__Attempt *attempt)
{
    return !attempt->has_ended_wall_ms && line_state_is_final(job->state) &&
           job->has_state_since_wall_ms;
}

static enum paint
attempt_paint(const Redial__V1__Attempt *attempt, const char *state)
{
    if (is_loser(attempt)) {
        return PAINT_DIM;
    }
    if (strcmp(state, "SUCCEEDED") == 0) {
        return PAINT_GREEN;
    }
    return strcmp(state, "RUNNING") == 0 ? PAINT_CYAN : PAINT_RED;
}

/* Was `before` still running when `attempt` started? */
static bool
is_beside(const Redial__V1__Attempt *attempt, const Redial__V1__Attempt *before)
{
    return attempt->has_started_wall_ms && before->has_started_wall_ms &&
           before->started_wall_ms <= attempt->started_wall_ms &&
           (!before->has_ended_wall_ms ||
            before->ended_wall_ms > attempt->started_wall_ms);
}

/*
 * "hedge beside attempt 1, 2": the earlier ones that are still known; nothing
 * if it ran alone.
 */
static void
add_beside(struct text *text, const Redial__V1__Job *job, size_t index)
{
    const char *before = "hedge beside attempt ";

    for (size_t i = 0; i < index; i++) {
        if (is_beside(job->attempts[index], job->attempts[i])) {
            text_addf(text, "%s%u", before, (unsigned)job->attempts[i]->number);
            before = ", ";
        }
    }
    if (job->attempts[index]->hedge && before[0] == 'h') {
        text_add(text, "hedge");
    }
}

/* What else there is to say of an attempt: "(hedge beside attempt 1, free)". */
static void
add_notes(struct text *cell, const Redial__V1__Job *job, size_t index)
{
    const Redial__V1__Attempt *attempt = job->attempts[index];
    struct text notes = {.at = NULL};

    add_beside(&notes, job, index);
    if (is_loser(attempt)) {
        text_add(&notes, notes.len > 0 ? ", lost the race" : "lost the race");
    }
    if (attempt->has_ended_wall_ms && attempt->has_charged &&
        !attempt->charged) {
        text_add(&notes, notes.len > 0 ? ", free" : "free");
    }
    if (notes.len > 0) {
        text_addf(cell, " (%s)", text_string(&notes));
    }
    text_fini(&notes);
}

static void
add_ended(struct text *cell, const Redial__V1__Job *job, size_t index,
          const char *state)
{
    const Redial__V1__Attempt *attempt = job->attempts[index];

    if (is_loser(attempt)) {
        text_add(cell, "CANCELLED");
        add_notes(cell, job, index);
        return;
    }
    text_add_foreign(cell, state, 0);
    if (attempt->outcome != NULL &&
        attempt->outcome->code != REDIAL__V1__CODE__OK) {
        text_add(cell, " ");
        line_add_outcome(cell, attempt->outcome, LINE_TEXT_COLUMNS);
    }
    add_notes(cell, job, index);
}

static int64_t
ended_wall_ms(const struct drawing *drawing, const Redial__V1__Attempt *attempt)
{
    if (attempt->has_ended_wall_ms) {
        return attempt->ended_wall_ms;
    }
    return is_stopped(drawing->job, attempt) ? drawing->job->state_since_wall_ms
                                             : drawing->now_ms;
}

static void
add_times(struct drawing *drawing, const Redial__V1__Attempt *attempt)
{
    const Redial__V1__Job *job = drawing->job;
    struct text cell = {.at = NULL};

    if (attempt->has_started_wall_ms && job->has_accepted_wall_ms) {
        text_add(&cell, "+");
        units_add_between(&cell, job->accepted_wall_ms,
                          attempt->started_wall_ms);
    }
    table_add_text(&drawing->table, &cell, PAINT_NONE);
    if (attempt->has_started_wall_ms) {
        units_add_between(&cell, attempt->started_wall_ms,
                          ended_wall_ms(drawing, attempt));
    }
    table_add_text(&drawing->table, &cell, PAINT_NONE);
    text_fini(&cell);
}

static void
add_row(struct drawing *drawing, size_t index)
{
    const Redial__V1__Attempt *attempt = drawing->job->attempts[index];
    const char *state = attempt->state != NULL ? attempt->state : "?";
    struct text cell = {.at = NULL};

    if (is_stopped(drawing->job, attempt)) {
        state = "STOPPED";
    }
    text_addf(&cell, "%u", (unsigned)attempt->number);
    table_add_text(&drawing->table, &cell, PAINT_NONE);
    add_times(drawing, attempt);
    if (!drawing->narrow) {
        line_add_worker(&cell, attempt->worker);
        table_add_text(&drawing->table, &cell, PAINT_NONE);
    }
    add_ended(&cell, drawing->job, index, state);
    table_add_text(&drawing->table, &cell, attempt_paint(attempt, state));
    if (attempt->decision != NULL) {
        line_add_decision(&cell, attempt->decision, 0);
    }
    table_add_text(&drawing->table, &cell, PAINT_NONE);
    text_fini(&cell);
}

static void
add_why(struct text *text, const Redial__V1__Job *job, size_t index)
{
    const Redial__V1__Attempt *attempt = job->attempts[index];
    struct text beside = {.at = NULL};
    struct why why = {.decision = attempt->decision,
                      .failure = attempt->outcome,
                      .overloaded = attempt->overloaded};

    if (attempt->decision == NULL) {
        return;
    }
    add_beside(&beside, job, index);
    why.beside = text_string(&beside);
    why_add(text, &why, WHY_INDENT);
    text_fini(&beside);
}

/* The lines of a table, each attempt's with its reasons below. */
static void
add_with_why(struct text *text, const char *lines, const Redial__V1__Job *job,
             size_t first)
{
    size_t head_len = strcspn(lines, "\n") + 1;

    text_addf(text, "%.*s", (int)head_len, lines);
    lines += head_len;
    for (size_t i = first; i < job->n_attempts && *lines != '\0'; i++) {
        size_t len = strcspn(lines, "\n") + 1;

        text_addf(text, "%.*s", (int)len, lines);
        lines += len;
        add_why(text, job, i);
    }
}

void
timeline_add_attempts(struct text *text, const Redial__V1__Job *job,
                      int64_t now_ms, const struct timeline_options *options)
{
    struct drawing drawing = {
        .table = {.columns = COLUMN_COUNT - (options->narrow ? 1 : 0),
                  .right = 1u << COLUMN_NUMBER | 1u << COLUMN_STARTED |
                           1u << COLUMN_TOOK},
        .job = job,
        .now_ms = now_ms,
        .narrow = options->narrow,
    };
    struct text lines = {.colour = text->colour};
    size_t max = options->attempts_max;
    size_t first = max > 0 && job->n_attempts > max ? job->n_attempts - max : 0;

    if (job->n_attempts == 0) {
        return;
    }
    add_heads(&drawing);
    for (size_t i = first; i < job->n_attempts; i++) {
        add_row(&drawing, i);
    }
    if (options->why) {
        table_print(&drawing.table, INDENT, &lines);
        add_with_why(text, text_string(&lines), job, first);
        text->failed = text->failed || lines.failed;
    } else {
        table_print(&drawing.table, INDENT, text);
    }
    text_fini(&lines);
    table_fini(&drawing.table);
}
