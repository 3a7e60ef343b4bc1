/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/json_out.h"

#include "server/config/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void
break_line(struct json_out *json)
{
    (void)bytes_append_byte(json->out, '\n');
    for (unsigned i = 0; i < json->depth; i++) {
        (void)bytes_append(json->out, "  ", 2);
    }
}

void
json_key(struct json_out *json, const char *key)
{
    if (!json->empty) {
        (void)bytes_append_byte(json->out, ',');
    }
    if (json->depth > 0) {
        break_line(json);
    }
    json->empty = false;
    if (key != NULL) {
        json_text_string(json->out, key, strlen(key));
        (void)bytes_append(json->out, ": ", 2);
    }
}

void
json_open(struct json_out *json, const char *key, char bracket)
{
    json_key(json, key);
    (void)bytes_append_byte(json->out, (uint8_t)bracket);
    json->depth++;
    json->empty = true;
}

void
json_close(struct json_out *json, char bracket)
{
    json->depth--;
    if (!json->empty) {
        break_line(json);
    }
    (void)bytes_append_byte(json->out, (uint8_t)bracket);
    json->empty = false;
}

void
json_string(struct json_out *json, const char *key, const char *text)
{
    json_key(json, key);
    json_text_string(json->out, text, strlen(text));
}

void
json_u64(struct json_out *json, const char *key, uint64_t number)
{
    json_key(json, key);
    json_text_u64(json->out, number);
}

void
json_bool(struct json_out *json, const char *key, bool value)
{
    json_key(json, key);
    json_text_bool(json->out, value);
}

void
json_duration(struct json_out *json, const char *key, uint64_t ms)
{
    char text[VALUE_TEXT_BYTES];

    value_duration_print(ms, text);
    json_string(json, key, text);
}

/* The length of the word (string, number, literal) at the start. */
static size_t
word_length(const char *text, size_t len)
{
    size_t at = 1;

    if (text[0] != '"') {
        while (at < len && strchr(" \t\r\n,:]}", text[at]) == NULL) {
            at++;
        }
        return at;
    }
    while (at < len && text[at] != '"') {
        at += text[at] == '\\' ? 2 : 1;
    }
    return at + 1;
}

void
json_text(struct json_out *json, const char *key, const char *text, size_t len)
{
    bool after_key = true; /* the next value stands behind its key */

    json_key(json, key);
    for (size_t at = 0; at < len; at++) {
        char c = text[at];

        if (strchr(" \t\r\n,", c) != NULL) {
            continue;
        }
        if (c == ':') {
            (void)bytes_append(json->out, ": ", 2);
            after_key = true;
            continue;
        }
        if (c == '}' || c == ']') {
            json_close(json, c);
            continue;
        }
        if (!after_key) {
            json_key(json, NULL);
        }
        after_key = false;
        if (c == '{' || c == '[') {
            (void)bytes_append_byte(json->out, (uint8_t)c);
            json->depth++;
            json->empty = true;
            continue;
        }
        size_t word = word_length(text + at, len - at);

        json_text_raw(json->out, text + at, word);
        at += word - 1;
    }
}

void
json_text_raw(struct bytes *out, const char *text, size_t len)
{
    (void)bytes_append(out, text, len);
}

void
json_text_string(struct bytes *out, const char *text, size_t len)
{
    (void)bytes_append_byte(out, '"');
    for (size_t i = 0; i < len; i++) {
        char escape[8];

        if (text[i] == '"' || text[i] == '\\') {
            (void)snprintf(escape, sizeof(escape), "\\%c", text[i]);
        } else if ((unsigned char)text[i] < 0x20) {
            (void)snprintf(escape, sizeof(escape), "\\u%04x",
                           (unsigned)(unsigned char)text[i]);
        } else {
            (void)bytes_append_byte(out, (uint8_t)text[i]);
            continue;
        }
        (void)bytes_append(out, escape, strlen(escape));
    }
    (void)bytes_append_byte(out, '"');
}

void
json_text_u64(struct bytes *out, uint64_t number)
{
    char text[VALUE_TEXT_BYTES];

    (void)snprintf(text, sizeof(text), "%" PRIu64, number);
    (void)bytes_append(out, text, strlen(text));
}

void
json_text_bool(struct bytes *out, bool value)
{
    const char *text = value ? "true" : "false";

    (void)bytes_append(out, text, strlen(text));
}

void
json_text_codes(struct bytes *out, uint32_t mask)
{
    const char *between = "";

    (void)bytes_append_byte(out, '[');
    for (unsigned code = 0; code < REDIAL_STATUS_COUNT; code++) {
        if ((mask & (1u << code)) == 0) {
            continue;
        }
        const char *name = value_code_name((enum redial_status)code);

        (void)bytes_append(out, between, strlen(between));
        json_text_string(out, name, strlen(name));
        between = ", ";
    }
    (void)bytes_append_byte(out, ']');
}
