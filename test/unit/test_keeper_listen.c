/* test_keeper_listen.c - listening sockets stay what they are, whatever workers do to them. */
#include "test/unit/keeper_workers.h"

struct path {
    char text[108];
    struct stat status; /* as it was bound */
};

static int
unix_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int error = -errno;
    close(fd);
    return error;
}

/* One pool, whose worker does that, with one unix socket. */
static void
pool_on_path(struct world *world, const char *what, const char *with, struct path *path)
{
    pool_of(world, "shop", what, with);
    if (path->text[0] == '\0')
        snprintf(path->text, sizeof path->text, "%s/shop.sock", world->directory);
    struct record_socket *record = blob_unix(&world->blob, "web", path->text, 0664);
    record->uid = geteuid() == 0 ? 12345 : geteuid();
    record->gid = geteuid() == 0 ? 23456 : getegid();
    world_start(world);
    bind_all(world);
    assert_int_equal(lstat(path->text, &path->status), 0);
}

static int
restored_error(struct world *world)
{
    uint64_t request = ask(world, (struct verb){.kind = VERB_LISTEN, .index = 0});
    struct verb verb = told_of(world, VERB_RESTORED).verb;
    assert_int_equal(verb.request, request);
    assert_int_equal(verb.index, 0);
    return verb.error;
}

/* That nothing is told of a question shows in what is told of the next one. */
static void
assert_nothing_was_lost(struct world *world)
{
    ask(world, (struct verb){.kind = VERB_LISTEN, .index = 0});
    ask(world, (struct verb){.kind = VERB_BIND, .index = 0});
    assert_int_equal(told_of(world, VERB_BIND_RESULT).verb.error, 0);
}

/* --- claims ---------------------------------------------------------------------------------- */

static void
a_lost_unix_path_comes_back_as_what_it_was(void **state)
{
    struct world *world = *state;
    struct path path = {.text = ""};
    struct stat now;
    pool_on_path(world, "wait", NULL, &path);
    assert_nothing_was_lost(world);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(unlink(path.text), 0);
        assert_int_equal(unix_connect(path.text), -ENOENT);
        assert_int_equal(restored_error(world), 0);
        assert_int_equal(lstat(path.text, &now), 0);
        assert_true(now.st_ino == path.status.st_ino && now.st_dev == path.status.st_dev);
        assert_int_equal(now.st_mode, path.status.st_mode);
        assert_int_equal(now.st_uid, path.status.st_uid);
        int client = unix_connect(path.text);
        assert_true(client >= 0);
        close(client);
        assert_nothing_was_lost(world);
    }
    ask(world, (struct verb){.kind = VERB_UNBIND, .index = 0});
    WORLD_WAIT(lstat(path.text, &now) != 0);
    WORLD_WAIT(notify_sockets(world) == spare_sockets());
    assert_int_equal(world_leave(world, 0), 0);
}

static void
what_somebody_put_in_a_lost_paths_place_stays_his(void **state)
{
    struct world *world = *state;
    struct path path = {.text = ""};
    struct stat now;
    pool_on_path(world, "wait", NULL, &path);
    assert_int_equal(unlink(path.text), 0);
    assert_int_equal(mkdir(path.text, 0700), 0);
    assert_int_equal(restored_error(world), EEXIST);
    assert_int_equal(world_leave(world, 0), 0);
    assert_int_equal(lstat(path.text, &now), 0);
    assert_true(S_ISDIR(now.st_mode));
    assert_int_equal(count_entries(world->runtime), 0);
}

static void
a_lost_path_on_another_filesystem_is_told(void **state)
{
    struct world *world = *state;
    struct path path = {.text = "/dev/shm/poold-test-XXXXXX"};
    struct stat here, there;
    if (lstat(world->directory, &here) != 0 || lstat("/dev/shm", &there) != 0 ||
        here.st_dev == there.st_dev)
        skip();
    int fd = mkstemp(path.text);
    assert_true(fd >= 0);
    close(fd);
    unlink(path.text);
    pool_on_path(world, "wait", NULL, &path);
    assert_int_equal(unlink(path.text), 0);
    assert_int_equal(restored_error(world), EXDEV);
    assert_int_equal(world_leave(world, 0), 0);
}

static void
a_killed_poolds_second_names_are_removed(void **state)
{
    struct world *world = *state;
    struct path path = {.text = ""};
    pool_on_path(world, "wait", NULL, &path);
    WORLD_WAIT(notify_sockets(world) == spare_sockets() + 1);
    kill(world->keeper, SIGKILL);
    waitpid(world->keeper, NULL, 0);
    world->keeper = world_poold(world, -1);
    world_engine(world);
    bind_all(world); /* nobody listens on the path: it is replaced */
    WORLD_WAIT(notify_sockets(world) == spare_sockets() + 1);
    assert_int_equal(unlink(path.text), 0);
    assert_int_equal(restored_error(world), 0);
    assert_int_equal(world_leave(world, 0), 0);
}

static void
a_queue_that_a_worker_shortened_is_as_long_as_before(void **state)
{
    struct world *world = *state;
    struct path path = {.text = ""};
    char done[128];
    int clients[8], count = 0;
    snprintf(done, sizeof done, "%s/done", world->directory);
    pool_on_path(world, "listen", done, &path);
    struct report spawned = spawn(world, worker_of(0, 0, 1));
    WORLD_WAIT(access(done, F_OK) == 0);
    while (count < 8 && (clients[count] = unix_connect(path.text)) >= 0)
        count++;
    assert_true(count < 8);
    assert_int_equal(clients[count], -EAGAIN);
    assert_nothing_was_lost(world);
    for (; count < 8; count++) {
        clients[count] = unix_connect(path.text);
        assert_true(clients[count] >= 0);
    }
    while (count > 0)
        close(clients[--count]);
    report_close(&spawned);
    worker_end(world, worker_of(0, 0, 1));
    assert_int_equal(world_leave(world, 0), 0);
}

int
main(int argc, char **argv)
{
    int status = keeper_test_main(argc, argv);
    if (status >= 0)
        return status;
    const struct CMUnitTest tests[] = {
        CLAIM(a_lost_unix_path_comes_back_as_what_it_was),
        CLAIM(what_somebody_put_in_a_lost_paths_place_stays_his),
        CLAIM(a_lost_path_on_another_filesystem_is_told),
        CLAIM(a_killed_poolds_second_names_are_removed),
        CLAIM(a_queue_that_a_worker_shortened_is_as_long_as_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
