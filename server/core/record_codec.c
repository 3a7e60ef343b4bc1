/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stored form of a record:
 *
 *     format (1 byte) · type · seq · wall_ms (zigzag) · mask · fields ·
 *     attachment (all the rest, where the field `attachment` says so)
 *
 * Numbers are varints. Every record has exactly one form: what is zero is not
 * there, numbers are not padded, and nothing may follow. So what decodes also
 * encodes to the same bytes, and most damage shows.
 *
 * For each KIND of record_fields.def there are three functions: is it worth
 * storing, write it, read it. The readers take hostile bytes and return NULL
 * for what no writer makes.
 */
#include "server/base/check.h"
#include "server/base/varint.h"
#include "server/core/breaker.h"
#include "server/core/record.h"

#include <string.h>

#define FIELD_BIT(bit) (UINT64_C(1) << (bit))

/* What the mask of this format may hold. */
static const uint64_t mask_known = 0
#define RECORD_FIELD(bit, kind, member) | FIELD_BIT(bit)
#include "server/core/record_fields.def"
#undef RECORD_FIELD
    ;

/* The bits that format 1 knew. */
static const uint64_t mask_oldest = (UINT64_C(1) << 43) - 1;

static uint64_t
mask_of(uint8_t format)
{
    return format == RECORD_FORMAT_OLDEST ? mask_oldest : mask_known;
}

/* The members of a breaker's note in the order of their stored form. */
#define BREAKER_NOTE(X) \
    X(epoch)            \
    X(state)            \
    X(cause)            \
    X(step)             \
    X(forced)           \
    X(load)             \
    X(open_ms)          \
    X(jitter_permille)  \
    X(calls)            \
    X(failed)           \
    X(slow)             \
    X(in_a_row)         \
    X(waiting)

enum {
    BREAKER_MEMBERS = 0
#define BREAKER_MEMBER(member) +1
    BREAKER_NOTE(BREAKER_MEMBER)
#undef BREAKER_MEMBER
        ,
};

enum {
    /* Format, type, seq, wall_ms, mask. */
    HEAD_BYTES_MAX = 1 + 4 * VARINT_BYTES_MAX,
    /* Every field at its longest; of texts only the length. */
    FIELDS_BYTES_MAX = 0
#define RECORD_FIELD(bit, kind, member) +16
#include "server/core/record_fields.def"
#undef RECORD_FIELD
                       + BREAKER_MEMBERS * VARINT_BYTES_MAX,
};

_Static_assert(VARINT_BYTES_MAX <= 16, "a field's bound covers a number");

/* Numbers that the tables have, as bits: events, rules. */
static const uint64_t event_low = 0
#define EVENT(name, number, string, about_job) \
    | ((number) < 64 ? UINT64_C(1) << ((number) % 64) : 0)
#include "server/core/event.def"
#undef EVENT
    ;
static const uint64_t event_high = 0
#define EVENT(name, number, string, about_job) \
    | ((number) >= 64 ? UINT64_C(1) << ((number) % 64) : 0)
#include "server/core/event.def"
#undef EVENT
    ;
static const uint64_t rule_set = 0
#define RULE(name, number, sentence) | (UINT64_C(1) << (number))
#include "server/core/rule.def"
#undef RULE
    ;

#define EVENT(name, number, string, about_job) \
    _Static_assert((number) > 0 && (number) < 128, "fits two words");
#include "server/core/event.def"
#undef EVENT
#define RULE(name, number, sentence) \
    _Static_assert((number) < 64, "fits one word");
#include "server/core/rule.def"
#undef RULE

static bool
event_is_known(uint64_t number)
{
    if (number < 64) {
        return (event_low >> number & 1) != 0;
    }
    return number < 128 && (event_high >> (number - 64) & 1) != 0;
}

/* ---- Is it worth storing? ---------------------------------------------- */

static const uint8_t zeros[16];

static inline bool
has_U32(const struct record *record, const uint32_t *value)
{
    (void)record;
    return *value != 0;
}

static inline bool
has_U64(const struct record *record, const uint64_t *value)
{
    (void)record;
    return *value != 0;
}

static inline bool
has_I64(const struct record *record, const int64_t *value)
{
    (void)record;
    return *value != 0;
}

static inline bool
has_FLAG(const struct record *record, const bool *value)
{
    (void)record;
    return *value;
}

static inline bool
has_BACK(const struct record *record, const uint64_t *value)
{
    (void)record;
    return *value != 0;
}

static inline bool
has_AHEAD(const struct record *record, const int64_t *value)
{
    (void)record;
    return *value != 0;
}

static inline bool
has_TEXT(const struct record *record, const struct text *value)
{
    (void)record;
    return value->len != 0;
}

static inline bool
has_B16(const struct record *record, const uint8_t (*value)[16])
{
    (void)record;
    return memcmp(*value, zeros, sizeof(zeros)) != 0;
}

/* ---- Writing ----------------------------------------------------------- */

static inline uint8_t *
put_U32(uint8_t *at, const struct record *record, const uint32_t *value)
{
    (void)record;
    return varint_write(at, *value);
}

static inline uint8_t *
put_U64(uint8_t *at, const struct record *record, const uint64_t *value)
{
    (void)record;
    return varint_write(at, *value);
}

static inline uint8_t *
put_I64(uint8_t *at, const struct record *record, const int64_t *value)
{
    (void)record;
    return varint_write(at, zigzag_encode(*value));
}

static inline uint8_t *
put_FLAG(uint8_t *at, const struct record *record, const bool *value)
{
    (void)record;
    (void)value;
    return at;
}

static inline uint8_t *
put_BACK(uint8_t *at, const struct record *record, const uint64_t *value)
{
    return varint_write(at, record->seq - *value);
}

/* In unsigned numbers, where nothing overflows. */
static inline uint8_t *
put_AHEAD(uint8_t *at, const struct record *record, const int64_t *value)
{
    uint64_t ahead = (uint64_t)*value - (uint64_t)record->wall_ms;

    return varint_write(at, zigzag_encode((int64_t)ahead));
}

static inline uint8_t *
put_TEXT(uint8_t *at, const struct record *record, const struct text *value)
{
    (void)record;
    at = varint_write(at, value->len);
    memcpy(at, value->at, value->len);
    return at + value->len;
}

static inline uint8_t *
put_B16(uint8_t *at, const struct record *record, const uint8_t (*value)[16])
{
    (void)record;
    memcpy(at, *value, 16);
    return at + 16;
}

/* ---- Reading ----------------------------------------------------------- */

/* A field's number: there only when not zero. */
static inline const uint8_t *
get_number(const uint8_t *at, const uint8_t *end, uint64_t max,
           uint64_t *ret_value)
{
    uint64_t value;

    at = varint_read(at, end, &value);
    if (at == NULL || value == 0 || value > max) {
        return NULL;
    }
    *ret_value = value;
    return at;
}

static inline const uint8_t *
get_U32(const uint8_t *at, const uint8_t *end, const struct record *record,
        uint32_t *ret_value)
{
    uint64_t value = 0;

    (void)record;
    at = get_number(at, end, UINT32_MAX, &value);
    *ret_value = (uint32_t)value;
    return at;
}

static inline const uint8_t *
get_U64(const uint8_t *at, const uint8_t *end, const struct record *record,
        uint64_t *ret_value)
{
    (void)record;
    return get_number(at, end, UINT64_MAX, ret_value);
}

static inline const uint8_t *
get_I64(const uint8_t *at, const uint8_t *end, const struct record *record,
        int64_t *ret_value)
{
    uint64_t value = 0;

    (void)record;
    at = get_number(at, end, UINT64_MAX, &value);
    *ret_value = zigzag_decode(value);
    return at;
}

static inline const uint8_t *
get_FLAG(const uint8_t *at, const uint8_t *end, const struct record *record,
         bool *ret_value)
{
    (void)end;
    (void)record;
    *ret_value = true;
    return at;
}

static inline const uint8_t *
get_BACK(const uint8_t *at, const uint8_t *end, const struct record *record,
         uint64_t *ret_value)
{
    uint64_t back = 0;

    at = varint_read(at, end, &back);
    *ret_value = record->seq - back;
    return *ret_value == 0 ? NULL : at;
}

static inline const uint8_t *
get_AHEAD(const uint8_t *at, const uint8_t *end, const struct record *record,
          int64_t *ret_value)
{
    uint64_t ahead = 0;

    at = varint_read(at, end, &ahead);
    *ret_value = (int64_t)((uint64_t)record->wall_ms +
                           (uint64_t)zigzag_decode(ahead));
    return *ret_value == 0 ? NULL : at;
}

static inline const uint8_t *
get_TEXT(const uint8_t *at, const uint8_t *end, const struct record *record,
         struct text *ret_value)
{
    uint64_t len = 0;

    (void)record;
    at = get_number(at, end, UINT32_MAX, &len);
    if (at == NULL || len > (uint64_t)(end - at)) {
        return NULL;
    }
    ret_value->at = (const char *)at;
    ret_value->len = (uint32_t)len;
    return at + len;
}

static inline const uint8_t *
get_B16(const uint8_t *at, const uint8_t *end, const struct record *record,
        uint8_t (*ret_value)[16])
{
    (void)record;
    if (end - at < 16 || memcmp(at, zeros, 16) == 0) {
        return NULL;
    }
    memcpy(*ret_value, at, 16);
    return at + 16;
}

/* ---- Breakers ---------------------------------------------------------- */

static inline bool
has_BREAKER(const struct record *record, const struct breaker_note *value)
{
    (void)record;
    return value->epoch != 0;
}

static inline uint8_t *
put_BREAKER(uint8_t *at, const struct record *record,
            const struct breaker_note *value)
{
    (void)record;
#define BREAKER_MEMBER(member) at = varint_write(at, value->member);
    BREAKER_NOTE(BREAKER_MEMBER)
#undef BREAKER_MEMBER
    return at;
}

/* False: a number that its member cannot hold. */
static inline bool
breaker_note_is_valid(const uint64_t numbers[BREAKER_MEMBERS])
{
    enum { EPOCH = 0, STATE, CAUSE, OPEN_MS = 6, WAITING = 12 };
    _Static_assert(BREAKER_MEMBERS == WAITING + 1, "as in BREAKER_NOTE");

    for (int i = 0; i < BREAKER_MEMBERS; i++) {
        if (i != EPOCH && i != OPEN_MS && i != WAITING &&
            numbers[i] > UINT32_MAX) {
            return false;
        }
    }
    return numbers[EPOCH] != 0 && numbers[STATE] <= BREAKER_RAMP &&
           numbers[CAUSE] <= BREAKER_CAUSE_RESTART;
}

static inline const uint8_t *
get_BREAKER(const uint8_t *at, const uint8_t *end, const struct record *record,
            struct breaker_note *ret_value)
{
    uint64_t numbers[BREAKER_MEMBERS];
    int i = 0;

    (void)record;
    while (i < BREAKER_MEMBERS) {
        at = varint_read(at, end, &numbers[i++]);
        if (at == NULL) {
            return NULL;
        }
    }
    if (!breaker_note_is_valid(numbers)) {
        return NULL;
    }
    i = 0;
#define BREAKER_MEMBER(member) \
    ret_value->member = (__typeof__(ret_value->member))numbers[i++];
    BREAKER_NOTE(BREAKER_MEMBER)
#undef BREAKER_MEMBER
    return at;
}

/* ---- Enums ------------------------------------------------------------- */

#define ENUM_KIND(KIND, type, is_known)                                     \
    static inline bool has_##KIND(const struct record *record,              \
                                  const type *value)                        \
    {                                                                       \
        (void)record;                                                       \
        return *value != 0;                                                 \
    }                                                                       \
    static inline uint8_t *put_##KIND(                                      \
        uint8_t *at, const struct record *record, const type *value)        \
    {                                                                       \
        (void)record;                                                       \
        return varint_write(at, (uint64_t)*value);                          \
    }                                                                       \
    static inline const uint8_t *get_##KIND(                                \
        const uint8_t *at, const uint8_t *end, const struct record *record, \
        type *ret_value)                                                    \
    {                                                                       \
        uint64_t number = 0;                                                \
                                                                            \
        (void)record;                                                       \
        at = get_number(at, end, UINT32_MAX, &number);                      \
        *ret_value = (type)number;                                          \
        return (is_known) ? at : NULL;                                      \
    }

ENUM_KIND(RULE, enum rule, number < 64 && (rule_set >> number & 1) != 0)
ENUM_KIND(CODE, enum redial_status, number < REDIAL_STATUS_COUNT)
ENUM_KIND(DELAY_SOURCE, enum delay_source, number <= DELAY_TARGET_PUSHBACK)
ENUM_KIND(CLAMP, enum clamp, number <= CLAMP_ATTEMPTS_LIMIT)
ENUM_KIND(IDEMPOTENCY, enum idempotency, number <= IDEMPOTENCY_NO)
ENUM_KIND(ATTACHMENT, enum attachment, number <= ATTACHMENT_RESULT)

/* ---- Records ----------------------------------------------------------- */

size_t
record_encoded_max(const struct record *record, size_t attached_bytes)
{
    size_t texts = (size_t)record->correlation.len + record->tenant.len +
                   record->service.len + record->method.len + record->key.len +
                   record->worker.len + record->reason.len + record->text.len +
                   record->traceparent.len + record->target.len +
                   record->holder.len;

    return HEAD_BYTES_MAX + FIELDS_BYTES_MAX + texts + attached_bytes;
}

size_t
record_encode(const struct record *record, struct text attached, uint8_t *buf)
{
    redial_assert(event_is_known((uint64_t)record->type));
    redial_assert(attached.len == 0 || record->attachment != ATTACHMENT_NONE);
    uint8_t *at = buf;
    uint64_t mask = 0;

#define RECORD_FIELD(bit, kind, member) \
    mask |= (uint64_t)has_##kind(record, &record->member) << (bit);
#include "server/core/record_fields.def"
#undef RECORD_FIELD

    *at++ = RECORD_FORMAT;
    at = varint_write(at, (uint64_t)record->type);
    at = varint_write(at, record->seq);
    at = varint_write(at, zigzag_encode(record->wall_ms));
    at = varint_write(at, mask);

#define RECORD_FIELD(bit, kind, member)               \
    if ((mask & FIELD_BIT(bit)) != 0) {               \
        at = put_##kind(at, record, &record->member); \
    }
#include "server/core/record_fields.def"
#undef RECORD_FIELD

    if (attached.len > 0) {
        memcpy(at, attached.at, attached.len);
        at += attached.len;
    }
    return (size_t)(at - buf);
}

/* Reads what every record has, and the mask. There is at least one byte. */
static const uint8_t *
read_head(const uint8_t *at, const uint8_t *end, struct record *record,
          uint64_t *ret_mask)
{
    uint64_t type = 0;
    uint64_t wall = 0;

    uint8_t format = *at++;

    if (format < RECORD_FORMAT_OLDEST || format > RECORD_FORMAT) {
        return NULL;
    }
    at = varint_read(at, end, &type);
    if (at == NULL || !event_is_known(type)) {
        return NULL;
    }
    at = varint_read(at, end, &record->seq);
    if (at == NULL) {
        return NULL;
    }
    at = varint_read(at, end, &wall);
    if (at == NULL) {
        return NULL;
    }
    at = varint_read(at, end, ret_mask);
    if (at == NULL || (*ret_mask & ~mask_of(format)) != 0) {
        return NULL;
    }
    record->type = (enum event_type)type;
    record->wall_ms = zigzag_decode(wall);
    return at;
}

bool
record_decode(const uint8_t *buf, size_t len, struct record *ret_record)
{
    struct record record = {0};
    uint64_t mask = 0;

    if (len == 0) {
        return false;
    }
    const uint8_t *end = buf + len;
    const uint8_t *at = read_head(buf, end, &record, &mask);

    if (at == NULL) {
        return false;
    }
#define RECORD_FIELD(bit, kind, member)                    \
    if ((mask & FIELD_BIT(bit)) != 0) {                    \
        at = get_##kind(at, end, &record, &record.member); \
        if (at == NULL) {                                  \
            return false;                                  \
        }                                                  \
    }
#include "server/core/record_fields.def"
#undef RECORD_FIELD

    /* Budgets are younger than it: its decisions had none. */
    if (buf[0] == RECORD_FORMAT_OLDEST && record.decision.rule != RULE_NONE) {
        record.decision.budget_milli = -1;
    }
    if (record.attachment != ATTACHMENT_NONE) {
        if ((uint64_t)(end - at) > UINT32_MAX) {
            return false;
        }
        record.attached.at = (const char *)at;
        record.attached.len = (uint32_t)(end - at);
    } else if (at != end) {
        return false;
    }
    *ret_record = record;
    return true;
}
