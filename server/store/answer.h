/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers, and how requests are answered from a source: the same for the disk
 * and for memory.
 */
#ifndef REDIAL_SERVER_STORE_ANSWER_H
#define REDIAL_SERVER_STORE_ANSWER_H

#include "server/base/list.h"
#include "server/store/store.h"

struct answer {
    struct store_answer shown;
    struct list link;
    void *bytes; /* owned; behind shown.bytes unless a group is */
};

/* NULL: no memory. */
struct answer *
answer_new(enum store_request_type type, uint64_t ticket);

void
answer_free(struct answer *answer);

/* Takes the reference in any case; false: no memory. */
bool
answer_add_group(struct answer *answer, struct store_group *group);

bool
answer_add_finished(struct answer *answer,
                    const struct store_finished *finished);

bool
answer_add_key(struct answer *answer, const struct store_key *key);

bool
answer_set_bytes(struct answer *answer, const void *bytes, size_t len);

/*
 * Where answers come from. All return STORE_NOT_FOUND for what is not kept.
 * Returned groups are new references.
 */
struct source {
    uint64_t (*first_seq)(void *ctx);
    enum store_status (*group_at)(void *ctx, uint64_t seq,
                                  struct store_group **ret);
    enum store_status (*finished)(void *ctx, const struct job_id *job,
                                  struct store_finished *ret);
    /* A final record that outlived its group: a group of one. */
    enum store_status (*failed)(void *ctx, const struct job_id *job,
                                uint64_t final_seq, struct store_group **ret);
    enum store_status (*payload)(void *ctx, const struct job_id *job,
                                 struct answer *answer);
    enum store_status (*correlated)(void *ctx,
                                    const struct store_request *request,
                                    struct answer *answer);
    enum store_status (*list)(void *ctx, const struct store_request *request,
                              struct answer *answer);
};

/* Fills the answer, its status included. */
void
answer_request(struct answer *answer, const struct store_request *request,
               const struct source *source, void *ctx);

/* Takes `finished` into a FINISHED or CORRELATED answer if it is wanted. False:
 * no memory. */
bool
answer_take_listed(struct answer *answer, const struct store_request *request,
                   const struct store_finished *finished);

#endif
