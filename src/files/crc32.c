#include "files/crc32.h"

#include <pthread.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#define POLYNOMIAL UINT32_C(0xedb88320) /* 0x04c11db7, its bits reflected */

enum { SLICES = 8 };

/* tables[n][b]: what the byte b does when n more bytes have come after it. */
static uint32_t tables[SLICES][256];
static pthread_once_t tables_made = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t state = b;
        for (int bit = 0; bit < 8; bit++)
            state = state >> 1 ^ (state & 1 ? POLYNOMIAL : 0);
        tables[0][b] = state;
    }
    for (int n = 1; n < SLICES; n++)
        for (int b = 0; b < 256; b++)
            tables[n][b] = tables[n - 1][b] >> 8 ^ tables[0][tables[n - 1][b] & 0xff];
}

/* All of these work on the register: the CRC is its complement. */
static uint32_t by_tables(uint32_t state, const unsigned char *data, size_t len)
{
    pthread_once(&tables_made, make_tables);
    for (; len >= SLICES; data += SLICES, len -= SLICES) {
        uint32_t next = 0;
        for (int i = 0; i < SLICES; i++) {
            unsigned byte = data[i] ^ (i < 4 ? state >> 8 * i & 0xff : 0);
            next ^= tables[SLICES - 1 - i][byte];
        }
        state = next;
    }
    for (; len > 0; data++, len--)
        state = state >> 8 ^ tables[0][(state ^ *data) & 0xff];
    return state;
}

#if defined(__x86_64__)

enum { FOLD_BYTES = 64 };

/* Polynomials without carries: 128 bits are multiplied by x^n, which moves them n bits on, and
 * added to what is there. Both halves have constants of their own, x^(n+32) and x^(n-32) modulo the
 * polynomial, reflected and one bit to the left (Intel, "Fast CRC Computation for Generic
 * Polynomials Using PCLMULQDQ Instruction", 2009). */
__attribute__((target("pclmul"))) static inline __m128i fold(__m128i x, __m128i constants,
                                                             __m128i next)
{
    __m128i low = _mm_clmulepi64_si128(x, constants, 0x00);
    __m128i high = _mm_clmulepi64_si128(x, constants, 0x11);

    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

__attribute__((target("pclmul"))) static uint32_t
by_instructions(uint32_t state, const unsigned char *data, size_t len)
{
    const __m128i by_512 = _mm_set_epi64x(0x1c6e41596, 0x154442bd4);
    const __m128i by_128 = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);
    unsigned char rest[sizeof(__m128i)];
    __m128i x[FOLD_BYTES / sizeof(__m128i)];

    if (len < (size_t)2 * FOLD_BYTES)
        return by_tables(state, data, len);
    for (size_t i = 0; i < 4; i++)
        x[i] = _mm_loadu_si128((const __m128i *)(const void *)data + i);
    x[0] = _mm_xor_si128(x[0], _mm_cvtsi32_si128((int)state));
    for (data += FOLD_BYTES, len -= FOLD_BYTES; len >= FOLD_BYTES;
         data += FOLD_BYTES, len -= FOLD_BYTES)
        for (size_t i = 0; i < 4; i++)
            x[i] = fold(x[i], by_512, _mm_loadu_si128((const __m128i *)(const void *)data + i));
    for (size_t i = 1; i < 4; i++)
        x[i] = fold(x[i - 1], by_128, x[i]);
    /* What is left says the same of the bytes as they do. */
    _mm_storeu_si128((__m128i *)(void *)rest, x[3]);
    return by_tables(by_tables(0, rest, sizeof(rest)), data, len);
}

static bool has_instructions(void)
{
    return __builtin_cpu_supports("pclmul");
}

#elif defined(__aarch64__)

static uint32_t by_instructions(uint32_t state, const unsigned char *data, size_t len)
{
    for (; len >= sizeof(uint64_t); data += sizeof(uint64_t), len -= sizeof(uint64_t)) {
        uint64_t eight;
        memcpy(&eight, data, sizeof(eight));
        /* clang 14 has no name for it without flags for the whole file. */
        __asm__(".arch_extension crc\n\tcrc32x %w0, %w0, %x1" : "+r"(state) : "r"(eight));
    }
    return by_tables(state, data, len);
}

static bool has_instructions(void)
{
    return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
}

#else

static uint32_t by_instructions(uint32_t state, const unsigned char *data, size_t len)
{
    return by_tables(state, data, len);
}

static bool has_instructions(void)
{
    return false;
}

#endif

uint32_t crc32_update(uint32_t crc, struct span bytes)
{
    const unsigned char *data = (const unsigned char *)bytes.data;

    return ~(has_instructions() ? by_instructions : by_tables)(~crc, data, bytes.len);
}

uint32_t crc32_update_portable(uint32_t crc, struct span bytes)
{
    return ~by_tables(~crc, (const unsigned char *)bytes.data, bytes.len);
}
