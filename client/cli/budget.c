/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/budget.h"

#include "client/cli/table.h"
#include "client/cli/units.h"

#include <inttypes.h>

#define WIDE_COLUMNS 120 /* room for all words */
#define BAR_HALF     10  /* characters left and right of its middle */
#define BAR_NARROW   5   /* the same in a narrow table */
#define MARK         "EXHAUSTED"

enum column {
    COLUMN_TARGET,
    COLUMN_BAR,
    COLUMN_TOKENS,
    COLUMN_BUDGET,
    COLUMN_WAITING,
    COLUMN_ALLOWED,
    COLUMN_REFUSED,
    COLUMN_HELD,
    COLUMN_COUNT,
};

/* What is put into a table of targets. */
struct listing {
    struct table table;
    int64_t now_ms;
    bool is_narrow;
};

/* How many of `cells` are full. */
static size_t
filled_cells(int64_t tokens_milli, int64_t max_milli, size_t cells)
{
    double part = (double)tokens_milli / (double)max_milli;

    if (max_milli <= 0 || tokens_milli <= 0) {
        return 0;
    }
    return part >= 1 ? cells : (size_t)(part * (double)cells);
}

static void
add_bar(struct text *cell, const Redial__V1__Budget *budget, size_t half)
{
    size_t filled = filled_cells(budget->tokens_milli, budget->tokens_max_milli,
                                 2 * half);

    text_add(cell, "[");
    for (size_t i = 0; i < 2 * half; i++) {
        text_add(cell, i == half ? "|" : "");
        text_add(cell, i < filled ? "#" : "-");
    }
    text_add(cell, "]");
}

static enum paint
left_paint(bool is_exhausted)
{
    return is_exhausted ? PAINT_RED : PAINT_GREEN;
}

static void
add_throttle(struct listing *listing, const Redial__V1__Budget *budget)
{
    struct table *table = &listing->table;
    enum paint paint = left_paint(budget->throttle_exhausted);
    struct text cell = {.at = NULL};

    if (!budget->has_tokens_milli) {
        table_add(table, "no throttle", PAINT_DIM);
        table_add(table, "", PAINT_NONE);
        return;
    }
    add_bar(&cell, budget, listing->is_narrow ? BAR_NARROW : BAR_HALF);
    table_add_text(table, &cell, paint);
    units_add_milli(&cell, budget->tokens_milli);
    text_add(&cell, " of ");
    units_add_milli(&cell, budget->tokens_max_milli);
    if (!listing->is_narrow) {
        text_add(&cell, ", retries above ");
        units_add_milli(&cell, budget->tokens_max_milli / 2);
    }
    text_add(&cell, budget->throttle_exhausted ? " " MARK : "");
    table_add_text(table, &cell,
                   budget->throttle_exhausted ? paint : PAINT_NONE);
    text_fini(&cell);
}

static void
add_budget(struct table *table, const Redial__V1__Budget *budget)
{
    struct text cell = {.at = NULL};

    if (!budget->has_budget_milli) {
        table_add(table, "none", PAINT_DIM);
        return;
    }
    units_add_milli(&cell, budget->budget_milli);
    text_add(&cell, budget->budget_exhausted ? " left " MARK : " left");
    table_add_text(table, &cell,
                   budget->budget_exhausted ? PAINT_RED : PAINT_NONE);
    text_fini(&cell);
}

static void
add_count(struct table *table, uint64_t count, enum paint paint)
{
    struct text cell = {.at = NULL};

    text_addf(&cell, "%" PRIu64, count);
    table_add_text(table, &cell, count > 0 ? paint : PAINT_NONE);
    text_fini(&cell);
}

static void
add_held(struct listing *listing, const Redial__V1__Budget *budget)
{
    struct text cell = {.at = NULL};

    if (budget->hold_ms > 0) {
        units_add_duration(&cell, budget->hold_ms);
        if (!listing->is_narrow && budget->hold_ms <= UNITS_DURATION_MS_MAX) {
            text_add(&cell, ", until ");
            units_add_wall(&cell, listing->now_ms + (int64_t)budget->hold_ms);
        }
    }
    table_add_text(&listing->table, &cell, PAINT_YELLOW);
    text_fini(&cell);
}

static void
add_row(struct listing *listing, const Redial__V1__Budget *budget)
{
    struct table *table = &listing->table;
    struct text cell = {.at = NULL};

    text_add_foreign(&cell, budget->target, 0);
    table_add_text(table, &cell, PAINT_NONE);
    text_fini(&cell);
    add_throttle(listing, budget);
    add_budget(table, budget);
    add_count(table, budget->retries_waiting, PAINT_NONE);
    add_count(table, budget->retries_allowed, PAINT_NONE);
    add_count(table, budget->retries_refused, PAINT_RED);
    add_held(listing, budget);
}

void
budget_add(struct text *text, const Redial__V1__Budget *const *budgets,
           size_t count, int64_t now_ms, size_t columns)
{
    static const char *const heads[COLUMN_COUNT] = {
        [COLUMN_TARGET] = "TARGET",   [COLUMN_BAR] = "THROTTLE",
        [COLUMN_TOKENS] = "",         [COLUMN_BUDGET] = "BUDGET",
        [COLUMN_WAITING] = "WAITING", [COLUMN_ALLOWED] = "ALLOWED",
        [COLUMN_REFUSED] = "REFUSED", [COLUMN_HELD] = "HELD",
    };
    struct listing listing = {
        .table = {.columns = COLUMN_COUNT,
                  .right = 1u << COLUMN_WAITING | 1u << COLUMN_ALLOWED |
                           1u << COLUMN_REFUSED},
        .now_ms = now_ms,
        .is_narrow = columns > 0 && columns < WIDE_COLUMNS,
    };

    if (count == 0) {
        return;
    }
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        table_add(&listing.table, heads[i], PAINT_DIM);
    }
    for (size_t i = 0; i < count; i++) {
        add_row(&listing, budgets[i]);
    }
    table_print(&listing.table, 0, text);
    table_fini(&listing.table);
}
