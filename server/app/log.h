/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines: one JSON object a line on stderr, or text where stderr is a
 * terminal. What can be said is in log.def. Payloads and secrets never are.
 */
#ifndef REDIAL_SERVER_APP_LOG_H
#define REDIAL_SERVER_APP_LOG_H

#include "server/config/config.h"
#include "server/core/record.h"

enum log_id {
#define LOG(name, id, level, sentence) LOG_##name,
#include "server/app/log.def"
#undef LOG
};

/* Before the first line, and after a reload. */
void
log_set_level(enum config_log_level level);

/* `detail` may be NULL. */
void
log_event(enum log_id id, const char *detail);

void
log_eventf(enum log_id id, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A line about a job. */
void
log_job(enum log_id id, struct job_id job, const char *detail);

/* A line about a record: with its job, correlation id, code and reason. */
void
log_record(enum log_id id, const struct record *record);

#endif
