/* life.h - one life from birth to LEAVE. */
#ifndef POOLD_SIM_LIFE_H
#define POOLD_SIM_LIFE_H

#include "common/base.h"

struct life_options {
    uint64_t seed;
    uint64_t without; /* bits of enum fault */
    uint32_t events;  /* of the chaos phase; 0: drawn */
    bool trace;
    bool quiet; /* print no complaint: the shrinker only wants to know */
};

struct life_result {
    bool failed;
    uint64_t steps; /* events that the core was fed */
    msec simulated_ms;
    uint64_t digest;
};

/* Lives once. A rule that is broken, or an assertion of the core, ends the life as failed. */
void life_run(const struct life_options *, struct life_result *out);

#endif
