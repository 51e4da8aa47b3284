/// CRC32C with the processor's own instruction, where it has one. Flat C only; imported by Cache alone.
#ifndef CCHECKSUM_H
#define CCHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/// Goes on with a checksum: `crc` is that of the bytes before, 0 for none.
uint32_t martlet_crc32c(uint32_t crc, const void *_Nullable bytes, size_t count);

/// The same by tables alone: what processors without the instruction use, and what tests compare with.
uint32_t martlet_crc32c_by_table(uint32_t crc, const void *_Nullable bytes, size_t count);

#endif
