/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gateway sends, as the structures of redial/client.h: each in one
 * piece of memory that does not refer to the message. Any thread, no lock.
 */
#ifndef REDIAL_CLIENT_INFO_H
#define REDIAL_CLIENT_INFO_H

#include <redial/client.h>
#include <redial/v1/event.pb-c.h>
#include <redial/v1/job.pb-c.h>

/* NULL: no memory. */
struct redial_job_info *
redial_i_job_info(const Redial__V1__Job *job);

/* What redial_i_event() needs beside the event itself. */
struct redial_i_event {
    struct redial_event event;
    struct redial_decision decision;
    struct redial_gap gap;
};

/* Refers to the message, and lives as long as that. */
void
redial_i_event_fill(struct redial_i_event *event,
                    const Redial__V1__Event *message);

/* The same for a gap that stands alone. */
void
redial_i_event_fill_gap(struct redial_i_event *event,
                        const Redial__V1__Gap *gap);

/* A code as sent by the gateway; unknown ones are UNKNOWN. */
enum redial_status
redial_i_status(int64_t code);

#endif /* REDIAL_CLIENT_INFO_H */
