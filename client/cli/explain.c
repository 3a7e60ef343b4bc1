/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/explain.h"

#include "client/cli/line.h"
#include "client/cli/table.h"
#include "client/cli/why.h"

#include <string.h>

#define INDENT       2
#define NAME_COLUMNS 40 /* of names that a gateway gives */
#define TEXT_COLUMNS 20 /* less room is not worth breaking lines for */
#define REST_MIN     3  /* fewer steps are shown one by one */
#define NOT_ASKED    "not asked"

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

/* The gateway's sentence without the rule, which stands before it. */
static void
add_sentence(struct text *text, const char *sentence, const char *rule)
{
    struct text safe = {.at = NULL};
    struct text in_brackets = {.at = NULL};
    const char *at;

    text_add_foreign(&safe, sentence, 0);
    text_add(&in_brackets, " (");
    text_add_foreign(&in_brackets, rule, 0);
    text_add(&in_brackets, ")");
    at = strstr(text_string(&safe), text_string(&in_brackets));
    if (at != NULL) {
        text_addf(text, "%.*s%s", (int)(at - text_string(&safe)),
                  text_string(&safe), at + in_brackets.len);
    } else {
        text_add(text, text_string(&safe));
    }
    text_fini(&safe);
    text_fini(&in_brackets);
}

static void
add_head(struct text *text, const Redial__V1__Decision *decision,
         const char *sentence, size_t columns)
{
    const char *rule = is_given(decision->rule) ? decision->rule : "no rule";
    struct text safe = {.at = NULL};
    size_t indent;

    if (!is_given(sentence)) {
        sentence = line_rule_sentence(rule);
    }
    text_add_foreign(&safe, rule, NAME_COLUMNS);
    text_paint(text, rule_paint(decision), text_string(&safe));
    if (sentence == NULL) {
        text_add(text, "\n");
    } else {
        indent = text_columns(text_string(&safe)) + 2;
        text_clear(&safe);
        add_sentence(&safe, sentence, rule);
        text_add(text, ": ");
        text_add_wrapped(text, text_string(&safe), indent,
                         columns > indent + TEXT_COLUMNS ? columns : 0);
    }
    text_fini(&safe);
}

static void
add_decision(struct text *text, const Redial__V1__ExplainRequest *request,
             const Redial__V1__ExplainResponse *answer,
             const struct explain_options *options)
{
    struct why why = {
        .decision = answer->decision,
        .failure = request->failure,
        .delay_ms_min = answer->delay_ms_min,
        .delay_ms_max = answer->delay_ms_max,
        .now_ms = options->now_ms,
    };

    add_head(text, answer->decision, answer->sentence, options->columns);
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
    if (strcmp(verdict, "may end here") == 0) {
        return PAINT_YELLOW;
    }
    return strcmp(verdict, NOT_ASKED) == 0 ? PAINT_DIM : PAINT_NONE;
}

/* Lines of steps, before their texts stand beside them. */
struct listing {
    const Redial__V1__ExplainResponse *answer;
    struct table table;
    size_t shown; /* steps with a line of their own */
    size_t columns;
};

static bool
is_same(const char *one, const char *other)
{
    return strcmp(one != NULL ? one : "", other != NULL ? other : "") == 0;
}

/*
 * The steps behind the one that ended it say all the same: how many there are
 * before them.
 */
static size_t
count_shown(const Redial__V1__ExplainResponse *answer)
{
    size_t count = answer->n_steps;
    const Redial__V1__ExplainStep *last = answer->steps[count - 1];

    if (!is_same(last->verdict, NOT_ASKED)) {
        return count;
    }
    while (count > 0 && is_same(answer->steps[count - 1]->verdict, NOT_ASKED) &&
           is_same(answer->steps[count - 1]->text, last->text)) {
        count--;
    }
    return answer->n_steps - count >= REST_MIN ? count : answer->n_steps;
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

static void
add_table(struct listing *listing)
{
    size_t rest = listing->answer->n_steps - listing->shown;
    struct text cell = {.at = NULL};

    for (size_t i = 0; i < listing->shown; i++) {
        add_step(&listing->table, listing->answer->steps[i]);
    }
    if (rest > 0) {
        table_add(&listing->table, "", PAINT_NONE);
        text_addf(&cell, "%zu more", rest);
        table_add_text(&listing->table, &cell, PAINT_DIM);
        table_add(&listing->table, NOT_ASKED, PAINT_DIM);
    }
    text_fini(&cell);
}

/* What stands beside a line; for the last one of many the names of those. */
static void
add_words(struct text *words, const struct listing *listing, size_t line)
{
    const Redial__V1__ExplainResponse *answer = listing->answer;

    if (line < listing->shown) {
        text_add_foreign(words, answer->steps[line]->text, 0);
        return;
    }
    for (size_t i = line; i < answer->n_steps; i++) {
        text_add(words, i > line ? ", " : "");
        text_add_foreign(words, answer->steps[i]->name, NAME_COLUMNS);
    }
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
 * One line of the table with its text behind it. The verdict is the last column
 * of the table, so what follows is filled up here.
 */
static void
add_line(struct text *text, const char *line, const struct text *words,
         const struct listing *listing)
{
    size_t indent = indent_of(&listing->table);
    size_t width = text_columns_painted(line);

    text_add(text, line);
    if (words->len == 0) {
        text_add(text, "\n");
        return;
    }
    text_add_spaces(text, indent > width ? indent - width : 1);
    text_add_wrapped(text, text_string(words), indent,
                     listing->columns > indent + TEXT_COLUMNS ? listing->columns
                                                              : 0);
}

static void
add_steps(struct text *text, const Redial__V1__ExplainResponse *answer,
          const struct explain_options *options)
{
    struct listing listing = {
        .answer = answer,
        .table = {.columns = 3, .right = 1},
        .shown = options->verbose ? answer->n_steps : count_shown(answer),
        .columns = options->columns,
    };
    struct text lines = {.colour = text->colour};
    struct text line = {.at = NULL};
    struct text words = {.at = NULL};
    const char *at;

    add_table(&listing);
    table_print(&listing.table, INDENT, &lines);
    at = text_string(&lines);
    for (size_t i = 0; *at != '\0'; i++) {
        size_t len = strcspn(at, "\n");

        text_clear(&line);
        text_clear(&words);
        text_addf(&line, "%.*s", (int)len, at);
        add_words(&words, &listing, i);
        add_line(text, text_string(&line), &words, &listing);
        at += len + 1;
    }
    text->failed = text->failed || lines.failed || line.failed || words.failed;
    text_fini(&lines);
    text_fini(&line);
    text_fini(&words);
    table_fini(&listing.table);
}

void
explain_add(struct text *text, const Redial__V1__ExplainRequest *request,
            const Redial__V1__ExplainResponse *answer,
            const struct explain_options *options)
{
    if (answer->decision != NULL) {
        add_decision(text, request, answer, options);
    } else if (is_given(answer->sentence)) {
        text_add_foreign(text, answer->sentence, 0);
        text_add(text, "\n");
    }
    if (answer->n_steps > 0) {
        text_add(text, "\n");
        add_steps(text, answer, options);
    }
}
