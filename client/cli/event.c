/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/event.h"

#include "client/cli/line.h"
#include "client/cli/units.h"
#include "client/cli/why.h"

#include <inttypes.h>
#include <string.h>

#define NAME_COLUMNS 40 /* of names that a peer gives */
#define TYPE_COLUMNS 17 /* of the usual types of events */

#define PRIORITY_USUAL 5 /* where the agent does not say */

static bool
is_given(const char *string)
{
    return string != NULL && string[0] != '\0';
}

static enum paint
event_paint(const char *type)
{
    static const struct {
        const char *end;
        enum paint paint;
    } rows[] = {
        {".succeeded", PAINT_GREEN}, {".failed", PAINT_RED},
        {".lost", PAINT_RED},        {".expired", PAINT_RED},
        {".cancelled", PAINT_RED},   {".started", PAINT_CYAN},
        {".planned", PAINT_YELLOW},  {".parked", PAINT_YELLOW},
        {".opened", PAINT_RED},      {".gap", PAINT_RED},
        {".exhausted", PAINT_RED},   {".recovered", PAINT_GREEN},
    };
    size_t len = strlen(type);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t end = strlen(rows[i].end);

        if (len > end && strcmp(type + len - end, rows[i].end) == 0) {
            return rows[i].paint;
        }
    }
    return PAINT_NONE;
}

/* The type, and room behind it for what follows in a column. */
static void
add_event_type(struct text *text, const char *type, bool is_last)
{
    struct text safe = {.at = NULL};
    size_t columns;

    text_add_foreign(&safe, type, NAME_COLUMNS);
    columns = text_columns(text_string(&safe));
    text_paint(text, event_paint(text_string(&safe)), text_string(&safe));
    if (!is_last) {
        text_add_spaces(text,
                        columns < TYPE_COLUMNS ? TYPE_COLUMNS - columns : 0);
    }
    text_fini(&safe);
}

static void
add_word(struct text *text, const char *before, const char *word)
{
    if (is_given(word)) {
        text_add(text, before);
        text_add_foreign(text, word, LINE_TEXT_COLUMNS);
    }
}

/* What the worker said beside the failure. */
static void
add_event_wish(struct text *text, const Redial__V1__Event *event)
{
    if (event->has_pushback_ms) {
        text_add(text, "  ");
        why_add_pushback(text, event->pushback_ms, event->for_target);
    }
    if (event->overloaded) {
        text_add(text, "  overloaded");
    }
}

/* Which of the two it is about, and what is left of that. */
static void
add_event_left(struct text *text, const Redial__V1__Event *event)
{
    const Redial__V1__Decision *left = event->decision;
    const char *reason = event->reason != NULL ? event->reason : "";
    bool is_throttle = strcmp(reason, "THROTTLE") == 0;
    bool is_budget = strcmp(reason, "BUDGET") == 0;

    if (!is_throttle && !is_budget) {
        add_word(text, "  ", event->reason);
        return;
    }
    text_add(text, is_throttle ? ": throttle" : ": budget");
    if (is_throttle && left != NULL && left->has_tokens_milli) {
        text_add(text, " ");
        why_add_tokens(text, left->tokens_milli, left->tokens_max_milli);
    } else if (is_budget && left != NULL && left->has_budget_milli) {
        text_add(text, " ");
        units_add_milli(text, left->budget_milli);
        text_add(text, " retries left");
    }
}

/* A target's throttle or budget, and what that means for retries. */
static bool
add_event_budget(struct text *text, const Redial__V1__Event *event)
{
    const char *type = event->type != NULL ? event->type : "";
    bool is_over = strcmp(type, "budget.exhausted") == 0;

    if (!is_over && strcmp(type, "budget.recovered") != 0) {
        return false;
    }
    text_add(text, is_over ? "  no retries for now" : "  retries go on");
    add_event_left(text, event);
    add_word(text, "  ", event->text);
    return true;
}

static void
add_event_ending(struct text *text, const Redial__V1__Event *event)
{
    struct line_ending ending = {event->code, event->reason, event->text};

    /* The gateway's own reason is the rule, which is told below. */
    if (event->decision != NULL && is_given(event->reason) &&
        is_given(event->decision->rule) &&
        strcmp(event->reason, event->decision->rule) == 0) {
        ending.reason = NULL;
    }

    if (event->has_code && event->code != REDIAL__V1__CODE__OK) {
        text_add(text, "  ");
        line_add_ending(text, &ending, LINE_TEXT_COLUMNS);
    } else {
        add_word(text, "  ", event->reason);
        add_word(text, "  ", event->text);
    }
    add_event_wish(text, event);
    if (event->decision != NULL && is_given(event->decision->rule) &&
        strcmp(event->decision->rule, "SUCCEEDED") != 0) {
        text_add(text, "  ");
        line_add_decision(text, event->decision, 0);
    }
}

void
event_add_gap(struct text *text, const Redial__V1__Gap *gap)
{
    const char *reason = is_given(gap->reason) ? gap->reason : "UNKNOWN";

    if (strcmp(reason, "EPOCH_CHANGED") == 0) {
        text_add(text,
                 "gap: the gateway has another log now; what was in log ");
        text_add_foreign(text, gap->epoch, NAME_COLUMNS);
        text_addf(text, " from event %" PRIu64 " on is not known",
                  gap->from_seq);
    } else {
        text_addf(text,
                  "gap: events %" PRIu64 " to %" PRIu64
                  " are not kept any more",
                  gap->from_seq, gap->to_seq);
    }
    text_add(text, " (");
    text_add_foreign(text, reason, NAME_COLUMNS);
    text_add(text, ")");
}

static void
add_event_names(struct text *text, const Redial__V1__Event *event)
{
    if (is_given(event->job_id)) {
        add_word(text, "  ", event->job_id);
        if (is_given(event->correlation_id) &&
            strcmp(event->correlation_id, event->job_id) != 0) {
            add_word(text, "  ", event->correlation_id);
        }
    }
    if (is_given(event->service)) {
        text_add(text, "  ");
        line_add_method(text, event->service, event->method);
    }
    if (!is_given(event->job_id)) {
        add_word(text, is_given(event->service) ? "  of " : "  ",
                 event->target);
    }
}

static void
add_wish(struct text *text, const char *words, bool is_given, uint64_t ms)
{
    if (is_given && ms > 0) {
        text_addf(text, "  %s ", words);
        units_add_duration(text, ms);
    }
}

/* job.accepted: what the agent asked for beyond the usual. */
static void
add_event_wishes(struct text *text, const Redial__V1__Event *event)
{
    if (event->type == NULL || strcmp(event->type, "job.accepted") != 0) {
        return;
    }
    if (event->has_priority && event->priority != PRIORITY_USUAL) {
        text_addf(text, "  priority %u", (unsigned)event->priority);
    }
    if (event->idempotent != REDIAL__V1__IDEMPOTENCY__IDEMPOTENCY_UNSET) {
        text_add(text, event->idempotent == REDIAL__V1__IDEMPOTENCY__IDEMPOTENT
                           ? "  idempotent"
                           : "  not idempotent");
    }
    add_wish(text, "deadline in", event->has_deadline_ms, event->deadline_ms);
    add_wish(text, "not before", event->has_not_before_ms,
             event->not_before_ms);
    add_wish(text, "first attempt within", event->has_queue_ttl_ms,
             event->queue_ttl_ms);
    if (event->has_max_attempts && event->max_attempts > 0) {
        text_addf(text, "  at most %u attempt%s", (unsigned)event->max_attempts,
                  event->max_attempts == 1 ? "" : "s");
    }
    add_wish(text, "each at most", event->has_attempt_timeout_ms,
             event->attempt_timeout_ms);
}

/* What happened, behind the names. */
static void
add_event_deed(struct text *text, const Redial__V1__Event *event)
{
    if (event->has_attempt) {
        text_addf(text, "  attempt %u", (unsigned)event->attempt);
    }
    if (is_given(event->worker)) {
        text_add(text, event->has_attempt ? " on " : "  ");
        line_add_worker(text, event->worker);
    }
    add_event_wishes(text, event);
    text_add(text, event->hedge ? ", a hedge beside others" : NULL);
    if (!add_event_budget(text, event)) {
        add_event_ending(text, event);
    }
    if (event->gap != NULL) {
        text_add(text, "  ");
        event_add_gap(text, event->gap);
    }
}

static void
add_rest(struct text *text, const Redial__V1__Event *event, bool with_names)
{
    struct text rest = {.colour = text->colour};

    if (with_names) {
        add_event_names(&rest, event);
    }
    add_event_deed(&rest, event);
    add_event_type(text, event->type, rest.len == 0);
    text_add(text, text_string(&rest));
    text->failed = text->failed || rest.failed;
    text_fini(&rest);
}

void
event_add(struct text *text, const Redial__V1__Event *event)
{
    units_add_wall(text, event->wall_ms);
    text_add(text, "  ");
    add_rest(text, event, true);
}

void
event_add_brief(struct text *text, const Redial__V1__Event *event)
{
    struct text since = {.at = NULL};

    text_add(&since, "+");
    units_add_duration(&since, event->since_accepted_ms);
    text_addf(text, "%9s  ", text_string(&since));
    text_fini(&since);
    add_rest(text, event, false);
}

bool
event_is_end(const Redial__V1__Event *event)
{
    static const char *const ends[] = {"job.succeeded", "job.failed",
                                       "job.cancelled", "job.expired"};

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (event->type != NULL && strcmp(event->type, ends[i]) == 0) {
            return true;
        }
    }
    return false;
}
