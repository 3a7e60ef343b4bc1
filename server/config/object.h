/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table fields.def as data, and reading objects by it. Internal to
 * server/config.
 */
#ifndef REDIAL_SERVER_CONFIG_OBJECT_H
#define REDIAL_SERVER_CONFIG_OBJECT_H

#include "server/config/config.h"
#include "server/config/read.h"
#include "server/config/spot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum object {
#define OBJECT(name, json_name, sentence) OBJECT_##name,
#include "server/config/objects.def"
    OBJECT_COUNT,
};

enum field {
#define FIELD(object, id, name, kind, detail, min, max, status, sentence) \
    FIELD_##object##_##id,
#include "server/config/fields.def"
    FIELD_COUNT,
};

enum field_kind {
    FIELD_KIND_STRING,
    FIELD_KIND_NAME,
    FIELD_KIND_TOKEN,
    FIELD_KIND_PATH,
    FIELD_KIND_INTEGER,
    FIELD_KIND_NUMBER,
    FIELD_KIND_THOUSANDTHS,
    FIELD_KIND_BOOL,
    FIELD_KIND_DURATION,
    FIELD_KIND_WORD,
    FIELD_KIND_CODES,
    FIELD_KIND_REASONS,
    FIELD_KIND_RATE,
    FIELD_KIND_OBJECT,
    FIELD_KIND_ARRAY,
    FIELD_KIND_ANY,
};

enum field_status {
    FIELD_STATUS_REQUIRED,
    FIELD_STATUS_OPTIONAL,
    FIELD_STATUS_MEANINGLESS,
    FIELD_STATUS_LATER,
};

struct field_row {
    enum object object;
    const char *name;
    enum field_kind kind;
    const char *detail;
    uint64_t min;
    uint64_t max;
    enum field_status status;
    const char *sentence;
};

extern const struct field_row field_table[FIELD_COUNT];

struct object_row {
    const char *name;      /* "RETRY_POLICY" */
    const char *json_name; /* "retryPolicy" */
    const char *sentence;
};

extern const struct object_row object_table[OBJECT_COUNT];

/* The object whose NAME is `name`; it must exist. */
enum object
object_find(const char *name);

/* What was found of an object; NULL: not given. */
struct fields {
    const cJSON *at[FIELD_COUNT];
};

/*
 * Reads the members of the object at the spot, and reports unknown ones, those
 * of later versions, and required ones that are missing. False when it is no
 * object at all. ROOT may hold parameters besides, which are passed over.
 */
bool
object_read(struct config_report *report, const struct spot *spot,
            enum object object, struct fields *ret_fields);

/* Reports a member that nobody knows, with the nearest of the names. */
void
object_report_unknown(struct config_report *report, const struct spot *spot,
                      const char *const *names, size_t count);

/*
 * The member of the object at `parent`. Its node is NULL when it is not given.
 */
struct spot
field_spot(const struct spot *parent, const struct fields *fields,
           enum field field);

/* What may be there, for people. */
void
field_range(enum field field, char text[READ_RANGE_BYTES]);

/*
 * The value of a member, within the bounds of the table. False, with *ret
 * untouched, when it is not given or was reported.
 */
bool
field_bool(struct config_report *report, const struct spot *parent,
           const struct fields *fields, enum field field, bool *ret);

bool
field_integer(struct config_report *report, const struct spot *parent,
              const struct fields *fields, enum field field, uint32_t *ret);

bool
field_duration(struct config_report *report, const struct spot *parent,
               const struct fields *fields, enum field field, uint64_t *ret);

bool
field_word(struct config_report *report, const struct spot *parent,
           const struct fields *fields, enum field field, uint32_t *ret);

bool
field_thousandths(struct config_report *report, const struct spot *parent,
                  const struct fields *fields, enum field field, uint32_t *ret);

/* CODES as a mask; an empty array is 0 where the table allows one. */
bool
field_codes(struct config_report *report, const struct spot *parent,
            const struct fields *fields, enum field field, uint32_t *ret);

/* STRING, NAME, TOKEN and PATH; the text belongs to the document. */
bool
field_text(struct config_report *report, const struct spot *parent,
           const struct fields *fields, enum field field, const char **ret);

/* The number of elements of an array; 0 when it is not given or no good. */
size_t
field_array(struct config_report *report, const struct spot *parent,
            const struct fields *fields, enum field field);

#endif
