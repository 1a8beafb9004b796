/* test_control_events.c - subscribers miss nothing, or are told how much they missed. */
#include "test/unit/fake_shell.c"
#include "test/unit/line_client.c"

static const char *const names[] = {"web", "api"};

static int
setup(void **state)
{
    *state = fake_create(names, 2, 1);
    return 0;
}

static int
teardown(void **state)
{
    fake_destroy(*state);
    return 0;
}

#define SUBSCRIBE(params)                                                                          \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"events.subscribe\",\"params\":" params "}"
#define RECENT(params)                                                                             \
    "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"events.recent\",\"params\":" params "}"

static void
emit(struct shell *shell, const char *pool, const char *text)
{
    struct event_fields fields = {0};
    fields_number(&fields, "pid", 42);
    fields_seconds(&fields, "age", 1250);
    fields_string(&fields, "output", "a \"b\" c");
    events_emit(shell->events, EVENT_WORKER_DIED, pool, (struct worker_id){0, 3, 7}, &fields, "%s",
                text);
}

static void
a_subscriber_gets_every_event_as_it_comes(void **state)
{
    struct shell *shell = *state;
    struct caller *caller = caller_open(shell);
    json_t *reply = caller_ask(caller, SUBSCRIBE("{}"));
    assert_int_equal(number_at(reply, "result.last"), (int)events_next(shell->events) - 1);
    json_decref(reply);
    emit(shell, "web", "first");
    emit(shell, NULL, "second");
    json_t *event = caller_next(caller);
    assert_string_equal(text_at(event, "method"), "event");
    assert_null(at(event, "id"));
    assert_int_equal(number_at(event, "params.seq"), (int)events_next(shell->events) - 2);
    assert_int_equal(number_at(event, "params.id"), 1009);
    assert_string_equal(text_at(event, "params.name"), "worker-died");
    assert_string_equal(text_at(event, "params.severity"), "warning");
    assert_string_equal(text_at(event, "params.pool"), "web");
    assert_string_equal(text_at(event, "params.worker"), "3.7");
    assert_string_equal(text_at(event, "params.text"), "first");
    assert_int_equal(number_at(event, "params.fields.pid"), 42);
    assert_true(json_real_value(at(event, "params.fields.age")) == 1.25);
    assert_string_equal(text_at(event, "params.fields.output"), "a \\x22b\\x22 c");
    assert_int_equal(strlen(text_at(event, "params.time")), 29);
    json_decref(event);
    event = caller_next(caller);
    assert_true(json_is_null(at(event, "params.pool")));
    json_decref(event);
    caller_close(caller);
}

static void
a_subscriber_may_want_one_pool_only(void **state)
{
    struct shell *shell = *state;
    struct caller *caller = caller_open(shell);
    json_decref(caller_ask(caller, SUBSCRIBE("{\"pool\":\"api\"}")));
    emit(shell, "web", "not this");
    emit(shell, NULL, "nor this");
    emit(shell, "api", "this");
    json_t *event = caller_next(caller);
    assert_string_equal(text_at(event, "params.text"), "this");
    json_decref(event);
    caller_close(caller);
}

static void
who_reconnects_gets_what_it_missed_and_nothing_twice(void **state)
{
    struct shell *shell = *state;
    char line[200];
    uint64_t after = events_next(shell->events) - 1;
    for (int i = 0; i < 1000; i++)
        emit(shell, "web", "missed");
    struct caller *caller = caller_open(shell);
    snprintf(line, sizeof line, SUBSCRIBE("{\"after\":%d}"), (int)after);
    json_decref(caller_ask(caller, line));
    /* While the replay is under way more happens. */
    for (int i = 0; i < 1000; i++)
        emit(shell, "web", "live");
    assert_true(caller_await(caller, 2000));
    for (int i = 1; i <= 2000; i++) {
        json_t *event = caller_line(caller);
        assert_int_equal(number_at(event, "params.seq"), (int)after + i);
        json_decref(event);
    }
    emit(shell, "web", "last");
    json_t *event = caller_next(caller);
    assert_int_equal(number_at(event, "params.seq"), (int)after + 2001);
    json_decref(event);
    caller_close(caller);
}

static void
who_comes_too_late_for_the_ring_is_told_how_many_are_gone(void **state)
{
    struct shell *shell = *state;
    char line[200];
    uint64_t after = events_next(shell->events) - 1;
    for (uint32_t i = 0; i < EVENTS_RING + 1000; i++)
        emit(shell, "web", "flood");
    struct caller *caller = caller_open(shell);
    snprintf(line, sizeof line, SUBSCRIBE("{\"after\":%d}"), (int)after);
    json_decref(caller_ask(caller, line));
    json_t *event = caller_next(caller);
    uint64_t first = events_first(shell->events);
    assert_int_equal(number_at(event, "params.dropped"), (int)(first - after - 1));
    json_decref(event);
    event = caller_next(caller);
    assert_int_equal(number_at(event, "params.seq"), (int)first);
    json_decref(event);
    caller_close(caller);
}

static void
a_number_of_a_ring_that_is_gone_begins_with_the_first_event(void **state)
{
    struct shell *shell = *state;
    struct caller *caller = caller_open(shell);
    json_decref(caller_ask(caller, SUBSCRIBE("{\"after\":999999999}")));
    json_t *event = caller_next(caller);
    assert_int_equal(number_at(event, "params.seq"), (int)events_first(shell->events));
    json_decref(event);
    caller_close(caller);
}

static void
a_subscriber_that_does_not_read_is_told_how_many_it_lost(void **state)
{
    enum { COUNT = 5000 };
    struct shell *shell = *state;
    struct caller *caller = caller_open(shell);
    json_decref(caller_ask(caller, SUBSCRIBE("{}")));
    int first = (int)events_next(shell->events);
    char longer[640]; /* a short one would still fit where this one does not */
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    for (int i = 0; i < COUNT; i++)
        emit(shell, "web", i % 7 == 0 ? "short" : longer);
    int seen = 0, dropped = 0, next = first;
    while (seen + dropped < COUNT) {
        json_t *event = caller_next(caller);
        if (at(event, "params.dropped") != NULL) {
            dropped += number_at(event, "params.dropped");
            next += number_at(event, "params.dropped");
        } else {
            /* In order, and the count stands where the lost ones would. */
            assert_int_equal(number_at(event, "params.seq"), next);
            seen++;
            next++;
        }
        json_decref(event);
    }
    assert_true(dropped > 0 && seen > 200);
    assert_int_equal(seen + dropped, COUNT);
    caller_close(caller);
}

static void
recent_events_are_the_newest_of_all_or_of_one_pool(void **state)
{
    struct shell *shell = *state;
    emit(shell, "api", "one of api");
    for (int i = 0; i < 100; i++)
        emit(shell, "web", "web");
    struct caller *caller = caller_open(shell);
    json_t *reply = caller_ask(caller, RECENT("{}"));
    assert_int_equal(json_array_size(at(reply, "result.events")), 50);
    assert_int_equal(number_at(reply, "result.events.49.seq"), (int)events_next(shell->events) - 1);
    assert_int_equal(number_at(reply, "result.to_seq"), (int)events_next(shell->events) - 1);
    json_decref(reply);
    reply = caller_ask(caller, RECENT("{\"count\":3}"));
    assert_int_equal(json_array_size(at(reply, "result.events")), 3);
    json_decref(reply);
    reply = caller_ask(caller, RECENT("{\"count\":1,\"pool\":\"api\"}"));
    assert_int_equal(json_array_size(at(reply, "result.events")), 1);
    assert_string_equal(text_at(reply, "result.events.0.text"), "one of api");
    json_decref(reply);
    reply = caller_ask(caller, RECENT("{\"count\":9999}"));
    assert_true(json_array_size(at(reply, "result.events")) > 101);
    json_decref(reply);
    reply = caller_ask(caller, RECENT("{\"count\":0}"));
    assert_int_equal(json_array_size(at(reply, "result.events")), 0);
    json_decref(reply);
    caller_close(caller);
}

static void
subscribers_that_vanish_cost_nothing(void **state)
{
    struct shell *shell = *state;
    for (int i = 0; i < 20; i++) {
        struct caller *caller = caller_open(shell);
        json_decref(caller_ask(caller, SUBSCRIBE("{}")));
        caller_close(caller);
        emit(shell, "web", "nobody hears this");
    }
    struct caller *caller = caller_open(shell);
    json_decref(caller_ask(caller, SUBSCRIBE("{}")));
    emit(shell, "web", "this");
    json_decref(caller_next(caller));
    json_t *reply =
        caller_ask(caller, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server.status\"}");
    assert_int_equal(number_at(reply, "result.clients.subscribed"), 1);
    json_decref(reply);
    caller_close(caller);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_subscriber_gets_every_event_as_it_comes),
        TEST(a_subscriber_may_want_one_pool_only),
        TEST(who_reconnects_gets_what_it_missed_and_nothing_twice),
        TEST(who_comes_too_late_for_the_ring_is_told_how_many_are_gone),
        TEST(a_number_of_a_ring_that_is_gone_begins_with_the_first_event),
        TEST(a_subscriber_that_does_not_read_is_told_how_many_it_lost),
        TEST(recent_events_are_the_newest_of_all_or_of_one_pool),
        TEST(subscribers_that_vanish_cost_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
