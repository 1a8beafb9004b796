/* children.c - the supply of children: the launcher that makes them, those that are parked, and,
 * where no launcher can be used, children made directly. */
#include <errno.h>
#include <signal.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/exec/spec.h"
#include "supervisor/keeper/keeper.h"

#define REFILL_MS          3    /* after use: the replacement that just started goes first */
#define REST_MS            1000 /* after a child that nobody could use */
#define PROBE_MS           2000 /* for the launcher's first child, at the start only */
#define LAUNCHER_TRIES_MAX 5u   /* in a row, then children are made directly for good */

static void children_assign(struct keeper *k);
static void children_want(struct keeper *k, uint32_t wanted);
static void launcher_probe(struct keeper *k);
static void launcher_give_up(struct keeper *k);
static void launches_forget(struct children *children);
static void launcher_ended(struct keeper *k);
static int child_make(struct keeper *k);
static int child_ask(struct keeper *k, int child_end);
static int child_start(struct keeper *k, int child_end, int *link);
static void child_arrived(struct keeper *k, pid_t pid, int link);
static void child_refused(struct keeper *k, int error);
static bool reply_read(struct keeper *k);

void
children_open(struct keeper *k)
{
    struct children *children = &k->children;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    children->launcher_link = children->launcher_pidfd = -1;
    children->parked_target = (uint32_t)MIN(MAX(cores, 1) * 2, (long)PARKED_MAX);
    children->use_launcher = !k->options.no_launcher;
    if (children->use_launcher)
        launcher_probe(k);
    children_refill(k);
}

void
children_close(struct keeper *k)
{
    struct children *children = &k->children;
    for (uint32_t i = 0; i < children->parked_count; i++)
        kill(children->parked[i].pid, SIGKILL);
    if (children->launcher > 0)
        kill(children->launcher, SIGKILL);
    launches_forget(children);
    while (k->spare_count > 0)
        channel_close(k, &k->spares[--k->spare_count]);
}

void
children_serve(struct keeper *k)
{
    children_assign(k);
    children_want(k, k->workers.waiting_count);
    if (k->children.use_launcher)
        return;
    /* Direct children are there at once; what one turn's worth of them did not serve, the next
     * does. */
    children_assign(k);
    if (k->workers.waiting_count > 0)
        timer_earliest(k, TIMER_REFILL, k->now + 1);
}

void
children_refill(struct keeper *k)
{
    struct children *children = &k->children;
    enum spawn_step step;
    children_serve(k);
    while (k->spare_count < children->parked_target &&
           channel_open(k, &k->spares[k->spare_count], &step) == 0)
        k->spare_count++;
    if (children->parked_count >= children->parked_target)
        return;
    if (k->now >= children->refill_not_before)
        children_want(k,
                      k->workers.waiting_count + children->parked_target - children->parked_count);
    else
        timer_earliest(k, TIMER_REFILL, children->refill_not_before);
}

bool
children_died(struct keeper *k, pid_t pid)
{
    struct children *children = &k->children;
    for (uint32_t i = 0; i < children->parked_count; i++) {
        struct child *child = &children->parked[i];
        siginfo_t info = {0};
        if (child->pid != pid)
            continue;
        if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG) == 0 && info.si_pid == pid) {
            fd_close(&child->link);
            fd_close(&child->pidfd);
            *child = children->parked[--children->parked_count];
            /* Whatever kills children that do nothing may do it again: not in a tight loop. */
            children->refill_not_before = k->now + REST_MS;
            timer_earliest(k, TIMER_REFILL, children->refill_not_before);
        }
        return true;
    }
    return false;
}

void
launcher_start(struct keeper *k)
{
    static const char *const argv[] = {"poold-exec", "launch", NULL};
    struct children *children = &k->children;
    int pair[2];
    children->launcher_since = k->now;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        launcher_ended(k);
        return;
    }
    pid_t pid = process_start(HELPER_IMAGE_FD, argv, pair[1], false);
    close(pair[1]);
    children->launcher_link = pair[0];
    if (pid > 0) {
        children->launcher = pid;
        children->launcher_pidfd = pid_open(pid);
    }
    if (pid < 0 || children->launcher_pidfd < 0 ||
        loop_watch(k, children->launcher_pidfd, EPOLLIN, TAG_LAUNCHER_EXIT, 0) != 0 ||
        loop_watch(k, children->launcher_link, EPOLLIN, TAG_LAUNCHER_LINK, 0) != 0) {
        launcher_ended(k);
        return;
    }
    children_refill(k);
}

void
launcher_ready(struct keeper *k, uint32_t index)
{
    (void)index;
    struct children *children = &k->children;
    for (int i = 0; i < TURN_MAX && children->launcher_link >= 0 && reply_read(k); i++)
        ;
    children_serve(k);
    if (children->parked_count + children->launch_count < children->parked_target)
        timer_earliest(k, TIMER_REFILL, MAX(k->now + REFILL_MS, children->refill_not_before));
}

void
launcher_exited(struct keeper *k, uint32_t index)
{
    (void)index;
    siginfo_t info = {0};
    if (k->children.launcher > 0 &&
        waitid(P_PID, (id_t)k->children.launcher, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid != 0)
        launcher_ended(k);
}

/* Parked children to workers that wait, as far as either goes. */
static void
children_assign(struct keeper *k)
{
    struct children *children = &k->children;
    while (k->workers.waiting_count > 0 && children->parked_count > 0) {
        struct child *child = &children->parked[children->parked_count - 1];
        enum give given = spawn_give(k, child);
        /* Children and channels alike are made anew, but not in the way of what was just
         * started. */
        timer_earliest(k, TIMER_REFILL, MAX(k->now + REFILL_MS, children->refill_not_before));
        switch (given) {
        case CHILD_LOST:
            fd_close(&child->link);
            fd_close(&child->pidfd);
            children->parked_count--;
            break;
        case CHILD_TAKEN:
            children->parked_count--;
            break;
        case WORKER_FAILED:
            break;
        case NO_ROOM:
            return;
        }
    }
}

/* Can children be had from a launcher here at all (a filter may forbid the clone)? Settled once,
 * with the first child, before an engine is told. */
static void
launcher_probe(struct keeper *k)
{
    struct children *children = &k->children;
    launcher_start(k);
    struct pollfd answer = {.fd = children->launcher_link, .events = POLLIN};
    if (children->launch_count > 0 && poll(&answer, 1, PROBE_MS) == 1)
        reply_read(k);
    if (children->parked_count == 0)
        launcher_give_up(k);
}

static void
launcher_give_up(struct keeper *k)
{
    say("the launcher cannot be used here: poold makes each worker's process itself");
    k->children.use_launcher = false;
    launcher_ended(k);
}

/* What it made without having said so ends by itself, when its link is closed. */
static void
launches_forget(struct children *children)
{
    for (; children->launch_count > 0; children->launch_count--) {
        fd_close(&children->launches[children->launch_at]);
        children->launch_at = (children->launch_at + 1) % LAUNCHES_MAX;
    }
}

/* Also where it has not begun. What it was asked for is asked again: children that it made without
 * saying so have no specification, and end when their links are closed. */
static void
launcher_ended(struct keeper *k)
{
    struct children *children = &k->children;
    if (children->launcher > 0) {
        /* Dead or about to be; what is not dead yet the sweep reaps. */
        kill(children->launcher, SIGKILL);
        waitid(P_PID, (id_t)children->launcher, &(siginfo_t){0}, WEXITED | WNOHANG);
    }
    children->launcher = 0;
    fd_close(&children->launcher_link);
    fd_close(&children->launcher_pidfd);
    launches_forget(children);
    timer_earliest(k, TIMER_SWEEP, k->now + REST_MS);
    bool lasted = k->now - children->launcher_since >= REST_MS;
    children->launcher_failures = lasted ? 0 : children->launcher_failures + 1;
    if (children->use_launcher && children->launcher_failures < LAUNCHER_TRIES_MAX)
        timer_set(k, TIMER_LAUNCHER, k->now + children->launcher_failures * 100);
    else if (children->use_launcher)
        launcher_give_up(k);
    timer_earliest(k, TIMER_REFILL, k->now + REFILL_MS);
}

/* Brings the number of children under way to wanted. */
static void
children_want(struct keeper *k, uint32_t wanted)
{
    /* Direct children arrive at once, and some may be refused: count the tries, not the result. */
    for (uint32_t tries = k->children.launch_count; tries < MIN(wanted, LAUNCHES_MAX); tries++) {
        if (child_make(k) != 0)
            return;
    }
}

/* 0, or a negative errno after everything that follows from it has been done. */
static int
child_make(struct keeper *k)
{
    int pair[2];
    if (k->children.use_launcher && k->children.launcher_link < 0)
        return -EAGAIN; /* another launcher is about to start, and will ask then */
    if (k->children.parked_count + k->children.launch_count == ARRAY_LEN(k->children.parked))
        return -EAGAIN; /* more than anybody can be waiting for */
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        child_refused(k, errno);
        return -EMFILE;
    }
    int link = pair[0];
    int error = k->children.use_launcher ? child_ask(k, pair[1]) : child_start(k, pair[1], &link);
    close(pair[1]);
    if (error == 0 && k->children.use_launcher) {
        struct children *children = &k->children;
        children->launches[(children->launch_at + children->launch_count++) % LAUNCHES_MAX] = link;
    } else if (error != 0) {
        fd_close(&link);
    }
    return error;
}

static int
child_ask(struct keeper *k, int child_end)
{
    struct launch_request request = {.version = SPEC_VERSION};
    if (pass(k->children.launcher_link, &request, sizeof request, &child_end, 1) == 0)
        return 0;
    /* Full, or the launcher has just died: its answers, or its end, bring us here again. Without
     * either only time can help. */
    if (k->children.launch_count == 0)
        timer_earliest(k, TIMER_REFILL, k->now + REFILL_MS);
    return -EAGAIN;
}

static int
child_start(struct keeper *k, int child_end, int *link)
{
    static const char *const argv[] = {"poold-exec", "park", NULL};
    pid_t pid = process_start(HELPER_IMAGE_FD, argv, child_end, false);
    if (pid < 0) {
        child_refused(k, -pid);
        return pid;
    }
    child_arrived(k, pid, *link);
    *link = -1; /* the child's record has it */
    return 0;
}

/* One answer of the launcher. Returns whether there may be more. */
static bool
reply_read(struct keeper *k)
{
    struct children *children = &k->children;
    struct launch_reply reply;
    ssize_t size = recv(children->launcher_link, &reply, sizeof reply, MSG_DONTWAIT);
    if (size < 0)
        return false;
    if (size != (ssize_t)sizeof reply || children->launch_count == 0) {
        launcher_ended(k);
        return false;
    }
    int link = children->launches[children->launch_at];
    children->launch_at = (children->launch_at + 1) % LAUNCHES_MAX;
    children->launch_count--;
    if (reply.pid > 0) {
        child_arrived(k, reply.pid, link);
    } else {
        close(link);
        child_refused(k, -reply.pid);
    }
    return true;
}

static void
child_arrived(struct keeper *k, pid_t pid, int link)
{
    struct children *children = &k->children;
    int pidfd = k->options.no_pidfd ? -1 : pid_open(pid);
    assert(children->parked_count < ARRAY_LEN(children->parked));
    children->parked[children->parked_count++] = (struct child){pid, link, pidfd < 0 ? -1 : pidfd};
}

/* The machine's limit of processes or descriptors: the first who waits is told, nobody else
 * stops. */
static void
child_refused(struct keeper *k, int error)
{
    k->children.refill_not_before = k->now + REST_MS;
    timer_earliest(k, TIMER_REFILL, k->children.refill_not_before);
    if (k->workers.waiting_count > 0)
        spawn_fail_first(k, STEP_CLONE, error);
}
