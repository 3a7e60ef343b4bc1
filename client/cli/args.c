/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/args.h"

#include "client/cli/nearest.h"
#include "client/cli/units.h"
#include "client/cli/verb.h"
#include "proto/name.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ONCE false
#define MANY true

const struct option_row option_rows[OPTION_COUNT] = {
#define OPTION(name, long, short, kind, value, min, max, often, sentence) \
    [OPTION_##                                                            \
        name] = {long, short, KIND_##kind, value, min, max, often, sentence},
#include "client/cli/option.def"
};

/* Where in argv the parser is. */
struct parser {
    struct args *args;
    int argc;
    char *const *argv;
    int at;
    bool ended; /* "--" was there */
};

static bool
fail(struct args *args, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool
fail(struct args *args, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(args->error, sizeof(args->error), format, arguments);
    va_end(arguments);
    return false;
}

/* ---- Values ------------------------------------------------------------- */

bool
args_is_word(const char *list, const char *word)
{
    size_t len = strlen(word);

    while (len > 0) {
        size_t next = strcspn(list, "|");

        if (next == len && strncmp(list, word, len) == 0) {
            return true;
        }
        if (list[next] == '\0') {
            return false;
        }
        list += next + 1;
    }
    return false;
}

static bool
check_duration(struct args *args, const struct option_row *row,
               const char *value)
{
    uint64_t ms;
    const char *problem = units_parse_duration(value, &ms);

    if (problem != NULL) {
        return fail(args,
                    "--%s: \"%s\" %s; write it like 500ms, 2s, 1.5s, 3m "
                    "or 1h",
                    row->name, value, problem);
    }
    if (ms < row->min || ms > row->max) {
        return fail(args,
                    "--%s: %s is not between %" PRIu64 " ms and %" PRIu64 " s",
                    row->name, value, row->min, row->max / 1000);
    }
    return true;
}

static bool
check_value(struct args *args, const struct option_row *row, const char *value)
{
    const char *problem;
    uint64_t number;

    switch (row->kind) {
    case KIND_FLAG:
    case KIND_TEXT:
    case KIND_FILE:
        return true;
    case KIND_NAME:
        problem = wire_name_check(WIRE_NAME_WORD, value);
        return problem == NULL ? true
                               : fail(args, "--%s: \"%.100s\" %s", row->name,
                                      value, problem);
    case KIND_PAIR:
        return strchr(value, '=') != NULL && value[0] != '='
                   ? true
                   : fail(args, "--%s: \"%s\" is not KEY=VALUE", row->name,
                          value);
    case KIND_DURATION:
        return check_duration(args, row, value);
    case KIND_NUMBER:
        return units_parse_number(value, row->min, row->max, &number)
                   ? true
                   : fail(args,
                          "--%s: \"%s\" is not a number from %" PRIu64
                          " to %" PRIu64,
                          row->name, value, row->min, row->max);
    case KIND_WORD:
        return args_is_word(row->value, value)
                   ? true
                   : fail(args, "--%s: \"%s\" is none of %s", row->name, value,
                          row->value);
    }
    return false;
}

/* ---- Options ------------------------------------------------------------ */

static bool
verb_takes(const struct args *args, enum option option)
{
    uint64_t set = args->verb != NULL ? args->verb->options | VERB_COMMON
                                      : VERB_COMMON;

    return (set >> option & 1) != 0;
}

static bool
fail_unknown(struct args *args, const char *name, size_t len)
{
    char wanted[64];
    struct nearest nearest = {.wanted = wanted};

    (void)snprintf(wanted, sizeof(wanted), "%.*s",
                   len < sizeof(wanted) ? (int)len : (int)sizeof(wanted) - 1,
                   name);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (verb_takes(args, (enum option)i)) {
            nearest_try(&nearest, option_rows[i].name);
        }
    }
    return fail(args, "%s%s has no option --%s%s%s%s",
                args->verb != NULL ? "redial " : "redial",
                args->verb != NULL ? args->verb->name : "", wanted,
                nearest.best != NULL ? "; did you mean --" : "",
                nearest.best != NULL ? nearest.best : "",
                nearest.best != NULL ? "?" : "");
}

static bool
add_item(struct args *args, enum option option, const char *value)
{
    const struct option_row *row = &option_rows[option];

    if (!row->many && args_has(args, option)) {
        return fail(args, "--%s is given twice", row->name);
    }
    if (!check_value(args, row, value)) {
        return false;
    }
    args->items[args->item_count++] = (struct args_item){option, value};
    return true;
}

/* The value of an option that stands in the next word. */
static bool
take_next(struct parser *parser, enum option option)
{
    if (parser->at == parser->argc) {
        return fail(parser->args, "--%s needs a value: --%s %s",
                    option_rows[option].name, option_rows[option].name,
                    option_rows[option].value);
    }
    return add_item(parser->args, option, parser->argv[parser->at++]);
}

static bool
take_long(struct parser *parser, const char *name)
{
    size_t len = strcspn(name, "=");

    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_rows[i];

        if (!verb_takes(parser->args, (enum option)i) ||
            strlen(row->name) != len || strncmp(row->name, name, len) != 0) {
            continue;
        }
        if (name[len] == '=' && row->kind == KIND_FLAG) {
            return fail(parser->args, "--%s takes no value", row->name);
        }
        if (name[len] == '=') {
            return add_item(parser->args, (enum option)i, name + len + 1);
        }
        if (row->kind == KIND_FLAG) {
            return add_item(parser->args, (enum option)i, "");
        }
        return take_next(parser, (enum option)i);
    }
    return fail_unknown(parser->args, name, len);
}

static enum option
find_letter(const struct args *args, char letter)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (option_rows[i].letter == letter &&
            verb_takes(args, (enum option)i)) {
            return (enum option)i;
        }
    }
    return OPTION_COUNT;
}

/* "-jv", "-t5s", "-t" and the next word. */
static bool
take_letters(struct parser *parser, const char *letters)
{
    for (; *letters != '\0'; letters++) {
        enum option option = find_letter(parser->args, *letters);

        if (option == OPTION_COUNT) {
            return fail(parser->args, "redial %s has no option -%c",
                        parser->args->verb != NULL ? parser->args->verb->name
                                                   : "",
                        *letters);
        }
        if (option_rows[option].kind != KIND_FLAG) {
            return letters[1] != '\0'
                       ? add_item(parser->args, option, letters + 1)
                       : take_next(parser, option);
        }
        if (!add_item(parser->args, option, "")) {
            return false;
        }
    }
    return true;
}

/* ---- Words -------------------------------------------------------------- */

/* What may be meant by a word that is no verb; NULL: who knows. */
static const char *
guess_verb(const struct args *args, const char *word)
{
    struct nearest nearest = {.wanted = word};

    for (size_t i = 0; i < verb_count; i++) {
        const char *second = strchr(verbs[i].name, ' ');

        if (args->group != NULL) {
            second = verb_second_word(&verbs[i], args->group);
            if (second != NULL) {
                nearest_try(&nearest, second);
            }
        } else if (second != NULL && strcmp(second + 1, word) == 0) {
            return verbs[i].name;
        } else {
            nearest_try(&nearest, verbs[i].name);
        }
    }
    for (size_t i = 0; i < verb_group_count && args->group == NULL; i++) {
        nearest_try(&nearest, verb_groups[i].name);
    }
    return nearest.best;
}

static bool
fail_verb(struct args *args, const char *word)
{
    const char *guess = guess_verb(args, word);

    return fail(args, "redial%s%s has no verb \"%.60s\"%s%s%s",
                args->group != NULL ? " " : "",
                args->group != NULL ? args->group->name : "", word,
                guess != NULL ? "; did you mean " : "",
                guess != NULL ? guess : "", guess != NULL ? "?" : "");
}

/* The second word of a verb of two. */
static bool
take_second_word(struct args *args, const char *word)
{
    for (size_t i = 0; i < verb_count; i++) {
        const char *second = verb_second_word(&verbs[i], args->group);

        if (second != NULL && strcmp(second, word) == 0) {
            args->verb = &verbs[i];
            return true;
        }
    }
    return fail_verb(args, word);
}

static bool
take_word(struct args *args, const char *word)
{
    if (args->verb != NULL) {
        args->words[args->word_count++] = word;
        return true;
    }
    if (args->group != NULL) {
        return take_second_word(args, word);
    }
    args->group = verb_find_group(word);
    if (args->group != NULL) {
        return true;
    }
    /* One of two words that came as one is none. */
    args->verb = strchr(word, ' ') == NULL ? verb_find(word) : NULL;
    return args->verb != NULL ? true : fail_verb(args, word);
}

static bool
fail_second_word(struct args *args)
{
    char choice[ARGS_ERROR_BYTES / 2] = "";

    for (size_t i = 0; i < verb_count; i++) {
        const char *second = verb_second_word(&verbs[i], args->group);
        size_t len = strlen(choice);

        if (second != NULL) {
            (void)snprintf(choice + len, sizeof(choice) - len, "%s%s",
                           len > 0 ? ", " : "", second);
        }
    }
    return fail(args, "redial %s needs one word more: %s", args->group->name,
                choice);
}

static bool
check_words(struct args *args)
{
    const struct verb *verb = args->verb;

    if (verb == NULL && args->group != NULL) {
        return fail_second_word(args);
    }
    if (verb == NULL) {
        return fail(args, "a verb is missing");
    }
    if (args->word_count < verb->words_min) {
        return fail(args, "something is missing: redial %s %s", verb->name,
                    verb->words);
    }
    if (args->word_count > verb->words_max) {
        return fail(args, "\"%.100s\" is too much: redial %s %s",
                    args->words[verb->words_max], verb->name, verb->words);
    }
    return true;
}

static bool
take_argument(struct parser *parser)
{
    const char *argument = parser->argv[parser->at++];

    if (parser->ended || argument[0] != '-' || argument[1] == '\0') {
        return take_word(parser->args, argument);
    }
    if (argument[1] != '-') {
        return take_letters(parser, argument + 1);
    }
    if (argument[2] == '\0') {
        parser->ended = true;
        return true;
    }
    return take_long(parser, argument + 2);
}

bool
args_parse(struct args *args, int argc, char *const *argv)
{
    struct parser parser = {.args = args, .argc = argc, .argv = argv, .at = 1};
    size_t room = 1;

    *args = (struct args){.verb = NULL};
    /* A letter of "-jv" is an item of its own. */
    for (int i = 1; i < argc; i++) {
        room += strlen(argv[i]) + 1;
    }
    args->items = calloc(room, sizeof(*args->items));
    args->words = calloc(room, sizeof(*args->words));
    if (args->items == NULL || args->words == NULL) {
        return fail(args, "out of memory");
    }
    while (parser.at < argc) {
        if (!take_argument(&parser)) {
            return false;
        }
    }
    return args_has(args, OPTION_HELP) || check_words(args);
}

void
args_fini(struct args *args)
{
    free(args->items);
    free(args->words);
    args->items = NULL;
    args->words = NULL;
}

/* ---- Reading ------------------------------------------------------------ */

size_t
args_count(const struct args *args, enum option option)
{
    size_t count = 0;

    for (size_t i = 0; i < args->item_count; i++) {
        count += args->items[i].option == option ? 1 : 0;
    }
    return count;
}

bool
args_has(const struct args *args, enum option option)
{
    return args_count(args, option) > 0;
}

const char *
args_nth(const struct args *args, enum option option, size_t n)
{
    for (size_t i = 0; i < args->item_count; i++) {
        if (args->items[i].option == option && n-- == 0) {
            return args->items[i].value;
        }
    }
    return NULL;
}

const char *
args_get(const struct args *args, enum option option)
{
    size_t count = args_count(args, option);

    return count > 0 ? args_nth(args, option, count - 1) : NULL;
}

uint64_t
args_number(const struct args *args, enum option option, uint64_t absent)
{
    const char *value = args_get(args, option);
    uint64_t number = absent;

    if (value == NULL) {
        return absent;
    }
    if (option_rows[option].kind == KIND_DURATION) {
        (void)units_parse_duration(value, &number);
    } else {
        (void)units_parse_number(value, 0, UINT64_MAX, &number);
    }
    return number;
}
