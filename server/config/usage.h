/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of what a method or a tenant may use at once. Internal to
 * server/config.
 */
#ifndef REDIAL_SERVER_CONFIG_USAGE_H
#define REDIAL_SERVER_CONFIG_USAGE_H

#include "server/config/object.h"

enum {
    USAGE_SECOND_MS = 1000,
    USAGE_MINUTE_MS = 60000,
};

/* Reads the limits at the spot; what is not given is left as it was. */
void
usage_read(struct config_report *report, const struct spot *spot,
           struct limit_policy *limits);

#endif
