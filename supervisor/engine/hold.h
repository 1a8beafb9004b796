/* hold.h - how long the engine's one thread was held, and by what: histograms of bounded size.
 *
 * Each span is measured twice: by the clock, and by what the thread itself used of a CPU. What the two
 * differ by is time that others had the CPU (or that the engine waited, which it must not). */
#ifndef POOLD_ENGINE_HOLD_H
#define POOLD_ENGINE_HOLD_H

#include "common/base.h"

/* HOLD(NAME, "name in status") */
#define HOLD_KINDS(X)                                                                              \
    X(TURN, "turns")         /* all callbacks between two polls */                                 \
    X(CALLBACK, "callbacks") /* one watch's, or the end of the turn */                             \
    X(SPAWN, "spawns")       /* asking the keeper for one process */

enum hold_kind {
#define X(NAME, name) HOLD_##NAME,
    HOLD_KINDS(X)
#undef X
        HOLD_KIND_COUNT
};
const char *hold_kind_name(enum hold_kind);

/* Eight steps for each doubling from 8 us to 34 s: a value read out is at most an eighth too high,
 * and never below 8 us unless all are. */
#define HOLD_STEPS 178u

struct hold_spans {
    uint64_t count, max_ns;
    uint32_t steps[HOLD_STEPS]; /* a step that is full stays full */
};

struct hold {
    struct hold_spans wall, cpu;
};

void hold_spans_add(struct hold_spans *, uint64_t ns);

/* What the given share of the spans, in thousandths, did not exceed, in ns; 0 without a span. */
uint64_t hold_spans_share(const struct hold_spans *, uint32_t per_mille);

/* The longest span that belongs to a step, in ns; UINT64_MAX for the last. */
uint64_t hold_step_limit(uint32_t step);

uint64_t hold_clock_ns(void); /* CLOCK_MONOTONIC */

/* An instant by both clocks. */
struct hold_mark {
    uint64_t wall_ns, cpu_ns;
};
struct hold_mark hold_mark(void);
void hold_add(struct hold *, struct hold_mark from, struct hold_mark to);

#endif
