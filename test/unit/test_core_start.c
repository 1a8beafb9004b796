/* test_core_start.c - fair starts: who is started next when places are few. */
#include "test/unit/core_builder.h"

static void
given_pools(uint32_t pools, uint32_t starts)
{
    given_core(pools, 4 * pools + 16, starts);
    for (uint32_t i = 0; i < pools; i++)
        given_pool(i);
}

static void
when_started(uint32_t pool)
{
    when_pool(pool, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
}

static void
then_spawned(uint32_t pool, uint32_t slot, uint32_t generation)
{
    assert_int_equal(then_to(ACT_SPAWN, slot, generation)->worker.pool, pool);
}

static void
when_dies(uint32_t pool, uint32_t slot, uint32_t generation)
{
    when_worker(pool, slot, generation, .kind = EV_EXITED, .status = signal_9);
    then_told(1009);
    then_to(ACT_RELEASE, slot, generation);
}

static void
starts_beyond_the_places_wait_for_one(void **state)
{
    (void)state;
    given_pools(3, 2);
    when_started(0);
    then_spawned(0, 0, 1);
    when_started(1);
    then_spawned(1, 0, 1);
    when_started(2);
    then_nothing();
    uint32_t held, waiting;
    core_starts(given.core, &held, &waiting);
    assert_int_equal(held, 2);
    assert_int_equal(waiting, 1);
    given_worker_runs(1, 0, 1);
    when_worker(1, 0, 1, .kind = EV_READY);
    then_told(6021);
    then_action(ACT_POOL_CHANGED);
    then_told(6010);
    then_spawned(2, 0, 1);
}

static void
a_limit_of_starts_holds_at_once_and_stops_nobody_who_starts(void **state)
{
    (void)state;
    given_pools(4, 1);
    when_started(0);
    then_spawned(0, 0, 1);
    for (uint32_t pool = 1; pool < 4; pool++)
        when_started(pool);
    when_pool(0, .kind = EV_LIMITS, .starts_max = 3);
    then_spawned(1, 0, 1);
    then_spawned(2, 0, 1);
    when_pool(0, .kind = EV_LIMITS, .starts_max = 1);
    then_nothing();
    given_worker_runs(1, 0, 1);
    when_worker(1, 0, 1, .kind = EV_READY);
    then_told(6021);
    then_action(ACT_POOL_CHANGED);
    then_told(6010);
    then_nothing(); /* two still start: there is no place for the fourth */
}

static void
a_place_is_held_for_5_s_at_most(void **state)
{
    (void)state;
    given_pools(2, 1);
    when_started(0);
    then_spawned(0, 0, 1);
    when_started(1);
    then_nothing();
    given_worker_runs(0, 0, 1);
    when_due_after(5000);
    then_spawned(1, 0, 1);
}

static void
a_pool_takes_one_place_at_a_turn(void **state)
{
    (void)state;
    given_core(2, 20, 1);
    given_pool(0, .workers_min = 3, .ready = READY_EXEC);
    given_pool(1, .workers_min = 3, .ready = READY_EXEC);
    when_started(0);
    then_spawned(0, 0, 1);
    when_started(1);
    then_nothing();
    /* Pool 1 serves nobody yet; then they take turns. */
    static const uint32_t turns[][2] = {{1, 1}, {0, 2}, {1, 2}, {0, 3}, {1, 3}};
    uint32_t pool = 0, generation = 1;
    for (uint32_t i = 0; i < ARRAY_LEN(turns); i++) {
        when_worker(pool, generation - 1, generation, .kind = EV_SPAWNED);
        then_told(6020);
        when_worker(pool, generation - 1, generation, .kind = EV_EXECUTED);
        then_told(6021);
        if (generation == 3) {
            then_action(ACT_POOL_CHANGED);
            then_told(6010);
        }
        pool = turns[i][0];
        generation = turns[i][1];
        then_spawned(pool, generation - 1, generation);
    }
}

/* Four pools want a start while pool 0 holds the only place; the order in which they came is the
 * reverse of the order in which they are served. */
static void
pools_that_serve_nobody_come_first_and_those_that_fail_last(void **state)
{
    (void)state;
    given_core(5, 40, 1);
    for (uint32_t i = 0; i < 5; i++)
        given_pool(i, .workers_min = i == 2 || i == 3 ? 2 : 1, .rapid_fail = 0);

    /* Pool 2: one worker is ready, the other is missing: growth. */
    when_started(2);
    then_spawned(2, 0, 1);
    /* Pool 3: two workers are ready. */
    when_started(3);
    then_nothing();
    given_worker_is_ready(2, 0, 1);
    then_spawned(3, 0, 1);
    given_worker_is_ready(3, 0, 1);
    then_spawned(2, 1, 2);
    when_due_after(5000); /* which gives its place to pool 3's second worker */
    then_spawned(3, 1, 2);
    given_worker_is_ready(3, 1, 2);
    then_action(ACT_POOL_CHANGED);
    then_told(6010);
    /* Pool 4: has failed twice. */
    when_started(4);
    then_spawned(4, 0, 1);
    when_dies(4, 0, 1);
    then_spawned(4, 0, 2);
    when_dies(4, 0, 2);
    /* The only place. */
    when_started(0);
    then_spawned(0, 0, 1);
    msec back_off_ms = core_deadline(given.core) - given.now;
    when_due_after(back_off_ms); /* pool 4 wants to start again */
    then_nothing();
    when_dies(2, 1, 2); /* pool 2 lacks a worker; it was never whole */
    when_dies(3, 1, 2); /* pool 3 lacks one, and was whole */
    when_started(1);    /* pool 1 serves nobody */
    then_nothing();

    when_worker(0, 0, 1, .kind = EV_SPAWNED);
    then_told(6020);
    when_worker(0, 0, 1, .kind = EV_READY);
    then_told(6021);
    then_action(ACT_POOL_CHANGED);
    then_told(6010);
    then_spawned(1, 0, 1);
    given_worker_is_ready(1, 0, 1);
    then_action(ACT_POOL_CHANGED);
    then_told(6010);
    /* 2 and 3 have had one failure each: replacements, in the order in which they came. */
    then_spawned(2, 1, 3);
    given_worker_is_ready(2, 1, 3);
    then_action(ACT_POOL_CHANGED);
    then_told(6010);
    then_spawned(3, 1, 3);
    given_worker_is_ready(3, 1, 3);
    then_spawned(4, 0, 3);
}

static void
a_full_table_of_workers_makes_a_start_wait(void **state)
{
    (void)state;
    given_core(1, 1, 4);
    given_pool(0);
    given_pool_is_started(0, 1);
    when_pool(0, .kind = EV_POOL_RECYCLE, .cause = CAUSE_ON_DEMAND);
    then_told(1079);
    then_nothing();
    assert_int_equal(core_deadline(given.core), MSEC_NEVER);
    when_dies(0, 0, 1);
    assert_int_equal(then_action(ACT_ROLL_ENDED)->outcome, ROLL_DONE);
    then_spawned(0, 0, 2);
}

static void
a_stopped_pool_does_not_wait_for_a_place_any_more(void **state)
{
    (void)state;
    given_pools(2, 1);
    when_started(0);
    then_spawned(0, 0, 1);
    when_started(1);
    then_nothing();
    when_pool(1, .kind = EV_POOL_STOP);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_told(6011);
    given_worker_is_ready(0, 0, 1);
    then_action(ACT_POOL_CHANGED);
    then_told(6010);
    then_nothing();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(starts_beyond_the_places_wait_for_one),
        CLAIM(a_limit_of_starts_holds_at_once_and_stops_nobody_who_starts),
        CLAIM(a_place_is_held_for_5_s_at_most),
        CLAIM(a_pool_takes_one_place_at_a_turn),
        CLAIM(pools_that_serve_nobody_come_first_and_those_that_fail_last),
        CLAIM(a_full_table_of_workers_makes_a_start_wait),
        CLAIM(a_stopped_pool_does_not_wait_for_a_place_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
