/* children.c - the supply of children: the launcher that makes them, and those that are parked.
 *
 * Where a filter refuses the launcher's clone, the keeper makes them itself, one by one.
 * No pid is signalled here: a child or a launcher ends by itself when its link is closed, and whoever
 * died unused is reaped as a stray. What the dead launcher was asked for is asked of the next one:
 * children that it made without saying so have no specification, so nothing is started twice. */
#include <poll.h>
#include <sys/syscall.h>

#include "supervisor/keeper/keeper.h"

#define REFILL_MS 3    /* after use: the replacement that just started goes first */
#define REST_MS   1000 /* after a child that could not be made */
#define DELAY_MS  100  /* for each launcher in a row that made no child */
#define FIRST_MS  1000 /* for the first answer, at the start */
#define PATIENCE  5u   /* after as many, who waits for a child is told that there is none */

static struct child *
child_at(struct children *children, uint32_t offset)
{
    return &children->v[(children->at + offset) % CHILDREN_MAX];
}

static void
child_drop(struct children *children)
{
    children->at = (children->at + 1) % CHILDREN_MAX;
    children->made--;
    children->count--;
}

/* error: why the launcher has ended, or could not even begin. */
static void
launcher_ended(struct keeper *k, int error)
{
    struct children *children = &k->children;
    fd_close(&children->launcher);
    while (children->count > children->made)
        child_close(k, child_at(children, --children->count));
    children->not_before = k->now + children->failures * DELAY_MS;
    children->failures = MIN(children->failures + 1, 2 * PATIENCE);
    timer_earliest(k, TIMER_REFILL, children->not_before);
    while (children->failures >= PATIENCE && k->workers.waiting_count > 0)
        spawn_fail(k, STEP_CLONE, error);
}

static void
launcher_start(struct keeper *k)
{
    static const char *const argv[] = {"poold-exec", "launch", NULL};
    int error = program_start(HELPER_IMAGE_FD, argv, &k->children.launcher);
    if (error > 0)
        error = loop_watch(k, k->children.launcher, EPOLLIN, TAG_LAUNCHER_LINK, 0);
    if (error < 0)
        launcher_ended(k, -error);
}

/* The machine's limit of processes or descriptors: the first who waits is told, no other stops. */
static void
child_refused(struct keeper *k, struct child *child, enum spawn_step step, int error)
{
    child_close(k, child);
    k->children.not_before = k->now + REST_MS;
    timer_earliest(k, TIMER_REFILL, k->children.not_before);
    if (k->workers.waiting_count > 0)
        spawn_fail(k, step, error);
}

/* The first that is owed; pid: or a negative errno. */
static void
child_made(struct keeper *k, pid_t pid)
{
    struct children *children = &k->children;
    struct child *child = child_at(children, children->made);
    enum spawn_step step = STEP_CLONE;
    int error = MIN(pid, 0);
    child->pid = pid;
    if (error == 0 && !k->sweeping)
        child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
    if (error == 0)
        error = k->sweeping || child->pidfd >= 0 ? channel_open(k, child, &step) : -errno;
    if (error != 0)
        child_refused(k, child, step, -error); /* without a link it is nobody's any more */
    children->failures = 0;
    children->made++;
}

/* Brings the number of children, made or asked for, to wanted, as far as the launcher takes it: its
 * answers, or time, bring us here again. Alone no more at a time than may hold up the loop. */
static void
children_ask(struct keeper *k, uint32_t wanted)
{
    static const char *const argv[] = {"poold-exec", "child", NULL};
    const struct launch_request request = {.version = SPEC_VERSION};
    struct children *children = &k->children;
    while (children->alone && children->count < MIN(wanted, PARKED_MAX)) {
        struct child *child = child_at(children, children->count++);
        *child = child_none;
        child_made(k, program_start(HELPER_IMAGE_FD, argv, &child->link));
    }
    while (children->launcher >= 0 && children->count < MIN(wanted, CHILDREN_MAX)) {
        struct child child = child_none;
        int pair[2] = {-1, -1};
        int error = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0
                        ? -errno
                        : fds_send(children->launcher, &request, sizeof request, &pair[1], 1);
        fd_close(&pair[1]);
        child.link = pair[0];
        if (pair[0] < 0)
            child_refused(k, &child, STEP_CLONE, -error);
        else if (error == 0)
            *child_at(children, children->count++) = child;
        else
            close(pair[0]);
        if (error != 0) {
            timer_earliest(k, TIMER_REFILL, k->now + REFILL_MS);
            return;
        }
    }
}

static void
children_give(struct keeper *k)
{
    struct children *children = &k->children;
    while (k->workers.waiting_count > 0 && children->made > 0) {
        if (child_at(children, 0)->link >= 0)
            spawn_give(k, child_at(children, 0));
        child_drop(children);
    }
}

void
children_serve(struct keeper *k)
{
    struct children *children = &k->children;
    children_give(k);
    children_ask(k, k->workers.waiting_count);
    children_give(k); /* alone they are there at once */
    /* Parked again, but not in the way of what was just started. */
    if (children->count < children->parked)
        timer_earliest(k, TIMER_REFILL, MAX(k->now + REFILL_MS, children->not_before));
}

/* One answer of the launcher, about the first child that it owes. Whether there may be more. */
static bool
reply_read(struct keeper *k)
{
    struct children *children = &k->children;
    struct launch_reply reply;
    ssize_t size = recv(children->launcher, &reply, sizeof reply, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (size != (ssize_t)sizeof reply || children->made == children->count) {
        launcher_ended(k, ECHILD);
        return false;
    }
    children->alone = clone_is_refused(-reply.pid);
    if (children->alone)
        launcher_ended(k, -reply.pid);
    else
        child_made(k, reply.pid);
    return true;
}

void
launcher_ready(struct keeper *k, uint32_t place)
{
    (void)place;
    for (int i = 0; i < TURN_MAX && k->children.launcher >= 0 && reply_read(k); i++)
        ;
    children_serve(k);
}

/* Reaped already: one that was parked is not to be given to anybody. */
void
children_died(struct keeper *k, pid_t pid)
{
    for (uint32_t i = 0; i < k->children.made; i++) {
        if (child_at(&k->children, i)->pid == pid)
            child_close(k, child_at(&k->children, i));
    }
    timer_earliest(k, TIMER_REFILL, k->now + REFILL_MS);
}

void
children_refill(struct keeper *k)
{
    struct children *children = &k->children;
    if (k->now < children->not_before) {
        timer_earliest(k, TIMER_REFILL, children->not_before);
        return;
    }
    uint32_t kept = 0; /* those without a link are dead or were never made: the others close up */
    for (uint32_t i = 0; i < children->count; i++) {
        if (child_at(children, i)->link >= 0)
            *child_at(children, kept++) = *child_at(children, i);
    }
    children->made -= children->count - kept;
    children->count = kept;
    if (children->launcher < 0 && !children->alone)
        launcher_start(k);
    children_ask(k, k->workers.waiting_count + children->parked);
    children_serve(k);
}

void
children_open(struct keeper *k)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    k->children.launcher = -1;
    k->children.parked = (uint32_t)MIN(MAX(cores, 1) * 2, (long)PARKED_MAX);
    children_refill(k);
    /* By its first answer, which the engine is told of: whether there can be a launcher at all. */
    struct pollfd answer = {.fd = k->children.launcher, .events = POLLIN};
    if (answer.fd >= 0 && poll(&answer, 1, FIRST_MS) == 1)
        launcher_ready(k, 0);
}

void
children_close(struct keeper *k)
{
    k->children.made = 0;
    launcher_ended(k, 0);
}
