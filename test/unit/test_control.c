/* test_control.c - what the control socket answers to those who look, and to nonsense. */
#include "test/unit/fake_shell.c"
#include "test/unit/line_client.c"

static const char *const names[] = {"web", "api", "jobs"};

static int
setup(void **state)
{
    *state = fake_create(names, 3, 2);
    return 0;
}

static int
teardown(void **state)
{
    fake_destroy(*state);
    return 0;
}

#define CALL(id, method, params)                                                                   \
    "{\"jsonrpc\":\"2.0\",\"id\":" #id ",\"method\":\"" method "\",\"params\":" params "}"

/* --- Looking. */

static void
a_list_has_the_supervisor_and_every_pool_with_its_workers(void **state)
{
    struct caller *caller = caller_open(*state);
    json_t *reply = caller_ask(caller, CALL(7, "pool.list", "{}"));
    assert_int_equal(number_at(reply, "id"), 7);
    assert_string_equal(text_at(reply, "jsonrpc"), "2.0");
    assert_string_equal(text_at(reply, "result.supervisor.version"), POOLD_VERSION);
    assert_string_equal(text_at(reply, "result.supervisor.config.serial"), "fedcba9876543210");
    assert_int_equal(json_array_size(at(reply, "result.pools")), 3);
    assert_string_equal(text_at(reply, "result.pools.1.name"), "api");
    assert_string_equal(text_at(reply, "result.pools.1.state"), "started");
    assert_string_equal(text_at(reply, "result.pools.1.wanted"), "started");
    assert_int_equal(json_array_size(at(reply, "result.pools.1.workers")), 2);
    assert_string_equal(text_at(reply, "result.pools.1.workers.0.id"), "0.1");
    assert_string_equal(text_at(reply, "result.pools.1.workers.0.state"), "ready");
    assert_string_equal(text_at(reply, "result.pools.1.workers.0.status"), "serving \"quoted\"");
    assert_true(number_at(reply, "result.pools.1.workers.0.pid") >= 20000);
    assert_true(json_is_false(at(reply, "result.pools.1.workers.0.killing")));
    assert_true(json_is_null(at(reply, "result.pools.1.workers.0.successor")));
    assert_int_equal(number_at(reply, "result.pools.1.size.ready"), 2);
    assert_int_equal(number_at(reply, "result.pools.1.queue.limit"), 1000);
    assert_int_equal(number_at(reply, "result.pools.1.failures.max"), 3);
    assert_true(json_is_null(at(reply, "result.pools.1.next_recycle")));
    assert_true(json_is_null(at(reply, "result.pools.1.roll")));
    assert_int_equal(strlen(text_at(reply, "result.pools.1.workers.0.since")), 29);
    assert_true(number_at(reply, "result.from_seq") <= number_at(reply, "result.to_seq"));
    json_decref(reply);
    caller_close(caller);
}

static void
one_pool_can_be_asked_for(void **state)
{
    struct caller *caller = caller_open(*state);
    json_t *reply = caller_ask(caller, CALL("x", "pool.get", "{\"pool\":\"jobs\"}"));
    assert_string_equal(text_at(reply, "id"), "x");
    assert_string_equal(text_at(reply, "result.name"), "jobs");
    assert_true(json_is_array(at(reply, "result.failures.all")));
    json_decref(reply);
    reply = caller_ask(caller, CALL(1, "worker.list", "{\"pool\":\"jobs\"}"));
    assert_int_equal(json_array_size(at(reply, "result.workers")), 2);
    assert_string_equal(text_at(reply, "result.workers.1.pool"), "jobs");
    json_decref(reply);
    reply = caller_ask(caller, CALL(1, "worker.list", "{}"));
    assert_int_equal(json_array_size(at(reply, "result.workers")), 6);
    json_decref(reply);
    caller_close(caller);
}

static void
version_lists_every_method(void **state)
{
    struct caller *caller = caller_open(*state);
    json_t *reply = caller_ask(caller, CALL(1, "server.version", "{}"));
    assert_int_equal(number_at(reply, "result.api"), 1);
    assert_int_equal(json_array_size(at(reply, "result.methods")), 14);
    assert_string_equal(text_at(reply, "result.methods.0.role"), "viewer");
    json_decref(reply);
    reply = caller_ask(caller, CALL(1, "server.status", "{}"));
    assert_string_equal(text_at(reply, "result.state"), "running");
    assert_int_equal(number_at(reply, "result.clients.connected"), 1);
    assert_true(number_at(reply, "result.loop.callbacks.count") >= 2);
    assert_true(json_array_size(at(reply, "result.loop.callbacks.held.steps")) > 0);
    assert_true(json_array_size(at(reply, "result.loop.turns.cpu.steps.0")) == 2);
    json_decref(reply);
    caller_close(caller);
}

/* --- Nonsense. */

static void
nonsense_gets_an_error_that_says_what_is_wrong(void **state)
{
    static const struct {
        const char *line;
        int code;
        const char *message;
    } cases[] = {
        {"hello", -32700, "the line is not JSON"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1", -32700, "the line is not JSON"},
        {"{\"id\":1,\"id\":2}", -32700, "the line is not JSON"},
        {"[]", -32600, "batches are not taken"},
        {"\"text\"", -32600, "a request is"},
        {"{\"id\":1,\"method\":\"server.status\"}", -32600, "a request is"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"server.status\"}", -32600, "\"id\" must"},
        {"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"server.status\"}", -32600, "\"id\" must"},
        {CALL(1, "server.statis", "{}"), -32601, "there is no method \"server.statis\""},
        {CALL(1, "a\\u001bb", "{}"), -32601, "there is no method \"a\\x1bb\""},
        {CALL(1, "server.status", "[1]"), -32602, "\"params\" must be an object"},
        {CALL(1, "server.status", "{\"pool\":\"web\"}"), -32602, "takes no parameter \"pool\""},
        {CALL(1, "pool.get", "{}"), -32602, "needs the parameter \"pool\""},
        {CALL(1, "pool.get", "{\"pool\":4}"), -32602, "must be a string, not the number 4"},
        {CALL(1, "pool.stop", "{\"pool\":\"web\",\"wait\":1}"), -32602, "must be true or false"},
        {CALL(1, "pool.stop", "{\"pool\":\"web\",\"timeout\":0}"), -32602, "seconds"},
        {CALL(1, "pool.stop", "{\"pool\":\"web\",\"timeout\":86401}"), -32602, "seconds"},
        {CALL(1, "pool.stop", "{\"pool\":\"web\",\"timeout\":\"5s\"}"), -32602, "seconds"},
        {CALL(1, "events.recent", "{\"count\":-1}"), -32602, "whole number"},
        {CALL(1, "pool.get", "{\"pool\":\"wbe\"}"), 4, "there is no pool \"wbe\""},
    };
    struct caller *caller = caller_open(*state);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *reply = caller_ask(caller, cases[i].line);
        assert_int_equal(number_at(reply, "error.code"), cases[i].code);
        assert_non_null(strstr(text_at(reply, "error.message"), cases[i].message));
        json_decref(reply);
    }
    json_t *reply = caller_ask(caller, CALL(1, "server.status", "{}"));
    assert_non_null(at(reply, "result"));
    json_decref(reply);
    caller_close(caller);
}

static void
errors_offer_the_nearest_name(void **state)
{
    struct caller *caller = caller_open(*state);
    json_t *reply = caller_ask(caller, CALL(1, "pool.get", "{\"pool\":\"wbe\"}"));
    assert_string_equal(text_at(reply, "error.data.nearest"), "web");
    json_decref(reply);
    reply = caller_ask(caller, CALL(1, "pool.lst", "{}"));
    assert_string_equal(text_at(reply, "error.data.nearest"), "pool.list");
    json_decref(reply);
    reply = caller_ask(caller, CALL(1, "pool.get", "{\"pol\":\"web\"}"));
    assert_string_equal(text_at(reply, "error.data.nearest"), "pool");
    json_decref(reply);
    caller_close(caller);
}

static void
a_notification_is_done_and_not_answered(void **state)
{
    struct caller *caller = caller_open(*state);
    caller_send(caller,
                "{\"jsonrpc\":\"2.0\",\"method\":\"pool.stop\",\"params\":{\"pool\":\"web\"}}");
    caller_send(caller, "{\"jsonrpc\":\"2.0\",\"method\":\"pool.list\"}");
    caller_send(caller, "{\"jsonrpc\":\"2.0\",\"method\":\"events.recent\"}");
    caller_send(caller, "{\"jsonrpc\":\"2.0\",\"method\":\"no.such\"}");
    json_t *reply = caller_ask(caller, CALL(9, "pool.get", "{\"pool\":\"web\"}"));
    assert_int_equal(number_at(reply, "id"), 9);
    assert_string_equal(text_at(reply, "result.wanted"), "stopped");
    json_decref(reply);
    caller_close(caller);
}

static void
deep_nesting_and_nul_bytes_are_refused(void **state)
{
    struct caller *caller = caller_open(*state);
    char deep[256];
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    deep[200] = '\0';
    json_t *reply = caller_ask(caller, deep);
    assert_int_equal(number_at(reply, "error.code"), -32700);
    json_decref(reply);
    caller_send_bytes(caller, "{\"jsonrpc\0\":1}\n", 16);
    reply = caller_next(caller);
    assert_int_equal(number_at(reply, "error.code"), -32700);
    json_decref(reply);
    caller_send_bytes(caller, "\r\n\n  \n", 6); /* blank lines: only the last holds anything */
    reply = caller_next(caller);
    assert_int_equal(number_at(reply, "error.code"), -32700);
    json_decref(reply);
    caller_close(caller);
}

static void
random_bytes_never_stop_the_server(void **state)
{
    unsigned seed = 12345;
    for (int round = 0; round < 20; round++) {
        struct caller *caller = caller_open(*state);
        char bytes[5000];
        for (size_t i = 0; i < sizeof bytes; i++) {
            static const char alphabet[] = "{}[]\",:\\u0 1e.-\n\"jsonrpc\"";
            seed = seed * 1103515245u + 12345u;
            bytes[i] = (seed >> 16) % 3 ? alphabet[(seed >> 18) % (sizeof alphabet - 1)]
                                        : (char)(seed >> 20);
        }
        caller_send_bytes(caller, bytes, sizeof bytes);
        caller_close(caller);
    }
    struct caller *caller = caller_open(*state);
    json_t *reply = caller_ask(caller, CALL(1, "server.status", "{}"));
    assert_int_equal(number_at(reply, "result.clients.connected"), 1);
    json_decref(reply);
    caller_close(caller);
}

static void
a_tree_that_needs_too_much_memory_is_refused(void **state)
{
    struct caller *caller = caller_open(*state);
    char *line = malloc(65536);
    size_t len = 0;
    memcpy(line, "[", 1);
    for (len = 1; len + 3 < 65534; len += 3)
        memcpy(line + len, "{},", 3);
    memcpy(line + len, "0]", 3);
    json_t *reply = caller_ask(caller, line);
    /* Within the budget it is a batch, beyond it an error of ours; both are answers. */
    int code = number_at(reply, "error.code");
    assert_true(code == -32600 || code == -32603);
    json_decref(reply);
    free(line);
    caller_close(caller);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_has_the_supervisor_and_every_pool_with_its_workers),
        cmocka_unit_test(one_pool_can_be_asked_for),
        cmocka_unit_test(version_lists_every_method),
        cmocka_unit_test(nonsense_gets_an_error_that_says_what_is_wrong),
        cmocka_unit_test(errors_offer_the_nearest_name),
        cmocka_unit_test(a_notification_is_done_and_not_answered),
        cmocka_unit_test(deep_nesting_and_nul_bytes_are_refused),
        cmocka_unit_test(random_bytes_never_stop_the_server),
        cmocka_unit_test(a_tree_that_needs_too_much_memory_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown) ? 1 : 0;
}
