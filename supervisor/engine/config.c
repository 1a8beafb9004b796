/* config.c - another configuration while workers run. */
#include "supervisor/engine/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/engine/shell_inside.h"

/* A loop turn: each well below half a millisecond. */
#define PLAN_TURN 64u  /* pools */
#define BIND_TURN 128u /* socket records that are looked at */
#define TELL_TURN 32u  /* pools; some 10 us each */

enum config_phase { IDLE, LOADING, PLANNING, BINDING, TAKING, TELLING, PHASE_COUNT };

struct config {
    struct shell *shell;
    enum config_phase phase; /* only enter changes it */
    uint64_t round;          /* of this phase; IDLE: of the last one */
    bool apply;              /* somebody wants this round's to be applied */
    bool again, again_apply; /* somebody asked since this round began */
    struct record loaded;    /* LOADING ends with it; TELLING: the one before */
    struct plan_totals totals;
    uint32_t places[CONFIG_PLACES_MAX], places_len;
    uint32_t next;       /* PLANNING, TELLING: place; BINDING: socket record */
    uint32_t binds_open; /* BIND questions without an answer yet */
    char why[256];
};

static void
enter(struct config *config, enum config_phase phase)
{
    static const uint8_t legal[PHASE_COUNT] = {/* bits: where a phase may lead */
                                               [IDLE] = 1 << LOADING,
                                               [LOADING] = 1 << PLANNING | 1 << IDLE,
                                               [PLANNING] = 1 << BINDING | 1 << IDLE,
                                               [BINDING] = 1 << TAKING | 1 << IDLE,
                                               [TAKING] = 1 << TELLING | 1 << IDLE,
                                               [TELLING] = 1 << IDLE};
    assert((legal[config->phase] & 1u << phase) != 0);
    config->phase = phase;
    config->next = 0;
}

/* --- mapping */
static int
map_open(int fd, struct record *out)
{
    struct stat st;
    if (fd < 0)
        return -EBADF;
    if (fstat(fd, &st) != 0 || st.st_size <= 0)
        return -EINVAL;
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0); /* record.h: why */
    if (map == MAP_FAILED)
        return -errno;
    int r = record_open(out, map, (size_t)st.st_size);
    if (r != 0)
        munmap(map, (size_t)st.st_size);
    return r;
}

static void
map_close(struct record *record)
{
    if (record->header != NULL)
        munmap((void *)(uintptr_t)record->header, record->size);
    *record = (struct record){0};
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
    enter(config, LOADING);
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

/* The round is over, with what was loaded dropped unless it is in force. */
static void
round_end(struct config *config)
{
    struct config_outcome outcome = outcome_of(config);
    control_config_planned(config->shell->control, config->round, &outcome);
    control_config_ended(config->shell->control, config->round, &outcome);
    if (config->phase != TELLING)
        shell_ask(config->shell, VERB_DROP, (struct verb){0});
    map_close(&config->loaded);
    enter(config, IDLE);
    if (config->again) {
        bool apply = config->again_apply;
        config->again = config->again_apply = false;
        round_begin(config, apply);
    }
}

/* Nothing has changed, and the log is told why. */
static void
round_refuse(struct config *config)
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
    round_end(config);
}

uint64_t
config_ask(struct config *config, bool apply)
{
    if (config->phase == IDLE) {
        round_begin(config, apply);
        return config->round;
    }
    config->again = true;
    config->again_apply |= apply;
    return config->round + 1;
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
        r = map_open(fd, &config->loaded);
    if (fd >= 0)
        close(fd);
    if (r != 0)
        snprintf(config->why, sizeof config->why, "the loader could not be run: %s", strerror(-r));
    else if (config->loaded.header->errors > 0)
        say_errors(config);
    if (config->why[0] != '\0')
        round_refuse(config);
    else
        enter(config, PLANNING);
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

static void
plan_step(struct config *config)
{
    const struct record *before = &config->shell->record, *after = &config->loaded;
    uint32_t places = plan_places(before, after);
    for (uint32_t i = 0; i < PLAN_TURN && config->next < places; i++, config->next++) {
        struct plan_pool pool;
        plan_pool(before, after, config->next, &pool);
        plan_add(&config->totals, &pool);
        if (pool.change != PLAN_SAME && config->places_len < CONFIG_PLACES_MAX)
            config->places[config->places_len++] = config->next;
    }
    if (config->next < places)
        return;
    struct config_outcome outcome = outcome_of(config);
    control_config_planned(config->shell->control, config->round, &outcome);
    if (!config->apply)
        round_end(config);
    else if (!fits(config))
        round_refuse(config);
    else
        enter(config, BINDING);
}

/* --- binding */

/* Its workers have the sockets of the configuration in force: those that come are bound now, and not
 * when it starts. */
static bool
pool_is_bound(const struct shell *shell, uint32_t pool)
{
    if (pool >= shell->record.header->pools)
        return false;
    const struct record_pool *record = &shell->record.pools[pool];
    for (uint32_t i = 0; i < record->socket_count; i++) {
        if (!shell->bound[record->socket_first + i])
            return false;
    }
    return record->socket_count > 0;
}

static void
bind_step(struct config *config)
{
    struct shell *shell = config->shell;
    const struct record *after = &config->loaded;
    uint32_t sockets = after->header->sockets;
    for (uint32_t i = 0; i < BIND_TURN && config->next < sockets; i++, config->next++) {
        if (!pool_is_bound(shell, after->sockets[config->next].pool) ||
            plan_socket_before(&shell->record, after, config->next) != NONE)
            continue;
        config->binds_open++;
        shell_ask(shell, VERB_BIND, (struct verb){.index = config->next, .argument = 1});
    }
    if (config->next < sockets || config->binds_open > 0)
        return;
    if (config->why[0] != '\0') {
        round_refuse(config);
        return;
    }
    enter(config, TAKING);
    shell_ask(shell, VERB_TAKE, (struct verb){0});
}

void
config_on_bound(struct config *config, const struct verb *verb)
{
    const struct record *after = &config->loaded;
    assert(config->phase == BINDING && config->binds_open > 0);
    config->binds_open--;
    if (verb->error == 0 || config->why[0] != '\0')
        return;
    const struct record_socket *socket = &after->sockets[verb->index];
    snprintf(config->why, sizeof config->why, "pool %s: the address %s cannot be bound: %s",
             record_text(after, after->pools[socket->pool].name),
             record_text(after, socket->address), strerror(verb->error));
}

/* --- taking and telling */
void
config_on_taken(struct config *config, const struct verb *verb)
{
    struct shell *shell = config->shell;
    assert(config->phase == TAKING);
    int r = verb->error != 0 ? -verb->error : shell_swap_record(shell, &config->loaded);
    if (r != 0) {
        snprintf(config->why, sizeof config->why, "the keeper could not take it: %s", strerror(-r));
        round_refuse(config);
        return;
    }
    config_tell_limits(shell);
    enter(config, TELLING);
}

static void
tell_applied(struct config *config)
{
    const struct plan_totals *totals = &config->totals;
    const struct record_header *header = config->shell->record.header;
    struct event_fields fields = {0};
    char serial[20];
    snprintf(serial, sizeof serial, "%016llx", (unsigned long long)header->serial);
    fields_number(&fields, "pools", header->pools_present);
    fields_number(&fields, "added", totals->added);
    fields_number(&fields, "removed", totals->removed);
    fields_number(&fields, "changed", totals->changed);
    fields_number(&fields, "recycles", totals->recycles);
    fields_number(&fields, "drifts", totals->drifts);
    fields_number(&fields, "opened", totals->opened);
    fields_number(&fields, "closed", totals->closed);
    fields_string(&fields, "serial", serial);
    events_emit(config->shell->events, EVENT_CONFIG_APPLIED, NULL, (struct worker_id){0}, &fields,
                "the configuration %s is in force: %u added, %u removed, %u changed (%u of them by "
                "recycling), %u as they were",
                record_text(&config->shell->record, header->source), totals->added, totals->removed,
                totals->changed, totals->recycles,
                header->pools_present - totals->added - totals->changed);
}

static void
tell_drift(struct config *config, uint32_t place)
{
    struct plan_pool pool;
    plan_pool(&config->loaded, &config->shell->record, place, &pool);
    if (!pool.drifts)
        return;
    struct event_fields fields = {0};
    fields_number(&fields, "keys", pool.keys[EFFECT_RECYCLE] + pool.keys[EFFECT_REBIND]);
    events_emit(config->shell->events, EVENT_CONFIG_DRIFT, shell_pool_name(config->shell, place),
                (struct worker_id){.pool = place}, &fields,
                "workers of %s keep their old settings (recycling.on_config_change is false); "
                "poolctl recycle %s brings the new ones",
                shell_pool_name(config->shell, place), shell_pool_name(config->shell, place));
}

static void
tell_step(struct config *config)
{
    struct shell *shell = config->shell;
    uint32_t places = shell->record.header->pools;
    for (uint32_t i = 0; i < TELL_TURN && config->next < places; i++, config->next++) {
        config_tell_core(shell, config->next, true);
        config_start(shell, config->next);
        shell_bind_again(shell, config->next);
        tell_drift(config, config->next);
    }
    if (config->next < places)
        return;
    tell_applied(config);
    round_end(config);
}

/* --- the whole */
bool
config_turn(struct config *config)
{
    uint64_t round = config->round;
    enum config_phase phase = config->phase;
    uint32_t next = config->next;
    if (phase == PLANNING)
        plan_step(config);
    else if (phase == BINDING)
        bind_step(config);
    else if (phase == TELLING)
        tell_step(config);
    return config->phase != phase || config->next != next || config->round != round;
}

bool
config_is_taking(const struct config *config)
{
    return config->phase == TAKING;
}

bool
config_is_telling(const struct config *config)
{
    return config->phase == TELLING;
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
    map_close(&(*at)->loaded);
    free(*at);
    *at = NULL;
}

void
config_tell_limits(struct shell *shell)
{
    struct event limits = {.kind = EV_LIMITS, .starts_max = shell->record.header->starts_max};
    shell_feed(shell, &limits);
}

void
config_tell_core(struct shell *shell, uint32_t place, bool apply)
{
    const struct record_pool *record = &shell->record.pools[place];
    struct pool_view view;
    bool known = core_pool(shell->core, place, shell_now(shell), &view);
    if (!record->present) {
        struct event remove = {
            .kind = EV_POOL_REMOVE, .worker.pool = place, .by_operator = apply};
        if (known)
            shell_feed(shell, &remove);
        return;
    }
    struct event add = {.kind = EV_POOL_ADD,
                        .worker.pool = place,
                        .settings = &record->settings,
                        .by_operator = apply};
    shell_feed(shell, &add);
}

/* Refused as it is configured: an address outside the inclusion list. */
static void
tell_refused(struct shell *shell, uint32_t place, const char *why)
{
    struct event_fields fields = {0};
    struct event stop = {.kind = EV_POOL_STOP, .worker.pool = place};
    fields_string(&fields, "reason", why);
    events_emit(shell->events, EVENT_POOL_NOT_STARTED, shell_pool_name(shell, place),
                (struct worker_id){.pool = place}, &fields, "%s is not started: %s",
                shell_pool_name(shell, place), why);
    shell_feed(shell, &stop);
}

void
config_start(struct shell *shell, uint32_t place)
{
    const struct record_pool *record = &shell->record.pools[place];
    const char *refused = record_text(&shell->record, record->refused);
    struct pool_view view;
    if (!record->present || !core_pool(shell->core, place, shell_now(shell), &view))
        return;
    bool is_new = !view.wanted_up && view.reason == REASON_NEVER;
    if (refused[0] != '\0' && (view.wanted_up || is_new)) {
        tell_refused(shell, place, refused);
    } else if (is_new && record->auto_start) {
        struct event start = {.kind = EV_POOL_START, .worker.pool = place};
        shell_feed(shell, &start);
    }
}

bool
config_socket_is_bound(const struct shell *shell, const struct record *before, const bool *bound,
                       uint32_t socket)
{
    const struct record *after = &shell->record;
    uint32_t pool = after->sockets[socket].pool, same = plan_socket_before(before, after, socket);
    if (same != NONE)
        return bound[same];
    if (pool >= before->header->pools)
        return false;
    const struct record_pool *old = &before->pools[pool];
    /* New, and bound before the configuration was taken, as pool_is_bound said. */
    for (uint32_t i = 0; i < old->socket_count; i++) {
        if (!bound[old->socket_first + i])
            return false;
    }
    return old->socket_count > 0;
}
