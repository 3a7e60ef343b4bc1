/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intrusive doubly linked list. A `struct list` is a head when it stands alone
 * and a link when it is a member of an element; the list owns nothing. All
 * operations are O(1). A zeroed link is in no list; a head must be initialised.
 *
 *     struct job { struct list queue; ... };
 *
 *     struct list ready;
 *     list_init(&ready);
 *     list_append(&ready, &job->queue);
 *     list_foreach (at, &ready) {
 *         struct job *job = container_of(at, struct job, queue);
 *     }
 */
#ifndef REDIAL_SERVER_BASE_LIST_H
#define REDIAL_SERVER_BASE_LIST_H

#include "server/base/check.h"

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *prev;
};

/* The structure of type `type` whose member `member` is at `pointer`. */
#define container_of(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Makes an empty head. */
static inline void
list_init(struct list *head)
{
    head->next = head;
    head->prev = head;
}

static inline bool
list_is_empty(const struct list *head)
{
    return head->next == head;
}

/* True while the link is in a list. Not for heads. */
static inline bool
list_is_linked(const struct list *link)
{
    return link->next != NULL;
}

static inline void
list_insert_between(struct list *prev, struct list *link, struct list *next)
{
    redial_assert(!list_is_linked(link));
    link->prev = prev;
    link->next = next;
    prev->next = link;
    next->prev = link;
}

/* Adds as the last one. The link must be in no list. */
static inline void
list_append(struct list *head, struct list *link)
{
    list_insert_between(head->prev, link, head);
}

/* Adds as the first one. The link must be in no list. */
static inline void
list_prepend(struct list *head, struct list *link)
{
    list_insert_between(head, link, head->next);
}

/* Adds before `at`, a link of a list or its head (then: as the last one). */
static inline void
list_insert_before(struct list *at, struct list *link)
{
    list_insert_between(at->prev, link, at);
}

/* Takes the link out; no effect when it is in no list. */
static inline void
list_remove(struct list *link)
{
    if (!list_is_linked(link)) {
        return;
    }
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->next = NULL;
    link->prev = NULL;
}

/* The first link, or NULL. */
static inline struct list *
list_first(const struct list *head)
{
    /* The analyser does not see that what is popped is not linked. */
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    return list_is_empty(head) ? NULL : head->next;
}

/* The last link, or NULL. */
static inline struct list *
list_last(const struct list *head)
{
    return list_is_empty(head) ? NULL : head->prev;
}

/* The link after `link` in the list of `head`, or NULL. */
static inline struct list *
list_after(const struct list *head, const struct list *link)
{
    return link->next == head ? NULL : link->next;
}

/* Takes the first link out and returns it, or NULL. */
static inline struct list *
list_pop(struct list *head)
{
    struct list *first = list_first(head);

    if (first != NULL) {
        list_remove(first);
    }
    return first;
}

/* Moves everything in `from` to the end of `to`. */
static inline void
list_splice(struct list *to, struct list *from)
{
    if (list_is_empty(from)) {
        return;
    }
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

/* Walks the links; the list must not change meanwhile. Declares `at`. */
#define list_foreach(at, head) \
    for (struct list *at = (head)->next; (at) != (head); (at) = (at)->next)

/* The same; the link at hand may be removed, but not the one after it. */
#define list_foreach_safe(at, head)                               \
    for (struct list *at = (head)->next, *at##_next = (at)->next; \
         (at) != (head); (at) = at##_next, at##_next = (at)->next)

#endif
