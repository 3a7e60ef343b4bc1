/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services, methods and tenants by name. Each is made when it is first named
 * and stays findable after its last use until a new name needs its place: only
 * names in use count towards the limits.
 *
 * A new or found name is not in use yet: hold it with ..._ref() before the next
 * intern, which may otherwise reuse its place.
 */
#ifndef REDIAL_SERVER_CORE_NAMES_H
#define REDIAL_SERVER_CORE_NAMES_H

#include "server/core/state.h"

/*
 * NULL: all places are in use, which are twice as many as the limits say, for
 * recovery's sake. `name` has at most NAME_BYTES_MAX bytes.
 */
struct service *
service_intern(struct engine *engine, struct text name);

void
service_ref(struct engine *engine, struct service *service);

void
service_unref(struct engine *engine, struct service *service);

/* The same for a method of a service, which it makes if need be. */
struct method *
method_intern(struct engine *engine, struct text service, struct text name);

void
method_ref(struct engine *engine, struct method *method);

void
method_unref(struct engine *engine, struct method *method);

struct tenant *
tenant_intern(struct engine *engine, struct text name);

void
tenant_ref(struct engine *engine, struct tenant *tenant);

void
tenant_unref(struct engine *engine, struct tenant *tenant);

/* Whether one more use keeps within the limits. */
bool
service_may_be_used(const struct engine *engine, const struct service *service);

bool
method_may_be_used(const struct engine *engine, const struct method *method);

bool
tenant_may_be_used(const struct engine *engine, const struct tenant *tenant);

#endif
