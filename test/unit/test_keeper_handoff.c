/* test_keeper_handoff.c - how a worker is told of its sockets, and what it may use of the
 * machine. */
#include "test/unit/keeper_dump.h"

/* Starts the one worker of the one pool and reads what it wrote of itself. */
static void
dump_made(struct world *world, const char *path)
{
    world_start(world);
    bind_all(world);
    struct report spawned = spawn(world, worker_of(0, 0, 1));
    dump_wait(path);
    report_close(&spawned);
}

static void
dump_end(struct world *world)
{
    worker_end(world, worker_of(0, 0, 1));
    assert_int_equal(world_leave(world, 0), 0);
}

static struct record_pool *
pool_dumping(struct world *world, char path[128])
{
    snprintf(path, 128, "%s/dump", world->directory);
    return pool_of(world, "shop", "dump", path);
}

static struct record_socket *
socket_as(struct world *world, struct record_socket *socket, const char *address, bool blocking)
{
    socket->address = blob_text(&world->blob, address);
    socket->blocking = blocking;
    socket->uid = geteuid();
    socket->gid = getegid();
    return socket;
}

static unsigned
variables_dumped(void)
{
    unsigned count = 0;
    for (const char *at = dump; (at = strstr(at, "\nenv ")) != NULL; at++)
        count++;
    return count;
}

static void
limit_add(struct world *world, struct record_pool *pool, uint32_t resource, uint64_t soft,
          uint64_t hard)
{
    struct record_limit limit = {.resource = resource, .soft = soft, .hard = hard};
    while (pool->limit_count == 0 && world->blob.text_size % 4 != 0)
        world->blob.text[world->blob.text_size++] = '\0';
    uint32_t at = blob_bytes(&world->blob, &limit, sizeof limit);
    if (pool->limit_count++ == 0)
        pool->limits = at;
}

/* The step that fails, with its errno. */
static void
assert_fails(struct world *world, enum spawn_step step, int error)
{
    world_start(world);
    ask(world, (struct verb){.kind = VERB_SPAWN, .worker = worker_of(0, 0, 1)});
    struct report spawned = told_of(world, VERB_SPAWNED);
    report_close(&spawned);
    struct verb failed = told_of(world, VERB_EXEC_FAILED).verb;
    assert_int_equal(failed.step, step);
    assert_int_equal(failed.error, error);
    told_of(world, VERB_EXITED);
    assert_int_equal(world_leave(world, 0), 0);
}

/* Whether this test's own process could write it: what poold's child may, it may too. */
static int
own_oom_score_error(const char *score)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
        _exit(write(fd, score, strlen(score)) > 0 ? 0 : errno);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WEXITSTATUS(status);
}

/* --- claims: sockets ------------------------------------------------------------------------- */

static void
stdin_gives_the_one_socket_as_0_blocking_and_says_nothing(void **state)
{
    struct world *world = *state;
    char path[128];
    pool_dumping(world, path)->handoff = HANDOFF_STDIN;
    socket_as(world, blob_inet(&world->blob, "web", 0), "127.0.0.1:9000", true);
    dump_made(world, path);
    assert_non_null(strstr(dumped("fd 0 socket:"), " flags 0 mode 2"));
    assert_null(strstr(dumped("fd 0 socket:"), "mode 2050"));
    assert_non_null(strstr(dumped("fd 1 pipe:"), " flags 0 mode 2"));
    assert_false(is_dumped("fd 3 "));
    assert_false(is_dumped("LISTEN_"));
    assert_int_equal(variables_dumped(), 4); /* NOTIFY_SOCKET, POOLD_* */
    dump_end(world);
}

static void
the_ready_command_of_a_stdin_pool_reads_nothing(void **state)
{
    struct world *world = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/dump", world->directory);
    struct record_pool *pool = pool_of(world, "shop", "wait", NULL);
    const char *const ready[] = {world->program, "dump", path, NULL};
    pool->handoff = HANDOFF_STDIN;
    pool->ready = blob_strings(&world->blob, ready);
    pool->settings.ready = READY_COMMAND;
    blob_inet(&world->blob, "web", 0);
    world_start(world);
    bind_all(world);
    struct report spawned = spawn(world, worker_of(0, 0, 1));
    ask(world,
        (struct verb){.kind = VERB_SPAWN, .worker = worker_of(0, 0, 1), .spawn = SPAWN_COMMAND});
    struct report command = told_of(world, VERB_SPAWNED);
    told_of(world, VERB_EXECUTED);
    dump_wait(path);
    assert_string_equal(dumped("fd 0 "), "/dev/null flags 0 mode 2");
    assert_false(is_dumped("fd 3 "));
    kill(command.verb.pid, SIGKILL);
    told_of(world, VERB_EXITED);
    report_close(&spawned);
    dump_end(world);
}

static void
nginx_gives_sockets_from_3_and_names_their_numbers(void **state)
{
    struct world *world = *state;
    char path[128];
    pool_dumping(world, path)->handoff = HANDOFF_NGINX;
    socket_as(world, blob_inet(&world->blob, "web", 0), "127.0.0.1:80", false);
    socket_as(world, blob_inet(&world->blob, "admin", 0), "127.0.0.1:81", false);
    dump_made(world, path);
    assert_string_equal(dumped("env NGINX="), "3;4;");
    assert_non_null(strstr(dumped("fd 3 socket:"), " flags 0 mode 2050"));
    assert_non_null(strstr(dumped("fd 4 socket:"), " flags 0 mode 2050"));
    assert_false(is_dumped("LISTEN_"));
    assert_int_equal(variables_dumped(), 5);
    dump_end(world);
}

static void
fpm_gives_blocking_sockets_from_3_and_names_their_addresses(void **state)
{
    struct world *world = *state;
    char path[128], unix_path[100], address[128], expected[200];
    pool_dumping(world, path)->handoff = HANDOFF_FPM;
    snprintf(unix_path, sizeof unix_path, "%s/php.sock", world->directory);
    snprintf(address, sizeof address, "unix:%s", unix_path);
    socket_as(world, blob_inet(&world->blob, "web", 0), "127.0.0.1:9000", true);
    socket_as(world, blob_unix(&world->blob, "php", unix_path, 0600), address, true);
    dump_made(world, path);
    snprintf(expected, sizeof expected, "127.0.0.1:9000=3,%s=4", unix_path);
    assert_string_equal(dumped("env FPM_SOCKETS="), expected);
    assert_non_null(strstr(dumped("fd 3 socket:"), " flags 0 mode 2"));
    assert_null(strstr(dumped("fd 3 socket:"), "mode 2050"));
    assert_null(strstr(dumped("fd 4 socket:"), "mode 2050"));
    assert_false(is_dumped("LISTEN_"));
    assert_int_equal(variables_dumped(), 5);
    dump_end(world);
}

/* --- claims: output and limits --------------------------------------------------------------- */

/* So that a change of `output` needs no new process. */
static void
a_worker_writes_to_its_pipe_whatever_its_output_is(void **state)
{
    struct world *world = *state;
    char path[128];
    pool_dumping(world, path)->output = OUTPUT_NULL;
    dump_made(world, path);
    assert_non_null(strstr(dumped("fd 1 pipe:"), " flags 0 mode 2"));
    assert_non_null(strstr(dumped("fd 2 pipe:"), " flags 0 mode 2"));
    assert_false(is_dumped("fd 3 "));
    dump_end(world);
}

/* Or each death would wake the engine twice. */
static void
the_end_of_a_worker_is_told_by_the_keeper_and_not_by_its_output(void **state)
{
    struct world *world = *state;
    char path[128];
    pool_dumping(world, path);
    world_start(world);
    bind_all(world);
    struct report spawned = spawn(world, worker_of(0, 0, 1));
    dump_wait(path);
    worker_end(world, worker_of(0, 0, 1));
    struct pollfd output = {.fd = spawned.fds[1], .events = POLLIN};
    assert_int_equal(poll(&output, 1, 0), 0);
    report_close(&spawned);
    assert_int_equal(world_leave(world, 0), 0);
}

static void
a_worker_has_the_limits_of_its_pool(void **state)
{
    struct world *world = *state;
    char path[128];
    struct record_pool *pool = pool_dumping(world, path);
    limit_add(world, pool, RLIMIT_NOFILE, 44, 55);
    limit_add(world, pool, RLIMIT_CORE, 0, 1 << 20);
#ifndef __SANITIZE_ADDRESS__ /* whose shadow alone is larger */
    limit_add(world, pool, RLIMIT_AS, UINT64_C(1) << 33, UINT64_C(1) << 34);
#endif
    dump_made(world, path);
    unsigned long soft = 0, hard = 0;
    assert_int_equal(sscanf(dumped("Max open files"), "%lu %lu", &soft, &hard), 2);
    assert_int_equal(soft, 44);
    assert_int_equal(hard, 55);
    assert_int_equal(sscanf(dumped("Max core file size"), "%lu %lu", &soft, &hard), 2);
    assert_int_equal(soft, 0);
    assert_int_equal(hard, 1 << 20);
#ifndef __SANITIZE_ADDRESS__
    assert_int_equal(sscanf(dumped("Max address space"), "%lu %lu", &soft, &hard), 2);
    assert_true(soft == UINT64_C(1) << 33 && hard == UINT64_C(1) << 34);
#endif
    dump_end(world);
}

/* No kernel takes it, not even from who may do anything. */
static void
a_limit_that_cannot_be_set_is_told(void **state)
{
    struct world *world = *state;
    struct record_pool *pool = pool_of(world, "shop", "wait", NULL);
    limit_add(world, pool, RLIMIT_NOFILE, RLIM_INFINITY, RLIM_INFINITY);
    assert_fails(world, STEP_LIMITS, EPERM);
}

static void
a_worker_has_the_priority_of_its_pool_in_the_eyes_of_autogroups_too(void **state)
{
    struct world *world = *state;
    char path[128], expected[32];
    struct record_pool *pool = pool_dumping(world, path);
    int nice = geteuid() == 0 ? -3 : 7;
    pool->set_nice = 1;
    pool->nice = nice;
    dump_made(world, path);
    snprintf(expected, sizeof expected, "%d", nice);
    assert_string_equal(dumped("nice "), expected);
    if (is_dumped("/autogroup-")) {
        snprintf(expected, sizeof expected, " nice %d", nice);
        assert_non_null(strstr(dumped("/autogroup-"), expected));
    }
    dump_end(world);
}

static void
a_worker_has_the_oom_score_adjustment_of_its_pool(void **state)
{
    struct world *world = *state;
    char path[128];
    struct record_pool *pool = pool_dumping(world, path);
    pool->set_oom_score_adjust = 1;
    pool->oom_score_adjust = 456;
    dump_made(world, path);
    assert_string_equal(dumped("oom "), "456");
    dump_end(world);
}

static void
a_protection_from_the_oom_killer_that_cannot_be_given_is_told(void **state)
{
    struct world *world = *state;
    struct record_pool *pool = pool_of(world, "shop", "wait", NULL);
    int error = own_oom_score_error("-456");
    if (error == 0)
        skip(); /* here it can be given */
    pool->set_oom_score_adjust = 1;
    pool->oom_score_adjust = -456;
    assert_fails(world, STEP_OOM_SCORE, error);
}

/* As below a service manager that gave one: to lower it takes a right that poold may not have. */
static void
an_oom_score_above_0_is_inherited_from_who_started_poold(void **state)
{
    struct world *world = *state;
    char path[128];
    pool_dumping(world, path);
    int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
    assert_int_equal(write(fd, "123", 3), 3);
    dump_made(world, path);
    assert_string_equal(dumped("oom "), "123");
    assert_int_equal(pwrite(fd, "0", 1, 0), 1);
    close(fd);
    dump_end(world);
}

static void
what_protects_poold_from_the_oom_killer_does_not_protect_its_workers(void **state)
{
    struct world *world = *state;
    char path[128];
    if (own_oom_score_error("-321") != 0)
        skip();
    pool_dumping(world, path);
    int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
    assert_int_equal(write(fd, "-321", 4), 4);
    dump_made(world, path);
    assert_string_equal(dumped("oom "), "0");
    assert_int_equal(pwrite(fd, "0", 1, 0), 1);
    close(fd);
    dump_end(world);
}

int
main(int argc, char **argv)
{
    int status = keeper_test_main(argc, argv);
    if (status >= 0)
        return status;
    const struct CMUnitTest tests[] = {
        CLAIM(stdin_gives_the_one_socket_as_0_blocking_and_says_nothing),
        CLAIM(the_ready_command_of_a_stdin_pool_reads_nothing),
        CLAIM(nginx_gives_sockets_from_3_and_names_their_numbers),
        CLAIM(fpm_gives_blocking_sockets_from_3_and_names_their_addresses),
        CLAIM(a_worker_writes_to_its_pipe_whatever_its_output_is),
        CLAIM(the_end_of_a_worker_is_told_by_the_keeper_and_not_by_its_output),
        CLAIM(a_worker_has_the_limits_of_its_pool),
        CLAIM(a_limit_that_cannot_be_set_is_told),
        CLAIM(a_worker_has_the_priority_of_its_pool_in_the_eyes_of_autogroups_too),
        CLAIM(a_worker_has_the_oom_score_adjustment_of_its_pool),
        CLAIM(a_protection_from_the_oom_killer_that_cannot_be_given_is_told),
        CLAIM(an_oom_score_above_0_is_inherited_from_who_started_poold),
        CLAIM(what_protects_poold_from_the_oom_killer_does_not_protect_its_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
