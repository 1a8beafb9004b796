/* spawn.c - SPAWN: from a question to a process that has its specification. */
#include <errno.h>

#include "supervisor/exec/spec.h"
#include "supervisor/keeper/keeper.h"

static void
fail_tell(struct keeper *k, struct verb like, enum spawn_step step, int error)
{
    message_add(k,
                (struct verb){.kind = VERB_SPAWN_FAILED,
                              .spawn = like.spawn,
                              .request = like.request,
                              .worker = like.worker,
                              .step = step,
                              .error = error},
                NONE);
}

void
spawn_fail(struct keeper *k, enum spawn_step step, int error)
{
    struct worker *worker = worker_waiting_take(&k->workers);
    struct verb like = {.request = worker->request, .worker = worker->id, .spawn = worker->kind};
    fail_tell(k, like, step, error);
    worker_enter(&k->workers, worker, IN_FREE);
}

void
spawn_forget(struct keeper *k)
{
    while (k->workers.waiting_count > 0)
        worker_enter(&k->workers, worker_waiting_take(&k->workers), IN_FREE);
}

/* Returns how many, or -ENOTCONN when a socket of the pool has not been bound. */
static int
spec_fds(const struct keeper *k, const struct record_pool *pool, unsigned kind,
         const struct child *child, int fds[SPEC_FDS_MAX])
{
    int count = 0;
    uint32_t sockets = pool->handoff == HANDOFF_NONE ? 0 : pool->socket_count;
    for (uint32_t i = 0; kind == SPAWN_WORKER && i < sockets; i++) {
        fds[count] = k->sockets[pool->socket_first + i].fd;
        if (fds[count++] < 0)
            return -ENOTCONN;
    }
    if (kind == SPAWN_WORKER)
        fds[count++] = child->output_worker;
    fds[count++] = k->config_fd;
    return count;
}

/* -EPIPE or -ECONNRESET: the child is dead. */
static int
spec_send(const struct keeper *k, const struct worker *worker, const struct child *child)
{
    const struct record_pool *pool = &k->record.pools[worker->id.pool];
    int fds[SPEC_FDS_MAX], count = spec_fds(k, pool, worker->kind, child, fds);
    if (count < 0)
        return count;
    struct spec spec = {.version = SPEC_VERSION,
                        .kind = worker->kind,
                        .sockets = (uint16_t)(count - (worker->kind == SPAWN_WORKER ? 2 : 1)),
                        .worker = worker->id,
                        .socket_first = pool->socket_first,
                        .pool_at = (uint64_t)((const char *)pool - (const char *)k->record.header),
                        .config_size = k->record.size,
                        .nofile_soft = k->nofile.rlim_cur,
                        .nofile_hard = k->nofile.rlim_max};
    if (worker->kind == SPAWN_WORKER)
        channel_path(k, child, spec.notify, sizeof spec.notify);
    return fds_send(child->link, &spec, sizeof spec, fds, (uint32_t)count);
}

/* All that the child needs to become that worker. */
static int
child_prepare(struct keeper *k, const struct worker *worker, struct child *child,
              enum spawn_step *step)
{
    uint32_t place = (uint32_t)(worker - k->workers.v);
    *step = STEP_CLONE;
    if (worker->withdrawn)
        return -ECANCELED;
    int error = loop_watch(k, child->link, EPOLLIN, TAG_WORKER_LINK, place);
    if (error == 0 && child->pidfd >= 0)
        error = loop_watch(k, child->pidfd, EPOLLIN | EPOLLONESHOT, TAG_WORKER_EXIT, place);
    if (error != 0)
        return error;
    *step = STEP_NOTIFY_SOCKET;
    if (worker->kind == SPAWN_WORKER)
        error = channel_own(k, child, &k->record.pools[worker->id.pool]);
    if (error != 0)
        return error;
    *step = STEP_DESCRIPTORS;
    return spec_send(k, worker, child);
}

void
spawn_give(struct keeper *k, struct child *child)
{
    struct worker *worker = &k->workers.v[k->workers.waiting[k->workers.waiting_at]];
    enum spawn_step step;
    int error = child_prepare(k, worker, child, &step);
    if (error != 0) {
        child_close(k, child);
        if (error != -EPIPE && error != -ECONNRESET) /* else it was dead: the next one will do */
            spawn_fail(k, step, -error);
        return;
    }
    worker_waiting_take(&k->workers);
    fd_close(&child->output_worker);
    worker->child = *child;
    worker_enter(&k->workers, worker, IN_SPAWNED);
    message_add_worker(k, worker, VERB_SPAWNED);
    if (child->pidfd < 0)
        timer_earliest(k, TIMER_SWEEP, k->now + 1); /* it may have died unseen already */
}

void
spawn_asked(struct keeper *k, const struct verb *verb)
{
    bool is_command = verb->spawn == SPAWN_COMMAND;
    if (verb->worker.pool >= k->record.header->pools || verb->worker.generation == 0 ||
        (is_command && k->record.pools[verb->worker.pool].ready.count == 0)) {
        fail_tell(k, *verb, STEP_TABLE, ENOENT);
        return;
    }
    if (!is_command && verb->spawn != SPAWN_WORKER) {
        fail_tell(k, *verb, STEP_TABLE, EINVAL);
        return;
    }
    struct worker *worker = worker_find(&k->workers, verb->worker, verb->spawn);
    if (worker != NULL) {
        /* Asked again, by an engine that does not know: the same answers again, all of them. */
        worker->request = verb->request;
        message_add_all_of(k, worker);
        return;
    }
    worker = worker_add(&k->workers, verb->worker, verb->spawn);
    if (worker == NULL) {
        fail_tell(k, *verb, STEP_TABLE, ENFILE);
        return;
    }
    worker->request = verb->request;
    children_serve(k);
}
