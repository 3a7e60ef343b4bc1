/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What travels between the gateway and its peers, and events of the simulated
 * world, of which a message on its way is one.
 */
#ifndef REDIAL_TESTS_SIM_MESSAGE_H
#define REDIAL_TESTS_SIM_MESSAGE_H

#include "server/base/heap.h"
#include "server/base/list.h"
#include "server/core/engine.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    SIM_WORD_BYTES = 24, /* names, reasons and texts, with NUL */
    SIM_HAND_MAX = 24,   /* attempts in one worker's hands */
    SIM_OFFERS_MAX = 8,  /* methods that one worker offers */
};

enum happening {
    HAPPENS_DELIVERY, /* a message arrives */
    HAPPENS_PEER,     /* an agent or a worker acts */
    HAPPENS_TURN,     /* the gateway's loop turns */
    HAPPENS_COMMIT,   /* the oldest group reaches the disk */
    HAPPENS_CHAOS,    /* see chaos.c */
};

struct happening_event {
    struct heap_node timer;
    enum happening what;
    uint32_t who; /* peer, or row of the chaos plan */
};

enum message_type {
    /* To the gateway. */
    MESSAGE_SUBMIT,
    MESSAGE_CANCEL,
    MESSAGE_HELLO,
    MESSAGE_POLL,
    MESSAGE_REPORT,
    MESSAGE_HEARTBEAT,
    MESSAGE_GOODBYE,
    MESSAGE_CLOSED, /* its own net layer: the connection is gone */
    MESSAGE_REAPED, /* its own supervisor: the process is gone */
    MESSAGE_UNSENT, /* its own net layer: not handed to the stream */
    /* From the gateway. */
    MESSAGE_SUBMITTED,
    MESSAGE_CANCELLED,
    MESSAGE_WELCOME,
    MESSAGE_POLLED,
    MESSAGE_REPORTED,
    MESSAGE_ASSIGN,
    MESSAGE_STOP,
};

struct message_slots {
    uint32_t method; /* row of the plan */
    bool whole_service;
    uint32_t count;
};

struct message_report {
    struct engine_token token;
    struct engine_token truth; /* whose work it really is; fence 0: nobody's */
    enum report_kind kind;
    enum redial_status code;
    char reason[SIM_WORD_BYTES];
    bool has_pushback;
    int64_t pushback_ms;
    bool for_target;
    bool overloaded;
};

struct message {
    struct happening_event event;
    struct list inbox;
    enum message_type type;
    uint32_t peer;
    uint32_t connection;  /* number of the peer's connection */
    uint64_t worker;      /* the worker's id at the gateway */
    uint64_t after_seq;   /* not to be said before this one is on disk */
    uint32_t incarnation; /* CLOSED, REAPED, UNSENT: of the gateway */
    union {
        struct {
            uint32_t spec;
            bool repeat;
        } submit;
        struct {
            uint32_t spec;
            struct job_id id;
        } cancel;
        struct {
            char instance[SIM_WORD_BYTES];
            uint32_t concurrency;
            uint32_t offer_count;
            uint32_t hand_count;
            struct message_slots offers[SIM_OFFERS_MAX];
            struct engine_token hand[SIM_HAND_MAX];
        } hello;
        struct {
            uint32_t free_total;
            uint32_t credit_count;
            uint32_t ack_count;
            struct message_slots credits[SIM_OFFERS_MAX];
            struct engine_token acks[SIM_HAND_MAX];
        } poll;
        struct message_report report;
        struct engine_command command; /* ASSIGN, STOP, UNSENT */
        struct {
            struct engine_result result;
            uint32_t spec;             /* SUBMITTED, CANCELLED */
            struct engine_token token; /* REPORTED */
        } answer;
    };
};

#endif
