/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker's messages to the gateway have in common: what one carried and
 * takes back if it is lost, reports appended to a message, answers.
 */
#ifndef REDIAL_CLIENT_SAYING_H
#define REDIAL_CLIENT_SAYING_H

#include "client/crew.h"
#include "proto/arena.h"

#define REDIAL_I_HELLO_PATH  "/redial.v1.Worker/Hello"
#define REDIAL_I_POLL_PATH   "/redial.v1.Worker/Poll"
#define REDIAL_I_REPORT_PATH "/redial.v1.Worker/Report"

/* Something said to the gateway, with what goes back if it gets lost. */
struct redial_i_saying {
    redial_worker *worker;
    struct redial_i_list acks;    /* attempts */
    struct redial_i_list reports; /* attempts, in the order of the message */
    uint64_t hellos;              /* as of the start */
    size_t report_count;          /* that it carried */
    bool is_goodbye;
};

struct redial_i_chunk {
    const uint8_t *bytes;
    size_t len;
};

struct redial_i_answer {
    struct wire_arena arena;
    ProtobufCMessage *message; /* NULL: see error, if there was a reply */
    bool has_reply;
    struct redial_error error;
};

/* NULL: no memory. */
struct redial_i_saying *
redial_i_saying_new(redial_worker *worker);

/* It was lost: what it said is to be said again. */
void
redial_i_saying_undo_locked(struct redial_i_saying *saying);

/* The gateway has said no to it. */
void
redial_i_saying_refused_locked(struct redial_i_saying *saying,
                               const struct redial_error *error);

/* Says nothing more for a while, longer each time in a row. */
void
redial_i_session_pause_locked(redial_worker *worker, uint64_t at_least_ms);

/* Further fields of a message: all with this tag, bytes of length `len`. */
struct redial_i_chunks {
    uint8_t tag;
    const struct redial_i_chunk *items;
    size_t count;
};

/* A call of the base message, with the chunks (NULL: none) appended. */
struct redial_i_frame *
redial_i_frame_with(redial_worker *worker, const char *path,
                    uint32_t timeout_ms, const ProtobufCMessage *base,
                    const struct redial_i_chunks *chunks);

/*
 * Moves reports that are ready into the saying, as many as fit beside
 * `base_bytes`; they become chunks, whose number is returned. There is room for
 * WIRE_POLL_ITEMS_MAX.
 */
size_t
redial_i_take_reports_locked(struct redial_i_saying *saying,
                             struct redial_i_chunk *chunks, size_t base_bytes);

/*
 * Answered: each report is acknowledged, or not wanted any more, unless the
 * gateway says of it that it could not take it just now.
 */
void
redial_i_settle_reports_locked(struct redial_i_saying *saying,
                               Redial__V1__ReportAck **acks, size_t count);

void
redial_i_stop_all_locked(redial_worker *worker, Redial__V1__Token **tokens,
                         size_t count, bool is_superseded);

/* What came of the exchange. The arena is to be freed in any case. */
void
redial_i_answer_read(struct redial_i_answer *answer,
                     const struct redial_i_exchange *exchange,
                     const ProtobufCMessageDescriptor *descriptor);

/* poll.c. False: no memory now. */
bool
redial_i_poll_send_locked(redial_worker *worker);

/* report.c */
void
redial_i_report_send_locked(redial_worker *worker, bool is_goodbye);

#endif /* REDIAL_CLIENT_SAYING_H */
