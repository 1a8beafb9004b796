/* test_core_life.c - how pools and workers start, stop and are told apart. */
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
an_overlapped_recycle_drains_the_old_worker_once_the_new_one_is_ready(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0);
    given_pool_is_started(0, 1);
    when_pool(0, .kind = EV_POOL_RECYCLE, .cause = CAUSE_ON_DEMAND);
    then_told(1079);
    then_to(ACT_SPAWN, 0, 2);
    when_ms_pass(300);
    given_worker_is_ready(0, 0, 2);
    then_to(ACT_DRAIN, 0, 1);
    when_worker(0, 0, 1, .kind = EV_STOPPING);
    when_ms_pass(50);
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = exit_code_0);
    then_told(6023);
    const struct action *done = then_told(6022);
    assert_int_equal(done->worker.generation, 2);
    assert_int_equal(done->other.generation, 1);
    assert_int_equal(done->start_ms, 300);
    assert_int_equal(done->drain_ms, 50);
    assert_int_equal(done->total_ms, 350);
    then_to(ACT_RELEASE, 0, 1);
    const struct action *ended = then_action(ACT_ROLL_ENDED);
    assert_int_equal(ended->outcome, ROLL_DONE);
    assert_int_equal(ended->count, 1);
    then_nothing();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_pool_is_started_once_all_its_workers_were_ready),
        CLAIM(a_stopped_pool_drains_its_workers_and_says_so_when_none_is_left),
        CLAIM(a_dead_worker_is_replaced_at_once_in_its_slot_with_the_next_generation),
        CLAIM(an_overlapped_recycle_drains_the_old_worker_once_the_new_one_is_ready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
