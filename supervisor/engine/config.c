/* config.c - another configuration while workers run. */
#include "supervisor/engine/config_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/engine/last_good.h"
#include "supervisor/record_map.h"

#define PLAN_TURN        64u /* pools a loop turn: well below half a millisecond */
#define APPLY_DEATHS_MAX 3u /* engines that one apply may cost: a configuration may be what kills */

void
config_enter(struct config *config, enum config_phase phase)
{
    static const uint8_t legal[PHASE_COUNT] = {/* bits: where a phase may lead */
                                               [IDLE] = 1 << LOADING | 1 << KEEPING,
                                               [LOADING] = 1 << PLANNING | 1 << IDLE,
                                               [PLANNING] = 1 << BINDING | 1 << IDLE,
                                               [BINDING] = 1 << TAKING | 1 << IDLE,
                                               [TAKING] = 1 << TELLING | 1 << IDLE,
                                               [TELLING] = 1 << IDLE,
                                               [KEEPING] = 1 << IDLE};
    assert((legal[config->phase] & 1u << phase) != 0);
    config->phase = phase;
    config->next = 0;
}

/* --- rounds */
static void
round_begin(struct config *config, bool apply)
{
    config->round++;
    config->apply = apply;
    config->why[0] = '\0';
    config->totals = (struct plan_totals){0};
    config->places_len = 0;
    config->crowded = config->beside = false;
    config_enter(config, LOADING);
    shell_ask(config->shell, VERB_LOAD, (struct verb){0});
}

static struct config_outcome
outcome_of(const struct config *config)
{
    bool loaded = config->loaded.header != NULL;
    bool swapped = config->phase == TELLING;
    const struct record *force = &config->shell->record;
    return (struct config_outcome){.before = swapped ? &config->loaded : force,
                                   .after = swapped  ? force
                                            : loaded ? &config->loaded
                                                     : NULL,
                                   .totals = &config->totals,
                                   .places = config->places,
                                   .places_len = config->places_len,
                                   .why = config->why};
}

/* What is in force is kept first: what comes next may be long. */
static void
idle_leave(struct config *config)
{
    if (last_good_is_due(config->shell)) {
        config_enter(config, KEEPING);
        shell_ask(config->shell, VERB_KEEP, (struct verb){0});
    } else if (config->again) {
        bool apply = config->again_apply;
        config->again = config->again_apply = false;
        round_begin(config, apply);
    }
}

/* What was asked for is done or refused; what was asked for since is a new attempt. */
static void
apply_is_over(const struct config *config)
{
    struct state_stops *stops = state_stops(config->shell->state);
    stops->apply = config->again_apply;
    stops->apply_deaths = 0;
}

void
config_end(struct config *config)
{
    struct config_outcome outcome = outcome_of(config);
    control_config_planned(config->shell->control, config->round, &outcome);
    control_config_ended(config->shell->control, config->round, &outcome);
    if (config->apply)
        apply_is_over(config);
    if (config->phase != TELLING)
        shell_ask(config->shell, VERB_DROP, (struct verb){0});
    record_unmap(&config->loaded);
    shell_room_drop(&config->room);
    config_enter(config, IDLE);
    idle_leave(config);
}

void
config_on_kept(struct config *config, const struct verb *verb)
{
    assert(config->phase == KEEPING);
    last_good_on_kept(config->shell, verb);
    config_enter(config, IDLE);
    idle_leave(config);
}

void
config_refuse(struct config *config)
{
    const struct record *loaded = config->loaded.header != NULL ? &config->loaded : NULL;
    uint32_t errors = loaded != NULL ? loaded->header->errors : 0;
    if (config->apply) {
        struct event_fields fields = {0};
        fields_number(&fields, "errors", MAX(errors, 1u));
        fields_string(&fields, "file",
                      loaded != NULL ? record_text(loaded, loaded->header->source)
                                     : record_text(&config->shell->record,
                                                   config->shell->record.header->source));
        events_emit(config->shell->events, EVENT_CONFIG_INVALID, NULL, (struct worker_id){0},
                    &fields, "the configuration is refused and every pool stays as it was: %s",
                    config->why);
    }
    config_end(config);
}

uint64_t
config_ask(struct config *config, bool apply)
{
    if (apply)
        state_stops(config->shell->state)->apply = true;
    if (config->phase == IDLE) {
        round_begin(config, apply);
        return config->round;
    }
    config->again = true;
    config->again_apply |= apply;
    return config->round + 1;
}

void
config_resume(struct config *config)
{
    struct shell *shell = config->shell;
    struct state_stops *stops = state_stops(shell->state);
    struct event_fields fields = {0};
    if (!stops->apply)
        return;
    if (!shell->stopping && ++stops->apply_deaths < APPLY_DEATHS_MAX) {
        config_ask(config, true);
        return;
    }
    /* Short: the ring keeps some 200 bytes of it. One that is stopping gives up without a word. */
    if (!shell->stopping) {
        fields_string(&fields, "file", record_text(&shell->record, shell->record.header->source));
        events_emit(shell->events, EVENT_CONFIG_INVALID, NULL, (struct worker_id){0}, &fields,
                    "the files are not applied any more: the engine ended %u times while they were "
                    "(standard error says why); mend them, then poolctl config apply",
                    stops->apply_deaths);
    }
    stops->apply = false;
    stops->apply_deaths = 0;
}

/* --- loading */
static void
say_errors(struct config *config)
{
    const struct record *loaded = &config->loaded;
    uint32_t errors = loaded->header->errors;
    snprintf(config->why, sizeof config->why, "%u error%s; %s%.*s", errors, errors == 1 ? "" : "s",
             errors == 1 ? "" : "the first: ", (int)MIN(strcspn(loaded->text, "\n"), (size_t)200),
             loaded->text);
}

void
config_on_loaded(struct config *config, const struct verb *verb, int fd)
{
    int r = -verb->error;
    assert(config->phase == LOADING);
    if (r == 0)
        r = record_map(&config->loaded, fd, NULL);
    if (fd >= 0)
        close(fd);
    if (r != 0)
        snprintf(config->why, sizeof config->why, "the loader could not be run: %s", strerror(-r));
    else if (config->loaded.header->errors > 0)
        say_errors(config);
    if (config->why[0] != '\0')
        config_refuse(config);
    else
        config_enter(config, PLANNING);
}

/* --- planning */

/* Whether there is room for it: descriptors, and places for pools. */
static bool
fits(struct config *config)
{
    const struct record *after = &config->loaded;
    uint64_t needed = 0;
    uint32_t allowed = config->shell->hello.u.hello.workers_max;
    for (uint32_t i = 0; i < after->header->pools; i++)
        needed += after->pools[i].settings.workers_max;
    if (needed > allowed)
        snprintf(config->why, sizeof config->why,
                 "it asks for %llu workers, the limit of open descriptors allows %u: raise it "
                 "(ulimit -n, LimitNOFILE=) and start poold again, or start fewer",
                 (unsigned long long)needed, allowed);
    else if (after->header->pools > config->shell->limits.pools_max)
        snprintf(config->why, sizeof config->why,
                 "it has %u places for pools, and this poold was started with room for %u: "
                 "start it again",
                 after->header->pools, config->shell->limits.pools_max);
    return config->why[0] == '\0';
}

/* A place that another pool gets must be empty: who drains there would be told of by the new name. */
static void
check_hands(struct config *config, uint32_t place)
{
    const struct record *before = &config->shell->record, *after = &config->loaded;
    if (plan_place_changes_hands(before, after, place) &&
        shell_pool_is_there(config->shell, place) && config->why[0] == '\0')
        snprintf(config->why, sizeof config->why,
                 "pool %s is to have the place of %s, which was taken out and still drains: apply "
                 "again when that has gone",
                 record_text(after, after->pools[place].name),
                 record_text(before, before->pools[place].name));
}

static void
plan_step(struct config *config)
{
    const struct record *before = &config->shell->record, *after = &config->loaded;
    uint32_t places = plan_places(before, after);
    for (uint32_t i = 0; i < PLAN_TURN && config->next < places; i++, config->next++) {
        struct plan_pool pool;
        plan_pool(before, after, config->next, &pool);
        plan_add(&config->totals, &pool);
        check_hands(config, config->next);
        if (pool.change != PLAN_SAME && config->places_len < CONFIG_PLACES_MAX)
            config->places[config->places_len++] = config->next;
    }
    if (config->next < places)
        return;
    if (config->why[0] != '\0' || !fits(config)) {
        config_refuse(config);
        return;
    }
    struct config_outcome outcome = outcome_of(config);
    control_config_planned(config->shell->control, config->round, &outcome);
    if (!config->apply)
        config_end(config);
    else
        config_enter(config, BINDING);
}

/* --- the whole */
bool
config_turn(struct config *config)
{
    uint64_t round = config->round;
    enum config_phase phase = config->phase;
    uint32_t next = config->next;
    if (phase == IDLE) /* poold has just begun */
        idle_leave(config);
    else if (phase == PLANNING)
        plan_step(config);
    else if (phase == BINDING)
        config_bind_step(config);
    else if (phase == TELLING)
        config_tell_step(config);
    return config->phase != phase || config->next != next || config->round != round;
}

bool
config_is_taking(const struct config *config)
{
    return config->phase == TAKING;
}

int
config_create(struct config **out, struct shell *shell)
{
    struct config *config = calloc(1, sizeof *config);
    if (config == NULL)
        return -ENOMEM;
    config->shell = shell;
    *out = config;
    return 0;
}

void
config_destroy(struct config **at)
{
    if (*at == NULL)
        return;
    record_unmap(&(*at)->loaded);
    shell_room_drop(&(*at)->room);
    free(*at);
    *at = NULL;
}
