/* test_io.c - the loop: order of what fired, time after input, closing inside a callback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "supervisor/engine/io.h"

/* What happened, a letter each. */
struct world {
    struct io *io;
    struct io_watch *watch[4];
    int fd[4];
    char log[64];
    unsigned turns, turns_max;
    int close_other;   /* index of the watch that the first callback closes, -1: none */
    int wake_other;    /* the same, wakes; -1: none */
    int close_in_turn; /* the same, at the end of the turn; -1: none */
};

static struct world *the_world;

static void
note(struct world *world, char letter)
{
    size_t len = strlen(world->log);
    if (len + 1 < sizeof world->log)
        world->log[len] = letter;
}

static void
take(struct world *world, int i)
{
    uint64_t value;
    (void)!read(world->fd[i], &value, sizeof value);
    note(world, (char)('a' + i));
    if (world->close_other >= 0) {
        io_watch_close(&world->watch[world->close_other]);
        world->close_other = -1;
    }
    if (world->wake_other >= 0) {
        io_watch_wake(world->watch[world->wake_other]);
        io_watch_wake(world->watch[world->wake_other]);
        world->wake_other = -1;
    }
}

static void
on_fd(void *ctx, unsigned events)
{
    (void)events;
    take(the_world, (int)(intptr_t)ctx);
}

static void
on_turn(void *ctx)
{
    struct world *world = ctx;
    note(world, '.');
    if (world->close_in_turn >= 0)
        io_watch_close(&world->watch[world->close_in_turn]);
    world->close_in_turn = -1;
    if (++world->turns == world->turns_max)
        io_stop(world->io);
}

static void
world_open(struct world *world, unsigned turns_max)
{
    memset(world, 0, sizeof *world);
    world->turns_max = turns_max;
    world->close_other = world->wake_other = world->close_in_turn = -1;
    the_world = world;
    assert_int_equal(io_create(&world->io, on_turn, world, NULL), 0);
}

static void
world_watch(struct world *world, int i, enum io_order order)
{
    world->fd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert_true(world->fd[i] >= 0);
    assert_int_equal(io_watch_open(world->io, &world->watch[i], world->fd[i], order, IO_READ, on_fd,
                                   (void *)(intptr_t)i),
                     0);
}

static void
world_raise(struct world *world, int i)
{
    uint64_t one = 1;
    assert_int_equal(write(world->fd[i], &one, sizeof one), sizeof one);
}

static void
world_close(struct world *world)
{
    for (int i = 0; i < 4; i++) {
        if (world->watch[i] != NULL)
            io_watch_close(&world->watch[i]);
        if (world->fd[i] > 0)
            close(world->fd[i]);
    }
    io_destroy(&world->io);
}

static void
the_keeper_is_heard_before_workers_before_commands_and_the_turn_comes_last(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    world_watch(&world, 0, IO_CONTROL);
    world_watch(&world, 1, IO_WORKERS);
    world_watch(&world, 2, IO_KEEPER);
    for (int i = 0; i < 3; i++)
        world_raise(&world, i);
    io_run(world.io);
    assert_string_equal(world.log, "cba.");
    world_close(&world);
}

static void
what_a_callback_closes_is_not_called_any_more(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    world_watch(&world, 0, IO_KEEPER);
    world_watch(&world, 1, IO_WORKERS);
    world.close_other = 1;
    world_raise(&world, 0);
    world_raise(&world, 1);
    io_run(world.io);
    assert_string_equal(world.log, "a.");
    world_close(&world);
}

static void
input_that_waits_is_seen_in_the_turn_that_a_past_deadline_begins(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    world_watch(&world, 0, IO_WORKERS);
    io_wake_at(world.io, io_now() + 1);
    /* The process stalls past the deadline while an answer arrives. */
    struct timespec stall = {.tv_nsec = 20 * 1000000};
    nanosleep(&stall, NULL);
    world_raise(&world, 0);
    io_run(world.io);
    assert_string_equal(world.log, "a.");
    world_close(&world);
}

/* Nothing else would begin the first of these turns. */
static void
a_turn_that_is_asked_for_begins_at_once_and_sees_what_is_there(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    world_watch(&world, 0, IO_WORKERS);
    io_again(world.io);
    io_run(world.io);
    assert_string_equal(world.log, ".");
    world_raise(&world, 0);
    io_again(world.io);
    world.turns_max = 2;
    io_run(world.io);
    assert_string_equal(world.log, ".a.");
    world_close(&world);
}

static void
a_deadline_is_never_early(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    msec deadline = io_now() + 30;
    io_wake_at(world.io, deadline);
    io_run(world.io);
    assert_true(io_now() >= deadline - 1); /* both clocks are cut to whole milliseconds */
    world_close(&world);
}

static void
a_turn_goes_by_one_time_taken_after_the_wait(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    msec deadline = io_now() + 20;
    io_wake_at(world.io, deadline);
    io_run(world.io);
    assert_true(io_time(world.io) + 1 >= deadline);
    world_close(&world);
}

static void
a_paused_watch_is_silent_until_it_is_wanted_again(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    world_watch(&world, 0, IO_WORKERS);
    world_watch(&world, 1, IO_CONTROL);
    io_watch_want(world.watch[0], 0);
    world_raise(&world, 0);
    world_raise(&world, 1);
    io_run(world.io);
    assert_string_equal(world.log, "b.");
    io_watch_want(world.watch[0], IO_READ);
    world.turns_max = 2;
    io_run(world.io);
    assert_string_equal(world.log, "b.a.");
    world_close(&world);
}

static void
who_is_woken_by_somebody_before_him_is_called_in_the_same_turn(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    world_watch(&world, 0, IO_WORKERS);
    world_watch(&world, 1, IO_CONTROL);
    world.wake_other = 1;
    world_raise(&world, 0);
    io_run(world.io);
    assert_string_equal(world.log, "ab.");
    world_close(&world);
}

static void
who_is_woken_after_his_order_begins_the_next_turn_at_once(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 2);
    world_watch(&world, 0, IO_CONTROL);
    world_watch(&world, 1, IO_WORKERS);
    world.wake_other = 1;
    world_raise(&world, 0);
    io_run(world.io);
    assert_string_equal(world.log, "a.b.");
    world_close(&world);
}

static void
a_watch_that_is_paused_can_be_woken(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    world_watch(&world, 0, IO_WORKERS);
    world_watch(&world, 1, IO_CONTROL);
    io_watch_want(world.watch[1], 0);
    world.wake_other = 1;
    world_raise(&world, 0);
    io_run(world.io);
    assert_string_equal(world.log, "ab.");
    world_close(&world);
}

/* It is freed before the turn that it was woken for. The others of its order keep their places. */
static void
what_is_closed_in_the_turn_that_woke_it_is_not_called_any_more(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 2);
    world_watch(&world, 3, IO_CONTROL);
    for (int i = 0; i < 3; i++)
        world_watch(&world, i, IO_KEEPER);
    world.wake_other = 1;
    world.close_in_turn = 1;
    world_raise(&world, 3);
    io_wake_at(world.io, io_now() + 1);
    io_run(world.io);
    assert_string_equal(world.log, "d..");
    for (int i = 0; i < 3; i += 2)
        io_watch_wake(world.watch[i]);
    world.turns_max = 3;
    io_wake_at(world.io, io_now() + 1);
    io_run(world.io);
    assert_string_equal(world.log, "d..ac.");
    world_close(&world);
}

/* Two callbacks and the turn function: three spans a turn, and the turn is as long as all. */
static void
every_callback_and_turn_is_measured(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, 1);
    world_watch(&world, 0, IO_WORKERS);
    world_watch(&world, 1, IO_CONTROL);
    world_raise(&world, 0);
    world_raise(&world, 1);
    io_run(world.io);
    const struct hold *callbacks = io_hold(world.io, HOLD_CALLBACK);
    const struct hold *turns = io_hold(world.io, HOLD_TURN);
    assert_int_equal(callbacks->wall.count, 3);
    assert_int_equal(callbacks->cpu.count, 3);
    assert_int_equal(turns->wall.count, 1);
    assert_int_equal(io_hold(world.io, HOLD_SPAWN)->wall.count, 0);
    assert_true(turns->wall.max_ns >= callbacks->wall.max_ns && callbacks->wall.max_ns > 0);
    assert_true(turns->cpu.max_ns >= callbacks->cpu.max_ns);
    world_close(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            the_keeper_is_heard_before_workers_before_commands_and_the_turn_comes_last),
        cmocka_unit_test(what_a_callback_closes_is_not_called_any_more),
        cmocka_unit_test(input_that_waits_is_seen_in_the_turn_that_a_past_deadline_begins),
        cmocka_unit_test(a_turn_that_is_asked_for_begins_at_once_and_sees_what_is_there),
        cmocka_unit_test(a_deadline_is_never_early),
        cmocka_unit_test(a_turn_goes_by_one_time_taken_after_the_wait),
        cmocka_unit_test(a_paused_watch_is_silent_until_it_is_wanted_again),
        cmocka_unit_test(who_is_woken_by_somebody_before_him_is_called_in_the_same_turn),
        cmocka_unit_test(who_is_woken_after_his_order_begins_the_next_turn_at_once),
        cmocka_unit_test(a_watch_that_is_paused_can_be_woken),
        cmocka_unit_test(what_is_closed_in_the_turn_that_woke_it_is_not_called_any_more),
        cmocka_unit_test(every_callback_and_turn_is_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
