/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/why.h"

#include "client/cli/line.h"
#include "client/cli/units.h"

#include <inttypes.h>
#include <string.h>

#define NAME_COLUMNS 40 /* of names that a gateway gives */
#define TITLE        "%-9s "
#define LONG_MS      10000 /* who counts the zeros of more? */

static bool
is_given(const char *string)
{
    return string != NULL && string[0] != '\0';
}

static bool
is_word(const char *string, const char *word)
{
    return string != NULL && strcmp(string, word) == 0;
}

static void
begin_line(struct text *text, const char *title, size_t indent)
{
    text_add_spaces(text, indent);
    text_addf(text, TITLE, title);
}

/* ---- Pieces ------------------------------------------------------------- */

/*
 * Retries go on while there is more than half of the tokens: the half, in
 * thousandths, is exact to half a thousandth, which nobody sees.
 */
void
why_add_tokens(struct text *text, int64_t tokens_milli, int64_t max_milli)
{
    units_add_milli(text, tokens_milli);
    if (max_milli <= 0) {
        text_add(text, " tokens left");
        return;
    }
    text_add(text, " of ");
    units_add_milli(text, max_milli);
    text_add(text, " tokens left, retries while above ");
    units_add_milli(text, max_milli / 2);
}

void
why_add_pushback(struct text *text, int64_t pushback_ms, bool for_target)
{
    if (pushback_ms < 0) {
        text_add(text, "asked not to come back");
    } else {
        text_add(text, "asked to come back in ");
        units_add_duration(text, (uint64_t)pushback_ms);
    }
    if (for_target) {
        text_add(text, ", all retries of the target");
    }
}

static void
add_given(struct text *text, const struct why *why, size_t indent)
{
    const Redial__V1__Outcome *failure = why->failure;

    /* A reason that is the rule is the gateway's own, not what was given. */
    if (failure != NULL && failure->code != REDIAL__V1__CODE__OK &&
        !is_word(failure->reason,
                 is_given(why->decision->rule) ? why->decision->rule : "")) {
        begin_line(text, "given", indent);
        line_add_outcome(text, failure, LINE_TEXT_COLUMNS);
        if (failure->has_pushback_ms) {
            text_add(text, ", ");
            why_add_pushback(text, failure->pushback_ms, failure->for_target);
        }
        text_add(text, why->overloaded ? ", overloaded\n" : "\n");
    }
    if (is_given(why->beside)) {
        begin_line(text, "hedge", indent);
        text_addf(text, "%s\n", why->beside);
    }
}

/* ---- The delay ---------------------------------------------------------- */

/* " = backoff 8000 ms × jitter 1.150", or what chance drew it from. */
static void
add_backoff(struct text *text, const Redial__V1__Decision *decision)
{
    bool was_drawn = !decision->has_jitter_permille &&
                     !is_given(decision->clamp) &&
                     decision->delay_ms < decision->backoff_ms;

    text_addf(text,
              was_drawn ? ", drawn up to %" PRIu64 " ms of backoff"
                        : " = backoff %" PRIu64 " ms",
              decision->backoff_ms);
    if (decision->has_jitter_permille) {
        text_addf(text, " × jitter %u.%03u",
                  (unsigned)(decision->jitter_permille / 1000),
                  (unsigned)(decision->jitter_permille % 1000));
    }
}

static void
add_source(struct text *text, const struct why *why)
{
    static const struct {
        const char *source;
        const char *words;
    } rows[] = {
        {"target_pushback", ", a worker asked all retries of the target to "
                            "wait"},
        {"breaker", ", until the target's breaker may let one through"},
        {"not_before", ", the agent asked for a later start"},
        {"hedge", ", the policy's hedgingDelay"},
    };
    const Redial__V1__Decision *decision = why->decision;

    if (is_word(decision->delay_source, "pushback")) {
        text_add(text, " = pushback of the worker");
        return;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (is_word(decision->delay_source, rows[i].source)) {
            text_add(text, rows[i].words);
            return;
        }
    }
    if (decision->has_backoff_ms) {
        add_backoff(text, decision);
    } else if (is_given(decision->delay_source)) {
        text_add(text, " from ");
        text_add_foreign(text, decision->delay_source, NAME_COLUMNS);
    }
}

/* What it would have been: 0 if that is not known. */
static uint64_t
uncut_ms(const struct why *why)
{
    const Redial__V1__Decision *decision = why->decision;

    if (is_word(decision->delay_source, "pushback")) {
        return why->failure != NULL && why->failure->pushback_ms > 0
                   ? (uint64_t)why->failure->pushback_ms
                   : 0;
    }
    /* Far from overflow: a gateway's longest backoff is a day. */
    return decision->has_jitter_permille &&
                   decision->backoff_ms < UINT64_MAX / UINT32_MAX
               ? decision->backoff_ms * decision->jitter_permille / 1000
               : 0;
}

static void
add_clamp(struct text *text, const struct why *why)
{
    const Redial__V1__Decision *decision = why->decision;
    uint64_t from_ms = uncut_ms(why);

    /* That one is about attempts. */
    if (!is_given(decision->clamp) ||
        strcmp(decision->clamp, "attempts_limit") == 0) {
        return;
    }
    text_add(text, ", cut");
    if (from_ms > decision->delay_ms) {
        text_addf(text, " from %" PRIu64 " ms", from_ms);
    }
    text_add(text, " to ");
    if (strcmp(decision->clamp, "max_backoff") == 0) {
        text_add(text, "maxBackoff");
    } else if (strcmp(decision->clamp, "max_pushback") == 0) {
        text_add(text, "maxPushback");
    } else {
        text_add_foreign(text, decision->clamp, NAME_COLUMNS);
    }
}

/* A delay that is not drawn yet: between what and what. */
static void
add_range(struct text *text, const struct why *why, size_t indent)
{
    const Redial__V1__Decision *decision = why->decision;

    begin_line(text, "delay", indent);
    text_addf(text, "%" PRIu64 " to %" PRIu64 " ms, as chance draws",
              why->delay_ms_min, why->delay_ms_max);
    if (decision->has_backoff_ms) {
        text_addf(text, "; backoff %" PRIu64 " ms before jitter",
                  decision->backoff_ms);
    }
    text_add(text, "\n");
    if (why->delay_ms_max > UNITS_DURATION_MS_MAX) {
        return; /* no gateway means that */
    }
    begin_line(text, "next try", indent);
    units_add_wall(text, why->now_ms + (int64_t)why->delay_ms_min);
    text_add(text, " to ");
    units_add_wall(text, why->now_ms + (int64_t)why->delay_ms_max);
    text_add(text, "\n");
}

static void
add_delay(struct text *text, const struct why *why, size_t indent)
{
    const Redial__V1__Decision *decision = why->decision;

    if (why->delay_ms_max > why->delay_ms_min) {
        add_range(text, why, indent);
        return;
    }
    if (!decision->has_delay_ms) {
        return;
    }
    begin_line(text, "delay", indent);
    text_addf(text, "%" PRIu64 " ms", decision->delay_ms);
    if (decision->delay_ms >= LONG_MS) {
        text_add(text, " (");
        units_add_duration(text, decision->delay_ms);
        text_add(text, ")");
    }
    add_source(text, why);
    add_clamp(text, why);
    if (decision->has_until_wall_ms) {
        text_add(text, ", until ");
        units_add_wall(text, decision->until_wall_ms);
    }
    text_add(text, "\n");
}

/* ---- What is left ------------------------------------------------------- */

static void
add_left(struct text *text, const Redial__V1__Decision *decision, size_t indent)
{
    if (decision->has_tokens_milli) {
        begin_line(text, "throttle", indent);
        why_add_tokens(text, decision->tokens_milli,
                       decision->tokens_max_milli);
        text_add(text, "\n");
    }
    if (decision->has_budget_milli) {
        begin_line(text, "budget", indent);
        units_add_milli(text, decision->budget_milli);
        text_add(text, " retries left\n");
    }
}

static void
add_attempts(struct text *text, const Redial__V1__Decision *decision,
             size_t indent)
{
    if (!decision->has_attempts_charged && !decision->has_attempts_left) {
        return;
    }
    begin_line(text, "attempts", indent);
    text_addf(text, "%u charged, %u free, %u left",
              (unsigned)decision->attempts_charged,
              (unsigned)decision->attempts_free,
              (unsigned)decision->attempts_left);
    if (is_word(decision->clamp, "attempts_limit")) {
        text_add(text, " by the operator's maxAttemptsLimit");
    }
    if (decision->has_policy_version) {
        text_addf(text, "; policy version %u",
                  (unsigned)decision->policy_version);
    }
    text_add(text, "\n");
}

void
why_add_figures(struct text *text, const struct why *why, size_t indent)
{
    add_delay(text, why, indent);
    add_left(text, why->decision, indent);
    add_attempts(text, why->decision, indent);
}

void
why_add(struct text *text, const struct why *why, size_t indent)
{
    const char *rule = why->decision->rule;
    const char *sentence = line_rule_sentence(rule);

    text_add_spaces(text, indent);
    text_add_foreign(text, is_given(rule) ? rule : "no rule", NAME_COLUMNS);
    text_addf(text, "%s%s\n", sentence != NULL ? ": " : "",
              sentence != NULL ? sentence : "");
    add_given(text, why, indent);
    why_add_figures(text, why, indent);
}
