/* exits.c - who died, and whether it ever executed its program.
 *
 * A link that closes without a word means exec, or death before exec. The kernel tells them apart:
 * a child of the launcher has the flag PF_FORKNOEXEC until its exec is past the point of no return,
 * and a zombie keeps it. A child made directly has executed poold-exec already, so there the name
 * must do: poold-exec gives itself one that no exec can give. Exec closes the link just before it
 * changes the name, so a live process that still has our name is looked at again. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/exec/spec.h"
#include "supervisor/keeper/keeper.h"

#define PF_FORKNOEXEC 0x40u
#define STRAYS_MS     1000 /* a pass over all children, for those that no signal named */
#define RECHECK_MS    1

enum evidence { DID_EXECUTE, DID_NOT, NOT_YET_CLEAR };

static void worker_check(struct keeper *k, struct worker *worker);
static void link_read(struct keeper *k, struct worker *worker, bool dead);
static void link_close(struct keeper *k, struct worker *worker, enum worker_in in);
static enum evidence evidence_read(const struct worker *worker, bool dead);
static void strays_sweep(struct keeper *k);
static bool stray_reap(struct keeper *k, pid_t pid);
static ssize_t proc_read(pid_t pid, const char *file, char *out, size_t size);

void
exits_hint(struct keeper *k, pid_t pid)
{
    struct worker *worker = worker_find_pid(&k->workers, pid);
    if (worker != NULL)
        worker_check(k, worker);
    else if (!children_died(k, pid))
        stray_reap(k, pid);
    /* One signal may stand for many deaths: workers without a pidfd are looked at soon, for strays
     * there is time. */
    timer_earliest(k, TIMER_SWEEP, k->now + (k->workers.without_pidfd > 0 ? SWEEP_MS : STRAYS_MS));
}

void
worker_exit_ready(struct keeper *k, uint32_t index)
{
    worker_check(k, &k->workers.v[index]);
}

void
worker_link_ready(struct keeper *k, uint32_t index)
{
    struct worker *worker = &k->workers.v[index];
    if (worker->in == IN_SPAWNED)
        link_read(k, worker, false);
}

void
exits_sweep(struct keeper *k)
{
    for (uint32_t i = 0; k->workers.without_pidfd > 0 && i < k->workers.used; i++) {
        if (worker_is_alive(&k->workers.v[i]) && k->workers.v[i].pidfd < 0)
            worker_check(k, &k->workers.v[i]);
    }
    strays_sweep(k);
}

void
exits_recheck(struct keeper *k)
{
    for (uint32_t i = 0; k->workers.rechecks > 0 && i < k->workers.used; i++) {
        struct worker *worker = &k->workers.v[i];
        if (worker->in == IN_SPAWNED && worker->recheck)
            link_read(k, worker, false);
    }
    if (k->workers.rechecks > 0)
        timer_earliest(k, TIMER_RECHECK, k->now + RECHECK_MS);
}

void
exits_recheck_later(struct keeper *k, struct worker *worker)
{
    if (!worker->recheck)
        k->workers.rechecks++;
    worker->recheck = 1;
    timer_earliest(k, TIMER_RECHECK, k->now + RECHECK_MS);
}

/* At the very end, when everything has been told to die. Bounded: who sleeps unkillably is left to
 * init. */
void
exits_reap_all(struct keeper *k, msec limit_ms)
{
    (void)k;
    msec limit = clock_now() + limit_ms;
    while (clock_now() < limit) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) != 0)
            return;
        struct timespec pause = {.tv_nsec = 1000000};
        sigset_t child;
        sigemptyset(&child);
        sigaddset(&child, SIGCHLD);
        if (info.si_pid == 0)
            sigtimedwait(&child, NULL, &pause);
    }
}

/* Does nothing unless the kernel says that it is dead, so any hint may lead here. */
static void
worker_check(struct keeper *k, struct worker *worker)
{
    siginfo_t info = {0};
    if (!worker_is_alive(worker) ||
        waitid(P_PID, (id_t)worker->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid == 0)
        return;
    if (worker->in == IN_SPAWNED)
        link_read(k, worker, true);
    /* The zombie pins the number of the group, so this hits what is left of it and nobody else. */
    kill(-worker->pid, SIGKILL);
    worker->code = (uint16_t)info.si_code;
    worker->status = info.si_status;
    if (worker->pidfd < 0)
        k->workers.without_pidfd--;
    worker_enter(&k->workers, worker, IN_EXITED);
    report_worker(k, worker, REPORT_EXITED);
}

/* dead: the process is a zombie, so this settles it. */
static void
link_read(struct keeper *k, struct worker *worker, bool dead)
{
    struct spec_failure failure;
    ssize_t size = recv(worker->link, &failure, sizeof failure, MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN && !dead)
        return;
    if (size == (ssize_t)sizeof failure && failure.step > STEP_NONE &&
        failure.step < SPAWN_STEP_COUNT) {
        worker->step = failure.step;
        worker->error = failure.error;
        link_close(k, worker, IN_EXEC_FAILED);
        return;
    }
    switch (evidence_read(worker, dead)) {
    case DID_EXECUTE:
        link_close(k, worker, IN_EXECUTED);
        return;
    case DID_NOT:
        worker->step = STEP_KILLED;
        link_close(k, worker, IN_EXEC_FAILED);
        return;
    case NOT_YET_CLEAR:
        /* Readable for ever from now on: only the timer looks at it again. */
        loop_rewatch(k, worker->link, 0, TAG_WORKER_LINK, worker_index(&k->workers, worker));
        exits_recheck_later(k, worker);
        return;
    }
}

static void
link_close(struct keeper *k, struct worker *worker, enum worker_in in)
{
    fd_close(&worker->link);
    if (worker->recheck)
        k->workers.rechecks--;
    worker->recheck = 0;
    worker_enter(&k->workers, worker, in);
    report_worker(k, worker, in == IN_EXECUTED ? REPORT_EXECUTED : REPORT_EXEC_FAILED);
}

/* Of /proc/PID/stat: the name in parentheses, the state, and the seventh number, the flags. */
static enum evidence
evidence_read(const struct worker *worker, bool dead)
{
    char stat[512];
    if (proc_read(worker->pid, "stat", stat, sizeof stat) <= 0)
        return DID_EXECUTE; /* no /proc to ask: the likelier of the two */
    char *name = strchr(stat, '('), *after = strrchr(stat, ')');
    char state;
    unsigned flags;
    if (name == NULL || after == NULL ||
        sscanf(after + 1, " %c %*d %*d %*d %*d %*d %u", &state, &flags) != 2)
        return DID_EXECUTE;
    if (!worker->direct)
        return (flags & PF_FORKNOEXEC) != 0 ? DID_NOT : DID_EXECUTE;
    *after = '\0';
    if (strcmp(name + 1, HELPER_NAME) != 0)
        return DID_EXECUTE;
    return dead || state == 'Z' || state == 'X' ? DID_NOT : NOT_YET_CLEAR;
}

/* Orphans of workers come to us as their subreaper. The kernel shows the first dead child only, and
 * one that waits for its RELEASE hides those behind it: then later. */
static void
strays_sweep(struct keeper *k)
{
    for (int i = 0; i < TURN_MAX; i++) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
            return;
        struct worker *worker = worker_find_pid(&k->workers, info.si_pid);
        if (worker != NULL) {
            worker_check(k, worker);
            break;
        }
        if (!children_died(k, info.si_pid) && !stray_reap(k, info.si_pid))
            break;
    }
    timer_earliest(k, TIMER_SWEEP, k->now + STRAYS_MS);
}

/* Whether it is gone now. */
static bool
stray_reap(struct keeper *k, pid_t pid)
{
    struct verb verb = {.kind = VERB_STRAY, .pid = pid};
    siginfo_t info = {0};
    /* Engine and launcher are seen by their own pidfds. A child whose number the launcher has not
     * told yet must stay, or the number could be another's by then. */
    if (pid == k->engine.pid || pid == k->children.launcher || k->children.launch_count > 0)
        return false;
    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
        return false;
    ssize_t size = proc_read(pid, "comm", verb.u.name, sizeof verb.u.name);
    verb.u.name[size > 0 ? strcspn(verb.u.name, "\n") : 0] = '\0';
    waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG);
    if (strcmp(verb.u.name, HELPER_NAME) != 0) /* a child of ours that nobody needed */
        report_answer(k, &verb);
    return true;
}

/* Reads at most size - 1 bytes and ends them with NUL. */
static ssize_t
proc_read(pid_t pid, const char *file, char *out, size_t size)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t length = read(fd, out, size - 1);
    close(fd);
    out[MAX(length, 0)] = '\0';
    return length;
}
