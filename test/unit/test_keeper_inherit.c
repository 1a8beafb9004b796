/* test_keeper_inherit.c - sockets that poold is started with. */
#include "test/unit/keeper_dump.h"

struct outside {
    int fd; /* the service manager's own */
    uint16_t port;
    ino_t inode;
};

static void
outside_listen(struct outside *outside, int type)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct stat status;
    outside->fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(outside->fd, (struct sockaddr *)&address, sizeof address), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(outside->fd, 1), 0);
    assert_int_equal(getsockname(outside->fd, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(fstat(outside->fd, &status), 0);
    outside->port = ntohs(address.sin_port);
    outside->inode = status.st_ino;
}

static int
bind_error(struct world *world, uint32_t index)
{
    ask(world, (struct verb){.kind = VERB_BIND, .index = index});
    return told_of(world, VERB_BIND_RESULT).verb.error;
}

static int
connect_error(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int error = connect(client, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
    close(client);
    return error;
}

static bool
engine_has_variable(const struct world *world, const char *name)
{
    char path[64], bytes[32768];
    snprintf(path, sizeof path, "/proc/%d/environ", world->engine.pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = read(fd, bytes, sizeof bytes);
    close(fd);
    assert_true(size > 0 && size < (ssize_t)sizeof bytes);
    return memmem(bytes, (size_t)size, name, strlen(name)) != NULL;
}

static void
expect_fd(int number, const struct outside *outside, int mode)
{
    char key[24], expected[64];
    snprintf(key, sizeof key, "fd %d ", number);
    snprintf(expected, sizeof expected, "socket:[%lu] flags 0 mode %d",
             (unsigned long)outside->inode, mode);
    assert_string_equal(dumped(key), expected);
}

/* --- claims ---------------------------------------------------------------------------------- */

static void
an_inherited_socket_is_taken_in_place_of_binding(void **state)
{
    struct world *world = *state;
    struct outside outside;
    char path[128], expected[32];
    outside_listen(&outside, SOCK_STREAM);
    const int given[] = {outside.fd, -1};
    world->given = given;
    snprintf(path, sizeof path, "%s/dump", world->directory);
    pool_of(world, "shop", "dump", path);
    blob_inet(&world->blob, "web", outside.port);
    world_start(world);
    assert_int_equal(bind_error(world, 0), 0);
    struct report spawned = spawn(world, worker_of(0, 0, 1));
    dump_wait(path);
    expect_fd(3, &outside, 2050);
    snprintf(expected, sizeof expected, "%d", spawned.verb.pid);
    assert_string_equal(dumped("env LISTEN_PID="), expected);
    assert_string_equal(dumped("env LISTEN_FDS="), "1");
    assert_string_equal(dumped("env LISTEN_FDNAMES="), "web");
    assert_false(engine_has_variable(world, "LISTEN_"));
    /* Closed and wanted again: still the one that was given, for nobody could bind another. */
    ask(world, (struct verb){.kind = VERB_UNBIND, .index = 0});
    assert_int_equal(bind_error(world, 0), 0);
    report_close(&spawned);
    worker_end(world, worker_of(0, 0, 1));
    close(outside.fd);
    assert_int_equal(connect_error(outside.port), 0);
    assert_int_equal(world_leave(world, 0), 0);
    assert_int_equal(connect_error(outside.port), ECONNREFUSED);
}

/* [::]:80 of who wants IPv6 alone is not "*:80", although it is the same address. */
static void
a_socket_of_ipv6_alone_is_not_taken_for_every_address(void **state)
{
    struct world *world = *state;
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    socklen_t length = sizeof address;
    const int only = 1;
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        skip();
    }
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    const int given[] = {fd, -1};
    world->given = given;
    pool_of(world, "shop", "wait", NULL);
    for (uint8_t dual = 0; dual < 2; dual++) {
        struct record_socket *record = blob_socket(&world->blob, "web");
        record->family = AF_INET6;
        record->dual = dual;
        record->length = sizeof address;
        memcpy(record->sockaddr, &address, sizeof address);
    }
    world_start(world);
    assert_int_equal(bind_error(world, 1), EADDRINUSE);
    assert_int_equal(bind_error(world, 0), 0);
    assert_int_equal(world_leave(world, 0), 0);
    close(fd);
}

static void
each_of_many_finds_its_address_with_the_blocking_that_it_needs(void **state)
{
    struct world *world = *state;
    struct outside outside[6];
    int given[ARRAY_LEN(outside) + 1];
    char path[128], key[16];
    snprintf(path, sizeof path, "%s/dump", world->directory);
    pool_of(world, "shop", "dump", path)->handoff = HANDOFF_FD;
    for (size_t i = 0; i < ARRAY_LEN(outside); i++) {
        outside_listen(&outside[i], SOCK_STREAM);
        given[i] = outside[i].fd;
    }
    given[ARRAY_LEN(outside)] = -1;
    world->given = given;
    for (size_t i = ARRAY_LEN(outside); i-- > 0;) /* in another order */
        blob_inet(&world->blob, "web", outside[i].port)->blocking = i % 2 == 0;
    world_start(world);
    bind_all(world);
    struct report spawned = spawn(world, worker_of(0, 0, 1));
    dump_wait(path);
    for (int i = 0; i < (int)ARRAY_LEN(outside); i++)
        expect_fd(3 + (int)ARRAY_LEN(outside) - 1 - i, &outside[i], i % 2 == 0 ? 2 : 2050);
    snprintf(key, sizeof key, "\nfd %d ", 3 + (int)ARRAY_LEN(outside));
    assert_false(is_dumped(key));
    report_close(&spawned);
    worker_end(world, worker_of(0, 0, 1));
    for (size_t i = 0; i < ARRAY_LEN(outside); i++)
        close(outside[i].fd);
    assert_int_equal(world_leave(world, 0), 0);
}

static void
an_inherited_unix_socket_keeps_its_path(void **state)
{
    struct world *world = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/shop.sock", world->directory);
    int outside = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(outside, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(outside, 1), 0);
    const int given[] = {outside, -1};
    world->given = given;
    pool_of(world, "shop", "wait", NULL);
    blob_unix(&world->blob, "web", address.sun_path, 0600);
    world_start(world);
    assert_int_equal(bind_error(world, 0), 0);
    /* The path is its maker's: not put back by us, and not taken away at the end. */
    ask(world, (struct verb){.kind = VERB_LISTEN, .index = 0});
    assert_int_equal(world_leave(world, 0), 0);
    assert_int_equal(access(address.sun_path, F_OK), 0);
    close(outside);
}

static void
what_no_pool_listens_on_is_told_and_closed(void **state)
{
    struct world *world = *state;
    struct outside wanted, unwanted, datagrams;
    char said[512] = "";
    int pair[2];
    outside_listen(&wanted, SOCK_STREAM);
    outside_listen(&unwanted, SOCK_STREAM);
    outside_listen(&datagrams, SOCK_DGRAM);
    const int given[] = {unwanted.fd, datagrams.fd, wanted.fd, -1};
    world->given = given;
    pool_of(world, "shop", "wait", NULL);
    blob_inet(&world->blob, "web", wanted.port);
    world_write_config(world);
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    world->keeper = world_poold(world, pair[1]);
    close(pair[1]);
    world_engine(world);
    ssize_t size = read(pair[0], said, sizeof said - 1);
    assert_true(size > 0);
    close(pair[0]);
    assert_non_null(strstr(said, "of 3 sockets that poold was started with (LISTEN_FDS) 2 are"));
    assert_int_equal(bind_error(world, 0), 0);
    close(unwanted.fd);
    assert_int_equal(connect_error(unwanted.port), ECONNREFUSED);
    assert_int_equal(connect_error(wanted.port), 0);
    close(wanted.fd);
    close(datagrams.fd);
    assert_int_equal(world_leave(world, 0), 0);
}

static void
what_was_meant_for_another_process_is_closed(void **state)
{
    struct world *world = *state;
    struct outside outside;
    outside_listen(&outside, SOCK_STREAM);
    const int given[] = {outside.fd, -1};
    world->given = given;
    world->given_to = getpid();
    pool_of(world, "shop", "wait", NULL);
    blob_inet(&world->blob, "web", outside.port);
    world_start(world);
    assert_int_equal(bind_error(world, 0), EADDRINUSE);
    assert_false(engine_has_variable(world, "LISTEN_"));
    close(outside.fd);
    assert_int_equal(connect_error(outside.port), ECONNREFUSED);
    assert_int_equal(bind_error(world, 0), 0);
    assert_int_equal(world_leave(world, 0), 0);
}

int
main(int argc, char **argv)
{
    int status = keeper_test_main(argc, argv);
    if (status >= 0)
        return status;
    const struct CMUnitTest tests[] = {
        CLAIM(an_inherited_socket_is_taken_in_place_of_binding),
        CLAIM(a_socket_of_ipv6_alone_is_not_taken_for_every_address),
        CLAIM(each_of_many_finds_its_address_with_the_blocking_that_it_needs),
        CLAIM(an_inherited_unix_socket_keeps_its_path),
        CLAIM(what_no_pool_listens_on_is_told_and_closed),
        CLAIM(what_was_meant_for_another_process_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
