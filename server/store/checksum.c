/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/checksum.h"

#include "server/store/little.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

static const uint32_t polynomial = 0x82f63b78; /* reflected */

/* tables[n][b]: what byte b comes to when n zero bytes follow. */
static uint32_t tables[8][256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void
make_tables(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t sum = b;

        for (unsigned bit = 0; bit < 8; bit++) {
            sum = (sum >> 1) ^ ((sum & 1) != 0 ? polynomial : 0);
        }
        tables[0][b] = sum;
    }
    for (uint32_t b = 0; b < 256; b++) {
        for (unsigned n = 1; n < 8; n++) {
            uint32_t before = tables[n - 1][b];

            tables[n][b] = (before >> 8) ^ tables[0][before & 0xff];
        }
    }
}

uint32_t
checksum_add_portable(uint32_t sum, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;

    (void)pthread_once(&tables_once, make_tables);
    sum = ~sum;
    for (; len >= 8; len -= 8, at += 8) {
        uint32_t low = load_le32(at) ^ sum;
        uint32_t high = load_le32(at + 4);

        sum = tables[7][low & 0xff] ^ tables[6][(low >> 8) & 0xff] ^
              tables[5][(low >> 16) & 0xff] ^ tables[4][low >> 24] ^
              tables[3][high & 0xff] ^ tables[2][(high >> 8) & 0xff] ^
              tables[1][(high >> 16) & 0xff] ^ tables[0][high >> 24];
    }
    for (; len > 0; len--) {
        sum = (sum >> 8) ^ tables[0][(sum ^ *at++) & 0xff];
    }
    return ~sum;
}

#if defined(__x86_64__) && defined(__GNUC__)

__attribute__((target("sse4.2"))) static uint32_t
add_by_instruction(uint32_t sum, const uint8_t *at, size_t len)
{
    uint64_t wide = (uint32_t)~sum;

    for (; len >= 8; len -= 8, at += 8) {
        uint64_t word;

        memcpy(&word, at, sizeof(word));
        wide = __builtin_ia32_crc32di(wide, word);
    }
    uint32_t narrow = (uint32_t)wide;

    for (; len > 0; len--) {
        narrow = __builtin_ia32_crc32qi(narrow, *at++);
    }
    return ~narrow;
}

uint32_t
checksum_add(uint32_t sum, const void *bytes, size_t len)
{
    return __builtin_cpu_supports("sse4.2")
               ? add_by_instruction(sum, bytes, len)
               : checksum_add_portable(sum, bytes, len);
}

#else

uint32_t
checksum_add(uint32_t sum, const void *bytes, size_t len)
{
    return checksum_add_portable(sum, bytes, len);
}

#endif
