/* prng.h - a small seeded generator (splitmix64): integers only, state is one word. Pure. */
#ifndef POOLD_PRNG_H
#define POOLD_PRNG_H

#include "common/base.h"

struct prng {
    uint64_t state;
};

/* The next 64 bits. */
uint64_t prng_next(struct prng *);

/* Uniform in 0..n-1; n must not be 0. */
uint64_t prng_below(struct prng *, uint64_t n);

#endif
