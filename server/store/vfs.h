/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thin layer over SQLite's own file access that passes everything on, but
 * lets the fault points WRITE and SYNC fail or wait. Used only when a fault is
 * armed.
 */
#ifndef REDIAL_SERVER_STORE_VFS_H
#define REDIAL_SERVER_STORE_VFS_H

/* Makes it known to SQLite (once) and returns its name; NULL: no memory. */
const char *
vfs_register(void);

#endif
