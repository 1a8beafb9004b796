/* engine.c - the engine's process: started, heard, seen off, started again, and stood in for. */
#include "supervisor/keeper/keeper.h"

/* An engine that dies within it counts for the back-off. Well below a second: one that is killed
 * every second is to be back at once each time. */
#define QUICK_MS        500
#define DELAY_MS        100 /* after the second quick death, doubled at each further one */
#define DELAY_MAX_MS    5000
#define ABSENT_MS       1000 /* without an engine, until what workers say is thrown away */
#define DISCARD_MS      100  /* then as often; a pipe holds what is written meanwhile */
#define GRACE_MS        1000 /* between the end of the link and the end of the process */
#define LEAVE_MS        5000 /* between LEAVE and the end of the process */
#define HOPELESS_DEATHS 3u   /* quick ones in a row, after which a stop does not wait for another */

/* The first one comes back at once; one that cannot live must not use up the machine. It shall
 * stop, and there is nobody who could drain the workers: then that is the end. */
static void
engine_next(struct keeper *k)
{
    uint32_t deaths = k->engine.quick_deaths;
    msec delay = deaths < 2 ? 0 : MIN((msec)DELAY_MS << MIN(deaths - 2, 6u), (msec)DELAY_MAX_MS);
    if (k->engine.stops > 0 && deaths >= HOPELESS_DEATHS) {
        say("asked to stop while no engine can be kept alive: the workers are killed");
        k->status = 1;
        k->done = true;
    } else {
        timer_earliest(k, TIMER_ENGINE, k->now + delay);
    }
}

/* info zeroed: it could not even be started. */
static void
engine_died(struct keeper *k, const siginfo_t *info)
{
    struct engine *engine = &k->engine;
    engine->pid = 0;
    fd_close(&engine->link);
    k->timers[TIMER_OVERDUE] = MSEC_NEVER;
    k->messages.at = k->messages.count = 0;
    next_drop(k, NULL);
    while (k->workers.waiting_count > 0)
        worker_enter(&k->workers, worker_waiting(&k->workers), IN_FREE);
    if (engine->leaving) {
        k->status = engine->leave_status;
        k->done = true;
        return;
    }
    if (engine->attached || engine->restarts == 0)
        timer_earliest(k, TIMER_DISCARD, k->now + ABSENT_MS);
    engine->attached = false;
    engine->restarts++;
    engine->ended_at = k->now;
    engine->exit_code = (uint16_t)info->si_code;
    engine->exit_status = (uint16_t)info->si_status;
    engine->quick_deaths = k->now - engine->started_at < QUICK_MS ? engine->quick_deaths + 1 : 0;
    if (info->si_pid != 0)
        say("the engine ended by %s %d; the workers go on, and another engine starts",
            info->si_code == CLD_EXITED ? "exit" : "signal", info->si_status);
    engine_next(k);
}

void
engine_kill(struct keeper *k)
{
    if (k->engine.pid > 0)
        kill(k->engine.pid, SIGKILL);
    /* One of its threads may wait for a dead disk, which no signal ends: it is left to init. */
    if (k->engine.leaving) {
        k->status = k->engine.leave_status;
        k->done = true;
    }
}

void
engine_lost(struct keeper *k, const char *why)
{
    say("the engine is killed: %s", why);
    engine_kill(k);
    fd_close(&k->engine.link);
}

void
engine_leave(struct keeper *k, const struct verb *verb)
{
    k->engine.leaving = true;
    k->engine.leave_status = (int)(verb->argument & 0xff);
    timer_earliest(k, TIMER_OVERDUE, k->now + LEAVE_MS);
}

/* One message. Returns whether there may be more. */
static bool
engine_read(struct keeper *k)
{
#define QUESTION_(name, function) [VERB_##name] = function,
    static void (*const handlers[VERB_COUNT])(struct keeper *,
                                              const struct verb *) = {QUESTIONS(QUESTION_)};
    struct verb verb;
    /* No room for descriptors: should any come, the kernel closes them. */
    ssize_t size = recv(k->engine.link, &verb, sizeof verb, MSG_DONTWAIT | MSG_TRUNC);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return errno == EINTR;
    if (size <= 0) {
        fd_close(&k->engine.link);
        timer_earliest(k, TIMER_OVERDUE, k->now + GRACE_MS);
        return false;
    }
    if (size != (ssize_t)sizeof verb || verb.version != VERB_VERSION || verb.kind >= VERB_COUNT ||
        handlers[verb.kind] == NULL) {
        say("the engine said kind %u, version %u, %zd bytes; poold knows version %u, %zu bytes",
            verb.kind, verb.version, size, VERB_VERSION, sizeof verb);
        engine_lost(k, "it speaks another language");
        return false;
    }
    k->engine.attached = true;
    k->timers[TIMER_DISCARD] = MSEC_NEVER;
    handlers[verb.kind](k, &verb);
    return true;
}

void
engine_ready(struct keeper *k, uint32_t place)
{
    (void)place;
    for (int i = 0; i < TURN_MAX && k->engine.link >= 0 && engine_read(k); i++)
        ;
}

void
engine_check(struct keeper *k)
{
    siginfo_t info = {0};
    if (k->engine.pid == 0 ||
        waitid(P_PID, (id_t)k->engine.pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid == 0)
        return;
    /* Its last words count, above all LEAVE. It writes no more, so this ends. */
    while (k->engine.link >= 0 && engine_read(k))
        ;
    waitid(P_PID, (id_t)k->engine.pid, &info, WEXITED | WNOHANG);
    engine_died(k, &info);
}

static void
signal_tell(struct keeper *k, int signo)
{
    struct verb verb = {.kind = VERB_OUTSIDE, .signo = signo, .argument = k->engine.stops};
    message_add(k, verb, NONE);
}

void
engine_signalled(struct keeper *k, int signo)
{
    bool stop = signo == SIGTERM || signo == SIGINT;
    k->engine.stops += stop;
    signal_tell(k, signo);
    if (stop && k->engine.pid == 0)
        engine_next(k);
}

static void
engine_greet(struct keeper *k)
{
    const struct engine *engine = &k->engine;
    struct verb hello = {.kind = VERB_HELLO,
                         .u.hello = {.config_serial = k->record.header->serial,
                                     .keeper_pid = getpid(),
                                     .restarts = engine->restarts,
                                     .workers_max = k->workers.places,
                                     .exit_code = engine->exit_code,
                                     .exit_status = engine->exit_status,
                                     .launcher = !k->children.alone}};
    if (engine->restarts > 0)
        hello.u.hello.away_ms = clock_now() - engine->ended_at;
    message_add(k, hello, NONE);
    if (engine->stops > 0) /* the engine before may have died before it read this */
        signal_tell(k, SIGTERM);
}

/* poold-exec takes the engine's identity before the engine's first instruction: a child of ours
 * that shares our memory must never do that (its ids would be ours). */
void
engine_start(struct keeper *k)
{
    const struct record_strings *words = &k->record.header->engine;
    const char *argv[RECORD_ENGINE_WORDS_MAX + 1] = {record_text(&k->record, words->at)};
    for (uint32_t i = 1; i < words->count; i++)
        argv[i] = argv[i - 1] + strlen(argv[i - 1]) + 1;
    k->engine.started_at = k->now;
    pid_t pid = program_start(HELPER_IMAGE_FD, argv, &k->engine.link);
    if (pid < 0) {
        say("cannot start the engine: %s", strerror(-pid));
        engine_died(k, &(siginfo_t){0});
        return;
    }
    k->engine.pid = pid;
    engine_greet(k);
    if (loop_watch(k, k->engine.link, EPOLLIN, TAG_ENGINE_LINK, 0) != 0)
        engine_lost(k, "it cannot be watched");
}

/* No engine for a while: what workers say is read and thrown away, so that none of them blocks on a
 * full pipe or a full socket. One that starts may block: its READY=1 must not be lost. */
void
engine_stand_in(struct keeper *k)
{
    static char chunk[65536]; /* what a pipe holds */
    for (uint32_t i = 0; i < k->workers.used; i++) {
        const struct worker *worker = &k->workers.v[i];
        if (worker->in < IN_SPAWNED || worker->kind != SPAWN_WORKER)
            continue;
        while (worker->ready && read(worker->child.notify, chunk, sizeof chunk) > 0)
            ;
        (void)!read(worker->child.output, chunk, sizeof chunk);
    }
    timer_earliest(k, TIMER_DISCARD, k->now + DISCARD_MS);
}
