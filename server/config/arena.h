/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is freed all at once. A failure is remembered, so that a builder
 * may go on with what it got and ask once at the end.
 */
#ifndef REDIAL_SERVER_CONFIG_ARENA_H
#define REDIAL_SERVER_CONFIG_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct config_arena;

/* NULL when there is no memory. */
struct config_arena *
config_arena_create(void);

/* Frees it and all that came from it. NULL is allowed. */
void
config_arena_free(struct config_arena *arena);

/* `count` zeroed elements, aligned for anything; NULL when there is no memory
 * (or count is 0, which is no failure). */
void *
config_arena_array(struct config_arena *arena, size_t count, size_t size);

/* A terminated copy; "" when there is no memory. Never NULL. */
const char *
config_arena_text(struct config_arena *arena, const char *text, size_t len);

/* True when anything was ever refused. */
bool
config_arena_failed(const struct config_arena *arena);

#endif
