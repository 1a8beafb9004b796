/* prng.h - a small seeded generator: integers only, state is one word. Pure. Splitmix64 (Steele, Lea,
 * Flood: Fast splittable pseudorandom number generators). Inline, because the simulator draws more
 * often than it does anything else. */
#ifndef POOLD_PRNG_H
#define POOLD_PRNG_H

#include "common/base.h"

__extension__ typedef unsigned __int128 prng_product; /* not in ISO C, and -Wpedantic says so */

struct prng {
    uint64_t state;
};

/* The next 64 bits. */
static inline uint64_t
prng_next(struct prng *prng)
{
    uint64_t z = (prng->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Uniform in 0..n-1; n must not be 0. */
static inline uint64_t
prng_below(struct prng *prng, uint64_t n)
{
    assert(n != 0);
    /* Multiply-shift: the bias is below n / 2^64. */
    return (uint64_t)(((prng_product)prng_next(prng) * n) >> 64);
}

#endif
