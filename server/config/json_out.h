/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing JSON with two spaces of indentation. Everything is appended to a
 * struct bytes, which remembers when something did not fit. For
 * server/config, and for server/replay, whose report it writes as well.
 */
#ifndef REDIAL_SERVER_CONFIG_JSON_OUT_H
#define REDIAL_SERVER_CONFIG_JSON_OUT_H

#include "server/base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_out {
    struct bytes *out;
    unsigned depth;
    bool empty; /* nothing written yet in the innermost brackets */
};

/* ---- Structure. `key` is NULL in arrays and at the top ------------------- */

void
json_open(struct json_out *json, const char *key, char bracket);

void
json_close(struct json_out *json, char bracket);

/* Begins a value, whose text the caller appends next to json->out. */
void
json_key(struct json_out *json, const char *key);

void
json_string(struct json_out *json, const char *key, const char *text);

void
json_u64(struct json_out *json, const char *key, uint64_t number);

void
json_bool(struct json_out *json, const char *key, bool value);

void
json_duration(struct json_out *json, const char *key, uint64_t ms);

/* Valid JSON text, laid out anew: only the space between words changes. */
void
json_text(struct json_out *json, const char *key, const char *text, size_t len);

/* ---- Single texts ---------------------------------------------------------
 */

void
json_text_raw(struct bytes *out, const char *text, size_t len);

/* In quotes, with what must be escaped escaped. */
void
json_text_string(struct bytes *out, const char *text, size_t len);

void
json_text_u64(struct bytes *out, uint64_t number);

void
json_text_bool(struct bytes *out, bool value);

/* ["UNAVAILABLE", "ABORTED"] */
void
json_text_codes(struct bytes *out, uint32_t mask);

#endif
