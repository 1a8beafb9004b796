/* test_control_large.c - a reply of megabytes is written bit by bit, whole, and in nobody's way. */
#include "test/unit/fake_shell.c"
#include "test/unit/line_client.c"

#include "supervisor/engine/control_parts.h"

#define POOLS 5000

static struct shell *shell;

static int
setup(void **state)
{
    *state = shell = fake_create(NULL, POOLS, 1);
    return 0;
}

static int
teardown(void **state)
{
    fake_destroy(*state);
    return 0;
}

#define LIST    "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"pool.list\"}"
#define VERSION "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server.version\"}"

static void
five_thousand_pools_are_listed_in_order_over_many_turns(void **state)
{
    (void)state;
    struct caller *caller = caller_open(shell);
    uint64_t before = shell->turns;
    json_t *reply = caller_ask(caller, LIST);
    assert_true(shell->turns - before >= POOLS / 64); /* 128 pools and workers a turn */
    assert_int_equal(json_array_size(at(reply, "result.pools")), POOLS);
    for (size_t i = 0; i < POOLS; i++) {
        char name[32];
        const json_t *pool = json_array_get(at(reply, "result.pools"), i);
        snprintf(name, sizeof name, "pool-%zu", i);
        assert_string_equal(text_at(pool, "name"), name);
        assert_int_equal(json_array_size(at(pool, "workers")), 1);
    }
    json_decref(reply);
    caller_close(caller);
}

static bool
list_is_half_written(void *ctx)
{
    struct caller *caller = ctx;
    caller_take(caller);
    return caller->len > 200000;
}

static void
others_are_answered_while_a_list_is_written(void **state)
{
    (void)state;
    struct caller *lister = caller_open(shell), *other = caller_open(shell);
    caller_send(lister, LIST);
    assert_true(fake_until(shell, list_is_half_written, lister, 5000));
    uint64_t before = shell->turns;
    json_t *reply = caller_ask(other, VERSION);
    json_decref(reply);
    assert_true(shell->turns - before <= 5);
    assert_int_equal(lister->lines, 0);
    json_decref(caller_next(lister));
    caller_close(lister);
    caller_close(other);
}

static void
events_and_answers_wait_until_the_list_is_whole(void **state)
{
    (void)state;
    struct caller *caller = caller_open(shell), *other = caller_open(shell);
    json_decref(caller_ask(
        caller, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"events.subscribe\",\"params\":{}}"));
    /* In the same turn a call that waits, and the list; the call ends while the list is written. */
    caller_send(caller, "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"pool.recycle\",\"params\":{"
                        "\"pool\":\"pool-7\",\"wait\":true}}\n" LIST);
    assert_true(fake_until(shell, list_is_half_written, caller, 5000));
    assert_true(caller->lines < 3);
    unsigned list = 0, answer = 0, events = 0;
    while (answer == 0 || list == 0) {
        json_t *line = caller_next(caller);
        list += number_at(line, "id") == 2;
        events += at(line, "method") != NULL;
        if (number_at(line, "id") == 3) {
            assert_int_equal(number_at(line, "result.replaced"), 1);
            assert_int_equal(list, 1); /* it came after the list, which it did not break */
            answer++;
        }
        json_decref(line);
    }
    assert_true(events >= 4); /* command, recycle, started, ready, done */
    caller_close(caller);
    caller_close(other);
}

static bool
some_turns(void *ctx)
{
    unsigned *turns = ctx;
    return (*turns)-- == 0;
}

static void
a_list_that_is_not_read_takes_a_bounded_buffer(void **state)
{
    (void)state;
    struct caller *deaf = caller_open(shell);
    unsigned turns = 300;
    deaf->reads = false;
    caller_send(deaf, LIST "\n" LIST);
    fake_until(shell, some_turns, &turns, 3000);
    const struct client *client = shell->control->clients;
    assert_non_null(client);
    assert_true(json_out_pending(&client->out) <= CONTROL_OUT_HIGH + 2048);
    assert_true(client->out.cap <= 4 * CONTROL_OUT_HIGH);
    deaf->reads = true;
    json_decref(caller_next(deaf));
    json_decref(caller_next(deaf));
    caller_close(deaf);
}

static void
callers_that_vanish_in_the_midst_of_a_list_leave_nothing_behind(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct caller *caller = caller_open(shell);
        caller_send(caller, LIST);
        assert_true(fake_until(shell, list_is_half_written, caller, 5000));
        caller_close(caller);
    }
    unsigned turns = 5;
    fake_until(shell, some_turns, &turns, 1000);
    assert_int_equal(shell->control->client_count, 0);
    assert_int_equal(shell->control->stream_count, 0);
}

static void
the_nearest_of_five_thousand_names_is_found(void **state)
{
    (void)state;
    struct caller *caller = caller_open(shell);
    json_t *reply = caller_ask(caller, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"pool.get\","
                                       "\"params\":{\"pool\":\"pol-17\"}}");
    assert_int_equal(number_at(reply, "error.code"), 4);
    assert_string_equal(text_at(reply, "error.data.nearest"), "pool-17");
    json_decref(reply);
    caller_close(caller);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_thousand_pools_are_listed_in_order_over_many_turns),
        cmocka_unit_test(others_are_answered_while_a_list_is_written),
        cmocka_unit_test(events_and_answers_wait_until_the_list_is_whole),
        cmocka_unit_test(a_list_that_is_not_read_takes_a_bounded_buffer),
        cmocka_unit_test(callers_that_vanish_in_the_midst_of_a_list_leave_nothing_behind),
        cmocka_unit_test(the_nearest_of_five_thousand_names_is_found),
    };
    return cmocka_run_group_tests(tests, setup, teardown) ? 1 : 0;
}
