/* hold.c - what a worker's process takes while it lives and until it is forgotten: signals, and the
 * descriptors that the keeper holds for it. */
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/keeper/keeper.h"

void
worker_signal(struct keeper *k, const struct verb *verb)
{
    struct worker *worker = worker_find(&k->workers, verb->worker, verb->spawn);
    if (worker == NULL || verb->signo < 1 || verb->signo >= NSIG)
        return;
    if (worker->in == IN_WAITING) { /* kept for the process that it will be */
        worker->early_signo = (uint8_t)verb->signo;
        worker->early_target = (uint8_t)verb->argument;
        return;
    }
    if (!worker_is_alive(worker))
        return;
    /* The pid is our child's, and not released: it can be nobody else's. */
    if (verb->argument == TARGET_GROUP && kill(-worker->pid, verb->signo) == 0)
        return;
    /* Also where there is no group yet: a child makes its own, and may not have come to it. */
    if (worker->pidfd >= 0)
        syscall(SYS_pidfd_send_signal, worker->pidfd, verb->signo, NULL, 0);
    else
        kill(worker->pid, verb->signo);
}

void
worker_release(struct keeper *k, const struct verb *verb)
{
    struct worker *worker = worker_find(&k->workers, verb->worker, verb->spawn);
    if (worker == NULL || worker->in != IN_EXITED || worker->released)
        return;
    /* Forgotten at the end of the turn: what the same turn starts does not wait for it. */
    worker->released = 1;
    if (!worker->queued)
        line_add(&k->workers, &k->workers.leaving, worker);
}

void
workers_forget(struct keeper *k, uint32_t most)
{
    struct worker *worker;
    while ((worker = line_first(&k->workers, &k->workers.leaving)) != NULL) {
        siginfo_t info;
        if (most-- == 0) {
            timer_earliest(k, TIMER_RESEND, k->now); /* another turn, at once */
            return;
        }
        line_drop_first(&k->workers, &k->workers.leaving);
        waitid(P_PID, (id_t)worker->pid, &info, WEXITED | WNOHANG);
        channel_close(k, &worker->channel);
        if (worker->pidfd >= 0)
            k->workers.pidfds--;
        fd_close(&worker->pidfd);
        worker_enter(&k->workers, worker, IN_FREE);
    }
}

void
worker_no_pidfd(struct keeper *k, struct worker *worker)
{
    fd_close(&worker->pidfd);
    k->workers.pidfds--;
    k->workers.without_pidfd++;
}

/* A pidfd is a comfort, notify socket and output pipe are not. Each call moves the cursor at most
 * once around, and what it passed has none to give until all others had their turn. */
void
workers_make_room(struct keeper *k)
{
    struct worker_table *table = &k->workers;
    for (uint32_t tries = 0; tries < table->used; tries++) {
        if (table->count * 2 + table->pidfds <= k->fds_for_workers || table->pidfds == 0)
            return;
        struct worker *worker = &table->v[table->shed_at];
        table->shed_at = (table->shed_at + 1) % table->used;
        if (worker_is_alive(worker) && worker->pidfd >= 0) {
            worker_no_pidfd(k, worker);
            timer_earliest(k, TIMER_SWEEP, k->now + SWEEP_MS);
        }
    }
}

void
workers_kill(struct keeper *k)
{
    for (uint32_t i = 0; i < k->workers.used; i++) {
        struct worker *worker = &k->workers.v[i];
        if (worker_is_alive(worker)) {
            kill(-worker->pid, SIGKILL);
            kill(worker->pid, SIGKILL); /* should it not lead a group yet */
        }
    }
}
