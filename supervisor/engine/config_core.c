/* config_core.c - what the configuration in force says becomes events of the core: in a change, and when
 * an engine begins. */
#include "supervisor/engine/config_inside.h"

void
config_tell_limits(struct shell *shell, bool apply)
{
    const struct record_header *header = shell->record.header;
    struct event limits = {.kind = EV_LIMITS,
                           .starts_max = header->starts_max,
                           .recycles_max = header->recycles_max,
                           .by_operator = apply};
    shell_feed(shell, &limits);
}

void
config_tell_core(struct shell *shell, uint32_t place, bool apply)
{
    const struct record_pool *record = &shell->record.pools[place];
    struct pool_view view;
    bool known = core_pool(shell->core, place, shell_now(shell), &view);
    if (record->present || known)
        outputs_tell(shell->outputs, place);
    if (!record->present) {
        struct event remove = {.kind = EV_POOL_REMOVE, .worker.pool = place, .by_operator = apply};
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

void
config_start(struct shell *shell, uint32_t place)
{
    const struct record_pool *record = &shell->record.pools[place];
    struct event start = {.kind = EV_POOL_START, .worker.pool = place};
    struct pool_view view;
    if (!record->present || !core_pool(shell->core, place, shell_now(shell), &view))
        return;
    if (record->auto_start && !view.wanted_up && view.reason == REASON_NEVER)
        shell_feed(shell, &start);
}

void
config_let_go(struct shell *shell, uint32_t place)
{
    const struct record_pool *pool = &shell->record.pools[place];
    if (pool->present || config_is_taking(shell->config) || shell_pool_is_there(shell, place))
        return;
    for (uint32_t i = 0; i < pool->socket_count; i++) {
        uint32_t socket = pool->socket_first + i;
        if (!shell->room.bound[socket])
            continue;
        shell->room.bound[socket] = false;
        shell_ask(shell, VERB_UNBIND, (struct verb){.index = socket});
    }
}

bool
config_socket_is_bound(const struct shell *shell, const struct record *before, const bool *bound,
                       uint32_t socket)
{
    const struct record *after = &shell->record;
    uint32_t pool = after->sockets[socket].pool, same = plan_socket_held(before, after, socket);
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
