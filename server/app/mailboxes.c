/* SPDX-License-Identifier: Apache-2.0 */
#include "server/app/mailboxes.h"

#include "server/app/gateway.h"
#include "server/app/mail.h"
#include "server/base/check.h"

#include <stdlib.h>
#include <string.h>

enum {
    /* What the rest of an answer may take beside assignments. */
    ANSWER_BYTES_MAX = WIRE_FRAME_BYTES_MAX - 65536,
};

bool
mailboxes_init(struct mailboxes *mailboxes, uint32_t workers_max)
{
    *mailboxes = (struct mailboxes){.count_max = workers_max};
    list_init(&mailboxes->dirty);
    mailboxes->items = calloc(workers_max, sizeof(*mailboxes->items));
    mailboxes->map_memory = calloc(1, map_size(8, workers_max));
    if (mailboxes->items == NULL || mailboxes->map_memory == NULL) {
        return false;
    }
    map_init(&mailboxes->by_worker, mailboxes->map_memory, 8, workers_max,
             (struct hash_key){{0, 0}});
    return true;
}

static void
drop_mail(struct mailbox *mailbox)
{
    struct list *link;

    while ((link = list_first(&mailbox->mail)) != NULL) {
        mail_free(container_of(link, struct mail, link));
    }
}

static void
mailbox_free(struct mailbox *mailbox)
{
    drop_mail(mailbox);
    list_remove(&mailbox->dirty);
    bytes_fini(&mailbox->acks);
    free(mailbox);
}

void
mailboxes_fini(struct mailboxes *mailboxes)
{
    for (uint32_t i = 0; i < mailboxes->count; i++) {
        if (mailboxes->items[i] != NULL) {
            mailbox_free(mailboxes->items[i]);
        }
    }
    free(mailboxes->items);
    free(mailboxes->map_memory);
    *mailboxes = (struct mailboxes){.count = 0};
}

struct mailbox *
mailbox_find(struct gateway *gateway, uint64_t worker)
{
    uint32_t place = map_get_u64(&gateway->mailboxes.by_worker, worker);

    return place == MAP_NONE ? NULL : gateway->mailboxes.items[place];
}

static uint32_t
free_place(struct mailboxes *mailboxes)
{
    for (uint32_t i = 0; i < mailboxes->count; i++) {
        if (mailboxes->items[i] == NULL) {
            return i;
        }
    }
    return mailboxes->count < mailboxes->count_max ? mailboxes->count++
                                                   : MAP_NONE;
}

static struct mailbox *
mailbox_new(struct gateway *gateway, uint64_t worker)
{
    uint32_t place = free_place(&gateway->mailboxes);
    struct mailbox *mailbox;

    if (place == MAP_NONE) {
        return NULL;
    }
    mailbox = calloc(1, sizeof(*mailbox));
    if (mailbox == NULL ||
        !map_put_u64(&gateway->mailboxes.by_worker, worker, place)) {
        free(mailbox);
        return NULL;
    }
    mailbox->gateway = gateway;
    mailbox->worker = worker;
    mailbox->place = place;
    list_init(&mailbox->mail);
    bytes_init(&mailbox->acks, WIRE_FRAME_BYTES_MAX);
    gateway->mailboxes.items[place] = mailbox;
    return mailbox;
}

void
mailbox_mark(struct mailbox *mailbox)
{
    if (!list_is_linked(&mailbox->dirty)) {
        list_append(&mailbox->gateway->mailboxes.dirty, &mailbox->dirty);
    }
}

/* ---- Polls ------------------------------------------------------------- */

static bool
may_go(const struct gateway *gateway, const struct mail *mail)
{
    return mail->ask == NULL && pipeline_is_released(gateway, mail->serial);
}

/* Ends the parked Poll with what is in `body`. */
static struct rpc_reply *
end_poll(struct mailbox *mailbox, struct bytes *body)
{
    Redial__V1__PollResponse rest = REDIAL__V1__POLL_RESPONSE__INIT;
    struct rpc_call *call = mailbox->poll;
    struct rpc_reply *reply;
    size_t len;
    uint8_t *at;

    rest.has_drain = mailbox->drain;
    rest.drain = mailbox->drain;
    len = protobuf_c_message_get_packed_size(&rest.base);
    bytes_append(body, mailbox->acks.at, mailbox->acks.len);
    at = bytes_reserve(body, len);
    if (at != NULL) {
        bytes_commit(body, protobuf_c_message_pack(&rest.base, at));
    }
    bytes_clear(&mailbox->acks);
    mailbox->poll = NULL;
    mailbox->must_answer = false;
    parking_remove(mailbox->gateway, &mailbox->parked);
    rpc_call_on_close(call, NULL);
    reply = rpc_build_packed(call, body->at, body->len);
    bytes_fini(body);
    return reply;
}

static void
answer_empty(struct mailbox *mailbox)
{
    struct bytes body;

    bytes_init(&body, WIRE_FRAME_BYTES_MAX);
    pipeline_reply(mailbox->gateway, end_poll(mailbox, &body));
}

static void
poll_due(struct gateway *gateway, struct parked *parked)
{
    struct mailbox *mailbox = (struct mailbox *)(void *)parked;

    (void)gateway;
    answer_empty(mailbox);
}

static void
poll_closed(void *owner, struct rpc_call *call)
{
    struct mailbox *mailbox = owner;

    rpc_call_drop(call);
    mailbox->poll = NULL;
    mailbox->must_answer = false;
    bytes_clear(&mailbox->acks);
    parking_remove(mailbox->gateway, &mailbox->parked);
}

void
mailbox_park(struct mailbox *mailbox, struct rpc_call *call, bool must_answer,
             struct mono deadline)
{
    mailbox->poll = call;
    mailbox->poll_serial = pipeline_serial(mailbox->gateway);
    mailbox->must_answer = must_answer || mailbox->drain;
    rpc_call_set_owner(call, mailbox);
    rpc_call_on_close(call, poll_closed);
    parking_add(mailbox->gateway, &mailbox->parked, deadline, poll_due);
    mailbox_mark(mailbox);
}

void
mailbox_replace(struct mailbox *mailbox, struct sp_conn_id conn)
{
    if (mailbox->poll != NULL) {
        answer_empty(mailbox);
    }
    mailbox->conn = conn;
    mailbox->connected = true;
}

static void
copy_name(struct text from, char to[WIRE_NAME_BYTES_MAX + 1])
{
    memcpy(to, from.at, from.len);
    to[from.len] = '\0';
}

void
mailbox_name(struct mailbox *mailbox, struct text name, struct text instance)
{
    copy_name(name, mailbox->name);
    copy_name(instance, mailbox->instance);
}

struct mailbox *
mailbox_find_instance(struct gateway *gateway, const char *name,
                      const char *instance)
{
    for (uint32_t i = 0; i < gateway->mailboxes.count; i++) {
        struct mailbox *mailbox = gateway->mailboxes.items[i];

        if (mailbox != NULL && strcmp(mailbox->instance, instance) == 0 &&
            strcmp(mailbox->name, name) == 0) {
            return mailbox;
        }
    }
    return NULL;
}

struct mailbox *
mailbox_open(struct gateway *gateway, uint64_t worker, struct sp_conn_id conn)
{
    struct mailbox *mailbox = mailbox_find(gateway, worker);

    if (mailbox == NULL) {
        mailbox = mailbox_new(gateway, worker);
    }
    if (mailbox == NULL) {
        return NULL;
    }
    mailbox_replace(mailbox, conn);
    /* What it does not list as in hand, the engine decides again. */
    drop_mail(mailbox);
    mailbox->drain = gateway->draining;
    return mailbox;
}

void
mailbox_take_stops(struct mailbox *mailbox, uint32_t field, struct bytes *out)
{
    list_foreach_safe(link, &mailbox->mail) {
        struct mail *mail = container_of(link, struct mail, link);

        if (mail->kind == MAIL_STOP) {
            codec_put_token(out, field, &mail->command.token);
            mail_free(mail);
        }
    }
}

/* Moves what may go into `body`, as much as one answer holds. */
static size_t
collect(struct mailbox *mailbox, struct bytes *body)
{
    size_t count = 0;

    list_foreach_safe(link, &mailbox->mail) {
        struct mail *mail = container_of(link, struct mail, link);

        if (!may_go(mailbox->gateway, mail)) {
            continue;
        }
        if (count == WIRE_POLL_ITEMS_MAX ||
            (count > 0 && body->len + mail->packed.len > ANSWER_BYTES_MAX)) {
            break;
        }
        bytes_append(body, mail->packed.at, mail->packed.len);
        mail_free(mail);
        count++;
    }
    return count;
}

void
mailbox_deliver(struct mailbox *mailbox)
{
    struct gateway *gateway = mailbox->gateway;
    struct bytes body;
    size_t count;

    if (mailbox->poll == NULL ||
        !pipeline_is_released(gateway, mailbox->poll_serial)) {
        return;
    }
    bytes_init(&body, WIRE_FRAME_BYTES_MAX);
    count = collect(mailbox, &body);
    if (count == 0 && !mailbox->must_answer) {
        bytes_fini(&body);
        return;
    }
    rpc_release(gateway->rpc, end_poll(mailbox, &body));
}

static bool
has_unreleased(const struct mailbox *mailbox)
{
    const struct gateway *gateway = mailbox->gateway;
    struct list *last = list_last(&mailbox->mail);

    if (mailbox->poll != NULL &&
        !pipeline_is_released(gateway, mailbox->poll_serial)) {
        return true;
    }
    /* Mail is in order of serial. */
    return last != NULL &&
           !pipeline_is_released(gateway,
                                 container_of(last, struct mail, link)->serial);
}

void
mailboxes_deliver(struct gateway *gateway)
{
    list_foreach_safe(link, &gateway->mailboxes.dirty) {
        struct mailbox *mailbox = container_of(link, struct mailbox, dirty);

        mailbox_deliver(mailbox);
        if (!has_unreleased(mailbox)) {
            list_remove(&mailbox->dirty);
        }
    }
}

bool
mailboxes_need_serial(const struct gateway *gateway, uint64_t serial)
{
    list_foreach(link, &gateway->mailboxes.dirty) {
        const struct mailbox *mailbox = container_of(link, const struct mailbox,
                                                     dirty);

        if (mailbox->poll != NULL && mailbox->poll_serial == serial &&
            (mailbox->must_answer || !list_is_empty(&mailbox->mail))) {
            return true;
        }
    }
    return false;
}

void
mailboxes_forget(struct gateway *gateway, uint64_t worker)
{
    struct mailbox *mailbox = mailbox_find(gateway, worker);

    if (mailbox == NULL) {
        return;
    }
    if (mailbox->poll != NULL) {
        struct rpc_call *call = mailbox->poll;

        mailbox->poll = NULL;
        rpc_call_on_close(call, NULL);
        pipeline_reply(gateway, rpc_build_error(
                                    call, REDIAL_NOT_FOUND, "UNKNOWN_WORKER", 0,
                                    "this worker id is not valid any more: "
                                    "say Hello again"));
    }
    parking_remove(gateway, &mailbox->parked);
    map_remove_u64(&gateway->mailboxes.by_worker, worker);
    gateway->mailboxes.items[mailbox->place] = NULL;
    mailbox_free(mailbox);
}

static void
mailbox_closed(struct gateway *gateway, struct mailbox *mailbox)
{
    struct engine_input input = {
        .type = ENGINE_WORKER_GONE,
        .gone = {.worker = mailbox->worker, .how = ENGINE_GONE_DROPPED},
    };
    struct list unsent;
    struct list *link;

    mailbox->connected = false;
    list_init(&unsent);
    list_splice(&unsent, &mailbox->mail);
    pipeline_step(gateway, &input, (struct text){NULL, 0});
    while ((link = list_first(&unsent)) != NULL) {
        struct mail *mail = container_of(link, struct mail, link);

        if (mail->kind == MAIL_ASSIGNMENT) {
            mail_return(gateway, mail);
        } else {
            mail_free(mail);
        }
    }
}

void
mailboxes_closed(struct gateway *gateway, struct sp_conn_id conn)
{
    for (uint32_t i = 0; i < gateway->mailboxes.count; i++) {
        struct mailbox *mailbox = gateway->mailboxes.items[i];

        if (mailbox != NULL && mailbox->connected &&
            mailbox->conn.index == conn.index &&
            mailbox->conn.generation == conn.generation) {
            mailbox_closed(gateway, mailbox);
        }
    }
}

void
mailboxes_drain(struct gateway *gateway)
{
    for (uint32_t i = 0; i < gateway->mailboxes.count; i++) {
        struct mailbox *mailbox = gateway->mailboxes.items[i];

        if (mailbox == NULL) {
            continue;
        }
        mailbox->drain = true;
        if (mailbox->poll != NULL) {
            answer_empty(mailbox);
        }
    }
}
