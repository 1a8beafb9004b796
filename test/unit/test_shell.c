/* test_shell.c - parts of the shell over a real core, without a keeper: what its reports, workers'
 * messages and the core's events become. */
#include "supervisor/engine/tell.h"
#include "test/unit/shell_world.h"

static void
feed(enum event_kind kind, uint32_t generation)
{
    struct event event = {.kind = kind, .worker.generation = generation};
    event.settings = &shell.record.pools[0].settings;
    shell_feed(&shell, &event);
}

/* --- Reports. */

/* The state was lost: workers of the engine before are listed to a core that has no record of them. */
static void
workers_that_no_saved_state_explains_are_taken_in(void **state)
{
    (void)state;
    when_turns_pass(BOOT_LISTING);
    report(VERB_LISTED_WORKER, 1, PHASE_EXECUTED);
    report(VERB_LISTED_WORKER, 2, PHASE_EXECUTED);
    report(VERB_EXITED, 1, PHASE_EXITED);
    report(VERB_LIST_END, 0, PHASE_SPAWNED);
    when_turns_pass(BOOT_DONE);
    struct pool_view pool;
    assert_true(core_pool(shell.core, 0, shell_now(&shell), &pool));
    assert_int_equal(pool.state, POOL_STARTED);
    assert_int_equal(pool.ready, 1);
    assert_int_equal(pool.starting + pool.draining, 0);
    struct worker_view worker;
    assert_true(core_worker(shell.core, core_worker_first(shell.core, 0), &worker));
    assert_int_equal(worker.id.generation, 2);
    struct verb asked;
    while (recv(keeper, &asked, sizeof asked, MSG_DONTWAIT) == (ssize_t)sizeof asked)
        assert_true(asked.kind == VERB_LIST || asked.kind == VERB_RELEASE);
}

/* It had added the pool, and ended before it could start it. */
static void
a_pool_that_the_engine_before_only_added_is_started(void **state)
{
    (void)state;
    feed(EV_POOL_ADD, 0);
    shell.restored = true;
    when_turns_pass(BOOT_LISTING);
    report(VERB_LIST_END, 0, PHASE_SPAWNED);
    when_turns_pass(BOOT_DONE);
    struct pool_view pool;
    assert_true(core_pool(shell.core, 0, shell_now(&shell), &pool));
    assert_true(pool.wanted_up);
    assert_int_equal(pool.starting, 1);
}

static void
a_stray_is_told_by_its_name_alone(void **state)
{
    (void)state;
    struct verb verb = {.version = VERB_VERSION, .kind = VERB_STRAY, .pid = 77, .u.name = "sh"};
    shell_on_report(&shell, &verb, NULL, 0);
    assert_string_equal(told, "process 77 (sh), left behind by a worker, has ended pid=77 name=sh");
}

/* --- Workers. */

/* A path that fills sun_path has no room for its NUL, and the kernel counts one all the same. */
static void
a_worker_whose_address_is_as_long_as_can_be_gets_its_drain(void **state)
{
    (void)state;
    char directory[] = "/tmp/poold-test-XXXXXX", path[128], text[128];
    assert_non_null(mkdtemp(directory));
    struct sockaddr_un own = {.sun_family = AF_UNIX};
    memset(path, 'x', sizeof path);
    memcpy(path, directory, strlen(directory));
    path[strlen(directory)] = '/';
    path[sizeof own.sun_path] = '\0';
    memcpy(own.sun_path, path, sizeof own.sun_path);

    int pair[2], one = 1;
    struct sockaddr_un notify = {.sun_family = AF_UNIX};
    socklen_t len = sizeof notify;
    pair[0] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    pair[1] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof one), 0);
    assert_int_equal(bind(pair[0], (struct sockaddr *)&notify, sizeof notify.sun_family), 0);
    assert_int_equal(getsockname(pair[0], (struct sockaddr *)&notify, &len), 0);
    assert_int_equal(bind(pair[1], (struct sockaddr *)&own, sizeof own), 0);
    assert_int_equal(connect(pair[1], (struct sockaddr *)&notify, len), 0);
    assert_int_equal(send(pair[1], "STATUS=here", 11, 0), 11);

    struct worker_id id = {.generation = 1};
    workers_attach(shell.workers, 0, id, getpid(), (uint32_t)getuid(), pair[0], -1);
    struct portion portion = portion_of(WORKERS, 1000000);
    workers_read(shell.workers, &portion);
    assert_int_equal(portion.taken, 1);
    assert_int_equal(workers_send_drain(shell.workers, 0, 90000), 0);
    ssize_t n = recv(pair[1], text, sizeof text - 1, 0);
    assert_true(n > 0);
    text[n] = '\0';
    assert_string_equal(text, "DRAIN=1\nDEADLINE_USEC=90000000\n");
    close(pair[1]);
    unlink(path);
    rmdir(directory);
}

/* What the kernel said is kept where the portion ends: nobody is passed over. */
static void
every_worker_is_read_in_turn_whatever_the_portion(void **state)
{
    (void)state;
    int write_end[WORKERS];
    for (uint32_t i = 0; i < WORKERS; i++) {
        int ends[2];
        assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
        write_end[i] = ends[1];
        workers_attach(shell.workers, i, (struct worker_id){.slot = i, .generation = 1}, 1, 0, -1,
                       ends[0]);
        for (int line = 0; line < 2000; line++) /* more than one visit takes */
            assert_int_equal(write(ends[1], "x\n", 2), 2);
    }
    bool heard[WORKERS] = {false};
    for (uint32_t i = 0; i < 2 * WORKERS; i++) {
        struct portion portion = portion_of(1, 0);
        assert_true(workers_read(shell.workers, &portion));
        assert_int_equal(portion.taken, 1);
        for (uint32_t j = 0; j < WORKERS; j++) {
            struct shell_worker seen;
            workers_describe(shell.workers, j, &seen);
            heard[j] |= seen.last_line[0] == 'x';
            if (i == WORKERS - 1)
                assert_true(heard[j]);
        }
    }
    for (uint32_t i = 0; i < WORKERS; i++)
        close(write_end[i]);
}

/* --- Events. */

static void
a_worker_that_cannot_be_killed_is_told_with_the_time_since_the_kill(void **state)
{
    (void)state;
    struct action action = {.kind = ACT_EVENT,
                            .event = EVENT_WORKER_UNKILLABLE,
                            .worker = {.generation = 1},
                            .handle = NONE,
                            .other_handle = NONE,
                            .drain_ms = 60000};
    tell(&shell, &action);
    assert_string_equal(told, "is still there 60 s after SIGKILL pid=0");
}

/* The worker has been released by then. */
static void
a_disabled_pool_is_told_with_the_last_line_of_the_worker_that_failed(void **state)
{
    (void)state;
    int output[2];
    feed(EV_POOL_ADD, 0);
    feed(EV_POOL_START, 0);
    assert_int_equal(pipe(output), 0);
    assert_int_equal(write(output[1], "no database\n", 12), 12);
    close(output[1]);
    struct verb verb = {
        .version = VERB_VERSION, .kind = VERB_SPAWNED, .worker.generation = 1, .pid = 77};
    const int fds[] = {dup(keeper), output[0]};
    shell_on_report(&shell, &verb, fds, 2);
    report(VERB_EXECUTED, 1, PHASE_EXECUTED);
    report(VERB_EXITED, 1, PHASE_EXITED);
    assert_non_null(strstr(told, "disabled: 1 failures"));
    assert_non_null(strstr(told, "last_line=\"no database\""));
}

#define SHELL_TEST(claim) cmocka_unit_test_setup_teardown(claim, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SHELL_TEST(workers_that_no_saved_state_explains_are_taken_in),
        SHELL_TEST(a_pool_that_the_engine_before_only_added_is_started),
        SHELL_TEST(a_stray_is_told_by_its_name_alone),
        SHELL_TEST(every_worker_is_read_in_turn_whatever_the_portion),
        SHELL_TEST(a_worker_whose_address_is_as_long_as_can_be_gets_its_drain),
        SHELL_TEST(a_worker_that_cannot_be_killed_is_told_with_the_time_since_the_kill),
        SHELL_TEST(a_disabled_pool_is_told_with_the_last_line_of_the_worker_that_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
