// The Castagnoli polynomial, bits reflected (RFC 3720, appendix B.4). On x86-64 with SSE 4.2 and on arm64 with the CRC
// extension eight bytes take one instruction of three cycles' latency; three of them in flight at once would need
// tables to be joined and gain nothing that a disk could keep up with.

#include "CChecksum.h"

#include <pthread.h>
#include <string.h>

#define POLYNOMIAL 0x82F63B78u

static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void make_table(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t rest = byte;
        for (int bit = 0; bit < 8; bit++) rest = rest & 1 ? rest >> 1 ^ POLYNOMIAL : rest >> 1;
        table[0][byte] = rest;
    }
    for (int slice = 1; slice < 8; slice++)
        for (int byte = 0; byte < 256; byte++)
            table[slice][byte] = table[slice - 1][byte] >> 8 ^ table[0][table[slice - 1][byte] & 255];
}

uint32_t martlet_crc32c_by_table(uint32_t crc, const void *bytes, size_t count) {
    pthread_once(&table_once, make_table);
    const uint8_t *at = bytes;
    uint32_t rest = ~crc;
    for (; count >= 8; count -= 8, at += 8) {
        uint32_t low = rest ^ ((uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24);
        rest = table[7][low & 255] ^ table[6][low >> 8 & 255] ^ table[5][low >> 16 & 255] ^ table[4][low >> 24]
            ^ table[3][at[4]] ^ table[2][at[5]] ^ table[1][at[6]] ^ table[0][at[7]];
    }
    for (; count > 0; count--, at++) rest = rest >> 8 ^ table[0][(rest ^ *at) & 255];
    return ~rest;
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const void *bytes, size_t count) {
    const uint8_t *at = bytes;
    uint64_t rest = (uint32_t)~crc;
    for (; count >= 8; count -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        rest = __builtin_ia32_crc32di(rest, word);
    }
    for (; count > 0; count--, at++) rest = __builtin_ia32_crc32qi((uint32_t)rest, *at);
    return ~(uint32_t)rest;
}

static int has_instruction(void) { return __builtin_cpu_supports("sse4.2"); }

#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)

static uint32_t by_instruction(uint32_t crc, const void *bytes, size_t count) {
    const uint8_t *at = bytes;
    uint32_t rest = ~crc;
    for (; count >= 8; count -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        rest = __builtin_arm_crc32cd(rest, word);
    }
    for (; count > 0; count--, at++) rest = __builtin_arm_crc32cb(rest, *at);
    return ~rest;
}

static int has_instruction(void) { return 1; }

#else

#define by_instruction martlet_crc32c_by_table
static int has_instruction(void) { return 1; }

#endif

uint32_t martlet_crc32c(uint32_t crc, const void *bytes, size_t count) {
    return has_instruction() ? by_instruction(crc, bytes, count) : martlet_crc32c_by_table(crc, bytes, count);
}
