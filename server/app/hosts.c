/* SPDX-License-Identifier: Apache-2.0 */
#include "server/app/hosts.h"

#include "server/app/gateway.h"
bool
hosts_start(struct gateway *g)
{
    (void)g;
    return true;
}
void
hosts_run(struct gateway *g)
{
    (void)g;
}
void
hosts_reaped(struct gateway *g, pid_t pid, int status)
{
    (void)g;
    (void)pid;
    (void)status;
}
void
hosts_stop(struct gateway *g)
{
    (void)g;
}
bool
hosts_are_gone(const struct gateway *g)
{
    (void)g;
    return true;
}
struct mono
hosts_next(const struct gateway *g)
{
    (void)g;
    return MONO_NEVER;
}
bool
hosts_watch(struct gateway *g)
{
    (void)g;
    return true;
}
void
hosts_fini(struct gateway *g)
{
    (void)g;
}
