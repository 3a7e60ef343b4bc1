/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fault plugin does with an attempt: a script, which is a JSON object
 * in the configuration, and in the payload too if that begins with '{'. Where
 * both say something the payload wins. Pure, and the same for the same seed.
 *
 *   fail         how many attempts of a job go wrong, from the first that
 *                counts; -1: all. Default 0, or -1 if code, hang or crash is
 *                given and none of fail, flap, probability
 *   flap         {"up_ms": a, "down_ms": b}: attempts go wrong during the b ms
 *                that follow each a ms, counted from the start of the plugin
 *   probability  0 to 1: so often an attempt goes wrong; drawn from the seed,
 *                the job's id and the number of the attempt
 *   seed         whole number, default 0
 *
 *   How it goes wrong:
 *   code         default UNAVAILABLE
 *   reason       a word, default FAULT
 *   text         default "as scripted"
 *   pushback_ms  come back after; negative: do not come back
 *   overloaded   true: retry nowhere
 *   not_started  true: the attempt is free
 *   hang         true: no answer until the attempt is stopped
 *   crash        true: the whole plugin host dies
 *
 *   Either way:
 *   delay_ms     before the answer, 0..86400000
 *   stubborn     true: does not stop when asked to, only after the delay
 *   progress     a text that is reported at once
 *   echo         true (default): a success returns the payload
 *   result       a text that a success returns instead
 *   payload      false: the payload is not a script, whatever it looks like
 *                (configuration only)
 */
#ifndef REDIAL_SERVER_PLUGINS_FAULT_FAULT_SCRIPT_H
#define REDIAL_SERVER_PLUGINS_FAULT_FAULT_SCRIPT_H

#include "server/plugins/settings.h"
#include <redial/plugin.h>

struct fault_script {
    int64_t fail;
    int64_t up_ms;
    int64_t down_ms; /* 0: no flapping */
    double probability;
    int64_t seed;
    char *code;
    char *reason;
    char *text;
    int64_t pushback_ms;
    bool is_overloaded;
    bool is_not_started;
    bool hangs;
    bool crashes;
    int64_t delay_ms;
    bool is_stubborn;
    char *progress;
    bool echoes;
    char *result;
    bool reads_payload;
};

/* What is to be done with one attempt. Texts belong to the script. */
struct fault_decision {
    bool crashes;
    bool hangs;
    int64_t delay_ms;
    enum redial_status code; /* OK: with the payload or `result` */
    const char *reason;
    const char *text;
    uint32_t flags; /* of the outcome */
    int64_t pushback_ms;
};

/*
 * Reads the script of an attempt: the configuration, then the payload (NULL:
 * none). False with complaints. Clear it in both cases.
 */
bool
fault_script_read(struct fault_script *script, const char *config,
                  size_t config_bytes,
                  const struct redial_plugin_attempt *attempt,
                  struct setting_error *error);

void
fault_script_clear(struct fault_script *script);

/* What the script wants at `since_ms` after the plugin was started. */
struct fault_decision
fault_decide(const struct fault_script *script,
             const struct redial_plugin_attempt *attempt, int64_t since_ms);

#endif
