/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which states are the same. Two are when everything that can still make a
 * difference is equal: see README.md for what is left out.
 */
#ifndef REDIAL_TESTS_EXPLORE_DIGEST_H
#define REDIAL_TESTS_EXPLORE_DIGEST_H

#include <stdint.h>

uint64_t
digest_state(void);

#endif
