/* test_keeper.c - what poold and poold-exec make of a SPAWN: the process that a worker finds itself
 * in, the order of what is told, and what is left afterwards. */
#include "test/unit/keeper_dump.h"

/* --- claims ---------------------------------------------------------------------------------- */

static void
a_worker_finds_its_sockets_and_its_environment(void **state)
{
    struct world *world = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/dump", world->directory);
    const char *const argv[] = {world->program, "dump", path, NULL};
    const char *const env[] = {"PATH=/usr/bin:/bin", "COLOUR=blue", NULL};
    struct record_pool *pool = blob_pool(&world->blob, "shop", argv, env);
    pool->uid = geteuid();
    pool->gid = getegid();
    pool->drop_privileges = geteuid() == 0;
    pool->umask = 027;
    pool->directory = blob_text(&world->blob, "/tmp");
    char unix_path[120];
    snprintf(unix_path, sizeof unix_path, "%s/shop.sock", world->directory);
    blob_inet(&world->blob, "web", 0);
    struct record_socket *admin = blob_unix(&world->blob, "admin", unix_path, 0640);
    admin->uid = geteuid();
    admin->gid = getegid();
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 333;
    setrlimit(RLIMIT_NOFILE, &limit);
    signal(SIGUSR2, SIG_IGN);
    setenv("NOTIFY_SOCKET", "/somebody/elses", 1);
    world_start(world);
    unsetenv("NOTIFY_SOCKET");
    signal(SIGUSR2, SIG_DFL);
    bind_all(world);
    struct worker_id worker = worker_of(0, 3, 7);
    struct report spawned = spawn(world, worker);
    dump_wait(path);

    assert_string_equal(dumped("fd 0 "), "/dev/null flags 0 mode 2");
    assert_non_null(strstr(dumped("fd 1 pipe:"), " flags 0 mode 2"));
    assert_non_null(strstr(dumped("fd 2 pipe:"), " flags 0 mode 2"));
    assert_non_null(strstr(dumped("fd 3 socket:"), " flags 0 mode 2050"));
    assert_non_null(strstr(dumped("fd 4 socket:"), " flags 0 mode 2050"));
    assert_false(is_dumped("fd 5 "));
    assert_false(is_dumped("fd 100 "));

    char expected[64];
    snprintf(expected, sizeof expected, "%d", spawned.verb.pid);
    assert_string_equal(dumped("env LISTEN_PID="), expected);
    assert_string_equal(dumped("env LISTEN_FDS="), "2");
    assert_string_equal(dumped("env LISTEN_FDNAMES="), "web:admin");
    assert_string_equal(dumped("env POOLD_POOL="), "shop");
    assert_string_equal(dumped("env POOLD_WORKER="), "3.7");
    assert_string_equal(dumped("env POOLD_PROTOCOL="), "1");
    assert_string_equal(dumped("env COLOUR="), "blue");
    assert_string_equal(dumped("env PATH="), "/usr/bin:/bin");
    assert_memory_equal(dumped("env NOTIFY_SOCKET="), world->runtime, strlen(world->runtime));
    assert_false(is_dumped("/somebody/elses"));
    unsigned variables = 0;
    for (const char *at = dump; (at = strstr(at, "\nenv ")) != NULL; at++)
        variables++;
    assert_int_equal(variables, 9);

    assert_string_equal(dumped("cwd "), "/tmp");
    assert_string_equal(dumped("umask "), "27");
    assert_string_equal(dumped("nofile "), "333");
    assert_string_equal(dumped("oom "), "0");
    snprintf(expected, sizeof expected, "%d sid %d pgid %d ppid %d", spawned.verb.pid,
             spawned.verb.pid, spawned.verb.pid, world->keeper);
    assert_string_equal(dumped("pid "), expected);
    assert_string_equal(dumped("SigBlk:\t"), "0000000000000000");
    assert_string_equal(dumped("SigIgn:\t"), "0000000000000000");
    assert_string_equal(dumped("NoNewPrivs:\t"), "1");
    report_close(&spawned);
    worker_end(world, worker);
    assert_int_equal(world_leave(world, 0), 0);
}

static void
a_worker_has_its_users_rights_and_no_others(void **state)
{
    struct world *world = *state;
    needs_root();
    char path[128], directory[100];
    snprintf(directory, sizeof directory, "%s/out", world->directory);
    assert_int_equal(mkdir(directory, 0777), 0);
    assert_int_equal(chmod(directory, 0777), 0);
    snprintf(path, sizeof path, "%s/dump", directory);
    struct record_pool *pool = pool_of(world, "shop", "dump", path);
    const uint32_t groups[] = {5005, 4004, 6006};
    pool_as(pool, 12345, 23456);
    blob_groups(&world->blob, pool, groups, ARRAY_LEN(groups));
    world_start(world);
    struct report spawned = spawn(world, worker_of(0, 0, 1));
    dump_wait(path);
    assert_string_equal(dumped("Uid:\t"), "12345\t12345\t12345\t12345");
    assert_string_equal(dumped("Gid:\t"), "23456\t23456\t23456\t23456");
    assert_string_equal(dumped("Groups:\t"), "4004 5005 6006 ");
    static const char *const sets[] = {"CapInh:\t", "CapPrm:\t", "CapEff:\t", "CapBnd:\t",
                                       "CapAmb:\t"};
    for (size_t i = 0; i < ARRAY_LEN(sets); i++)
        assert_string_equal(dumped(sets[i]), "0000000000000000");
    assert_string_equal(dumped("NoNewPrivs:\t"), "1");
    assert_string_equal(dumped("reopen "), "works");
    /* Its notify socket is its user's alone. */
    struct stat status;
    assert_int_equal(lstat(dumped("env NOTIFY_SOCKET="), &status), 0);
    assert_int_equal(status.st_uid, 12345);
    assert_int_equal(status.st_gid, 23456);
    assert_int_equal(status.st_mode & 07777, 0600);
    report_close(&spawned);
    worker_end(world, worker_of(0, 0, 1));
    assert_int_equal(world_leave(world, 0), 0);
}

static void
root_written_out_is_a_root_without_capabilities(void **state)
{
    struct world *world = *state;
    needs_root();
    char path[128];
    snprintf(path, sizeof path, "%s/dump", world->directory);
    pool_of(world, "shop", "dump", path)->no_new_privs = 0;
    world_start(world);
    struct report spawned = spawn(world, worker_of(0, 0, 1));
    dump_wait(path);
    assert_string_equal(dumped("Uid:\t"), "0\t0\t0\t0");
    assert_string_equal(dumped("CapPrm:\t"), "0000000000000000");
    assert_string_equal(dumped("CapEff:\t"), "0000000000000000");
    assert_string_equal(dumped("CapBnd:\t"), "0000000000000000");
    assert_string_equal(dumped("NoNewPrivs:\t"), "0");
    report_close(&spawned);
    worker_end(world, worker_of(0, 0, 1));
    assert_int_equal(world_leave(world, 0), 0);
}

static void
a_failed_exec_is_told_with_step_and_errno(void **state)
{
    struct world *world = *state;
    const char *const argv[] = {"/nonexistent/program", NULL};
    struct record_pool *pool = blob_pool(&world->blob, "shop", argv, no_env);
    pool->uid = geteuid();
    pool->gid = getegid();
    pool->drop_privileges = geteuid() == 0;
    world_start(world);
    ask(world, (struct verb){.kind = VERB_SPAWN, .worker = worker_of(0, 0, 1)});
    struct report spawned = told_of(world, VERB_SPAWNED);
    report_close(&spawned);
    struct verb failed = told_of(world, VERB_EXEC_FAILED).verb;
    assert_int_equal(failed.step, STEP_EXEC);
    assert_int_equal(failed.error, ENOENT);
    struct verb exited = told_of(world, VERB_EXITED).verb;
    assert_int_equal(exited.code, CLD_EXITED);
    assert_int_equal(exited.status, 127);
    ask(world, (struct verb){.kind = VERB_RELEASE, .worker = worker_of(0, 0, 1)});
    assert_int_equal(world_leave(world, 0), 0);
}

static void
a_directory_that_the_worker_may_not_enter_is_told(void **state)
{
    struct world *world = *state;
    needs_root();
    char locked[100];
    snprintf(locked, sizeof locked, "%s/locked", world->directory);
    assert_int_equal(mkdir(locked, 0700), 0);
    struct record_pool *pool = pool_of(world, "shop", "wait", NULL);
    pool_as(pool, 12345, 12345);
    pool->directory = blob_text(&world->blob, locked);
    world_start(world);
    ask(world, (struct verb){.kind = VERB_SPAWN, .worker = worker_of(0, 0, 1)});
    struct report spawned = told_of(world, VERB_SPAWNED);
    report_close(&spawned);
    struct verb failed = told_of(world, VERB_EXEC_FAILED).verb;
    assert_int_equal(failed.step, STEP_DIRECTORY);
    assert_int_equal(failed.error, EACCES);
    told_of(world, VERB_EXITED);
    assert_int_equal(world_leave(world, 0), 0);
}

static void
a_second_spawn_is_answered_with_the_first_ones_result(void **state)
{
    struct world *world = *state;
    pool_of(world, "shop", "wait", NULL);
    world_start(world);
    struct report first = spawn(world, worker_of(0, 0, 1));
    uint64_t request = ask(world, (struct verb){.kind = VERB_SPAWN, .worker = worker_of(0, 0, 1)});
    struct report second = told_of(world, VERB_SPAWNED);
    assert_int_equal(second.verb.request, request);
    assert_int_equal(second.verb.pid, first.verb.pid);
    assert_int_equal(second.fd_count, 2);
    told_of(world, VERB_EXECUTED);
    struct stat one, other;
    fstat(first.fds[1], &one);
    fstat(second.fds[1], &other);
    assert_int_equal(one.st_ino, other.st_ino);
    report_close(&first);
    report_close(&second);
    worker_end(world, worker_of(0, 0, 1));
    /* Released: the same name is free again, and means a new process. */
    struct report third = spawn(world, worker_of(0, 0, 1));
    assert_int_not_equal(third.verb.pid, first.verb.pid);
    report_close(&third);
    worker_end(world, worker_of(0, 0, 1));
    assert_int_equal(world_leave(world, 0), 0);
}

static void
what_a_worker_says_arrives_and_its_exit_is_exact(void **state)
{
    struct world *world = *state;
    pool_of(world, "speaker", "say", NULL);
    pool_of(world, "failing", "exit", "3");
    world_start(world);
    char line[64] = "";
    struct report spawned = spawn(world, worker_of(0, 0, 1));
    struct verb exited = told_of(world, VERB_EXITED).verb;
    assert_int_equal(exited.code, CLD_EXITED);
    assert_int_equal(exited.status, 0);
    assert_int_equal(read(spawned.fds[1], line, sizeof line - 1), 21);
    assert_string_equal(line, "a word from a worker\n");
    report_close(&spawned);
    spawned = spawn(world, worker_of(1, 0, 1));
    exited = told_of(world, VERB_EXITED).verb;
    assert_int_equal(exited.code, CLD_EXITED);
    assert_int_equal(exited.status, 3);
    report_close(&spawned);
    assert_int_equal(world_leave(world, 0), 0);
}

static void
what_is_left_of_a_dead_workers_group_is_killed(void **state)
{
    struct world *world = *state;
    char path[128], text[32];
    snprintf(path, sizeof path, "%s/member", world->directory);
    pool_of(world, "shop", "family", path);
    world_start(world);
    struct report spawned = spawn(world, worker_of(0, 0, 1));
    WORLD_WAIT((file_read(path, text, sizeof text), strchr(text, '\n') != NULL));
    pid_t member = (pid_t)strtol(text, NULL, 10);
    assert_int_equal(kill(member, 0), 0);
    kill(spawned.verb.pid, SIGKILL);
    struct verb exited = told_of(world, VERB_EXITED).verb;
    assert_int_equal(exited.code, CLD_KILLED);
    assert_int_equal(exited.status, SIGKILL);
    ask(world, (struct verb){.kind = VERB_RELEASE, .worker = worker_of(0, 0, 1)});
    WORLD_WAIT(kill(member, 0) != 0);
    /* The member came to poold as subreaper, and is told as what it is: nobody's worker. */
    struct verb stray = told_of(world, VERB_STRAY).verb;
    assert_int_equal(stray.pid, member);
    report_close(&spawned);
    assert_int_equal(world_leave(world, 0), 0);
}

static void
a_stray_is_reaped_and_told_once(void **state)
{
    struct world *world = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/stray", world->directory);
    pool_of(world, "shop", "stray", path);
    world_start(world);
    struct report spawned = spawn(world, worker_of(0, 0, 1));
    report_close(&spawned);
    WORLD_WAIT(access(path, F_OK) == 0);
    ask(world, (struct verb){.kind = VERB_SIGNAL, .worker = worker_of(0, 0, 1), .signo = SIGKILL});
    told_of(world, VERB_EXITED);
    ask(world, (struct verb){.kind = VERB_RELEASE, .worker = worker_of(0, 0, 1)});
    struct verb stray = told_of(world, VERB_STRAY).verb;
    assert_string_equal(stray.u.name, "a-stray");
    WORLD_WAIT(kill(stray.pid, 0) != 0 && errno == ESRCH);
    assert_true(told_nothing(world, 100));
    assert_int_equal(world_leave(world, 0), 0);
}

static void
the_ready_command_has_the_workers_name_but_no_sockets(void **state)
{
    struct world *world = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/dump", world->directory);
    struct record_pool *pool = pool_of(world, "shop", "wait", NULL);
    const char *const ready[] = {world->program, "dump", path, NULL};
    pool->ready = blob_strings(&world->blob, ready);
    pool->settings.ready = READY_COMMAND;
    blob_inet(&world->blob, "web", 0);
    world_start(world);
    bind_all(world);
    struct report spawned = spawn(world, worker_of(0, 0, 1));
    uint64_t request = ask(
        world,
        (struct verb){.kind = VERB_SPAWN, .worker = worker_of(0, 0, 1), .spawn = SPAWN_COMMAND});
    struct report command = told_of(world, VERB_SPAWNED);
    assert_int_equal(command.verb.request, request);
    assert_int_equal(command.verb.spawn, SPAWN_COMMAND);
    assert_int_equal(command.fd_count, 0);
    told_of(world, VERB_EXECUTED);
    dump_wait(path);
    assert_string_equal(dumped("env POOLD_WORKER="), "0.1");
    assert_false(is_dumped("NOTIFY_SOCKET"));
    assert_false(is_dumped("LISTEN_FDS"));
    assert_string_equal(dumped("fd 1 "), "/dev/null flags 0 mode 2");
    assert_false(is_dumped("fd 3 "));
    kill(command.verb.pid, SIGKILL);
    struct verb exited = told_of(world, VERB_EXITED).verb;
    assert_int_equal(exited.spawn, SPAWN_COMMAND);
    ask(world,
        (struct verb){.kind = VERB_RELEASE, .worker = worker_of(0, 0, 1), .spawn = SPAWN_COMMAND});
    report_close(&spawned);
    worker_end(world, worker_of(0, 0, 1));
    assert_int_equal(world_leave(world, 0), 0);
}

/* Among launcher, engine and parked children. A launcher that cannot be one is a stray, and strays
 * are looked for a second after a death. */
static unsigned
zombies_of(const struct world *world)
{
    unsigned zombies = 0;
    char children[64], text[256];
    snprintf(children, sizeof children, "/proc/%d/task/%d/children", world->keeper, world->keeper);
    file_read(children, text, sizeof text);
    for (char *at = text, *end; strtol(at, &end, 10) > 0 && at != end; at = end) {
        char path[64], stat[256];
        snprintf(path, sizeof path, "/proc/%ld/stat", strtol(at, NULL, 10));
        file_read(path, stat, sizeof stat);
        zombies += strstr(stat, ") Z ") != NULL;
    }
    return zombies;
}

static void
many_workers_at_once_leave_nothing_behind(void **state)
{
    enum { WORKERS = 200 };
    struct world *world = *state;
    static bool executed[WORKERS], exited[WORKERS];
    memset(executed, 0, sizeof executed);
    memset(exited, 0, sizeof exited);
    pool_of(world, "shop", "wait", NULL)->settings.workers_max = WORKERS;
    world_start(world);
    struct report one = spawn(world, worker_of(0, 0, 1));
    report_close(&one);
    worker_end(world, worker_of(0, 0, 1));
    WORLD_WAIT(notify_sockets(world) == spare_sockets());
    unsigned before = 0;
    /* Parked children come back a moment after use: the number of descriptors has settled. */
    WORLD_WAIT(keeper_fds(world) == before || (before = keeper_fds(world), poll(NULL, 0, 50), 0));

    for (uint32_t slot = 0; slot < WORKERS; slot++)
        ask(world, (struct verb){.kind = VERB_SPAWN, .worker = worker_of(0, slot, 2)});
    for (uint32_t left = WORKERS; left > 0;) {
        struct report report = told(world);
        uint32_t slot = report.verb.worker.slot;
        if (report.verb.kind == VERB_SPAWNED) {
            assert_false(executed[slot]);
        } else {
            assert_int_equal(report.verb.kind, VERB_EXECUTED);
            executed[slot] = true;
            left--;
        }
        report_close(&report);
    }
    WORLD_WAIT(notify_sockets(world) == WORKERS + spare_sockets());
    for (uint32_t slot = 0; slot < WORKERS; slot++)
        ask(world,
            (struct verb){.kind = VERB_SIGNAL, .worker = worker_of(0, slot, 2), .signo = SIGTERM});
    for (uint32_t left = WORKERS; left > 0; left--) {
        struct verb verb = told_of(world, VERB_EXITED).verb;
        assert_int_equal(verb.code, CLD_KILLED);
        assert_int_equal(verb.status, SIGTERM);
        assert_false(exited[verb.worker.slot]);
        exited[verb.worker.slot] = true;
        ask(world, (struct verb){.kind = VERB_RELEASE, .worker = verb.worker});
    }
    WORLD_WAIT(notify_sockets(world) == spare_sockets());
    WORLD_WAIT(keeper_fds(world) == before);
    WORLD_WAIT(zombies_of(world) == 0);
    assert_int_equal(world_leave(world, 0), 0);
}

int
main(int argc, char **argv)
{
    int status = keeper_test_main(argc, argv);
    if (status >= 0)
        return status;
    const struct CMUnitTest tests[] = {
        CLAIM(a_worker_finds_its_sockets_and_its_environment),
        CLAIM_ALONE(a_worker_finds_its_sockets_and_its_environment),
        CLAIM(a_worker_has_its_users_rights_and_no_others),
        CLAIM(root_written_out_is_a_root_without_capabilities),
        CLAIM(a_failed_exec_is_told_with_step_and_errno),
        CLAIM_NO_PIDFD(a_failed_exec_is_told_with_step_and_errno),
        CLAIM_ALONE(a_failed_exec_is_told_with_step_and_errno),
        CLAIM(a_directory_that_the_worker_may_not_enter_is_told),
        CLAIM(a_second_spawn_is_answered_with_the_first_ones_result),
        CLAIM(what_a_worker_says_arrives_and_its_exit_is_exact),
        CLAIM_NO_PIDFD(what_a_worker_says_arrives_and_its_exit_is_exact),
        CLAIM(what_is_left_of_a_dead_workers_group_is_killed),
        CLAIM_NO_PIDFD(what_is_left_of_a_dead_workers_group_is_killed),
        CLAIM(a_stray_is_reaped_and_told_once),
        CLAIM_ALONE(a_stray_is_reaped_and_told_once),
        CLAIM(the_ready_command_has_the_workers_name_but_no_sockets),
        CLAIM(many_workers_at_once_leave_nothing_behind),
        CLAIM_NO_PIDFD(many_workers_at_once_leave_nothing_behind),
        CLAIM_ALONE(many_workers_at_once_leave_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
