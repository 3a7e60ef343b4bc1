/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/script.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES_MAX = 1 << 20, ROWS_MAX = 64, STATEMENTS_MAX = 256 };

static const char *const verdict_names[] = {
    [COVERED] = "covered",
    [NOT_APPLICABLE] = "not applicable",
    [DIFFERENT] = "deliberately different",
};

const char *
verdict_name(enum verdict verdict)
{
    return verdict_names[verdict];
}

__attribute__((format(printf, 3, 4), noreturn)) static void
die(const char *path, int line, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)fprintf(stderr, "%s:%d: ", path, line);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    exit(2);
}

static void *
take_memory(size_t count, size_t size)
{
    void *memory = calloc(count, size);

    if (memory == NULL) {
        die("memory", 0, "there is none");
    }
    return memory;
}

char *
script_slurp(const char *path)
{
    FILE *file = fopen(path, "r");

    if (file == NULL) {
        die(path, 0, "cannot be opened");
    }
    char *text = take_memory(1, FILE_BYTES_MAX + 1);
    size_t len = fread(text, 1, FILE_BYTES_MAX, file);

    (void)fclose(file);
    if (len == FILE_BYTES_MAX) {
        die(path, 0, "is too long");
    }
    return text;
}

/* ---- Lines ------------------------------------------------------------- */

struct reader {
    struct section *section;
    char *next;
    int line; /* of `next` */
};

struct line {
    char *text;
    int number;
    bool indented; /* a statement; else a heading */
};

static size_t
indent_of(const char *text)
{
    return strspn(text, " ");
}

/* Joins the lines that are indented by eight or more to the one before. */
static void
join_following(struct reader *reader, char *end)
{
    char *to = end;

    while (reader->next != NULL && indent_of(reader->next) >= 8) {
        char *from = reader->next + indent_of(reader->next);
        size_t len = strcspn(from, "\n");
        bool more = from[len] == '\n';

        reader->next = more ? from + len + 1 : NULL;
        reader->line++;
        *to++ = ' ';
        memmove(to, from, len);
        to += len;
    }
    *to = '\0';
}

static bool
next_line(struct reader *reader, struct line *ret)
{
    while (reader->next != NULL && *reader->next != '\0') {
        char *at = reader->next;
        size_t len = strcspn(at, "\n");
        bool more = at[len] == '\n';

        *ret = (struct line){
            .text = at + indent_of(at),
            .number = reader->line,
            .indented = *at == ' ',
        };
        reader->next = more ? at + len + 1 : NULL;
        reader->line++;
        at[len] = '\0';
        if (*ret->text == '#' || *ret->text == '\0') {
            continue;
        }
        join_following(reader, at + len);
        return true;
    }
    return false;
}

/* Cuts the first word off and returns it; *text is the rest. */
static char *
take_word(char **text)
{
    char *word = *text + indent_of(*text);
    size_t len = strcspn(word, " ");

    *text = word + len;
    if (**text == ' ') {
        *(*text)++ = '\0';
    }
    *text += indent_of(*text);
    return word;
}

/* ---- Headings ---------------------------------------------------------- */

/* The text behind "words"; NULL when it begins in another way. */
static char *
behind(char *text, const char *words)
{
    size_t len = strlen(words);

    return strncmp(text, words, len) == 0 ? text + len : NULL;
}

static void
read_verdict(struct reader *reader, struct row *row, struct line *line,
             char *text)
{
    char *why;

    if (strcmp(text, "covered") == 0) {
        row->verdict = COVERED;
        return;
    }
    if ((why = behind(text, "not applicable: ")) != NULL) {
        row->verdict = NOT_APPLICABLE;
    } else if ((why = behind(text, "different: ")) != NULL) {
        row->verdict = DIFFERENT;
    } else {
        die(reader->section->path, line->number, "unknown verdict: %s", text);
    }
    row->why = why;
}

static void
read_heading(struct reader *reader, struct line *line)
{
    struct section *section = reader->section;
    struct row *row = section->count == 0 ? NULL
                                          : &section->rows[section->count - 1];
    char *rest = line->text;
    const char *word = take_word(&rest);

    if (strcmp(word, "section") == 0) {
        section->id = take_word(&rest);
        section->title = rest;
    } else if (strcmp(word, "config") == 0) {
        if (section->config_count == SCRIPT_CONFIGS_MAX) {
            die(section->path, line->number, "too many configurations");
        }
        const char *name = take_word(&rest);

        section->configs[section->config_count++] = (struct script_config){
            .name = name, .json = rest};
    } else if (strcmp(word, "row") == 0) {
        if (section->count == ROWS_MAX) {
            die(section->path, line->number, "too many rows");
        }
        row = &section->rows[section->count++];
        row->line = line->number;
        row->id = take_word(&rest);
        row->title = rest;
        row->verdict = VERDICTS;
        row->statements = take_memory(STATEMENTS_MAX, sizeof(struct statement));
    } else if (row != NULL && strcmp(word, "source") == 0) {
        row->source = rest;
    } else if (row != NULL && strcmp(word, "verdict") == 0) {
        read_verdict(reader, row, line, rest);
    } else if (row != NULL && strcmp(word, "sockets") == 0) {
        row->sockets = true;
        row->own = strcmp(rest, "own") == 0;
    } else {
        die(section->path, line->number, "unknown heading: %s", word);
    }
}

/* ---- Statements -------------------------------------------------------- */

/* Words end at spaces; JSON, which begins with a brace, at the line's end. */
static void
read_statement(struct reader *reader, struct line *line)
{
    struct section *section = reader->section;

    if (section->count == 0) {
        die(section->path, line->number, "a statement outside a row");
    }
    struct row *row = &section->rows[section->count - 1];

    if (row->count == STATEMENTS_MAX) {
        die(section->path, line->number, "too many statements");
    }
    char *rest = line->text;

    if (strcmp(rest, "through sockets") == 0) {
        row->through = row->count;
        return;
    }
    struct statement *statement = &row->statements[row->count++];

    statement->line = line->number;
    while (*rest != '\0') {
        if (statement->count == SCRIPT_WORDS_MAX) {
            die(section->path, line->number, "too many words");
        }
        if (*rest == '{') {
            statement->words[statement->count++] = rest;
            return;
        }
        statement->words[statement->count++] = take_word(&rest);
    }
}

static void
check_row(const struct section *section, const struct row *row)
{
    if (row->source == NULL || row->source[0] == '\0') {
        die(section->path, row->line, "%s has no source", row->id);
    }
    if (row->verdict == VERDICTS) {
        die(section->path, row->line, "%s has no verdict", row->id);
    }
    if (row->verdict == NOT_APPLICABLE && row->count > 0) {
        die(section->path, row->line, "%s does not apply but has a script",
            row->id);
    }
    if (row->own != (row->through > 0)) {
        die(section->path, row->line,
            "%s: \"sockets own\" goes with "
            "\"through sockets\"",
            row->id);
    }
    if (row->verdict != NOT_APPLICABLE && row->count == 0) {
        die(section->path, row->line, "%s has no script", row->id);
    }
}

void
section_read(const char *path, struct section *ret_section)
{
    struct reader reader = {.section = ret_section, .line = 1};
    struct line line;

    *ret_section = (struct section){
        .path = path,
        .rows = take_memory(ROWS_MAX, sizeof(struct row)),
        .text = script_slurp(path),
    };
    reader.next = ret_section->text;
    while (next_line(&reader, &line)) {
        if (line.indented) {
            read_statement(&reader, &line);
        } else {
            read_heading(&reader, &line);
        }
    }
    if (ret_section->id == NULL) {
        die(path, 1, "does not say which section it is");
    }
    for (size_t i = 0; i < ret_section->count; i++) {
        check_row(ret_section, &ret_section->rows[i]);
    }
}

void
section_free(struct section *section)
{
    for (size_t i = 0; i < section->count; i++) {
        free(section->rows[i].statements);
    }
    free(section->rows);
    free(section->text);
}
