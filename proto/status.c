/* SPDX-License-Identifier: Apache-2.0 */
#include <redial/status.h>

#include <stddef.h>
#include <string.h>
#include <strings.h>

struct status_row {
    const char *name;
    const char *text;
};

/* Indexed by number: the table is dense. */
static const struct status_row rows[REDIAL_STATUS_COUNT] = {
#define REDIAL_STATUS(name, number, text) [number] = {#name, text},
#include <redial/status.def>
};

static const struct status_row *
status_row(enum redial_status status)
{
    size_t number = (size_t)status;

    return number < REDIAL_STATUS_COUNT ? &rows[number] : &rows[REDIAL_UNKNOWN];
}

/* The number that `digits` spell, or REDIAL_STATUS_COUNT. */
static size_t
status_number(const char *digits)
{
    size_t number = 0;
    const char *at = digits;

    for (; *at >= '0' && *at <= '9' && number < REDIAL_STATUS_COUNT; at++) {
        number = number * 10 + (size_t)(*at - '0');
    }
    if (at == digits || *at != '\0' || number > REDIAL_STATUS_COUNT) {
        return REDIAL_STATUS_COUNT;
    }
    return number;
}

const char *
redial_status_name(enum redial_status status)
{
    return status_row(status)->name;
}

const char *
redial_status_text(enum redial_status status)
{
    return status_row(status)->text;
}

int
redial_status_from_name(const char *name, enum redial_status *ret_status)
{
    static const char prefix[] = "REDIAL_";
    size_t number;

    if (name == NULL) {
        return 0;
    }
    if (strncasecmp(name, prefix, sizeof(prefix) - 1) == 0) {
        name += sizeof(prefix) - 1;
    }
    number = status_number(name);
    for (size_t i = 0; i < REDIAL_STATUS_COUNT; i++) {
        if (i == number || strcasecmp(name, rows[i].name) == 0) {
            *ret_status = (enum redial_status)i;
            return 1;
        }
    }
    return 0;
}
