/* test_keeper_faults.c - what must not matter to workers: dead engines, dead launchers, children
 * that hang or die on their way, an engine that does not listen. */
#include <sys/fanotify.h>
#include <sys/ioctl.h>

#include "test/unit/keeper_workers.h"

enum { MANY = 200 };

static bool
process_has_fd(pid_t pid, int fd)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
    struct stat status;
    return lstat(path, &status) == 0;
}

/* Processes of poold-exec among poold's children. One that is parked has its link at 100 and
 * nothing at 3; the launcher has its own at 3 and, between two requests, nothing above. A child
 * that was just cloned has its link at 4, and one in the middle of its exec has nothing at all. */
static uint32_t
helpers_of(const struct world *world, bool parked, pid_t *out, uint32_t max)
{
    char path[64], text[8192], name[32];
    uint32_t count = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", world->keeper, world->keeper);
    file_read(path, text, sizeof text);
    char *end;
    for (char *at = text; count < max; at = end) {
        pid_t pid = (pid_t)strtol(at, &end, 10);
        if (end == at)
            break;
        snprintf(path, sizeof path, "/proc/%d/comm", pid);
        file_read(path, name, sizeof name);
        /* 3 last: a child closes its 3 before its 4, so between two looks nobody seems a launcher. */
        if (strcmp(name, "poold/exec\n") == 0 && process_has_fd(pid, 100) == parked &&
            !process_has_fd(pid, 4) && process_has_fd(pid, 3) == !parked)
            out[count++] = pid;
    }
    return count;
}

static pid_t
launcher_of(const struct world *world)
{
    pid_t pid = 0;
    WORLD_WAIT(helpers_of(world, false, &pid, 1) == 1);
    return pid;
}

/* Stops every parked child, so that whoever becomes one of them goes nowhere. */
static uint32_t
parked_stop(const struct world *world, pid_t out[8])
{
    uint32_t count = 0;
    /* All of them: two per core, at most eight. */
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t all = (uint32_t)(cores < 4 ? cores * 2 : 8);
    WORLD_WAIT((count = helpers_of(world, true, out, 8)) == all);
    for (uint32_t i = 0; i < count; i++) {
        char path[64], stat[256];
        kill(out[i], SIGSTOP);
        snprintf(path, sizeof path, "/proc/%d/stat", out[i]);
        WORLD_WAIT((file_read(path, stat, sizeof stat), strstr(stat, ") T ") != NULL));
    }
    return count;
}

static void
engine_kill(struct world *world)
{
    kill(world->engine.pid, SIGKILL);
    world_engine(world);
}

static void
children_that_hang_hold_nobody_up(void **state)
{
    struct world *world = *state;
    pid_t stopped[8];
    pool_of(world, "shop", "wait", NULL);
    world_start(world);
    uint32_t count = parked_stop(world, stopped);
    for (uint32_t slot = 0; slot < count; slot++) {
        ask(world, (struct verb){.kind = VERB_SPAWN, .worker = worker_of(0, slot, 1)});
        struct report spawned = told_of(world, VERB_SPAWNED);
        report_close(&spawned);
    }
    struct report other = spawn(world, worker_of(0, 100, 1));
    report_close(&other);
    for (uint32_t i = 0; i < count; i++)
        kill(stopped[i], SIGCONT);
    for (uint32_t i = 0; i < count; i++)
        assert_int_not_equal(told_of(world, VERB_EXECUTED).verb.worker.slot, 100);
    world_leave(world, 0);
}

static void
death_before_exec_is_told_as_that(void **state)
{
    struct world *world = *state;
    pid_t stopped[8];
    pool_of(world, "shop", "wait", NULL);
    world_start(world);
    parked_stop(world, stopped);
    ask(world, (struct verb){.kind = VERB_SPAWN, .worker = worker_of(0, 0, 1)});
    struct report spawned = told_of(world, VERB_SPAWNED);
    report_close(&spawned);
    ask(world, (struct verb){.kind = VERB_SIGNAL,
                             .worker = worker_of(0, 0, 1),
                             .signo = SIGKILL,
                             .argument = TARGET_GROUP});
    struct verb failed = told_of(world, VERB_EXEC_FAILED).verb;
    assert_int_equal(failed.step, STEP_KILLED);
    struct verb exited = told_of(world, VERB_EXITED).verb;
    assert_int_equal(exited.code, CLD_KILLED);
    assert_int_equal(exited.status, SIGKILL);
    assert_int_equal(exited.step, STEP_KILLED);
    world_leave(world, 0);
}

/* The exec itself hangs, as on a network that is gone: a fanotify listener that does not answer. */
static void
an_exec_that_hangs_holds_nobody_up_and_can_be_killed(void **state)
{
    struct world *world = *state;
    char slow[120];
    snprintf(slow, sizeof slow, "%s/slow", world->directory);
    world_copy(world->program, slow);
    int notify =
        fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK, O_RDONLY | O_CLOEXEC);
    if (notify < 0 || fanotify_mark(notify, FAN_MARK_ADD, FAN_OPEN_EXEC_PERM, AT_FDCWD, slow) != 0)
        skip();
    const char *const argv[] = {slow, "wait", NULL};
    struct record_pool *pool = blob_pool(&world->blob, "slow", argv, no_env);
    pool->uid = geteuid();
    pool->gid = getegid();
    pool->drop_privileges = geteuid() == 0;
    pool_of(world, "shop", "wait", NULL);
    world_start(world);
    ask(world, (struct verb){.kind = VERB_SPAWN, .worker = worker_of(0, 0, 1)});
    struct report hung = told_of(world, VERB_SPAWNED);
    report_close(&hung);
    struct pollfd asked = {.fd = notify, .events = POLLIN};
    assert_int_equal(poll(&asked, 1, WAIT_MS), 1);
    for (uint32_t slot = 0; slot < 20; slot++) {
        struct report spawned = spawn(world, worker_of(1, slot, 1));
        report_close(&spawned);
    }
    ask(world, (struct verb){.kind = VERB_SIGNAL,
                             .worker = worker_of(0, 0, 1),
                             .signo = SIGKILL,
                             .argument = TARGET_GROUP});
    /* Either the kernel lets it die in its wait, or it must be answered first. */
    if (told_nothing(world, 500))
        close(notify);
    assert_int_equal(told_of(world, VERB_EXEC_FAILED).verb.step, STEP_KILLED);
    told_of(world, VERB_EXITED);
    close(notify);
    world_leave(world, 0);
}

static void
a_new_engine_is_told_everything_that_lives_and_died(void **state)
{
    struct world *world = *state;
    pool_of(world, "shop", "wait", NULL);
    blob_inet(&world->blob, "web", 0);
    blob_inet(&world->blob, "never-bound", 0);
    pool_of(world, "quick", "exit", "5");
    pool_of(world, "broken", "wait", NULL)->program = blob_text(&world->blob, "/nonexistent");
    world_start(world);
    assert_int_equal(world->engine.hello.u.hello.restarts, 0);
    ask(world, (struct verb){.kind = VERB_BIND, .index = 0});
    told_of(world, VERB_BIND_RESULT);
    ask(world, (struct verb){.kind = VERB_BIND, .index = 1});
    told_of(world, VERB_BIND_RESULT);
    struct report lives = spawn(world, worker_of(0, 0, 1));
    struct report dies = spawn(world, worker_of(0, 1, 1));
    ask(world, (struct verb){.kind = VERB_UNBIND, .index = 1});
    struct report quick = spawn(world, worker_of(1, 0, 1));
    told_of(world, VERB_EXITED);
    ask(world, (struct verb){.kind = VERB_SPAWN, .worker = worker_of(2, 0, 1)});
    struct report broken = told_of(world, VERB_SPAWNED);
    told_of(world, VERB_EXEC_FAILED);
    told_of(world, VERB_EXITED);

    engine_kill(world);
    assert_int_equal(world->engine.hello.u.hello.restarts, 1);
    assert_int_equal(world->engine.hello.u.hello.exit_code, CLD_KILLED);
    assert_int_equal(world->engine.hello.u.hello.exit_status, SIGKILL);
    kill(dies.verb.pid, SIGTERM); /* nobody has asked LIST yet: nothing may be told before */
    char stat_path[64], stat[256];
    snprintf(stat_path, sizeof stat_path, "/proc/%d/stat", dies.verb.pid);
    WORLD_WAIT((file_read(stat_path, stat, sizeof stat), strstr(stat, ") Z ") != NULL));
    assert_true(told_nothing(world, 100));

    ask(world, (struct verb){.kind = VERB_LIST});
    assert_int_equal(told_of(world, VERB_LISTED_SOCKET).verb.index, 0);
    unsigned seen = 0;
    for (unsigned i = 0; i < 4; i++) {
        struct report listed = told_of(world, VERB_LISTED_WORKER);
        const struct verb *verb = &listed.verb;
        assert_int_equal(listed.fd_count, 2);
        if (verb->worker.pool == 0 && verb->worker.slot == 0) {
            assert_int_equal(verb->phase, PHASE_EXECUTED);
            assert_int_equal(verb->pid, lives.verb.pid);
            seen |= 1;
        } else if (verb->worker.pool == 0) {
            assert_int_equal(verb->phase, PHASE_EXITED);
            assert_int_equal(verb->status, SIGTERM);
            seen |= 2;
        } else if (verb->worker.pool == 1) {
            assert_int_equal(verb->phase, PHASE_EXITED);
            assert_int_equal(verb->code, CLD_EXITED);
            assert_int_equal(verb->status, 5);
            assert_int_equal(verb->step, STEP_NONE);
            seen |= 4;
        } else {
            assert_int_equal(verb->phase, PHASE_EXITED);
            assert_int_equal(verb->step, STEP_EXEC);
            assert_int_equal(verb->error, ENOENT);
            seen |= 8;
        }
        report_close(&listed);
    }
    told_of(world, VERB_LIST_END);
    assert_int_equal(seen, 15);
    /* Told from now on as it happens, once. */
    kill(lives.verb.pid, SIGTERM);
    assert_int_equal(told_of(world, VERB_EXITED).verb.pid, lives.verb.pid);
    assert_true(told_nothing(world, 50));
    report_close(&lives);
    report_close(&dies);
    report_close(&quick);
    report_close(&broken);
    assert_int_equal(world_leave(world, 0), 0);
}

static void
no_engine_blocks_no_worker(void **state)
{
    struct world *world = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/flooded", world->directory);
    pool_of(world, "shop", "flood", path);
    world_start(world);
    struct report spawned = spawn(world, worker_of(0, 0, 1));
    /* An engine that is attached and does not read makes the worker wait. */
    int bytes = 0;
    WORLD_WAIT(ioctl(spawned.fds[1], FIONREAD, &bytes) == 0 && bytes >= 65536);
    assert_int_not_equal(access(path, F_OK), 0);
    report_close(&spawned);
    engine_kill(world); /* a new one, which says nothing */
    WORLD_WAIT(access(path, F_OK) == 0);
    assert_int_equal(kill(spawned.verb.pid, 0), 0);
    world_leave(world, 0);
}

/* A message to a worker's socket, as if it had said it. */
static void
say_as(const struct report *spawned)
{
    struct sockaddr_un address;
    socklen_t length = sizeof address;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(getsockname(spawned->fds[0], (struct sockaddr *)&address, &length), 0);
    assert_int_equal(sendto(fd, "READY=1", 7, 0, (struct sockaddr *)&address, length), 7);
    close(fd);
}

static int
bytes_said(const struct report *spawned)
{
    int bytes = -1;
    assert_int_equal(ioctl(spawned->fds[0], FIONREAD, &bytes), 0);
    return bytes;
}

/* Whether it is ready only the engine can know: READY=1 itself may be what would be lost. */
static void
what_a_worker_says_before_it_is_ready_waits_for_an_engine(void **state)
{
    struct world *world = *state;
    pool_of(world, "shop", "wait", NULL)->settings.ready = READY_NOTIFY;
    pool_of(world, "till", "wait", NULL)->settings.ready = READY_EXEC;
    world_start(world);
    struct report starting = spawn(world, worker_of(0, 0, 1));
    struct report ready = spawn(world, worker_of(0, 1, 1));
    struct report other = spawn(world, worker_of(1, 0, 1));
    ask(world, (struct verb){.kind = VERB_READY, .worker = worker_of(0, 1, 1)});
    ask(world, (struct verb){.kind = VERB_READY, .worker = worker_of(0, 7, 7)}); /* nobody */
    say_as(&starting);
    say_as(&ready);
    say_as(&other);
    engine_kill(world); /* a new one, which says nothing */
    WORLD_WAIT(bytes_said(&ready) == 0 && bytes_said(&other) == 0);
    assert_int_equal(bytes_said(&starting), 7);
    report_close(&starting);
    report_close(&ready);
    report_close(&other);
    world_leave(world, 0);
}

static void
a_dead_launcher_is_replaced_and_nothing_is_spawned_twice(void **state)
{
    struct world *world = *state;
    static unsigned executed[MANY];
    static pid_t pids[MANY];
    memset(executed, 0, sizeof executed);
    pool_of(world, "shop", "wait", NULL)->settings.workers_max = MANY;
    world_start(world);
    assert_int_equal(world->engine.hello.u.hello.launcher, 1);
    for (uint32_t slot = 0; slot < MANY; slot++) {
        ask(world, (struct verb){.kind = VERB_SPAWN, .worker = worker_of(0, slot, 1)});
        if (slot % 50 == 20)
            kill(launcher_of(world), SIGKILL);
    }
    for (uint32_t left = MANY; left > 0;) {
        struct report report = told(world);
        uint32_t slot = report.verb.worker.slot;
        if (report.verb.kind == VERB_SPAWNED)
            pids[slot] = report.verb.pid;
        else
            assert_int_equal(report.verb.kind, VERB_EXECUTED);
        if (report.verb.kind == VERB_EXECUTED) {
            executed[slot]++;
            left--;
        }
        report_close(&report);
    }
    for (uint32_t slot = 0; slot < MANY; slot++) {
        assert_int_equal(executed[slot], 1);
        assert_int_equal(kill(pids[slot], 0), 0);
    }
    /* As many processes run the program as there are workers. */
    unsigned running = 0;
    char path[64], name[32], text[8192];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", world->keeper, world->keeper);
    file_read(path, text, sizeof text);
    char *end;
    for (char *at = text; strtol(at, &end, 10) > 0 && end != at; at = end) {
        snprintf(path, sizeof path, "/proc/%ld/comm", strtol(at, NULL, 10));
        file_read(path, name, sizeof name);
        running += strcmp(name, "program\n") == 0;
    }
    assert_int_equal(running, MANY);
    launcher_of(world);
    world_leave(world, 0);
}

static void
where_a_launchers_clone_is_refused_there_is_no_launcher(void **state)
{
    struct world *world = *state;
    pid_t pids[8];
    pool_of(world, "shop", "wait", NULL)->settings.workers_max = MANY;
    world_start(world);
    assert_int_equal(world->engine.hello.u.hello.launcher, 0);
    /* All at once, far more than are parked. */
    for (uint32_t slot = 0; slot < MANY; slot++)
        ask(world, (struct verb){.kind = VERB_SPAWN, .worker = worker_of(0, slot, 1)});
    unsigned executed[MANY] = {0};
    for (uint32_t left = MANY; left > 0;) {
        struct report report = told(world);
        if (report.verb.kind == VERB_EXECUTED) {
            assert_int_equal(++executed[report.verb.worker.slot], 1);
            left--;
        } else {
            assert_int_equal(report.verb.kind, VERB_SPAWNED);
        }
        report_close(&report);
    }
    WORLD_WAIT(helpers_of(world, true, pids, 8) == spare_sockets());
    assert_int_equal(helpers_of(world, false, pids, 8), 0);
    engine_kill(world);
    assert_int_equal(world->engine.hello.u.hello.launcher, 0);
    world_leave(world, 0);
}

static void
parked_children_that_are_killed_are_replaced(void **state)
{
    struct world *world = *state;
    pid_t parked[8];
    pool_of(world, "shop", "wait", NULL);
    world_start(world);
    uint32_t count = 0;
    WORLD_WAIT((count = helpers_of(world, true, parked, 8)) >= 2);
    for (uint32_t i = 0; i < count; i++)
        kill(parked[i], SIGKILL);
    /* As soon as they are dead: the keeper may not have noticed any of it yet. */
    for (uint32_t i = 0; i < count; i++) {
        char path[64], stat[256];
        snprintf(path, sizeof path, "/proc/%d/stat", parked[i]);
        WORLD_WAIT(
            (file_read(path, stat, sizeof stat), stat[0] == '\0' || strstr(stat, ") Z ") != NULL));
    }
    struct report spawned = spawn(world, worker_of(0, 0, 1));
    report_close(&spawned);
    pid_t now[8];
    WORLD_WAIT(helpers_of(world, true, now, 8) >= 2);
    for (uint32_t i = 0; i < count; i++)
        WORLD_WAIT(kill(parked[i], 0) != 0);
    assert_true(told_nothing(world, 50)); /* they are nobody's business */
    assert_int_equal(world_leave(world, 0), 0);
}

static void
an_engine_that_does_not_read_loses_nothing(void **state)
{
    struct world *world = *state;
    static unsigned phase[MANY];
    memset(phase, 0, sizeof phase);
    pool_of(world, "shop", "exit", "0")->settings.workers_max = MANY;
    world_start(world);
    for (uint32_t slot = 0; slot < MANY; slot++)
        ask(world, (struct verb){.kind = VERB_SPAWN, .worker = worker_of(0, slot, 1)});
    WORLD_WAIT(notify_sockets(world) == MANY + spare_sockets());
    /* 600 messages wait, and the link holds some 280. */
    for (unsigned i = 0; i < 3 * MANY; i++) {
        struct report report = told(world);
        static const uint16_t order[] = {VERB_SPAWNED, VERB_EXECUTED, VERB_EXITED};
        unsigned *at = &phase[report.verb.worker.slot];
        assert_true(*at < 3);
        assert_int_equal(report.verb.kind, order[(*at)++]);
        assert_int_equal(report.fd_count, report.verb.kind == VERB_SPAWNED ? 2 : 0);
        report_close(&report);
    }
    assert_true(told_nothing(world, 50));
    assert_int_equal(world_leave(world, 0), 0);
}

static void
an_engine_that_speaks_nonsense_is_replaced(void **state)
{
    struct world *world = *state;
    pool_of(world, "shop", "wait", NULL);
    world_start(world);
    struct report spawned = spawn(world, worker_of(0, 0, 1));
    report_close(&spawned);
    struct verb verb = {.version = VERB_VERSION + 1, .kind = VERB_LIST};
    send(world->engine.fd, &verb, sizeof verb, 0);
    pid_t engine = world->engine.pid;
    WORLD_WAIT(kill(engine, 0) != 0);
    world_engine(world);
    assert_int_equal(world->engine.hello.u.hello.exit_status, SIGKILL);
    /* Questions about what does not exist are harmless. */
    ask(world, (struct verb){.kind = VERB_SIGNAL, .worker = worker_of(9, 9, 9), .signo = SIGKILL});
    ask(world, (struct verb){.kind = VERB_SIGNAL, .worker = worker_of(0, 0, 1), .signo = 4711});
    ask(world, (struct verb){.kind = VERB_RELEASE, .worker = worker_of(0, 0, 1)});
    ask(world, (struct verb){.kind = VERB_BIND, .index = 4711});
    ask(world, (struct verb){.kind = VERB_UNBIND, .index = 4711});
    ask(world, (struct verb){.kind = VERB_SPAWN, .worker = worker_of(9, 0, 1)});
    struct verb failed = told_of(world, VERB_SPAWN_FAILED).verb;
    assert_int_equal(failed.step, STEP_TABLE);
    assert_int_equal(failed.error, ENOENT);
    ask(world, (struct verb){.kind = VERB_SPAWN, .worker = worker_of(0, 0, 1), .spawn = 7});
    assert_int_equal(told_of(world, VERB_SPAWN_FAILED).verb.error, EINVAL);
    assert_int_equal(kill(spawned.verb.pid, 0), 0);
    assert_int_equal(world_leave(world, 0), 0);
}

static void
a_worker_whose_socket_is_not_bound_is_refused(void **state)
{
    struct world *world = *state;
    pool_of(world, "shop", "wait", NULL);
    blob_inet(&world->blob, "web", 0);
    world_start(world);
    ask(world, (struct verb){.kind = VERB_SPAWN, .worker = worker_of(0, 0, 1)});
    struct verb failed = told_of(world, VERB_SPAWN_FAILED).verb;
    assert_int_equal(failed.step, STEP_DESCRIPTORS);
    assert_int_equal(failed.error, ENOTCONN);
    WORLD_WAIT(notify_sockets(world) == spare_sockets());
    bind_all(world);
    struct report spawned =
        spawn(world, worker_of(0, 0, 1)); /* it failed whole: it can be asked again */
    report_close(&spawned);
    assert_int_equal(world_leave(world, 0), 0);
}

/* The failure is told, and gone with its cause. */
static void
without_descriptors_a_spawn_fails_at_its_step(void **state)
{
    struct world *world = *state;
    pool_of(world, "shop", "wait", NULL);
    world_start(world);
    struct rlimit before, tight = {260, 260};
    assert_int_equal(prlimit(world->keeper, RLIMIT_NOFILE, NULL, &before), 0);
    /* No descriptor left, for anything. */
    tight.rlim_cur = tight.rlim_max = keeper_fds(world) / 2;
    tight.rlim_max = before.rlim_max;
    assert_int_equal(prlimit(world->keeper, RLIMIT_NOFILE, &tight, NULL), 0);
    struct verb failed = {0};
    for (uint32_t slot = 0; failed.kind != VERB_SPAWN_FAILED; slot++) {
        assert_true(slot < 20); /* parked children and spare channels last for a few */
        ask(world, (struct verb){.kind = VERB_SPAWN, .worker = worker_of(0, slot, 1)});
        struct report report = told(world);
        failed = report.verb;
        report_close(&report);
        if (failed.kind != VERB_SPAWN_FAILED)
            told_of(world, VERB_EXECUTED);
    }
    assert_true(failed.step >= STEP_NOTIFY_SOCKET && failed.step <= STEP_CLONE);
    assert_int_equal(failed.error, EMFILE);
    assert_int_equal(prlimit(world->keeper, RLIMIT_NOFILE, &before, NULL), 0);
    struct report spawned = spawn(world, failed.worker);
    report_close(&spawned);
    assert_int_equal(world_leave(world, 0), 0);
}

static void
signals_from_outside_are_passed_on(void **state)
{
    struct world *world = *state;
    static const int signals[] = {SIGHUP, SIGUSR1, SIGTERM, SIGINT, SIGTERM};
    world_start(world);
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        kill(world->keeper, signals[i]);
        assert_int_equal(told_of(world, VERB_OUTSIDE).verb.signo, signals[i]);
    }
    kill(world->keeper, SIGPIPE);
    kill(world->keeper, SIGUSR2);
    kill(world->keeper, SIGQUIT);
    kill(world->keeper, SIGALRM);
    assert_true(told_nothing(world, 50));
    assert_int_equal(world_leave(world, 7), 7);
}

/* More than the keeper reads in one turn, with LEAVE at the end, from an engine that is dead by the
 * time that the keeper looks. */
static void
the_last_words_of_an_engine_count(void **state)
{
    struct world *world = *state;
    char path[64], stat[256];
    int status;
    world_start(world);
    kill(world->keeper, SIGSTOP);
    for (int i = 0; i < 150; i++)
        ask(world, (struct verb){.kind = VERB_SIGNAL, .worker = worker_of(0, 0, 1), .signo = 1});
    ask(world, (struct verb){.kind = VERB_LEAVE, .argument = 5});
    kill(world->engine.pid, SIGKILL);
    snprintf(path, sizeof path, "/proc/%d/stat", world->engine.pid);
    WORLD_WAIT((file_read(path, stat, sizeof stat), strstr(stat, ") Z ") != NULL));
    kill(world->keeper, SIGCONT);
    WORLD_WAIT(waitpid(world->keeper, &status, WNOHANG) == world->keeper);
    world->keeper = 0;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 5);
}

static void
a_stop_without_any_engine_kills_the_workers(void **state)
{
    struct world *world = *state;
    char engine[128];
    int status;
    pool_of(world, "shop", "wait", NULL);
    world_start(world);
    struct report spawned = spawn(world, worker_of(0, 0, 1));
    /* No engine can come any more: whom it would tell is gone. */
    snprintf(engine, sizeof engine, "%s", world->rendezvous);
    unlink(engine);
    kill(world->engine.pid, SIGKILL);
    kill(world->keeper, SIGTERM);
    WORLD_WAIT(waitpid(world->keeper, &status, WNOHANG) == world->keeper);
    world->keeper = 0;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_int_not_equal(kill(spawned.verb.pid, 0), 0);
    assert_int_not_equal(access(world->runtime, F_OK) == 0 && notify_sockets(world) > 0, 1);
    report_close(&spawned);
}

int
main(int argc, char **argv)
{
    int status = keeper_test_main(argc, argv);
    if (status >= 0)
        return status;
    const struct CMUnitTest tests[] = {
        CLAIM(children_that_hang_hold_nobody_up),
        CLAIM(death_before_exec_is_told_as_that),
        CLAIM_NO_PIDFD(death_before_exec_is_told_as_that),
        CLAIM_ALONE(death_before_exec_is_told_as_that),
        CLAIM(an_exec_that_hangs_holds_nobody_up_and_can_be_killed),
        CLAIM_ALONE(an_exec_that_hangs_holds_nobody_up_and_can_be_killed),
        CLAIM(a_new_engine_is_told_everything_that_lives_and_died),
        CLAIM_NO_PIDFD(a_new_engine_is_told_everything_that_lives_and_died),
        CLAIM_ALONE(a_new_engine_is_told_everything_that_lives_and_died),
        CLAIM(no_engine_blocks_no_worker),
        CLAIM(what_a_worker_says_before_it_is_ready_waits_for_an_engine),
        CLAIM(a_dead_launcher_is_replaced_and_nothing_is_spawned_twice),
        CLAIM_ALONE(where_a_launchers_clone_is_refused_there_is_no_launcher),
        CLAIM(parked_children_that_are_killed_are_replaced),
        CLAIM_NO_PIDFD(parked_children_that_are_killed_are_replaced),
        CLAIM_ALONE(parked_children_that_are_killed_are_replaced),
        CLAIM(an_engine_that_does_not_read_loses_nothing),
        CLAIM(an_engine_that_speaks_nonsense_is_replaced),
        CLAIM(a_worker_whose_socket_is_not_bound_is_refused),
        CLAIM(without_descriptors_a_spawn_fails_at_its_step),
        CLAIM_ALONE(without_descriptors_a_spawn_fails_at_its_step),
        CLAIM(signals_from_outside_are_passed_on),
        CLAIM(the_last_words_of_an_engine_count),
        CLAIM(a_stop_without_any_engine_kills_the_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
