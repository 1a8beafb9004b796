/* reload.c - another configuration while workers run: loaded, bound beside the one in force, taken.
 *
 * Until TAKE nothing of what is in force changes. A socket is the same when its address is, whosever
 * pool it is: it goes on with its queue. What was loaded goes with the engine that asked for it. */
#include "supervisor/keeper/keeper.h"

/* The socket in force that has the address of that one; NONE. Pools keep their places, so it is
 * nearly always the same pool's. */
static uint32_t
socket_in_force(const struct keeper *k, uint32_t index)
{
    const struct record_socket *wanted = &k->next.record.sockets[index], *record;
    uint32_t from = 0, count = k->record.header->sockets;
    if (wanted->pool < k->record.header->pools)
        from = k->record.pools[wanted->pool].socket_first;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = (from + i) % count;
        record = &k->record.sockets[at];
        /* What workers accepted at is never the control socket, nor the other way round. */
        if (k->sockets[at].fd >= 0 && record->length == wanted->length &&
            record->dual == wanted->dual && (record->pool == NONE) == (wanted->pool == NONE) &&
            memcmp(record->sockaddr, wanted->sockaddr, wanted->length) == 0)
            return at;
    }
    return NONE;
}

void
next_bind(struct keeper *k, const struct verb *verb)
{
    struct next *next = &k->next;
    if (next->sockets == NULL || verb->index >= next->record.header->sockets)
        return;
    int error = 0;
    if (socket_in_force(k, verb->index) == NONE)
        error = socket_open(k, &next->sockets[verb->index], &next->record.sockets[verb->index],
                            verb->argument == BIND_BESIDE);
    message_answer(k, *verb, VERB_BIND_RESULT, STEP_NONE, -error);
}

void
next_drop(struct keeper *k, const struct verb *verb)
{
    struct next *next = &k->next;
    (void)verb;
    fd_close(&next->link); /* a loader that still runs finds nobody to give it to */
    fd_close(&next->fd);
    for (uint32_t i = 0; next->sockets != NULL && i < k->record.header->sockets; i++)
        k->sockets[i].in_the_way = false;
    sockets_close(k, next->sockets, &next->record);
    record_unmap(&next->record);
    *next = (struct next){.link = -1, .fd = -1};
}

static void
next_answer(struct keeper *k, int error)
{
    struct verb answer = {.kind = k->next.answer, .request = k->next.request, .error = error};
    if (error != 0 || answer.kind == VERB_KEPT)
        next_drop(k, NULL);
    fd_close(&k->next.link);
    message_add(k, answer, NONE);
}

void
next_load(struct keeper *k, const struct verb *verb)
{
    static const uint32_t which = LOADED_CONFIG;
    struct next *next = &k->next;
    bool keeps = verb->kind == VERB_KEEP;
    if (next->link >= 0) {
        message_answer(k, *verb, keeps ? VERB_KEPT : VERB_LOADED, STEP_NONE, EBUSY);
        return;
    }
    next_drop(k, NULL);
    next->request = verb->request;
    next->answer = keeps ? VERB_KEPT : VERB_LOADED;
    k->loader_argv[1] = keeps ? "--keep" : "--reload";
    int error = MIN(program_start(HELPER_ENGINE_FD, k->loader_argv, &next->link), 0);
    if (error == 0)
        error = loop_watch(k, next->link, EPOLLIN, TAG_LOADER_LINK, 0);
    if (error == 0) /* pools keep their places in it; or it is what to keep */
        error = fds_send(next->link, &which, sizeof which, &k->loaded[LOADED_CONFIG], 1);
    if (error != 0)
        next_answer(k, -error);
}

/* It gives one configuration and ends; when it ends without, it has said why. */
void
loader_ready(struct keeper *k, uint32_t place)
{
    int loaded[LOADED_COUNT] = {-1, -1, -1};
    struct next *next = &k->next;
    (void)place;
    if (next->link < 0)
        return;
    bool taken = loaded_take(next->link, loaded);
    for (uint32_t i = 0; i < LOADED_CONFIG; i++)
        fd_close(&loaded[i]);
    next->fd = loaded[LOADED_CONFIG];
    int error = taken ? loaded_map(&next->record, next->fd) : -ECHILD;
    if (error == 0 && (next->sockets = sockets_map(&next->record)) == NULL)
        error = -ENOMEM;
    next_answer(k, -error);
}

void
next_take(struct keeper *k, const struct verb *verb)
{
    struct next *next = &k->next;
    if (next->sockets == NULL || next->record.header->errors > 0) {
        message_answer(k, *verb, VERB_TAKEN, STEP_NONE, ENOENT);
        return;
    }
    for (uint32_t i = 0; i < next->record.header->sockets; i++) {
        uint32_t before = next->sockets[i].fd < 0 ? socket_in_force(k, i) : NONE;
        if (before == NONE)
            continue;
        next->sockets[i] = k->sockets[before];
        next->sockets[i].in_the_way = false;
        k->sockets[before].fd = -1;
        socket_open(k, &next->sockets[i], &next->record.sockets[i], false);
    }
    /* What is left of the old one goes the way of what is not wanted; its workers end later. */
    for (uint32_t i = 0; i < k->record.header->sockets; i++) {
        uint32_t pool = k->record.sockets[i].pool;
        if (k->sockets[i].in_the_way ||
            (pool < next->record.header->pools && next->record.pools[pool].shuts_sockets))
            socket_retire(&k->sockets[i], &k->record.sockets[i]);
    }
    struct next taken = *next;
    *next = (struct next){
        .link = -1, .fd = k->loaded[LOADED_CONFIG], .record = k->record, .sockets = k->sockets};
    k->loaded[LOADED_CONFIG] = taken.fd;
    k->record = taken.record;
    k->sockets = taken.sockets;
    next_drop(k, NULL);
    control_open(k); /* it is; what leads to it is made anew */
    message_answer(k, *verb, VERB_TAKEN, STEP_NONE, 0);
}
