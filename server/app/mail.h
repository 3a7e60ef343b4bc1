/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thing that a worker shall know: an assignment, or an attempt to give up.
 * Packed when it is decided, except that a payload may first have to be read.
 */
#ifndef REDIAL_SERVER_APP_MAIL_H
#define REDIAL_SERVER_APP_MAIL_H

#include "server/app/mailboxes.h"

struct ask;

enum mail_kind {
    MAIL_ASSIGNMENT,
    MAIL_STOP,
};

struct mail {
    struct list link;
    struct mailbox *mailbox;
    enum mail_kind kind;
    uint64_t serial; /* of the batch that decided it */
    struct engine_command command;
    struct ask *ask;     /* its payload is being read */
    struct bytes packed; /* with field number */
};

/* Takes it out of its mailbox and frees it. */
void
mail_free(struct mail *mail);

/* Frees it; the worker never sees it: the engine takes the attempt back. */
void
mail_return(struct gateway *gateway, struct mail *mail);

/* The mailbox may have something to deliver. */
void
mailbox_mark(struct mailbox *mailbox);

/* Answers the Poll if it may be and there is reason to. */
void
mailbox_deliver(struct mailbox *mailbox);

#endif
