/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables, and how an older store becomes one of today.
 *
 * To change the schema: append a step to the list in schema.c (never edit one
 * that was released), say below what it is for, and add a test that opens a
 * store of the version before.
 *
 *   1  the first one
 *   2  targets: what guards their retries outlives the log and a restart
 */
#ifndef REDIAL_SERVER_STORE_SCHEMA_H
#define REDIAL_SERVER_STORE_SCHEMA_H

#include "server/store/db.h"

enum { SCHEMA_VERSION = 2 };

/*
 * Sets the connection up for writing, creates or migrates the tables, all steps
 * in one transaction. STORE_NEWER: written by a later version.
 */
enum store_status
schema_open(struct db *db);

/* Sets the connection up for reading. */
enum store_status
schema_open_reader(struct db *db);

#endif
