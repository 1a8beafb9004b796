/* reports.c - what the engine is to be told, kept as flags beside what it is about until the link
 * takes it. Nothing is queued by copy, so there is nothing that could overflow, but for answers
 * about what is not in any table; those have a ring, and a full ring stops the reading of
 * questions. */
#include <errno.h>
#include <unistd.h>

#include "supervisor/keeper/keeper.h"

#define PUMP_MAX  256 /* messages a turn; some 3 us each */
#define RESEND_MS 5

static bool hello_pump(struct keeper *k);
static bool outside_pump(struct keeper *k);
static bool answers_pump(struct keeper *k);
static bool sockets_pump(struct keeper *k);
static bool workers_pump(struct keeper *k);
static bool worker_pump(struct keeper *k, struct worker *worker);
static bool list_pump(struct keeper *k);
static bool list_one(struct keeper *k, struct worker *worker);
static void worker_fill(struct verb *verb, const struct worker *worker);
static bool verb_send(struct keeper *k, struct verb *verb, const int *fds, uint32_t fd_count);

void
reports_pump(struct keeper *k)
{
    static bool (*const pumps[])(struct keeper *) = {hello_pump,   outside_pump, answers_pump,
                                                     sockets_pump, workers_pump, list_pump};
    k->engine.budget = PUMP_MAX;
    for (size_t i = 0; i < ARRAY_LEN(pumps); i++) {
        if (!pumps[i](k))
            return;
    }
}

void
reports_reset(struct keeper *k)
{
    struct engine *engine = &k->engine;
    struct worker *worker;
    while ((worker = line_first(&k->workers, &k->workers.reporting)) != NULL) {
        line_drop_first(&k->workers, &k->workers.reporting);
        worker->queued = 0;
        worker->reports = 0;
        if (worker->released)
            line_add(&k->workers, &k->workers.leaving, worker);
    }
    for (uint32_t i = 0; i < k->workers.used; i++)
        k->workers.v[i].known = 0;
    for (uint32_t i = 0; i < k->record.header->sockets; i++)
        k->sockets[i].answer = false;
    engine->sockets_first = engine->sockets_last = NONE;
    engine->answer_count = 0;
    engine->listing = engine->hello = engine->blocked = false;
}

void
report_worker(struct keeper *k, struct worker *worker, unsigned reports)
{
    if (!worker->known || reports == 0)
        return; /* LIST will have it */
    worker->reports |= (uint8_t)reports;
    if (worker->queued)
        return;
    worker->queued = 1;
    line_add(&k->workers, &k->workers.reporting, worker);
}

void
report_socket(struct keeper *k, uint32_t index, uint64_t request, int error)
{
    struct socket_slot *slot = &k->sockets[index];
    slot->request = request;
    slot->error = error;
    if (slot->answer)
        return;
    slot->answer = true;
    slot->answer_next = NONE;
    if (k->engine.sockets_first == NONE)
        k->engine.sockets_first = index;
    else
        k->sockets[k->engine.sockets_last].answer_next = index;
    k->engine.sockets_last = index;
}

bool
report_answer(struct keeper *k, const struct verb *verb)
{
    struct engine *engine = &k->engine;
    if (engine->link < 0)
        return true; /* nobody to tell, and the next engine asks */
    if (engine->answer_count == ANSWERS_MAX)
        return false;
    engine->answers[(engine->answer_at + engine->answer_count++) % ANSWERS_MAX] = *verb;
    return true;
}

void
report_list(struct keeper *k, const struct verb *verb)
{
    k->engine.listing = true;
    k->engine.list_request = verb->request;
    k->engine.list_at = 0;
}

static bool
hello_pump(struct keeper *k)
{
    struct engine *engine = &k->engine;
    struct verb verb = {.kind = VERB_HELLO};
    const int fds[] = {k->state_fd, k->config_fd, k->control_fd};
    if (!engine->hello)
        return engine->link >= 0;
    verb.u.hello.config_serial = k->record.header->serial;
    verb.u.hello.keeper_pid = getpid();
    verb.u.hello.restarts = engine->restarts;
    verb.u.hello.workers_max = k->workers.places;
    verb.u.hello.exit_code = engine->exit_code;
    verb.u.hello.exit_status = engine->exit_status;
    verb.u.hello.away_ms = engine->restarts > 0 ? clock_now() - engine->ended_at : 0;
    verb.u.hello.launcher = k->children.use_launcher;
    if (!verb_send(k, &verb, fds, ARRAY_LEN(fds)))
        return false;
    engine->hello = false;
    return true;
}

static bool
outside_pump(struct keeper *k)
{
    struct engine *engine = &k->engine;
    while (engine->outside != 0) {
        int signo = __builtin_ctzll(engine->outside) + 1;
        struct verb verb = {.kind = VERB_OUTSIDE, .signo = signo, .argument = engine->stops};
        if (!verb_send(k, &verb, NULL, 0))
            return false;
        engine->outside &= engine->outside - 1;
    }
    return true;
}

static bool
answers_pump(struct keeper *k)
{
    struct engine *engine = &k->engine;
    while (engine->answer_count > 0) {
        if (!verb_send(k, &engine->answers[engine->answer_at], NULL, 0))
            return false;
        engine->answer_at = (engine->answer_at + 1) % ANSWERS_MAX;
        engine->answer_count--;
    }
    return true;
}

static bool
sockets_pump(struct keeper *k)
{
    struct engine *engine = &k->engine;
    while (engine->sockets_first != NONE) {
        struct socket_slot *slot = &k->sockets[engine->sockets_first];
        struct verb verb = {.kind = VERB_BIND_RESULT,
                            .request = slot->request,
                            .index = engine->sockets_first,
                            .error = slot->error};
        if (!verb_send(k, &verb, NULL, 0))
            return false;
        slot->answer = false;
        engine->sockets_first = slot->answer_next;
    }
    return true;
}

static bool
workers_pump(struct keeper *k)
{
    struct worker *worker;
    while ((worker = line_first(&k->workers, &k->workers.reporting)) != NULL) {
        if (!worker->released && !worker_pump(k, worker))
            return false;
        line_drop_first(&k->workers, &k->workers.reporting);
        worker->queued = 0;
        worker->reports = 0;
        if (worker->released)
            line_add(&k->workers, &k->workers.leaving, worker);
    }
    return true;
}

/* All that is to be told of one worker, in its order. */
static bool
worker_pump(struct keeper *k, struct worker *worker)
{
    /* clang-format off */
    static const struct {
        uint8_t report;
        uint16_t kind;
    } order[] = {{REPORT_SPAWNED,     VERB_SPAWNED},
                 {REPORT_EXECUTED,    VERB_EXECUTED},
                 {REPORT_EXEC_FAILED, VERB_EXEC_FAILED},
                 {REPORT_EXITED,      VERB_EXITED}};
    /* clang-format on */
    const int fds[] = {worker->channel.notify, worker->channel.output};
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        struct verb verb = {.kind = order[i].kind};
        if ((worker->reports & order[i].report) == 0)
            continue;
        worker_fill(&verb, worker);
        bool with_fds = verb.kind == VERB_SPAWNED && worker->kind == SPAWN_WORKER;
        verb.request = verb.kind == VERB_SPAWNED ? worker->request : 0;
        if (!verb_send(k, &verb, fds, with_fds ? 2 : 0))
            return false;
        worker->reports &= (uint8_t)~order[i].report;
    }
    return true;
}

static bool
list_pump(struct keeper *k)
{
    struct engine *engine = &k->engine;
    uint32_t sockets = k->record.header->sockets;
    for (; engine->listing && engine->list_at < sockets + k->workers.used; engine->list_at++) {
        uint32_t at = engine->list_at;
        struct verb verb = {
            .kind = VERB_LISTED_SOCKET, .request = engine->list_request, .index = at};
        if (at < sockets) {
            if (k->sockets[at].fd >= 0 && !verb_send(k, &verb, NULL, 0))
                return false;
        } else if (!list_one(k, &k->workers.v[at - sockets])) {
            return false;
        }
    }
    struct verb end = {.kind = VERB_LIST_END, .request = engine->list_request};
    if (engine->listing && !verb_send(k, &end, NULL, 0))
        return false;
    engine->listing = false;
    return true;
}

static bool
list_one(struct keeper *k, struct worker *worker)
{
    /* clang-format off */
    static const uint16_t phases[WORKER_IN_COUNT] = {
        [IN_SPAWNED]     = PHASE_SPAWNED,
        [IN_EXECUTED]    = PHASE_EXECUTED,
        [IN_EXEC_FAILED] = PHASE_EXEC_FAILED,
        [IN_EXITED]      = PHASE_EXITED,
    };
    /* clang-format on */
    const int fds[] = {worker->channel.notify, worker->channel.output};
    if (worker->in == IN_FREE)
        return true;
    if (worker->in == IN_WAITING) /* asked for by this engine: answered as that; else wait for it */
        return worker->known;
    struct verb verb = {.kind = VERB_LISTED_WORKER, .phase = phases[worker->in]};
    worker_fill(&verb, worker);
    verb.request = k->engine.list_request;
    if (!verb_send(k, &verb, fds, worker->kind == SPAWN_WORKER ? 2 : 0))
        return false;
    worker->known = 1;
    return true;
}

static void
worker_fill(struct verb *verb, const struct worker *worker)
{
    verb->worker = worker->id;
    verb->spawn = worker->kind;
    verb->pid = worker->pid;
    verb->step = worker->step;
    verb->error = worker->error;
    verb->code = worker->code;
    verb->status = worker->status;
}

/* False: not now; something will call the pump again. */
static bool
verb_send(struct keeper *k, struct verb *verb, const int *fds, uint32_t fd_count)
{
    struct engine *engine = &k->engine;
    if (engine->link < 0 || engine->blocked)
        return false;
    if (engine->budget-- == 0) {
        engine->budget = 0;
        timer_earliest(k, TIMER_RESEND, k->now);
        return false;
    }
    verb->version = VERB_VERSION;
    int error = pass(engine->link, verb, sizeof *verb, fds, fd_count);
    if (error == 0)
        return true;
    if (error == -EAGAIN) {
        engine->blocked = true;
        loop_rewatch(k, engine->link, EPOLLIN | EPOLLOUT, TAG_ENGINE_LINK, 0);
    } else if (error != -EPIPE && error != -ECONNRESET) {
        /* Too many descriptors under way, or no memory: only time helps. After EPIPE the engine's
         * end comes by itself. */
        timer_earliest(k, TIMER_RESEND, k->now + RESEND_MS);
    }
    return false;
}
