/* SPDX-License-Identifier: Apache-2.0 */
/* From a configuration to a gateway that is ready, and back. */
#ifndef REDIAL_SERVER_APP_START_H
#define REDIAL_SERVER_APP_START_H

#include "server/app/gateway.h"

/*
 * Builds everything: engine, store (recovered), listeners, plugin hosts.
 * Returns GATEWAY_EXIT_OK, or how the process should end; the reason is logged.
 * gateway_stop() must be called in both cases. `gateway` is zero but for
 * `config`, `sources` and `policy_version`.
 */
enum gateway_exit
gateway_start(struct gateway *gateway);

/* Tears down what was built. Nothing is lost: the log has it. */
void
gateway_stop(struct gateway *gateway);

#endif
