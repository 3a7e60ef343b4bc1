/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filling struct redial_error. All accept NULL for it and return the status,
 * so that a function can end with `return redial_i_fail(...)`.
 */
#ifndef REDIAL_CLIENT_ERROR_H
#define REDIAL_CLIENT_ERROR_H

#include "proto/envelope.h"
#include <redial/client.h>

enum redial_status
redial_i_fail(struct redial_error *error, enum redial_status status,
              const char *reason, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

enum redial_status
redial_i_fail_memory(struct redial_error *error);

/* The status of an answer that is not OK. */
enum redial_status
redial_i_fail_reply(struct redial_error *error, const struct wire_reply *reply);

/* Copies `from`, whose status is not OK. */
enum redial_status
redial_i_fail_with(struct redial_error *error, const struct redial_error *from);

/* Copies at most `size` - 1 bytes, whole characters, and a NUL. */
void
redial_i_copy_text(char *to, size_t size, const char *from, size_t len);

#endif /* REDIAL_CLIENT_ERROR_H */
