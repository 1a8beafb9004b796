/* test_control_change.c - starting, stopping and recycling by the control socket. */
#include "test/unit/fake_shell.c"
#include "test/unit/line_client.c"

#include <pwd.h>

static const char *const names[] = {"web", "api"};

static int
setup(void **state)
{
    *state = fake_create(names, 2, 2);
    return 0;
}

static int
teardown(void **state)
{
    fake_destroy(*state);
    return 0;
}

#define CHANGE(id, verb, pool, more)                                                               \
    "{\"jsonrpc\":\"2.0\",\"id\":" #id ",\"method\":\"pool." verb                                  \
    "\",\"params\":{\"pool\":\"" pool "\"" more "}}"
#define WAIT ",\"wait\":true"

static json_t *
ask_once(struct shell *shell, const char *line)
{
    struct caller *caller = caller_open(shell);
    json_t *reply = caller_ask(caller, line);
    caller_close(caller);
    return reply;
}

static void
a_stop_that_waits_answers_when_the_last_worker_is_gone(void **state)
{
    json_t *reply = ask_once(*state, CHANGE(1, "stop", "web", WAIT));
    assert_string_equal(text_at(reply, "result.pool"), "web");
    assert_string_equal(text_at(reply, "result.state"), "stopped");
    assert_int_equal(number_at(reply, "result.ready"), 0);
    assert_true(json_is_real(at(reply, "result.took")));
    json_decref(reply);
    reply = ask_once(*state, CHANGE(1, "stop", "web", ""));
    assert_true(json_is_false(at(reply, "result.changed")));
    json_decref(reply);
}

static void
a_start_that_waits_answers_when_all_workers_are_ready(void **state)
{
    json_decref(ask_once(*state, CHANGE(1, "stop", "web", WAIT)));
    json_t *reply = ask_once(*state, CHANGE(1, "start", "web", WAIT));
    assert_string_equal(text_at(reply, "result.state"), "started");
    assert_int_equal(number_at(reply, "result.ready"), 2);
    json_decref(reply);
    /* Starting a started pool is no error, and there is nothing to wait for. */
    reply = ask_once(*state, CHANGE(1, "start", "web", WAIT));
    assert_string_equal(text_at(reply, "result.state"), "started");
    json_decref(reply);
}

static void
a_start_that_does_not_wait_says_what_has_begun(void **state)
{
    json_decref(ask_once(*state, CHANGE(1, "stop", "web", WAIT)));
    json_t *reply = ask_once(*state, CHANGE(1, "start", "web", ""));
    assert_string_equal(text_at(reply, "result.state"), "starting");
    assert_true(json_is_true(at(reply, "result.changed")));
    json_decref(reply);
}

static void
a_start_that_ends_disabled_is_an_error(void **state)
{
    struct shell *shell = *state;
    json_decref(ask_once(shell, CHANGE(1, "stop", "web", WAIT)));
    shell->exec_fails = true;
    json_t *reply = ask_once(shell, CHANGE(1, "start", "web", WAIT));
    assert_int_equal(number_at(reply, "error.code"), 1);
    assert_non_null(strstr(text_at(reply, "error.message"), "disabled"));
    assert_string_equal(text_at(reply, "error.data.pool"), "web");
    assert_string_equal(text_at(reply, "error.data.state"), "disabled");
    json_decref(reply);
    reply = ask_once(shell, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"pool.get\",\"params\":{"
                            "\"pool\":\"web\"}}");
    assert_int_equal(number_at(reply, "result.failures.in_window"), 3);
    assert_int_equal(json_array_size(at(reply, "result.failures.all")), 3);
    assert_string_equal(text_at(reply, "result.failures.last.name"), "exec-failed");
    json_decref(reply);
    /* An operator's start enables it again. */
    shell->exec_fails = false;
    reply = ask_once(shell, CHANGE(1, "start", "web", WAIT));
    assert_string_equal(text_at(reply, "result.state"), "started");
    json_decref(reply);
}

static void
a_recycle_that_waits_tells_how_many_were_replaced(void **state)
{
    json_t *reply = ask_once(*state, CHANGE(1, "recycle", "web", WAIT));
    assert_string_equal(text_at(reply, "result.outcome"), "done");
    assert_int_equal(number_at(reply, "result.replaced"), 2);
    assert_int_equal(number_at(reply, "result.not_replaced"), 0);
    assert_string_equal(text_at(reply, "result.state"), "started");
    json_decref(reply);
}

static void
all_who_wait_for_one_recycle_are_answered_by_it(void **state)
{
    struct shell *shell = *state;
    struct caller *one = caller_open(shell), *other = caller_open(shell);
    shell->drain_hangs = true;
    caller_send(one, CHANGE(1, "recycle", "web", WAIT));
    caller_send(one, CHANGE(2, "recycle", "web", ""));
    json_t *reply = caller_next(one); /* who does not wait is not held up */
    assert_int_equal(number_at(reply, "id"), 2);
    assert_true(json_is_false(at(reply, "result.changed"))); /* merged */
    json_decref(reply);
    caller_send(other, CHANGE(3, "stop", "web", ""));
    json_decref(caller_next(other));
    reply = caller_next(one);
    assert_int_equal(number_at(reply, "id"), 1);
    assert_int_equal(number_at(reply, "error.code"), 1);
    assert_string_equal(text_at(reply, "error.data.outcome"), "cancelled");
    json_decref(reply);
    caller_close(one);
    caller_close(other);
}

static void
a_recycle_whose_successor_fails_is_an_error_and_the_pool_stays_up(void **state)
{
    struct shell *shell = *state;
    shell->exec_fails = true;
    json_t *reply = ask_once(shell, CHANGE(1, "recycle", "web", WAIT));
    assert_int_equal(number_at(reply, "error.code"), 1);
    assert_string_equal(text_at(reply, "error.data.outcome"), "failed");
    assert_int_equal(number_at(reply, "error.data.replaced"), 0);
    assert_int_equal(number_at(reply, "error.data.not_replaced"), 2);
    assert_string_equal(text_at(reply, "error.data.state"), "started");
    json_decref(reply);
}

static void
recycling_a_stopped_pool_is_an_error_that_names_what_is_allowed(void **state)
{
    json_decref(ask_once(*state, CHANGE(1, "stop", "web", WAIT)));
    json_t *reply = ask_once(*state, CHANGE(1, "recycle", "web", ""));
    assert_int_equal(number_at(reply, "error.code"), 1);
    assert_string_equal(text_at(reply, "error.data.state"), "stopped");
    assert_string_equal(text_at(reply, "error.data.allowed.0"), "pool.start");
    json_decref(reply);
}

static void
a_wait_that_runs_out_is_told_apart_and_what_was_asked_for_goes_on(void **state)
{
    struct shell *shell = *state;
    shell->drain_hangs = true;
    json_t *reply = ask_once(shell, CHANGE(1, "stop", "web", WAIT ",\"timeout\":0.05"));
    assert_int_equal(number_at(reply, "error.code"), 75);
    assert_string_equal(text_at(reply, "error.data.state"), "stopping");
    json_decref(reply);
}

static void
a_stop_overtaken_by_a_start_is_an_error(void **state)
{
    struct shell *shell = *state;
    struct caller *caller = caller_open(shell);
    shell->drain_hangs = true;
    caller_send(caller, CHANGE(1, "stop", "web", WAIT));
    caller_send(caller, CHANGE(2, "start", "web", ""));
    assert_true(caller_await(caller, 2));
    json_t *first = caller_next(caller), *second = caller_next(caller);
    const json_t *stop = number_at(first, "id") == 1 ? first : second;
    assert_int_equal(number_at(stop, "error.code"), 1);
    assert_non_null(strstr(text_at(stop, "error.message"), "told to start"));
    json_decref(first);
    json_decref(second);
    caller_close(caller);
}

static void
a_caller_that_vanishes_while_it_waits_does_not_undo_what_it_asked(void **state)
{
    struct shell *shell = *state;
    struct caller *caller = caller_open(shell);
    shell->drain_hangs = true;
    caller_send(caller, CHANGE(1, "stop", "web", WAIT));
    caller_send(caller, CHANGE(2, "get", "web", ""));
    json_decref(caller_next(caller));
    caller_close(caller);
    json_t *reply = ask_once(shell, CHANGE(1, "get", "web", ""));
    assert_string_equal(text_at(reply, "result.state"), "stopping");
    json_decref(reply);
}

static void
one_caller_waits_at_most_64_times(void **state)
{
    struct shell *shell = *state;
    struct caller *caller = caller_open(shell);
    shell->drain_hangs = true;
    for (int i = 0; i < 65; i++)
        caller_send(caller, CHANGE(1, "recycle", "web", WAIT));
    json_t *reply = caller_next(caller);
    assert_int_equal(number_at(reply, "error.code"), 69);
    json_decref(reply);
    caller_close(caller);
}

static void
every_change_is_an_event_with_who_and_what_came_of_it(void **state)
{
    struct shell *shell = *state;
    uint64_t before = events_next(shell->events);
    json_decref(ask_once(shell, CHANGE(1, "recycle", "api", "")));
    struct event_seen event;
    char who[160];
    const struct passwd *own = getpwuid(getuid());
    assert_true(events_get(shell->events, before, &event));
    assert_int_equal(event.id, EVENT_CONTROL_COMMAND);
    assert_string_equal(event.pool, "api");
    snprintf(who, sizeof who, "uid=%u%s%s pid=%d method=pool.recycle result=accepted",
             (unsigned)getuid(), own == NULL ? "" : " user=", own == NULL ? "" : own->pw_name,
             (int)getpid());
    assert_string_equal(event.fields, who);
}

static void
looking_is_no_event(void **state)
{
    struct shell *shell = *state;
    uint64_t before = events_next(shell->events);
    json_decref(ask_once(shell, CHANGE(1, "get", "api", "")));
    assert_int_equal(events_next(shell->events), before);
}

static void
after_a_shutdown_nothing_is_started_any_more(void **state)
{
    struct shell *shell = *state;
    shell->drain_hangs = true;
    struct caller *caller = caller_open(shell);
    json_t *reply =
        caller_ask(caller, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server.shutdown\"}");
    assert_true(json_is_false(at(reply, "result.hurry")));
    json_decref(reply);
    reply = caller_ask(caller, CHANGE(1, "start", "web", ""));
    assert_int_equal(number_at(reply, "error.code"), 69);
    json_decref(reply);
    reply = caller_ask(caller, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server.shutdown\"}");
    assert_true(json_is_true(at(reply, "result.hurry")));
    json_decref(reply);
    caller_close(caller);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_stop_that_waits_answers_when_the_last_worker_is_gone),
        TEST(a_start_that_waits_answers_when_all_workers_are_ready),
        TEST(a_start_that_does_not_wait_says_what_has_begun),
        TEST(a_start_that_ends_disabled_is_an_error),
        TEST(a_recycle_that_waits_tells_how_many_were_replaced),
        TEST(all_who_wait_for_one_recycle_are_answered_by_it),
        TEST(a_recycle_whose_successor_fails_is_an_error_and_the_pool_stays_up),
        TEST(recycling_a_stopped_pool_is_an_error_that_names_what_is_allowed),
        TEST(a_wait_that_runs_out_is_told_apart_and_what_was_asked_for_goes_on),
        TEST(a_stop_overtaken_by_a_start_is_an_error),
        TEST(a_caller_that_vanishes_while_it_waits_does_not_undo_what_it_asked),
        TEST(one_caller_waits_at_most_64_times),
        TEST(every_change_is_an_event_with_who_and_what_came_of_it),
        TEST(looking_is_no_event),
        TEST(after_a_shutdown_nothing_is_started_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
