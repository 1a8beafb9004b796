/* test_config.c - the rounds of a change of configuration, with a keeper that is the test: what is asked
 * of it in which order, and what becomes of an apply whose engine dies. */
#include "test/unit/shell_world.h"

#include "supervisor/engine/config_inside.h"
#include "supervisor/engine/control_parts.h"

static struct blob next; /* what the loader finds */

/* --- Memory that runs out. The sanitizer's own functions stay as they are. */

#ifndef __SANITIZE_ADDRESS__
#define HAS_FAULTS true
extern void *__libc_calloc(size_t, size_t);
static bool memory_is_out;

void *
calloc(size_t count, size_t size)
{
    return memory_is_out ? NULL : __libc_calloc(count, size);
}
#else
#define HAS_FAULTS false
static bool memory_is_out;
#endif

/* --- Words of the keeper. */

/* The newest question; what was asked before it is forgotten. */
static enum verb_kind
newest_question(void)
{
    struct verb verb = {0};
    while (recv(keeper, &verb, sizeof verb, MSG_DONTWAIT) == (ssize_t)sizeof verb)
        ;
    return verb.kind;
}

static bool
was_asked(enum verb_kind kind)
{
    struct verb verb;
    bool seen = false;
    while (recv(keeper, &verb, sizeof verb, MSG_DONTWAIT) == (ssize_t)sizeof verb)
        seen |= verb.kind == kind;
    return seen;
}

static void
when_turns_end(void)
{
    for (int i = 0; i < 50 && config_turn(shell.config); i++)
        ;
}

static void
when_loaded(void)
{
    struct verb verb = {.version = VERB_VERSION, .kind = VERB_LOADED};
    int fd = memfd_create("next", MFD_CLOEXEC);
    assert_int_equal(write(fd, next.bytes, next.size), (ssize_t)next.size);
    config_on_loaded(shell.config, &verb, fd);
    when_turns_end();
}

static void
when_taken(int error)
{
    struct verb verb = {.version = VERB_VERSION, .kind = VERB_TAKEN, .error = error};
    config_on_taken(shell.config, &verb, error == 0 ? dup(listener) : -1);
    when_turns_end();
}

static void
when_born(void)
{
    when_turns_pass(BOOT_LISTING);
    report(VERB_LIST_END, 0, PHASE_SPAWNED);
    when_turns_pass(BOOT_DONE);
}

static int
set_up_change(void **state)
{
    memory_is_out = false;
    blob_of_one_pool(&next);
    next.pools[0].settings.shutdown_timeout_ms = 7000;
    next.header.serial = 78;
    blob_finish(&next);
    set_up(state);
    *state_kept(shell.state) = 77; /* what is in force is stored already */
    return 0;
}

/* --- Rounds. */

static void
a_change_is_loaded_taken_and_told_and_then_kept(void **state)
{
    (void)state;
    when_born();
    config_ask(shell.config, true);
    assert_int_equal(newest_question(), VERB_LOAD);
    when_loaded();
    assert_int_equal(newest_question(), VERB_TAKE);
    assert_int_equal(shell.record.header->serial, 77);
    when_taken(0);
    assert_int_equal(shell.record.header->serial, 78);
    assert_false(state_stops(shell.state)->apply);
    assert_non_null(strstr(told, "1 changed"));
    assert_int_equal(newest_question(), VERB_KEEP);
}

static uint32_t
spawns_asked(void)
{
    uint32_t count = 0;
    for (struct verb verb; recv(keeper, &verb, sizeof verb, MSG_DONTWAIT) > 0;)
        count += verb.kind == VERB_SPAWN;
    return count;
}

static void
more_starts_at_one_time_hold_at_once(void **state)
{
    (void)state;
    shell_die();
    for (int i = 0; i < 2; i++) {
        struct blob *of = i == 0 ? &blob : &next;
        blob_of_one_pool(of);
        of->pools[0].settings.workers_min = of->pools[0].settings.workers_max = 3;
        of->header.starts_max = i == 0 ? 1 : 3;
        of->header.serial = 77 + (uint64_t)i;
        blob_finish(of);
    }
    shell_begin(memfd_create("test", MFD_CLOEXEC));
    *state_kept(shell.state) = 77;
    when_born();
    assert_int_equal(spawns_asked(), 1);
    config_ask(shell.config, true);
    when_loaded();
    when_taken(0);
    assert_int_equal(spawns_asked(), 2);
}

static void
who_only_wants_to_know_changes_nothing(void **state)
{
    (void)state;
    when_born();
    config_ask(shell.config, false);
    when_loaded();
    assert_false(was_asked(VERB_TAKE));
    assert_int_equal(shell.record.header->serial, 77);
}

static void
what_the_keeper_does_not_take_is_refused(void **state)
{
    (void)state;
    when_born();
    config_ask(shell.config, true);
    when_loaded();
    when_taken(ENOENT);
    assert_int_equal(shell.record.header->serial, 77);
    assert_non_null(strstr(told, "every pool stays as it was: the keeper could not take it"));
    assert_true(was_asked(VERB_DROP));
}

/* Afterwards it would be too late: the keeper has taken it by then. */
static void
without_memory_the_change_is_refused_before_the_keeper_takes_it(void **state)
{
    (void)state;
    if (!HAS_FAULTS)
        skip();
    when_born();
    config_ask(shell.config, true);
    newest_question();
    memory_is_out = true;
    when_loaded();
    memory_is_out = false;
    assert_false(was_asked(VERB_TAKE));
    assert_non_null(strstr(told, "every pool stays as it was: there is no memory"));
    config_ask(shell.config, true);
    when_loaded();
    when_taken(0);
    assert_int_equal(shell.record.header->serial, 78);
}

static void
more_workers_than_there_are_descriptors_for_are_refused(void **state)
{
    (void)state;
    when_born();
    next.pools[0].settings.workers_min = next.pools[0].settings.workers_max = WORKERS + 1;
    blob_finish(&next);
    config_ask(shell.config, true);
    when_loaded();
    assert_false(was_asked(VERB_TAKE));
    assert_non_null(strstr(told, "it asks for 5 workers, the limit of open descriptors allows 4"));
}

/* --- Sockets that are bound first. */

static int
set_up_socket(void **state)
{
    set_up_change(state);
    shell_die();
    blob_of_one_pool(&blob);
    blob_inet(&blob, "one", 8080);
    blob_finish(&blob);
    blob_of_one_pool(&next);
    blob_inet(&next, "two", 8081);
    blob_inet(&next, "one", 8080);
    next.pools[0].settings.fingerprint = 1;
    next.header.serial = 78;
    blob_finish(&next);
    shell_begin(memfd_create("test", MFD_CLOEXEC));
    *state_kept(shell.state) = 77;
    when_born();
    shell_bind_result(&shell, 0, 0);
    newest_question();
    return 0;
}

static void
when_bound(int error)
{
    struct verb verb = {.version = VERB_VERSION, .kind = VERB_BIND_RESULT, .error = error};
    config_on_bound(shell.config, &verb);
    when_turns_end();
}

static void
a_socket_that_was_bound_first_is_not_asked_for_again(void **state)
{
    (void)state;
    config_ask(shell.config, true);
    when_loaded();
    struct verb asked = {0};
    for (struct verb verb; recv(keeper, &verb, sizeof verb, MSG_DONTWAIT) > 0;) {
        assert_true(asked.kind != VERB_BIND); /* once: the other one is held */
        asked = verb;
    }
    assert_int_equal(asked.kind, VERB_BIND);
    assert_int_equal(asked.index, 0);
    when_bound(0);
    assert_int_equal(newest_question(), VERB_TAKE);
    when_taken(0);
    assert_true(shell.room.bound[0] && shell.room.bound[1]);
    assert_false(was_asked(VERB_BIND));
}

/* Its number could be of either configuration. */
static void
a_bind_that_comes_up_while_the_keeper_takes_one_waits_for_that(void **state)
{
    struct event start = {.kind = EV_POOL_START, .by_operator = true};
    struct event stop = {.kind = EV_POOL_STOP};
    (void)state;
    shell_feed(&shell, &stop);
    shell.room.bound[0] = false;
    config_ask(shell.config, true);
    when_loaded();
    assert_int_equal(newest_question(), VERB_TAKE);
    struct event add = {.kind = EV_POOL_ADD, .settings = &next.pools[0].settings};
    shell_feed(&shell, &add); /* others than before: so they are asked for */
    shell_feed(&shell, &start);
    assert_false(was_asked(VERB_BIND));
    when_taken(0);
    assert_true(was_asked(VERB_BIND));
}

static void
a_socket_that_cannot_be_bound_refuses_the_change(void **state)
{
    (void)state;
    config_ask(shell.config, true);
    when_loaded();
    when_bound(EACCES);
    assert_false(was_asked(VERB_TAKE));
    assert_int_equal(shell.record.header->serial, 77);
    assert_non_null(strstr(told, "pool web: the address two cannot be bound: Permission denied"));
}

/* --- Sockets of a pool that was taken out. */

/* The pool has gone, and its socket is left: an engine begins with that. */
static int
set_up_left(void **state)
{
    set_up_change(state);
    shell_die();
    blob_of_one_pool(&blob);
    blob_inet(&blob, "one", 8080);
    blob.pools[0] = (struct record_pool){.name = blob.pools[0].name, .socket_count = 1};
    blob_finish(&blob);
    next = blob;
    next.header.serial = 78;
    blob_finish(&next);
    shell_begin(memfd_create("test", MFD_CLOEXEC));
    *state_kept(shell.state) = 77;
    shell.room.bound[0] = true;
    return 0;
}

static void
what_an_engine_before_did_not_live_to_close_is_closed(void **state)
{
    (void)state;
    when_born();
    assert_true(was_asked(VERB_UNBIND));
    assert_false(shell.room.bound[0]);
}

/* Its number could be of either configuration. */
static void
no_socket_is_closed_while_the_keeper_takes_a_configuration(void **state)
{
    (void)state;
    when_born();
    shell.room.bound[0] = true;
    config_ask(shell.config, true);
    when_loaded();
    assert_true(was_asked(VERB_TAKE));
    config_let_go(&shell, 0);
    assert_false(was_asked(VERB_UNBIND));
    when_taken(0);
    assert_true(was_asked(VERB_UNBIND));
    config_let_go(&shell, 0);
    assert_false(was_asked(VERB_UNBIND));
}

/* --- A place that another pool gets. */

static int
set_up_place(void **state)
{
    set_up_left(state);
    blob_of_one_pool(&next);
    next.pools[0].name = blob_text(&next, "fresh");
    next.header.serial = 78;
    blob_finish(&next);
    return 0;
}

static void
a_place_of_a_pool_that_has_gone_is_another_ones(void **state)
{
    (void)state;
    when_born();
    shell.control->failed_seq[0] = 9;
    shell.pools[0].told = 3;
    config_ask(shell.config, true);
    when_loaded();
    when_taken(0);
    assert_non_null(strstr(told, "1 added, 0 removed, 0 changed"));
    assert_int_equal(shell_pool_find(&shell, "fresh"), 0);
    assert_int_equal(shell_pool_find(&shell, "web"), NONE);
    assert_int_equal(shell.control->failed_seq[0], 0);
    assert_int_equal(shell_last_told(&shell, 0), NONE);
}

static void
a_place_of_a_pool_that_still_drains_is_refused_to_another_one(void **state)
{
    (void)state;
    struct event add = {.kind = EV_POOL_ADD, .settings = &next.pools[0].settings};
    when_born();
    shell_feed(&shell, &add);
    config_ask(shell.config, true);
    when_loaded();
    assert_false(was_asked(VERB_TAKE));
    assert_non_null(strstr(told, "pool fresh is to have the place of web, which"));
    assert_non_null(strstr(told, "apply again when that has gone"));
}

/* --- Engines that die. */

static int state_fd; /* what each life leaves to the next */

static int
set_up_lives(void **state)
{
    set_up_change(state);
    shell_die();
    state_fd = memfd_create("test", MFD_CLOEXEC);
    shell_begin(fcntl(state_fd, F_DUPFD_CLOEXEC, 0));
    *state_kept(shell.state) = 77;
    when_born();
    return 0;
}

static int
tear_down_lives(void **state)
{
    close(state_fd);
    return tear_down(state);
}

/* Whether the next engine asks for the files. */
static bool
when_another_life_begins(void)
{
    shell_die();
    shell_begin(fcntl(state_fd, F_DUPFD_CLOEXEC, 0));
    when_born();
    return was_asked(VERB_LOAD);
}

static void
an_apply_that_ends_three_engines_is_given_up(void **state)
{
    (void)state;
    config_ask(shell.config, true);
    assert_true(when_another_life_begins());
    assert_true(when_another_life_begins());
    assert_false(when_another_life_begins());
    struct event_seen kept; /* what poolctl events shows is cut to fit the ring */
    assert_true(events_get(shell.events, events_next(shell.events) - 1, &kept));
    assert_non_null(strstr(kept.text, "the engine ended 3 times while they were"));
    assert_non_null(strstr(kept.text, "then poolctl config apply"));
    assert_false(when_another_life_begins());
    assert_null(strstr(told, "the engine ended")); /* told once */
    config_ask(shell.config, true);                /* whoever asks again gets as much */
    assert_true(when_another_life_begins());
    assert_true(when_another_life_begins());
    assert_false(when_another_life_begins());
}

static void
deaths_count_against_one_apply_only(void **state)
{
    (void)state;
    config_ask(shell.config, true);
    assert_true(when_another_life_begins());
    assert_true(when_another_life_begins());
    when_loaded();
    when_taken(0);
    assert_false(when_another_life_begins());
    config_ask(shell.config, true);
    assert_true(when_another_life_begins());
    assert_true(when_another_life_begins());
}

static void
who_asks_during_a_round_is_not_forgotten_with_it(void **state)
{
    (void)state;
    config_ask(shell.config, true);
    config_ask(shell.config, true);
    when_loaded();
    when_taken(0);
    assert_true(when_another_life_begins());
}

static void
an_engine_that_stops_applies_nothing_any_more(void **state)
{
    (void)state;
    config_ask(shell.config, true);
    shell_die();
    shell_begin(fcntl(state_fd, F_DUPFD_CLOEXEC, 0));
    shell.stopping = true; /* as its saved state says */
    when_born();
    assert_false(was_asked(VERB_LOAD));
    assert_false(state_stops(shell.state)->apply);
}

#define ROUND(claim) cmocka_unit_test_setup_teardown(claim, set_up_change, tear_down)
#define BOUND(claim) cmocka_unit_test_setup_teardown(claim, set_up_socket, tear_down)
#define LEFT(claim)  cmocka_unit_test_setup_teardown(claim, set_up_left, tear_down)
#define PLACE(claim) cmocka_unit_test_setup_teardown(claim, set_up_place, tear_down)
#define LIVES(claim) cmocka_unit_test_setup_teardown(claim, set_up_lives, tear_down_lives)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ROUND(a_change_is_loaded_taken_and_told_and_then_kept),
        ROUND(more_starts_at_one_time_hold_at_once),
        ROUND(more_workers_than_there_are_descriptors_for_are_refused),
        ROUND(who_only_wants_to_know_changes_nothing),
        ROUND(what_the_keeper_does_not_take_is_refused),
        ROUND(without_memory_the_change_is_refused_before_the_keeper_takes_it),
        BOUND(a_socket_that_was_bound_first_is_not_asked_for_again),
        BOUND(a_bind_that_comes_up_while_the_keeper_takes_one_waits_for_that),
        BOUND(a_socket_that_cannot_be_bound_refuses_the_change),
        LEFT(what_an_engine_before_did_not_live_to_close_is_closed),
        LEFT(no_socket_is_closed_while_the_keeper_takes_a_configuration),
        PLACE(a_place_of_a_pool_that_has_gone_is_another_ones),
        PLACE(a_place_of_a_pool_that_still_drains_is_refused_to_another_one),
        LIVES(an_apply_that_ends_three_engines_is_given_up),
        LIVES(deaths_count_against_one_apply_only),
        LIVES(who_asks_during_a_round_is_not_forgotten_with_it),
        LIVES(an_engine_that_stops_applies_nothing_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
