/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Breakers: that of targets (at the top, in targets, in a methodConfig) and
 * that of worker instances. One object for both; what only one of them may have
 * is refused in the other. Internal to server/config.
 */
#ifndef REDIAL_SERVER_CONFIG_BREAKERS_H
#define REDIAL_SERVER_CONFIG_BREAKERS_H

#include "server/config/json_out.h"
#include "server/config/loader.h"

#include <stdbool.h>

enum {
    WHEN_OPEN_PARK = 0,
    WHEN_OPEN_REJECT = 1,
    BREAKER_TEXT_BYTES = 256,
};

/*
 * Reads the breaker at the spot into `policy`, whole: what is not given has its
 * default. *ret_trial: where maxHalfOpenTime is said, no path if nowhere.
 * False: it has errors, which are reported.
 */
bool
breaker_read_target(struct loader *loader, const struct spot *spot,
                    struct target_policy *policy, struct place *ret_trial);

/* The same into the policy of instances. */
void
breaker_read_instances(struct loader *loader, const struct spot *spot);

/*
 * A trial must outlast its probes. Once all else is known: raises the defaults
 * to the longest time limit of an attempt that the breaker may see, and reports
 * what was given and is shorter. `targets` are those of the policy set; own[i]
 * is the rule that the breaker of targets[i] is from, NULL: that of the top.
 */
void
breaker_set_trials(struct loader *loader, struct target_policy *targets,
                   const struct target_rule *const *own);

/* The breaker alone, from one target to another. */
void
breaker_copy(struct target_policy *target, const struct target_policy *from);

/* Whether both have the same breaker, or none. */
bool
breaker_equal(const struct target_policy *a, const struct target_policy *b);

/* ---- breakers_text.c ------------------------------------------------------
 */

/* As the configuration writes it, with all its fields; nothing without one. */
void
breaker_print_target(struct json_out *json, const struct target_policy *policy);

void
breaker_print_instances(struct json_out *json,
                        const struct instance_policy *policy);

/*
 * What it means, in one line: "opens at 50 % failures of at least 20 calls in
 * 30s, for 5s to 300s".
 */
void
breaker_describe(const struct breaker_policy *policy,
                 char text[BREAKER_TEXT_BYTES]);

/* ---- The table that both files share --------------------------------------
 */

/* A field with one number of struct breaker_policy. */
struct breaker_field {
    enum field field;
    size_t offset;
    uint32_t initial;
};

enum { BREAKER_FIELD_COUNT = 18 };

extern const struct breaker_field breaker_fields[BREAKER_FIELD_COUNT];

uint32_t
breaker_number(const struct breaker_policy *policy,
               const struct breaker_field *field);

#endif
