/* portion.h - how much of the work that waits one callback may do before others get their turn.
 *
 * Whatever waits, at least one piece is done: work always goes on, whoever else has the CPU. */
#ifndef POOLD_ENGINE_PORTION_H
#define POOLD_ENGINE_PORTION_H

#include "supervisor/engine/hold.h"

struct portion {
    uint32_t left; /* pieces */
    uint32_t taken;
    uint64_t until_ns; /* of CLOCK_MONOTONIC */
};

/* At most that many pieces, and none is begun after so many microseconds. */
static inline struct portion
portion_of(uint32_t pieces, uint32_t us)
{
    return (struct portion){.left = pieces, .until_ns = hold_clock_ns() + (uint64_t)us * 1000};
}

/* Whether the time is over: what has begun should end soon. */
static inline bool
portion_is_over(const struct portion *portion)
{
    return hold_clock_ns() >= portion->until_ns;
}

/* Takes one piece; false when the rest must wait. */
static inline bool
portion_take(struct portion *portion)
{
    if (portion->taken > 0 && (portion->left == 0 || portion_is_over(portion)))
        return false;
    portion->left -= portion->left > 0;
    portion->taken++;
    return true;
}

#endif
