/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop: one thread that owns all state of the gateway.
 *
 * A turn reads the clocks once; takes what the store finished and releases it;
 * takes what peers sent and gives it to the engine; does what is due; hands
 * what changed to the store; sleeps until something happens. Everything else in
 * the process (nng's threads, the store's) only posts and wakes.
 */
#ifndef REDIAL_SERVER_APP_LOOP_H
#define REDIAL_SERVER_APP_LOOP_H

#include "server/app/gateway.h"

/*
 * Blocks the signals that the loop takes through a descriptor. Call it before
 * any thread is started. False: the system refused.
 */
bool
loop_block_signals(struct gateway *gateway);

/* Runs until the gateway has drained or must stop. */
enum gateway_exit
loop_run(struct gateway *gateway);

#endif
