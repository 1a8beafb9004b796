/* test_core_recycle.c - workers are replaced on purpose, and nobody notices. */
#include "test/unit/core_builder.h"

static void
given_recycle(enum cause cause)
{
    given_core(1, 8, 4);
    given_pool(0);
    given_pool_is_started(0, 1);
    when_pool(0, .kind = EV_POOL_RECYCLE, .cause = cause);
    then_told(cause == CAUSE_ON_DEMAND ? 1079 : 1078);
    assert_int_equal(then_to(ACT_SPAWN, 0, 2)->cause, cause);
}

static void
then_exits(uint32_t slot, uint32_t generation)
{
    when_worker(0, slot, generation, .kind = EV_EXITED, .status = exit_code_0);
    then_told(6023);
}

static const struct action *
then_roll(enum roll_outcome outcome, uint32_t replaced, uint32_t not_replaced)
{
    const struct action *ended = then_action(ACT_ROLL_ENDED);
    assert_int_equal(ended->outcome, outcome);
    assert_int_equal(ended->count, replaced);
    assert_int_equal(ended->limit, not_replaced);
    return ended;
}

static void
an_overlapped_recycle_drains_the_old_worker_once_the_new_one_is_ready(void **state)
{
    (void)state;
    given_recycle(CAUSE_ON_DEMAND);
    when_ms_pass(300);
    given_worker_is_ready(0, 0, 2);
    then_to(ACT_DRAIN, 0, 1);
    when_worker(0, 0, 1, .kind = EV_STOPPING);
    when_ms_pass(50);
    then_exits(0, 1);
    const struct action *done = then_told(6022);
    assert_int_equal(done->cause, CAUSE_ON_DEMAND);
    assert_int_equal(done->worker.generation, 2);
    assert_int_equal(done->other.generation, 1);
    assert_int_equal(done->start_ms, 300);
    assert_int_equal(done->drain_ms, 50);
    assert_int_equal(done->total_ms, 350);
    assert_false(done->killed);
    then_to(ACT_RELEASE, 0, 1);
    then_roll(ROLL_DONE, 1, 0);
    then_nothing();
}

static void
an_exclusive_recycle_starts_the_new_worker_once_the_old_one_is_dead(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0, .overlap = 0);
    given_pool_is_started(0, 1);
    when_pool(0, .kind = EV_POOL_RECYCLE, .cause = CAUSE_ON_DEMAND);
    then_told(1079);
    then_to(ACT_DRAIN, 0, 1);
    when_worker(0, 0, 1, .kind = EV_STOPPING);
    when_ms_pass(70);
    then_exits(0, 1);
    then_to(ACT_RELEASE, 0, 1);
    then_to(ACT_SPAWN, 0, 2);
    when_ms_pass(30);
    given_worker_is_ready(0, 0, 2);
    const struct action *done = then_told(6022);
    assert_int_equal(done->other.generation, 1);
    assert_int_equal(done->start_ms, 30);
    assert_int_equal(done->drain_ms, 70);
    assert_int_equal(done->total_ms, 100);
    then_roll(ROLL_DONE, 1, 0);
}

static void
a_garden_rolls_worker_by_worker(void **state)
{
    (void)state;
    given_core(1, 12, 4);
    given_pool(0, .workers_min = 2);
    given_pool_is_started(0, 2);
    when_pool(0, .kind = EV_POOL_RECYCLE, .cause = CAUSE_ON_DEMAND);
    then_told(1079);
    then_to(ACT_SPAWN, 0, 3);
    given_worker_is_ready(0, 0, 3);
    then_to(ACT_DRAIN, 0, 1);
    then_to(ACT_SPAWN, 1, 4);
    given_worker_is_ready(0, 1, 4);
    then_to(ACT_DRAIN, 1, 2);
    then_exits(1, 2);
    then_told(6022);
    then_to(ACT_RELEASE, 1, 2);
    then_exits(0, 1);
    then_told(6022);
    then_to(ACT_RELEASE, 0, 1);
    then_roll(ROLL_DONE, 2, 0);
}

static void
a_roll_with_surge_2_starts_two_successors_at_once(void **state)
{
    (void)state;
    given_core(1, 12, 4);
    given_pool(0, .workers_min = 3, .surge = 2);
    given_pool_is_started(0, 3);
    when_pool(0, .kind = EV_POOL_RECYCLE, .cause = CAUSE_ON_DEMAND);
    then_told(1079);
    then_to(ACT_SPAWN, 0, 4);
    then_to(ACT_SPAWN, 1, 5);
    then_nothing();
}

static void
a_request_during_a_roll_is_merged_with_it(void **state)
{
    (void)state;
    given_recycle(CAUSE_UNHEALTHY);
    when_pool(0, .kind = EV_POOL_RECYCLE, .cause = CAUSE_ON_DEMAND);
    then_nothing();
    given_worker_is_ready(0, 0, 2);
    then_to(ACT_DRAIN, 0, 1);
    then_exits(0, 1);
    assert_int_equal(then_told(6022)->cause, CAUSE_ON_DEMAND);
    then_to(ACT_RELEASE, 0, 1);
    assert_int_equal(then_roll(ROLL_DONE, 1, 0)->cause, CAUSE_ON_DEMAND);
}

static void
a_worker_that_is_still_starting_is_recycled_too(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0);
    when_pool(0, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_SPAWN, 0, 1);
    given_worker_runs(0, 0, 1);
    when_pool(0, .kind = EV_POOL_RECYCLE, .cause = CAUSE_ON_DEMAND);
    then_told(1079);
    then_to(ACT_SPAWN, 0, 2);
}

static void
a_pool_that_is_not_up_is_not_recycled(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0);
    when_pool(0, .kind = EV_POOL_RECYCLE, .cause = CAUSE_ON_DEMAND);
    then_roll(ROLL_CANCELLED, 0, 0);
    then_nothing();
}

/* --- Successors that fail. */

static void
then_old_worker_serves(void)
{
    struct pool_view view;
    assert_true(core_pool(given.core, 0, given.now, &view));
    assert_int_equal(view.ready, 1);
    assert_int_equal(view.failures, 0);
    assert_false(view.rolling);
    then_worker_is(0, 0, 1, WORKER_READY);
}

static void
a_successor_that_dies_leaves_the_old_worker_in_service(void **state)
{
    (void)state;
    given_recycle(CAUSE_ON_DEMAND);
    given_worker_runs(0, 0, 2);
    when_worker(0, 0, 2, .kind = EV_EXITED, .status = exit_code_1);
    then_told(1009);
    const struct action *failed = then_told(1093);
    assert_int_equal(failed->worker.generation, 2);
    assert_int_equal(failed->other.generation, 1);
    assert_int_equal(failed->retry_ms, MSEC_NEVER);
    then_roll(ROLL_FAILED, 0, 1);
    then_to(ACT_RELEASE, 0, 2);
    then_nothing();
    then_old_worker_serves();
    assert_int_equal(core_deadline(given.core), MSEC_NEVER);
}

static void
a_successor_whose_spawn_failed_leaves_the_old_worker_in_service(void **state)
{
    (void)state;
    given_recycle(CAUSE_ON_DEMAND);
    when_worker(0, 0, 2, .kind = EV_SPAWN_FAILED, .step = 4, .error = 11);
    then_told(1022);
    then_told(1093);
    then_roll(ROLL_FAILED, 0, 1);
    then_nothing();
    then_old_worker_serves();
}

static void
a_successor_whose_exec_failed_leaves_the_old_worker_in_service(void **state)
{
    (void)state;
    given_recycle(CAUSE_ON_DEMAND);
    when_worker(0, 0, 2, .kind = EV_SPAWNED);
    then_told(6020);
    when_worker(0, 0, 2, .kind = EV_EXEC_FAILED, .step = 19, .error = 2);
    then_told(1059);
    then_told(1093);
    then_roll(ROLL_FAILED, 0, 1);
    then_nothing();
    then_old_worker_serves();
}

static void
a_successor_that_is_never_ready_is_killed_while_the_old_worker_serves(void **state)
{
    (void)state;
    given_recycle(CAUSE_ON_DEMAND);
    given_worker_runs(0, 0, 2);
    when_due_after(5000);
    when_due_after(85000);
    then_told(1012);
    then_told(1093);
    then_roll(ROLL_FAILED, 0, 1);
    then_to(ACT_KILL, 0, 2);
    then_nothing();
    then_old_worker_serves();
}

static void
a_roll_stops_at_the_first_successor_that_fails(void **state)
{
    (void)state;
    given_core(1, 12, 4);
    given_pool(0, .workers_min = 3);
    given_pool_is_started(0, 3);
    when_pool(0, .kind = EV_POOL_RECYCLE, .cause = CAUSE_ON_DEMAND);
    then_told(1079);
    then_to(ACT_SPAWN, 0, 4);
    given_worker_is_ready(0, 0, 4);
    then_to(ACT_DRAIN, 0, 1);
    then_to(ACT_SPAWN, 1, 5);
    then_exits(0, 1);
    then_told(6022);
    then_to(ACT_RELEASE, 0, 1);
    when_worker(0, 1, 5, .kind = EV_SPAWN_FAILED, .step = 4, .error = 11);
    then_told(1022);
    then_told(1093);
    then_roll(ROLL_FAILED, 1, 2);
    then_nothing();
    assert_int_equal(core_deadline(given.core), MSEC_NEVER);
}

static void
a_sick_worker_s_recycle_is_tried_again_more_and_more_slowly(void **state)
{
    (void)state;
    given_recycle(CAUSE_UNHEALTHY);
    msec least[] = {200, 400, 800};
    for (uint32_t i = 0; i < ARRAY_LEN(least); i++) {
        when_worker(0, 0, 2 + i, .kind = EV_SPAWN_FAILED, .step = 4, .error = 11);
        then_told(1022);
        msec retry_ms = then_told(1093)->retry_ms;
        assert_in_range(retry_ms, least[i], least[i] * 5 / 4);
        when_due_after(retry_ms);
        then_to(ACT_SPAWN, 0, 3 + i);
    }
}

/* --- Originals that do not wait. */

static void
a_successor_replaces_an_original_that_dies_before_it_is_ready(void **state)
{
    (void)state;
    given_recycle(CAUSE_ON_DEMAND);
    given_worker_runs(0, 0, 2);
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = signal_9);
    then_told(1009);
    then_to(ACT_RELEASE, 0, 1);
    then_nothing(); /* no third worker */
    when_ms_pass(10);
    when_worker(0, 0, 2, .kind = EV_READY);
    then_told(6021);
    assert_int_equal(then_told(6022)->other.generation, 1);
    then_roll(ROLL_DONE, 1, 0);
    then_nothing();
}

static void
a_recycle_whose_original_died_is_closed_by_whoever_follows(void **state)
{
    (void)state;
    given_recycle(CAUSE_ON_DEMAND);
    given_worker_runs(0, 0, 2);
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = signal_9);
    then_told(1009);
    then_to(ACT_RELEASE, 0, 1);
    when_worker(0, 0, 2, .kind = EV_EXITED, .status = exit_code_1);
    msec retry_ms = then_told(1009)->retry_ms; /* counts: nobody serves */
    then_to(ACT_RELEASE, 0, 2);
    when_due_after(retry_ms);
    then_to(ACT_SPAWN, 0, 3);
    given_worker_is_ready(0, 0, 3);
    const struct action *done = then_told(6022);
    assert_int_equal(done->worker.generation, 3);
    assert_int_equal(done->other.generation, 1);
    then_roll(ROLL_DONE, 1, 0);
}

static void
a_recycle_is_closed_even_if_its_successor_has_died_since(void **state)
{
    (void)state;
    given_recycle(CAUSE_ON_DEMAND);
    given_worker_is_ready(0, 0, 2);
    then_to(ACT_DRAIN, 0, 1);
    when_worker(0, 0, 2, .kind = EV_EXITED, .status = signal_9);
    then_told(1009);
    then_to(ACT_RELEASE, 0, 2);
    then_to(ACT_SPAWN, 0, 3);
    then_exits(0, 1);
    const struct action *done = then_told(6022);
    assert_int_equal(done->worker.generation, 2);
    assert_int_equal(done->handle, NONE);
    then_to(ACT_RELEASE, 0, 1);
    then_roll(ROLL_DONE, 1, 0);
}

static void
a_drain_that_ran_out_is_said_in_the_closing_line(void **state)
{
    (void)state;
    given_recycle(CAUSE_ON_DEMAND);
    given_worker_is_ready(0, 0, 2);
    then_to(ACT_DRAIN, 0, 1);
    when_worker(0, 0, 1, .kind = EV_STOPPING);
    when_due_after(60000);
    then_told(1013);
    then_to(ACT_KILL, 0, 1);
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = signal_9);
    then_told(6023);
    const struct action *done = then_told(6022);
    assert_true(done->killed);
    assert_int_equal(done->drain_ms, 60000);
}

/* --- What wins over a recycle, and what asks for one. */

static void
a_stop_during_a_recycle_wins(void **state)
{
    (void)state;
    given_recycle(CAUSE_ON_DEMAND);
    given_worker_runs(0, 0, 2);
    when_pool(0, .kind = EV_POOL_STOP);
    then_action(ACT_POOL_CHANGED);
    then_roll(ROLL_CANCELLED, 0, 1);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_DRAIN, 0, 1);
    then_to(ACT_DRAIN, 0, 2);
    then_nothing();
}

static void
a_worker_that_breaks_the_protocol_is_counted_and_recycled(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0);
    given_pool_is_started(0, 1);
    when_worker(0, 0, 1, .kind = EV_UNTRUSTED);
    then_told(1127);
    assert_int_equal(then_told(1078)->cause, CAUSE_UNHEALTHY);
    then_to(ACT_SPAWN, 0, 2);
    when_worker(0, 0, 1, .kind = EV_UNTRUSTED);
    then_nothing(); /* once is enough */
    given_worker_is_ready(0, 0, 2);
    then_to(ACT_DRAIN, 0, 1);
    struct failure_view failure;
    assert_int_equal(core_failures(given.core, 0, given.now, &failure, 1), 1);
    assert_int_equal(failure.event, 1127);
}

static void
a_worker_that_goes_on_breaking_the_protocol_is_told_once(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0, .max_failures = 1);
    given_pool_is_started(0, 1);
    when_worker(0, 0, 1, .kind = EV_UNTRUSTED);
    assert_int_equal(then_told(1127)->cause, CAUSE_NONE); /* what follows: it stays */
    then_told(1002);
    then_action(ACT_POOL_CHANGED);
    then_nothing();
    when_worker(0, 0, 1, .kind = EV_UNTRUSTED);
    then_nothing();
    when_pool(0, .kind = EV_POOL_START, .by_operator = true);
    then_told(6012);
    then_action(ACT_POOL_CHANGED);
    then_told(1078);
}

static void
a_failed_recycle_does_not_forgive_a_broken_protocol(void **state)
{
    (void)state;
    given_recycle(CAUSE_ON_DEMAND);
    given_worker_runs(0, 0, 2);
    when_worker(0, 0, 1, .kind = EV_UNTRUSTED);
    assert_int_equal(then_told(1127)->cause, CAUSE_UNHEALTHY);
    then_told(1078);
    when_pool(0, .kind = EV_POOL_RECYCLE, .cause = CAUSE_ON_DEMAND);
    then_nothing();
    when_worker(0, 0, 2, .kind = EV_EXITED, .status = exit_code_1);
    then_told(1009);
    then_told(1093);
    struct worker_view view;
    assert_true(
        core_worker(given.core, core_handle(given.core, (struct worker_id){0, 0, 1}), &view));
    assert_int_equal(view.leave, CAUSE_UNHEALTHY);
}

static void
a_recycle_of_a_pool_that_starts_anew_replaces_nobody(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0, .overlap = 0);
    given_pool_is_started(0, 1);
    when_pool(0, .kind = EV_POOL_STOP);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_DRAIN, 0, 1);
    when_pool(0, .kind = EV_POOL_START, .by_operator = true);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    when_pool(0, .kind = EV_POOL_RECYCLE, .cause = CAUSE_ON_DEMAND);
    then_roll(ROLL_DONE, 0, 0);
    then_nothing();
}

static void
a_recycle_waits_while_a_leaver_sits_in_the_slot(void **state)
{
    (void)state;
    given_recycle(CAUSE_ON_DEMAND);
    given_worker_is_ready(0, 0, 2);
    then_to(ACT_DRAIN, 0, 1);
    when_worker(0, 0, 2, .kind = EV_UNTRUSTED);
    then_told(1127);
    then_told(1078);
    then_nothing();
    then_exits(0, 1);
    then_told(6022);
    then_to(ACT_RELEASE, 0, 1);
    then_roll(ROLL_DONE, 1, 0);
    then_to(ACT_SPAWN, 0, 3);
}

/* See the simulator's kept seed 197. */
static void
a_slot_that_is_given_up_gives_up_its_recycle_too(void **state)
{
    (void)state;
    given_core(1, 12, 4);
    given_pool(0, .workers_min = 2, .overlap = 0);
    given_pool_is_started(0, 2);
    when_worker(0, 1, 2, .kind = EV_UNTRUSTED);
    then_told(1127);
    then_told(1078);
    then_to(ACT_DRAIN, 1, 2);
    given_pool(0, .workers_min = 1, .overlap = 0);
    then_exits(1, 2);
    then_to(ACT_RELEASE, 1, 2);
    then_nothing();
    when_pool(0, .kind = EV_POOL_RECYCLE, .cause = CAUSE_ON_DEMAND);
    then_told(1079);
    then_to(ACT_DRAIN, 0, 1); /* surge is 1, and nothing else is under way */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(an_overlapped_recycle_drains_the_old_worker_once_the_new_one_is_ready),
        CLAIM(an_exclusive_recycle_starts_the_new_worker_once_the_old_one_is_dead),
        CLAIM(a_garden_rolls_worker_by_worker),
        CLAIM(a_roll_with_surge_2_starts_two_successors_at_once),
        CLAIM(a_request_during_a_roll_is_merged_with_it),
        CLAIM(a_worker_that_is_still_starting_is_recycled_too),
        CLAIM(a_pool_that_is_not_up_is_not_recycled),
        CLAIM(a_successor_that_dies_leaves_the_old_worker_in_service),
        CLAIM(a_successor_whose_spawn_failed_leaves_the_old_worker_in_service),
        CLAIM(a_successor_whose_exec_failed_leaves_the_old_worker_in_service),
        CLAIM(a_successor_that_is_never_ready_is_killed_while_the_old_worker_serves),
        CLAIM(a_roll_stops_at_the_first_successor_that_fails),
        CLAIM(a_sick_worker_s_recycle_is_tried_again_more_and_more_slowly),
        CLAIM(a_successor_replaces_an_original_that_dies_before_it_is_ready),
        CLAIM(a_recycle_whose_original_died_is_closed_by_whoever_follows),
        CLAIM(a_recycle_is_closed_even_if_its_successor_has_died_since),
        CLAIM(a_drain_that_ran_out_is_said_in_the_closing_line),
        CLAIM(a_stop_during_a_recycle_wins),
        CLAIM(a_worker_that_breaks_the_protocol_is_counted_and_recycled),
        CLAIM(a_worker_that_goes_on_breaking_the_protocol_is_told_once),
        CLAIM(a_failed_recycle_does_not_forgive_a_broken_protocol),
        CLAIM(a_recycle_of_a_pool_that_starts_anew_replaces_nobody),
        CLAIM(a_recycle_waits_while_a_leaver_sits_in_the_slot),
        CLAIM(a_slot_that_is_given_up_gives_up_its_recycle_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
