/* hash.h - 64-bit FNV-1a, that can be continued piece by piece, and a finishing mix. Pure. Not for
 * keys that an enemy may choose where a collision would matter. */
#ifndef POOLD_HASH_H
#define POOLD_HASH_H

#include "common/base.h"

#define HASH_START UINT64_C(0xcbf29ce484222325)

/* The hash of what hash stands for with len bytes behind it. Start with HASH_START. */
static inline uint64_t
hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* Spreads the last bytes, which FNV leaves in the low bits. */
static inline uint64_t
hash_mix(uint64_t hash)
{
    hash = (hash ^ (hash >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    hash = (hash ^ (hash >> 27)) * UINT64_C(0x94d049bb133111eb);
    return hash ^ (hash >> 31);
}

#endif
