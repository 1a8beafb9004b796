/* test_core_stop.c - how workers leave: the drain chain, stops that win, shutdowns. */
#include "test/unit/core_builder.h"

static void
given_draining(void)
{
    given_core(1, 8, 4);
    given_pool(0);
    given_pool_is_started(0, 1);
    when_pool(0, .kind = EV_POOL_STOP);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_DRAIN, 0, 1);
}

static void
then_pool_has_stopped(void)
{
    then_action(ACT_POOL_CHANGED);
    then_told(6011);
    then_nothing();
    then_pool_is(0, POOL_STOPPED);
}

static void
a_worker_that_answers_the_drain_is_not_signalled(void **state)
{
    (void)state;
    given_draining();
    when_worker(0, 0, 1, .kind = EV_STOPPING);
    then_nothing();
    assert_int_equal(core_deadline(given.core) - given.now, 60000);
}

static void
a_worker_that_does_not_answer_the_drain_is_signalled_after_2_s(void **state)
{
    (void)state;
    given_draining();
    when_due_after(2000);
    then_to(ACT_SIGNAL, 0, 1);
    then_worker_is(0, 0, 1, WORKER_LEAVING);
}

static void
a_drain_that_cannot_be_sent_becomes_a_signal_at_once(void **state)
{
    (void)state;
    given_draining();
    when_worker(0, 0, 1, .kind = EV_DRAIN_UNSENT);
    then_to(ACT_SIGNAL, 0, 1);
    when_worker(0, 0, 1, .kind = EV_DRAIN_UNSENT);
    then_nothing();
}

static void
a_worker_that_ignores_term_is_killed_after_the_shutdown_timeout(void **state)
{
    (void)state;
    given_draining();
    when_due_after(2000);
    then_to(ACT_SIGNAL, 0, 1);
    when_due_after(58000);
    assert_int_equal(then_told(1013)->limit_ms, 60000);
    then_to(ACT_KILL, 0, 1);
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = signal_9);
    const struct action *exited = then_told(6023);
    assert_true(exited->killed);
    assert_int_equal(exited->drain_ms, 60000);
    then_to(ACT_RELEASE, 0, 1);
    then_pool_has_stopped();
}

static void
a_worker_that_leaves_gets_the_time_that_it_asks_for(void **state)
{
    (void)state;
    given_draining();
    when_worker(0, 0, 1, .kind = EV_STOPPING);
    when_worker(0, 0, 1, .kind = EV_EXTEND, .count = 1000); /* less than it has: nothing changes */
    assert_int_equal(core_deadline(given.core) - given.now, 60000);
    when_ms_pass(50000);
    when_worker(0, 0, 1, .kind = EV_EXTEND, .count = 90000);
    then_nothing();
    when_due_after(90000);
    assert_int_equal(then_told(1013)->limit_ms, 140000);
    then_to(ACT_KILL, 0, 1);
}

static void
a_worker_that_leaves_gets_ten_times_its_time_out_at_most(void **state)
{
    (void)state;
    given_draining();
    when_due_after(2000);
    then_to(ACT_SIGNAL, 0, 1);
    when_worker(0, 0, 1, .kind = EV_EXTEND, .count = UINT64_MAX);
    when_due_after(598000);
    assert_int_equal(then_told(1013)->limit_ms, 600000);
    then_to(ACT_KILL, 0, 1);
}

static void
what_it_asked_for_before_it_was_told_to_leave_does_not_count(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0);
    given_pool_is_started(0, 1);
    when_worker(0, 0, 1, .kind = EV_EXTEND, .count = 500000);
    when_pool(0, .kind = EV_POOL_STOP);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_DRAIN, 0, 1);
    when_worker(0, 0, 1, .kind = EV_STOPPING);
    assert_int_equal(core_deadline(given.core) - given.now, 60000);
}

static void
a_worker_that_survives_kill_is_told_and_killed_again_each_minute(void **state)
{
    (void)state;
    given_draining();
    when_worker(0, 0, 1, .kind = EV_STOPPING);
    when_due_after(60000);
    then_told(1013);
    then_to(ACT_KILL, 0, 1);
    for (int i = 0; i < 3; i++) {
        when_due_after(60000);
        then_told(6027);
        then_to(ACT_KILL, 0, 1);
    }
}

static void
a_worker_that_is_only_being_spawned_is_drained_when_it_exists(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0);
    when_pool(0, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_SPAWN, 0, 1);
    when_pool(0, .kind = EV_POOL_STOP);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_nothing();
    when_worker(0, 0, 1, .kind = EV_SPAWNED);
    then_told(6020);
    then_to(ACT_DRAIN, 0, 1);
}

static void
a_pool_that_is_started_while_it_stops_starts_new_workers_at_once(void **state)
{
    (void)state;
    given_draining();
    when_pool(0, .kind = EV_POOL_START, .by_operator = true);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_SPAWN, 0, 2);
    given_worker_is_ready(0, 0, 2);
    then_action(ACT_POOL_CHANGED);
    then_told(6010);
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = exit_code_0);
    then_told(6023);
    then_to(ACT_RELEASE, 0, 1);
    then_pool_is(0, POOL_STARTED);
}

static void
an_exclusive_pool_that_is_started_while_it_stops_waits_for_the_old_worker(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0, .overlap = 0);
    given_pool_is_started(0, 1);
    when_pool(0, .kind = EV_POOL_STOP);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_DRAIN, 0, 1);
    when_pool(0, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_nothing();
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = exit_code_0);
    then_told(6023);
    then_to(ACT_RELEASE, 0, 1);
    then_to(ACT_SPAWN, 0, 2);
}

static void
a_worker_that_leaves_by_itself_is_replaced_at_once_and_counts_when_it_exits(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0);
    given_pool_is_started(0, 1);
    when_worker(0, 0, 1, .kind = EV_STOPPING);
    then_to(ACT_SPAWN, 0, 2);
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = exit_code_0);
    then_told(1009);
    then_to(ACT_RELEASE, 0, 1);
    struct pool_view view;
    assert_true(core_pool(given.core, 0, given.now, &view));
    assert_int_equal(view.failures, 1);
}

/* --- Shutdown. */

static void
after_a_shutdown_the_last_action_is_leave(void **state)
{
    (void)state;
    given_core(2, 8, 4);
    given_pool(0);
    given_pool(1);
    given_pool_is_started(0, 1);
    when((struct event){.kind = EV_SHUTDOWN});
    then_action(ACT_POOL_CHANGED);
    assert_int_equal(then_to(ACT_DRAIN, 0, 1)->cause, CAUSE_SHUTDOWN);
    then_nothing();
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = exit_code_0);
    then_told(6023);
    then_to(ACT_RELEASE, 0, 1);
    then_action(ACT_POOL_CHANGED);
    then_told(6011);
    then_action(ACT_LEAVE);
    then_nothing();
}

static void
a_shutdown_leaves_the_operators_intent_alone(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0);
    given_pool_is_started(0, 1);
    when((struct event){.kind = EV_SHUTDOWN});
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_DRAIN, 0, 1);
    struct pool_view view;
    assert_true(core_pool(given.core, 0, given.now, &view));
    assert_true(view.wanted_up);
    assert_int_equal(view.reason, REASON_SHUTDOWN);
}

static void
a_second_shutdown_kills_who_is_left(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0);
    given_pool_is_started(0, 1);
    when((struct event){.kind = EV_SHUTDOWN});
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_DRAIN, 0, 1);
    when((struct event){.kind = EV_SHUTDOWN});
    then_to(ACT_KILL, 0, 1);
    when((struct event){.kind = EV_SHUTDOWN});
    then_nothing();
}

static void
a_shutdown_of_many_pools_takes_several_ticks(void **state)
{
    (void)state;
    given_core(200, 400, 4);
    for (uint32_t i = 0; i < 200; i++)
        given_pool(i);
    when((struct event){.kind = EV_SHUTDOWN});
    then_nothing();
    unsigned ticks = 0;
    while (given.actions.len == 0) {
        assert_int_equal(core_deadline(given.core), given.now);
        when((struct event){.kind = EV_TICK});
        ticks++;
    }
    assert_int_equal(ticks, 3);
    then_action(ACT_LEAVE);
}

static void
nothing_is_started_once_a_shutdown_was_asked_for(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0);
    when((struct event){.kind = EV_SHUTDOWN});
    then_action(ACT_LEAVE);
    when_pool(0, .kind = EV_POOL_START, .by_operator = true);
    then_action(ACT_POOL_CHANGED);
    then_nothing();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_worker_that_answers_the_drain_is_not_signalled),
        CLAIM(a_worker_that_does_not_answer_the_drain_is_signalled_after_2_s),
        CLAIM(a_drain_that_cannot_be_sent_becomes_a_signal_at_once),
        CLAIM(a_worker_that_ignores_term_is_killed_after_the_shutdown_timeout),
        CLAIM(a_worker_that_leaves_gets_the_time_that_it_asks_for),
        CLAIM(a_worker_that_leaves_gets_ten_times_its_time_out_at_most),
        CLAIM(what_it_asked_for_before_it_was_told_to_leave_does_not_count),
        CLAIM(a_worker_that_survives_kill_is_told_and_killed_again_each_minute),
        CLAIM(a_worker_that_is_only_being_spawned_is_drained_when_it_exists),
        CLAIM(a_pool_that_is_started_while_it_stops_starts_new_workers_at_once),
        CLAIM(an_exclusive_pool_that_is_started_while_it_stops_waits_for_the_old_worker),
        CLAIM(a_worker_that_leaves_by_itself_is_replaced_at_once_and_counts_when_it_exits),
        CLAIM(after_a_shutdown_the_last_action_is_leave),
        CLAIM(a_shutdown_leaves_the_operators_intent_alone),
        CLAIM(a_second_shutdown_kills_who_is_left),
        CLAIM(a_shutdown_of_many_pools_takes_several_ticks),
        CLAIM(nothing_is_started_once_a_shutdown_was_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
