/* boot.c - the engine's birth and death: from HELLO to the first event, and from LEAVE to the exit. */
#include "supervisor/engine/shell_inside.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/hash.h"
#include "supervisor/engine/last_good.h"
#include "supervisor/engine/tell.h"
#include "supervisor/record_map.h"

#define HELLO_LIMIT_MS    10000u
#define BOOT_POOLS_TURN   32u /* pools added a loop turn: some 10 us each */
#define BOOT_TURN_US      500u
#define RECORDS_A_PROCESS 3u
#define RECORDS_MAX       (1u << 22) /* far above what the keeper has places for */

/* --- names of pools: of every place, for one that was taken out may still drain */
static uint32_t
name_home(const struct shell_room *room, const char *name)
{
    return (uint32_t)hash_mix(hash_bytes(HASH_START, name, strlen(name))) & room->names_mask;
}

uint32_t
shell_pool_find(const struct shell *shell, const char *name)
{
    const struct shell_room *room = &shell->room;
    for (uint32_t i = name_home(room, name);; i = (i + 1) & room->names_mask) {
        uint32_t pool = room->names[i];
        if (pool == NONE)
            return NONE;
        if (strcmp(shell_pool_name(shell, pool), name) == 0)
            return shell_pool_is_there(shell, pool) ? pool : NONE;
    }
}

bool
shell_pool_is_there(const struct shell *shell, uint32_t pool)
{
    struct pool_view view;
    return shell->record.pools[pool].present ||
           core_pool(shell->core, pool, shell_now(shell), &view);
}

void
shell_room_drop(struct shell_room *room)
{
    free(room->names);
    free(room->bound);
    *room = (struct shell_room){0};
}

int
shell_room_make(struct shell_room *out, const struct record *record)
{
    uint32_t pools = record->header->pools, cap = 8;
    while (cap < pools * 2)
        cap *= 2;
    struct shell_room room = {.names = malloc(cap * sizeof *room.names),
                              .names_mask = cap - 1,
                              .bound =
                                  calloc((size_t)record->header->sockets + 1, sizeof *room.bound)};
    if (room.names == NULL || room.bound == NULL) {
        shell_room_drop(&room);
        return -ENOMEM;
    }
    memset(room.names, 0xff, cap * sizeof *room.names);
    for (uint32_t pool = 0; pool < pools; pool++) {
        uint32_t i = name_home(&room, record_text(record, record->pools[pool].name));
        while (room.names[i] != NONE)
            i = (i + 1) & room.names_mask;
        room.names[i] = pool;
    }
    *out = room;
    return 0;
}

/* --- the compiled configuration */
static int
open_record(struct shell *shell, int fd, struct err *err)
{
    uint32_t version = 0;
    int r = record_map(&shell->record, fd, &version);
    close(fd);
    if (r == -EPROTO)
        return err_set(err, r, "the compiled configuration has version %u, this engine reads %u",
                       version, RECORD_VERSION);
    if (r != 0)
        return err_errno(err, r, "the compiled configuration cannot be used");
    return 0;
}

/* The core's room is that of the keeper, whatever a later configuration asks for: each process that
 * the keeper has a place for, and as many that are asked for, and that have gone and are not closed.
 * Records that are not used cost no memory. */
static struct core_limits
limits_of(const struct shell *shell, uint64_t seed)
{
    uint64_t workers = RECORDS_A_PROCESS * (uint64_t)shell->hello.u.hello.workers_max;
    return (struct core_limits){
        .pools_max = MAX(shell->record.header->pools_max, 1u),
        .workers_max = (uint32_t)MIN(MAX(workers, 1u), (uint64_t)RECORDS_MAX),
        .starts_max = shell->record.header->starts_max,
        .seed = seed,
    };
}

static uint64_t
processes_needed(const struct record *record)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < record->header->pools; i++)
        n += record->pools[i].settings.workers_max;
    return n;
}

static void
filter_sinks(struct shell *shell)
{
    const struct record_header *header = shell->record.header;
    for (uint32_t i = 0; i < shell->sinks_len; i++)
        sink_filter(shell->sinks[i], header->log_facility, header->log_level);
}

void
shell_swap_record(struct shell *shell, struct record *other, struct shell_room *room)
{
    struct record before = shell->record;
    shell->record = *other;
    /* What moved from another pool is bound too, and says so when it is asked for. */
    for (uint32_t i = 0; i < other->header->sockets; i++)
        room->bound[i] = config_socket_is_bound(shell, &before, shell->room.bound, i);
    for (uint32_t i = 0; i < before.header->pools; i++)
        shell->pools[i].bind_failed = 0; /* its number was of the one before */
    shell_room_drop(&shell->room);
    shell->room = *room;
    *room = (struct shell_room){0};
    filter_sinks(shell);
    *other = before;
}

/* --- core and state */
static void *
zeroed(size_t bytes)
{
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return map == MAP_FAILED ? NULL : map;
}

static int
make_core(struct shell *shell, struct err *err)
{
    if (shell->core != NULL)
        munmap(shell->core, shell->core_bytes);
    shell->core_bytes = core_size(&shell->limits);
    void *memory = zeroed(shell->core_bytes);
    if (memory == NULL)
        return err_set(err, -ENOMEM, "no memory for %zu bytes of core state", shell->core_bytes);
    shell->core = core_init(memory, &shell->limits);
    return 0;
}

static int
make_actions(struct shell *shell, struct err *err)
{
    uint32_t cap = core_actions_max(&shell->limits);
    shell->actions = (struct action_list){.v = zeroed(cap * sizeof *shell->actions.v), .cap = cap};
    shell->later = zeroed(cap * sizeof *shell->later);
    shell->pools = zeroed(((size_t)shell->limits.pools_max + 1) * sizeof *shell->pools);
    shell->commands = zeroed((size_t)shell->limits.workers_max + 1);
    if (shell->actions.v == NULL || shell->later == NULL || shell->pools == NULL ||
        shell->commands == NULL || shell_room_make(&shell->room, &shell->record) != 0)
        return err_set(err, -ENOMEM, "no memory for the tables of %u pools",
                       shell->limits.pools_max);
    return 0;
}

/* Takes the state of an engine before, or starts with nothing where that cannot be read: then the
 * workers that are found are taken in. */
static int
take_state(struct shell *shell, int fd, struct err *err)
{
    bool restorable;
    int r = state_open(&shell->state, fd, &shell->limits, shell->core, &restorable, err);
    if (r != 0 || !restorable)
        return r;
    struct err why = {0};
    if (state_restore(shell->state, shell->core, io_now(), &why) == 0) {
        shell->restored = true;
        shell->stopping = state_stops(shell->state)->fed > 0;
        return 0;
    }
    fprintf(stderr, "poold-engine: %s; workers that run are taken in as they are\n", why.text);
    state_reset(shell->state);
    return make_core(shell, err);
}

/* --- sinks */
static int
add_sink(struct shell *shell, const char *target, struct err *err)
{
    if (shell->sinks_len == SINKS_MAX)
        return err_set(err, -E2BIG, "more than %u --log targets", SINKS_MAX);
    int r = sink_create(&shell->sinks[shell->sinks_len], shell->events, target, err);
    if (r == 0)
        shell->sinks_len++;
    return r;
}

static int
add_sinks(struct shell *shell, const struct shell_options *options, struct err *err)
{
    if (options->log_count == 0)
        return add_sink(shell, sink_default_target(), err);
    for (uint32_t i = 0; i < options->log_count; i++) {
        int r = add_sink(shell, options->log_targets[i], err);
        if (r != 0)
            return r;
    }
    return 0;
}

/* --- what is told of ourselves */
static void
tell_self(struct shell *shell, enum event_id id, struct event_fields *fields, const char *text)
{
    fields_string(fields, "version", POOLD_VERSION);
    fields_number(fields, "pid", shell->hello.u.hello.keeper_pid);
    fields_number(fields, "pools", shell->record.header->pools_present);
    events_emit(shell->events, id, NULL, (struct worker_id){0}, fields, "%s", text);
}

static void
tell_started(struct shell *shell)
{
    struct event_fields fields = {0};
    char text[512];
    if (shell->hello.u.hello.restarts == 0) {
        const char *warning = record_text(&shell->record, shell->record.header->warning_text);
        snprintf(text, sizeof text, "poold %s started with %u pool%s from %s%s%s%.*s",
                 POOLD_VERSION, shell->record.header->pools_present,
                 shell->record.header->pools_present == 1 ? "" : "s",
                 record_text(&shell->record, shell->record.header->source),
                 shell->hello.u.hello.launcher != 0
                     ? ""
                     : "; workers start slower here, the keeper makes them one by one: a system "
                       "call filter refuses clone with CLONE_PARENT",
                 warning[0] != '\0' ? "; " : "", (int)strcspn(warning, "\n"), warning);
        tell_self(shell, EVENT_SUPERVISOR_STARTED, &fields, text);
        last_good_tell(shell);
        return;
    }
    struct exit_status status = {
        .kind = (uint8_t)(shell->hello.u.hello.exit_code == CLD_EXITED   ? EXIT_CODE
                          : shell->hello.u.hello.exit_code == CLD_KILLED ? EXIT_SIGNAL
                          : shell->hello.u.hello.exit_code == CLD_DUMPED ? EXIT_SIGNAL_CORE
                                                                         : EXIT_UNKNOWN),
        .number = (uint8_t)shell->hello.u.hello.exit_status,
    };
    char how[64], away[32];
    fields_number(&fields, "restarts", shell->hello.u.hello.restarts);
    fields_seconds(&fields, "away", shell->hello.u.hello.away_ms);
    snprintf(text, sizeof text, "the engine ended with %s and was started again after %s; %s",
             tell_exit(how, sizeof how, status),
             tell_span(away, sizeof away, shell->hello.u.hello.away_ms),
             shell->restored ? "it carries on with its saved state"
                             : "its state could not be used, so workers are taken in as they are");
    tell_self(shell, EVENT_ENGINE_RESTARTED, &fields, text);
}

static void
tell_adopted(struct shell *shell)
{
    if (!shell->restored && shell->adopted == 0)
        return;
    struct event_fields fields = {0};
    fields_number(&fields, "adopted", shell->adopted);
    events_emit(shell->events, EVENT_WORKERS_ADOPTED, NULL, (struct worker_id){0}, &fields,
                "carries on with %u worker%s", shell->adopted, shell->adopted == 1 ? "" : "s");
}

void
shell_note_shutdown(struct shell *shell)
{
    struct event_fields fields = {0};
    tell_self(shell, EVENT_SUPERVISOR_STOPPING, &fields,
              shell->stopping ? "stopping at once: every worker is killed"
                              : "stopping: every pool drains");
    shell->stopping = true;
    state_stops(shell->state)->fed++;
}

/* --- being born, a bounded step a loop turn */
/* An engine before may have ended between its adding and its starting of pools. */
static void
boot_pool(struct shell *shell, uint32_t pool)
{
    struct pool_view view;
    if (!core_pool(shell->core, pool, shell_now(shell), &view)) {
        config_let_go(shell, pool); /* it was taken out, and has gone */
        return;
    }
    config_start(shell, pool);
    struct event resume = {.kind = EV_POOL_RESUME, .worker.pool = pool};
    shell_feed(shell, &resume);
    schedule_pool(shell->schedule, pool, shell->hello.u.hello.restarts > 0);
}

void
shell_boot(struct shell *shell)
{
    if (shell->boot != BOOT_ADDING && shell->boot != BOOT_POOLS)
        return;
    if (shell->boot == BOOT_ADDING && shell->boot_next == 0)
        config_tell_limits(shell, false);
    uint32_t pools = shell->record.header->pools;
    struct portion portion = portion_of(BOOT_POOLS_TURN, BOOT_TURN_US);
    while (shell->boot_next < pools && portion_take(&portion)) {
        if (shell->boot == BOOT_ADDING)
            config_tell_core(shell, shell->boot_next++, false);
        else
            boot_pool(shell, shell->boot_next++);
    }
    if (shell->boot_next < pools)
        return;
    shell->boot_next = NONE;
    if (shell->boot == BOOT_ADDING) {
        shell->boot = BOOT_LISTING;
        shell_list(shell);
    } else {
        shell->boot = BOOT_DONE;
        tell_adopted(shell);
        config_resume(shell->config);
    }
}

/* --- the whole life */
void
shell_leave(struct shell *shell, int exit_status)
{
    struct event_fields fields = {0};
    if (exit_status == 0) /* else it never started, and has said why */
        tell_self(shell, EVENT_SUPERVISOR_STOPPED, &fields, "stopped: no worker is left");
    shell->exit_status = exit_status;
    shell->left = true;
    if (shell->control != NULL) /* else it never came so far */
        shell->leave_at = control_leave(shell->control);
    struct verb verb = {.version = VERB_VERSION,
                        .kind = VERB_LEAVE,
                        .request = ++shell->request,
                        .argument = (uint32_t)exit_status};
    keeper_ask(shell->link, &verb);
}

static int
check_room(struct shell *shell, struct err *err)
{
    uint64_t needed = processes_needed(&shell->record);
    uint32_t allowed = shell->hello.u.hello.workers_max;
    if (needed <= allowed)
        return 0;
    return err_set(err, -EMFILE,
                   "the configuration asks for %llu workers, the limit of open descriptors allows "
                   "%u: raise it (ulimit -n, LimitNOFILE=) or start fewer",
                   (unsigned long long)needed, allowed);
}

static int
shell_create(struct shell *shell, const struct shell_options *options, struct err *err)
{
    int fds[KEEPER_FDS_MAX];
    int r = keeper_hello(options->keeper_fd, HELLO_LIMIT_MS, &shell->hello, fds, err);
    if (r != 0)
        return r;
    shell->started_at = io_now();
    if ((r = open_record(shell, fds[1], err)) != 0)
        return r;
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        return err_errno(err, -errno, "no random numbers");
    shell->limits = limits_of(shell, seed);
    if ((r = make_core(shell, err)) != 0 || (r = make_actions(shell, err)) != 0 ||
        (r = take_state(shell, fds[0], err)) != 0 ||
        (r = events_create(&shell->events, state_ring(shell->state), err)) != 0 ||
        (r = io_create(&shell->io, shell_turn, shell, err)) != 0 ||
        (r = keeper_link_create(&shell->link, shell->io, options->keeper_fd, shell_on_report,
                                shell_on_keeper_gone, shell, err)) != 0 ||
        (r = add_sinks(shell, options, err)) != 0 ||
        (r = workers_create(&shell->workers, shell, shell->limits.workers_max, err)) != 0 ||
        (r = sockets_create(&shell->sockets, shell, shell->limits.pools_max, err)) != 0 ||
        (r = schedule_create(&shell->schedule, shell, shell->limits.pools_max, err)) != 0 ||
        (r = outputs_create(&shell->outputs, shell, shell->limits.pools_max, workers_resume_output,
                            shell->workers, err)) != 0 ||
        (r = control_create(&shell->control, shell, fds[2], err)) != 0)
        return r;
    filter_sinks(shell);
    if (config_create(&shell->config, shell) != 0)
        return err_set(err, -ENOMEM, "out of memory");
    shell->boot = BOOT_ADDING;
    return check_room(shell, err);
}

static void
shell_destroy(struct shell *shell)
{
    control_destroy(&shell->control);
    sockets_destroy(&shell->sockets);
    schedule_destroy(&shell->schedule);
    config_destroy(&shell->config);
    workers_destroy(&shell->workers);
    outputs_destroy(&shell->outputs);
    keeper_link_destroy(&shell->link);
    for (uint32_t i = 0; i < shell->sinks_len; i++)
        sink_destroy(&shell->sinks[i]);
    events_destroy(&shell->events);
    io_destroy(&shell->io);
    state_close(&shell->state);
}

int
shell_main(const struct shell_options *options)
{
    static struct shell shell; /* one engine a process */
    struct err err = {0};
    int r = shell_create(&shell, options, &err);
    if (r != 0) {
        fprintf(stderr, "poold: %s\n", err.text);
        if (shell.link == NULL)
            return 1;
        /* Nothing was started: the keeper is told to leave too, instead of trying again. */
        shell_leave(&shell, r == -EMFILE ? 78 : 1);
        io_wake_at(shell.io, io_now()); /* nothing else would begin the turn that ends it */
    } else {
        tell_started(&shell);
        io_wake_at(shell.io, io_now()); /* for the first pools */
    }
    io_run(shell.io);
    if (io_threads_work(shell.io))
        _exit(shell.exit_status); /* with a disk that does not answer */
    shell_destroy(&shell);
    return shell.exit_status;
}
