/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intrusive doubly linked list: a head stands alone, a link is a member of an
 * element. A zeroed link is in no list; a head must be initialised. All O(1).
 */
#ifndef REDIAL_CLIENT_LIST_H
#define REDIAL_CLIENT_LIST_H

#include "proto/check.h"

#include <stdbool.h>
#include <stddef.h>

struct redial_i_list {
    struct redial_i_list *next;
    struct redial_i_list *prev;
};

/* The structure of type `type` whose member `member` is at `pointer`. */
#define REDIAL_I_OF(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline void
redial_i_list_init(struct redial_i_list *head)
{
    head->next = head;
    head->prev = head;
}

static inline bool
redial_i_list_is_empty(const struct redial_i_list *head)
{
    return head->next == head;
}

/* For links, not for heads. */
static inline bool
redial_i_list_is_linked(const struct redial_i_list *link)
{
    return link->next != NULL;
}

/* Puts the link, which is in no list, before `at`: a link or the head. */
static inline void
redial_i_list_insert(struct redial_i_list *at, struct redial_i_list *link)
{
    WIRE_CHECK(!redial_i_list_is_linked(link));
    link->prev = at->prev;
    link->next = at;
    at->prev->next = link;
    at->prev = link;
}

static inline void
redial_i_list_append(struct redial_i_list *head, struct redial_i_list *link)
{
    redial_i_list_insert(head, link);
}

/* No effect on a link that is in no list. */
static inline void
redial_i_list_remove(struct redial_i_list *link)
{
    if (link->next != NULL) {
        link->prev->next = link->next;
        link->next->prev = link->prev;
        link->next = NULL;
        link->prev = NULL;
    }
}

/* Takes the first link out; NULL if there is none. */
static inline struct redial_i_list *
redial_i_list_pop(struct redial_i_list *head)
{
    struct redial_i_list *first = head->next;

    if (first == head) {
        return NULL;
    }
    head->next = first->next;
    first->next->prev = head;
    first->next = NULL;
    first->prev = NULL;
    return first;
}

/* Moves all of `from` to before `at`, in order. */
static inline void
redial_i_list_splice(struct redial_i_list *at, struct redial_i_list *from)
{
    if (redial_i_list_is_empty(from)) {
        return;
    }
    from->next->prev = at->prev;
    at->prev->next = from->next;
    from->prev->next = at;
    at->prev = from->prev;
    redial_i_list_init(from);
}

/* The link at hand may be removed, but not the one after it. */
#define REDIAL_I_EACH(at, head)                                            \
    for (struct redial_i_list *at = (head)->next, *at##_next = (at)->next; \
         (at) != (head); (at) = at##_next, at##_next = (at)->next)

#endif /* REDIAL_CLIENT_LIST_H */
