/* test_keeper_start.c - how poold starts, what it refuses, and its listening sockets. */
#include "test/unit/keeper_workers.h"

/* Runs poold to its end, which must come by itself; what it said goes to said. */
static int
poold_ends(struct world *world, char *said, size_t size)
{
    int pair[2], status = 0;
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    pid_t pid = world_poold(world, pair[1]);
    close(pair[1]);
    size_t used = 0;
    ssize_t got;
    while (used + 1 < size && (got = read(pair[0], said + used, size - 1 - used)) > 0)
        used += (size_t)got;
    said[used] = '\0';
    close(pair[0]);
    WORLD_WAIT(waitpid(pid, &status, WNOHANG) == pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void
runtime_path(const struct world *world, const char *name, char *out, size_t size)
{
    snprintf(out, size, "%s/%s", world->runtime, name);
}

static void
expect_entries(const char *path, int expected)
{
    DIR *directory = opendir(path);
    assert_non_null(directory);
    int count = -2; /* itself and its parent */
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    assert_int_equal(count, expected);
}

static void
touch(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static int
control_connect(const struct world *world)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/control", world->runtime);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static int
bind_ask(struct world *world, uint32_t index)
{
    uint64_t request = ask(world, (struct verb){.kind = VERB_BIND, .index = index});
    struct verb result = told_of(world, VERB_BIND_RESULT).verb;
    assert_int_equal(result.request, request);
    assert_int_equal(result.index, index);
    return result.error;
}

static void
the_runtime_directory_is_as_promised_and_gone_at_the_end(void **state)
{
    struct world *world = *state;
    struct stat status;
    char path[128], text[32];
    world_start(world);
    mode_t directory = geteuid() == 0 ? 0711 : 0700;
    assert_int_equal(stat(world->runtime, &status), 0);
    assert_int_equal(status.st_mode & 07777, directory);
    runtime_path(world, "w", path, sizeof path);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, directory);
    runtime_path(world, "control", path, sizeof path);
    assert_int_equal(lstat(path, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_mode & 07777, 0600);
    runtime_path(world, "lock", path, sizeof path);
    file_read(path, text, sizeof text);
    assert_int_equal(strtol(text, NULL, 10), world->keeper);
    /* The control socket is the one that the engine got. */
    int client = control_connect(world);
    assert_true(client >= 0);
    int accepted = accept4(world->engine.control_fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(accepted >= 0);
    close(accepted);
    close(client);
    assert_int_equal(world_leave(world, 3), 3);
    expect_entries(world->runtime, 0);
}

static void
a_second_poold_is_refused_and_touches_nothing(void **state)
{
    struct world *world = *state;
    char said[512], expected[128];
    pool_of(world, "shop", "wait", NULL);
    world_start(world);
    struct report spawned = spawn(world, worker_of(0, 0, 1));
    assert_int_equal(poold_ends(world, said, sizeof said), 1);
    snprintf(expected, sizeof expected, "already running in %s, pid %d\n", world->runtime,
             world->keeper);
    assert_non_null(strstr(said, expected));
    WORLD_WAIT(notify_sockets(world) == 1 + spare_sockets());
    int client = control_connect(world);
    assert_true(client >= 0);
    close(client);
    report_close(&spawned);
    assert_int_equal(world_leave(world, 0), 0);
}

static void
what_a_killed_poold_left_is_removed_and_nothing_else(void **state)
{
    struct world *world = *state;
    char path[128], foreign[128];
    pool_of(world, "shop", "wait", NULL);
    world_start(world);
    struct report spawned = spawn(world, worker_of(0, 0, 1));
    report_close(&spawned);
    kill(world->keeper, SIGKILL);
    waitpid(world->keeper, NULL, 0);
    assert_true(notify_sockets(world) >= 1);
    runtime_path(world, "w/not-a-name-of-ours", foreign, sizeof foreign);
    touch(foreign);
    runtime_path(world, "w/0123456789abcdef0123456789abcdef", path, sizeof path);
    touch(path);
    world->keeper = world_poold(world, -1);
    world_engine(world);
    WORLD_WAIT(notify_sockets(world) == 1 + spare_sockets()); /* the foreign one, no older one */
    assert_int_equal(access(foreign, F_OK), 0);
    int client = control_connect(world);
    assert_true(client >= 0);
    close(client);
    assert_int_equal(world_leave(world, 0), 0);
    assert_int_equal(access(foreign, F_OK), 0);
}

static void
parked_children_end_with_a_killed_poold(void **state)
{
    struct world *world = *state;
    char path[64], children[2048];
    world_start(world);
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", world->keeper, world->keeper);
    /* Engine, launcher, and at least two that are parked. */
    pid_t pids[16];
    int count = 0;
    WORLD_WAIT((file_read(path, children, sizeof children),
                count = sscanf(children, "%d %d %d %d", &pids[0], &pids[1], &pids[2], &pids[3])) ==
               4);
    kill(world->keeper, SIGKILL);
    waitpid(world->keeper, NULL, 0);
    world->keeper = 0;
    close(world->engine.leash); /* the fake engine's own end is the test's business */
    world->engine.leash = -1;
    /* They are ours now, and each ends by itself with its link. */
    for (int i = 0; i < count; i++) {
        int status;
        WORLD_WAIT(waitpid(pids[i], &status, WNOHANG) == pids[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

static void
a_runtime_path_that_cannot_be_trusted_is_refused(void **state)
{
    struct world *world = *state;
    char said[512], target[100];
    world_write_config(world);
    snprintf(target, sizeof target, "%s/elsewhere", world->directory);
    assert_int_equal(mkdir(target, 0700), 0);
    assert_int_equal(symlink(target, world->runtime), 0);
    assert_int_equal(poold_ends(world, said, sizeof said), 1);
    assert_non_null(strstr(said, "is a symbolic link"));
    assert_int_equal(unlink(world->runtime), 0);
    if (geteuid() == 0) {
        assert_int_equal(mkdir(world->runtime, 0700), 0);
        assert_int_equal(chown(world->runtime, 12345, 12345), 0);
        assert_int_equal(poold_ends(world, said, sizeof said), 1);
        assert_non_null(strstr(said, "belongs to user 12345"));
    }
    memset(world->runtime, 'x', 70);
    world->runtime[0] = '/';
    world->runtime[70] = '\0';
    assert_int_equal(poold_ends(world, said, sizeof said), 2);
    assert_non_null(strstr(said, "longer than 60 bytes"));
}

static void
a_directory_that_others_live_by_keeps_its_mode_and_files(void **state)
{
    struct world *world = *state;
    char said[512], path[128];
    struct stat status;
    world_write_config(world);
    assert_int_equal(mkdir(world->runtime, 0755), 0);
    assert_int_equal(chmod(world->runtime, 01777), 0);
    assert_int_equal(poold_ends(world, said, sizeof said), 1);
    assert_non_null(strstr(said, "has mode 1777, so others can write to it"));
    assert_int_equal(stat(world->runtime, &status), 0);
    assert_int_equal(status.st_mode & 07777, 01777);
    assert_int_equal(chmod(world->runtime, 0755), 0);
    runtime_path(world, "control", path, sizeof path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(poold_ends(world, said, sizeof said), 1);
    assert_non_null(strstr(said, "cannot make the control socket"));
    assert_non_null(strstr(said, "Address already in use"));
    assert_int_equal(stat(world->runtime, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0755);
    assert_int_equal(unlink(path), 0);
}

static void
a_configuration_with_errors_starts_nothing(void **state)
{
    struct world *world = *state;
    char said[1024], path[128];
    world->blob.text_size = 0;
    blob_text(&world->blob, "poold.json:3:1: first error\npoold.json:9:4: second error\n");
    world->blob.header.engine_user = world->blob.header.source = 0;
    world->blob.header.engine = (struct record_strings){0};
    world->blob.header.errors = 2;
    world_write_config(world);
    assert_int_equal(poold_ends(world, said, sizeof said), 78);
    assert_non_null(strstr(said, "poold.json:3:1: first error\npoold.json:9:4: second error\n"));
    assert_non_null(strstr(said, "has 2 errors; nothing was started"));
    runtime_path(world, "lock", path, sizeof path);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void
a_broken_compiled_configuration_is_refused(void **state)
{
    struct world *world = *state;
    char said[512], version[32];
    pool_of(world, "shop", "wait", NULL)->socket_count = 3;
    world_write_config(world);
    assert_int_equal(poold_ends(world, said, sizeof said), 1);
    assert_non_null(strstr(said, "broken configuration"));
    world->blob.header.version = RECORD_VERSION + 8;
    world_write_config(world);
    assert_int_equal(poold_ends(world, said, sizeof said), 1);
    snprintf(version, sizeof version, "version %u", RECORD_VERSION + 8);
    assert_non_null(strstr(said, version));
}

static void
a_configuration_without_an_engine_is_refused(void **state)
{
    struct world *world = *state;
    char said[512];
    world->blob.header.engine = (struct record_strings){0};
    world_write_config(world);
    assert_int_equal(poold_ends(world, said, sizeof said), 1);
    assert_non_null(strstr(said, "broken configuration"));
}

static void
what_a_loader_that_hangs_has_made_is_gone_after_a_stop(void **state)
{
    struct world *world = *state;
    char made[128];
    int status;
    assert_int_equal(mkfifo(world->config, 0600), 0);
    runtime_path(world, "w", made, sizeof made);
    world->keeper = world_poold(world, -1);
    WORLD_WAIT(access(made, F_OK) == 0);
    assert_int_equal(kill(world->keeper, SIGTERM), 0);
    WORLD_WAIT(waitpid(world->keeper, &status, WNOHANG) == world->keeper);
    world->keeper = 0;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0); /* nothing was started: a stop in order */
    expect_entries(world->runtime, 0);
}

static void
a_loader_that_is_killed_leaves_nothing(void **state)
{
    struct world *world = *state;
    char path[128], children[64];
    pid_t loader = 0;
    int status;
    assert_int_equal(mkfifo(world->config, 0600), 0);
    world->keeper = world_poold(world, -1);
    runtime_path(world, "w", path, sizeof path);
    WORLD_WAIT(access(path, F_OK) == 0);
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", world->keeper, world->keeper);
    file_read(path, children, sizeof children);
    assert_int_equal(sscanf(children, "%d", &loader), 1);
    kill(loader, SIGKILL);
    WORLD_WAIT(waitpid(world->keeper, &status, WNOHANG) == world->keeper);
    world->keeper = 0;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    expect_entries(world->runtime, 0);
}

static void
an_address_in_use_is_told_and_bound_once_it_is_free(void **state)
{
    struct world *world = *state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int holder = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(holder, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(holder, 1), 0);
    assert_int_equal(getsockname(holder, (struct sockaddr *)&address, &length), 0);
    pool_of(world, "shop", "wait", NULL);
    blob_inet(&world->blob, "web", ntohs(address.sin_port));
    world_start(world);
    assert_int_equal(bind_ask(world, 0), EADDRINUSE);
    close(holder);
    assert_int_equal(bind_ask(world, 0), 0);
    assert_int_equal(bind_ask(world, 0), 0); /* bound already: that is what was wanted */
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    close(client);
    ask(world, (struct verb){.kind = VERB_LISTEN, .index = 0});
    ask(world, (struct verb){.kind = VERB_UNBIND, .index = 0});
    assert_int_equal(bind_ask(world, 0), 0);
    assert_int_equal(world_leave(world, 0), 0);
}

static void
a_unix_path_is_replaced_only_when_nobody_listens(void **state)
{
    struct world *world = *state;
    char path[108];
    struct stat status;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(path, sizeof path, "%s/shop.sock", world->directory);
    memcpy(address.sun_path, path, sizeof path);
    pool_of(world, "shop", "wait", NULL);
    struct record_socket *socket_record = blob_unix(&world->blob, "web", path, 0664);
    socket_record->uid = geteuid() == 0 ? 12345 : geteuid();
    socket_record->gid = geteuid() == 0 ? 23456 : getegid();
    world_start(world);

    touch(path); /* not a socket at all */
    assert_int_equal(bind_ask(world, 0), EADDRINUSE);
    assert_int_equal(stat(path, &status), 0);
    assert_true(S_ISREG(status.st_mode));
    unlink(path);

    int holder = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(holder, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(holder, 1), 0);
    assert_int_equal(bind_ask(world, 0), EADDRINUSE);
    close(holder); /* its path stays */
    assert_int_equal(bind_ask(world, 0), 0);

    assert_int_equal(lstat(path, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_mode & 07777, 0664);
    assert_int_equal(status.st_uid, socket_record->uid);
    assert_int_equal(status.st_gid, socket_record->gid);
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    close(client);

    ask(world, (struct verb){.kind = VERB_UNBIND, .index = 0});
    WORLD_WAIT(access(path, F_OK) != 0);
    assert_int_equal(bind_ask(world, 0), 0);
    /* Somebody else's by now: it stays. */
    unlink(path);
    touch(path);
    assert_int_equal(world_leave(world, 0), 0);
    assert_int_equal(access(path, F_OK), 0);
}

static void
every_address_means_ipv4_too(void **state)
{
    struct world *world = *state;
    /* A free port: taken, read, given back. */
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof four;
    int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(probe, (struct sockaddr *)&four, sizeof four), 0);
    assert_int_equal(getsockname(probe, (struct sockaddr *)&four, &length), 0);
    close(probe);
    pool_of(world, "shop", "wait", NULL);
    struct record_socket *record = blob_socket(&world->blob, "web");
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = four.sin_port};
    record->family = AF_INET6;
    record->dual = 1;
    record->length = sizeof six;
    memcpy(record->sockaddr, &six, sizeof six);
    world_start(world);
    assert_int_equal(bind_ask(world, 0), 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&four, sizeof four), 0);
    close(client);
    assert_int_equal(world_leave(world, 0), 0);
}

static void
the_engine_has_no_rights_and_no_terminal(void **state)
{
    struct world *world = *state;
    char path[64], text[4096], expected[64];
    world_start(world);
    snprintf(path, sizeof path, "/proc/%d/status", world->engine.pid);
    file_read(path, text, sizeof text);
    snprintf(expected, sizeof expected, "Uid:\t%u\t%u\t%u\t%u\n", world->blob.header.engine_uid,
             world->blob.header.engine_uid, world->blob.header.engine_uid,
             world->blob.header.engine_uid);
    assert_non_null(strstr(text, expected));
    assert_non_null(strstr(text, "NoNewPrivs:\t1"));
    assert_non_null(strstr(text, "CapEff:\t0000000000000000"));
    assert_non_null(strstr(text, "CapPrm:\t0000000000000000"));
    if (geteuid() == 0) {
        assert_non_null(strstr(text, "CapBnd:\t0000000000000000"));
        assert_non_null(strstr(text, "Groups:\t \n"));
    }
    assert_int_equal(getsid(world->engine.pid), world->engine.pid);
    snprintf(path, sizeof path, "/proc/%d/fd", world->engine.pid);
    assert_int_equal(count_entries(path), 5); /* 0, 1, 2, its link, and the fake's own */
    assert_int_equal(world_leave(world, 0), 0);
}

int
main(int argc, char **argv)
{
    int status = keeper_test_main(argc, argv);
    if (status >= 0)
        return status;
    const struct CMUnitTest tests[] = {
        CLAIM(the_runtime_directory_is_as_promised_and_gone_at_the_end),
        CLAIM(a_second_poold_is_refused_and_touches_nothing),
        CLAIM(what_a_killed_poold_left_is_removed_and_nothing_else),
        CLAIM(parked_children_end_with_a_killed_poold),
        CLAIM_ALONE(parked_children_end_with_a_killed_poold),
        CLAIM(a_runtime_path_that_cannot_be_trusted_is_refused),
        CLAIM(a_directory_that_others_live_by_keeps_its_mode_and_files),
        CLAIM(a_configuration_with_errors_starts_nothing),
        CLAIM(a_broken_compiled_configuration_is_refused),
        CLAIM(a_configuration_without_an_engine_is_refused),
        CLAIM(what_a_loader_that_hangs_has_made_is_gone_after_a_stop),
        CLAIM(a_loader_that_is_killed_leaves_nothing),
        CLAIM(an_address_in_use_is_told_and_bound_once_it_is_free),
        CLAIM(a_unix_path_is_replaced_only_when_nobody_listens),
        CLAIM(every_address_means_ipv4_too),
        CLAIM(the_engine_has_no_rights_and_no_terminal),
        CLAIM_ALONE(the_engine_has_no_rights_and_no_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
