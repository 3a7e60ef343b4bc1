/* SPDX-License-Identifier: Apache-2.0 */
/* SIGHUP and `redial reload`: a new configuration, or none. */
#ifndef REDIAL_SERVER_APP_RELOAD_H
#define REDIAL_SERVER_APP_RELOAD_H

#include "server/config/config.h"

#include <stdbool.h>

struct gateway;

/*
 * Reads the configuration again. True: it is in force, and the report says what
 * changed. False: the old one stays, and the report says why. Both make an
 * event.
 */
bool
reload(struct gateway *gateway, struct config_report *report);

/* Makes a gateway.* event with a text. */
void
reload_note(struct gateway *gateway, enum event_type type, struct text text);

/* The event text of the policy in force, appended. */
void
reload_policy_text(const struct gateway *gateway, struct bytes *out);

#endif
