/* shell_world.h - a whole shell over a real core and a real state memfd. Its keeper is the test: what it
 * is asked lies in the socket `keeper`, what it answers is handed to shell_on_report. */
#ifndef POOLD_TEST_SHELL_WORLD_H
#define POOLD_TEST_SHELL_WORLD_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
/* After what it wants: */
#include <cmocka.h>

#include "supervisor/engine/shell_inside.h"
#include "test/unit/record_blob.h"

#define WORKERS 4u

static struct shell shell;
static struct blob blob; /* the configuration that it begins with */
static void *ring;
static int keeper;                /* the keeper's end of the link */
static int listener;              /* the control socket */
static char told[EVENT_LINE_MAX]; /* text and fields of the last event */

static inline void
on_event(void *ctx, const struct event_seen *seen)
{
    (void)ctx;
    snprintf(told, sizeof told, "%s %s", seen->text, seen->fields);
}

static inline void
on_turn(void *ctx)
{
    io_stop(((struct shell *)ctx)->io);
}

static inline void
blob_of_one_pool(struct blob *of)
{
    static const char *const argv[] = {"/bin/true", NULL}, *const env[] = {NULL};
    blob_init(of);
    blob_pool(of, "web", argv, env);
    of->pools[0].settings.max_failures = 1;
}

/* An engine begins with the finished blob, and the state memfd that an engine before it has left. */
static inline void
shell_begin(int state_fd)
{
    int pair[2];
    memset(&shell, 0, sizeof shell);
    told[0] = '\0';
    assert_int_equal(record_open(&shell.record, blob.bytes, blob.size), 0);
    shell.limits = (struct core_limits){BLOB_POOLS_MAX, WORKERS, 1, 1};
    shell.hello.u.hello.workers_max = WORKERS;
    shell.core = core_init(calloc(1, core_size(&shell.limits)), &shell.limits);
    shell.actions.cap = core_actions_max(&shell.limits);
    shell.actions.v = calloc(shell.actions.cap, sizeof *shell.actions.v);
    shell.later = calloc(shell.actions.cap, sizeof *shell.later);
    shell.pools = calloc(BLOB_POOLS_MAX, sizeof *shell.pools);
    shell.commands = calloc(WORKERS, sizeof *shell.commands);
    assert_int_equal(shell_room_make(&shell.room, &shell.record), 0);
    bool restorable;
    assert_int_equal(
        state_open(&shell.state, state_fd, &shell.limits, shell.core, &restorable, NULL), 0);
    ring = calloc(1, events_ring_size());
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    keeper = pair[1];
    assert_int_equal(io_create(&shell.io, on_turn, &shell, NULL), 0);
    assert_int_equal(events_create(&shell.events, ring, NULL), 0);
    assert_int_equal(keeper_link_create(&shell.link, shell.io, pair[0], shell_on_report,
                                        shell_on_keeper_gone, &shell, NULL),
                     0);
    assert_int_equal(workers_create(&shell.workers, &shell, WORKERS, NULL), 0);
    assert_int_equal(sockets_create(&shell.sockets, &shell, BLOB_POOLS_MAX, NULL), 0);
    assert_int_equal(schedule_create(&shell.schedule, &shell, BLOB_POOLS_MAX, NULL), 0);
    assert_int_equal(outputs_create(&shell.outputs, &shell, BLOB_POOLS_MAX, workers_resume_output,
                                    shell.workers, NULL),
                     0);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(control_create(&shell.control, &shell, listener, NULL), 0);
    assert_int_equal(config_create(&shell.config, &shell), 0);
    events_sink_add(shell.events, on_event, NULL);
}

/* It is gone, as by a kill: what it has not written into its state is lost. */
static inline void
shell_die(void)
{
    events_sink_remove(shell.events, on_event, NULL);
    control_destroy(&shell.control);
    sockets_destroy(&shell.sockets);
    schedule_destroy(&shell.schedule);
    config_destroy(&shell.config);
    workers_destroy(&shell.workers);
    outputs_destroy(&shell.outputs);
    keeper_link_destroy(&shell.link);
    events_destroy(&shell.events);
    io_destroy(&shell.io);
    state_close(&shell.state);
    close(keeper);
    free(ring);
    free(shell.actions.v);
    free(shell.later);
    free(shell.pools);
    shell_room_drop(&shell.room);
    free(shell.commands);
    free(shell.core);
}

static inline int
set_up(void **state)
{
    (void)state;
    blob_of_one_pool(&blob);
    blob_finish(&blob);
    shell_begin(memfd_create("test", MFD_CLOEXEC));
    return 0;
}

static inline int
tear_down(void **state)
{
    (void)state;
    shell_die();
    return 0;
}

static inline void
report(enum verb_kind kind, uint32_t generation, enum worker_phase phase)
{
    struct verb verb = {.version = VERB_VERSION,
                        .kind = (uint16_t)kind,
                        .worker = {.generation = generation},
                        .phase = (uint16_t)phase,
                        .code = CLD_KILLED,
                        .status = 9};
    shell_on_report(&shell, &verb, NULL, 0);
}

static inline void
when_turns_pass(enum boot until)
{
    for (int i = 0; i < 3 && shell.boot != until; i++)
        shell_boot(&shell);
    assert_int_equal(shell.boot, until);
}

#endif
