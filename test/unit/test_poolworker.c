/* test_poolworker.c - what a worker with libpoolworker says to poold, and how it answers. */
#include "test/unit/poolworker_world.h"

/* --- Saying. */

static void
each_call_is_one_datagram_that_poold_can_answer(void **state)
{
    struct world *world = *state;
    world_begin(world);
    assert_int_equal(poolworker_level(world->pw), POOLWORKER_POOLD);
    poolworker_status(world->pw, "serving\nSTOPPING=1");
    assert_string_equal(world_hear(world), "STATUS=serving STOPPING=1\n");
    poolworker_unhealthy(world->pw);
    assert_string_equal(world_hear(world), "WATCHDOG=trigger\n");
    poolworker_recycle(world->pw, "my cache is full");
    assert_string_equal(world_hear(world), "RECYCLE=my cache is full\n");
    poolworker_extend(world->pw, 30000);
    assert_string_equal(world_hear(world), "EXTEND_TIMEOUT_USEC=30000000\n");
    poolworker_alive(world->pw);
    assert_string_equal(world_hear(world), "WATCHDOG=1\n");
    assert_false(world_take(world));
}

static void
a_text_of_any_length_is_cut_and_sent(void **state)
{
    struct world *world = *state;
    char text[2 * MESSAGE_MAX];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    world_create(world, 0);
    poolworker_status(world->pw, text);
    assert_int_equal(strlen(world_hear(world)), strlen("STATUS=\n") + POOLWORKER_TEXT_MAX);
}

/* --- Pings. */

static void
a_ping_is_answered_by_dispatch_and_by_nothing_else(void **state)
{
    struct world *world = *state;
    world_begin(world);
    world_say(world, "PING=17\n");
    assert_true(world_is_readable(poolworker_fd(world->pw), WORLD_LIMIT_MS));
    poolworker_status(world->pw, "I speak");
    assert_true(world_take(world));
    assert_string_equal(world->text, "STATUS=I speak\n");
    assert_false(world_take(world));
    assert_string_equal(world_hear(world), "PONG=17\n");
}

static void
a_worker_that_cannot_serve_leaves_the_ping_unanswered(void **state)
{
    struct world *world = *state;
    world_begin(world);
    world->sick = true;
    world_say(world, "PING=1\n");
    assert_true(world_turn(world, WORLD_LIMIT_MS));
    assert_false(world_take(world));
    world->sick = false;
    world_say(world, "PING=2\n");
    assert_string_equal(world_hear(world), "PONG=2\n");
}

static void
of_several_pings_the_newest_is_answered(void **state)
{
    struct world *world = *state;
    world_begin(world);
    world_say(world, "PING=1\n");
    world_say(world, "PING=2\n");
    assert_string_equal(world_hear(world), "PONG=2\n");
    assert_false(world_take(world));
}

/* --- Draining. */

static void
a_drain_is_answered_with_stopping_and_calls_back_once(void **state)
{
    struct world *world = *state;
    world_begin(world);
    assert_false(poolworker_is_draining(world->pw));
    world_say(world, "DRAIN=1\nDEADLINE_USEC=90000000\n");
    assert_string_equal(world_hear(world), "STOPPING=1\n");
    assert_true(poolworker_is_draining(world->pw));
    assert_int_equal(world->drains, 1);
    assert_int_equal(world->limit_ms, 90000);
    world_say(world, "DRAIN=1\n"); /* poold has not heard it */
    assert_string_equal(world_hear(world), "STOPPING=1\n");
    assert_int_equal(world->drains, 1);
}

static void
a_drain_without_a_deadline_has_no_limit(void **state)
{
    struct world *world = *state;
    world_begin(world);
    world_say(world, "DRAIN=1\n");
    assert_string_equal(world_hear(world), "STOPPING=1\n");
    assert_true(world->limit_ms == POOLWORKER_NO_LIMIT);
}

static void
who_leaves_by_himself_is_not_called_back(void **state)
{
    struct world *world = *state;
    world_begin(world);
    poolworker_stopping(world->pw);
    assert_string_equal(world_hear(world), "STOPPING=1\n");
    assert_true(poolworker_is_draining(world->pw));
    world_say(world, "DRAIN=1\n");
    assert_string_equal(world_hear(world), "STOPPING=1\n");
    assert_int_equal(world->drains, 0);
}

/* --- Requests. */

static void
requests_are_reported_by_the_loop_and_not_each_by_itself(void **state)
{
    struct world *world = *state;
    world_begin(world);
    for (unsigned i = 0; i < 1000; i++) {
        poolworker_request_begin(world->pw);
        poolworker_request_end(world->pw);
    }
    poolworker_request_begin(world->pw);
    assert_false(world_take(world));
    assert_string_equal(world_hear(world), "REQUESTS=1000\nACTIVE=1\n");
    poolworker_request_end(world->pw);
    assert_string_equal(world_hear(world), "REQUESTS=1001\nACTIVE=0\n");
}

static void
a_loop_that_dispatches_at_each_request_sends_no_more_for_it(void **state)
{
    struct world *world = *state;
    unsigned datagrams = 0;
    world_begin(world);
    for (unsigned i = 0; i < 20000; i++) {
        poolworker_request_begin(world->pw);
        poolworker_request_end(world->pw);
        poolworker_dispatch(world->pw);
        datagrams += world_take(world);
    }
    assert_true(datagrams < 200); /* two a second, and this takes no minute and a half */
}

static void
nothing_is_sent_and_nothing_wakes_the_loop_when_nothing_changed(void **state)
{
    struct world *world = *state;
    world_begin(world);
    poolworker_request_begin(world->pw);
    world_hear(world);
    poolworker_request_end(world->pw);
    world_hear(world);
    assert_false(world_turn(world, 700)); /* more than a period of reports */
    assert_false(world_take(world));
}

static void
the_last_counts_are_said_at_the_end(void **state)
{
    struct world *world = *state;
    world_begin(world);
    poolworker_request_begin(world->pw);
    poolworker_request_end(world->pw);
    assert_int_equal(poolworker_requests(world->pw), 1);
    assert_int_equal(poolworker_active(world->pw), 0);
    poolworker_destroy(&world->pw);
    assert_null(world->pw);
    assert_true(world_take(world));
    assert_string_equal(world->text, "REQUESTS=1\nACTIVE=0\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_call_is_one_datagram_that_poold_can_answer),
        TEST(a_text_of_any_length_is_cut_and_sent),
        TEST(a_ping_is_answered_by_dispatch_and_by_nothing_else),
        TEST(a_worker_that_cannot_serve_leaves_the_ping_unanswered),
        TEST(of_several_pings_the_newest_is_answered),
        TEST(a_drain_is_answered_with_stopping_and_calls_back_once),
        TEST(a_drain_without_a_deadline_has_no_limit),
        TEST(who_leaves_by_himself_is_not_called_back),
        TEST(requests_are_reported_by_the_loop_and_not_each_by_itself),
        TEST(a_loop_that_dispatches_at_each_request_sends_no_more_for_it),
        TEST(nothing_is_sent_and_nothing_wakes_the_loop_when_nothing_changed),
        TEST(the_last_counts_are_said_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
