/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The field "codes" of a plugin's configuration: which status code a reason
 * means, where the operator wants another one than the plugin.
 *
 *     "codes": {"3": "UNAVAILABLE", "SIGNAL_9": "RESOURCE_EXHAUSTED"}
 *
 * A key is a reason in full ("EXIT_3", "SIGNAL_9") or only the number of a
 * reason with the plugin's prefix ("3" for "EXIT_3").
 */
#ifndef REDIAL_SERVER_PLUGINS_CODES_H
#define REDIAL_SERVER_PLUGINS_CODES_H

#include "server/plugins/settings.h"
#include <redial/status.h>

struct codes_domain {
    const char *prefix;       /* "EXIT_" */
    const char *const *words; /* other reasons, NULL at the end; one that
                                 ends in '_' stands for any number after it */
    long min;                 /* of the numbers after the prefix */
    long max;
};

/* Complains about keys that are no reasons and values that are no codes. */
bool
codes_check(const struct setting_map *codes, const struct codes_domain *domain,
            struct setting_error *error);

/* The configured code of a reason, or `otherwise`. */
enum redial_status
codes_find(const struct setting_map *codes, const struct codes_domain *domain,
           const char *reason, enum redial_status otherwise);

#endif
