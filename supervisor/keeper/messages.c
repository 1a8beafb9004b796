/* messages.c - what the engine is to be told, in the order in which it happened, until the link
 * takes it.
 *
 * One ring, never full with an engine that reads before it asks again: of a worker there are at
 * most three messages under way, and one in a list. It begins anew whenever it runs empty, so that
 * only the deepest backlog ever touches its pages. It ends with its engine: the next asks LIST. */
#include "supervisor/keeper/keeper.h"

#define PUMP_MAX  256 /* messages a turn; some 3 us each */
#define RESEND_MS 1   /* the link is full, or too many descriptors are under way: only time helps */

int
messages_open(struct keeper *k)
{
    /* No configuration can have more sockets than there are descriptors. */
    k->messages.size = 4 * k->workers.places + 2 * k->record.header->nofile + 256;
    k->messages.v = table_map(k->messages.size, sizeof *k->messages.v);
    return k->messages.v != NULL ? 0 : -errno;
}

void
message_add(struct keeper *k, struct verb verb, uint32_t place)
{
    struct messages *messages = &k->messages;
    /* What anybody outside can cause in any number has no claim on the last half. */
    bool may_be_lost =
        verb.kind == VERB_STRAY || verb.kind == VERB_OUTSIDE || verb.kind == VERB_RESTORED;
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
message_answer(struct keeper *k, struct verb question, enum verb_kind kind, unsigned step,
               int error)
{
    question.kind = (uint16_t)kind;
    question.step = step;
    question.error = error;
    message_add(k, question, NONE);
}

void
message_add_worker(struct keeper *k, const struct worker *worker, enum verb_kind kind,
                   uint64_t request)
{
    _Static_assert(IN_EXITED - IN_SPAWNED == PHASE_EXITED - PHASE_SPAWNED, "the same phases");
    struct verb verb = {.kind = (uint16_t)kind,
                        .spawn = worker->kind,
                        .request = request,
                        .worker = worker->id,
                        .pid = worker->child.pid,
                        .step = worker->step,
                        .error = worker->error,
                        .code = worker->code,
                        .status = worker->status,
                        .phase = (uint16_t)(worker->in - IN_SPAWNED)};
    bool with_fds =
        worker->kind == SPAWN_WORKER && (kind == VERB_SPAWNED || kind == VERB_LISTED_WORKER);
    if (k->engine.attached) /* else LIST will have it */
        message_add(k, verb, with_fds ? (uint32_t)(worker - k->workers.v) : NONE);
}

void
messages_list(struct keeper *k, const struct verb *verb)
{
    struct verb answer = *verb;
    for (answer.index = 0; answer.index < k->record.header->sockets; answer.index++) {
        if (k->sockets[answer.index].fd >= 0 && k->record.sockets[answer.index].pool != NONE)
            message_answer(k, answer, VERB_LISTED_SOCKET, 0, 0);
    }
    for (uint32_t i = 0; i < k->workers.used; i++) {
        if (k->workers.v[i].in >= IN_SPAWNED)
            message_add_worker(k, &k->workers.v[i], VERB_LISTED_WORKER, verb->request);
    }
    message_answer(k, *verb, VERB_LIST_END, 0, 0);
}

static int
message_send(const struct keeper *k, const struct message *message)
{
    const struct verb *verb = &message->verb;
    int control = k->sockets[k->record.header->control - 1].fd;
    int fds[3] = {k->state_fd, k->loaded[LOADED_CONFIG], control};
    uint32_t count = verb->kind == VERB_HELLO ? 3 : 0;
    if ((verb->kind == VERB_LOADED && k->next.fd >= 0) ||
        (verb->kind == VERB_TAKEN && verb->error == 0)) {
        fds[0] = verb->kind == VERB_LOADED ? k->next.fd : control;
        count = 1;
    }
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
