/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration while it is being loaded. Each source becomes a layer: a
 * document whose parameters are set at once, so that later layers win; what has
 * structure waits in its layer until all parameters are known, because policies
 * depend on them. Internal to server/config.
 */
#ifndef REDIAL_SERVER_CONFIG_LOADER_H
#define REDIAL_SERVER_CONFIG_LOADER_H

#include "server/config/config.h"
#include "server/config/document.h"
#include "server/config/object.h"
#include "server/config/param.h"
#include "server/config/spot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct layer {
    struct document *document;
    struct spot top;
    struct fields fields; /* of ROOT */
    struct layer *next;
};

/* Where a parameter got its value; zero: it is the default. */
struct origin {
    const char *source; /* belongs to a layer */
    uint32_t line;
};

/* Where something was said that may be said once; outlives its document. */
struct place {
    const char *source;
    uint32_t line; /* 0: has none */
    const char *path;
};

/* One saying about a target: its throttle, its budget or its breaker. */
struct target_rule {
    struct target_policy policy;
    struct place place;
    struct place trial; /* of its breaker's maxHalfOpenTime; no path: none */
    size_t order;       /* of appearance */
};

struct target_rules {
    struct target_rule *at;
    size_t count;
    size_t capacity;
};

struct loader {
    const struct config_sources *sources;
    struct config_report *report;
    struct config *config; /* being built, arena included */
    struct layer *layers;  /* in the order of the sources */
    struct layer *last;
    struct origin origins[PARAM_COUNT];
    struct target_rules rules; /* of targets, from wherever they are said */
    struct place trial; /* as in target_rule, of the breaker of the top */
    struct place instance_trial; /* and of instanceBreaker */
    bool no_memory;
    bool not_found; /* a file that was named is not there */
};

/*
 * Takes over `text` (from malloc) as one more layer and sets the parameters in
 * it. What is wrong is in the report or in no_memory.
 */
void
loader_add(struct loader *loader, const char *source, bool has_lines,
           char *text, size_t len);

/* Adds the layers of files, environment and flags. */
void
loader_add_files(struct loader *loader);

void
loader_add_environment(struct loader *loader);

void
loader_add_sets(struct loader *loader);

/* The value of a variable that is not empty, or NULL. */
const char *
loader_variable(const struct loader *loader, const char *name);

/* A copy that the configuration owns; terminated. */
struct text
loader_copy(struct loader *loader, const char *text);

/* The place of a value; its path is a copy that the configuration owns. */
struct place
loader_place(struct loader *loader, const struct spot *spot);

/*
 * Reports what may be said once and was said again: "<what> (<first>)", where
 * the first place is told by path, source and line.
 */
void
loader_report_again(struct loader *loader, const struct place *again,
                    const char *found, const struct place *first,
                    const char *what);

/* Build parts of the configuration from all layers. */
void
loader_read_listeners(struct loader *loader);

void
loader_read_plugins(struct loader *loader);

void
loader_read_policies(struct loader *loader);

void
loader_read_tenants(struct loader *loader);

/* After the policies, which may hold budgets of targets. */
void
loader_read_targets(struct loader *loader);

/* Checks what lies between parameters. */
void
loader_check(struct loader *loader);

/* Warnings for a policy that is allowed but hardly meant. */
void
loader_warn_codes(struct loader *loader, const struct config_issue *place,
                  uint32_t codes);

#endif
