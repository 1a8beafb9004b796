/* spawn.c - SPAWN: from a question to a process that has its specification. */
#include <errno.h>

#include "supervisor/exec/spec.h"
#include "supervisor/keeper/keeper.h"

static int spawn_refusal(const struct keeper *k, const struct verb *verb);
static bool fail_answer(struct keeper *k, const struct verb *like, enum spawn_step step, int error);
static unsigned reports_known(const struct worker *worker);
static int spec_send(struct keeper *k, const struct worker *worker, int link);
static int spec_fds(const struct keeper *k, const struct worker *worker, int *fds);
static void waiting_take_first(struct keeper *k);
static void worker_start(struct keeper *k, struct worker *worker, const struct child *child);

void
spawn_asked(struct keeper *k, const struct verb *verb)
{
    int refusal = spawn_refusal(k, verb);
    if (refusal != 0) {
        fail_answer(k, verb, STEP_TABLE, refusal);
        return;
    }
    struct worker *worker = worker_find(&k->workers, verb->worker, verb->spawn);
    if (worker != NULL && worker->released) {
        workers_forget(k, k->workers.places); /* the name is free again, as far as anybody knows */
        worker = worker_find(&k->workers, verb->worker, verb->spawn);
    }
    if (worker != NULL) {
        /* Asked again, by an engine that does not know: the same answers again, all of them. */
        worker->request = verb->request;
        worker->known = 1;
        worker->released = 0; /* it stands in the line of reports, and stays */
        report_worker(k, worker, reports_known(worker));
        return;
    }
    worker = worker_add(&k->workers, verb->worker, verb->spawn);
    if (worker == NULL) {
        fail_answer(k, verb, STEP_TABLE, ENFILE);
        return;
    }
    worker->request = verb->request;
    worker->known = 1;
    line_add(&k->workers, &k->workers.waiting, worker);
    k->workers.waiting_count++;
    children_serve(k);
}

enum give
spawn_give(struct keeper *k, const struct child *child)
{
    struct worker *worker = line_first(&k->workers, &k->workers.waiting);
    const struct record_pool *pool = &k->record.pools[worker->id.pool];
    enum spawn_step step = STEP_NONE;
    int error = 0;
    workers_make_room(k);
    if (worker->kind == SPAWN_WORKER)
        error = channel_take(k, &worker->channel, pool, &step);
    if (error == 0) {
        step = STEP_DESCRIPTORS;
        error = spec_send(k, worker, child->link);
    }
    if (error == 0) {
        fd_close(&worker->channel.output_worker);
        worker_start(k, worker, child);
        return CHILD_TAKEN;
    }
    channel_close(k, &worker->channel);
    if (step == STEP_DESCRIPTORS && (error == -EPIPE || error == -ECONNRESET))
        return CHILD_LOST;
    return spawn_fail_first(k, step, -error) ? WORKER_FAILED : NO_ROOM;
}

bool
spawn_fail_first(struct keeper *k, enum spawn_step step, int error)
{
    struct worker *worker = line_first(&k->workers, &k->workers.waiting);
    struct verb like = {.request = worker->request, .worker = worker->id, .spawn = worker->kind};
    /* Nobody to answer: the next engine asks again if it still wants it. */
    if (worker->known && !fail_answer(k, &like, step, error))
        return false;
    waiting_take_first(k);
    worker_enter(&k->workers, worker, IN_FREE);
    return true;
}

/* Whether the question names something that exists. 0, or an errno. */
static int
spawn_refusal(const struct keeper *k, const struct verb *verb)
{
    if (verb->worker.pool >= k->record.header->pools || verb->worker.generation == 0)
        return ENOENT;
    const struct record_pool *pool = &k->record.pools[verb->worker.pool];
    if (verb->spawn == SPAWN_COMMAND)
        return pool->ready.count > 0 ? 0 : ENOENT;
    return verb->spawn == SPAWN_WORKER ? 0 : EINVAL;
}

static bool
fail_answer(struct keeper *k, const struct verb *like, enum spawn_step step, int error)
{
    struct verb answer = {.kind = VERB_SPAWN_FAILED,
                          .spawn = like->spawn,
                          .request = like->request,
                          .worker = like->worker,
                          .step = step,
                          .error = error};
    return report_answer(k, &answer);
}

static unsigned
reports_known(const struct worker *worker)
{
    unsigned reports = worker->in == IN_WAITING ? 0 : REPORT_SPAWNED;
    if (worker->in == IN_EXECUTED || (worker->in == IN_EXITED && worker->step == STEP_NONE))
        reports |= REPORT_EXECUTED;
    if (worker->step != STEP_NONE)
        reports |= REPORT_EXEC_FAILED;
    if (worker->in == IN_EXITED)
        reports |= REPORT_EXITED;
    return reports;
}

/* 0 or a negative errno; -EPIPE or -ECONNRESET: the child is dead. */
static int
spec_send(struct keeper *k, const struct worker *worker, int link)
{
    const struct record_pool *pool = &k->record.pools[worker->id.pool];
    int fds[SPEC_FDS_MAX];
    int count = spec_fds(k, worker, fds);
    if (count < 0)
        return count;
    struct spec spec = {.version = SPEC_VERSION,
                        .kind = worker->kind,
                        .worker = worker->id,
                        .socket_first = pool->socket_first,
                        .pool_at = (uint64_t)((const char *)pool - (const char *)k->record.header),
                        .config_size = k->record.size,
                        .nofile_soft = k->nofile.rlim_cur,
                        .nofile_hard = k->nofile.rlim_max};
    spec.sockets = (uint16_t)(count - (worker->kind == SPAWN_WORKER ? 2 : 1));
    if (worker->kind == SPAWN_WORKER)
        channel_path(k, &worker->channel, spec.notify, sizeof spec.notify);

    return pass(link, &spec, sizeof spec, fds, (uint32_t)count);
}

/* Returns how many, or -ENOTCONN when a socket of the pool has not been bound. */
static int
spec_fds(const struct keeper *k, const struct worker *worker, int *fds)
{
    const struct record_pool *pool = &k->record.pools[worker->id.pool];
    int count = 0;
    if (worker->kind == SPAWN_WORKER && pool->handoff != HANDOFF_NONE) {
        for (uint32_t i = 0; i < pool->socket_count; i++) {
            fds[count] = k->sockets[pool->socket_first + i].fd;
            if (fds[count++] < 0)
                return -ENOTCONN;
        }
    }
    if (worker->kind == SPAWN_WORKER)
        fds[count++] = worker->channel.output_worker;
    fds[count++] = k->config_fd;
    return count;
}

static void
waiting_take_first(struct keeper *k)
{
    line_drop_first(&k->workers, &k->workers.waiting);
    k->workers.waiting_count--;
}

/* The child is the worker from here on, whatever becomes of it. */
static void
worker_start(struct keeper *k, struct worker *worker, const struct child *child)
{
    uint32_t index = worker_index(&k->workers, worker);
    waiting_take_first(k);
    worker_set_pid(&k->workers, worker, child->pid);
    worker->link = child->link;
    worker->pidfd = child->pidfd;
    worker->direct = !k->children.use_launcher;
    worker_enter(&k->workers, worker, IN_SPAWNED);
    if (worker->pidfd >= 0)
        k->workers.pidfds++;
    else
        k->workers.without_pidfd++;
    if (worker->pidfd >= 0 &&
        loop_watch(k, worker->pidfd, EPOLLIN | EPOLLONESHOT, TAG_WORKER_EXIT, index) != 0)
        worker_no_pidfd(k, worker);
    if (worker->pidfd < 0)
        timer_earliest(k, TIMER_SWEEP, k->now + SWEEP_MS); /* it may have died unseen already */
    if (loop_watch(k, worker->link, EPOLLIN, TAG_WORKER_LINK, index) != 0)
        exits_recheck_later(k, worker);
    report_worker(k, worker, REPORT_SPAWNED);
    if (worker->early_signo != 0) {
        struct verb early = {.worker = worker->id,
                             .spawn = worker->kind,
                             .signo = worker->early_signo,
                             .argument = worker->early_target};
        worker_signal(k, &early);
    }
}
