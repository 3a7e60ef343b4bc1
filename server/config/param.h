/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table params.def as data, and what is done with any parameter of it.
 * Internal to server/config.
 */
#ifndef REDIAL_SERVER_CONFIG_PARAM_H
#define REDIAL_SERVER_CONFIG_PARAM_H

#include "server/config/arena.h"
#include "server/config/config.h"
#include "server/config/spot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum param_type {
    PARAM_TYPE_U32,
    PARAM_TYPE_U64,
    PARAM_TYPE_BOOL,
    PARAM_TYPE_DURATION,
    PARAM_TYPE_BYTES,
    PARAM_TYPE_THOUSANDTHS,
    PARAM_TYPE_ENUM,
    PARAM_TYPE_CODES,
    PARAM_TYPE_NAME,
    PARAM_TYPE_PATH,
};

enum param_when {
    PARAM_WHEN_RELOAD,
    PARAM_WHEN_RESTART,
};

struct param {
    const char *field; /* member of struct config */
    const char *path;  /* "limits.jobsMax" */
    enum param_type type;
    uint64_t min;
    uint64_t max;
    uint64_t initial;
    const char *words; /* see params.def; NULL: none */
    enum param_when when;
    const char *sentence;
    size_t offset; /* in struct config */
};

enum {
    PARAM_COUNT =
#define PARAM(field, path, type, min, max, initial, words, when, sentence) 1 +
#include "server/config/params.def"
        0,
    PARAM_ENVIRONMENT_BYTES = 96,
};

extern const struct param param_table[PARAM_COUNT];

/* NULL: none has this path. */
const struct param *
param_find(const char *path);

/* "limits" of "limits.jobsMax"; 0 bytes: it has no group. */
size_t
param_group_len(const struct param *param);

/* "jobsMax" of "limits.jobsMax". */
const char *
param_leaf(const struct param *param);

/* "REDIAL_LIMITS_JOBS_MAX" for a path, of a parameter or not. */
void
param_environment(const char *path, char name[PARAM_ENVIRONMENT_BYTES]);

/* Sets all parameters to their defaults. */
void
param_set_initial(struct config *config);

/* Sets one from a document; reports what is wrong. */
void
param_read(const struct param *param, const struct spot *spot,
           struct config *config, struct config_report *report);

/* True when it was never set from a source; NAME and PATH only. */
bool
param_is_initial_text(const struct param *param, const struct config *config);

bool
param_equal(const struct param *param, const struct config *a,
            const struct config *b);

/* Appends the value as JSON. */
void
param_print(const struct param *param, const struct config *config,
            struct bytes *out);

/* Appends the default as JSON. */
void
param_print_initial(const struct param *param, struct bytes *out);

/* True for types whose JSON form is a string. */
bool
param_is_text(const struct param *param);

#endif
