/* rights.h - limits that poold has no right to give. */
#ifndef POOLD_LOAD_RIGHTS_H
#define POOLD_LOAD_RIGHTS_H

#include "common/base.h"

/* Each: whether a process of ours can have it; if not, what poold itself was started with, beyond
 * which none can go. resource: RLIMIT_*, limit in the kernel's unit, RLIM_INFINITY: none. */
bool rights_give_limit(uint32_t resource, uint64_t limit, uint64_t *most);
bool rights_give_nice(int32_t nice, int32_t *least);
bool rights_give_oom_score(int32_t score, int32_t *least);

#endif
