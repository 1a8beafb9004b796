/* test_core_turn.c - limits.recycles: how many workers are replaced at one time on the host. */
#include "test/unit/core_builder.h"

/* Pools 0.. of one worker each, which serve. */
static void
given_pools_that_serve(uint32_t pools, uint32_t recycles_max)
{
    given_core(pools, 8 * pools, 8);
    for (uint32_t i = 0; i < pools; i++) {
        given_pool(i);
        given_pool_is_started(i, 1);
    }
    when_pool(0, .kind = EV_LIMITS, .starts_max = 8, .recycles_max = recycles_max);
}

static void
when_recycled(uint32_t pool)
{
    when_pool(pool, .kind = EV_POOL_RECYCLE, .cause = CAUSE_ON_DEMAND);
    then_told(1079);
}

static void
then_recycles(uint32_t held, uint32_t waiting)
{
    uint32_t is_held, is_waiting, most;
    core_recycles(given.core, &is_held, &is_waiting, &most);
    assert_int_equal(is_held, held);
    assert_int_equal(is_waiting, waiting);
}

static enum recycle_wait
wait_of(uint32_t pool)
{
    struct worker_view view;
    assert_true(core_worker(given.core, core_worker_first(given.core, pool), &view));
    return view.waits;
}

static void
then_spawned(uint32_t pool)
{
    assert_int_equal(then_to(ACT_SPAWN, 0, 2)->worker.pool, pool);
}

static void
a_recycle_beyond_the_limit_waits_until_one_is_closed(void **state)
{
    (void)state;
    given_pools_that_serve(3, 1);
    when_recycled(0);
    then_spawned(0);
    when_recycled(1);
    when_recycled(2);
    then_nothing();
    then_recycles(1, 2);
    assert_int_equal(wait_of(0), WAIT_NOTHING);
    assert_int_equal(wait_of(1), WAIT_TURN);
    given_worker_is_ready(0, 0, 2);
    then_to(ACT_DRAIN, 0, 1);
    then_nothing(); /* two workers of pool 0 are there yet */
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = exit_code_0);
    then_told(6023);
    then_told(6022);
    then_to(ACT_RELEASE, 0, 1);
    then_action(ACT_ROLL_ENDED);
    then_spawned(1);
    then_recycles(1, 1);
}

static void
a_recycle_that_fails_gives_its_turn_away(void **state)
{
    (void)state;
    given_pools_that_serve(2, 1);
    when_recycled(0);
    then_spawned(0);
    when_recycled(1);
    when_worker(0, 0, 2, .kind = EV_SPAWN_FAILED, .step = 4, .error = 11);
    then_told(1022);
    then_told(1093);
    then_action(ACT_ROLL_ENDED);
    then_spawned(1);
}

static void
a_pool_that_stops_waits_no_more(void **state)
{
    (void)state;
    given_pools_that_serve(3, 1);
    when_recycled(0);
    then_spawned(0);
    when_recycled(1);
    when_recycled(2);
    when_pool(1, .kind = EV_POOL_STOP);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_ROLL_ENDED);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_DRAIN);
    then_recycles(1, 1);
}

static void
a_higher_limit_lets_the_next_begin_at_once(void **state)
{
    (void)state;
    given_pools_that_serve(3, 1);
    when_recycled(0);
    then_spawned(0);
    when_recycled(1);
    when_recycled(2);
    when_pool(0, .kind = EV_LIMITS, .starts_max = 8, .recycles_max = 2);
    then_spawned(1);
    then_nothing();
    when_pool(0, .kind = EV_LIMITS, .starts_max = 8, .recycles_max = 0);
    then_spawned(2);
    then_recycles(3, 0);
}

static void
who_waits_for_a_turn_outlives_the_engine(void **state)
{
    (void)state;
    given_pools_that_serve(2, 1);
    when_recycled(0);
    then_spawned(0);
    when_recycled(1);
    assert_int_equal(when_engine_dies(0), 0);
    then_recycles(1, 1);
}

static void
a_dead_worker_whose_followers_fail_holds_nobody_up(void **state)
{
    (void)state;
    given_pools_that_serve(2, 1);
    when_recycled(0);
    then_spawned(0);
    when_recycled(1);
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = exit_code_1);
    then_told(1009);
    then_to(ACT_RELEASE, 0, 1);
    then_recycles(1, 1); /* its successor may yet be ready */
    when_worker(0, 0, 2, .kind = EV_SPAWN_FAILED, .step = 4, .error = 11);
    then_told(1022);
    then_spawned(1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_recycle_beyond_the_limit_waits_until_one_is_closed),
        CLAIM(a_recycle_that_fails_gives_its_turn_away),
        CLAIM(a_pool_that_stops_waits_no_more),
        CLAIM(a_higher_limit_lets_the_next_begin_at_once),
        CLAIM(who_waits_for_a_turn_outlives_the_engine),
        CLAIM(a_dead_worker_whose_followers_fail_holds_nobody_up),
    };
    return cmocka_run_group_tests_name("core: turns", tests, NULL, NULL) != 0;
}
