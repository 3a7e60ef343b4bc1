/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A place in a configuration: one step of the way from the top of a document to
 * a value. Steps live on the stack and point to the one above; a report turns
 * them into "methodConfig[0].retryPolicy" and a line. Internal to
 * server/config.
 */
#ifndef REDIAL_SERVER_CONFIG_SPOT_H
#define REDIAL_SERVER_CONFIG_SPOT_H

#include "server/config/document.h"

#include <cjson/cJSON.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SPOT_PATH_BYTES = 512 };

struct spot {
    const struct document *document;
    const struct spot *parent; /* NULL: the top */
    const char *key;           /* NULL: element of an array, or the top */
    size_t index;
    const cJSON *node; /* NULL: it is missing */
};

struct spot
spot_top(const struct document *document);

/* The member `key` of the object at `parent`; node NULL: missing. */
struct spot
spot_member(const struct spot *parent, const char *key, const cJSON *node);

struct spot
spot_element(const struct spot *parent, size_t index, const cJSON *node);

/* The line of the value, or of what it is missing in; 0: the source has none */
uint32_t
spot_line(const struct spot *spot);

/* Writes the JSON path, cut if need be, always terminated. */
void
spot_path(const struct spot *spot, char path[SPOT_PATH_BYTES]);

/*
 * Writes what is there, for people: "1sec" (a string in its quotes), 12, an
 * object, nothing. Cut to `size`, always terminated.
 */
void
spot_found(const struct spot *spot, char *text, size_t size);

#endif
