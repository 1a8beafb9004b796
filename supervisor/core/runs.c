/* runs.c - which of its clock times a pool has run. */
#include "supervisor/core/runs.h"
#include "supervisor/core/pool.h"
#include "supervisor/core/roll.h"

static bool
has_run(const struct run *run, uint32_t day)
{
    return day <= run->day && run->day - day <= RUNS_BACK_DAYS;
}

/* The place of that time: its own, a new one, or that of the time which has not run for longest. */
static uint32_t
run_place(const struct runs *runs, uint32_t minute)
{
    uint32_t oldest = 0;
    for (uint32_t i = 0; i < runs->len; i++) {
        if (runs->v[i].minute == minute)
            return i;
        if (runs->v[i].day < runs->v[oldest].day)
            oldest = i;
    }
    return runs->len < SCHEDULE_MAX ? runs->len : oldest;
}

void
runs_due(struct core *core, uint32_t pool, uint32_t minute, uint32_t day)
{
    const struct runs *runs = runs_at(core, pool);
    uint32_t place = run_place(runs, minute);
    bool known = place < runs->len && runs->v[place].minute == minute;
    assert(minute < MINUTES_A_DAY);
    if (known && has_run(&runs->v[place], day))
        return;
    struct runs *edit = runs_edit(core, pool);
    edit->v[place] = (struct run){.day = day, .minute = minute};
    edit->len = MAX(edit->len, place + 1);
    if (pool_is_up(core, pool))
        roll_scheduled(core, pool, minute);
}

void
runs_clear(struct core *core, uint32_t pool)
{
    if (runs_at(core, pool)->len == 0)
        return;
    memset(runs_edit(core, pool), 0, sizeof(struct runs));
}
