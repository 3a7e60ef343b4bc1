/* SPDX-License-Identifier: Apache-2.0 */
#include "server/app/mail.h"

#include "server/app/gateway.h"
#include "server/base/check.h"

#include <stdlib.h>

enum {
    FIELD_ASSIGNMENT = 1, /* of PollResponse */
    FIELD_STOP = 2,
};

void
mail_free(struct mail *mail)
{
    list_remove(&mail->link);
    asks_forget(mail->ask);
    bytes_fini(&mail->packed);
    free(mail);
}

static struct mail *
mail_new(struct gateway *gateway, const struct engine_command *command,
         enum mail_kind kind)
{
    struct mailbox *mailbox = mailbox_find(gateway, command->worker);
    struct mail *mail;

    if (mailbox == NULL) {
        return NULL;
    }
    mail = calloc(1, sizeof(*mail));
    if (mail == NULL) {
        return NULL;
    }
    mail->mailbox = mailbox;
    mail->kind = kind;
    mail->serial = pipeline_serial(gateway);
    mail->command = *command;
    bytes_init(&mail->packed, WIRE_FRAME_BYTES_MAX);
    list_append(&mailbox->mail, &mail->link);
    mailbox_mark(mailbox);
    return mail;
}

void
mailboxes_stop(struct gateway *gateway, const struct engine_command *command)
{
    struct mail *mail = mail_new(gateway, command, MAIL_STOP);

    if (mail != NULL) {
        codec_put_token(&mail->packed, FIELD_STOP, &command->token);
    }
}

static bool
pack_assignment(struct gateway *gateway, struct mail *mail, const void *bytes,
                size_t len)
{
    struct content content;
    struct job_view view;
    char scratch[ENGINE_VIEW_BYTES];

    if (!content_read(bytes, len, &content) ||
        !engine_view(gateway->engine, mail->command.slot, scratch, &view)) {
        return false;
    }
    codec_put_assignment(&mail->packed, FIELD_ASSIGNMENT, &mail->command, &view,
                         &content);
    return !mail->packed.failed;
}

void
mail_return(struct gateway *gateway, struct mail *mail)
{
    struct engine_input input = {
        .type = ENGINE_UNSENT,
        .unsent = mail->command.token,
    };

    mail_free(mail);
    pipeline_step(gateway, &input, (struct text){NULL, 0});
}

static void
payload_read(struct gateway *gateway, void *ctx,
             const struct store_answer *answer)
{
    struct mail *mail = ctx;
    uint32_t slot = engine_find(gateway->engine, mail->command.token.job);

    mail->ask = NULL;
    if (answer->status != STORE_OK || slot != mail->command.slot ||
        !pack_assignment(gateway, mail, answer->bytes, answer->byte_count)) {
        log_job(LOG_PAYLOAD_LOST, mail->command.token.job,
                store_status_text(answer->status));
        mail_return(gateway, mail);
        return;
    }
    mailbox_mark(mail->mailbox);
    mailbox_deliver(mail->mailbox);
}

static bool
read_payload(struct gateway *gateway, struct mail *mail)
{
    const struct content_slot *slot =
        &gateway->contents.slots[mail->command.slot];
    struct store_request request = {
        .type = STORE_PAYLOAD,
        .job = mail->command.token.job,
        .payload.accepted_seq = slot->accepted_seq,
        .payload.last_seq = mail->command.token.fence,
    };

    mail->ask = asks_post(gateway, &request, payload_read, mail);
    return mail->ask != NULL;
}

void
mailboxes_assign(struct gateway *gateway, const struct engine_command *command)
{
    struct mail *mail = mail_new(gateway, command, MAIL_ASSIGNMENT);
    struct text content = contents_get(gateway, command->slot);
    bool packed;

    if (mail == NULL) {
        /* No memory: the lease ends, and the attempt is free. */
        log_job(LOG_OUT_OF_MEMORY, command->token.job, NULL);
        return;
    }
    if (content.len > 0) {
        packed = pack_assignment(gateway, mail, content.at, content.len);
        redial_assert(packed);
        return;
    }
    if (!read_payload(gateway, mail)) {
        log_job(LOG_PAYLOAD_LOST, command->token.job, "the store is busy");
        mail_free(mail);
    }
}
