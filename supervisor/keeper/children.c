/* children.c - the supply of children: the launcher that makes them, and those that are parked.
 *
 * No pid is held here: a child or a launcher ends by itself when its link is closed, and whoever
 * died unused is reaped as a stray. What the dead launcher was asked for is asked of the next one:
 * children that it made without saying so have no specification, so nothing is started twice. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "supervisor/exec/spec.h"
#include "supervisor/keeper/keeper.h"

#define REFILL_MS   3    /* after use: the replacement that just started goes first */
#define REST_MS     1000 /* after a child that could not be made; a launcher that lasts is sound */
#define DELAY_MS    100  /* for each launcher in a row that did not last */
#define PATIENCE    5u   /* after as many, who waits for a child is told that there is none */

/* error: why the launcher has ended, or could not even begin. */
static void
launcher_ended(struct keeper *k, int error)
{
    struct children *children = &k->children;
    fd_close(&children->launcher);
    for (; children->asked_count > 0; children->asked_count--) {
        fd_close(&children->asked[children->asked_at]);
        children->asked_at = (children->asked_at + 1) % ASKED_MAX;
    }
    bool lasted = k->now - children->launcher_since >= REST_MS;
    children->failures = lasted ? 0 : MIN(children->failures + 1, 2 * PATIENCE);
    children->not_before = k->now + children->failures * DELAY_MS;
    timer_earliest(k, TIMER_REFILL, children->not_before);
    while (children->failures >= PATIENCE && k->workers.waiting_count > 0)
        spawn_fail(k, STEP_CLONE, error);
}

static void
launcher_start(struct keeper *k)
{
    static const char *const argv[] = {"poold-exec", "launch", NULL};
    int pair[2] = {-1, -1};
    k->children.launcher_since = k->now;
    pid_t pid = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0
                    ? -errno
                    : program_start(HELPER_IMAGE_FD, argv, pair[1], false);
    fd_close(&pair[1]);
    k->children.launcher = pair[0];
    if (pid > 0)
        pid = loop_watch(k, pair[0], EPOLLIN, TAG_LAUNCHER_LINK, 0);
    if (pid < 0)
        launcher_ended(k, -pid);
}

/* The machine's limit of processes or descriptors: the first who waits is told, nobody else stops. */
static void
child_refused(struct keeper *k, enum spawn_step step, int error)
{
    k->children.not_before = k->now + REST_MS;
    timer_earliest(k, TIMER_REFILL, k->children.not_before);
    if (k->workers.waiting_count > 0)
        spawn_fail(k, step, error);
}

/* Brings the number of children under way to wanted, as far as the launcher takes it: its answers,
 * or time, bring us here again. */
static void
children_ask(struct keeper *k, uint32_t wanted)
{
    struct children *children = &k->children;
    const struct launch_request request = {.version = SPEC_VERSION};
    int pair[2];
    while (children->launcher >= 0 && children->asked_count < MIN(wanted, ASKED_MAX)) {
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
            child_refused(k, STEP_CLONE, errno);
            return;
        }
        int error = fds_send(children->launcher, &request, sizeof request, &pair[1], 1);
        close(pair[1]);
        if (error != 0) {
            close(pair[0]);
            timer_earliest(k, TIMER_REFILL, k->now + REFILL_MS);
            return;
        }
        children->asked[(children->asked_at + children->asked_count++) % ASKED_MAX] = pair[0];
    }
}

static void
child_arrived(struct keeper *k, struct child child)
{
    struct children *children = &k->children;
    enum spawn_step step = STEP_CLONE;
    if (!k->sweeping)
        child.pidfd = (int)syscall(SYS_pidfd_open, child.pid, 0);
    int error = k->sweeping || child.pidfd >= 0 ? channel_open(k, &child, &step) : -errno;
    if (error == 0 && k->workers.waiting_count > 0) {
        spawn_give(k, &child);
    } else if (error == 0 && children->parked_count < children->parked_target) {
        children->parked[children->parked_count++] = child;
    } else {
        child_close(k, &child);
        if (error != 0)
            child_refused(k, step, -error);
    }
}

/* One answer of the launcher. Returns whether there may be more. */
static bool
reply_read(struct keeper *k)
{
    struct children *children = &k->children;
    struct child child = CHILD_NONE;
    struct launch_reply reply;
    ssize_t size = recv(children->launcher, &reply, sizeof reply, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (size != (ssize_t)sizeof reply || children->asked_count == 0) {
        launcher_ended(k, ECHILD);
        return false;
    }
    child.pid = reply.pid;
    child.link = children->asked[children->asked_at];
    children->asked_at = (children->asked_at + 1) % ASKED_MAX;
    children->asked_count--;
    if (reply.pid > 0) {
        child_arrived(k, child);
    } else {
        close(child.link);
        child_refused(k, STEP_CLONE, -reply.pid);
    }
    return true;
}

void
children_serve(struct keeper *k)
{
    struct children *children = &k->children;
    while (k->workers.waiting_count > 0 && children->parked_count > 0)
        spawn_give(k, &children->parked[--children->parked_count]);
    children_ask(k, k->workers.waiting_count);
    /* Parked again, but not in the way of what was just started. */
    if (children->parked_count + children->asked_count < children->parked_target)
        timer_earliest(k, TIMER_REFILL, MAX(k->now + REFILL_MS, children->not_before));
}

void
children_refill(struct keeper *k)
{
    struct children *children = &k->children;
    if (k->now < children->not_before) {
        timer_earliest(k, TIMER_REFILL, children->not_before);
        return;
    }
    if (children->launcher < 0)
        launcher_start(k);
    children_ask(k, k->workers.waiting_count + children->parked_target - children->parked_count);
}

void
launcher_ready(struct keeper *k, uint32_t place)
{
    (void)place;
    for (int i = 0; i < TURN_MAX && k->children.launcher >= 0 && reply_read(k); i++)
        ;
    children_serve(k);
}

void
children_open(struct keeper *k)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    k->children.launcher = -1;
    k->children.parked_target = (uint32_t)MIN(MAX(cores, 1) * 2, (long)PARKED_MAX);
    children_refill(k);
}

void
children_close(struct keeper *k)
{
    struct children *children = &k->children;
    launcher_ended(k, 0);
    while (children->parked_count > 0)
        child_close(k, &children->parked[--children->parked_count]);
}
