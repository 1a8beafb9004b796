/* shell.c - the loop turn: feeds the core what happened, applies what it wants. */
#include "supervisor/engine/shell_inside.h"

#include <signal.h>
#include <unistd.h>

#include "supervisor/engine/tell.h"

/* Pieces of input read before a deadline is believed while more keeps coming: a flood cannot put off
 * time for ever. Counted are pieces and not turns, for a turn without a CPU reads few of them. */
#define CONFIRM_PIECES_MAX 24576u
/* ... and of each round, which is a turn: well below a millisecond. */
#define CONFIRM_MESSAGES 8u
#define CONFIRM_WORKERS  16u
#define CONFIRM_US       200u /* for each of the two */
#define STALL_MS         200u /* a turn that comes so late: this process stood still */
#define STALL_GRACE_MS   100u /* then the keeper may have, too: it gets time to tell what happened */

/* --- what the parts may ask */
msec
shell_now(const struct shell *shell)
{
    return io_time(shell->io);
}

struct io *
shell_io(struct shell *shell)
{
    return shell->io;
}

struct state *
shell_state(struct shell *shell)
{
    return shell->state;
}

struct events *
shell_events(struct shell *shell)
{
    return shell->events;
}

const struct core *
shell_core(const struct shell *shell)
{
    return shell->core;
}

const struct record *
shell_record(const struct shell *shell)
{
    return &shell->record;
}

const char *
shell_pool_name(const struct shell *shell, uint32_t pool)
{
    assert(pool < shell->record.header->pools);
    return record_text(&shell->record, shell->record.pools[pool].name);
}

const char *
shell_refused(const struct shell *shell, uint32_t pool)
{
    return record_text(&shell->record, shell->record.pools[pool].refused);
}

void
shell_worker(const struct shell *shell, uint32_t handle, struct shell_worker *out)
{
    workers_describe(shell->workers, handle, out);
    out->command_runs = shell->commands[handle];
}

uint32_t
shell_last_told(const struct shell *shell, uint32_t pool)
{
    return shell->pools[pool].told - 1; /* none: NONE */
}

const char *
shell_bind_failure(const struct shell *shell, uint32_t pool)
{
    uint32_t socket = shell->pools[pool].bind_failed;
    if (socket == 0)
        return "its sockets";
    return record_text(&shell->record, shell->record.sockets[socket - 1].address);
}

const struct record_socket *
shell_bind_failed(const struct shell *shell, uint32_t pool)
{
    uint32_t socket = shell->pools[pool].bind_failed;
    return socket == 0 ? NULL : &shell->record.sockets[socket - 1];
}

void
shell_status(const struct shell *shell, struct shell_status *out)
{
    *out = (struct shell_status){
        .keeper_pid = shell->hello.u.hello.keeper_pid,
        .engine_pid = getpid(),
        .up_ms = shell_now(shell) - shell->started_at,
        .restarts = shell->hello.u.hello.restarts,
        .pools = shell->record.header->pools_present,
        .workers = shell->living,
        .workers_max = shell->hello.u.hello.workers_max,
        .starts_max = shell->record.header->starts_max,
        .config_serial = shell->record.header->serial,
        .config_path = record_text(&shell->record, shell->record.header->source),
        .config_errors = shell->record.header->errors_kept,
        .config_last_good_at = shell->record.header->kept_at,
        .stopping = shell->stopping,
    };
    core_starts(shell->core, &out->starts_held, &out->starts_waiting);
    core_recycles(shell->core, &out->recycles_held, &out->recycles_waiting, &out->recycles_max);
}

int64_t
shell_next_scheduled_ms(const struct shell *shell, uint32_t pool)
{
    return schedule_next_ms(shell->schedule, pool);
}

uint64_t
shell_config_ask(struct shell *shell, bool apply)
{
    return config_ask(shell->config, apply);
}

/* --- asking the keeper */
void
shell_ask(struct shell *shell, enum verb_kind kind, struct verb verb)
{
    verb.version = VERB_VERSION;
    verb.kind = (uint16_t)kind;
    verb.request = ++shell->request;
    keeper_ask(shell->link, &verb);
}

static void
ask_signal(struct shell *shell, struct worker_id worker, enum spawn_kind spawn, int signo,
           enum signal_target target)
{
    shell_ask(shell, VERB_SIGNAL,
              (struct verb){
                  .worker = worker, .spawn = (uint16_t)spawn, .signo = signo, .argument = target});
}

void
shell_release(struct shell *shell, struct worker_id worker, enum spawn_kind spawn)
{
    shell_ask(shell, VERB_RELEASE, (struct verb){.worker = worker, .spawn = (uint16_t)spawn});
}

void
shell_note_ready(struct shell *shell, struct worker_id worker)
{
    if (shell->record.pools[worker.pool].settings.ready == READY_NOTIFY)
        shell_ask(shell, VERB_READY, (struct verb){.worker = worker, .spawn = SPAWN_WORKER});
}

void
shell_kill(struct shell *shell, struct worker_id worker, enum spawn_kind spawn)
{
    ask_signal(shell, worker, spawn, SIGKILL, TARGET_GROUP);
}

void
shell_list(struct shell *shell)
{
    shell_ask(shell, VERB_LIST, (struct verb){0});
}

void
shell_listen(struct shell *shell, uint32_t socket)
{
    if (shell->room.bound[socket])
        shell_ask(shell, VERB_LISTEN, (struct verb){.index = socket});
}

bool
shell_config_is_taking(const struct shell *shell)
{
    return shell->config != NULL && config_is_taking(shell->config);
}

bool
shell_open_output(struct shell *shell, uint32_t pool, uint32_t file, uint64_t *out_request)
{
    if (shell_config_is_taking(shell))
        return false;
    shell_ask(shell, VERB_OPEN, (struct verb){.index = pool, .argument = file});
    *out_request = shell->request;
    return true;
}

enum output
shell_output(const struct shell *shell, uint32_t pool, struct output_file **file)
{
    return outputs_of(shell->outputs, pool, file);
}

/* --- applying actions */

/* Binds what is not bound yet; the last answer decides (shell_bind_result). */
static void
apply_bind(struct shell *shell, uint32_t pool)
{
    const struct record_pool *record = &shell->record.pools[pool];
    struct shell_pool *own = &shell->pools[pool];
    own->bind_put_off = config_is_taking(shell->config);
    if (own->bind_put_off)
        return;
    own->bind_failed = 0;
    own->bind_error = 0;
    for (uint32_t i = 0; i < record->socket_count; i++) {
        uint32_t socket = record->socket_first + i;
        if (shell->room.bound[socket])
            continue;
        own->binds_open++;
        shell_ask(shell, VERB_BIND, (struct verb){.index = socket});
    }
    if (own->binds_open == 0) {
        struct event event = {.kind = EV_BOUND, .worker.pool = pool};
        shell_feed(shell, &event);
    }
}

void
shell_bind_again(struct shell *shell, uint32_t pool)
{
    if (shell->pools[pool].bind_put_off)
        apply_bind(shell, pool);
}

void
shell_bind_result(struct shell *shell, uint32_t socket, int32_t error)
{
    uint32_t pool = shell->record.sockets[socket].pool;
    struct shell_pool *own = &shell->pools[pool];
    shell->room.bound[socket] = error == 0;
    if (error != 0 && own->bind_error == 0) {
        own->bind_error = error;
        own->bind_failed = socket + 1;
    }
    assert(own->binds_open > 0);
    if (--own->binds_open > 0)
        return;
    struct event event = {.kind = own->bind_error != 0 ? EV_BIND_FAILED : EV_BOUND,
                          .worker.pool = pool,
                          .error = own->bind_error};
    shell_feed(shell, &event);
}

/* A ready command that still runs is of no use to a worker that leaves. */
static void
stop_command(struct shell *shell, const struct action *action)
{
    if (action->handle != NONE && shell->commands[action->handle])
        shell_kill(shell, action->worker, SPAWN_COMMAND);
}

static void
apply_drain(struct shell *shell, const struct action *action)
{
    stop_command(shell, action);
    if (workers_send_drain(shell->workers, action->handle, action->limit_ms) == 0)
        return;
    struct event event = {.kind = EV_DRAIN_UNSENT, .worker = action->worker};
    shell_feed(shell, &event);
}

static void
apply_release(struct shell *shell, const struct action *action)
{
    stop_command(shell, action);
    if (action->handle != NONE) {
        shell->commands[action->handle] = false;
        workers_detach(shell->workers, action->handle);
    }
    shell_release(shell, action->worker, SPAWN_WORKER);
}

static void
apply_spawn(struct shell *shell, const struct action *action)
{
    struct hold_mark begun = hold_mark();
    shell_ask(shell, VERB_SPAWN, (struct verb){.worker = action->worker, .spawn = SPAWN_WORKER});
    hold_add(io_hold(shell->io, HOLD_SPAWN), begun, hold_mark());
}

/* It begins to serve, to leave, or is gone. */
static bool
may_change_sockets(const struct action *action)
{
    return action->kind == ACT_DRAIN || action->kind == ACT_RELEASE ||
           (action->kind == ACT_EVENT && action->event == EVENT_WORKER_READY);
}

static void
apply(struct shell *shell, const struct action *action)
{
    if (may_change_sockets(action))
        sockets_touched(shell->sockets, action->worker.pool);
    if (action->kind == ACT_EVENT && action->event == EVENT_POOL_STARTED)
        sockets_started(shell->sockets, action->worker.pool);
    switch (action->kind) {
    case ACT_BIND:
        apply_bind(shell, action->worker.pool);
        return;
    case ACT_SPAWN:
        apply_spawn(shell, action);
        return;
    case ACT_COMMAND:
        shell->commands[action->handle] = true;
        shell_ask(shell, VERB_SPAWN,
                  (struct verb){.worker = action->worker, .spawn = SPAWN_COMMAND});
        return;
    case ACT_DRAIN:
        apply_drain(shell, action);
        return;
    case ACT_SIGNAL:
        stop_command(shell, action);
        ask_signal(shell, action->worker, SPAWN_WORKER,
                   shell->record.pools[action->worker.pool].stop_signal, TARGET_PID);
        ask_signal(shell, action->worker, SPAWN_WORKER, SIGCONT, TARGET_GROUP);
        return;
    case ACT_KILL:
        stop_command(shell, action);
        shell_kill(shell, action->worker, SPAWN_WORKER);
        return;
    case ACT_RELEASE:
        apply_release(shell, action);
        return;
    case ACT_EVENT:
        tell(shell, action);
        if (action->handle != NONE)
            shell->pools[action->worker.pool].told = action->handle + 1;
        if (action->event == EVENT_WORKER_READY)
            shell_note_ready(shell, action->worker);
        return;
    case ACT_POOL_CHANGED:
        control_pool_changed(shell->control, action->worker.pool);
        return;
    case ACT_ROLL_ENDED:
        control_roll_ended(shell->control, action);
        return;
    case ACT_POOL_GONE:
        outputs_forget(shell->outputs, action->worker.pool);
        control_pool_gone(shell->control, action->worker.pool);
        config_let_go(shell, action->worker.pool);
        return;
    case ACT_LEAVE:
        shell_leave(shell, 0);
        return;
    case ACT_COUNT:
        break;
    }
    assert(!"an action that is not in the table");
}

static void
step(struct shell *shell, struct event *event)
{
    event->now = shell_now(shell);
    core_step(shell->core, event, &shell->actions);
    /* The record goes before the actions that it explains. */
    state_save(shell->state, shell->core);
    /* What a replacement waits for goes first: telling operators of a death, and putting away what
     * the dead worker had, cost more than the whole decision. */
    for (uint32_t i = 0; i < shell->actions.len; i++) {
        if (shell->actions.v[i].kind == ACT_SPAWN)
            apply(shell, &shell->actions.v[i]);
    }
    for (uint32_t i = 0; i < shell->actions.len; i++) {
        if (shell->actions.v[i].kind != ACT_SPAWN)
            apply(shell, &shell->actions.v[i]);
    }
}

/* An action may itself be an event (a drain that cannot be sent, sockets that are bound already):
 * those wait here until the actions of their step are applied. At most one an action. */
static void
feed_later(struct shell *shell, const struct event *event)
{
    assert(shell->later_len < shell->actions.cap);
    shell->later[(shell->later_at + shell->later_len++) % shell->actions.cap] = *event;
}

void
shell_feed(struct shell *shell, struct event *event)
{
    if (event->kind == EV_SHUTDOWN)
        shell_note_shutdown(shell);
    if (shell->stepping) {
        feed_later(shell, event);
        return;
    }
    shell->stepping = true;
    step(shell, event);
    while (shell->later_len > 0) {
        struct event next = shell->later[shell->later_at];
        shell->later_at = (shell->later_at + 1) % shell->actions.cap;
        shell->later_len--;
        step(shell, &next);
    }
    shell->stepping = false;
}

/* --- the end of a loop turn */

/* A deadline is believed only when nothing is left to read: after a stall or a stop of this process
 * the answers of every healthy worker are already waiting. */
static bool
deadline_is_confirmed(struct shell *shell)
{
    if (shell_now(shell) < shell->believe_at)
        return false;
    struct portion messages = portion_of(CONFIRM_MESSAGES, CONFIRM_US);
    bool more = keeper_link_read(shell->link, &messages);
    struct portion workers = portion_of(CONFIRM_WORKERS, CONFIRM_US);
    more |= workers_read(shell->workers, &workers);
    shell->confirm_pieces += messages.taken + workers.taken;
    if (more && shell->confirm_pieces < CONFIRM_PIECES_MAX)
        return false;
    shell->confirm_pieces = 0;
    return true;
}

static void
arm(struct shell *shell)
{
    msec at = MAX(core_deadline(shell->core), shell->believe_at);
    at = MIN(at, control_deadline(shell->control));
    at = MIN(at, workers_deadline(shell->workers));
    at = MIN(at, sockets_deadline(shell->sockets));
    at = MIN(at, outputs_deadline(shell->outputs));
    for (uint32_t i = 0; i < shell->sinks_len; i++)
        at = MIN(at, sink_deadline(shell->sinks[i]));
    if (shell->boot_next != NONE || shell->config_more) {
        at = shell_now(shell);
        io_again(shell->io);
    } else {
        io_wake_at(shell->io, at);
    }
    shell->awaited_at = MAX(at, shell_now(shell));
}

/* What clients wait for, and what workers wrote. A file that takes nothing holds up nobody for longer
 * than OUTPUT_PATIENCE_MS. */
static bool
is_drained(struct shell *shell)
{
    if (shell->control != NULL && !control_is_drained(shell->control) &&
        shell_now(shell) < shell->leave_at)
        return false;
    return shell->outputs == NULL || outputs_are_written(shell->outputs);
}

/* True after LEAVE was asked: nothing is begun any more, the loop ends when the link has taken it, and
 * clients what waits for them, and the disk the last lines. */
static bool
is_over(struct shell *shell)
{
    if (!shell->left)
        return false;
    if (shell->outputs != NULL)
        outputs_tick(shell->outputs, shell_now(shell));
    if (!keeper_link_flushed(shell->link))
        return true;
    if (is_drained(shell)) {
        if (shell->outputs != NULL)
            outputs_tell_end(shell->outputs);
        io_stop(shell->io);
        return true;
    }
    msec at = shell->leave_at > shell_now(shell) ? shell->leave_at : MSEC_NEVER;
    io_wake_at(shell->io, MIN(at, outputs_deadline(shell->outputs)));
    return true;
}

void
shell_turn(void *ctx)
{
    struct shell *shell = ctx;
    if (is_over(shell))
        return;
    if (shell->awaited_at != 0 && shell_now(shell) > shell->awaited_at &&
        shell_now(shell) - shell->awaited_at > STALL_MS)
        shell->believe_at = shell_now(shell) + STALL_GRACE_MS;
    shell_boot(shell);
    shell->config_more = config_turn(shell->config);
    if (core_deadline(shell->core) > shell_now(shell)) {
        shell->confirm_pieces =
            0; /* what was due is not any more: the next one has all its input */
    } else if (deadline_is_confirmed(shell)) {
        struct event tick = {.kind = EV_TICK};
        shell_feed(shell, &tick);
    }
    workers_tick(shell->workers, shell_now(shell));
    sockets_tick(shell->sockets, shell_now(shell));
    outputs_tick(shell->outputs, shell_now(shell));
    control_tick(shell->control, shell_now(shell));
    for (uint32_t i = 0; i < shell->sinks_len; i++)
        sink_tick(shell->sinks[i], shell_now(shell));
    if (!is_over(shell))
        arm(shell);
}
