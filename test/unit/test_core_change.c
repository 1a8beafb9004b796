/* test_core_change.c - the configuration of a pool that runs is changed, and what follows. */
#include "test/unit/core_builder.h"

/* An apply of settings that differ from DEFAULT_SETTINGS as written. */
#define when_applied(p, ...)                                                                       \
    do {                                                                                           \
        _Pragma("GCC diagnostic push") _Pragma(                                                    \
            "GCC diagnostic ignored \"-Woverride-init\"") struct pool_settings applied_ = {        \
            DEFAULT_SETTINGS, __VA_ARGS__};                                                        \
        _Pragma("GCC diagnostic pop") applied_.workers_max =                                       \
            MAX(applied_.workers_min, applied_.workers_max);                                       \
        when_pool(p, .kind = EV_POOL_ADD, .settings = &applied_, .by_operator = true);             \
    } while (0)

/* Two workers of fingerprint 1, which serve; changes replace them. */
static void
given_two_that_serve(void)
{
    given_core(1, 16, 4);
    given_pool(0, .workers_min = 2, .fingerprint = 1, .on_config_change = 1);
    given_pool_is_started(0, 2);
}

static void
then_drifted(uint32_t workers)
{
    struct pool_view view;
    assert_true(core_pool(given.core, 0, given.now, &view));
    assert_int_equal(view.drifted, workers);
}

static void
then_roll_ends(enum roll_outcome outcome, uint32_t replaced, uint32_t not_replaced)
{
    const struct action *ended = then_action(ACT_ROLL_ENDED);
    assert_int_equal(ended->cause, CAUSE_CONFIG_CHANGE);
    assert_int_equal(ended->outcome, outcome);
    assert_int_equal(ended->count, replaced);
    assert_int_equal(ended->limit, not_replaced);
}

/* slot.old is replaced by slot.new: from its SPAWN to the RELEASE of the old one. */
static void
when_successor_takes_over(uint32_t slot, uint32_t old, uint32_t new)
{
    given_worker_is_ready(0, slot, new);
    then_to(ACT_DRAIN, slot, old);
}

static void
when_old_one_leaves(uint32_t slot, uint32_t old)
{
    when_worker(0, slot, old, .kind = EV_EXITED, .status = exit_code_0);
    then_told(6023);
    then_told(6022);
    then_to(ACT_RELEASE, slot, old);
}

static void
another_fingerprint_replaces_every_worker_one_by_one(void **state)
{
    (void)state;
    given_two_that_serve();
    when_applied(0, .workers_min = 2, .fingerprint = 2, .on_config_change = 1);
    then_told(1080);
    assert_int_equal(then_to(ACT_SPAWN, 0, 3)->cause, CAUSE_CONFIG_CHANGE);
    then_drifted(2);
    when_successor_takes_over(0, 1, 3);
    then_to(ACT_SPAWN, 1, 4);
    when_old_one_leaves(0, 1);
    then_drifted(1);
    when_successor_takes_over(1, 2, 4);
    when_old_one_leaves(1, 2);
    then_roll_ends(ROLL_DONE, 2, 0);
    then_drifted(0);
    then_nothing();
}

static void
limits_alone_replace_nobody(void **state)
{
    (void)state;
    given_two_that_serve();
    when_applied(0, .workers_min = 2, .fingerprint = 1, .on_config_change = 1,
                 .shutdown_timeout_ms = 1000);
    then_nothing();
    when_pool(0, .kind = EV_POOL_STOP);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    assert_int_equal(then_to(ACT_DRAIN, 0, 1)->limit_ms, 1000);
    assert_int_equal(then_to(ACT_DRAIN, 1, 2)->limit_ms, 1000);
}

static void
a_shorter_stop_limit_holds_for_a_drain_that_has_begun(void **state)
{
    (void)state;
    given_two_that_serve();
    when_pool(0, .kind = EV_POOL_STOP);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_DRAIN, 0, 1);
    then_to(ACT_DRAIN, 1, 2);
    when_worker(0, 0, 1, .kind = EV_STOPPING);
    when_worker(0, 1, 2, .kind = EV_STOPPING);
    when_ms_pass(3000);
    when_applied(0, .workers_min = 2, .fingerprint = 1, .shutdown_timeout_ms = 5000);
    when_due_after(2000);
    assert_int_equal(then_told(1013)->limit_ms, 5000);
    then_to(ACT_KILL, 0, 1);
    then_told(1013);
    then_to(ACT_KILL, 1, 2);
}

static void
a_smaller_size_drains_the_highest_slots_and_a_larger_one_fills_new_ones(void **state)
{
    (void)state;
    given_two_that_serve();
    when_applied(0, .workers_min = 1, .fingerprint = 1);
    assert_int_equal(then_to(ACT_DRAIN, 1, 2)->cause, CAUSE_SURPLUS);
    then_nothing();
    when_applied(0, .workers_min = 3, .fingerprint = 1);
    /* Beside the one that leaves. */
    assert_int_equal(then_to(ACT_SPAWN, 1, 3)->cause, CAUSE_GROWTH);
    assert_int_equal(then_to(ACT_SPAWN, 2, 4)->cause, CAUSE_GROWTH);
    then_nothing();
    given_worker_is_ready(0, 2, 4);
    when_worker(0, 2, 4, .kind = EV_EXITED, .status = exit_code_1);
    then_told(1009);
    then_to(ACT_RELEASE, 2, 4);
    assert_int_equal(then_to(ACT_SPAWN, 2, 5)->cause, CAUSE_REPLACEMENT);
}

static void
without_on_config_change_drift_is_shown_and_later_starts_take_the_new_settings(void **state)
{
    (void)state;
    given_two_that_serve();
    when_applied(0, .workers_min = 2, .fingerprint = 2);
    then_nothing();
    then_drifted(2);
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = exit_code_1);
    then_told(1009);
    then_to(ACT_RELEASE, 0, 1);
    then_to(ACT_SPAWN, 0, 3);
    then_drifted(1);
}

static void
a_failed_successor_stops_the_roll_and_the_same_apply_goes_on(void **state)
{
    (void)state;
    given_two_that_serve();
    when_applied(0, .workers_min = 2, .fingerprint = 2, .on_config_change = 1);
    then_told(1080);
    then_to(ACT_SPAWN, 0, 3);
    when_successor_takes_over(0, 1, 3);
    then_to(ACT_SPAWN, 1, 4);
    when_old_one_leaves(0, 1);
    given_worker_runs(0, 1, 4);
    when_worker(0, 1, 4, .kind = EV_EXITED, .status = exit_code_1);
    then_told(1009);
    then_told(1093);
    then_roll_ends(ROLL_FAILED, 1, 1);
    then_to(ACT_RELEASE, 1, 4);
    then_nothing();
    then_drifted(1);
    when_applied(0, .workers_min = 2, .fingerprint = 2, .on_config_change = 1);
    then_told(1080);
    then_to(ACT_SPAWN, 1, 5); /* slot 0 has the new settings already */
    when_successor_takes_over(1, 2, 5);
    when_old_one_leaves(1, 2);
    then_roll_ends(ROLL_DONE, 1, 0);
    then_drifted(0);
}

static void
a_second_change_gives_up_the_successor_that_was_started_for_the_first(void **state)
{
    (void)state;
    given_two_that_serve();
    when_applied(0, .workers_min = 2, .fingerprint = 2, .on_config_change = 1);
    then_told(1080);
    then_to(ACT_SPAWN, 0, 3);
    given_worker_runs(0, 0, 3);
    when_applied(0, .workers_min = 2, .fingerprint = 3, .on_config_change = 1);
    const struct action *given_up = then_told(1080); /* nothing has failed */
    assert_int_equal(given_up->worker.generation, 3);
    assert_int_equal(given_up->other.generation, 1);
    assert_int_equal(given_up->retry_ms, 0);
    assert_int_equal(then_to(ACT_DRAIN, 0, 3)->cause, CAUSE_SURPLUS);
    then_to(ACT_SPAWN, 1, 4); /* slot 0 has its turn when the leaver is gone */
    when_worker(0, 0, 3, .kind = EV_EXITED, .status = exit_code_0);
    then_told(6023);
    then_to(ACT_RELEASE, 0, 3);
    when_successor_takes_over(1, 2, 4);
    then_to(ACT_SPAWN, 0, 5);
}

static void
who_was_replaced_for_the_first_change_is_replaced_again_for_the_second(void **state)
{
    (void)state;
    given_two_that_serve();
    when_applied(0, .workers_min = 2, .fingerprint = 2, .on_config_change = 1);
    then_told(1080);
    then_to(ACT_SPAWN, 0, 3);
    when_successor_takes_over(0, 1, 3);
    then_to(ACT_SPAWN, 1, 4);
    when_old_one_leaves(0, 1);
    when_applied(0, .workers_min = 2, .fingerprint = 3, .on_config_change = 1);
    then_drifted(2); /* 4 is given up when it exists */
    then_told(1080);
    then_to(ACT_SPAWN, 0, 5);
}

static void
a_change_that_is_taken_back_leaves_alone_who_was_not_replaced(void **state)
{
    (void)state;
    given_two_that_serve();
    when_applied(0, .workers_min = 2, .fingerprint = 2, .on_config_change = 1);
    then_told(1080);
    then_to(ACT_SPAWN, 0, 3);
    given_worker_runs(0, 0, 3);
    when_applied(0, .workers_min = 2, .fingerprint = 1, .on_config_change = 1);
    assert_true(then_told(1080)->retry_ms == MSEC_NEVER);
    then_to(ACT_DRAIN, 0, 3);
    then_roll_ends(ROLL_DONE, 0, 0);
    then_nothing();
    then_drifted(0);
}

static void
an_operator_s_recycle_during_a_change_takes_every_worker_in(void **state)
{
    (void)state;
    given_core(1, 16, 1);
    given_pool(0, .workers_min = 2, .fingerprint = 1);
    when_pool(0, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_SPAWN, 0, 1);
    given_worker_runs(0, 0, 1);
    when_applied(0, .workers_min = 2, .fingerprint = 2);
    when_worker(0, 0, 1, .kind = EV_READY);
    then_told(6021);
    then_to(ACT_SPAWN, 1, 2); /* with the new settings */
    given_worker_runs(0, 1, 2);
    when_worker(0, 1, 2, .kind = EV_READY);
    then_told(6021);
    then_action(ACT_POOL_CHANGED);
    then_told(6010);
    when_applied(0, .workers_min = 2, .fingerprint = 2, .on_config_change = 1);
    then_told(1080);
    then_to(ACT_SPAWN, 0, 3);
    when_pool(0, .kind = EV_POOL_RECYCLE, .cause = CAUSE_ON_DEMAND);
    when_successor_takes_over(0, 1, 3);
    assert_int_equal(then_to(ACT_SPAWN, 1, 4)->cause, CAUSE_ON_DEMAND);
}

static void
new_sockets_are_bound_before_a_successor_starts_while_the_old_one_serves(void **state)
{
    (void)state;
    given_two_that_serve();
    when_applied(0, .workers_min = 2, .fingerprint = 2, .on_config_change = 1, .has_sockets = 1);
    then_action(ACT_BIND);
    then_told(1080);
    then_nothing();
    when_pool(0, .kind = EV_BOUND);
    then_to(ACT_SPAWN, 0, 3);
}

static void
the_answer_to_a_bind_of_sockets_that_have_changed_does_not_count(void **state)
{
    (void)state;
    given_two_that_serve();
    when_applied(0, .workers_min = 2, .fingerprint = 2, .on_config_change = 1, .has_sockets = 1);
    then_action(ACT_BIND);
    then_told(1080);
    when_applied(0, .workers_min = 2, .fingerprint = 3, .on_config_change = 1, .has_sockets = 1);
    then_nothing();
    when_pool(0, .kind = EV_BOUND);
    then_action(ACT_BIND);
    then_nothing();
    when_pool(0, .kind = EV_BOUND);
    then_to(ACT_SPAWN, 0, 3);
}

static void
sockets_that_cannot_be_bound_end_the_roll_and_leave_everybody_in_service(void **state)
{
    (void)state;
    given_two_that_serve();
    when_applied(0, .workers_min = 2, .fingerprint = 2, .on_config_change = 1, .has_sockets = 1);
    then_action(ACT_BIND);
    then_told(1080);
    when_pool(0, .kind = EV_BIND_FAILED, .error = 98);
    assert_int_equal(then_told(6033)->error, 98);
    then_roll_ends(ROLL_FAILED, 0, 2);
    then_nothing();
    then_drifted(2);
    then_pool_is(0, POOL_STARTED);
}

static void
a_worker_that_waits_for_what_never_comes_is_ready_by_the_new_rule(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0);
    when_pool(0, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_SPAWN, 0, 1);
    given_worker_runs(0, 0, 1);
    when_applied(0, .ready = READY_COMMAND);
    then_to(ACT_COMMAND, 0, 1);
    when_applied(0, .ready = READY_AFTER, .ready_after_ms = 100);
    then_nothing();
    when_worker(0, 0, 1, .kind = EV_COMMAND_DONE, .status = exit_code_0); /* of the rule before */
    then_nothing();
    when_due_after(100);
    then_told(6021);
    then_action(ACT_POOL_CHANGED);
    then_told(6010);
}

static void
a_worker_that_may_have_said_ready_already_keeps_its_rule(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0, .ready = READY_AFTER, .ready_after_ms = 300);
    when_pool(0, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_SPAWN, 0, 1);
    given_worker_runs(0, 0, 1);
    when_worker(0, 0, 1, .kind = EV_READY);
    when_applied(0, .ready = READY_NOTIFY);
    when_due_after(300);
    then_told(6021);
    then_action(ACT_POOL_CHANGED);
    then_told(6010);
}

static void
given_disabled(void)
{
    given_core(1, 8, 4);
    given_pool(0, .max_failures = 1, .ready = READY_EXEC, .fingerprint = 1, .on_config_change = 1);
    when_pool(0, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_SPAWN, 0, 1);
    when_worker(0, 0, 1, .kind = EV_SPAWNED);
    then_told(6020);
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = exit_code_1);
    then_told(1009);
    then_to(ACT_RELEASE, 0, 1);
    then_told(1002);
    then_action(ACT_POOL_CHANGED);
    then_pool_is(0, POOL_DISABLED);
}

static void
another_fingerprint_tries_a_disabled_pool_again_and_limits_do_not(void **state)
{
    (void)state;
    given_disabled();
    when_applied(0, .max_failures = 1, .ready = READY_EXEC, .fingerprint = 1,
                 .startup_timeout_ms = 5000);
    then_nothing();
    then_pool_is(0, POOL_DISABLED);
    when_applied(0, .max_failures = 1, .ready = READY_EXEC, .fingerprint = 2);
    assert_int_equal(then_told(6012)->cause, CAUSE_CONFIG_CHANGE);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_SPAWN, 0, 2);
}

static void
a_change_does_not_start_what_an_operator_stopped(void **state)
{
    (void)state;
    given_disabled();
    when_pool(0, .kind = EV_POOL_STOP);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_told(6011);
    when_applied(0, .fingerprint = 2, .on_config_change = 1);
    then_nothing();
    then_pool_is(0, POOL_STOPPED);
}

/* --- Settings that are refused. */

static void
then_reason_is(enum pool_reason reason, bool wanted_up)
{
    struct pool_view view;
    assert_true(core_pool(given.core, 0, given.now, &view));
    assert_string_equal(pool_reason_name(view.reason), pool_reason_name(reason));
    assert_int_equal(view.wanted_up, wanted_up);
}

static void
then_told_refused(void)
{
    assert_int_equal(then_told(6013)->cause, CAUSE_REFUSED);
    then_action(ACT_POOL_CHANGED);
}

static void
a_pool_that_is_refused_drains_and_starts_again_when_it_is_not(void **state)
{
    (void)state;
    given_core(1, 16, 4);
    given_pool(0, .fingerprint = 1, .on_config_change = 1);
    given_pool_is_started(0, 1);
    when_applied(0, .fingerprint = 2, .on_config_change = 1, .refused = 1);
    then_told_refused();
    assert_int_equal(then_to(ACT_DRAIN, 0, 1)->cause, CAUSE_REFUSED);
    then_nothing();
    then_pool_is(0, POOL_STOPPING);
    then_reason_is(REASON_REFUSED, true);
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = exit_code_0);
    then_told(6023);
    then_to(ACT_RELEASE, 0, 1);
    then_action(ACT_POOL_CHANGED);
    assert_int_equal(then_told(6011)->cause, CAUSE_REFUSED);
    then_reason_is(REASON_REFUSED, true);
    when_pool(0, .kind = EV_POOL_START, .by_operator = true); /* wanted as before */
    then_nothing();
    when_applied(0, .fingerprint = 1, .on_config_change = 1);
    then_action(ACT_POOL_CHANGED);
    assert_int_equal(then_to(ACT_SPAWN, 0, 2)->cause, CAUSE_START);
}

static void
a_refusal_is_told_once_and_also_of_a_pool_that_never_ran(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0, .refused = 1);
    then_nothing();
    then_reason_is(REASON_NEVER, false);
    when_pool(0, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    then_told_refused();
    when_applied(0, .refused = 1, .startup_timeout_ms = 7000);
    then_nothing();
    then_pool_is(0, POOL_STOPPED);
    when_applied(0, .has_sockets = 1);
    then_action(ACT_BIND);
    then_reason_is(REASON_NONE, true); /* it waits for its sockets, and not for other settings */
}

static void
an_operator_s_stop_of_a_refused_pool_lasts(void **state)
{
    (void)state;
    given_core(1, 16, 4);
    given_pool(0, .fingerprint = 1);
    given_pool_is_started(0, 1);
    when_applied(0, .fingerprint = 2, .refused = 1);
    then_told_refused();
    then_to(ACT_DRAIN, 0, 1);
    when_pool(0, .kind = EV_POOL_STOP);
    then_action(ACT_POOL_CHANGED);
    then_reason_is(REASON_OPERATOR, false);
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = exit_code_0);
    then_told(6023);
    then_to(ACT_RELEASE, 0, 1);
    then_action(ACT_POOL_CHANGED);
    assert_int_equal(then_told(6011)->cause, CAUSE_STOP);
    when_applied(0, .fingerprint = 3);
    then_nothing();
    then_reason_is(REASON_OPERATOR, false);
}

static void
a_refusal_outlives_the_engine_and_is_not_told_again(void **state)
{
    (void)state;
    given_core(1, 16, 4);
    given_pool(0, .fingerprint = 1);
    given_pool_is_started(0, 1);
    when_applied(0, .fingerprint = 2, .refused = 1);
    then_told_refused();
    then_to(ACT_DRAIN, 0, 1);
    assert_int_equal(when_engine_dies(100), 0);
    given_pool(0, .fingerprint = 2, .refused = 1);
    when_listed(0, 1);
    when_pool(0, .kind = EV_POOL_RESUME);
    then_to(ACT_DRAIN, 0, 1);
    then_nothing();
    /* Another one, whose configuration does not refuse it: it comes while the old one drains. */
    assert_int_equal(when_engine_dies(100), 0);
    given_pool(0, .fingerprint = 3);
    when_listed(0, 1);
    when_pool(0, .kind = EV_POOL_RESUME);
    then_to(ACT_DRAIN, 0, 1);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_SPAWN, 0, 2);
}

static void
a_shutdown_is_no_refusal(void **state)
{
    (void)state;
    given_core(1, 16, 4);
    given_pool(0, .fingerprint = 1);
    given_pool_is_started(0, 1);
    when((struct event){.kind = EV_SHUTDOWN});
    then_action(ACT_POOL_CHANGED);
    assert_int_equal(then_to(ACT_DRAIN, 0, 1)->cause, CAUSE_SHUTDOWN);
    when_applied(0, .fingerprint = 2, .refused = 1);
    then_nothing();
    then_reason_is(REASON_SHUTDOWN, true);
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = exit_code_0);
    then_told(6023);
    then_to(ACT_RELEASE, 0, 1);
    then_action(ACT_POOL_CHANGED);
    assert_int_equal(then_told(6011)->cause, CAUSE_SHUTDOWN);
    then_action(ACT_LEAVE);
}

/* --- Removal. */

static void
a_removed_pool_drains_and_is_forgotten_but_for_its_names(void **state)
{
    (void)state;
    given_two_that_serve();
    when_pool(0, .kind = EV_POOL_REMOVE, .by_operator = true);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    assert_int_equal(then_to(ACT_DRAIN, 0, 1)->cause, CAUSE_REMOVED);
    then_to(ACT_DRAIN, 1, 2);
    when_pool(0, .kind = EV_POOL_START, .by_operator = true);
    then_nothing();
    for (uint32_t i = 0; i < 2; i++) {
        when_worker(0, i, i + 1, .kind = EV_EXITED, .status = exit_code_0);
        assert_int_equal(then_told(6023)->cause, CAUSE_REMOVED);
        then_to(ACT_RELEASE, i, i + 1);
    }
    then_action(ACT_POOL_CHANGED);
    assert_int_equal(then_told(6011)->cause, CAUSE_REMOVED);
    then_action(ACT_POOL_GONE);
    then_nothing();
    struct pool_view view;
    assert_false(core_pool(given.core, 0, given.now, &view));
    when_pool(0, .kind = EV_POOL_STOP);
    given_pool(0);
    when_pool(0, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_SPAWN, 0, 3);
}

static void
a_removal_is_taken_back_before_the_pool_is_gone(void **state)
{
    (void)state;
    given_two_that_serve();
    when_pool(0, .kind = EV_POOL_REMOVE, .by_operator = true);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_DRAIN, 0, 1);
    then_to(ACT_DRAIN, 1, 2);
    when_applied(0, .workers_min = 2, .fingerprint = 1, .on_config_change = 1);
    then_action(ACT_POOL_CHANGED);
    then_nothing();
    struct pool_view view;
    assert_true(core_pool(given.core, 0, given.now, &view));
    assert_int_equal(view.reason, REASON_NEVER);
    assert_false(view.removed || view.wanted_up);
    when_pool(0, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_SPAWN, 0, 3);
    then_to(ACT_SPAWN, 1, 4);
}

static void
a_removal_that_is_taken_back_asks_for_the_sockets_again(void **state)
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
    given_worker_is_ready(0, 0, 1);
    then_action(ACT_POOL_CHANGED);
    then_told(6010);
    when_pool(0, .kind = EV_POOL_REMOVE, .by_operator = true);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_DRAIN, 0, 1);
    when_applied(0, .has_sockets = 1);
    then_action(ACT_POOL_CHANGED);
    when_pool(0, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_BIND);
    then_action(ACT_POOL_CHANGED);
    then_nothing();
    when_pool(0, .kind = EV_BOUND);
    then_to(ACT_SPAWN, 0, 2);
}

static void
a_removed_pool_is_not_forgotten_before_its_bind_is_answered(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0, .has_sockets = 1);
    when_pool(0, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_BIND);
    when_pool(0, .kind = EV_POOL_REMOVE, .by_operator = true);
    then_action(ACT_POOL_CHANGED);
    then_nothing();
    when_pool(0, .kind = EV_BOUND);
    then_action(ACT_POOL_GONE);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        CLAIM(another_fingerprint_replaces_every_worker_one_by_one),
        CLAIM(limits_alone_replace_nobody),
        CLAIM(a_shorter_stop_limit_holds_for_a_drain_that_has_begun),
        CLAIM(a_smaller_size_drains_the_highest_slots_and_a_larger_one_fills_new_ones),
        CLAIM(without_on_config_change_drift_is_shown_and_later_starts_take_the_new_settings),
        CLAIM(a_failed_successor_stops_the_roll_and_the_same_apply_goes_on),
        CLAIM(a_second_change_gives_up_the_successor_that_was_started_for_the_first),
        CLAIM(who_was_replaced_for_the_first_change_is_replaced_again_for_the_second),
        CLAIM(a_change_that_is_taken_back_leaves_alone_who_was_not_replaced),
        CLAIM(an_operator_s_recycle_during_a_change_takes_every_worker_in),
        CLAIM(new_sockets_are_bound_before_a_successor_starts_while_the_old_one_serves),
        CLAIM(the_answer_to_a_bind_of_sockets_that_have_changed_does_not_count),
        CLAIM(sockets_that_cannot_be_bound_end_the_roll_and_leave_everybody_in_service),
        CLAIM(a_worker_that_waits_for_what_never_comes_is_ready_by_the_new_rule),
        CLAIM(a_worker_that_may_have_said_ready_already_keeps_its_rule),
        CLAIM(another_fingerprint_tries_a_disabled_pool_again_and_limits_do_not),
        CLAIM(a_change_does_not_start_what_an_operator_stopped),
        CLAIM(a_pool_that_is_refused_drains_and_starts_again_when_it_is_not),
        CLAIM(a_refusal_is_told_once_and_also_of_a_pool_that_never_ran),
        CLAIM(an_operator_s_stop_of_a_refused_pool_lasts),
        CLAIM(a_refusal_outlives_the_engine_and_is_not_told_again),
        CLAIM(a_shutdown_is_no_refusal),
        CLAIM(a_removed_pool_drains_and_is_forgotten_but_for_its_names),
        CLAIM(a_removal_is_taken_back_before_the_pool_is_gone),
        CLAIM(a_removal_that_is_taken_back_asks_for_the_sockets_again),
        CLAIM(a_removed_pool_is_not_forgotten_before_its_bind_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
