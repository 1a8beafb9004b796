/* swarm.c - draws the world of a seed. */
#include "test/sim/swarm.h"

#define FAULT_NAME_(n, s) [FAULT_##n] = (s),
const char *const fault_names[FAULT_COUNT] = {FAULTS(FAULT_NAME_)};

static uint64_t
between(struct prng *prng, uint64_t least, uint64_t most)
{
    return least + prng_below(prng, most - least + 1);
}

/* Spans are drawn by magnitude: 1, 2, 4, ... times the least, up to 2^doublings. */
static msec
span(struct prng *prng, msec least, uint32_t doublings)
{
    msec low = least << prng_below(prng, doublings + 1);
    return between(prng, low, 2 * low);
}

static bool
chance(struct prng *prng, uint32_t one_in)
{
    return prng_below(prng, one_in) == 0;
}

static void
settings_draw(struct prng *prng, struct pool_settings *settings)
{
    uint32_t size = (uint32_t)(chance(prng, 6) ? between(prng, 4, 12) : between(prng, 1, 3));
    *settings = (struct pool_settings){
        .workers_min = size,
        .workers_max = size,
        .surge = (uint32_t)between(prng, 1, chance(prng, 3) ? 4 : 1),
        .max_failures = (uint32_t)between(prng, 1, 8),
        .ready = (uint8_t)prng_below(prng, READY_RULE_COUNT),
        .overlap = !chance(prng, 4),
        .rapid_fail = !chance(prng, 4),
        .has_sockets = chance(prng, 2),
        .ready_after_ms = (uint32_t)between(prng, 0, 2500),
        .startup_timeout_ms = span(prng, 3000, 5),
        .shutdown_timeout_ms = span(prng, 500, 6),
        .failure_interval_ms = span(prng, 5000, 6),
        .failure_delay_ms = span(prng, 50, 3),
        .failure_delay_max_ms = span(prng, 1000, 4),
    };
}

/* Drawn apart: see swarm_draw. */
static void
recycling_draw(struct prng *prng, struct pool_settings *settings)
{
    settings->recycle_time_ms = chance(prng, 2) ? span(prng, 1000, 7) : 0;
    settings->recycle_jitter = (uint8_t)(chance(prng, 2) ? prng_below(prng, 51) : 10);
    settings->recycle_requests = chance(prng, 2) ? (uint32_t)span(prng, 20, 8) : 0;
}

#define FINGERPRINTS 4u /* few: what was changed is changed back now and then */

static void
settings_renew(struct prng *prng, struct pool_settings *settings, const struct pool_settings *other)
{
    settings->fingerprint =
        (settings->fingerprint + between(prng, 1, FINGERPRINTS - 1)) % FINGERPRINTS;
    settings->ready = other->ready;
    settings->ready_after_ms = other->ready_after_ms;
    if (chance(prng, 4))
        settings->has_sockets = other->has_sockets;
}

void
settings_redraw(struct prng *prng, struct pool_settings *settings, uint32_t size_max, bool renew)
{
    struct pool_settings other;
    settings_draw(prng, &other);
    if (chance(prng, 2))
        settings->workers_min = settings->workers_max = MIN(other.workers_max, size_max);
    if (chance(prng, 4))
        settings->overlap = other.overlap;
    if (chance(prng, 4))
        settings->on_config_change = !settings->on_config_change;
    if (chance(prng, 4))
        recycling_draw(prng, settings);
    if (chance(prng, 8)) {
        settings->max_failures = MIN(settings->max_failures, other.max_failures);
        settings->failure_interval_ms =
            MIN(settings->failure_interval_ms, other.failure_interval_ms);
    }
    if (renew)
        settings_renew(prng, settings, &other);
    settings->surge = other.surge;
    settings->startup_timeout_ms = other.startup_timeout_ms;
    settings->shutdown_timeout_ms = other.shutdown_timeout_ms;
    settings->failure_delay_ms = other.failure_delay_ms;
    settings->failure_delay_max_ms = other.failure_delay_max_ms;
}

void
settings_calm(struct pool_settings *settings)
{
    settings->recycle_time_ms = settings->recycle_requests = 0;
}

/* Table sizes from far too small to far too large. */
static uint32_t
workers_draw(struct prng *prng, const struct swarm *swarm)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < swarm->pools; i++)
        sum += swarm->settings[i].workers_max + swarm->settings[i].surge;
    return chance(prng, 5) ? sum : 2 * sum;
}

void
swarm_draw(struct swarm *swarm, uint64_t seed, uint64_t without, uint32_t events)
{
    struct prng prng = {.state = seed * 0x9e3779b97f4a7c15u + 1};
    *swarm = (struct swarm){
        .pools = (uint32_t)(chance(&prng, 3) ? 1 : between(&prng, 1, SIM_POOLS_MAX / 2)),
        .steps = (uint32_t)span(&prng, 100, 6),
        .command_gap_ms = span(&prng, 20, 9),
        .twin_gap = (uint32_t)between(&prng, 50, 800),
    };
    if (chance(&prng, 20))
        swarm->pools = SIM_POOLS_MAX;
    for (uint32_t i = 0; i < swarm->pools; i++) {
        settings_draw(&prng, &swarm->settings[i]);
        swarm->size_max[i] = swarm->settings[i].workers_max;
    }
    swarm->limits = (struct core_limits){
        .pools_max = swarm->pools,
        .workers_max = workers_draw(&prng, swarm),
        .starts_max = (uint32_t)between(&prng, 1, chance(&prng, 2) ? 2 : 16),
        .seed = seed,
    };
    for (uint32_t i = 0; i < FAULT_COUNT; i++) {
        bool on = chance(&prng, 2);
        uint16_t rate = (uint16_t)between(&prng, 1, 40);
        if (chance(&prng, 3))
            rate = (uint16_t)between(&prng, 40, 600);
        if (on && (without >> i & 1) == 0)
            swarm->rate[i] = rate;
    }
    /* Losing the state forgets what the witness knows, so most lives keep it. */
    if (!chance(&prng, 8))
        swarm->rate[FAULT_STATE_LOST] = 0;
    if (!chance(&prng, 4))
        swarm->rate[FAULT_EARLY_SHUTDOWN] = 0;
    /* Drawn apart, so that kept seeds live in the world that they were kept for. */
    prng.state = seed ^ 0x2545f4914f6cdd1du;
    for (uint32_t i = 0; i < swarm->pools; i++)
        swarm->settings[i].on_config_change = !chance(&prng, 4);
    swarm->refuses = chance(&prng, 3);
    prng.state = seed ^ 0xa0761d6478bd642fu;
    swarm->recycles_max = (uint32_t)(chance(&prng, 2) ? between(&prng, 1, 3) : 0);
    for (uint32_t i = 0; i < swarm->pools; i++)
        recycling_draw(&prng, &swarm->settings[i]);
    if (events != 0)
        swarm->steps = events;
}
