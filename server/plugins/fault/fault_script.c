/* SPDX-License-Identifier: Apache-2.0 */
#include "server/plugins/fault/fault_script.h"

#include "server/base/hash.h"
#include "server/base/rng.h"
#include "server/plugins/text.h"

#include <string.h>

enum {
    FAIL_MAX = 1000000000,
    TIME_MS_MAX = 86400000,
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define AT(member)      offsetof(struct fault_script, member)
#define EXACT_MAX       ((int64_t)1 << 53) /* whole numbers of JSON */

/* A value that no script can give: not given. */
static const int64_t unset = INT64_MIN;

static const struct setting flap_fields[] = {
    {"up_ms", SETTING_INTEGER, AT(up_ms), 0, TIME_MS_MAX, NULL},
    {"down_ms", SETTING_INTEGER, AT(down_ms), 1, TIME_MS_MAX, NULL},
};
static const struct setting_table flap_table = {flap_fields,
                                                COUNT_OF(flap_fields)};

static const struct setting fields[] = {
    {"fail", SETTING_INTEGER, AT(fail), -1, FAIL_MAX, NULL},
    {"flap", SETTING_GROUP, 0, 0, 0, &flap_table},
    {"probability", SETTING_NUMBER, AT(probability), 0, 1, NULL},
    {"seed", SETTING_INTEGER, AT(seed), 0, EXACT_MAX, NULL},
    {"code", SETTING_TEXT, AT(code), 0, 0, NULL},
    {"reason", SETTING_TEXT, AT(reason), 0, 0, NULL},
    {"text", SETTING_TEXT, AT(text), 0, 0, NULL},
    {"pushback_ms", SETTING_INTEGER, AT(pushback_ms), -1, EXACT_MAX, NULL},
    {"overloaded", SETTING_BOOL, AT(is_overloaded), 0, 0, NULL},
    {"not_started", SETTING_BOOL, AT(is_not_started), 0, 0, NULL},
    {"hang", SETTING_BOOL, AT(hangs), 0, 0, NULL},
    {"crash", SETTING_BOOL, AT(crashes), 0, 0, NULL},
    {"delay_ms", SETTING_INTEGER, AT(delay_ms), 0, TIME_MS_MAX, NULL},
    {"stubborn", SETTING_BOOL, AT(is_stubborn), 0, 0, NULL},
    {"progress", SETTING_TEXT, AT(progress), 0, 0, NULL},
    {"echo", SETTING_BOOL, AT(echoes), 0, 0, NULL},
    {"result", SETTING_TEXT, AT(result), 0, 0, NULL},
    {"payload", SETTING_BOOL, AT(reads_payload), 0, 0, NULL},
};
static const struct setting_table table = {fields, COUNT_OF(fields)};

static bool
check(struct fault_script *script, struct setting_error *error)
{
    bool good = true;
    enum redial_status code;
    if (script->code != NULL &&
        redial_status_from_name(script->code, &code) == 0) {
        settings_complain(error, "$.code: \"%s\" is no status code",
                          script->code);
        good = false;
    }
    if (script->reason != NULL &&
        !text_is_reason(script->reason, strlen(script->reason))) {
        settings_complain(error, "$.reason: \"%s\" is no word", script->reason);
        good = false;
    }
    return good;
}

static bool
is_script(const struct redial_plugin_attempt *attempt)
{
    return attempt != NULL && attempt->payload_bytes > 0 &&
           *(const char *)attempt->payload == '{';
}

bool
fault_script_read(struct fault_script *script, const char *config,
                  size_t config_bytes,
                  const struct redial_plugin_attempt *attempt,
                  struct setting_error *error)
{
    *script = (struct fault_script){
        .fail = unset,
        .pushback_ms = unset,
        .probability = -1,
        .echoes = true,
        .reads_payload = true,
    };
    bool good = settings_read(&table, config, config_bytes, script, error);
    if (good && script->reads_payload && is_script(attempt)) {
        good = settings_read(&table, attempt->payload, attempt->payload_bytes,
                             script, error);
    }
    if (script->fail == unset) {
        bool is_wanted = script->code != NULL || script->hangs ||
                         script->crashes;
        bool has_when = script->down_ms > 0 || script->probability >= 0;
        script->fail = is_wanted && !has_when ? -1 : 0;
    }
    return check(script, error) && good;
}

void
fault_script_clear(struct fault_script *script)
{
    settings_clear(&table, script);
}

/* The same draw for the same attempt, in whatever order attempts come. */
static double
draw(const struct fault_script *script,
     const struct redial_plugin_attempt *attempt)
{
    struct hash_key key = {{(uint64_t)script->seed, attempt->number}};
    struct rng rng;
    rng_init(&rng, hash_64(&key, attempt->job_id, strlen(attempt->job_id)));
    return rng_unit(&rng);
}

static bool
goes_wrong(const struct fault_script *script,
           const struct redial_plugin_attempt *attempt, int64_t since_ms)
{
    if (script->fail < 0 || attempt->charged_before < script->fail) {
        return true;
    }
    int64_t period_ms = script->up_ms + script->down_ms;
    if (script->down_ms > 0 && since_ms % period_ms >= script->up_ms) {
        return true;
    }
    return script->probability > 0 &&
           draw(script, attempt) < script->probability;
}

struct fault_decision
fault_decide(const struct fault_script *script,
             const struct redial_plugin_attempt *attempt, int64_t since_ms)
{
    struct fault_decision decision = {
        .delay_ms = script->delay_ms,
        .code = REDIAL_OK,
        .reason = "",
        .text = "",
    };
    if (!goes_wrong(script, attempt, since_ms)) {
        return decision;
    }
    decision.crashes = script->crashes;
    decision.hangs = script->hangs;
    decision.code = REDIAL_UNAVAILABLE;
    if (script->code != NULL) {
        (void)redial_status_from_name(script->code, &decision.code);
    }
    decision.reason = script->reason != NULL ? script->reason : "FAULT";
    decision.text = script->text != NULL ? script->text : "as scripted";
    decision.flags =
        (script->is_overloaded ? (uint32_t)REDIAL_PLUGIN_OVERLOADED : 0) |
        (script->is_not_started ? (uint32_t)REDIAL_PLUGIN_NOT_STARTED : 0);
    if (script->pushback_ms != unset) {
        decision.flags |= REDIAL_PLUGIN_HAS_PUSHBACK;
        decision.pushback_ms = script->pushback_ms;
    }
    return decision;
}
