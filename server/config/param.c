/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/param.h"

#include "server/base/check.h"
#include "server/config/json_out.h"
#include "server/config/read.h"
#include "server/config/value.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

const struct param param_table[PARAM_COUNT] = {
#define PARAM(field_, path_, type_, min_, max_, initial_, words_, when_, text) \
    {                                                                          \
        .field = #field_,                                                      \
        .path = path_,                                                         \
        .type = PARAM_TYPE_##type_,                                            \
        .min = min_,                                                           \
        .max = max_,                                                           \
        .initial = initial_,                                                   \
        .words = words_,                                                       \
        .when = PARAM_WHEN_##when_,                                            \
        .sentence = text,                                                      \
        .offset = offsetof(struct config, field_),                             \
    },
#include "server/config/params.def"
};

const struct param *
param_find(const char *path)
{
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        if (strcmp(param_table[i].path, path) == 0) {
            return &param_table[i];
        }
    }
    return NULL;
}

size_t
param_group_len(const struct param *param)
{
    const char *dot = strchr(param->path, '.');

    return dot == NULL ? 0 : (size_t)(dot - param->path);
}

const char *
param_leaf(const struct param *param)
{
    const char *dot = strchr(param->path, '.');

    return dot == NULL ? param->path : dot + 1;
}

void
param_environment(const char *path, char name[PARAM_ENVIRONMENT_BYTES])
{
    size_t len = (size_t)snprintf(name, PARAM_ENVIRONMENT_BYTES, "REDIAL_");

    for (; *path != '\0' && len < PARAM_ENVIRONMENT_BYTES - 2; path++) {
        if (isupper((unsigned char)*path)) {
            name[len++] = '_';
        }
        name[len++] = *path == '.' ? '_' : (char)toupper((unsigned char)*path);
    }
    name[len] = '\0';
}

static void *
value_of(const struct param *param, struct config *config)
{
    return (char *)config + param->offset;
}

static const void *
value_of_const(const struct param *param, const struct config *config)
{
    return (const char *)config + param->offset;
}

/* Numbers of any type; not NAME and PATH. */
static void
set_number(const struct param *param, struct config *config, uint64_t number)
{
    void *value = value_of(param, config);

    redial_assert(number >= param->min &&
                  (number <= param->max || param->type == PARAM_TYPE_CODES));
    switch (param->type) {
    case PARAM_TYPE_U32:
    case PARAM_TYPE_THOUSANDTHS:
    case PARAM_TYPE_ENUM:
    case PARAM_TYPE_CODES:
        *(uint32_t *)value = (uint32_t)number;
        return;
    case PARAM_TYPE_U64:
    case PARAM_TYPE_DURATION:
    case PARAM_TYPE_BYTES:
        *(uint64_t *)value = number;
        return;
    case PARAM_TYPE_BOOL:
        *(bool *)value = number != 0;
        return;
    case PARAM_TYPE_NAME:
    case PARAM_TYPE_PATH:
        break;
    }
    redial_unreachable();
}

static uint64_t
get_number(const struct param *param, const struct config *config)
{
    const void *value = value_of_const(param, config);

    switch (param->type) {
    case PARAM_TYPE_U32:
    case PARAM_TYPE_THOUSANDTHS:
    case PARAM_TYPE_ENUM:
    case PARAM_TYPE_CODES:
        return *(const uint32_t *)value;
    case PARAM_TYPE_U64:
    case PARAM_TYPE_DURATION:
    case PARAM_TYPE_BYTES:
        return *(const uint64_t *)value;
    case PARAM_TYPE_BOOL:
        return *(const bool *)value;
    case PARAM_TYPE_NAME:
    case PARAM_TYPE_PATH:
        break;
    }
    redial_unreachable();
}

static bool
is_string(const struct param *param)
{
    return param->type == PARAM_TYPE_NAME || param->type == PARAM_TYPE_PATH;
}

static const char *
get_text(const struct param *param, const struct config *config)
{
    return *(const char *const *)value_of_const(param, config);
}

void
param_set_initial(struct config *config)
{
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        const struct param *param = &param_table[i];

        if (is_string(param)) {
            *(const char **)value_of(param, config) = param->words;
        } else {
            set_number(param, config, param->initial);
        }
    }
}

static bool
read_number_of(const struct param *param, const struct spot *spot,
               struct config_report *report, uint64_t *ret)
{
    uint32_t word = 0;
    bool flag = false;
    bool good = false;

    switch (param->type) {
    case PARAM_TYPE_U32:
    case PARAM_TYPE_U64:
        return read_integer(report, spot, param->min, param->max, ret);
    case PARAM_TYPE_DURATION:
        return read_duration(report, spot, param->min, param->max, ret);
    case PARAM_TYPE_BYTES:
        return read_bytes(report, spot, param->min, param->max, ret);
    case PARAM_TYPE_THOUSANDTHS:
        return read_thousandths(report, spot, param->min, param->max, ret);
    case PARAM_TYPE_BOOL:
        good = read_bool(report, spot, &flag);
        *ret = good ? flag : *ret;
        return good;
    case PARAM_TYPE_ENUM:
        good = read_word(report, spot, param->words, &word);
        *ret = good ? word : *ret;
        return good;
    case PARAM_TYPE_CODES:
        good = read_codes(report, spot, &word);
        *ret = good ? word : *ret;
        return good;
    case PARAM_TYPE_NAME:
    case PARAM_TYPE_PATH:
        break;
    }
    redial_unreachable();
}

void
param_read(const struct param *param, const struct spot *spot,
           struct config *config, struct config_report *report)
{
    const char *text = NULL;
    uint64_t number = 0;

    if (is_string(param)) {
        if (param->type == PARAM_TYPE_NAME
                ? read_name(report, spot, param->min, param->max, &text)
                : read_path(report, spot, param->min, param->max, &text)) {
            *(const char **)value_of(param, config) = config_arena_text(
                config->arena, text, strlen(text));
        }
    } else if (read_number_of(param, spot, report, &number)) {
        set_number(param, config, number);
    }
}

bool
param_is_initial_text(const struct param *param, const struct config *config)
{
    return get_text(param, config) == param->words;
}

bool
param_equal(const struct param *param, const struct config *a,
            const struct config *b)
{
    if (is_string(param)) {
        return strcmp(get_text(param, a), get_text(param, b)) == 0;
    }
    return get_number(param, a) == get_number(param, b);
}

static void
print_number(const struct param *param, uint64_t number, struct bytes *out)
{
    char text[VALUE_TEXT_BYTES];
    const char *word;
    size_t len;

    switch (param->type) {
    case PARAM_TYPE_U32:
    case PARAM_TYPE_U64:
    case PARAM_TYPE_BYTES:
        json_text_u64(out, number);
        return;
    case PARAM_TYPE_THOUSANDTHS:
        value_number_print((double)number / 1000, text);
        json_text_raw(out, text, strlen(text));
        return;
    case PARAM_TYPE_BOOL:
        json_text_bool(out, number != 0);
        return;
    case PARAM_TYPE_DURATION:
        value_duration_print(number, text);
        json_text_string(out, text, strlen(text));
        return;
    case PARAM_TYPE_ENUM:
        word = value_word(param->words, (uint32_t)number, &len);
        json_text_string(out, word, len);
        return;
    case PARAM_TYPE_CODES:
        json_text_codes(out, (uint32_t)number);
        return;
    case PARAM_TYPE_NAME:
    case PARAM_TYPE_PATH:
        break;
    }
    redial_unreachable();
}

void
param_print(const struct param *param, const struct config *config,
            struct bytes *out)
{
    if (is_string(param)) {
        const char *text = get_text(param, config);

        json_text_string(out, text, strlen(text));
        return;
    }
    print_number(param, get_number(param, config), out);
}

void
param_print_initial(const struct param *param, struct bytes *out)
{
    if (is_string(param)) {
        json_text_string(out, param->words, strlen(param->words));
        return;
    }
    print_number(param, param->initial, out);
}

bool
param_is_text(const struct param *param)
{
    return is_string(param) || param->type == PARAM_TYPE_DURATION ||
           param->type == PARAM_TYPE_ENUM;
}
