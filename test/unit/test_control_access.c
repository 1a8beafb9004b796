/* test_control_access.c - a control socket that moves, and roles that change while clients are there. */
#include "test/unit/fake_shell.c"
#include "test/unit/line_client.c"

#include "supervisor/engine/control_parts.h"

#include <sys/stat.h>

#define VERSION   "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server.version\"}"
#define LIST      "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"pool.list\"}"
#define SUBSCRIBE "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"events.subscribe\"}"
#define STOP                                                                                       \
    "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"pool.stop\",\"params\":{\"pool\":\"pool-0\"}}"

#define DAEMON 1u /* a user that is nobody else here */

static int
setup(void **state)
{
    *state = fake_create(NULL, 300, 1);
    return 0;
}

static int
teardown(void **state)
{
    fake_destroy(*state);
    return 0;
}

static bool
turns_have_passed(void *ctx)
{
    unsigned *turns = ctx;
    return (*turns)-- == 0;
}

static void
settle(struct shell *shell)
{
    unsigned turns = 4;
    fake_until(shell, turns_have_passed, &turns, 2000);
}

static int
version_asked(struct caller *caller)
{
    json_t *reply = caller_ask(caller, VERSION);
    int api = number_at(reply, "result.api");
    json_decref(reply);
    return api;
}

/* Another listening socket, in another directory, as the keeper would hand it over. */
static int
listen_elsewhere(struct shell *shell, char old_path[96])
{
    memcpy(old_path, shell->path, sizeof shell->path);
    assert_int_equal(unlink(shell->path), 0);
    assert_int_equal(rmdir(shell->directory), 0);
    return fake_listen(shell);
}

static void
who_waits_at_the_old_socket_is_served_and_who_is_connected_stays(void **state)
{
    struct shell *shell = *state;
    struct caller *stays = caller_open(shell), *waiting[100];
    assert_int_equal(version_asked(stays), 1);
    for (size_t i = 0; i < 20; i++)
        waiting[i] = caller_open(shell); /* in the queue: no turn has passed */
    uint32_t before = shell->control->client_count;
    char old_path[96];
    control_taken(shell->control, listen_elsewhere(shell, old_path));
    assert_int_equal(shell->control->client_count, before + 20);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(version_asked(waiting[i]), 1);
        caller_close(waiting[i]);
    }
    assert_int_equal(version_asked(stays), 1);
    struct caller *new = caller_open(shell);
    assert_int_equal(version_asked(new), 1);
    caller_close(new);
    caller_close(stays);
}

static int
descriptors(void)
{
    int n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void
the_socket_that_is_served_already_goes_on(void **state)
{
    struct shell *shell = *state;
    int before = descriptors();
    for (int i = 0; i < 10; i++)
        control_taken(shell->control, dup(shell->control->fd));
    assert_int_equal(descriptors(), before);
    struct caller *caller = caller_open(shell);
    assert_int_equal(version_asked(caller), 1);
    caller_close(caller);
}

static void
a_socket_that_moves_before_the_engine_opens_is_not_served_yet(void **state)
{
    struct shell *shell = *state;
    struct err err = {0};
    char old_path[96];
    control_destroy(&shell->control);
    unlink(shell->path);
    rmdir(shell->directory);
    assert_int_equal(control_create(&shell->control, shell, fake_listen(shell), &err), 0);
    control_taken(shell->control, listen_elsewhere(shell, old_path));
    struct caller *caller = caller_open(shell);
    caller_send(caller, VERSION);
    settle(shell);
    assert_int_equal(shell->control->client_count, 0);
    control_open(shell->control);
    json_decref(caller_next(caller));
    caller_close(caller);
}

/* --- roles; only root can be somebody else */

static void
give_role(struct shell *shell, enum role role)
{
    struct record_role entry = {
        .id = DAEMON, .name = fake_text(shell, "daemon"), .role = (uint8_t)role};
    shell->header.roles = (uint32_t)shell->header.text_size;
    memcpy(shell->text + shell->header.roles, &entry, sizeof entry);
    shell->header.text_size += sizeof entry;
    shell->header.role_count = role == ROLE_NONE ? 0 : 1;
    control_taken(shell->control, dup(shell->control->fd));
}

static struct caller *
open_as_daemon(struct shell *shell)
{
    assert_int_equal(chmod(shell->directory, 0711), 0);
    assert_int_equal(chmod(shell->path, 0666), 0);
    assert_int_equal(seteuid(DAEMON), 0);
    struct caller *caller = caller_open(shell);
    assert_int_equal(seteuid(0), 0);
    return caller;
}

static void
a_subscriber_without_a_role_gets_the_rest_of_its_reply_an_error_and_the_end(void **state)
{
    struct shell *shell = *state;
    if (getuid() != 0)
        skip();
    give_role(shell, ROLE_VIEWER);
    struct caller *caller = open_as_daemon(shell);
    json_decref(caller_ask(caller, SUBSCRIBE));
    caller->reads = false;
    caller_send(caller, LIST);
    settle(shell);
    assert_int_equal(shell->control->clients->stream.kind, STREAM_POOLS); /* half written */
    give_role(shell, ROLE_NONE);
    assert_int_equal(shell->control->subscriber_count, 0);
    events_emit(shell->events, EVENT_POOL_STOPPED, "pool-0", (struct worker_id){0}, NULL, "late");
    caller->reads = true;
    json_t *list = caller_next(caller), *error = caller_next(caller);
    assert_int_equal(json_array_size(at(list, "result.pools")), 300);
    assert_int_equal(number_at(error, "error.code"), 77);
    assert_string_equal(text_at(error, "error.data.role"), "none");
    assert_true(fake_until(shell, caller_is_closed, caller, 5000));
    assert_int_equal(caller->lines, 0); /* no event after the role was gone */
    assert_int_equal(shell->control->client_count, 0);
    json_decref(list);
    json_decref(error);
    caller_close(caller);
}

static void
a_call_that_waits_is_answered_although_its_role_has_gone(void **state)
{
    struct shell *shell = *state;
    if (getuid() != 0)
        skip();
    give_role(shell, ROLE_OPERATOR);
    struct caller *caller = open_as_daemon(shell);
    shell->drain_hangs = true;
    caller_send(caller, "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"pool.stop\","
                        "\"params\":{\"pool\":\"pool-0\",\"wait\":true}}");
    settle(shell);
    assert_int_equal(shell->control->clients->calls, 1);
    give_role(shell, ROLE_VIEWER);
    json_t *reply = caller_ask(caller, STOP);
    assert_int_equal(number_at(reply, "error.code"), 77);
    assert_string_equal(text_at(reply, "error.data.needs"), "operator");
    json_decref(reply);
    shell->drain_hangs = false;
    struct event kill = {.kind = EV_EXITED, .worker = {0, 0, 1}};
    shell_feed(shell, &kill);
    reply = caller_next(caller);
    assert_string_equal(text_at(reply, "result.state"), "stopped");
    json_decref(reply);
    caller_close(caller);
}

static void
refusals_are_told_once_a_second_of_each_kind(void **state)
{
    struct shell *shell = *state;
    if (getuid() != 0)
        skip();
    uint64_t before = events_next(shell->events);
    msec *strangers = &shell->control->denied_until[DENIED_STRANGER];
    msec *calls = &shell->control->denied_until[DENIED_CALL];
    for (int i = 0; i < 5; i++) {
        struct caller *stranger = open_as_daemon(shell);
        json_decref(caller_next(stranger));
        caller_close(stranger);
        assert_true(*strangers > 0);
        *strangers = MSEC_NEVER; /* the second is not over */
    }
    assert_int_equal(events_next(shell->events), before + 1);
    give_role(shell, ROLE_VIEWER);
    struct caller *viewer = open_as_daemon(shell);
    for (int i = 0; i < 5; i++) {
        json_decref(caller_ask(viewer, STOP));
        assert_true(*calls > 0);
        *calls = MSEC_NEVER;
    }
    assert_int_equal(events_next(shell->events), before + 2);
    *calls = 0; /* it is */
    json_decref(caller_ask(viewer, STOP));
    assert_int_equal(events_next(shell->events), before + 3);
    caller_close(viewer);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            who_waits_at_the_old_socket_is_served_and_who_is_connected_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(the_socket_that_is_served_already_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_socket_that_moves_before_the_engine_opens_is_not_served_yet, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_subscriber_without_a_role_gets_the_rest_of_its_reply_an_error_and_the_end, setup,
            teardown),
        cmocka_unit_test_setup_teardown(a_call_that_waits_is_answered_although_its_role_has_gone,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(refusals_are_told_once_a_second_of_each_kind, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
