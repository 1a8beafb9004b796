/* engine.c - the engine's process: started, heard, seen off, and started again. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/exec/spec.h"
#include "supervisor/keeper/keeper.h"

/* An engine that dies within it counts for the back-off. Well below a second: one that is killed
 * every second is to be back at once each time. */
#define QUICK_MS        500
#define DELAY_MS        100 /* after the second quick death, doubled at each further one */
#define DELAY_MAX_MS    5000
#define ABSENT_MS       1000 /* without an engine, until what workers say is thrown away */
#define GRACE_MS        1000 /* between the end of the link and the end of the process */
#define LEAVE_MS        5000 /* between LEAVE and the end of the process */
#define HOPELESS_DEATHS 3u   /* quick ones in a row, after which a stop does not wait for another */

static pid_t engine_process(struct keeper *k, int engine_end);
static bool engine_read(struct keeper *k);
static void engine_died(struct keeper *k, const siginfo_t *info);
static msec engine_delay(const struct keeper *k);
static void keeper_give_up(struct keeper *k);

void
engine_start(struct keeper *k)
{
    struct engine *engine = &k->engine;
    int pair[2] = {-1, -1};
    pid_t pid = -EMFILE;
    engine->started_at = k->now;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0)
        pid = engine_process(k, pair[1]);
    fd_close(&pair[1]);
    engine->link = pair[0];
    if (pid < 0) {
        say("cannot start the engine: %s", strerror(-pid));
        engine_died(k, NULL);
        return;
    }
    engine->pid = pid;
    engine->pidfd = pid_open(pid);
    engine->hello = true;
    engine->blocked = false;
    if (engine->stops > 0) /* the engine before may have died before it read this */
        engine->outside |= 1ull << (SIGTERM - 1);
    if (engine->pidfd < 0 || loop_watch(k, engine->pidfd, EPOLLIN, TAG_ENGINE_EXIT, 0) != 0 ||
        loop_watch(k, engine->link, EPOLLIN, TAG_ENGINE_LINK, 0) != 0)
        engine_lost(k, "it cannot be watched");
}

void
engine_link_ready(struct keeper *k, uint32_t index)
{
    (void)index;
    if (k->engine.blocked) {
        k->engine.blocked = false;
        loop_rewatch(k, k->engine.link, EPOLLIN, TAG_ENGINE_LINK, 0);
    }
    /* Only as much as can be answered: what is left waits in the link, and slows who asks. */
    for (int i = 0; i < TURN_MAX && k->engine.link >= 0; i++) {
        if (k->engine.answer_count > ANSWERS_MAX / 2 || !engine_read(k))
            return;
    }
}

void
engine_exited(struct keeper *k, uint32_t index)
{
    (void)index;
    struct engine *engine = &k->engine;
    siginfo_t info = {0};
    if (engine->pid == 0 ||
        waitid(P_PID, (id_t)engine->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid == 0)
        return;
    /* Its last words count, above all LEAVE. It writes no more, so this ends. */
    while (engine->link >= 0 && engine_read(k))
        ;
    waitid(P_PID, (id_t)engine->pid, &info, WEXITED | WNOHANG);
    engine_died(k, &info);
}

void
engine_outside(struct keeper *k, int signo)
{
    struct engine *engine = &k->engine;
    engine->outside |= 1ull << (signo - 1);
    if (signo != SIGTERM && signo != SIGINT)
        return;
    engine->stops++;
    if (engine->pid == 0 && engine->quick_deaths >= HOPELESS_DEATHS)
        keeper_give_up(k);
}

void
engine_lost(struct keeper *k, const char *why)
{
    say("the engine is killed: %s", why);
    kill(k->engine.pid, SIGKILL);
    if (k->engine.pidfd < 0) { /* nothing will tell: wait here, for a process that is killed */
        siginfo_t info = {0};
        waitid(P_PID, (id_t)k->engine.pid, &info, WEXITED);
        engine_died(k, &info);
    }
}

void
engine_leave(struct keeper *k, const struct verb *verb)
{
    k->engine.leaving = true;
    k->engine.leave_status = (int)(verb->argument & 0xff);
    timer_set(k, TIMER_LEAVE, k->now + LEAVE_MS);
}

void
engine_overdue(struct keeper *k)
{
    if (k->engine.pid > 0)
        kill(k->engine.pid, SIGKILL);
}

/* poold-exec takes the engine's identity before the engine's first instruction: a child of ours
 * that shares our memory must never do that (its ids would be ours). */
static pid_t
engine_process(struct keeper *k, int engine_end)
{
    char uid[16], gid[16];
    const char *argv[12 + 2 * OPTIONS_LOGS_MAX];
    size_t count = 0;
    snprintf(uid, sizeof uid, "%u", k->record.header->engine_uid);
    snprintf(gid, sizeof gid, "%u", k->record.header->engine_gid);
    argv[count++] = "poold-exec";
    argv[count++] = "engine";
    argv[count++] = uid;
    argv[count++] = gid;
    argv[count++] = "poold-engine";
    for (uint32_t i = 0; i < k->options.log_count; i++) {
        argv[count++] = "--log";
        argv[count++] = k->options.logs[i];
    }
    argv[count++] = "--runtime-dir";
    argv[count++] = k->options.runtime;
    argv[count++] = "--state-dir";
    argv[count++] = k->options.state;
    argv[count] = NULL;
    return process_start(HELPER_IMAGE_FD, argv, engine_end, true);
}

/* One message. Returns whether there may be more. */
static bool
engine_read(struct keeper *k)
{
    static void (*const handlers[VERB_COUNT])(struct keeper *, const struct verb *) = {
        [VERB_BIND] = socket_bind,  [VERB_LISTEN] = socket_listen, [VERB_UNBIND] = socket_unbind,
        [VERB_SPAWN] = spawn_asked, [VERB_SIGNAL] = worker_signal, [VERB_RELEASE] = worker_release,
        [VERB_LIST] = report_list,  [VERB_LEAVE] = engine_leave};
    struct verb verb;
    /* No room for descriptors: should any come, the kernel closes them. */
    ssize_t size = recv(k->engine.link, &verb, sizeof verb, MSG_DONTWAIT | MSG_TRUNC);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return errno == EINTR;
    if (size <= 0) {
        fd_close(&k->engine.link);
        timer_earliest(k, TIMER_LEAVE, k->now + GRACE_MS);
        return false;
    }
    if (size != (ssize_t)sizeof verb || verb.version != VERB_VERSION || verb.kind >= VERB_COUNT ||
        handlers[verb.kind] == NULL) {
        say("the engine said kind %u, version %u, %zd bytes; this poold knows version %u, %zu "
            "bytes",
            verb.kind, verb.version, size, VERB_VERSION, sizeof verb);
        engine_lost(k, "it speaks another language");
        return false;
    }
    if (!k->engine.attached) {
        k->engine.attached = true;
        timer_set(k, TIMER_DISCARD, MSEC_NEVER);
        discard_stop(k);
    }
    handlers[verb.kind](k, &verb);
    return true;
}

/* info NULL: it could not even be started. */
static void
engine_died(struct keeper *k, const siginfo_t *info)
{
    struct engine *engine = &k->engine;
    engine->pid = 0;
    fd_close(&engine->link);
    fd_close(&engine->pidfd);
    timer_set(k, TIMER_LEAVE, MSEC_NEVER);
    reports_reset(k);
    if (engine->leaving) {
        k->status = engine->leave_status;
        k->done = true;
        return;
    }
    if (engine->attached || engine->restarts == 0)
        timer_set(k, TIMER_DISCARD, k->now + ABSENT_MS);
    engine->attached = false;
    engine->restarts++;
    engine->ended_at = k->now;
    engine->exit_code = info == NULL ? 0 : (uint16_t)info->si_code;
    engine->exit_status = info == NULL ? 0 : (uint16_t)info->si_status;
    engine->quick_deaths = k->now - engine->started_at < QUICK_MS ? engine->quick_deaths + 1 : 0;
    msec delay = engine_delay(k);
    if (info != NULL)
        say("the engine ended by %s %d; the workers go on, and another engine starts in %u ms",
            info->si_code == CLD_EXITED ? "exit" : "signal", info->si_status, (unsigned)delay);
    if (engine->stops > 0 && engine->quick_deaths >= HOPELESS_DEATHS)
        keeper_give_up(k);
    else
        timer_set(k, TIMER_ENGINE, k->now + delay);
}

/* The first one comes back at once; one that cannot live must not use up the machine. */
static msec
engine_delay(const struct keeper *k)
{
    uint32_t deaths = k->engine.quick_deaths;
    if (deaths <= 1)
        return 0;
    return deaths > 7 ? DELAY_MAX_MS : MIN((msec)DELAY_MS << (deaths - 2), (msec)DELAY_MAX_MS);
}

/* It shall stop, and there is nobody who could drain the workers. */
static void
keeper_give_up(struct keeper *k)
{
    say("asked to stop while no engine can be kept alive: the workers are killed");
    k->status = 1;
    k->done = true;
}
