/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/view.h"

#include "client/cli/line.h"
#include "client/cli/timeline.h"

#include <string.h>

#define WIDE_COLUMNS 120 /* room for whole ids */
#define STATES       (REDIAL__V1__JOB__STATE__EXPIRED + 1)
#define ATTEMPTS_MAX 5
#define CURSOR_UP    "\033[%zuA\r"
#define CLEAR_LINE   "\033[K"
#define CLEAR_BELOW  "\033[J"

/* How much of each job is drawn, from the fullest picture to the barest. */
struct detail {
    size_t live_attempts;
    size_t final_attempts;
};

static const struct detail details[] = {
    {ATTEMPTS_MAX, ATTEMPTS_MAX}, {ATTEMPTS_MAX, 0}, {1, 0}, {0, 0}};

static void
add_summary(struct text *text, const struct view *view)
{
    size_t counts[STATES] = {0};
    bool is_first = true;

    for (size_t i = 0; i < view->job_count; i++) {
        if ((size_t)view->jobs[i]->state < STATES) {
            counts[view->jobs[i]->state]++;
        }
    }
    text_paint(text, PAINT_BOLD, view->correlation_id);
    text_addf(text, "  %zu job%s", view->job_count,
              view->job_count == 1 ? "" : "s");
    for (size_t i = 0; i < STATES; i++) {
        Redial__V1__Job__State state = (Redial__V1__Job__State)i;

        if (counts[i] > 0) {
            text_addf(text, "%s%zu ", is_first ? ": " : ", ", counts[i]);
            text_paint(text, line_state_paint(state), line_state_name(state));
            is_first = false;
        }
    }
    text_add(text, "\n");
}

static void
add_id(struct text *text, const char *id, size_t columns)
{
    size_t len = strlen(id);

    if (len <= 12 || columns == 0 || columns >= WIDE_COLUMNS) {
        text_add_foreign(text, id, 0);
    } else {
        text_addf(text, "%.4s…%s", id, id + len - 6);
    }
}

static void
add_job(struct text *text, const struct view *view, const Redial__V1__Job *job,
        const struct detail *detail)
{
    size_t attempts = line_state_is_final(job->state) ? detail->final_attempts
                                                      : detail->live_attempts;
    struct timeline_options options = {
        .attempts_max = attempts,
        .narrow = view->columns > 0 && view->columns < WIDE_COLUMNS,
    };

    add_id(text, job->id != NULL ? job->id : "?", view->columns);
    text_add(text, "  ");
    line_add_job(text, job, view->now_ms);
    text_add(text, "\n");
    if (attempts > 0) {
        timeline_add_attempts(text, job, view->now_ms, &options);
    }
}

static size_t
count_lines(const struct text *text)
{
    size_t count = 0;

    for (size_t i = 0; i < text->len; i++) {
        count += text->at[i] == '\n' ? 1 : 0;
    }
    return count;
}

static void
draw(struct text *picture, const struct view *view, const struct detail *detail)
{
    text_clear(picture);
    add_summary(picture, view);
    for (size_t i = 0; i < view->job_count; i++) {
        add_job(picture, view, view->jobs[i], detail);
    }
}

/* The fullest picture that has room, or the barest. */
static void
draw_fitting(struct text *picture, const struct view *view)
{
    for (size_t i = 0; i < sizeof(details) / sizeof(details[0]); i++) {
        draw(picture, view, &details[i]);
        if (view->rows == 0 || count_lines(picture) < view->rows) {
            break;
        }
    }
}

/* Copies lines, each cut to the terminal. Returns how many. */
static size_t
add_lines(struct text *text, const struct text *picture, size_t lines_max,
          size_t columns, const char *line_end)
{
    const char *at = text_string(picture);
    size_t lines = 0;

    while (*at != '\0' && lines < lines_max) {
        size_t len = strcspn(at, "\n");
        size_t start = text->len;

        text_addf(text, "%.*s", (int)len, at);
        text_cut_line(text, start, columns);
        text_addf(text, "%s\n", line_end);
        at += len + (at[len] == '\n' ? 1 : 0);
        lines++;
    }
    return lines;
}

/* What there is room for; what is left out is counted in the last line. */
static size_t
add_cut(struct text *text, const struct text *picture, size_t columns,
        size_t rows, const char *line_end)
{
    size_t count = count_lines(picture);
    size_t lines_max = count;
    size_t lines;

    if (rows > 0 && count >= rows) {
        /* The last line says what is left out, one stays for the cursor. */
        lines_max = rows > 2 ? rows - 2 : 1;
    }
    lines = add_lines(text, picture, lines_max, columns, line_end);
    if (lines < count) {
        text_addf(text, "and %zu more%s\n", count - lines, line_end);
        lines++;
    }
    text->failed = text->failed || picture->failed;
    return lines;
}

size_t
view_add(struct text *text, const struct view *view)
{
    struct text picture = {.colour = text->colour};
    size_t lines;

    draw_fitting(&picture, view);
    lines = add_cut(text, &picture, view->columns, view->rows, "");
    text_fini(&picture);
    return lines;
}

size_t
view_add_over(struct text *text, const struct text *picture, size_t columns,
              size_t rows, size_t lines_before)
{
    size_t lines;

    if (lines_before > 0) {
        text_addf(text, CURSOR_UP, lines_before);
    }
    lines = add_cut(text, picture, columns, rows, CLEAR_LINE);
    text_add(text, CLEAR_BELOW);
    return lines;
}

size_t
view_add_again(struct text *text, const struct view *view, size_t lines_before)
{
    struct text picture = {.colour = text->colour};
    size_t lines;

    draw_fitting(&picture, view);
    lines = view_add_over(text, &picture, view->columns, view->rows,
                          lines_before);
    text_fini(&picture);
    return lines;
}
