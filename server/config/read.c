/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/read.h"

#include "server/config/report.h"
#include "server/config/value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* "64KiB" where the size is a whole number of units. */
static void
print_size(uint64_t bytes, char text[VALUE_TEXT_BYTES])
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;

    while (unit < 4 && bytes >= 1024 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    (void)snprintf(text, VALUE_TEXT_BYTES, "%" PRIu64 "%s", bytes, units[unit]);
}

void
read_integer_range(uint64_t min, uint64_t max, char text[READ_RANGE_BYTES])
{
    if (max >= UINT32_MAX) {
        (void)snprintf(text, READ_RANGE_BYTES, "an integer from %" PRIu64, min);
        return;
    }
    (void)snprintf(text, READ_RANGE_BYTES,
                   "an integer from %" PRIu64 " to %" PRIu64, min, max);
}

void
read_duration_range(uint64_t min, uint64_t max, char text[READ_RANGE_BYTES])
{
    bool fits = min <= 1500 && max >= 1500;
    char from[VALUE_TEXT_BYTES];
    char to[VALUE_TEXT_BYTES];

    if (max >= VALUE_DURATION_MS_MAX) {
        (void)snprintf(text, READ_RANGE_BYTES,
                       "a duration %s, such as \"1.5s\"",
                       min == 0 ? "from \"0s\"" : "greater than \"0s\"");
        return;
    }
    value_duration_print(min, from);
    value_duration_print(max, to);
    (void)snprintf(text, READ_RANGE_BYTES, "a duration from \"%s\" to \"%s\"%s",
                   from, to, fits ? ", such as \"1.5s\"" : "");
}

void
read_bytes_range(uint64_t min, uint64_t max, char text[READ_RANGE_BYTES])
{
    char from[VALUE_TEXT_BYTES];
    char to[VALUE_TEXT_BYTES];

    print_size(min, from);
    print_size(max, to);
    (void)snprintf(text, READ_RANGE_BYTES,
                   "bytes from %s to %s, such as %" PRIu64 " or \"%s\"", from,
                   to, max, to);
}

void
read_thousandths_range(uint64_t min, uint64_t max, char text[READ_RANGE_BYTES])
{
    (void)snprintf(text, READ_RANGE_BYTES,
                   "a number from %g to %g with at most three decimals",
                   (double)min / 1000, (double)max / 1000);
}

void
read_words_range(const char *words, char text[READ_RANGE_BYTES])
{
    size_t len = (size_t)snprintf(text, READ_RANGE_BYTES, "one of");

    for (const char *between = " "; len < READ_RANGE_BYTES; between = ", ") {
        int word = (int)strcspn(words, "|");

        len += (size_t)snprintf(text + len, READ_RANGE_BYTES - len,
                                "%s\"%.*s\"", between, word, words);
        if (words[word] == '\0') {
            return;
        }
        words += word + 1;
    }
}

/* The string at the spot, or NULL: it is none. */
static const char *
string_at(const struct spot *spot)
{
    return spot->node != NULL && cJSON_IsString(spot->node)
               ? spot->node->valuestring
               : NULL;
}

bool
read_bool(struct config_report *report, const struct spot *spot, bool *ret)
{
    if (!cJSON_IsBool(spot->node)) {
        report_error(report, spot, "true or false");
        return false;
    }
    *ret = cJSON_IsTrue(spot->node);
    return true;
}

bool
read_integer(struct config_report *report, const struct spot *spot,
             uint64_t min, uint64_t max, uint64_t *ret)
{
    double number = spot->node == NULL ? 0 : spot->node->valuedouble;

    if (!cJSON_IsNumber(spot->node) || floor(number) != number ||
        number < (double)min || number > (double)max) {
        char range[READ_RANGE_BYTES];

        read_integer_range(min, max, range);
        report_error(report, spot, "%s", range);
        return false;
    }
    *ret = (uint64_t)number;
    return true;
}

bool
read_factor(struct config_report *report, const struct spot *spot, double *ret)
{
    if (!cJSON_IsNumber(spot->node) || !(spot->node->valuedouble > 0) ||
        !isfinite(spot->node->valuedouble)) {
        report_error(report, spot, "a number greater than 0");
        return false;
    }
    *ret = spot->node->valuedouble;
    return true;
}

bool
read_thousandths(struct config_report *report, const struct spot *spot,
                 uint64_t min, uint64_t max, uint64_t *ret)
{
    double number = spot->node == NULL ? 0 : spot->node->valuedouble * 1000;

    if (!cJSON_IsNumber(spot->node) || number < (double)min ||
        number > (double)max || fabs(number - round(number)) > 1e-6) {
        char range[READ_RANGE_BYTES];

        read_thousandths_range(min, max, range);
        report_error(report, spot, "%s", range);
        return false;
    }
    *ret = (uint64_t)round(number);
    return true;
}

bool
read_duration(struct config_report *report, const struct spot *spot,
              uint64_t min, uint64_t max, uint64_t *ret)
{
    const char *text = string_at(spot);
    struct duration duration;

    if (text == NULL || !value_duration_parse(text, &duration) ||
        duration.negative || duration.ms < min || duration.ms > max) {
        char range[READ_RANGE_BYTES];

        read_duration_range(min, max, range);
        report_error(report, spot, "%s", range);
        return false;
    }
    *ret = duration.ms;
    return true;
}

bool
read_bytes(struct config_report *report, const struct spot *spot, uint64_t min,
           uint64_t max, uint64_t *ret)
{
    const char *text = string_at(spot);
    double number = spot->node == NULL ? 0 : spot->node->valuedouble;
    uint64_t bytes = 0;
    bool good = false;

    if (text != NULL) {
        good = value_bytes_parse(text, &bytes);
    } else if (cJSON_IsNumber(spot->node) && floor(number) == number &&
               number >= 0 && number <= (double)max) {
        bytes = (uint64_t)number;
        good = true;
    }
    if (!good || bytes < min || bytes > max) {
        char range[READ_RANGE_BYTES];

        read_bytes_range(min, max, range);
        report_error(report, spot, "%s", range);
        return false;
    }
    *ret = bytes;
    return true;
}

bool
read_word(struct config_report *report, const struct spot *spot,
          const char *words, uint32_t *ret)
{
    const char *text = string_at(spot);

    if (text == NULL || !value_word_parse(words, text, ret)) {
        char range[READ_RANGE_BYTES];

        read_words_range(words, range);
        report_error(report, spot, "%s", range);
        return false;
    }
    return true;
}

/* The string at the spot, or NULL: it is none, or too short or too long. */
static const char *
bounded_string_at(const struct spot *spot, uint64_t min, uint64_t max)
{
    const char *text = string_at(spot);
    size_t len = text == NULL ? 0 : strlen(text);

    return len >= min && len <= max ? text : NULL;
}

bool
read_name(struct config_report *report, const struct spot *spot, uint64_t min,
          uint64_t max, const char **ret)
{
    const char *text = bounded_string_at(spot, min, max);

    if (text == NULL || (text[0] != '\0' &&
                         (!value_is_word(text) || strchr(text, '/') != NULL))) {
        report_error(report, spot,
                     "%" PRIu64 " to %" PRIu64
                     " printable ASCII characters without space and \"/\"",
                     min, max);
        return false;
    }
    *ret = text;
    return true;
}

bool
read_token(struct config_report *report, const struct spot *spot, uint64_t min,
           uint64_t max, const char **ret)
{
    const char *text = bounded_string_at(spot, min, max);

    if (text == NULL || (text[0] != '\0' && !value_is_word(text))) {
        report_error(report, spot,
                     "%" PRIu64 " to %" PRIu64
                     " printable ASCII characters without space",
                     min, max);
        return false;
    }
    *ret = text;
    return true;
}

bool
read_reason(struct config_report *report, const struct spot *spot,
            const char **ret)
{
    return read_token(report, spot, 1, VALUE_NAME_BYTES_MAX, ret);
}

bool
read_path(struct config_report *report, const struct spot *spot, uint64_t min,
          uint64_t max, const char **ret)
{
    const char *text = bounded_string_at(spot, min, max);

    if (text == NULL || text[0] != '/') {
        report_error(report, spot,
                     "an absolute path of at most %" PRIu64 " bytes", max);
        return false;
    }
    *ret = text;
    return true;
}

bool
read_text(struct config_report *report, const struct spot *spot, uint64_t min,
          uint64_t max, const char **ret)
{
    const char *text = bounded_string_at(spot, min, max);

    if (text == NULL) {
        report_error(report, spot, "text of %" PRIu64 " to %" PRIu64 " bytes",
                     min, max);
        return false;
    }
    *ret = text;
    return true;
}

static bool
read_code(struct config_report *report, const struct spot *spot,
          enum redial_status *ret)
{
    const cJSON *node = spot->node;
    enum redial_status code = REDIAL_OK;
    bool good = false;

    if (cJSON_IsString(node)) {
        good = value_code_parse(node->valuestring, &code);
    } else if (cJSON_IsNumber(node) && node->valuedouble >= 0 &&
               node->valuedouble < REDIAL_STATUS_COUNT &&
               floor(node->valuedouble) == node->valuedouble) {
        code = (enum redial_status)(int)node->valuedouble;
        good = true;
    }
    if (!good || code == REDIAL_OK) {
        report_error(report, spot,
                     "a status code other than OK: a name such as "
                     "\"UNAVAILABLE\", or a number from 1 to 16");
        return false;
    }
    *ret = code;
    return true;
}

bool
read_codes(struct config_report *report, const struct spot *spot, uint32_t *ret)
{
    const cJSON *node;
    uint32_t mask = 0;
    size_t index = 0;
    bool good = true;

    if (!cJSON_IsArray(spot->node) || spot->node->child == NULL) {
        report_error(report, spot, "an array of at least one status code");
        return false;
    }
    cJSON_ArrayForEach(node, spot->node)
    {
        struct spot element = spot_element(spot, index++, node);
        enum redial_status code;

        if (read_code(report, &element, &code)) {
            mask |= 1u << code;
        } else {
            good = false;
        }
    }
    if (good) {
        *ret = mask;
    }
    return good;
}
