/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's log: one JSON object a line on standard error, in one write. Any
 * thread. What can be said is in host_log.def.
 */
#ifndef REDIAL_SERVER_PLUGINS_HOST_HOST_LOG_H
#define REDIAL_SERVER_PLUGINS_HOST_HOST_LOG_H

enum host_log_id {
#define HOST_LOG(name, id, level, sentence) HOST_LOG_##name,
#include "server/plugins/host/host_log.def"
#undef HOST_LOG
};

/* The worker that all lines name. Before the first line and any thread. */
void
host_log_init(const char *worker);

/* `detail` may be NULL. */
void
host_log(enum host_log_id id, const char *detail);

/* A line about an attempt. */
void
host_log_job(enum host_log_id id, const char *job_id,
             const char *correlation_id, const char *detail);

#endif
