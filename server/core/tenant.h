/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What waits for a tenant's limits. A tenant without a free place or a token
 * stops only itself: dispatch takes a lane of it that it comes upon out of the
 * lane's level (a suspect out of its method's list) and puts it last in the
 * tenant's list of the blocked, where nobody looks at it.
 *
 * When the tenant has room again it stands in the engine's ring of tenants with
 * room, and dispatch brings back one blocked lane per free place: the lane is
 * invited, and the place counts as taken until the lane was served or blocked
 * again, ran empty, or its method turned out to be unable to start anything.
 * In that case the invitation passes on to the next lane, so a place is not
 * wasted on a method that cannot use it; the lane stays in its method, where it
 * costs nothing.
 *
 * Each step is O(1): a blocked tenant costs one step per lane when it becomes
 * blocked, and one per place that becomes free.
 */
#ifndef REDIAL_SERVER_CORE_TENANT_H
#define REDIAL_SERVER_CORE_TENANT_H

#include "server/core/state.h"

/* At least 1, and no more than deficits can hold. */
uint32_t
tenant_weight(const struct tenant_policy *policy);

/* A new set of policies is in force. */
void
tenant_take_policy(struct engine *engine, struct tenant *tenant);

/* Whether an attempt of it may start now. */
bool
tenant_has_room(const struct engine *engine, const struct tenant *tenant);

/* Takes its place among those with room, or sets its timer, as is due. */
void
tenant_update(struct engine *engine, struct tenant *tenant);

/* The lane, which is out of its level, waits for its tenant. */
void
tenant_block_lane(struct engine *engine, struct lane *lane);

/* The same for a suspect that is out of its method's list. */
void
tenant_block_suspect(struct engine *engine, struct job *job);

/* What is returned counts as taking a place. */
void
tenant_invite_lane(struct lane *lane);

void
tenant_invite_suspect(struct job *job);

/* It does not any more; no effect when it was not invited. */
void
tenant_uninvite_lane(struct engine *engine, struct lane *lane);

void
tenant_uninvite_suspect(struct engine *engine, struct job *job);

/* The method cannot start anything now: its invitations pass on to others. */
void
tenant_uninvite_method(struct engine *engine, struct method *method);

#endif
