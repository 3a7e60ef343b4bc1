/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/explain.h"

#include "client/cli/line.h"
#include "client/cli/table.h"
#include "client/cli/why.h"

#include <string.h>

#define INDENT       2
#define NAME_COLUMNS 40 /* of names that a gateway gives */

static bool
is_given(const char *string)
{
    return string != NULL && string[0] != '\0';
}

/* ---- The decision ------------------------------------------------------- */

/* Does the job go on? */
static enum paint
rule_paint(const Redial__V1__Decision *decision)
{
    static const char *const going_on[] = {"RETRY_PLANNED", "FREE_RETRY",
                                           "BREAKER_OPEN", "HEDGE_PLANNED",
                                           "SUCCEEDED"};

    for (size_t i = 0; i < sizeof(going_on) / sizeof(going_on[0]); i++) {
        if (decision->rule != NULL &&
            strcmp(decision->rule, going_on[i]) == 0) {
            return PAINT_GREEN;
        }
    }
    return PAINT_RED;
}

static void
add_decision(struct text *text, const Redial__V1__ExplainRequest *request,
             const Redial__V1__ExplainResponse *answer, size_t columns)
{
    struct why why = {
        .decision = answer->decision,
        .failure = request->failure,
        .delay_ms_min = answer->delay_ms_min,
        .delay_ms_max = answer->delay_ms_max,
    };
    const char *sentence = is_given(answer->sentence)
                               ? answer->sentence
                               : line_rule_sentence(why.decision->rule);
    struct text safe = {.at = NULL};

    text_add_foreign(
        &safe, is_given(why.decision->rule) ? why.decision->rule : "no rule",
        NAME_COLUMNS);
    text_paint(text, rule_paint(why.decision), text_string(&safe));
    if (sentence != NULL) {
        size_t indent = text_columns(text_string(&safe)) + 2;

        text_add(text, ": ");
        text_clear(&safe);
        text_add_foreign(&safe, sentence, 0);
        text_add_wrapped(text, text_string(&safe), indent, columns);
    } else {
        text_add(text, "\n");
    }
    text_fini(&safe);
    why_add_figures(text, &why, INDENT);
}

/* ---- The steps ---------------------------------------------------------- */

static enum paint
verdict_paint(const char *verdict)
{
    if (strcmp(verdict, "passes") == 0) {
        return PAINT_GREEN;
    }
    if (strcmp(verdict, "ends here") == 0) {
        return PAINT_RED;
    }
    return strcmp(verdict, "not asked") == 0 ? PAINT_DIM : PAINT_NONE;
}

static void
add_step(struct table *table, const Redial__V1__ExplainStep *step)
{
    struct text cell = {.at = NULL};
    enum paint paint;

    text_addf(&cell, "%u", (unsigned)step->number);
    table_add_text(table, &cell, PAINT_NONE);
    text_add_foreign(&cell, step->name, NAME_COLUMNS);
    table_add_text(table, &cell, PAINT_NONE);
    text_add_foreign(&cell, step->verdict, NAME_COLUMNS);
    paint = verdict_paint(text_string(&cell));
    table_add_text(table, &cell, paint);
    text_fini(&cell);
}

/* How wide the three columns before a step's text are. */
static size_t
indent_of(const struct table *table)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};
    size_t indent = INDENT;

    table_measure(table, widths);
    for (size_t i = 0; i < table->columns; i++) {
        indent += widths[i] + 2;
    }
    return indent;
}

/*
 * The lines of the table, each with the step's text behind it. The verdict is
 * the last column of the table, so what follows is filled up here.
 */
static void
add_texts(struct text *text, const struct text *lines,
          const struct table *table, const Redial__V1__ExplainResponse *answer,
          size_t columns)
{
    size_t indent = indent_of(table);
    const char *at = text_string(lines);
    struct text words = {.at = NULL};

    for (size_t i = 0; i < answer->n_steps && *at != '\0'; i++) {
        size_t len = strcspn(at, "\n");
        struct text line = {.at = NULL};

        text_addf(&line, "%.*s", (int)len, at);
        at += len + 1;
        text_add(text, text_string(&line));
        text_clear(&words);
        text_add_foreign(&words, answer->steps[i]->text, 0);
        if (words.len > 0) {
            size_t width = text_columns_painted(text_string(&line));

            text_add_spaces(text, indent > width ? indent - width : 1);
            text_add_wrapped(text, text_string(&words), indent,
                             columns > indent + 20 ? columns : 0);
        } else {
            text_add(text, "\n");
        }
        text_fini(&line);
    }
    text_fini(&words);
}

static void
add_steps(struct text *text, const Redial__V1__ExplainResponse *answer,
          size_t columns)
{
    struct table table = {.columns = 3, .right = 1};
    struct text lines = {.colour = text->colour};

    for (size_t i = 0; i < answer->n_steps; i++) {
        add_step(&table, answer->steps[i]);
    }
    table_print(&table, INDENT, &lines);
    add_texts(text, &lines, &table, answer, columns);
    text->failed = text->failed || lines.failed;
    text_fini(&lines);
    table_fini(&table);
}

void
explain_add(struct text *text, const Redial__V1__ExplainRequest *request,
            const Redial__V1__ExplainResponse *answer, size_t columns)
{
    if (answer->decision != NULL) {
        add_decision(text, request, answer, columns);
    } else if (is_given(answer->sentence)) {
        text_add_foreign(text, answer->sentence, 0);
        text_add(text, "\n");
    }
    if (answer->n_steps > 0) {
        text_add(text, "\n");
        add_steps(text, answer, columns);
    }
}
