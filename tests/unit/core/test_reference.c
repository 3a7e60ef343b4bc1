/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine and the reference live through the same random stories and must
 * decide the same. A story that fails is made as short as it can be and told.
 *
 *     test_reference SEED     tells that one story
 */
#include "tests/unit/core/rig.h"
#include "tests/unit/core/story.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { STORIES = 6000 };

static struct story story;
static uint64_t first_seed = 1;
static uint64_t story_count = STORIES;
static uint32_t rules[32]; /* decisions that were compared, by enum rule */

/* Leaves out each act without which it still fails. */
static void
shorten(void)
{
    for (int i = STORY_ACTS - 1; i > 0; i--) {
        uint64_t before = story.without;

        story.without |= UINT64_C(1) << i;
        if (story_tell(&story)) {
            story.without = before;
        }
    }
}

static void
every_decision_is_that_of_the_reference(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < story_count; i++) {
        story.seed = first_seed + i;
        story.without = 0;
        story.telling = story_count == 1;
        if (story_tell(&story)) {
            for (int rule = 0; rule < 32; rule++) {
                rules[rule] += story.rules[rule];
            }
            continue;
        }
        story.telling = false;
        shorten();
        story.telling = true;
        (void)story_tell(&story);
        fail_msg("seed %" PRIu64 ": %s", story.seed, story.wrong);
    }
}

/* After the stories: none of the rules is there by name only. */
static void
every_rule_was_decided_often(void **state)
{
    static const enum rule often[] = {
        RULE_RETRY_PLANNED,         RULE_OVERLOADED_MARK,
        RULE_NON_RETRYABLE_REASON,  RULE_NON_RETRYABLE_CODE,
        RULE_ATTEMPTS_EXHAUSTED,    RULE_PUSHBACK_STOP,
        RULE_DEADLINE_WOULD_EXPIRE, RULE_FREE_RETRY,
        RULE_FREE_EXHAUSTED,        RULE_POISON,
        RULE_INDETERMINATE,         RULE_THROTTLED,
        RULE_BUDGET_EXHAUSTED,      RULE_RETRIES_OFF,
    };

    (void)state;
    if (story_count == 1) {
        skip();
    }
    for (size_t i = 0; i < sizeof(often) / sizeof(often[0]); i++) {
        printf("%7u %s\n", rules[often[i]], rule_name(often[i]));
        assert_true(rules[often[i]] > 20);
    }
}

/* An assertion of the core or of the rig does not know the seed. */
static int
teardown(void **state)
{
    printf("the last seed was %" PRIu64 "\n", story.seed);
    return rig_teardown(state);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_decision_is_that_of_the_reference,
                                        rig_setup, teardown),
        cmocka_unit_test(every_rule_was_decided_often),
    };

    if (argc > 1) {
        first_seed = strtoull(argv[1], NULL, 10);
        story_count = 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
