/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of an attempt a plugin may pass on, by name, and its substitution in
 * configured texts: "{service}" stands for the attempt's service. Braces around
 * anything but lower-case letters and '_' are left alone, so that JSON can be
 * written in an argument as it is.
 *
 * Names: attempt charged_before content_type correlation_id fence job_id key
 * method remaining_ms service tenant timeout_ms.
 */
#ifndef REDIAL_SERVER_PLUGINS_JOB_FIELD_H
#define REDIAL_SERVER_PLUGINS_JOB_FIELD_H

#include "server/base/bytes.h"
#include "server/plugins/settings.h"
#include <redial/plugin.h>

/* Where a substituted text goes, and so what its values may be. */
enum job_field_style {
    JOB_FIELD_ARGUMENT, /* one word of an argument list: a value that would
                           begin the word with '-' is refused, because it
                           would be taken for an option */
    JOB_FIELD_URL,      /* percent-encoded; "." and ".." are refused */
    JOB_FIELD_HEADER,   /* control characters are refused */
};

enum job_field_verdict {
    JOB_FIELD_OK,
    JOB_FIELD_REFUSED, /* the value of a field must not stand there */
    JOB_FIELD_TOO_LONG,
};

enum { JOB_FIELD_NUMBER_BYTES = 24 };

/* "job_id" for the index 0.., NULL after the last one. */
const char *
job_field_name(size_t index);

/*
 * The value of that field in an attempt. `buf` is for numbers and must live as
 * long as the value is used.
 */
const char *
job_field_value(size_t index, const struct redial_plugin_attempt *attempt,
                char buf[JOB_FIELD_NUMBER_BYTES]);

/* The value of an entry of the attempt's metadata, NULL without such a key. */
const struct redial_plugin_metadata *
job_field_metadata(const struct redial_plugin_attempt *attempt,
                   const char *key);

/* Whether `text` names any field at all. */
bool
job_field_used(const char *text);

/* Complains about every {word} in `text` that is no field. */
bool
job_field_check(const char *text, const char *where,
                struct setting_error *error);

/*
 * Appends `text` with its fields filled in, and a NUL. `out` is undefined after
 * a failure; *ret_field is then the name of the field that was refused.
 */
enum job_field_verdict
job_field_fill(const char *text, enum job_field_style style,
               const struct redial_plugin_attempt *attempt, struct bytes *out,
               const char **ret_field);

#endif
