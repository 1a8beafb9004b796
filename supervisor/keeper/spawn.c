/* spawn.c - SPAWN: from a question to a process that has its specification. */
#include "supervisor/keeper/keeper.h"

void
spawn_fail(struct keeper *k, enum spawn_step step, int error)
{
    struct worker *worker = worker_waiting(&k->workers);
    struct verb question = {
        .request = worker->request, .worker = worker->id, .spawn = worker->kind};
    message_answer(k, question, VERB_SPAWN_FAILED, step, error);
    worker_enter(&k->workers, worker, IN_FREE);
}

/* -ENOTCONN: a socket of the pool has not been bound. -EPIPE, -ECONNRESET: the child is dead. */
static int
spec_send(const struct keeper *k, const struct worker *worker, const struct child *child)
{
    const struct record_pool *pool = &k->record.pools[worker->id.pool];
    struct spec spec = {.version = SPEC_VERSION,
                        .kind = worker->kind,
                        .worker = worker->id,
                        .socket_first = pool->socket_first,
                        .pool_at = (uint64_t)((const char *)pool - (const char *)k->record.header),
                        .config_size = k->record.size,
                        .nofile_soft = k->nofile.rlim_cur,
                        .nofile_hard = k->nofile.rlim_max};
    int fds[SPEC_FDS_MAX];
    uint32_t count = 0;
    if (worker->kind == SPAWN_WORKER) {
        spec.sockets = (uint16_t)(pool->handoff == HANDOFF_NONE ? 0 : pool->socket_count);
        for (; count < spec.sockets; count++) {
            fds[count] = k->sockets[pool->socket_first + count].fd;
            if (fds[count] < 0)
                return -ENOTCONN;
        }
        fds[count++] = child->output_worker;
        channel_path(k, child, spec.notify, sizeof spec.notify);
    }
    fds[count++] = k->loaded[LOADED_CONFIG];
    return fds_send(child->link, &spec, sizeof spec, fds, count);
}

/* All that the child needs to become that worker. */
static int
child_prepare(struct keeper *k, const struct worker *worker, struct child *child,
              enum spawn_step *step)
{
    uint32_t place = (uint32_t)(worker - k->workers.v);
    *step = STEP_CLONE;
    if (worker->withdrawn || !k->record.pools[worker->id.pool].present) /* taken out meanwhile */
        return -ECANCELED;
    int error = loop_watch(k, child->link, EPOLLIN, TAG_WORKER_LINK, place);
    if (error == 0 && child->pidfd >= 0)
        error = loop_watch(k, child->pidfd, EPOLLIN | EPOLLONESHOT, TAG_WORKER_EXIT, place);
    if (error != 0)
        return error;
    *step = STEP_DESCRIPTORS;
    return spec_send(k, worker, child);
}

void
spawn_give(struct keeper *k, struct child *child)
{
    struct worker *worker = worker_waiting(&k->workers);
    enum spawn_step step;
    int error = child_prepare(k, worker, child, &step);
    if (error != 0) {
        child_close(k, child);
        if (error != -EPIPE && error != -ECONNRESET) /* else it was dead: the next one will do */
            spawn_fail(k, step, -error);
        return;
    }
    fd_close(&child->output_worker);
    worker->child = *child;
    worker_enter(&k->workers, worker, IN_SPAWNED);
    message_add_worker(k, worker, VERB_SPAWNED, worker->request);
    if (child->pidfd < 0)
        timer_earliest(k, TIMER_SWEEP, k->now + 1); /* it may have died unseen already */
}

static void
life_tell(struct keeper *k, const struct worker *worker)
{
    bool executed = worker->step == STEP_NONE;
    if (worker->in >= IN_SPAWNED)
        message_add_worker(k, worker, VERB_SPAWNED, worker->request);
    if (worker->in > IN_SPAWNED)
        message_add_worker(k, worker, executed ? VERB_EXECUTED : VERB_EXEC_FAILED, 0);
    if (worker->in == IN_EXITED)
        message_add_worker(k, worker, VERB_EXITED, 0);
}

void
spawn_asked(struct keeper *k, const struct verb *verb)
{
    const struct record *record = &k->record;
    struct worker *worker = worker_find(&k->workers, verb->worker, verb->spawn);
    int error = 0;
    if (verb->spawn != SPAWN_WORKER && verb->spawn != SPAWN_COMMAND)
        error = EINVAL;
    else if (verb->worker.pool >= record->header->pools || verb->worker.generation == 0 ||
             (verb->spawn == SPAWN_COMMAND && record->pools[verb->worker.pool].ready.count == 0))
        error = ENOENT;
    if (error == 0 && worker != NULL) { /* the engine does not know: the same answers again */
        worker->request = verb->request;
        life_tell(k, worker);
        return;
    }
    if (error == 0 && !record->pools[verb->worker.pool].present)
        error = ENOENT;
    if (error == 0)
        worker = worker_add(&k->workers, verb->worker, (uint8_t)verb->spawn);
    if (error != 0 || worker == NULL) {
        message_answer(k, *verb, VERB_SPAWN_FAILED, STEP_TABLE, error != 0 ? error : ENFILE);
        return;
    }
    worker->request = verb->request;
    worker->ready = record->pools[verb->worker.pool].settings.ready != READY_NOTIFY;
    children_serve(k);
}
