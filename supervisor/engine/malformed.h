/* malformed.h - how many malformed messages a worker has sent of late: ten in any 60 s are too many. */
#ifndef POOLD_ENGINE_MALFORMED_H
#define POOLD_ENGINE_MALFORMED_H

#include "common/base.h"

#define MALFORMED_MAX    10u
#define MALFORMED_WINDOW 60000u /* ms */

struct malformed {
    msec at[MALFORMED_MAX]; /* the last ones, a ring */
    uint32_t count;         /* since the beginning, or since there were too many */
};

/* Notes one. True when there are too many now; then it begins anew. */
static inline bool
malformed_note(struct malformed *malformed, msec now)
{
    malformed->at[malformed->count++ % MALFORMED_MAX] = now;
    msec oldest = malformed->at[malformed->count % MALFORMED_MAX];
    if (malformed->count < MALFORMED_MAX || now - oldest > MALFORMED_WINDOW)
        return false;
    malformed->count = 0;
    return true;
}

#endif
