/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a section of rows; README.md describes the form. Whatever is wrong
 * with a file ends the program with the place and a sentence.
 */
#ifndef REDIAL_TESTS_CONFORMANCE_SCRIPT_H
#define REDIAL_TESTS_CONFORMANCE_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

enum { SCRIPT_WORDS_MAX = 64, SCRIPT_CONFIGS_MAX = 16 };

enum verdict { COVERED, NOT_APPLICABLE, DIFFERENT, VERDICTS };

struct statement {
    int line;
    int count;
    const char *words[SCRIPT_WORDS_MAX]; /* the first is the verb */
};

struct row {
    const char *id;
    const char *title;
    const char *source;
    enum verdict verdict;
    const char *why; /* of the last two verdicts; else NULL */
    bool sockets;    /* runs a second time, through real sockets, */
    bool own;        /* with a script of its own, */
    size_t through;  /* which begins with this statement */
    int line;
    struct statement *statements;
    size_t count;
};

/* A configuration with a name, for the statement `policy`. */
struct script_config {
    const char *name;
    const char *json;
};

struct section {
    const char *path;
    const char *id; /* "C4" */
    const char *title;
    struct row *rows;
    size_t count;
    struct script_config configs[SCRIPT_CONFIGS_MAX];
    size_t config_count;
    char *text; /* owns all of it */
};

void
section_read(const char *path, struct section *ret_section);

void
section_free(struct section *section);

/* The whole file, terminated; the caller frees it. */
char *
script_slurp(const char *path);

const char *
verdict_name(enum verdict verdict);

#endif
