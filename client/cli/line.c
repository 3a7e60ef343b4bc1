/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/line.h"

#include "client/cli/units.h"

#include <inttypes.h>
#include <string.h>

#define SOURCE_COLUMNS      40 /* of names that a peer gives, within a line */
#define INCARNATION_COLUMNS 8  /* of the random part of a worker's name */

struct rule_row {
    const char *name;
    const char *sentence;
};

static const struct rule_row rules[] = {
#define RULE(name, sentence) {name, sentence},
#include "client/cli/rule.def"
};

const char *
line_rule_sentence(const char *rule)
{
    if (rule == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (strcmp(rules[i].name, rule) == 0) {
            return rules[i].sentence;
        }
    }
    return NULL;
}

static bool
is_given(const char *string)
{
    return string != NULL && string[0] != '\0';
}

/* ---- States ------------------------------------------------------------- */

const char *
line_state_name(Redial__V1__Job__State state)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(
        &redial__v1__job__state__descriptor, (int)state);

    return value != NULL ? value->name : "UNKNOWN_STATE";
}

bool
line_state_is_final(Redial__V1__Job__State state)
{
    return state >= REDIAL__V1__JOB__STATE__SUCCEEDED;
}

enum paint
line_state_paint(Redial__V1__Job__State state)
{
    if (state == REDIAL__V1__JOB__STATE__SUCCEEDED) {
        return PAINT_GREEN;
    }
    if (state == REDIAL__V1__JOB__STATE__RUNNING) {
        return PAINT_CYAN;
    }
    if (line_state_is_final(state)) {
        return PAINT_RED;
    }
    if (state == REDIAL__V1__JOB__STATE__BACKOFF ||
        state == REDIAL__V1__JOB__STATE__PARKED) {
        return PAINT_YELLOW;
    }
    return PAINT_NONE;
}

/* ---- Pieces ------------------------------------------------------------- */

static const char *
code_name(Redial__V1__Code code)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(
        &redial__v1__code__descriptor, (int)code);

    return value != NULL ? value->name : "UNKNOWN";
}

void
line_add_ending(struct text *text, const struct line_ending *ending,
                size_t columns)
{
    text_add(text, code_name(ending->code));
    if (is_given(ending->reason)) {
        text_add(text, " ");
        text_add_foreign(text, ending->reason, SOURCE_COLUMNS);
    }
    if (is_given(ending->text)) {
        text_add(text, " ");
        text_add_foreign(text, ending->text, columns);
    }
}

void
line_add_outcome(struct text *text, const Redial__V1__Outcome *outcome,
                 size_t columns)
{
    struct line_ending ending = {outcome->code, outcome->reason, outcome->text};

    line_add_ending(text, &ending, columns);
}

void
line_add_method(struct text *text, const char *service, const char *method)
{
    text_add_foreign(text, service, 0);
    if (is_given(method)) {
        text_add(text, "/");
        text_add_foreign(text, method, 0);
    }
}

void
line_add_worker(struct text *text, const char *worker)
{
    const char *slash = worker != NULL ? strchr(worker, '/') : NULL;

    if (slash == NULL || strlen(slash + 1) <= INCARNATION_COLUMNS) {
        text_add_foreign(text, worker, SOURCE_COLUMNS);
        return;
    }
    struct text cut = {.at = NULL};

    text_addf(&cut, "%.*s", (int)(slash - worker) + 1 + INCARNATION_COLUMNS,
              worker);
    text_add_foreign(text, text_string(&cut), 0);
    text_fini(&cut);
}

/* "×1.15": the factor that chance drew. */
static void
add_jitter(struct text *text, uint32_t permille)
{
    uint32_t hundredths = (permille + 5) / 10;

    text_addf(text, " ×%u.%02u", (unsigned)(hundredths / 100),
              (unsigned)(hundredths % 100));
}

/* " (backoff 8 s ×1.15, max_backoff)": where the delay comes from. */
static void
add_source(struct text *text, const Redial__V1__Decision *decision)
{
    if (!is_given(decision->delay_source)) {
        return;
    }
    text_add(text, " (");
    if (strcmp(decision->delay_source, "target_pushback") == 0) {
        text_add(text, "pushback for the whole target");
    } else {
        text_add_foreign(text, decision->delay_source, SOURCE_COLUMNS);
    }
    if (decision->has_backoff_ms) {
        text_add(text, " ");
        units_add_duration(text, decision->backoff_ms);
    }
    if (decision->has_jitter_permille) {
        add_jitter(text, decision->jitter_permille);
    }
    if (is_given(decision->clamp)) {
        text_add(text, ", limit ");
        text_add_foreign(text, decision->clamp, SOURCE_COLUMNS);
    }
    text_add(text, ")");
}

/* What comes after a delay. */
static const char *
delayed_words(const char *rule)
{
    if (strcmp(rule, "SCHEDULED") == 0) {
        return "starts in ";
    }
    return strcmp(rule, "HEDGE_PLANNED") == 0 ? "another beside it in "
                                              : "retry in ";
}

/* Rules that end a job because of the delay that they name. */
static bool
delay_ends(const char *rule)
{
    return strcmp(rule, "DEADLINE_WOULD_EXPIRE") == 0 ||
           strcmp(rule, "BREAKER_REJECTED") == 0;
}

void
line_add_decision(struct text *text, const Redial__V1__Decision *decision,
                  int64_t now_ms)
{
    const char *rule = decision->rule != NULL ? decision->rule : "";
    const char *sentence = line_rule_sentence(rule);

    if (strcmp(rule, "SUCCEEDED") == 0) {
        return;
    }
    if (decision->has_delay_ms && decision->delay_source != NULL &&
        !delay_ends(rule)) {
        text_add(text, delayed_words(rule));
        if (now_ms != 0 && decision->has_until_wall_ms) {
            units_add_between(text, now_ms, decision->until_wall_ms);
        } else {
            units_add_duration(text, decision->delay_ms);
        }
        add_source(text, decision);
        return;
    }
    if (strcmp(rule, "FREE_RETRY") == 0) {
        text_add(text, "again at once, free");
        return;
    }
    text_add_foreign(text, rule, SOURCE_COLUMNS);
    if (sentence != NULL) {
        text_addf(text, ": %s", sentence);
    }
}

/* ---- Jobs --------------------------------------------------------------- */

static void
add_attempt_of(struct text *text, const Redial__V1__Job *job, uint32_t number)
{
    text_addf(text, "attempt %u", (unsigned)number);
    if (job->has_max_attempts && job->max_attempts > 0) {
        text_addf(text, " of %u", (unsigned)job->max_attempts);
    }
}

static void
add_so_far(struct text *text, const Redial__V1__Job *job, int64_t now_ms)
{
    if (job->has_accepted_wall_ms) {
        text_add(text, ", ");
        units_add_between(text, job->accepted_wall_ms, now_ms);
        text_add(text, " so far");
    }
}

static void
add_next(struct text *text, const Redial__V1__Job *job, int64_t now_ms)
{
    if (!job->has_next_wall_ms) {
        return;
    }
    text_add(text, ", next in ");
    units_add_between(text, now_ms, job->next_wall_ms);
    if (job->decision != NULL) {
        add_source(text, job->decision);
    }
}

static void
add_final(struct text *text, const Redial__V1__Job *job)
{
    uint32_t attempts = job->attempts_charged + job->attempts_free;

    text_addf(text, "after %u attempt%s", (unsigned)attempts,
              attempts == 1 ? "" : "s");
    if (job->has_accepted_wall_ms && job->has_state_since_wall_ms) {
        text_add(text, ", ");
        units_add_between(text, job->accepted_wall_ms,
                          job->state_since_wall_ms);
    }
    if (job->state == REDIAL__V1__JOB__STATE__SUCCEEDED) {
        return;
    }
    if (job->outcome != NULL) {
        text_add(text, "  ");
        line_add_outcome(text, job->outcome, LINE_TEXT_COLUMNS);
    }
    if (job->state == REDIAL__V1__JOB__STATE__FAILED && job->decision != NULL &&
        is_given(job->decision->rule)) {
        text_add(text, "  (");
        line_add_decision(text, job->decision, 0);
        text_add(text, ")");
    }
}

static void
add_live(struct text *text, const Redial__V1__Job *job, int64_t now_ms)
{
    uint32_t charged = job->attempts_charged;

    if (job->state == REDIAL__V1__JOB__STATE__SCHEDULED ||
        (job->state == REDIAL__V1__JOB__STATE__READY && charged == 0)) {
        text_add(text, "no attempt yet");
    } else {
        /* The one that runs is not charged before it ends. */
        add_attempt_of(
            text, job,
            charged + (job->state == REDIAL__V1__JOB__STATE__RUNNING ? 1 : 0));
    }
    add_so_far(text, job, now_ms);
    add_next(text, job, now_ms);
    if (is_given(job->progress) &&
        job->state == REDIAL__V1__JOB__STATE__RUNNING) {
        text_add(text, "  says: ");
        text_add_foreign(text, job->progress, LINE_TEXT_COLUMNS);
    }
    if (job->last_failure != NULL) {
        text_add(text, "  last: ");
        line_add_outcome(text, job->last_failure, LINE_TEXT_COLUMNS);
    }
}

void
line_add_job(struct text *text, const Redial__V1__Job *job, int64_t now_ms)
{
    line_add_method(text, job->service, job->method);
    text_add(text, "  ");
    text_paint(text, line_state_paint(job->state), line_state_name(job->state));
    text_add(text, "  ");
    if (line_state_is_final(job->state)) {
        add_final(text, job);
    } else {
        add_live(text, job, now_ms);
    }
}
