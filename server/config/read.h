/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single values of a document: each function checks the value at a spot, and
 * either sets its output and returns true, or reports what is wrong and returns
 * false. Bounds are inclusive. Internal to server/config.
 */
#ifndef REDIAL_SERVER_CONFIG_READ_H
#define REDIAL_SERVER_CONFIG_READ_H

#include "server/config/config.h"
#include "server/config/spot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool
read_bool(struct config_report *report, const struct spot *spot, bool *ret);

bool
read_integer(struct config_report *report, const struct spot *spot,
             uint64_t min, uint64_t max, uint64_t *ret);

/* Greater than 0. */
bool
read_factor(struct config_report *report, const struct spot *spot, double *ret);

/* A number with at most three decimals, as thousandths. */
bool
read_thousandths(struct config_report *report, const struct spot *spot,
                 uint64_t min, uint64_t max, uint64_t *ret);

/* In ms; a fraction of one counts as one. */
bool
read_duration(struct config_report *report, const struct spot *spot,
              uint64_t min, uint64_t max, uint64_t *ret);

/* An integer, or text such as "64KiB". */
bool
read_bytes(struct config_report *report, const struct spot *spot, uint64_t min,
           uint64_t max, uint64_t *ret);

/* The index of the word in "a|b|c". */
bool
read_word(struct config_report *report, const struct spot *spot,
          const char *words, uint32_t *ret);

/* Printable ASCII without space and "/"; the text belongs to the document. */
bool
read_name(struct config_report *report, const struct spot *spot, uint64_t min,
          uint64_t max, const char **ret);

/* Printable ASCII without space. */
bool
read_token(struct config_report *report, const struct spot *spot, uint64_t min,
           uint64_t max, const char **ret);

/* A reason of an outcome: printable ASCII without space. */
bool
read_reason(struct config_report *report, const struct spot *spot,
            const char **ret);

/* An absolute path. */
bool
read_path(struct config_report *report, const struct spot *spot, uint64_t min,
          uint64_t max, const char **ret);

/* Any text. */
bool
read_text(struct config_report *report, const struct spot *spot, uint64_t min,
          uint64_t max, const char **ret);

/* An array of codes as a mask; reports every wrong element. */
bool
read_codes(struct config_report *report, const struct spot *spot,
           uint32_t *ret);

/* For people: "an integer from 1 to 10", "one of a, b, c". */
enum { READ_RANGE_BYTES = 160 };

void
read_integer_range(uint64_t min, uint64_t max, char text[READ_RANGE_BYTES]);

void
read_duration_range(uint64_t min, uint64_t max, char text[READ_RANGE_BYTES]);

void
read_bytes_range(uint64_t min, uint64_t max, char text[READ_RANGE_BYTES]);

void
read_thousandths_range(uint64_t min, uint64_t max, char text[READ_RANGE_BYTES]);

void
read_words_range(const char *words, char text[READ_RANGE_BYTES]);

#endif
