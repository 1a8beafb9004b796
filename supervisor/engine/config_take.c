/* config_take.c - a configuration that was planned: its sockets are bound, the keeper takes it, the core
 * is told. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/engine/config_inside.h"
#include "supervisor/engine/holder.h"
#include "supervisor/engine/sockets.h"

/* A loop turn: each well below half a millisecond. */
#define BIND_TURN 128u /* socket records that are looked at */
#define TELL_TURN 32u  /* pools; some 10 us each */

/* --- binding */

/* Its workers have the sockets of the configuration in force: those that come are bound now, and not
 * when it starts. Of no pool is the control socket, which always is. */
static bool
pool_is_bound(const struct shell *shell, uint32_t pool)
{
    if (pool == NONE)
        return true;
    if (pool >= shell->record.header->pools)
        return false;
    const struct record_pool *record = &shell->record.pools[pool];
    for (uint32_t i = 0; i < record->socket_count; i++) {
        if (!shell->room.bound[record->socket_first + i])
            return false;
    }
    return record->socket_count > 0;
}

void
config_bind_step(struct config *config)
{
    struct shell *shell = config->shell;
    const struct record *after = &config->loaded;
    uint32_t sockets = after->header->sockets;
    for (uint32_t i = 0; i < BIND_TURN && config->next < sockets; i++, config->next++) {
        if (!pool_is_bound(shell, after->sockets[config->next].pool) ||
            plan_socket_held(&shell->record, after, config->next) != NONE)
            continue;
        config->binds_open++;
        shell_ask(shell, VERB_BIND,
                  (struct verb){.index = config->next,
                                .argument = config->beside ? BIND_BESIDE : BIND_NEXT});
    }
    if (config->next < sockets || config->binds_open > 0)
        return;
    if (config->why[0] == '\0' && config->crowded && !config->beside) {
        config->beside = true; /* last, as clients may come to them at once: no refusal cuts them */
        config->next = 0;
        return;
    }
    if (config->why[0] == '\0' && shell_room_make(&config->room, after) != 0)
        snprintf(config->why, sizeof config->why, "there is no memory for its %u pools",
                 after->header->pools_present);
    if (config->why[0] != '\0') {
        config_refuse(config);
        return;
    }
    config_enter(config, TAKING);
    shell_ask(shell, VERB_TAKE, (struct verb){0});
}

/* A socket of ours that is in the way of that address: the same port, on another address. Its workers
 * hold it until they have drained, so it cannot make room within one change. NULL: none. */
static const struct record_socket *
own_socket_in_the_way(const struct shell *shell, const struct record_socket *wanted)
{
    const struct record *record = &shell->record;
    struct sockaddr_in port, other; /* the port stands at the same place in both families */
    memcpy(&port, wanted->sockaddr, sizeof port);
    for (uint32_t i = 0; i < record->header->sockets && wanted->family != AF_UNIX; i++) {
        memcpy(&other, record->sockets[i].sockaddr, sizeof other);
        if (shell->room.bound[i] && record->sockets[i].family != AF_UNIX &&
            other.sin_port == port.sin_port)
            return &record->sockets[i];
    }
    return NULL;
}

static void
say_control_not_bound(struct config *config, const struct record_socket *socket, int error)
{
    char holder[HOLDER_NAME_MAX] = "";
    if (error == EADDRINUSE)
        holder_find(socket, holder);
    snprintf(config->why, sizeof config->why, "the control socket %s cannot be bound: %s%s%s",
             record_text(&config->loaded, socket->address), strerror(error),
             holder[0] == '\0' ? "" : "; what is there belongs to user ", holder);
}

static void
say_pool_not_bound(struct config *config, const struct record_socket *socket, int error)
{
    const struct record *after = &config->loaded, *before = &config->shell->record;
    const struct record_socket *own =
        error == EADDRINUSE ? own_socket_in_the_way(config->shell, socket) : NULL;
    char holder[HOLDER_NAME_MAX] = "", who[256] = "";
    if (own != NULL)
        snprintf(who, sizeof who,
                 "; poold itself listens on %s for pool %s: apply once without either, and add "
                 "this one when its workers have drained",
                 record_text(before, own->address),
                 record_text(before, before->pools[own->pool].name));
    else if (error == EADDRINUSE && holder_find(socket, holder)[0] != '\0')
        snprintf(who, sizeof who,
                 "; user %s has it, or a worker of poold that drains or keeps old settings: then "
                 "apply again when it has gone",
                 holder);
    snprintf(config->why, sizeof config->why, "pool %s: the address %s cannot be bound: %s%s",
             record_text(after, after->pools[socket->pool].name),
             record_text(after, socket->address), strerror(error), who);
}

static void
say_not_bound(struct config *config, const struct record_socket *socket, int error)
{
    if (socket->pool == NONE)
        say_control_not_bound(config, socket, error);
    else
        say_pool_not_bound(config, socket, error);
}

void
config_on_bound(struct config *config, const struct verb *verb)
{
    assert(config->phase == BINDING && config->binds_open > 0);
    const struct record_socket *socket = &config->loaded.sockets[verb->index];
    config->binds_open--;
    /* Workers that are left alone would not know of what is bound in their way. */
    if (verb->error == EADDRINUSE && !config->beside && socket->pool != NONE &&
        config->loaded.pools[socket->pool].settings.on_config_change &&
        own_socket_in_the_way(config->shell, socket) != NULL)
        config->crowded = true;
    else if (verb->error != 0 && config->why[0] == '\0')
        say_not_bound(config, socket, verb->error);
}

/* --- taking and telling */
void
config_on_taken(struct config *config, const struct verb *verb, int fd)
{
    struct shell *shell = config->shell;
    assert(config->phase == TAKING);
    if (verb->error != 0) {
        snprintf(config->why, sizeof config->why, "the keeper could not take it: %s",
                 strerror(verb->error));
        config_refuse(config);
        return;
    }
    shell_swap_record(shell, &config->loaded, &config->room);
    control_taken(shell->control, fd);
    config_tell_limits(shell, true);
    config_enter(config, TELLING);
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
                "workers of %s keep their old settings%s (recycling.on_config_change is false); "
                "poolctl recycle %s brings the new ones",
                shell_pool_name(config->shell, place),
                pool.keeps_sockets ? " and sockets, what connects to new ones waits" : "",
                shell_pool_name(config->shell, place));
}

/* Nothing that is known of the one pool is to be told of the other. */
static void
place_change_hands(struct shell *shell, uint32_t place)
{
    assert(shell->pools[place].binds_open == 0);
    shell->pools[place] = (struct shell_pool){0};
    control_pool_forget(shell->control, place);
}

void
config_tell_step(struct config *config)
{
    struct shell *shell = config->shell;
    uint32_t places = shell->record.header->pools;
    for (uint32_t i = 0; i < TELL_TURN && config->next < places; i++, config->next++) {
        if (plan_place_changes_hands(&config->loaded, &shell->record, config->next))
            place_change_hands(shell, config->next);
        config_tell_core(shell, config->next, true);
        config_start(shell, config->next);
        config_let_go(shell, config->next);
        schedule_pool(shell->schedule, config->next, false);
        shell_bind_again(shell, config->next);
        tell_drift(config, config->next);
        if (plan_queues_differ(&config->loaded, &shell->record, config->next))
            sockets_started(shell->sockets, config->next); /* says what the kernel makes of it */
    }
    if (config->next < places)
        return;
    tell_applied(config);
    config_end(config);
}
