/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the store and making the engine what it was. */
#ifndef REDIAL_SERVER_APP_RECOVER_H
#define REDIAL_SERVER_APP_RECOVER_H

#include "server/app/gateway.h"

/*
 * Opens and reads the store, applies what is beyond the tables, and decides
 * from the present. The engine must be fresh. Logs the reason of a failure.
 */
enum gateway_exit
recover(struct gateway *gateway);

#endif
