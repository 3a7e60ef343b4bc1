/* SPDX-License-Identifier: Apache-2.0 */
#include "server/base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct item {
    char name;
    struct list link;
};

/* The names in order. */
static const char *
spell(const struct list *head, char *buf)
{
    size_t len = 0;

    list_foreach(at, head) {
        buf[len++] = container_of(at, struct item, link)->name;
    }
    buf[len] = '\0';
    return buf;
}

static void
elements_come_in_the_order_of_append_and_prepend(void **state)
{
    struct item a = {.name = 'a'};
    struct item b = {.name = 'b'};
    struct item c = {.name = 'c'};
    struct item d = {.name = 'd'};
    struct list head;
    char buf[8];

    (void)state;
    list_init(&head);
    assert_true(list_is_empty(&head));
    assert_null(list_first(&head));
    assert_null(list_last(&head));
    list_append(&head, &b.link);
    list_append(&head, &d.link);
    list_prepend(&head, &a.link);
    list_insert_before(&d.link, &c.link);
    assert_string_equal(spell(&head, buf), "abcd");
    assert_ptr_equal(list_first(&head), &a.link);
    assert_ptr_equal(list_last(&head), &d.link);
    assert_ptr_equal(list_after(&head, &a.link), &b.link);
    assert_null(list_after(&head, &d.link));
}

static void
a_zeroed_link_is_in_no_list_and_removal_is_harmless(void **state)
{
    struct item a = {.name = 'a'};
    struct item b = {.name = 'b'};
    struct list head;
    char buf[8];

    (void)state;
    list_init(&head);
    assert_false(list_is_linked(&a.link));
    list_remove(&a.link);
    list_append(&head, &a.link);
    list_append(&head, &b.link);
    assert_true(list_is_linked(&a.link));
    list_remove(&a.link);
    list_remove(&a.link);
    assert_false(list_is_linked(&a.link));
    assert_string_equal(spell(&head, buf), "b");
    assert_ptr_equal(list_pop(&head), &b.link);
    assert_null(list_pop(&head));
}

static void
the_element_at_hand_may_be_removed_while_walking(void **state)
{
    struct item items[5] = {{'a'}, {'b'}, {'c'}, {'d'}, {'e'}};
    struct list head;
    char buf[8];

    (void)state;
    list_init(&head);
    for (size_t i = 0; i < 5; i++) {
        list_append(&head, &items[i].link);
    }
    list_foreach_safe(at, &head) {
        if (container_of(at, struct item, link)->name % 2 == 0) {
            list_remove(at);
        }
    }
    assert_string_equal(spell(&head, buf), "ace");
}

static void
splice_moves_everything_to_the_end(void **state)
{
    struct item items[4] = {{'a'}, {'b'}, {'c'}, {'d'}};
    struct list one;
    struct list two;
    char buf[8];

    (void)state;
    list_init(&one);
    list_init(&two);
    list_splice(&one, &two);
    assert_true(list_is_empty(&one));
    list_append(&one, &items[0].link);
    list_append(&two, &items[1].link);
    list_append(&two, &items[2].link);
    list_splice(&one, &two);
    assert_true(list_is_empty(&two));
    list_append(&one, &items[3].link);
    assert_string_equal(spell(&one, buf), "abcd");
    list_splice(&two, &one);
    assert_string_equal(spell(&two, buf), "abcd");
    assert_ptr_equal(list_last(&two), &items[3].link);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_come_in_the_order_of_append_and_prepend),
        cmocka_unit_test(a_zeroed_link_is_in_no_list_and_removal_is_harmless),
        cmocka_unit_test(the_element_at_hand_may_be_removed_while_walking),
        cmocka_unit_test(splice_moves_everything_to_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
