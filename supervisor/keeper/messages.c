/* messages.c - what the engine is to be told, in the order in which it happened, until the link
 * takes it.
 *
 * One ring, never full with an engine that reads before it asks again: of a worker there are at most
 * three messages under way, and one in a list. It begins anew whenever it runs empty, so that only
 * the deepest backlog ever touches its pages. It ends with its engine: the next one asks LIST. */
#include <errno.h>

#include "supervisor/keeper/keeper.h"

#define PUMP_MAX  256 /* messages a turn; some 3 us each */
#define RESEND_MS 1   /* the link is full, or too many descriptors are under way: only time helps */

int
messages_open(struct keeper *k)
{
    k->messages.size = 4 * k->workers.places + 2 * k->record.header->sockets + 256;
    k->messages.v = table_map(k->messages.size * sizeof *k->messages.v);
    return k->messages.v != NULL ? 0 : -errno;
}

void
message_add(struct keeper *k, struct verb verb, uint32_t place)
{
    struct messages *messages = &k->messages;
    /* What anybody outside can cause in any number has no claim on the last half. */
    bool may_be_lost = verb.kind == VERB_STRAY || verb.kind == VERB_OUTSIDE;
    if (k->engine.link < 0 || (may_be_lost && messages->count > messages->size / 2))
        return;
    if (messages->count == messages->size) {
        engine_lost(k, "it asks and does not read");
        return;
    }
    verb.version = VERB_VERSION;
    messages->v[(messages->at + messages->count++) % messages->size] =
        (struct message){verb, place};
}

void
message_add_worker(struct keeper *k, struct worker *worker, enum verb_kind kind)
{
    /* clang-format off */
    static const uint16_t phases[WORKER_IN_COUNT] = {
        [IN_SPAWNED]     = PHASE_SPAWNED,
        [IN_EXECUTED]    = PHASE_EXECUTED,
        [IN_EXEC_FAILED] = PHASE_EXEC_FAILED,
        [IN_EXITED]      = PHASE_EXITED,
    };
    /* clang-format on */
    bool with_fds = worker->kind == SPAWN_WORKER &&
                    (kind == VERB_SPAWNED || kind == VERB_LISTED_WORKER);
    struct verb verb = {.kind = (uint16_t)kind,
                        .spawn = worker->kind,
                        .request = kind == VERB_SPAWNED ? worker->request : 0,
                        .worker = worker->id,
                        .pid = worker->child.pid,
                        .step = worker->step,
                        .error = worker->error,
                        .code = worker->code,
                        .status = worker->status,
                        .phase = phases[worker->in]};
    if (k->engine.attached) /* else LIST will have it */
        message_add(k, verb, with_fds ? (uint32_t)(worker - k->workers.v) : NONE);
}

void
message_add_all_of(struct keeper *k, struct worker *worker)
{
    if (worker->in != IN_WAITING)
        message_add_worker(k, worker, VERB_SPAWNED);
    if (worker->step != STEP_NONE)
        message_add_worker(k, worker, VERB_EXEC_FAILED);
    else if (worker->in == IN_EXECUTED || worker->in == IN_EXITED)
        message_add_worker(k, worker, VERB_EXECUTED);
    if (worker->in == IN_EXITED)
        message_add_worker(k, worker, VERB_EXITED);
}

void
messages_list(struct keeper *k, const struct verb *verb)
{
    struct verb socket = {.kind = VERB_LISTED_SOCKET, .request = verb->request};
    for (socket.index = 0; socket.index < k->record.header->sockets; socket.index++) {
        if (k->sockets[socket.index].fd >= 0)
            message_add(k, socket, NONE);
    }
    for (uint32_t i = 0; i < k->workers.used; i++) {
        if (k->workers.v[i].in != IN_FREE && k->workers.v[i].in != IN_WAITING)
            message_add_worker(k, &k->workers.v[i], VERB_LISTED_WORKER);
    }
    message_add(k, (struct verb){.kind = VERB_LIST_END, .request = verb->request}, NONE);
}

void
messages_drop(struct keeper *k)
{
    k->messages.at = k->messages.count = 0;
}

static int
message_send(const struct keeper *k, const struct message *message)
{
    const struct verb *verb = &message->verb;
    int fds[3] = {k->state_fd, k->config_fd, k->control_fd};
    uint32_t count = verb->kind == VERB_HELLO ? 3 : 0;
    if (message->place != NONE) {
        const struct worker *worker = &k->workers.v[message->place];
        if (worker->in == IN_FREE || worker->id.generation != verb->worker.generation)
            return 0; /* released before its engine has read of it: no sound one does */
        fds[0] = worker->child.notify;
        fds[1] = worker->child.output;
        count = 2;
    }
    return fds_send(k->engine.link, verb, sizeof *verb, fds, count);
}

void
messages_pump(struct keeper *k)
{
    struct messages *messages = &k->messages;
    for (int sent = 0; messages->count > 0 && k->engine.link >= 0; sent++) {
        if (sent == PUMP_MAX || message_send(k, &messages->v[messages->at]) != 0) {
            timer_earliest(k, TIMER_RESEND, k->now + (sent == PUMP_MAX ? 0 : RESEND_MS));
            return;
        }
        messages->at = --messages->count == 0 ? 0 : (messages->at + 1) % messages->size;
    }
}
