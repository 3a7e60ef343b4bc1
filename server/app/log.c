/* SPDX-License-Identifier: Apache-2.0 */
#include "server/app/log.h"

#include "server/base/bytes.h"
#include "server/net/codec.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_BYTES_MAX = 16384,
    DETAIL_BYTES = 1024,
};

struct log_kind {
    const char *id;
    enum config_log_level level;
    const char *sentence;
};

static const struct log_kind kinds[] = {
#define LOG(name, id, level, sentence) {id, CONFIG_LOG_##level, sentence},
#include "server/app/log.def"
#undef LOG
};

static enum config_log_level least = CONFIG_LOG_INFO;

void
log_set_level(enum config_log_level level)
{
    least = level;
}

static void
put(struct bytes *line, const char *string)
{
    bytes_append(line, string, strlen(string));
}

static void
put_escaped(struct bytes *line, struct text value)
{
    char escape[8];

    for (uint32_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.at[i];

        if (c == '"' || c == '\\') {
            bytes_append_byte(line, '\\');
            bytes_append_byte(line, c);
        } else if (c < 0x20) {
            (void)snprintf(escape, sizeof(escape), "\\u%04x", c);
            put(line, escape);
        } else {
            bytes_append_byte(line, c);
        }
    }
}

static void
put_member(struct bytes *line, const char *name, struct text value)
{
    if (value.len == 0) {
        return;
    }
    put(line, ",\"");
    put(line, name);
    put(line, "\":\"");
    put_escaped(line, value);
    put(line, "\"");
}

static void
put_time(struct bytes *line)
{
    struct timespec now;
    struct tm parts;
    char day[32];
    char text[48];

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &parts);
    (void)strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &parts);
    (void)snprintf(text, sizeof(text), "%s.%03ldZ", day, now.tv_nsec / 1000000);
    put(line, text);
}

/* What a line says beside its kind; empty members are left out. */
struct log_line {
    struct text detail;
    const struct job_id *job;
    const struct record *record;
};

static void
put_job(struct bytes *line, const struct log_line *about)
{
    struct scratch scratch;
    const char *id;

    if (about->job == NULL) {
        return;
    }
    scratch_clear(&scratch);
    id = scratch_id(&scratch, *about->job);
    put_member(line, "job", text_of(id));
    if (about->record == NULL) {
        return;
    }
    put_member(line, "correlation_id",
               about->record->correlation.len > 0 ? about->record->correlation
                                                  : text_of(id));
    put_member(line, "service", about->record->service);
    put_member(line, "method", about->record->method);
    put_member(line, "code", text_of(redial_status_name(about->record->code)));
    put_member(line, "reason", about->record->reason);
    put_member(line, "rule", text_of(rule_name(about->record->decision.rule)));
}

static void
write_json(struct bytes *line, const struct log_kind *kind,
           const struct log_line *about)
{
    put(line, "{\"time\":\"");
    put_time(line);
    put(line, "\"");
    put_member(line, "level", text_of(config_log_level_name(kind->level)));
    put_member(line, "id", text_of(kind->id));
    put_member(line, "message", text_of(kind->sentence));
    put_member(line, "detail", about->detail);
    put_job(line, about);
    put(line, "}\n");
}

static void
write_text(struct bytes *line, const struct log_kind *kind,
           const struct log_line *about)
{
    put_time(line);
    put(line, " ");
    put(line, config_log_level_name(kind->level));
    put(line, " ");
    put(line, kind->id);
    put(line, " ");
    put(line, kind->sentence);
    if (about->detail.len > 0) {
        put(line, ": ");
        bytes_append(line, about->detail.at, about->detail.len);
    }
    put_job(line, about);
    put(line, "\n");
}

static void
write_line(enum log_id id, const struct log_line *about)
{
    const struct log_kind *kind = &kinds[id];
    struct bytes line;

    if (kind->level < least) {
        return;
    }
    bytes_init(&line, LINE_BYTES_MAX);
    if (isatty(STDERR_FILENO) != 0) {
        write_text(&line, kind, about);
    } else {
        write_json(&line, kind, about);
    }
    if (line.len > 0) {
        (void)!write(STDERR_FILENO, line.at, line.len);
    }
    bytes_fini(&line);
}

void
log_event(enum log_id id, const char *detail)
{
    struct log_line about = {.detail = text_of(detail)};

    write_line(id, &about);
}

void
log_eventf(enum log_id id, const char *format, ...)
{
    char detail[DETAIL_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    log_event(id, detail);
}

void
log_job(enum log_id id, struct job_id job, const char *detail)
{
    struct log_line about = {.detail = text_of(detail), .job = &job};

    write_line(id, &about);
}

void
log_record(enum log_id id, const struct record *record)
{
    struct log_line about = {
        .detail = record->text,
        .job = &record->job,
        .record = record,
    };

    write_line(id, &about);
}
