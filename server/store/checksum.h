/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRC-32C (Castagnoli; iSCSI, RFC 3720 appendix B.4): finds what a disk or
 * memory flipped, not what an attacker changed. By the processor's instruction
 * where it has one.
 */
#ifndef REDIAL_SERVER_STORE_CHECKSUM_H
#define REDIAL_SERVER_STORE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from `sum`; start with 0. */
uint32_t
checksum_add(uint32_t sum, const void *bytes, size_t len);

/* The same by tables, for tests. */
uint32_t
checksum_add_portable(uint32_t sum, const void *bytes, size_t len);

#endif
