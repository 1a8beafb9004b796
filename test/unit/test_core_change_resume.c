/* test_core_change_resume.c - an engine dies between a change of the configuration and its telling
 * the core: the next one has the same outcome. */
#include "test/unit/core_builder.h"

/* Two workers of fingerprint 1 that serve, and an engine that is born after they came. */
static void
given_a_new_engine(void)
{
    given_core(1, 16, 4);
    given_pool(0, .workers_min = 2, .fingerprint = 1, .on_config_change = 1);
    given_pool_is_started(0, 2);
    assert_int_equal(when_engine_dies(100), 0);
}

static void
when_both_are_listed(void)
{
    when_listed(0, 1);
    when_listed(1, 2);
    when_pool(0, .kind = EV_POOL_RESUME);
}

static uint32_t
drifted(void)
{
    struct pool_view view;
    assert_true(core_pool(given.core, 0, given.now, &view));
    return view.drifted;
}

static void
settings_that_changed_meanwhile_replace_workers_once_all_are_listed(void **state)
{
    (void)state;
    given_a_new_engine();
    given_pool(0, .workers_min = 1, .fingerprint = 2, .on_config_change = 1);
    then_nothing();
    when_both_are_listed();
    assert_int_equal(then_to(ACT_DRAIN, 1, 2)->cause, CAUSE_SURPLUS);
    then_told(1080);
    assert_int_equal(then_to(ACT_SPAWN, 0, 3)->cause, CAUSE_CONFIG_CHANGE);
    then_nothing();
}

static void
a_change_that_failed_is_not_repeated_because_the_engine_died(void **state)
{
    (void)state;
    given_a_new_engine();
    given_pool(0, .workers_min = 2, .fingerprint = 2, .on_config_change = 1);
    when_both_are_listed();
    then_told(1080);
    then_to(ACT_SPAWN, 0, 3);
    when_worker(0, 0, 3, .kind = EV_SPAWN_FAILED, .step = 4, .error = 11);
    then_told(1022);
    then_told(1093);
    then_action(ACT_ROLL_ENDED);
    assert_int_equal(when_engine_dies(100), 0);
    given_pool(0, .workers_min = 2, .fingerprint = 2, .on_config_change = 1);
    when_both_are_listed();
    then_nothing();
    assert_int_equal(drifted(), 2);
}

static void
a_roll_for_a_change_goes_on_in_a_new_engine(void **state)
{
    (void)state;
    given_a_new_engine();
    given_pool(0, .workers_min = 2, .fingerprint = 2, .on_config_change = 1);
    when_both_are_listed();
    then_told(1080);
    then_to(ACT_SPAWN, 0, 3);
    given_worker_runs(0, 0, 3);
    assert_int_equal(when_engine_dies(100), 0);
    given_pool(0, .workers_min = 2, .fingerprint = 2, .on_config_change = 1);
    when_listed(0, 3);
    when_both_are_listed();
    when_worker(0, 0, 3, .kind = EV_READY);
    then_told(6021);
    then_to(ACT_DRAIN, 0, 1);
    then_to(ACT_SPAWN, 1, 4);
}

static void
a_worker_that_was_never_made_is_made_with_the_settings_of_today(void **state)
{
    (void)state;
    given_a_new_engine();
    given_pool(0, .workers_min = 2, .fingerprint = 1, .on_config_change = 0);
    when_both_are_listed();
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = signal_9);
    then_told(1009);
    then_to(ACT_RELEASE, 0, 1);
    then_to(ACT_SPAWN, 0, 3); /* lost with the engine */
    assert_int_equal(when_engine_dies(100), 0);
    given_pool(0, .workers_min = 2, .fingerprint = 2, .on_config_change = 0);
    when_listed(1, 2);
    when_pool(0, .kind = EV_POOL_RESUME);
    then_to(ACT_SPAWN, 0, 3);
    assert_int_equal(drifted(), 1); /* 1.2 alone */
}

static void
a_worker_without_a_record_is_taken_for_one_of_today_and_drifts_with_the_next_change(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0, .fingerprint = 7);
    when_worker(0, 0, 5, .kind = EV_LISTED);
    then_action(ACT_POOL_CHANGED);
    assert_int_equal(drifted(), 0);
    given_pool(0, .fingerprint = 8);
    assert_int_equal(drifted(), 1);
}

static void
a_place_that_comes_free_while_an_engine_resumes_starts_nobody(void **state)
{
    (void)state;
    given_core(2, 8, 1);
    given_pool(0);
    given_pool(1);
    for (uint32_t pool = 0; pool < 2; pool++) {
        when_pool(pool, .kind = EV_POOL_START);
        then_action(ACT_POOL_CHANGED);
        then_action(ACT_POOL_CHANGED);
        if (pool == 0)
            then_to(ACT_SPAWN, 0, 1);
    }
    assert_int_equal(when_engine_dies(100), 0);
    given_pool(0);
    when_worker(0, 0, 1, .kind = EV_SPAWN_FAILED, .step = 4, .error = 11);
    then_told(1022);
    then_nothing(); /* the other pool's sizes may be about to change */
    given_pool(1);
    when_pool(1, .kind = EV_POOL_RESUME);
    assert_int_equal(then_to(ACT_SPAWN, 0, 1)->worker.pool, 1);
}

static void
a_limit_that_is_raised_while_an_engine_resumes_starts_nobody(void **state)
{
    (void)state;
    given_core(1, 8, 1);
    given_pool(0, .workers_min = 2);
    when_pool(0, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_SPAWN, 0, 1);
    when_worker(0, 0, 1, .kind = EV_SPAWNED);
    then_told(6020);
    assert_int_equal(when_engine_dies(100), 0);
    when_pool(0, .kind = EV_LIMITS, .starts_max = 2);
    then_nothing(); /* what the pool says today is not known, nor who lives */
    given_pool(0, .workers_min = 2);
    when_listed(0, 1);
    when_pool(0, .kind = EV_POOL_RESUME);
    then_to(ACT_SPAWN, 1, 2);
}

/* --- Removal. */

static void
a_removal_that_was_not_told_is_carried_out_by_the_next_engine(void **state)
{
    (void)state;
    given_a_new_engine();
    when_pool(0, .kind = EV_POOL_REMOVE);
    then_action(ACT_POOL_CHANGED);
    then_nothing();
    when_both_are_listed();
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_DRAIN, 0, 1);
    then_to(ACT_DRAIN, 1, 2);
}

static void
names_of_a_pool_that_is_gone_are_remembered_by_the_next_engine(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0);
    given_pool_is_started(0, 1);
    when_pool(0, .kind = EV_POOL_REMOVE, .by_operator = true);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_DRAIN, 0, 1);
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = exit_code_0);
    then_told(6023);
    then_to(ACT_RELEASE, 0, 1); /* lost with the engine */
    then_action(ACT_POOL_CHANGED);
    then_told(6011);
    then_action(ACT_POOL_GONE);
    assert_int_equal(when_engine_dies(100), 0);
    when_worker(0, 0, 1, .kind = EV_LISTED);
    then_nothing();
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = exit_code_0);
    then_to(ACT_RELEASE, 0, 1);
    given_pool(0);
    when_pool(0, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_SPAWN, 0, 2);
}

static void
who_lives_in_a_place_without_a_pool_is_killed_and_its_name_not_given_away(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    when_worker(0, 0, 9, .kind = EV_LISTED);
    then_to(ACT_KILL, 0, 9);
    when_worker(0, 0, 9, .kind = EV_EXITED, .status = signal_9);
    then_to(ACT_RELEASE, 0, 9);
    given_pool(0);
    when_pool(0, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_SPAWN, 0, 10);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        CLAIM(settings_that_changed_meanwhile_replace_workers_once_all_are_listed),
        CLAIM(a_change_that_failed_is_not_repeated_because_the_engine_died),
        CLAIM(a_roll_for_a_change_goes_on_in_a_new_engine),
        CLAIM(a_worker_that_was_never_made_is_made_with_the_settings_of_today),
        CLAIM(a_worker_without_a_record_is_taken_for_one_of_today_and_drifts_with_the_next_change),
        CLAIM(a_place_that_comes_free_while_an_engine_resumes_starts_nobody),
        CLAIM(a_limit_that_is_raised_while_an_engine_resumes_starts_nobody),
        CLAIM(a_removal_that_was_not_told_is_carried_out_by_the_next_engine),
        CLAIM(names_of_a_pool_that_is_gone_are_remembered_by_the_next_engine),
        CLAIM(who_lives_in_a_place_without_a_pool_is_killed_and_its_name_not_given_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
