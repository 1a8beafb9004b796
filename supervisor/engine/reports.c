/* reports.c - what the keeper says becomes events of the core. */
#include "supervisor/engine/shell_inside.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/text.h"

static struct exit_status
exit_of(const struct verb *verb)
{
    struct exit_status status = {.kind = EXIT_UNKNOWN, .number = (uint8_t)verb->status};
    if (verb->code == CLD_EXITED)
        status.kind = EXIT_CODE;
    else if (verb->code == CLD_KILLED)
        status.kind = EXIT_SIGNAL;
    else if (verb->code == CLD_DUMPED)
        status.kind = EXIT_SIGNAL_CORE;
    else
        status.number = 0;
    return status;
}

static void
feed(struct shell *shell, enum event_kind kind, const struct verb *verb)
{
    struct event event = {
        .kind = kind,
        .worker = verb->worker,
        .step = verb->step,
        .error = verb->error,
    };
    if (kind == EV_EXITED || kind == EV_COMMAND_DONE)
        event.status = exit_of(verb);
    shell_feed(shell, &event);
}

/* --- workers */

/* True when the worker is one of the core's; its descriptors are taken or closed either way. */
static bool
attach(struct shell *shell, const struct verb *verb, const int *fds, uint32_t count)
{
    uint32_t handle = core_handle(shell->core, verb->worker);
    int notify_fd = count > 0 ? fds[0] : -1, output_fd = count > 1 ? fds[1] : -1;
    if (handle == NONE) {
        for (uint32_t i = 0; i < count; i++)
            close(fds[i]);
        return false;
    }
    if (!workers_attached(shell->workers, handle, verb->worker))
        shell->living++;
    workers_attach(shell->workers, handle, verb->worker, verb->pid,
                   shell->record.pools[verb->worker.pool].uid, notify_fd, output_fd);
    return true;
}

static void
on_spawned(struct shell *shell, const struct verb *verb, const int *fds, uint32_t count)
{
    if (attach(shell, verb, fds, count))
        feed(shell, EV_SPAWNED, verb);
    else
        shell_kill(shell, verb->worker, SPAWN_WORKER);
}

static void
on_exited(struct shell *shell, const struct verb *verb)
{
    uint32_t handle = core_handle(shell->core, verb->worker);
    if (handle == NONE) {
        shell_release(shell, verb->worker, SPAWN_WORKER);
        return;
    }
    if (workers_attached(shell->workers, handle, verb->worker)) {
        assert(shell->living > 0);
        shell->living--;
        workers_last_words(shell->workers, handle);
    }
    feed(shell, EV_EXITED, verb);
}

static void
on_worker(struct shell *shell, const struct verb *verb, const int *fds, uint32_t count)
{
    switch (verb->kind) {
    case VERB_SPAWNED:
        on_spawned(shell, verb, fds, count);
        return;
    case VERB_SPAWN_FAILED:
        feed(shell, EV_SPAWN_FAILED, verb);
        return;
    case VERB_EXECUTED:
        feed(shell, EV_EXECUTED, verb);
        return;
    case VERB_EXEC_FAILED:
        feed(shell, EV_EXEC_FAILED, verb);
        return;
    default:
        assert(verb->kind == VERB_EXITED);
        on_exited(shell, verb);
    }
}

/* --- ready commands: only how they end counts */
static void
command_ended(struct shell *shell, const struct verb *verb)
{
    uint32_t handle = core_handle(shell->core, verb->worker);
    if (handle != NONE) {
        shell->commands[handle] = false;
        workers_note_command(shell->workers, handle, exit_of(verb));
    }
    feed(shell, EV_COMMAND_DONE, verb);
}

static void
on_command(struct shell *shell, const struct verb *verb)
{
    if (verb->kind == VERB_SPAWN_FAILED)
        command_ended(shell, verb);
    if (verb->kind == VERB_EXITED) {
        command_ended(shell, verb);
        shell_release(shell, verb->worker, SPAWN_COMMAND);
    }
}

/* --- the list, at the engine's birth */

/* The core is told what the keeper knows of the worker, in the order in which it happened; what it
 * has seen already it ignores, and of which it has no record it takes in. */
static void
on_listed_worker(struct shell *shell, const struct verb *verb, const int *fds, uint32_t count)
{
    if (verb->spawn == SPAWN_COMMAND) {
        /* Its worker's core asks again: this one has nobody who waits for it. */
        shell_kill(shell, verb->worker, SPAWN_COMMAND);
        if (verb->phase == PHASE_EXITED)
            shell_release(shell, verb->worker, SPAWN_COMMAND);
        return;
    }
    feed(shell, EV_LISTED, verb);
    if (!attach(shell, verb, fds, count)) {
        if (verb->phase == PHASE_EXITED)
            shell_release(shell, verb->worker, SPAWN_WORKER);
        else
            shell_kill(shell, verb->worker, SPAWN_WORKER); /* nobody would look after it */
        return;
    }
    shell->adopted += verb->phase != PHASE_EXITED;
    feed(shell, EV_SPAWNED, verb);
    if (verb->phase == PHASE_EXEC_FAILED || (verb->phase == PHASE_EXITED && verb->step != 0))
        feed(shell, EV_EXEC_FAILED, verb);
    else if (verb->phase != PHASE_SPAWNED)
        feed(shell, EV_EXECUTED, verb);
    /* The engine before may have died before it said so. */
    struct worker_view view;
    if (core_worker(shell->core, core_handle(shell->core, verb->worker), &view) &&
        view.ready_at != 0)
        shell_note_ready(shell, verb->worker);
    if (verb->phase == PHASE_EXITED)
        on_exited(shell, verb);
}

static void
on_list_end(struct shell *shell)
{
    control_open(shell->control);
    shell->boot = BOOT_POOLS;
    shell->boot_next = 0;
}

/* --- the rest */
/* The keeper says to each new engine how many there were: a stop that an engine took to its death is
 * not lost, and one that it had obeyed is not taken for a second one, which would hurry. */
static void
on_stops(struct shell *shell, uint32_t stops)
{
    for (uint32_t *seen = &state_stops(shell->state)->outside; *seen < stops; ++*seen) {
        struct event event = {.kind = EV_SHUTDOWN};
        shell_feed(shell, &event);
    }
}

static void
on_outside(struct shell *shell, int signo, uint32_t stops)
{
    if (signo == SIGTERM || signo == SIGINT) {
        on_stops(shell, stops);
        return;
    }
    if (signo == SIGUSR1) {
        outputs_reopen(shell->outputs);
        return;
    }
    struct event_fields fields = {0};
    fields_number(&fields, "signal", signo);
    events_emit(shell->events, EVENT_CONTROL_COMMAND, NULL, (struct worker_id){0}, &fields,
                "SIGHUP: the configuration is applied again");
    if (!shell->stopping)
        config_ask(shell->config, true);
}

static void
on_stray(struct shell *shell, const struct verb *verb)
{
    char name[4 * sizeof verb->u.name + 1];
    text_escape(name, sizeof name, verb->u.name, strnlen(verb->u.name, sizeof verb->u.name));
    struct event_fields fields = {0};
    fields_number(&fields, "pid", verb->pid);
    fields_string(&fields, "name", name);
    events_emit(shell->events, EVENT_STRAYS_FOUND, NULL, (struct worker_id){0}, &fields,
                "process %d (%s), left behind by a worker, has ended", verb->pid, name);
}

void
shell_on_report(void *ctx, const struct verb *verb, const int *fds, uint32_t count)
{
    struct shell *shell = ctx;
    switch (verb->kind) {
    case VERB_BIND_RESULT:
        if (verb->argument != 0)
            config_on_bound(shell->config, verb);
        else
            shell_bind_result(shell, verb->index, verb->error);
        return;
    case VERB_LOADED:
        config_on_loaded(shell->config, verb, count > 0 ? fds[0] : -1);
        return;
    case VERB_TAKEN:
        config_on_taken(shell->config, verb, count > 0 ? fds[0] : -1);
        return;
    case VERB_KEPT:
        config_on_kept(shell->config, verb);
        return;
    case VERB_OPENED:
        outputs_on_opened(shell->outputs, verb, count > 0 ? fds[0] : -1);
        return;
    case VERB_RESTORED:
        sockets_restored(shell->sockets, verb);
        return;
    case VERB_SPAWNED:
    case VERB_SPAWN_FAILED:
    case VERB_EXECUTED:
    case VERB_EXEC_FAILED:
    case VERB_EXITED:
        if (verb->spawn == SPAWN_COMMAND)
            on_command(shell, verb);
        else
            on_worker(shell, verb, fds, count);
        return;
    case VERB_LISTED_SOCKET:
        shell->room.bound[verb->index] = true;
        return;
    case VERB_LISTED_WORKER:
        on_listed_worker(shell, verb, fds, count);
        return;
    case VERB_LIST_END:
        on_list_end(shell);
        return;
    case VERB_OUTSIDE:
        on_outside(shell, verb->signo, verb->argument);
        return;
    case VERB_STRAY:
        on_stray(shell, verb);
        return;
    default:
        /* The keeper is of the same build; a report that is none is a bug. */
        assert(!"a report that the engine does not know");
    }
}

void
shell_on_keeper_gone(void *ctx)
{
    struct shell *shell = ctx;
    if (!shell->left)
        fprintf(stderr,
                "poold-engine: the keeper has ended; this engine can start and stop nothing "
                "any more and leaves. Workers that run serve on.\n");
    shell->exit_status = shell->left ? shell->exit_status : 1;
    io_stop(shell->io);
}
