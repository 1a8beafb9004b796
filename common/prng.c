/* prng.c - splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators). */
#include "common/prng.h"

__extension__ typedef unsigned __int128 uint128; /* not in ISO C, and -Wpedantic says so */

uint64_t
prng_next(struct prng *prng)
{
    uint64_t z = (prng->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t
prng_below(struct prng *prng, uint64_t n)
{
    assert(n != 0);
    /* Multiply-shift: the bias is below n / 2^64. */
    return (uint64_t)(((uint128)prng_next(prng) * n) >> 64);
}
