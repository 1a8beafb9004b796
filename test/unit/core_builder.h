/* core_builder.h - a core, a clock and words to speak to it: given_*, when_*, then_*.
 *
 * Every when_* feeds one event at the present moment; the actions that it causes must then be taken
 * in their order by then_* (a test that leaves one unspoken fails at the next when_*). After every
 * event the core checks its own rules. */
#ifndef POOLD_TEST_CORE_BUILDER_H
#define POOLD_TEST_CORE_BUILDER_H

#include "supervisor/core/core.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* After the four headers that it wants: */
#include <cmocka.h>

struct given {
    struct core *core;
    struct core_limits limits;
    struct action_list actions;
    uint32_t taken; /* actions that a then_* has spoken for */
    msec now;
};

static struct given given;

static inline void
given_core(uint32_t pools, uint32_t workers, uint32_t starts)
{
    given = (struct given){.limits = {pools, workers, starts, 1}, .now = 1000000};
    given.core = core_init(calloc(1, core_size(&given.limits)), &given.limits);
    given.actions.cap = core_actions_max(&given.limits);
    given.actions.v = calloc(given.actions.cap, sizeof(*given.actions.v));
}

static inline void
given_nothing(void)
{
    free(given.core);
    free(given.actions.v);
}

/* --- When. */

static inline const char *
action_text(const struct action *action)
{
    static char text[160];
    snprintf(text, sizeof(text), "%s %u of %u/%u.%u (cause %s)", action_kind_name(action->kind),
             action->event, action->worker.pool, action->worker.slot, action->worker.generation,
             cause_name(action->cause));
    return text;
}

static inline void
then_nothing(void)
{
    if (given.taken < given.actions.len)
        fail_msg("not expected: %s", action_text(&given.actions.v[given.taken]));
}

static inline void
when(struct event event)
{
    then_nothing();
    event.now = given.now;
    core_step(given.core, &event, &given.actions);
    given.taken = 0;
    const char *broken = core_check(given.core);
    if (broken != NULL)
        fail_msg("%s: broken rule: %s", event_kind_name(event.kind), broken);
}

#define when_pool(p, ...)         when((struct event){.worker.pool = (p), __VA_ARGS__})
#define when_worker(p, s, g, ...) when((struct event){.worker = {(p), (s), (g)}, __VA_ARGS__})

/* Time passes; no deadline may lie on the way. */
static inline void
when_ms_pass(msec span)
{
    then_nothing();
    assert_true(core_deadline(given.core) > given.now + span);
    given.now += span;
}

/* Time passes until the next deadline, which must be exactly that far away. */
static inline void
when_due_after(msec span)
{
    assert_int_equal(core_deadline(given.core) - given.now, span);
    given.now += span;
    when((struct event){.kind = EV_TICK});
}

/* --- Then. */

static inline const struct action *
then_action(enum action_kind kind)
{
    if (given.taken == given.actions.len)
        fail_msg("expected %s, nothing came", action_kind_name(kind));
    const struct action *action = &given.actions.v[given.taken++];
    if (action->kind != kind)
        fail_msg("expected %s, came %s", action_kind_name(kind), action_text(action));
    return action;
}

static inline const struct action *
then_to(enum action_kind kind, uint32_t slot, uint32_t generation)
{
    const struct action *action = then_action(kind);
    assert_int_equal(action->worker.slot, slot);
    assert_int_equal(action->worker.generation, generation);
    return action;
}

static inline const struct action *
then_told(uint32_t event)
{
    const struct action *action = then_action(ACT_EVENT);
    if (action->event != event)
        fail_msg("expected event %u, came %s", event, action_text(action));
    return action;
}

static inline void
then_pool_is(uint32_t pool, enum pool_state state)
{
    struct pool_view view;
    assert_true(core_pool(given.core, pool, given.now, &view));
    assert_string_equal(pool_state_name(view.state), pool_state_name(state));
}

static inline void
then_worker_is(uint32_t pool, uint32_t slot, uint32_t generation, enum worker_state state)
{
    struct worker_view view;
    struct worker_id id = {pool, slot, generation};
    assert_true(core_worker(given.core, core_handle(given.core, id), &view));
    assert_int_equal(view.state, state);
}

/* --- Given, by way of the above. */

#define DEFAULT_SETTINGS                                                                           \
    .workers_min = 1, .workers_max = 1, .surge = 1, .max_failures = 5, .ready = READY_NOTIFY,      \
    .overlap = 1, .rapid_fail = 1, .startup_timeout_ms = 90000, .shutdown_timeout_ms = 60000,      \
    .failure_interval_ms = 300000, .failure_delay_ms = 200, .failure_delay_max_ms = 30000

/* A pool that was never started; what differs from DEFAULT_SETTINGS is written as in an
 * initializer. Overriding a designated initializer is the point here. */
#define given_pool(p, ...)                                                                         \
    do {                                                                                           \
        _Pragma("GCC diagnostic push") _Pragma(                                                    \
            "GCC diagnostic ignored \"-Woverride-init\"") struct pool_settings settings_ = {       \
            DEFAULT_SETTINGS, __VA_ARGS__};                                                        \
        _Pragma("GCC diagnostic pop") settings_.workers_max =                                      \
            MAX(settings_.workers_min, settings_.workers_max);                                     \
        when_pool(p, .kind = EV_POOL_ADD, .settings = &settings_);                                 \
    } while (0)

/* The worker that was just asked for: runs, and says that it is ready. */
static inline void
given_worker_runs(uint32_t pool, uint32_t slot, uint32_t generation)
{
    when_worker(pool, slot, generation, .kind = EV_SPAWNED);
    then_told(6020);
    when_worker(pool, slot, generation, .kind = EV_EXECUTED);
    then_nothing();
}

static inline void
given_worker_is_ready(uint32_t pool, uint32_t slot, uint32_t generation)
{
    given_worker_runs(pool, slot, generation);
    when_worker(pool, slot, generation, .kind = EV_READY);
    then_told(6021);
}

/* A pool whose workers 0.1, 1.2, ... are all ready. The core must have places for all at once. */
static inline void
given_pool_is_started(uint32_t pool, uint32_t workers)
{
    when_pool(pool, .kind = EV_POOL_START, .by_operator = true);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    for (uint32_t i = 0; i < workers; i++)
        then_to(ACT_SPAWN, i, i + 1);
    for (uint32_t i = 0; i < workers; i++)
        given_worker_is_ready(pool, i, i + 1);
    then_action(ACT_POOL_CHANGED);
    then_told(6010);
    then_pool_is(pool, POOL_STARTED);
}

/* --- The engine dies, and another one lives. */

#define RECORD_CAP 4096

/* Copies every record into a new core, which takes the place of the old one. */
static inline int
when_engine_dies(msec away_ms)
{
    then_nothing();
    struct core *core = core_init(calloc(1, core_size(&given.limits)), &given.limits);
    unsigned char bytes[RECORD_CAP];
    assert_true(core_record_size_max() <= sizeof(bytes));
    for (uint32_t i = 0; i < core_record_count(given.core); i++) {
        size_t size = core_record_write(given.core, i, bytes, sizeof(bytes));
        if (size > 0)
            assert_int_equal(core_record_read(core, i, bytes, size), 0);
    }
    free(given.core);
    given.core = core;
    given.now += away_ms;
    return core_restore_end(core, given.now);
}

static inline void
when_listed(uint32_t slot, uint32_t generation)
{
    when_worker(0, slot, generation, .kind = EV_LISTED);
    when_worker(0, slot, generation, .kind = EV_SPAWNED);
    when_worker(0, slot, generation, .kind = EV_EXECUTED);
    then_nothing();
}

static const struct exit_status exit_code_0 = {EXIT_CODE, 0};
static const struct exit_status exit_code_1 = {EXIT_CODE, 1};
static const struct exit_status signal_9 = {EXIT_SIGNAL, 9};

static inline int
core_test_teardown(void **state)
{
    (void)state;
    given_nothing();
    return 0;
}

#define CLAIM(name) cmocka_unit_test_teardown(name, core_test_teardown)

#endif
