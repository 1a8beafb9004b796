/* failure.c - the failure account of a pool. */
#include "supervisor/core/failure.h"
#include "supervisor/core/pool.h"

msec
failure_delay_ms(struct core *core, const struct pool_settings *settings, uint32_t n)
{
    assert(n >= 1);
    if (n == 1)
        return 0;
    msec delay = settings->failure_delay_ms, most = settings->failure_delay_max_ms;
    for (uint32_t i = 2; i < n && delay < most; i++)
        delay *= 2;
    delay = MIN(delay, most);
    delay += prng_below(&global_edit(core)->prng, delay / 4 + 1);
    return MIN(delay, most);
}

msec
failure_delay_start(struct core *core, uint32_t worker)
{
    const struct worker *w = worker_at(core, worker);
    uint32_t pool = w->id.pool;
    struct pool *p = pool_edit(core, pool);

    bool held = w->ready_at != 0 && core->now - w->ready_at >= STREAK_RESET_MS;
    bool quiet = core->now - p->failed_at >= p->settings.failure_interval_ms;
    if (held || quiet)
        p->streak = 0;
    if (p->streak < UINT16_MAX)
        p->streak++;
    p->failed_at = core->now;
    /* Never sooner than a delay that is running: another slot may have earned that one. */
    msec at = after(core->now, failure_delay_ms(core, &p->settings, p->streak));
    p->next_start_at = MAX(p->next_start_at, at);
    return pool_is_up(core, pool) ? p->next_start_at - core->now : MSEC_NEVER;
}

static bool
is_in_window(const struct pool *p, const struct failure *failure, msec now)
{
    return now - failure->at < p->settings.failure_interval_ms;
}

/* Keeps the newest ones. */
static void
failures_keep(struct failures *failures, uint32_t keep)
{
    uint32_t drop = failures->len - keep;
    memmove(&failures->v[0], &failures->v[drop], keep * sizeof(struct failure));
    failures->len = keep;
}

bool
failure_count(struct core *core, uint32_t worker, uint32_t event, struct exit_status status)
{
    const struct worker *w = worker_at(core, worker);
    uint32_t pool = w->id.pool;
    const struct pool *p = pool_at(core, pool);
    struct failures *failures = failures_edit(core, pool);

    /* Those that left the window go, and the oldest one when the account is full. */
    uint32_t keep = MIN(failures_in_window(core, pool, core->now), p->settings.max_failures - 1);
    failures_keep(failures, keep);
    failures->v[failures->len++] = (struct failure){
        .at = core->now,
        .age_ms = (uint32_t)MIN(core->now - w->spawned_at, UINT32_MAX),
        .event = (uint16_t)event,
        .status = status,
    };
    return p->settings.rapid_fail && pool_is_up(core, pool) &&
           failures->len >= p->settings.max_failures;
}

uint32_t
failures_in_window(const struct core *core, uint32_t pool, msec now)
{
    const struct pool *p = pool_at(core, pool);
    if (p->failed_at == 0)
        return 0; /* keeps the page of a pool that never failed untouched */
    const struct failures *failures = failures_at(core, pool);
    uint32_t gone = 0;
    while (gone < failures->len && !is_in_window(p, &failures->v[gone], now))
        gone++;
    return failures->len - gone;
}

void
failures_trim(struct core *core, uint32_t pool)
{
    uint32_t most = pool_at(core, pool)->settings.max_failures;
    if (failures_at(core, pool)->len > most)
        failures_keep(failures_edit(core, pool), most);
}

void
failures_clear(struct core *core, uint32_t pool)
{
    struct pool *p = pool_edit(core, pool);
    if (p->failed_at != 0 && failures_at(core, pool)->len > 0)
        failures_edit(core, pool)->len = 0;
    p->streak = p->retry_streak = p->bind_streak = 0;
    p->next_start_at = p->retry_at = p->failed_at = 0;
}
