/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define S_MS UINT64_C(1000)
#define M_MS (60 * S_MS)
#define H_MS (60 * M_MS)
#define D_MS (24 * H_MS)

#define DIGITS_MAX   12 /* before the point */
#define FRACTION_MAX 9  /* behind it */

struct unit {
    const char *name;
    uint64_t ms;
};

/* Longer names first where one begins with another. */
static const struct unit units[] = {
    {"ms", 1}, {"s", S_MS}, {"m", M_MS}, {"h", H_MS}, {"d", D_MS},
};

static const struct unit *
find_unit(const char *string)
{
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strncmp(string, units[i].name, strlen(units[i].name)) == 0) {
            return &units[i];
        }
    }
    return NULL;
}

/* Up to `max` digits; moves *string behind them. Returns how many. */
static size_t
take_digits(const char **string, size_t max, uint64_t *ret_number)
{
    size_t count = 0;

    *ret_number = 0;
    while (**string >= '0' && **string <= '9' && count < max) {
        *ret_number = *ret_number * 10 + (uint64_t)(**string - '0');
        (*string)++;
        count++;
    }
    return count;
}

/* One number and its unit, "1.5s". */
static const char *
take_part(const char **string, uint64_t *ret_ms)
{
    uint64_t whole;
    uint64_t fraction = 0;
    uint64_t scale = 1;
    size_t fraction_digits = 0;
    const struct unit *unit;

    if (take_digits(string, DIGITS_MAX, &whole) == 0) {
        return "is not a duration";
    }
    if (**string == '.') {
        (*string)++;
        fraction_digits = take_digits(string, FRACTION_MAX, &fraction);
        if (fraction_digits == 0) {
            return "is not a duration";
        }
    }
    for (size_t i = 0; i < fraction_digits; i++) {
        scale *= 10;
    }
    if (**string >= '0' && **string <= '9') {
        return "has too many digits";
    }
    unit = find_unit(*string);
    if (unit == NULL) {
        return **string == '\0' ? "has no unit" : "has an unknown unit";
    }
    if (fraction * unit->ms % scale != 0) {
        return "is finer than a millisecond";
    }
    if (whole > UNITS_DURATION_MS_MAX / unit->ms) {
        return "is longer than 10 years";
    }
    *string += strlen(unit->name);
    *ret_ms = whole * unit->ms + fraction * unit->ms / scale;
    return NULL;
}

const char *
units_parse_duration(const char *string, uint64_t *ret_ms)
{
    uint64_t total = 0;
    uint64_t part = 0;

    if (*string == '\0') {
        return "is empty";
    }
    while (*string != '\0') {
        const char *problem = take_part(&string, &part);

        if (problem != NULL) {
            return problem;
        }
        total += part;
        if (total > UNITS_DURATION_MS_MAX) {
            return "is longer than 10 years";
        }
    }
    *ret_ms = total;
    return NULL;
}

bool
units_parse_number(const char *string, uint64_t min, uint64_t max,
                   uint64_t *ret_number)
{
    unsigned long long number;
    char *end;

    if (*string < '0' || *string > '9') {
        return false;
    }
    errno = 0;
    number = strtoull(string, &end, 10);
    if (errno != 0 || *end != '\0' || number < min || number > max) {
        return false;
    }
    *ret_number = number;
    return true;
}

static void
add_two(struct text *text, uint64_t ms, const struct unit *large,
        const struct unit *small)
{
    text_addf(text, "%" PRIu64 " %s", ms / large->ms, large->name);
    if (ms % large->ms / small->ms != 0) {
        text_addf(text, " %" PRIu64 " %s", ms % large->ms / small->ms,
                  small->name);
    }
}

void
units_add_duration(struct text *text, uint64_t ms)
{
    if (ms < S_MS) {
        text_addf(text, "%" PRIu64 " ms", ms);
    } else if (ms < 10 * S_MS && ms % S_MS >= 100) {
        text_addf(text, "%" PRIu64 ".%" PRIu64 " s", ms / S_MS,
                  ms % S_MS / 100);
    } else if (ms < M_MS) {
        text_addf(text, "%" PRIu64 " s", ms / S_MS);
    } else if (ms < H_MS) {
        add_two(text, ms, &units[2], &units[1]);
    } else if (ms < D_MS) {
        add_two(text, ms, &units[3], &units[2]);
    } else {
        add_two(text, ms, &units[4], &units[3]);
    }
}

void
units_add_between(struct text *text, int64_t from_ms, int64_t to_ms)
{
    units_add_duration(
        text, to_ms > from_ms ? (uint64_t)to_ms - (uint64_t)from_ms : 0);
}

void
units_add_milli(struct text *text, int64_t milli)
{
    uint64_t size = milli < 0 ? -(uint64_t)milli : (uint64_t)milli;
    unsigned rest = (unsigned)(size % 1000);
    int digits = 3;

    text_addf(text, "%s%" PRIu64, milli < 0 ? "-" : "", size / 1000);
    if (rest == 0) {
        return;
    }
    for (; rest % 10 == 0; rest /= 10) {
        digits--;
    }
    text_addf(text, ".%0*u", digits, rest);
}

void
units_add_bytes(struct text *text, uint64_t bytes)
{
    static const char *const names[] = {"KiB", "MiB", "GiB", "TiB"};
    uint64_t unit = 1024;
    size_t i = 0;

    if (bytes < unit) {
        text_addf(text, "%" PRIu64 " B", bytes);
        return;
    }
    while (i + 1 < sizeof(names) / sizeof(names[0]) && bytes / unit >= 1024) {
        unit *= 1024;
        i++;
    }
    text_addf(text, "%" PRIu64, bytes / unit);
    if (bytes / unit < 10 && bytes % unit * 10 / unit != 0) {
        text_addf(text, ".%" PRIu64, bytes % unit * 10 / unit);
    }
    text_addf(text, " %s", names[i]);
}

void
units_add_wall(struct text *text, int64_t wall_ms)
{
    int64_t ms = wall_ms % 1000;
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    char string[32];

    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    if (gmtime_r(&seconds, &tm) == NULL ||
        strftime(string, sizeof(string), "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
        text_addf(text, "%" PRId64 " ms", wall_ms);
        return;
    }
    text_addf(text, "%s.%03dZ", string, (int)ms);
}
