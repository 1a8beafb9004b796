/* hold.c - how long the engine's one thread was held: histograms of bounded size. */
#include "supervisor/engine/hold.h"

#include <time.h>

#define FIRST_SHIFT  13u /* below 8,192 ns all is one step: limits differ in whole microseconds */
#define OCTAVE_SHIFT 3u
#define OCTAVE_STEPS (1u << OCTAVE_SHIFT)
#define OCTAVES      22u
_Static_assert(HOLD_STEPS == OCTAVES * OCTAVE_STEPS + 2, "one below, one above the octaves");

const char *
hold_kind_name(enum hold_kind kind)
{
    static const char *const names[] = {
#define X(NAME, name) [HOLD_##NAME] = name,
        HOLD_KINDS(X)
#undef X
    };
    assert(kind < HOLD_KIND_COUNT);
    return names[kind];
}

static uint32_t
step_of(uint64_t ns)
{
    if (ns < 1u << FIRST_SHIFT)
        return 0;
    uint32_t octave = 63u - (uint32_t)__builtin_clzll(ns);
    uint32_t part = (uint32_t)(ns >> (octave - OCTAVE_SHIFT)) & (OCTAVE_STEPS - 1);
    return MIN((octave - FIRST_SHIFT) * OCTAVE_STEPS + part + 1, HOLD_STEPS - 1);
}

uint64_t
hold_step_limit(uint32_t step)
{
    assert(step < HOLD_STEPS);
    if (step == HOLD_STEPS - 1)
        return UINT64_MAX;
    uint32_t octave = FIRST_SHIFT + step / OCTAVE_STEPS, part = step % OCTAVE_STEPS;
    return ((uint64_t)(OCTAVE_STEPS + part) << (octave - OCTAVE_SHIFT)) - 1;
}

void
hold_spans_add(struct hold_spans *spans, uint64_t ns)
{
    uint32_t *step = &spans->steps[step_of(ns)];
    if (*step < UINT32_MAX)
        ++*step;
    spans->count++;
    spans->max_ns = MAX(spans->max_ns, ns);
}

uint64_t
hold_spans_share(const struct hold_spans *spans, uint32_t per_mille)
{
    assert(per_mille <= 1000);
    uint64_t counted = 0, seen = 0;
    for (uint32_t i = 0; i < HOLD_STEPS; i++)
        counted += spans->steps[i];
    uint64_t wanted = (counted / 1000) * per_mille + (counted % 1000 * per_mille + 999) / 1000;
    for (uint32_t i = 0; i < HOLD_STEPS; i++) {
        seen += spans->steps[i];
        if (seen >= wanted && seen > 0)
            return MIN(hold_step_limit(i), spans->max_ns);
    }
    return 0;
}

static uint64_t
clock_ns(clockid_t clock)
{
    struct timespec ts;
    int r = clock_gettime(clock, &ts);
    assert(r == 0);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t
hold_clock_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

struct hold_mark
hold_mark(void)
{
    return (struct hold_mark){.wall_ns = hold_clock_ns(),
                              .cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID)};
}

void
hold_add(struct hold *hold, struct hold_mark from, struct hold_mark to)
{
    hold_spans_add(&hold->wall, to.wall_ns - from.wall_ns);
    hold_spans_add(&hold->cpu, to.cpu_ns - from.cpu_ns);
}
