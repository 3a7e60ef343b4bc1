/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line, taken apart by the tables of options and verbs. Pure.
 *
 * GNU's habits: options and words in any order, --name=value and --name value,
 * short flags in one (-jv), short options with the value behind them (-t5s), --
 * ends the options. Values are checked here, by the kind of their option.
 */
#ifndef REDIAL_CLIENT_CLI_ARGS_H
#define REDIAL_CLIENT_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option {
#define OPTION(name, long, short, kind, value, min, max, often, sentence) \
    OPTION_##name,
#include "client/cli/option.def"
    OPTION_COUNT,
};

/* As a member of a set of options. */
#define OPTION_BIT(name) (UINT64_C(1) << OPTION_##name)

_Static_assert(OPTION_COUNT <= 64, "a set of options is a uint64_t");

enum option_kind {
    KIND_FLAG,
    KIND_TEXT,
    KIND_NAME,
    KIND_FILE,
    KIND_PAIR,
    KIND_DURATION,
    KIND_NUMBER,
    KIND_WORD,
};

struct option_row {
    const char *name;
    char letter; /* or 0 */
    enum option_kind kind;
    const char *value;
    uint64_t min;
    uint64_t max;
    bool many;
    const char *sentence;
};

extern const struct option_row option_rows[OPTION_COUNT];

struct verb; /* verb.h */
struct verb_group;

struct args_item {
    enum option option;
    const char *value; /* "" for flags */
};

#define ARGS_ERROR_BYTES 400

struct args {
    const struct verb *verb;        /* NULL: none was given */
    const struct verb_group *group; /* of a verb of two words, or NULL */
    struct args_item *items;        /* in the order of the command line */
    size_t item_count;
    const char **words; /* what is neither verb nor option */
    size_t word_count;
    char error[ARGS_ERROR_BYTES]; /* what is wrong, and what may be meant */
};

/*
 * Takes argv apart; the strings are used, not copied. False: args->error says
 * what is wrong; verb, items and words are what was understood until then. With
 * --help nothing more is checked. args_fini() in either case.
 */
bool
args_parse(struct args *args, int argc, char *const *argv);

void
args_fini(struct args *args);

bool
args_has(const struct args *args, enum option option);

size_t
args_count(const struct args *args, enum option option);

/* The n-th value of an option, from 0; NULL: there is none. */
const char *
args_nth(const struct args *args, enum option option, size_t n);

/* The last value of an option, or NULL. */
const char *
args_get(const struct args *args, enum option option);

/* The number of a NUMBER, the ms of a DURATION; `absent` if not given. */
uint64_t
args_number(const struct args *args, enum option option, uint64_t absent);

/* Is it one of the words of a list, "one|two"? */
bool
args_is_word(const char *list, const char *word);

#endif
