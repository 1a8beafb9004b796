/* fake_shell.c - shell.h over a real core and a made-up world, for tests of what uses the shell.
 *
 * Included by a test program. Workers are no processes: a spawn succeeds, a drain ends the worker,
 * unless the test says otherwise; what the world answers is fed to the core in the next turn. */
/* Not every test needs all of it. */
#pragma GCC diagnostic ignored "-Wunused-function"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "supervisor/engine/control.h"
#include "supervisor/engine/shell.h"

#define FAKE_NAME_SIZE 24u
#define FAKE_QUEUE     65536u

struct shell {
    struct io *io;
    struct events *events;
    void *ring;
    struct core *core;
    void *core_memory;
    struct core_limits limits;
    struct action_list actions;
    struct event *queue; /* what the world is about to tell */
    size_t queue_at, queue_len;
    struct record record;
    struct record_header header;
    struct record_pool *pools;
    struct record_socket socket; /* every pool's */
    char *text;
    struct control *control;
    char directory[64], path[96];
    msec now;
    bool stopping, left;
    /* The world's moods. */
    bool exec_fails;  /* from now on */
    bool drain_hangs; /* nobody leaves until killed */
    bool ready_hangs; /* nobody gets ready */
    /* The test's condition. */
    bool (*done)(void *);
    void *done_ctx;
    msec done_until;
    bool done_seen;
    uint64_t turns;
    msec longest_us; /* of one turn's watches */
};

msec
shell_now(const struct shell *shell)
{
    return shell->now;
}

struct io *
shell_io(struct shell *shell)
{
    return shell->io;
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

void
shell_status(const struct shell *shell, struct shell_status *out)
{
    *out = (struct shell_status){
        .keeper_pid = 1000,
        .engine_pid = getpid(),
        .up_ms = 61500,
        .pools = shell->header.pools,
        .workers_max = shell->limits.workers_max,
        .starts_max = shell->limits.starts_max,
        .config_serial = UINT64_C(0xfedcba9876543210),
        .config_path = "/etc/poold/poold.json",
        .stopping = shell->stopping,
    };
    core_starts(shell->core, &out->starts_held, &out->starts_waiting);
}

const char *
shell_pool_name(const struct shell *shell, uint32_t pool)
{
    return record_text(&shell->record, shell->pools[pool].name);
}

uint32_t
shell_pool_find(const struct shell *shell, const char *name)
{
    for (uint32_t pool = 0; pool < shell->header.pools; pool++) {
        if (strcmp(shell_pool_name(shell, pool), name) == 0)
            return pool;
    }
    return NONE;
}

uint32_t
shell_last_told(const struct shell *shell, uint32_t pool)
{
    (void)shell;
    (void)pool;
    return NONE; /* the failure that disables a pool is told by nobody here */
}

const struct record_socket *
shell_bind_failed(const struct shell *shell, uint32_t pool)
{
    (void)shell, (void)pool;
    return NULL;
}

const char *
shell_refused(const struct shell *shell, uint32_t pool)
{
    (void)shell, (void)pool;
    return "";
}

bool
shell_pool_is_there(const struct shell *shell, uint32_t pool)
{
    return pool < shell->header.pools;
}

/* Rounds are the shell's; tests of config.c have a real one. */
int64_t
shell_next_scheduled_ms(const struct shell *shell, uint32_t pool)
{
    (void)shell;
    (void)pool;
    return INT64_MAX;
}

uint64_t
shell_config_ask(struct shell *shell, bool apply)
{
    (void)shell;
    return apply ? 2 : 1;
}

const char *
shell_bind_failure(const struct shell *shell, uint32_t pool)
{
    (void)shell;
    (void)pool;
    return "127.0.0.1:8080";
}

void
shell_worker(const struct shell *shell, uint32_t handle, struct shell_worker *out)
{
    (void)shell;
    *out = (struct shell_worker){
        .pid = 20000 + (int32_t)handle, .status_text = "serving \"quoted\"", .last_line = ""};
}

static void
fake_tell(struct shell *shell, const struct action *action, enum event_kind kind)
{
    assert(shell->queue_len < FAKE_QUEUE);
    struct event *event = &shell->queue[(shell->queue_at + shell->queue_len++) % FAKE_QUEUE];
    *event = (struct event){.kind = kind, .worker = action->worker};
    event->status = (struct exit_status){EXIT_CODE, 0};
    if (kind == EV_EXEC_FAILED)
        event->error = ENOENT;
}

static void
fake_spawn(struct shell *shell, const struct action *action)
{
    fake_tell(shell, action, EV_SPAWNED);
    if (shell->exec_fails) {
        fake_tell(shell, action, EV_EXEC_FAILED);
        fake_tell(shell, action, EV_EXITED);
        return;
    }
    fake_tell(shell, action, EV_EXECUTED);
    if (!shell->ready_hangs)
        fake_tell(shell, action, EV_READY);
}

static void
fake_apply(struct shell *shell, const struct action *action)
{
    switch ((int)action->kind) {
    case ACT_BIND:
        fake_tell(shell, action, EV_BOUND);
        break;
    case ACT_SPAWN:
        fake_spawn(shell, action);
        break;
    case ACT_DRAIN:
        if (!shell->drain_hangs)
            fake_tell(shell, action, EV_EXITED);
        break;
    case ACT_KILL:
        fake_tell(shell, action, EV_EXITED);
        break;
    case ACT_EVENT:
        events_emit(shell->events, (enum event_id)action->event,
                    shell_pool_name(shell, action->worker.pool), action->worker, NULL,
                    "event %u of the core", action->event);
        break;
    case ACT_POOL_CHANGED:
        control_pool_changed(shell->control, action->worker.pool);
        break;
    case ACT_ROLL_ENDED:
        control_roll_ended(shell->control, action);
        break;
    case ACT_LEAVE:
        shell->left = true;
        break;
    default:
        break;
    }
}

void
shell_feed(struct shell *shell, struct event *event)
{
    shell->now = io_now();
    shell->stopping |= event->kind == EV_SHUTDOWN;
    event->now = shell->now;
    core_step(shell->core, event, &shell->actions);
    core_touched_clear(shell->core);
    /* Applied from a copy: what an action causes is queued, never stepped from inside. */
    for (uint32_t i = 0; i < shell->actions.len; i++)
        fake_apply(shell, &shell->actions.v[i]);
}

static void
fake_turn(void *ctx)
{
    struct shell *shell = ctx;
    shell->now = io_now();
    shell->turns++;
    for (size_t n = shell->queue_len; n > 0; n--) {
        struct event event = shell->queue[shell->queue_at];
        shell->queue_at = (shell->queue_at + 1) % FAKE_QUEUE;
        shell->queue_len--;
        shell_feed(shell, &event);
    }
    if (core_deadline(shell->core) <= shell->now) {
        struct event tick = {.kind = EV_TICK};
        shell_feed(shell, &tick);
    }
    control_tick(shell->control, shell->now);
    shell->done_seen = shell->done != NULL && shell->done(shell->done_ctx);
    if (shell->done_seen || shell->now >= shell->done_until)
        io_stop(shell->io);
    msec at = MIN(core_deadline(shell->core), control_deadline(shell->control));
    at = MIN(at, shell->done_until);
    io_wake_at(shell->io, shell->queue_len > 0 ? shell->now : MIN(at, shell->now + 5));
}

/* Runs the loop until done says so, at most limit_ms. Returns whether it did. */
static bool
fake_until(struct shell *shell, bool (*done)(void *), void *ctx, msec limit_ms)
{
    shell->done = done;
    shell->done_ctx = ctx;
    shell->done_until = io_now() + limit_ms;
    shell->done_seen = false;
    io_wake_at(shell->io, io_now());
    io_run(shell->io);
    shell->done = NULL;
    return shell->done_seen;
}

static uint32_t
fake_text(struct shell *shell, const char *string)
{
    uint32_t at = (uint32_t)shell->header.text_size;
    memcpy(shell->text + at, string, strlen(string) + 1);
    shell->header.text_size += strlen(string) + 1;
    return at;
}

static void
fake_record(struct shell *shell, const char *const *names, uint32_t pools, uint32_t workers)
{
    shell->text = calloc(pools + 4, FAKE_NAME_SIZE);
    shell->pools = calloc(pools + 1, sizeof *shell->pools);
    shell->record =
        (struct record){.header = &shell->header, .pools = shell->pools, .sockets = &shell->socket};
    shell->record.text = shell->text;
    shell->header.pools = pools;
    shell->header.pools_max = shell->header.pools;
    shell->header.sockets = 1;
    shell->socket = (struct record_socket){.backlog = 1000};
    shell->socket.address = fake_text(shell, "127.0.0.1:8080");
    for (uint32_t i = 0; i < pools; i++) {
        char name[FAKE_NAME_SIZE];
        snprintf(name, sizeof name, "pool-%u", i);
        shell->pools[i] = (struct record_pool){
            .name = fake_text(shell, names == NULL ? name : names[i]),
            .socket_count = 1,
            .settings = {.workers_min = workers,
                         .workers_max = workers,
                         .surge = 1,
                         .max_failures = 3,
                         .ready = READY_NOTIFY,
                         .overlap = true,
                         .rapid_fail = true,
                         .has_sockets = true,
                         .startup_timeout_ms = 200,
                         .shutdown_timeout_ms = 60000,
                         .failure_interval_ms = 300000,
                         .failure_delay_ms = 1,
                         .failure_delay_max_ms = 10},
        };
    }
}

static void
fake_core(struct shell *shell, uint32_t pools, uint32_t workers)
{
    shell->limits = (struct core_limits){.pools_max = pools,
                                         .workers_max = pools * (workers + 1) * 2,
                                         .starts_max = 1000,
                                         .seed = 1};
    shell->core_memory = calloc(1, core_size(&shell->limits));
    shell->core = core_init(shell->core_memory, &shell->limits);
    shell->actions.cap = core_actions_max(&shell->limits);
    shell->actions.v = calloc(shell->actions.cap, sizeof *shell->actions.v);
    shell->queue = calloc(FAKE_QUEUE, sizeof *shell->queue);
}

static int
fake_listen(struct shell *shell)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(shell->directory, sizeof shell->directory, "/tmp/poold-test-XXXXXX");
    assert_non_null(mkdtemp(shell->directory));
    snprintf(shell->path, sizeof shell->path, "%s/control", shell->directory);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", shell->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 512), 0);
    return fd;
}

static bool
fake_is_settled(void *ctx)
{
    struct shell *shell = ctx;
    return shell->queue_len == 0;
}

/* A supervisor of that many pools (named "pool-N" without names) with that many workers each. */
static struct shell *
fake_create(const char *const *names, uint32_t pools, uint32_t workers)
{
    struct shell *shell = calloc(1, sizeof *shell);
    struct err err = {0};
    fake_record(shell, names, pools, workers);
    fake_core(shell, pools, workers);
    shell->now = io_now();
    shell->ring = calloc(1, events_ring_size());
    assert_int_equal(io_create(&shell->io, fake_turn, shell, &err), 0);
    assert_int_equal(events_create(&shell->events, shell->ring, &err), 0);
    assert_int_equal(control_create(&shell->control, shell, fake_listen(shell), &err), 0);
    control_open(shell->control);
    for (uint32_t i = 0; i < pools; i++) {
        struct event add = {
            .kind = EV_POOL_ADD, .worker.pool = i, .settings = &shell->pools[i].settings};
        shell_feed(shell, &add);
        struct event start = {.kind = EV_POOL_START, .worker.pool = i};
        shell_feed(shell, &start);
    }
    control_open(shell->control);
    assert_true(fake_until(shell, fake_is_settled, shell, 20000));
    return shell;
}

static void
fake_destroy(struct shell *shell)
{
    control_destroy(&shell->control);
    events_destroy(&shell->events);
    io_destroy(&shell->io);
    unlink(shell->path);
    rmdir(shell->directory);
    free(shell->ring);
    free(shell->core_memory);
    free(shell->actions.v);
    free(shell->queue);
    free(shell->pools);
    free(shell->text);
    free(shell);
}
