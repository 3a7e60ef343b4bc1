/* SPDX-License-Identifier: Apache-2.0 */
#include "client/error.h"

#include "proto/name.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
redial_i_copy_text(char *to, size_t size, const char *from, size_t len)
{
    len = wire_utf8_cut(from, len, size - 1);
    if (len > 0) {
        memcpy(to, from, len);
    }
    to[len] = '\0';
}

enum redial_status
redial_i_fail(struct redial_error *error, enum redial_status status,
              const char *reason, const char *format, ...)
{
    va_list arguments;

    if (error == NULL) {
        return status;
    }
    error->status = status;
    error->retry_after_ms = 0;
    redial_i_copy_text(error->reason, sizeof(error->reason), reason,
                       strlen(reason));
    va_start(arguments, format);
    (void)vsnprintf(error->text, sizeof(error->text), format, arguments);
    va_end(arguments);
    return status;
}

enum redial_status
redial_i_fail_memory(struct redial_error *error)
{
    return redial_i_fail(error, REDIAL_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY",
                         "out of memory");
}

enum redial_status
redial_i_fail_reply(struct redial_error *error, const struct wire_reply *reply)
{
    if (error == NULL) {
        return reply->status;
    }
    error->status = reply->status;
    error->retry_after_ms = reply->retry_after_ms;
    redial_i_copy_text(error->reason, sizeof(error->reason), reply->reason.at,
                       reply->reason.len);
    redial_i_copy_text(error->text, sizeof(error->text), reply->text.at,
                       reply->text.len);
    return reply->status;
}

enum redial_status
redial_i_fail_with(struct redial_error *error, const struct redial_error *from)
{
    if (error != NULL && error != from) {
        *error = *from;
    }
    return from->status;
}
