/* plan.c - what a change of configuration will do. */
#include "supervisor/engine/plan.h"

#include <string.h>

const char *
plan_change_name(enum plan_change change)
{
#define PLAN_NAME_(n, s) [PLAN_##n] = (s),
    static const char *const names[PLAN_CHANGE_COUNT] = {PLAN_CHANGES(PLAN_NAME_)};
#undef PLAN_NAME_
    assert(change < PLAN_CHANGE_COUNT);
    return names[change];
}

/* NULL: there is no pool at that place, or not any more. */
static const struct record_pool *
pool_at(const struct record *record, uint32_t place)
{
    if (place >= record->header->pools || !record->pools[place].present)
        return NULL;
    return &record->pools[place];
}

/* --- keys */

/* The part of a value that tells one entry of a key from another: of "NAME=hash" the name. Other
 * keys have one entry. */
static size_t
entry_length(const char *text)
{
    return text[0] == '"' || text[0] == '[' || text[0] == '{' ? 0 : strcspn(text, "=");
}

/* Below, at or above zero, as the first entry stands before, beside or behind the second one. */
static int
entry_compare(const struct record_value *a, const char *a_text, const struct record_value *b,
              const char *b_text)
{
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    if (config_keys[a->key].type != VALUE_ENVIRONMENT)
        return 0;
    size_t a_len = entry_length(a_text), b_len = entry_length(b_text);
    int order = memcmp(a_text, b_text, MIN(a_len, b_len));
    return order != 0 || a_len == b_len ? order : a_len < b_len ? -1 : 1;
}

static const char *
value_at(const struct record *record, const struct record_pool *pool, uint32_t i,
         struct record_value *out)
{
    if (pool == NULL || i >= pool->value_count)
        return NULL;
    *out = record_value_at(record, pool, i);
    assert(out->key < config_key_count);
    return record_text(record, out->text);
}

bool
plan_next_key(const struct record *before, const struct record *after, uint32_t place,
              struct plan_cursor *cursor, struct plan_key *out)
{
    const struct record_pool *old = pool_at(before, place), *new = pool_at(after, place);
    for (;;) {
        struct record_value from_value = {0}, to_value = {0};
        const char *from = value_at(before, old, cursor->before, &from_value);
        const char *to = value_at(after, new, cursor->after, &to_value);
        if (from == NULL && to == NULL)
            return false;
        int order = from == NULL ? 1
                    : to == NULL ? -1
                                 : entry_compare(&from_value, from, &to_value, to);
        cursor->before += order <= 0;
        cursor->after += order >= 0;
        if (order == 0 && strcmp(from, to) == 0)
            continue;
        *out = (struct plan_key){.key = order <= 0 ? from_value.key : to_value.key,
                                 .from = order <= 0 ? from : NULL,
                                 .to = order >= 0 ? to : NULL};
        return true;
    }
}

/* --- sockets */
static bool
socket_is_same(const struct record_socket *a, const struct record_socket *b)
{
    return a->family == b->family && a->length == b->length && a->dual == b->dual &&
           memcmp(a->sockaddr, b->sockaddr, a->length) == 0;
}

uint32_t
plan_socket_held(const struct record *before, const struct record *after, uint32_t socket)
{
    const struct record_socket *wanted = &after->sockets[socket], *control = record_control(before);
    if (wanted->pool == NONE)
        return control != NULL && socket_is_same(control, wanted) ? before->header->control - 1
                                                                  : NONE;
    if (wanted->pool >= before->header->pools)
        return NONE;
    const struct record_pool *old = &before->pools[wanted->pool];
    for (uint32_t i = 0; i < old->socket_count; i++) {
        if (socket_is_same(&before->sockets[old->socket_first + i], wanted))
            return old->socket_first + i;
    }
    return NONE;
}

uint32_t
plan_socket_before(const struct record *before, const struct record *after, uint32_t socket)
{
    if (pool_at(before, after->sockets[socket].pool) == NULL)
        return NONE;
    return plan_socket_held(before, after, socket);
}

bool
plan_queues_differ(const struct record *before, const struct record *after, uint32_t place)
{
    const struct record_pool *new = pool_at(after, place);
    for (uint32_t i = 0; new != NULL &&i < new->socket_count; i++) {
        uint32_t socket = new->socket_first + i, old = plan_socket_before(before, after, socket);
        if (old != NONE && before->sockets[old].backlog != after->sockets[socket].backlog)
            return true;
    }
    return false;
}

const char *
plan_next_socket(const struct record *before, const struct record *after, uint32_t place,
                 uint32_t *at)
{
    const struct record_pool *new = pool_at(after, place);
    while (new != NULL &&*at < new->socket_count) {
        uint32_t socket = new->socket_first + (*at)++;
        if (plan_socket_before(before, after, socket) == NONE)
            return record_text(after, after->sockets[socket].address);
    }
    return NULL;
}

/* --- pools */
bool
plan_place_changes_hands(const struct record *before, const struct record *after, uint32_t place)
{
    if (place >= before->header->pools || place >= after->header->pools)
        return false;
    return strcmp(record_text(before, before->pools[place].name),
                  record_text(after, after->pools[place].name)) != 0;
}

static uint32_t
count_sockets(const struct record *before, const struct record *after, uint32_t place)
{
    uint32_t count = 0, at = 0;
    while (plan_next_socket(before, after, place, &at) != NULL)
        count++;
    return count;
}

void
plan_pool(const struct record *before, const struct record *after, uint32_t place,
          struct plan_pool *out)
{
    const struct record_pool *old = pool_at(before, place), *new = pool_at(after, place);
    struct plan_cursor cursor = {0};
    struct plan_key key;
    *out = (struct plan_pool){.opened = count_sockets(before, after, place),
                              .closed = count_sockets(after, before, place)};
    while (plan_next_key(before, after, place, &cursor, &key))
        out->keys[config_keys[key.key].effect]++;
    if (old == NULL || new == NULL) {
        out->change = old != NULL ? PLAN_REMOVED : new != NULL ? PLAN_ADDED : PLAN_SAME;
        return;
    }
    bool drifted = old->settings.fingerprint != new->settings.fingerprint;
    out->recycles = drifted && new->settings.on_config_change && !new->settings.refused;
    out->drifts = drifted && !new->settings.on_config_change && !new->settings.refused;
    out->keeps_sockets = out->drifts && out->opened + out->closed > 0;
    bool keys_differ = false;
    for (uint32_t i = 0; i < EFFECT_COUNT; i++)
        keys_differ |= out->keys[i] > 0;
    /* Without a key: what a name stands for is another now, such as a user's number. */
    if (keys_differ || out->opened > 0 || out->closed > 0 ||
        memcmp(&old->settings, &new->settings, sizeof old->settings) != 0)
        out->change = PLAN_CHANGED;
}

void
plan_add(struct plan_totals *totals, const struct plan_pool *pool)
{
    totals->added += pool->change == PLAN_ADDED;
    totals->removed += pool->change == PLAN_REMOVED;
    totals->changed += pool->change == PLAN_CHANGED;
    totals->recycles += pool->recycles;
    totals->drifts += pool->drifts;
    totals->opened += pool->opened;
    totals->closed += pool->closed;
}
