/* CRC-32 as zip, gzip and Ethernet have it (ISO 3309; polynomial 0x04C11DB7, bits reflected).
 *
 * By the processor's own instructions where it has them: PCLMULQDQ on x86-64, CRC32X on ARMv8.
 */
#pragma once

#include "base/span.h"

/* The CRC of some bytes and those behind them, from that of the former; 0 is the CRC of nothing. */
uint32_t crc32_update(uint32_t crc, struct span bytes);

/* The same without special instructions: what the tests compare with. */
uint32_t crc32_update_portable(uint32_t crc, struct span bytes);
