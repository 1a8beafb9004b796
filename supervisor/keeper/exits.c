/* exits.c - who died, and whether it ever executed its program.
 *
 * A link that closes without a word means exec, or death before exec. The kernel tells them apart:
 * a child of the launcher has the flag PF_FORKNOEXEC until its exec is past the point of no return,
 * which is before its link is closed, and a zombie keeps it. A child that the keeper made has executed
 * poold-exec: who exits under that name has executed nothing else. */
#include "supervisor/keeper/keeper.h"

#define PF_EXITING    0x04u
#define PF_FORKNOEXEC 0x40u
#define AGAIN_MS      1000 /* to the next look for strays, while some may be hidden */

/* Of /proc/PID/stat: the name in parentheses, and the seventh field after it, the flags. Without
 * /proc: no name and no flags, as of a process that has executed its program, which most have. */
static unsigned
stat_read(pid_t pid, char name[16])
{
    char path[32], stat[512];
    unsigned flags = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? 0 : read(fd, stat, sizeof stat - 1);
    fd_close(&fd);
    stat[MAX(size, 0)] = name[0] = '\0';
    const char *from = strchr(stat, '('), *to = strrchr(stat, ')');
    if (from == NULL || to == NULL || sscanf(to + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) != 1)
        return 0;
    snprintf(name, 16, "%.*s", (int)(to - from - 1), from + 1);
    return flags;
}

/* dead: the process is a zombie, so this settles it. */
static void
link_read(struct keeper *k, struct worker *worker, bool dead)
{
    struct spec_failure failure;
    char name[16];
    unsigned flags;
    ssize_t size = recv(worker->child.link, &failure, sizeof failure, MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN && !dead)
        return;
    if (size == (ssize_t)sizeof failure && failure.step > STEP_NONE &&
        failure.step < SPAWN_STEP_COUNT) {
        worker->step = failure.step;
        worker->error = failure.error;
    } else if (((flags = stat_read(worker->child.pid, name)) & PF_FORKNOEXEC) != 0 ||
               ((flags & PF_EXITING) != 0 && strcmp(name, HELPER_NAME) == 0)) {
        worker->step = STEP_KILLED;
    }
    fd_close(&worker->child.link);
    bool executed = worker->step == STEP_NONE;
    worker_enter(&k->workers, worker, executed ? IN_EXECUTED : IN_EXEC_FAILED);
    message_add_worker(k, worker, executed ? VERB_EXECUTED : VERB_EXEC_FAILED, 0);
}

/* Does nothing unless the kernel says that it is dead, so any hint may lead here. */
static void
worker_check(struct keeper *k, struct worker *worker)
{
    siginfo_t info = {0};
    if (worker->in < IN_SPAWNED || worker->in == IN_EXITED ||
        waitid(P_PID, (id_t)worker->child.pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid == 0)
        return;
    if (worker->in == IN_SPAWNED)
        link_read(k, worker, true);
    /* The zombie pins the number of the group, so this hits what is left of it and nobody else. */
    kill(-worker->child.pid, SIGKILL);
    worker->code = (uint16_t)info.si_code;
    worker->status = info.si_status;
    worker_enter(&k->workers, worker, IN_EXITED);
    message_add_worker(k, worker, VERB_EXITED, 0);
}

void
exits_pidfd_ready(struct keeper *k, uint32_t place)
{
    worker_check(k, &k->workers.v[place]);
}

void
exits_link_ready(struct keeper *k, uint32_t place)
{
    if (k->workers.v[place].in == IN_SPAWNED)
        link_read(k, &k->workers.v[place], false);
}

/* The engine and the workers are seen by other means and stay until then; so does everyone while
 * the launcher owes us a pid, or the number of that child could be another's by then. */
static bool
is_stray(const struct keeper *k, pid_t pid)
{
    bool known = pid == k->engine.pid || k->children.count > k->children.made;
    for (uint32_t i = 0; i < k->workers.used && !known; i++)
        known = k->workers.v[i].in != IN_FREE && k->workers.v[i].child.pid == pid;
    return !known;
}

/* Orphans of workers come to us as their subreaper. The kernel shows the first dead child only, and
 * one that waits for its RELEASE hides those behind it: then later. */
void
exits_sweep(struct keeper *k)
{
    for (uint32_t i = 0; k->sweeping && i < k->workers.used; i++)
        worker_check(k, &k->workers.v[i]);
    for (int i = 0; i < TURN_MAX; i++) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
            return;
        if (!is_stray(k, info.si_pid))
            break;
        struct verb verb = {.kind = VERB_STRAY, .pid = info.si_pid};
        stat_read(info.si_pid, verb.u.name);
        waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG);
        if (strcmp(verb.u.name, HELPER_NAME) == 0)
            children_died(k, verb.pid);
        else if (strcmp(verb.u.name, LOADER_NAME) == 0)
            ; /* its link has told */
        else
            message_add(k, verb, NONE);
    }
    timer_earliest(k, TIMER_SWEEP, k->now + AGAIN_MS);
}
