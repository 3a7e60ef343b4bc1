/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much room the disk has left, on the writer's thread.
 *
 * A WAL that cannot be copied for want of room cannot start over, and then
 * nothing can be deleted either. So a group is begun only while there is room
 * for it, for copying the whole WAL behind it, and for a trimming step; a disk
 * that others fill meanwhile is what the reserve is for.
 */
#ifndef REDIAL_SERVER_STORE_ROOM_H
#define REDIAL_SERVER_STORE_ROOM_H

#include "server/store/disk.h"

/* Asks the file system only now and then while there is plenty. */
bool
room_for(struct disk *disk, const struct store_group *group);

/*
 * At most once a second: looks whether the store is degraded, and brings the
 * reserve back when there is plenty of room.
 */
void
room_check(struct disk *disk);

/* Announces a change by wake. */
void
room_set_degraded(struct disk *disk, bool degraded);

#endif
