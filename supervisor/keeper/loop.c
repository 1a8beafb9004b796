/* loop.c - one epoll and a handful of timers; everything that the keeper waits for, it waits for
 * here. */
#include <sys/signalfd.h>

#include "supervisor/keeper/keeper.h"

#define STRAYS_MS 1000 /* from a death that may be a stray's to a look at it */
#define SWEEP_MS  50   /* the same where any death is found so; each worker costs 0.6 us */

int
loop_watch(struct keeper *k, int fd, uint32_t events, enum tag tag, uint32_t place)
{
    struct epoll_event event = {.events = events, .data.u64 = (uint64_t)tag << 32 | place};
    return epoll_ctl(k->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

void
timer_earliest(struct keeper *k, enum timer timer, msec at)
{
    k->timers[timer] = MIN(k->timers[timer], at);
}

int
loop_open(struct keeper *k)
{
    /* What means something is read. All others but our own faults are blocked: no stray key, alarm or
     * full quota may end the parent of everything. Blocked, not ignored: that would be inherited, and
     * so would what poold inherited; with SIGCHLD ignored the kernel would even reap unseen. */
    static const int read_here[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    sigset_t blocked;
    for (int signo = 1; signo < NSIG; signo++)
        signal(signo, SIG_DFL);
    sigemptyset(&k->signals);
    for (size_t i = 0; i < ARRAY_LEN(read_here); i++)
        sigaddset(&k->signals, read_here[i]);
    k->signal_fd = signalfd(-1, &k->signals, SFD_CLOEXEC | SFD_NONBLOCK);
    k->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    sigfillset(&blocked);
    for (size_t i = 0; i < ARRAY_LEN(faults); i++)
        sigdelset(&blocked, faults[i]);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    for (size_t i = 0; i < TIMER_COUNT; i++)
        k->timers[i] = MSEC_NEVER;
    k->now = clock_now();
    if (loop_watch(k, k->signal_fd, EPOLLIN, TAG_SIGNALS, 0) == 0)
        return 0;
    say("cannot make an event loop: %s", strerror(errno));
    return 1;
}

/* One SIGCHLD may stand for many deaths, so it names nobody: workers are told by their pidfds, the
 * engine is asked, and for strays there is time. */
void
signals_read(struct keeper *k, uint32_t place)
{
    (void)place;
    struct signalfd_siginfo infos[8]; /* of the rest the next turn is told */
    ssize_t size = read(k->signal_fd, infos, sizeof infos);
    for (ssize_t i = 0; i < size / (ssize_t)sizeof infos[0] && !k->done; i++) {
        if (infos[i].ssi_signo != SIGCHLD) {
            engine_signalled(k, (int)infos[i].ssi_signo);
            continue;
        }
        engine_check(k);
        timer_earliest(k, TIMER_SWEEP, k->now + (k->sweeping ? SWEEP_MS : STRAYS_MS));
    }
}

static void
timers_fire(struct keeper *k)
{
#define FUNCTION_(name, function) [TIMER_##name] = function,
    static void (*const functions[TIMER_COUNT])(struct keeper *) = {TIMERS(FUNCTION_)};
    for (size_t i = 0; i < TIMER_COUNT; i++) {
        if (k->timers[i] <= k->now) {
            k->timers[i] = MSEC_NEVER;
            functions[i](k);
        }
    }
}

void
loop_run(struct keeper *k)
{
#define HANDLER_(name, function) [TAG_##name] = function,
    static void (*const handlers[TAG_COUNT])(struct keeper *, uint32_t) = {TAGS(HANDLER_)};
    while (!k->done) {
        struct epoll_event events[TURN_MAX];
        /* What came up in this turn is told before the next wait, in one place. */
        messages_pump(k);
        msec next = k->now + 3600000;
        for (size_t i = 0; i < TIMER_COUNT; i++)
            next = MIN(next, MAX(k->timers[i], k->now));
        int count = epoll_wait(k->epoll_fd, events, TURN_MAX, (int)(next - k->now));
        k->now = clock_now();
        /* An event may be about a place that changed hands earlier in this very turn: every handler
         * asks the kernel before it believes it. */
        for (int i = 0; i < count && !k->done; i++)
            handlers[events[i].data.u64 >> 32](k, (uint32_t)events[i].data.u64);
        timers_fire(k);
    }
}
