/* test_core_life.c - how pools and workers start, become ready, stop, and are told apart. */
#include "test/unit/core_builder.h"

static void
a_pool_is_started_once_all_its_workers_were_ready(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0, .workers_min = 2);
    when_pool(0, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_SPAWN, 0, 1);
    then_to(ACT_SPAWN, 1, 2);
    given_worker_is_ready(0, 1, 2);
    then_pool_is(0, POOL_STARTING);
    given_worker_is_ready(0, 0, 1);
    then_action(ACT_POOL_CHANGED);
    then_told(6010);
    then_pool_is(0, POOL_STARTED);
}

static void
a_stopped_pool_drains_its_workers_and_says_so_when_none_is_left(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0);
    given_pool_is_started(0, 1);
    when_pool(0, .kind = EV_POOL_STOP);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    const struct action *drain = then_to(ACT_DRAIN, 0, 1);
    assert_int_equal(drain->cause, CAUSE_STOP);
    assert_int_equal(drain->limit_ms, 60000);
    when_worker(0, 0, 1, .kind = EV_STOPPING);
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = exit_code_0);
    then_told(6023);
    then_to(ACT_RELEASE, 0, 1);
    then_action(ACT_POOL_CHANGED);
    then_told(6011);
    then_pool_is(0, POOL_STOPPED);
    assert_int_equal(core_deadline(given.core), MSEC_NEVER);
}

static void
stopping_a_stopped_pool_does_nothing(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0);
    when_pool(0, .kind = EV_POOL_STOP);
    then_nothing();
}

static void
a_dead_worker_is_replaced_at_once_in_its_slot_with_the_next_generation(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0, .workers_min = 2);
    given_pool_is_started(0, 2);
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = signal_9);
    const struct action *died = then_told(1009);
    assert_int_equal(died->status.kind, EXIT_SIGNAL);
    assert_int_equal(died->retry_ms, 0);
    assert_true(died->was_ready);
    then_to(ACT_RELEASE, 0, 1);
    assert_int_equal(then_to(ACT_SPAWN, 0, 3)->cause, CAUSE_REPLACEMENT);
}

static void
a_message_for_a_generation_that_has_gone_is_ignored(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0);
    given_pool_is_started(0, 1);
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = signal_9);
    then_told(1009);
    then_to(ACT_RELEASE, 0, 1);
    then_to(ACT_SPAWN, 0, 2);
    when_worker(0, 0, 2, .kind = EV_SPAWNED);
    then_told(6020);
    when_worker(0, 0, 1, .kind = EV_READY);
    when_worker(0, 0, 1, .kind = EV_STOPPING);
    when_worker(0, 1, 2, .kind = EV_READY);
    then_worker_is(0, 0, 2, WORKER_STARTING);
}

static void
an_exit_that_is_told_again_is_released_again_and_nothing_else(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0);
    given_pool_is_started(0, 1);
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = signal_9);
    then_told(1009);
    then_to(ACT_RELEASE, 0, 1);
    then_to(ACT_SPAWN, 0, 2);
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = signal_9);
    then_to(ACT_RELEASE, 0, 1);
}

/* --- Ready rules. */

static void
given_one_starting(enum ready_rule rule)
{
    given_core(1, 8, 4);
    given_pool(0, .ready = rule, .ready_after_ms = 2000);
    when_pool(0, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_SPAWN, 0, 1);
    when_worker(0, 0, 1, .kind = EV_SPAWNED);
    then_told(6020);
}

static void
then_started(void)
{
    then_told(6021);
    then_action(ACT_POOL_CHANGED);
    then_told(6010);
    then_nothing();
}

static void
by_exec_a_worker_is_ready_when_it_runs_its_program(void **state)
{
    (void)state;
    given_one_starting(READY_EXEC);
    when_worker(0, 0, 1, .kind = EV_EXECUTED);
    then_started();
}

static void
by_exec_a_worker_that_says_ready_early_is_not_believed(void **state)
{
    (void)state;
    given_one_starting(READY_EXEC);
    when_worker(0, 0, 1, .kind = EV_READY);
    then_nothing();
    then_worker_is(0, 0, 1, WORKER_STARTING);
}

static void
by_notify_ready_may_arrive_before_executed(void **state)
{
    (void)state;
    given_one_starting(READY_NOTIFY);
    when_worker(0, 0, 1, .kind = EV_READY);
    then_started();
    when_worker(0, 0, 1, .kind = EV_EXECUTED);
    then_nothing();
}

static void
by_after_a_worker_is_ready_when_the_time_has_passed(void **state)
{
    (void)state;
    given_one_starting(READY_AFTER);
    when_worker(0, 0, 1, .kind = EV_EXECUTED);
    when_due_after(2000);
    then_started();
}

static void
by_command_a_worker_is_ready_when_the_command_exits_0(void **state)
{
    (void)state;
    given_one_starting(READY_COMMAND);
    when_worker(0, 0, 1, .kind = EV_EXECUTED);
    then_to(ACT_COMMAND, 0, 1);
    when_worker(0, 0, 1, .kind = EV_COMMAND_DONE, .status = exit_code_0);
    then_started();
}

static void
a_ready_command_that_says_no_is_run_again_after_250_ms(void **state)
{
    (void)state;
    given_one_starting(READY_COMMAND);
    when_worker(0, 0, 1, .kind = EV_EXECUTED);
    then_to(ACT_COMMAND, 0, 1);
    when_worker(0, 0, 1, .kind = EV_COMMAND_DONE, .status = exit_code_1);
    when_due_after(250);
    then_to(ACT_COMMAND, 0, 1);
    when_worker(0, 0, 1, .kind = EV_COMMAND_DONE); /* could not be started */
    when_due_after(250);
    then_to(ACT_COMMAND, 0, 1);
}

/* --- Starts that go wrong. */

static void
a_worker_that_is_not_ready_in_time_is_killed_and_replaced(void **state)
{
    (void)state;
    given_one_starting(READY_NOTIFY);
    when_worker(0, 0, 1, .kind = EV_EXECUTED);
    when_due_after(5000); /* gives its start place back */
    then_nothing();
    when_due_after(85000);
    const struct action *late = then_told(1012);
    assert_int_equal(late->limit_ms, 90000);
    assert_int_equal(late->retry_ms, 0);
    then_to(ACT_KILL, 0, 1);
    then_to(ACT_SPAWN, 0, 2);
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = signal_9);
    assert_true(then_told(6023)->killed);
    then_to(ACT_RELEASE, 0, 1);
    then_nothing();
}

static void
a_worker_that_starts_gets_the_time_that_it_asks_for(void **state)
{
    (void)state;
    given_one_starting(READY_NOTIFY);
    when_worker(0, 0, 1, .kind = EV_EXECUTED);
    when_due_after(5000);
    when_ms_pass(80000);
    when_worker(0, 0, 1, .kind = EV_EXTEND, .count = 30000);
    assert_int_equal(core_deadline(given.core) - given.now, 30000);
    when_ms_pass(20000);
    when_worker(0, 0, 1, .kind = EV_EXTEND, .count = UINT64_MAX); /* ten times 90 s is the most */
    when_due_after(900000 - 105000);
    assert_int_equal(then_told(1012)->limit_ms, 900000);
    then_to(ACT_KILL, 0, 1);
}

static void
a_worker_whose_exec_failed_is_released_when_it_has_exited(void **state)
{
    (void)state;
    given_one_starting(READY_NOTIFY);
    when_worker(0, 0, 1, .kind = EV_EXEC_FAILED, .step = 19, .error = 2);
    const struct action *failed = then_told(1059);
    assert_int_equal(failed->step, 19);
    assert_int_equal(failed->error, 2);
    then_to(ACT_SPAWN, 0, 2);
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = exit_code_1);
    then_to(ACT_RELEASE, 0, 1);
    then_nothing();
}

static void
a_spawn_that_failed_twice_is_tried_again_after_the_delay(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0);
    when_pool(0, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_SPAWN, 0, 1);
    when_worker(0, 0, 1, .kind = EV_SPAWN_FAILED, .step = 4, .error = 11);
    assert_int_equal(then_told(1022)->retry_ms, 0);
    then_to(ACT_SPAWN, 0, 2);
    when_worker(0, 0, 2, .kind = EV_SPAWN_FAILED, .step = 4, .error = 11);
    msec retry_ms = then_told(1022)->retry_ms;
    assert_in_range(retry_ms, 200, 250);
    when_due_after(retry_ms);
    then_to(ACT_SPAWN, 0, 3);
}

/* --- Sockets. */

static void
sockets_are_bound_before_the_first_worker_starts(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0, .has_sockets = 1);
    when_pool(0, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_BIND);
    when_pool(0, .kind = EV_BOUND);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_SPAWN, 0, 1);
}

static void
a_bind_that_fails_is_told_once_and_tried_again_more_and_more_slowly(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0, .has_sockets = 1);
    when_pool(0, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_BIND);
    when_pool(0, .kind = EV_BIND_FAILED, .error = 98);
    msec first_ms = then_told(6033)->retry_ms;
    assert_in_range(first_ms, 200, 250);
    assert_int_equal(then_told(6013)->error, 98);
    then_action(ACT_POOL_CHANGED);
    then_pool_is(0, POOL_STOPPED);
    when_due_after(first_ms);
    then_action(ACT_BIND);
    when_pool(0, .kind = EV_BIND_FAILED, .error = 98);
    then_nothing();
    assert_in_range(core_deadline(given.core) - given.now, 400, 500);
    when_pool(0, .kind = EV_BIND_FAILED, .error = 98); /* an echo */
    then_nothing();
}

static void
an_operators_start_binds_at_once(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0, .has_sockets = 1);
    when_pool(0, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_BIND);
    when_pool(0, .kind = EV_BIND_FAILED, .error = 98);
    then_told(6033);
    then_told(6013);
    then_action(ACT_POOL_CHANGED);
    when_pool(0, .kind = EV_POOL_START);
    then_nothing();
    when_pool(0, .kind = EV_POOL_START, .by_operator = true);
    then_action(ACT_BIND);
}

/* --- Settings. */

static void
settings_that_change_nothing_cause_nothing(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0);
    given_pool_is_started(0, 1);
    uint64_t digest = core_digest(given.core);
    given_pool(0);
    then_nothing();
    assert_int_equal(core_digest(given.core), digest);
}

static void
a_shorter_limit_holds_for_workers_that_are_starting(void **state)
{
    (void)state;
    given_one_starting(READY_NOTIFY);
    given_pool(0, .startup_timeout_ms = 3000);
    when_due_after(3000);
    then_told(1012);
    then_to(ACT_KILL, 0, 1);
    then_to(ACT_SPAWN, 0, 2);
}

static void
a_smaller_pool_drains_the_workers_of_the_slots_beyond(void **state)
{
    (void)state;
    given_core(1, 12, 4);
    given_pool(0, .workers_min = 3);
    given_pool_is_started(0, 3);
    given_pool(0, .workers_min = 2);
    assert_int_equal(then_to(ACT_DRAIN, 2, 3)->cause, CAUSE_SURPLUS);
    then_nothing();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_pool_is_started_once_all_its_workers_were_ready),
        CLAIM(a_stopped_pool_drains_its_workers_and_says_so_when_none_is_left),
        CLAIM(stopping_a_stopped_pool_does_nothing),
        CLAIM(a_dead_worker_is_replaced_at_once_in_its_slot_with_the_next_generation),
        CLAIM(a_message_for_a_generation_that_has_gone_is_ignored),
        CLAIM(an_exit_that_is_told_again_is_released_again_and_nothing_else),
        CLAIM(by_exec_a_worker_is_ready_when_it_runs_its_program),
        CLAIM(by_exec_a_worker_that_says_ready_early_is_not_believed),
        CLAIM(by_notify_ready_may_arrive_before_executed),
        CLAIM(by_after_a_worker_is_ready_when_the_time_has_passed),
        CLAIM(by_command_a_worker_is_ready_when_the_command_exits_0),
        CLAIM(a_ready_command_that_says_no_is_run_again_after_250_ms),
        CLAIM(a_worker_that_is_not_ready_in_time_is_killed_and_replaced),
        CLAIM(a_worker_that_starts_gets_the_time_that_it_asks_for),
        CLAIM(a_worker_whose_exec_failed_is_released_when_it_has_exited),
        CLAIM(a_spawn_that_failed_twice_is_tried_again_after_the_delay),
        CLAIM(sockets_are_bound_before_the_first_worker_starts),
        CLAIM(a_bind_that_fails_is_told_once_and_tried_again_more_and_more_slowly),
        CLAIM(an_operators_start_binds_at_once),
        CLAIM(settings_that_change_nothing_cause_nothing),
        CLAIM(a_shorter_limit_holds_for_workers_that_are_starting),
        CLAIM(a_smaller_pool_drains_the_workers_of_the_slots_beyond),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
