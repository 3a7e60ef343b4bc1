/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/help.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS_MAX 79

/* Two columns: a name and what it means. */
static void
add_row(struct text *text, const char *name, const char *meaning, size_t indent)
{
    size_t len = 2 + strlen(name);

    text_addf(text, "  %s", name);
    if (len + 2 > indent) {
        text_add(text, "\n");
        len = 0;
    }
    text_add_spaces(text, indent - len);
    text_add_wrapped(text, meaning, indent, COLUMNS_MAX);
}

/* A sentence ends in a point, or in its own question mark. */
static const char *
sentence_end(const char *words)
{
    size_t len = strlen(words);

    return len > 0 && words[len - 1] == '?' ? "" : ".";
}

void
help_add_overview(struct text *text)
{
    char number[8];

    text_add(text, "Usage: redial VERB [WORD]... [OPTION]...\n"
                   "\n"
                   "Hands jobs to a Redial gateway, follows them, asks it how "
                   "it is.\n"
                   "\n"
                   "Verbs:\n");
    for (size_t i = 0; i < verb_count; i++) {
        add_row(text, verbs[i].name, verbs[i].summary, 19);
    }
    text_add(text, "\n"
                   "redial VERB --help explains one of them.\n"
                   "\n"
                   "The gateway is looked for at --address, then at "
                   "REDIAL_ADDRESS, then at its\n"
                   "default socket for tools.\n"
                   "\n"
                   "Exit codes:\n");
    for (size_t i = 0; i < exit_meaning_count; i++) {
        (void)snprintf(number, sizeof(number), "%d",
                       (int)exit_meanings[i].code);
        add_row(text, number, exit_meanings[i].meaning, 14);
    }
}

/* "one|two" as "one two". */
static void
add_words(struct text *text, const char *list)
{
    for (; *list != '\0'; list++) {
        text_addf(text, "%c", *list == '|' ? ' ' : *list);
    }
}

static void
add_option(struct text *text, const struct option_row *row)
{
    struct text name = {.at = NULL};

    if (row->letter != 0) {
        text_addf(&name, "-%c, ", row->letter);
    } else {
        text_add(&name, "    ");
    }
    text_addf(&name, "--%s", row->name);
    if (row->kind != KIND_FLAG) {
        text_addf(&name, " %s", strlen(row->value) <= 16 ? row->value : "WORD");
    }
    add_row(text, text_string(&name), row->sentence, 30);
    if (row->kind == KIND_WORD && strlen(row->value) > 16) {
        text_clear(&name);
        add_words(&name, row->value);
        text_add_spaces(text, 30);
        text_add_wrapped(text, text_string(&name), 30, COLUMNS_MAX);
    }
    text_fini(&name);
}

static void
add_options(struct text *text, const char *title, uint64_t set)
{
    if (set == 0) {
        return;
    }
    text_addf(text, "\n%s:\n", title);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if ((set >> i & 1) != 0) {
            add_option(text, &option_rows[i]);
        }
    }
}

static void
add_examples(struct text *text, const char *examples)
{
    text_add(text, "\nExamples:\n");
    while (*examples != '\0') {
        size_t len = strcspn(examples, "\n");

        text_addf(text, "  %.*s\n", (int)len, examples);
        examples += len + 1;
    }
}

void
help_add_verb(struct text *text, const struct verb *verb)
{
    text_addf(text, "Usage: redial %s%s%s [OPTION]...\n\n%s%s\n", verb->name,
              verb->words[0] != '\0' ? " " : "", verb->words, verb->summary,
              sentence_end(verb->summary));
    if (verb->details[0] != '\0') {
        text_addf(text, "\n%s", verb->details);
    }
    add_options(text, "Options", verb->options);
    add_options(text, "Options of every verb", VERB_COMMON);
    add_examples(text, verb->examples);
}

void
help_add_group(struct text *text, const struct verb_group *group)
{
    text_addf(text, "Usage: redial %s VERB [WORD]... [OPTION]...\n\n%s.\n\n",
              group->name, group->summary);
    for (size_t i = 0; i < verb_count; i++) {
        if (verb_second_word(&verbs[i], group) != NULL) {
            add_row(text, verbs[i].name, verbs[i].summary, 19);
        }
    }
    text_addf(text, "\nredial %s VERB --help explains one of them.\n",
              group->name);
}

/* ---- Completion --------------------------------------------------------- */

static void
add_bash_options(struct text *text, uint64_t set)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if ((set >> i & 1) != 0) {
            text_addf(text, " --%s", option_rows[i].name);
        }
    }
}

/* Options whose value can be completed: files, and one of several words. */
static void
add_bash_values(struct text *text)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_rows[i];

        if (row->kind == KIND_FILE) {
            text_addf(text,
                      "    --%s)\n"
                      "        COMPREPLY=($(compgen -f -- \"$word\"))\n"
                      "        return ;;\n",
                      row->name);
        } else if (row->kind == KIND_WORD) {
            text_addf(text, "    --%s)\n        words=\"", row->name);
            add_words(text, row->value);
            text_add(text, "\"\n"
                           "        COMPREPLY=($(compgen -W \"$words\" -- "
                           "\"$word\"))\n"
                           "        return ;;\n");
        }
    }
}

static void
add_bash_verbs(struct text *text)
{
    for (size_t i = 0; i < verb_count; i++) {
        bool has_space = strchr(verbs[i].name, ' ') != NULL;
        const char *quote = has_space ? "\"" : "";

        text_addf(text, "    %s%s%s) words=\"", quote, verbs[i].name, quote);
        add_bash_options(text, verbs[i].options);
        text_add(text, "\" ;;\n");
    }
}

/* The second words of a group. */
static void
add_bash_seconds(struct text *text, const struct verb_group *group)
{
    const char *space = "";

    for (size_t i = 0; i < verb_count; i++) {
        const char *second = verb_second_word(&verbs[i], group);

        if (second != NULL) {
            text_addf(text, "%s%s", space, second);
            space = " ";
        }
    }
}

static void
add_bash_verb_names(struct text *text)
{
    text_add(text, "    local verbs=\"");
    for (size_t i = 0; i < verb_count; i++) {
        if (strchr(verbs[i].name, ' ') == NULL) {
            text_addf(text, "%s%s", i > 0 ? " " : "", verbs[i].name);
        }
    }
    for (size_t i = 0; i < verb_group_count; i++) {
        text_addf(text, " %s", verb_groups[i].name);
    }
    text_add(text, "\"\n");
}

/* The first word behind a group that is no option makes the verb whole. */
static void
add_bash_groups(struct text *text)
{
    for (size_t i = 0; i < verb_group_count; i++) {
        text_addf(text, "    if [[ $verb == %s ]]; then\n",
                  verb_groups[i].name);
        text_add(text, "        for ((i++; i < COMP_CWORD; i++)); do\n"
                       "            if [[ ${COMP_WORDS[i]} != -* ]]; then\n"
                       "                verb=\"$verb ${COMP_WORDS[i]}\"\n"
                       "                break\n"
                       "            fi\n"
                       "        done\n"
                       "    fi\n");
    }
}

static void
add_bash_words(struct text *text)
{
    text_add(text, "    elif [[ -z $verb || $verb == help ]]; then\n"
                   "        words=$verbs\n");
    for (size_t i = 0; i < verb_group_count; i++) {
        text_addf(text,
                  "    elif [[ $verb == %s ]]; then\n"
                  "        words=\"",
                  verb_groups[i].name);
        add_bash_seconds(text, &verb_groups[i]);
        text_add(text, "\"\n");
    }
    text_add(text, "    elif [[ $verb == completion ]]; then\n"
                   "        words=bash\n"
                   "    elif [[ $verb == \"policy check\" ]]; then\n"
                   "        COMPREPLY=($(compgen -f -- \"$word\"))\n"
                   "        return\n"
                   "    else\n"
                   "        words=\n"
                   "    fi\n");
}

void
help_add_bash(struct text *text)
{
    text_add(text,
             "# SPDX-License-Identifier: Apache-2.0\n"
             "# Completion of redial for bash. Made by: redial completion "
             "bash\n"
             "_redial() {\n"
             "    local word=${COMP_WORDS[COMP_CWORD]}\n"
             "    local before=${COMP_WORDS[COMP_CWORD - 1]}\n"
             "    local verb= words= i\n");
    add_bash_verb_names(text);
    text_add(text, "    COMPREPLY=()\n"
                   "    case $before in\n");
    add_bash_values(text);
    text_add(text, "    esac\n"
                   "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                   "        if [[ \" $verbs \" == *\" ${COMP_WORDS[i]} \"* ]]; "
                   "then\n"
                   "            verb=${COMP_WORDS[i]}\n"
                   "            break\n"
                   "        fi\n"
                   "    done\n");
    add_bash_groups(text);
    text_add(text, "    case $verb in\n");
    add_bash_verbs(text);
    text_add(text, "    esac\n"
                   "    if [[ $word == -* ]]; then\n"
                   "        words+=\"");
    add_bash_options(text, VERB_COMMON);
    text_add(text, "\"\n");
    add_bash_words(text);
    text_add(text, "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
                   "}\n"
                   "complete -F _redial redial\n");
}
