/* test_keeper_link.c - the engine's end of the pair: HELLO, versions, and a keeper that does not read. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "supervisor/engine/keeper_link.h"

struct world {
    struct io *io;
    struct keeper_link *link;
    int keeper; /* the keeper's end */
    uint32_t reports, gone;
    uint64_t next_request; /* that the keeper's end expects */
    uint64_t wanted;       /* requests after which the loop ends */
    uint64_t report_ns;    /* that each report takes */
};

static void
on_report(void *ctx, const struct verb *verb, const int *fds, uint32_t count)
{
    struct world *world = ctx;
    (void)verb;
    for (uint32_t i = 0; i < count; i++)
        close(fds[i]);
    world->reports++;
    for (uint64_t until = hold_clock_ns() + world->report_ns; hold_clock_ns() < until;)
        ;
}

static void
on_gone(void *ctx)
{
    struct world *world = ctx;
    world->gone++;
    io_stop(world->io);
}

/* At the end of each turn the keeper reads a few messages, and checks that they come in order. */
static void
on_turn(void *ctx)
{
    struct world *world = ctx;
    struct verb verb;
    for (int i = 0; i < 7; i++) {
        if (recv(world->keeper, &verb, sizeof verb, MSG_DONTWAIT) != (ssize_t)sizeof verb)
            break;
        if (verb.request != world->next_request)
            world->next_request = UINT64_MAX / 2; /* told by the assertion after the loop */
        world->next_request++;
    }
    if (world->next_request >= world->wanted)
        io_stop(world->io);
    else
        io_wake_at(world->io, io_now());
}

static void
world_open(struct world *world)
{
    int pair[2];
    memset(world, 0, sizeof *world);
    world->wanted = UINT64_MAX;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    world->keeper = pair[1];
    assert_int_equal(io_create(&world->io, on_turn, world, NULL), 0);
    assert_int_equal(
        keeper_link_create(&world->link, world->io, pair[0], on_report, on_gone, world, NULL), 0);
}

static void
world_close(struct world *world)
{
    keeper_link_destroy(&world->link);
    io_destroy(&world->io);
    if (world->keeper >= 0)
        close(world->keeper);
}

static void
nothing_asked_is_lost_or_reordered_while_the_keeper_does_not_read(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    const uint64_t asked = 5000; /* far above what the pair itself can hold */
    for (uint64_t i = 0; i < asked; i++)
        keeper_ask(world.link, &(struct verb){.version = VERB_VERSION, .request = i});
    assert_false(keeper_link_flushed(world.link));
    world.wanted = asked;
    io_wake_at(world.io, io_now()); /* the keeper of this test reads at the end of a turn */
    io_run(world.io);
    assert_int_equal(world.next_request, asked);
    assert_true(keeper_link_flushed(world.link));
    world_close(&world);
}

static void
world_say(struct world *world, uint32_t count)
{
    const struct verb verb = {.version = VERB_VERSION, .kind = VERB_EXECUTED};
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(send(world->keeper, &verb, sizeof verb, MSG_DONTWAIT), sizeof verb);
}

/* Else a burst of deaths, each with much to tell, would keep every client waiting for all of it. */
static void
reports_that_take_long_are_read_one_at_a_time(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    world_say(&world, 3);
    world.report_ns = 2000000;
    for (uint32_t i = 1; i <= 3; i++) {
        struct portion portion = portion_of(16, 1000);
        assert_true(keeper_link_read(world.link, &portion));
        assert_int_equal(world.reports, i);
        assert_int_equal(portion.taken, 1);
    }
    struct portion portion = portion_of(16, 1000);
    assert_false(keeper_link_read(world.link, &portion));
    assert_int_equal(world.reports, 3);
    world_close(&world);
}

static void
no_more_reports_are_read_than_the_portion_has_pieces(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    world_say(&world, 5);
    struct portion portion = portion_of(4, 60000000);
    assert_true(keeper_link_read(world.link, &portion));
    assert_int_equal(world.reports, 4);
    world_close(&world);
}

static void
the_end_of_the_keeper_is_told_once_and_later_questions_go_nowhere(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    close(world.keeper);
    world.keeper = -1;
    io_run(world.io);
    assert_int_equal(world.gone, 1);
    keeper_ask(world.link, &(struct verb){.version = VERB_VERSION});
    assert_true(keeper_link_flushed(world.link));
    world_close(&world);
}

static int
hello(int keeper, const void *bytes, size_t len, int count)
{
    int fds[KEEPER_FDS_MAX];
    for (int i = 0; i < count; i++) {
        fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_true(fds[i] >= 0);
    }
    union {
        char bytes[CMSG_SPACE(sizeof fds)];
        struct cmsghdr align;
    } control;
    memset(&control, 0, sizeof control);
    struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (count > 0) {
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * (size_t)count);
    }
    assert_int_equal(sendmsg(keeper, &msg, 0), (ssize_t)len);
    for (int i = 0; i < count; i++)
        close(fds[i]);
    return 0;
}

static int
count_descriptors(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void
hello_of_another_version_is_refused_with_both_numbers_and_leaks_nothing(void **state)
{
    (void)state;
    int pair[2], fds[KEEPER_FDS_MAX];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    struct verb verb = {.version = VERB_VERSION + 1, .kind = VERB_HELLO};
    int before = count_descriptors();
    hello(pair[1], &verb, sizeof verb, 3);
    struct err err = {0};
    assert_int_equal(keeper_hello(pair[0], 1000, &verb, fds, &err), -EPROTO);
    char theirs[32], ours[32];
    snprintf(theirs, sizeof theirs, "speaks version %u", VERB_VERSION + 1);
    snprintf(ours, sizeof ours, "engine version %u", VERB_VERSION);
    assert_non_null(strstr(err.text, theirs));
    assert_non_null(strstr(err.text, ours));
    assert_int_equal(count_descriptors(), before);
    close(pair[0]);
    close(pair[1]);
}

static void
hello_without_its_descriptors_is_refused(void **state)
{
    (void)state;
    int pair[2], fds[KEEPER_FDS_MAX];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    struct verb verb = {.version = VERB_VERSION, .kind = VERB_HELLO};
    hello(pair[1], &verb, sizeof verb, 2);
    assert_int_equal(keeper_hello(pair[0], 1000, &verb, fds, NULL), -EPROTO);
    hello(pair[1], &verb, 20, 0); /* and a short one */
    assert_int_equal(keeper_hello(pair[0], 1000, &verb, fds, NULL), -EPROTO);
    close(pair[0]);
    close(pair[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_asked_is_lost_or_reordered_while_the_keeper_does_not_read),
        cmocka_unit_test(reports_that_take_long_are_read_one_at_a_time),
        cmocka_unit_test(no_more_reports_are_read_than_the_portion_has_pieces),
        cmocka_unit_test(the_end_of_the_keeper_is_told_once_and_later_questions_go_nowhere),
        cmocka_unit_test(hello_of_another_version_is_refused_with_both_numbers_and_leaks_nothing),
        cmocka_unit_test(hello_without_its_descriptors_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
