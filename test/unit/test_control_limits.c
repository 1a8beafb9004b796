/* test_control_limits.c - nobody on the control socket can hold up the engine, or the others. */
#include "test/unit/fake_shell.c"
#include "test/unit/line_client.c"

#include "supervisor/engine/control_parts.h"

#include <grp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define STATUS "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server.version\"}"
#define LIST   "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"pool.list\"}"

static int
setup(void **state)
{
    *state = fake_create(NULL, 3, 1);
    return 0;
}

static int
teardown(void **state)
{
    fake_destroy(*state);
    return 0;
}

/* Runs the server until nothing is left to do for it. */
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
clients_of(struct shell *shell)
{
    struct caller *caller = caller_open(shell);
    json_t *reply =
        caller_ask(caller, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server.status\"}");
    int count = number_at(reply, "result.clients.connected");
    json_decref(reply);
    caller_close(caller);
    settle(shell);
    return count - 1;
}

static char *
line_of_size(size_t size)
{
    char *line = malloc(size + 1);
    memset(line, ' ', size);
    memcpy(line, STATUS, strlen(STATUS));
    line[size] = '\0';
    return line;
}

static void
a_request_of_64_kib_is_taken_and_one_byte_more_ends_the_connection(void **state)
{
    struct caller *caller = caller_open(*state);
    char *line = line_of_size(65536);
    json_t *reply = caller_ask(caller, line);
    assert_non_null(at(reply, "result"));
    json_decref(reply);
    free(line);
    line = line_of_size(65537);
    caller_send_bytes(caller, line, 65537);
    reply = caller_next(caller);
    assert_int_equal(number_at(reply, "error.code"), -32600);
    json_decref(reply);
    free(line);
    assert_true(fake_until(*state, caller_is_closed, caller, 5000));
    caller_close(caller);
}

static void
a_request_may_come_byte_by_byte_within_five_seconds(void **state)
{
    struct shell *shell = *state;
    struct caller *caller = caller_open(shell);
    for (const char *p = STATUS; *p != '\0'; p++) {
        caller_send_bytes(caller, p, 1);
        settle(shell);
        control_tick(shell->control, io_now() + 1000);
    }
    caller_send_bytes(caller, "\n", 1);
    json_t *reply = caller_next(caller);
    assert_non_null(at(reply, "result"));
    json_decref(reply);
    caller_close(caller);
}

static void
a_request_that_is_not_complete_after_five_seconds_ends_the_connection(void **state)
{
    struct shell *shell = *state;
    struct caller *slow = caller_open(shell), *idle = caller_open(shell);
    caller_send_bytes(slow, "{\"json", 6);
    settle(shell);
    msec due = control_deadline(shell->control);
    assert_true(due > io_now() && due <= io_now() + 5000);
    control_tick(shell->control, io_now() + 5001);
    json_t *reply = caller_next(slow);
    assert_non_null(strstr(text_at(reply, "error.message"), "within 5 s"));
    json_decref(reply);
    assert_true(fake_until(shell, caller_is_closed, slow, 5000));
    assert_false(caller_is_closed(idle)); /* who has begun nothing may wait */
    caller_close(slow);
    caller_close(idle);
}

static void
the_five_seconds_begin_anew_with_each_request(void **state)
{
    struct shell *shell = *state;
    struct caller *caller = caller_open(shell);
    caller_send_bytes(caller, STATUS, 10);
    settle(shell);
    const struct client *client = shell->control->clients;
    msec first = client->request_until;
    assert_true(first != MSEC_NEVER);
    caller_send_bytes(caller, STATUS "\n{\"half" + 10, strlen(STATUS "\n{\"half") - 10);
    json_decref(caller_next(caller));
    settle(shell);
    assert_true(client->request_until > first && client->request_until != MSEC_NEVER);
    caller_send_bytes(caller, "\n", 1);
    json_decref(caller_next(caller));
    settle(shell);
    assert_true(client->request_until == MSEC_NEVER);
    caller_close(caller);
}

static void
a_late_request_that_lies_ready_when_its_time_is_over_is_answered(void **state)
{
    struct shell *shell = *state;
    struct caller *caller = caller_open(shell);
    caller_send_bytes(caller, STATUS, 10);
    settle(shell);
    /* The engine stood still meanwhile: the rest came in time, but was not read. */
    caller_send_bytes(caller, STATUS "\n" + 10, strlen(STATUS) + 1 - 10);
    control_tick(shell->control, io_now() + 60000);
    json_t *reply = caller_next(caller);
    assert_non_null(at(reply, "result"));
    json_decref(reply);
    caller_close(caller);
}

static void
one_user_has_at_most_32_connections(void **state)
{
    struct shell *shell = *state;
    struct caller *callers[33];
    for (size_t i = 0; i < 33; i++)
        callers[i] = caller_open(shell);
    json_t *reply = caller_next(callers[32]);
    assert_int_equal(number_at(reply, "error.code"), 69);
    assert_true(json_is_null(at(reply, "id")));
    json_decref(reply);
    assert_true(fake_until(shell, caller_is_closed, callers[32], 5000));
    reply = caller_ask(callers[31], STATUS);
    assert_non_null(at(reply, "result"));
    json_decref(reply);
    for (size_t i = 0; i < 33; i++)
        caller_close(callers[i]);
    settle(shell);
    assert_int_equal(clients_of(shell), 0);
}

/* A child of another user reads what the server says to it. Exits 0 if that is the refusal. */
static pid_t
stranger(const struct shell *shell)
{
    chmod(shell->directory, 0711);
    chmod(shell->path, 0666);
    pid_t child = fork();
    if (child != 0)
        return child;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char line[512];
    snprintf(address.sun_path, sizeof address.sun_path, "%s", shell->path);
    if (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0)
        _exit(2);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        _exit(3);
    ssize_t n = recv(fd, line, sizeof line - 1, 0);
    line[MAX(n, 0)] = '\0';
    bool refused = strstr(line, "\"code\":77") != NULL && recv(fd, line, sizeof line, 0) == 0;
    _exit(refused ? 0 : 4);
}

struct ended {
    pid_t pid;
    int status;
};

static bool
child_has_ended(void *ctx)
{
    struct ended *ended = ctx;
    return waitpid(ended->pid, &ended->status, WNOHANG) == ended->pid;
}

static void
a_stranger_gets_one_error_line_and_is_closed(void **state)
{
    struct shell *shell = *state;
    if (getuid() != 0) {
        skip(); /* only root can be somebody else */
    }
    uint64_t before = events_next(shell->events);
    struct ended ended = {.pid = stranger(shell)};
    assert_true(fake_until(shell, child_has_ended, &ended, 10000));
    assert_int_equal(ended.status, 0);
    struct event_seen event;
    assert_true(events_get(shell->events, before, &event));
    assert_int_equal(event.id, EVENT_CONTROL_COMMAND);
    assert_non_null(strstr(event.text, "connect by user "));
    assert_non_null(strstr(event.text, "65534, pid "));
    assert_int_equal(clients_of(shell), 0);
}

static void
a_hundred_thousand_requests_at_once_are_all_answered_and_others_are_served(void **state)
{
    enum { COUNT = 100000 };
    struct shell *shell = *state;
    struct caller *flood = caller_open(shell), *other = caller_open(shell);
    static const char request[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}\n";
    size_t size = sizeof request - 1;
    char *bytes = malloc(size * COUNT);
    for (size_t i = 0; i < COUNT; i++)
        memcpy(bytes + i * size, request, size);
    struct caller_sending sending = {flood, bytes, size * COUNT};
    /* In the midst of it another caller is answered within a few turns. */
    while (sending.len > 0 && sending.len > size * COUNT / 2) {
        unsigned turns = 0;
        caller_sent(&sending);
        fake_until(shell, turns_have_passed, &turns, 1000);
    }
    uint64_t before = shell->turns;
    json_t *reply = caller_ask(other, STATUS);
    assert_non_null(at(reply, "result"));
    json_decref(reply);
    assert_true(shell->turns - before <= 10);
    if (!caller_sent(&sending))
        assert_true(fake_until(shell, caller_sent, &sending, 60000));
    assert_true(caller_await(flood, COUNT));
    assert_int_equal(flood->lines, COUNT);
    free(bytes);
    caller_close(flood);
    caller_close(other);
}

struct counting {
    struct caller *caller;
    size_t before, most; /* answers in one turn */
};

static bool
all_have_come(void *ctx)
{
    struct counting *counting = ctx;
    caller_take(counting->caller);
    counting->most = MAX(counting->most, counting->caller->lines - counting->before);
    counting->before = counting->caller->lines;
    return counting->before == counting->caller->wanted;
}

static void
one_caller_gets_at_most_eight_answers_a_turn(void **state)
{
    struct caller *caller = caller_open(*state);
    for (int i = 0; i < 100; i++)
        caller_send(caller, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}");
    caller->wanted = 100;
    struct counting counting = {.caller = caller};
    assert_true(fake_until(*state, all_have_come, &counting, 5000));
    assert_true(counting.most > 0 && counting.most <= CONTROL_REQUESTS_TURN);
    caller_close(caller);
}

/* Asks until nobody takes more: every buffer between the two is full. Returns how often. */
static size_t
fill(struct caller *caller)
{
    size_t asked = 0;
    for (int refused = 0; refused < 20;) {
        bool sent = send(caller->fd, STATUS "\n", strlen(STATUS) + 1, MSG_NOSIGNAL) > 0;
        asked += sent;
        refused = sent ? 0 : refused + 1;
        if (!sent)
            settle(caller->shell);
    }
    return asked;
}

static void
who_asks_and_does_not_read_is_closed_after_30_seconds(void **state)
{
    struct shell *shell = *state;
    struct caller *deaf = caller_open(shell);
    deaf->reads = false;
    fill(deaf);
    assert_true(json_out_pending(&shell->control->clients->out) <=
                CONTROL_OUT_HIGH + CONTROL_REQUESTS_TURN * 4096);
    msec until = shell->control->clients->read_until; /* 30 s after it took something last */
    assert_in_range(until, io_now(), io_now() + 30000);
    control_tick(shell->control, until - 1);
    settle(shell);
    assert_int_equal(clients_of(shell), 1);
    control_tick(shell->control, shell->control->clients->read_until);
    settle(shell);
    assert_int_equal(clients_of(shell), 0);
    caller_close(deaf);
}

static void
who_reads_again_in_time_gets_everything(void **state)
{
    struct shell *shell = *state;
    struct caller *slow = caller_open(shell);
    slow->reads = false;
    size_t asked = fill(slow);
    control_tick(shell->control, shell->control->clients->read_until - 1);
    slow->reads = true;
    assert_true(caller_await(slow, asked));
    while (slow->lines > 0) {
        json_t *reply = caller_line(slow);
        assert_non_null(at(reply, "result.methods.0"));
        json_decref(reply);
    }
    caller_close(slow);
}

static void
callers_that_vanish_leave_nothing_behind(void **state)
{
    struct shell *shell = *state;
    for (int i = 0; i < 300; i++) {
        struct caller *caller = caller_open(shell);
        caller_send(caller, i % 3 == 0 ? LIST : i % 3 == 1 ? STATUS "\n" STATUS : "{\"half");
        if (i % 2 == 0)
            settle(shell);
        caller_close(caller);
    }
    settle(shell);
    settle(shell);
    assert_int_equal(clients_of(shell), 0);
}

static void
a_caller_that_shuts_its_sending_side_still_gets_its_answers(void **state)
{
    struct shell *shell = *state;
    struct caller *caller = caller_open(shell);
    caller_send(caller, STATUS);
    caller_send(caller, LIST);
    caller_send(caller, STATUS);
    assert_int_equal(shutdown(caller->fd, SHUT_WR), 0);
    assert_true(caller_await(caller, 3));
    assert_true(fake_until(shell, caller_is_closed, caller, 5000));
    assert_int_equal(caller->lines, 3);
    caller_close(caller);
}

static void
without_descriptors_accepting_pauses_and_goes_on(void **state)
{
    struct shell *shell = *state;
    struct rlimit limit, none;
    struct caller *early = caller_open(shell), *late = caller_open(shell);
    int highest = dup(0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = (rlim_t)highest;
    close(highest);
    /* Everything below is taken, so that accept has no number to give. */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    uint64_t before = shell->turns;
    unsigned turns = 1000;
    fake_until(shell, turns_have_passed, &turns, 150);
    uint64_t spun = shell->turns - before;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(spun < 100); /* it does not turn around the listener */
    json_t *reply = caller_ask(late, STATUS);
    assert_non_null(at(reply, "result"));
    json_decref(reply);
    caller_close(early);
    caller_close(late);
}

static void
callers_wait_until_the_engine_opens(void **state)
{
    struct shell *shell = *state;
    struct err err = {0};
    control_destroy(&shell->control);
    unlink(shell->path);
    rmdir(shell->directory);
    assert_int_equal(control_create(&shell->control, shell, fake_listen(shell), &err), 0);
    struct caller *caller = caller_open(shell);
    caller_send(caller, STATUS);
    settle(shell);
    assert_int_equal(shell->control->client_count, 0);
    assert_false(caller_is_closed(caller));
    control_open(shell->control);
    json_t *reply = caller_next(caller);
    assert_non_null(at(reply, "result"));
    json_decref(reply);
    caller_close(caller);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_of_64_kib_is_taken_and_one_byte_more_ends_the_connection),
        cmocka_unit_test(a_request_may_come_byte_by_byte_within_five_seconds),
        cmocka_unit_test(a_request_that_is_not_complete_after_five_seconds_ends_the_connection),
        cmocka_unit_test(the_five_seconds_begin_anew_with_each_request),
        cmocka_unit_test(one_caller_gets_at_most_eight_answers_a_turn),
        cmocka_unit_test(a_late_request_that_lies_ready_when_its_time_is_over_is_answered),
        cmocka_unit_test(one_user_has_at_most_32_connections),
        cmocka_unit_test(a_stranger_gets_one_error_line_and_is_closed),
        cmocka_unit_test(
            a_hundred_thousand_requests_at_once_are_all_answered_and_others_are_served),
        cmocka_unit_test(who_asks_and_does_not_read_is_closed_after_30_seconds),
        cmocka_unit_test(who_reads_again_in_time_gets_everything),
        cmocka_unit_test(callers_that_vanish_leave_nothing_behind),
        cmocka_unit_test(a_caller_that_shuts_its_sending_side_still_gets_its_answers),
        cmocka_unit_test(callers_wait_until_the_engine_opens),
        cmocka_unit_test(without_descriptors_accepting_pauses_and_goes_on),
    };
    return cmocka_run_group_tests(tests, setup, teardown) ? 1 : 0;
}
