/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/spot.h"

#include <stdio.h>
#include <string.h>

/* Steps from the top; a document is not nested deeper. */
enum { STEPS_MAX = SCAN_DEPTH_MAX + 4 };

struct spot
spot_top(const struct document *document)
{
    return (struct spot){.document = document, .node = document->root};
}

struct spot
spot_member(const struct spot *parent, const char *key, const cJSON *node)
{
    return (struct spot){
        .document = parent->document,
        .parent = parent,
        .key = key,
        .node = node,
    };
}

struct spot
spot_element(const struct spot *parent, size_t index, const cJSON *node)
{
    return (struct spot){
        .document = parent->document,
        .parent = parent,
        .index = index,
        .node = node,
    };
}

uint32_t
spot_line(const struct spot *spot)
{
    for (; spot != NULL; spot = spot->parent) {
        if (spot->node != NULL) {
            return document_line(spot->document, spot->node);
        }
    }
    return 0;
}

static bool
is_plain(const char *key)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-$";

    return key[0] != '\0' && key[strspn(key, plain)] == '\0';
}

/* Appends to a terminated text; what does not fit is cut. */
static size_t
append(char *text, size_t size, size_t len, const char *more)
{
    size_t more_len = strlen(more);

    if (more_len > size - 1 - len) {
        more_len = size - 1 - len;
    }
    memcpy(text + len, more, more_len);
    text[len + more_len] = '\0';
    return len + more_len;
}

/* A key as it stands in a path; odd ones in quotes, without what could disturb
 * a terminal. */
static void
format_key(const char *key, bool first, char *text, size_t size)
{
    if (is_plain(key)) {
        (void)snprintf(text, size, "%s%.64s", first ? "" : ".", key);
        return;
    }
    (void)snprintf(text, size, "[\"%.64s\"]", key);
    for (char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f) {
            *at = '?';
        }
    }
}

void
spot_path(const struct spot *spot, char path[SPOT_PATH_BYTES])
{
    const struct spot *steps[STEPS_MAX];
    size_t count = 0;
    size_t len = 0;

    for (; spot->parent != NULL && count < STEPS_MAX; spot = spot->parent) {
        steps[count++] = spot;
    }
    path[0] = '\0';
    while (count > 0) {
        const struct spot *step = steps[--count];
        char text[96];

        if (step->key == NULL) {
            (void)snprintf(text, sizeof(text), "[%zu]", step->index);
        } else {
            format_key(step->key, len == 0, text, sizeof(text));
        }
        len = append(path, SPOT_PATH_BYTES, len, text);
    }
}

void
spot_found(const struct spot *spot, char *text, size_t size)
{
    if (spot->node == NULL) {
        (void)snprintf(text, size, "nothing");
    } else if (cJSON_IsObject(spot->node)) {
        (void)snprintf(text, size, "an object");
    } else if (cJSON_IsArray(spot->node)) {
        (void)snprintf(text, size, "an array");
    } else {
        struct text raw = document_text(spot->document, spot->node);
        bool fits = raw.len < size;
        size_t len = fits ? raw.len : size - 4;

        /* Never half a character: step back over its later bytes. */
        while (!fits && len > 0 &&
               ((unsigned char)raw.at[len] & 0xc0) == 0x80) {
            len--;
        }
        (void)snprintf(text, size, "%.*s%s", (int)len, raw.at,
                       fits ? "" : "...");
    }
}
