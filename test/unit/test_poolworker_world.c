/* test_poolworker_world.c - libpoolworker in a world that is not kind: nobody there, a poold that does not
 * read, or that talks nonsense, children, and other service managers. */
#include <sys/wait.h>
#include <time.h>

#include "test/unit/poolworker_world.h"

/* --- Who is there. */

static void
without_notify_socket_every_call_works_and_says_nothing(void **state)
{
    struct world *world = *state;
    unsetenv("NOTIFY_SOCKET");
    world_create(world, POOLWORKER_CLEAN);
    struct poolworker *pw = world->pw;
    assert_int_equal(poolworker_level(pw), POOLWORKER_ALONE);
    poolworker_ready(pw);
    poolworker_status(pw, "here");
    poolworker_recycle(pw, "old");
    poolworker_unhealthy(pw);
    poolworker_extend(pw, 1000);
    poolworker_alive(pw);
    poolworker_request_begin(pw);
    assert_int_equal(poolworker_active(pw), 1);
    poolworker_request_end(pw);
    assert_int_equal(poolworker_requests(pw), 1);
    assert_false(world_is_readable(poolworker_fd(pw), 50));
    poolworker_dispatch(pw);
    poolworker_stopping(pw);
    assert_true(poolworker_is_draining(pw));
    assert_false(world_take(world));
}

static void
an_address_that_is_none_is_refused(void **state)
{
    struct world *world = *state;
    char long_path[300];
    memset(long_path, 'x', sizeof long_path);
    long_path[0] = '/';
    long_path[sizeof long_path - 1] = '\0';
    const char *const none[] = {"relative", "/", "@", "vsock:2:1234", long_path};
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        setenv("NOTIFY_SOCKET", none[i], 1);
        assert_int_equal(poolworker_create(&world->pw, 0), -EINVAL);
        assert_null(world->pw);
    }
    setenv("NOTIFY_SOCKET", world->path, 1);
    assert_int_equal(poolworker_create(&world->pw, 1u << 31), -EINVAL);
}

static void
who_fails_to_be_made_leaves_no_descriptor(void **state)
{
    struct world *world = *state;
    char pid[16];
    int before = dup(0);
    close(before);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "60", 1); /* there are none */
    assert_int_equal(poolworker_create(&world->pw, 0), -EBADF);
    int after = dup(0);
    close(after);
    assert_int_equal(after, before);
}

static void
another_service_manager_hears_what_sd_notify_knows_and_no_more(void **state)
{
    struct world *world = *state;
    unsetenv("POOLD_PROTOCOL");
    world_create(world, 0);
    assert_int_equal(poolworker_level(world->pw), POOLWORKER_NOTIFY);
    poolworker_request_begin(world->pw);
    poolworker_recycle(world->pw, "old");
    assert_false(world_turn(world, 50));
    poolworker_ready(world->pw);
    assert_string_equal(world_hear(world), "READY=1\n");
    assert_int_equal(world->worker_len,
                     0); /* no address: there is nothing that it could be asked */
}

static void
a_poold_with_a_newer_protocol_is_spoken_to_as_any_service_manager(void **state)
{
    struct world *world = *state;
    setenv("POOLD_PROTOCOL", "2", 1);
    world_create(world, 0);
    assert_int_equal(poolworker_level(world->pw), POOLWORKER_NOTIFY);
}

static void
an_abstract_address_works_as_well(void **state)
{
    struct world *world = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[64];
    int len = snprintf(name, sizeof name, "@%s", world->path);
    memcpy(address.sun_path + 1, name + 1, (size_t)len - 1);
    close(world->poold);
    world->poold = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(world->poold, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len)),
                     0);
    setenv("NOTIFY_SOCKET", name, 1);
    world_begin(world);
}

static void
the_environment_is_cleaned_when_asked_for(void **state)
{
    struct world *world = *state;
    setenv("POOLD_POOL", "web", 1);
    world_create(world, 0);
    assert_non_null(getenv("NOTIFY_SOCKET"));
    poolworker_destroy(&world->pw);
    world_create(world, POOLWORKER_CLEAN);
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("POOLD_PROTOCOL"));
    assert_string_equal(getenv("POOLD_POOL"), "web"); /* who it is, it may tell its children */
    poolworker_ready(world->pw);
    assert_string_equal(world_hear(world), "READY=1\n");
}

/* --- A poold that does not read. */

/* Fills poold's queue with messages of another sender. */
static int
fill_queue(const struct world *world)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, world->path, strlen(world->path));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), sent = 0;
    while (sendto(fd, "X=1", 3, MSG_DONTWAIT, (struct sockaddr *)&address, sizeof address) == 3)
        sent++;
    assert_int_equal(errno, EAGAIN);
    close(fd);
    return sent;
}

static void
a_poold_that_does_not_read_blocks_nobody_and_hears_the_latest_later(void **state)
{
    struct world *world = *state;
    char status[32];
    world_create(world, 0);
    int filled = fill_queue(world);
    poolworker_ready(world->pw);
    for (int i = 0; i < 1000; i++) {
        snprintf(status, sizeof status, "number %d", i);
        poolworker_status(world->pw, status);
        poolworker_request_begin(world->pw);
        poolworker_request_end(world->pw);
    }
    assert_true(world_turn(world, WORLD_LIMIT_MS)); /* it tries again, in vain */
    while (filled-- > 0)
        assert_true(world_take(world));
    assert_string_equal(world_hear(world), "READY=1\nSTATUS=number 999\nREQUESTS=1000\nACTIVE=0\n");
    assert_false(world_take(world));
}

static void
tries_become_rare_while_poold_does_not_read(void **state)
{
    struct world *world = *state;
    struct timespec begun, now;
    world_create(world, 0);
    fill_queue(world);
    clock_gettime(CLOCK_MONOTONIC, &begun);
    poolworker_ready(world->pw);
    for (unsigned turns = 0; turns < 6;)
        turns += world_turn(world, WORLD_LIMIT_MS);
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t ms = (now.tv_sec - begun.tv_sec) * 1000 + (now.tv_nsec - begun.tv_nsec) / 1000000;
    assert_true(ms >=
                20 + 40 + 80 + 160 + 320 + 640 - 6); /* each may begin in the middle of a ms */
}

static void
a_poold_that_was_not_there_is_spoken_to_when_it_is(void **state)
{
    struct world *world = *state;
    close(world->poold);
    unlink(world->path);
    world_create(world, 0);
    poolworker_ready(world->pw);
    poolworker_status(world->pw, "waiting");
    world_bind(world);
    assert_string_equal(world_hear(world), "READY=1\nSTATUS=waiting\n");
}

static void
after_a_refused_message_the_worker_connects_again(void **state)
{
    struct world *world = *state;
    world_begin(world);
    close(world->poold);
    world_bind(world);
    poolworker_status(world->pw, "again");
    assert_true(world_take(world)); /* at once: nothing was lost in between */
    assert_string_equal(world->text, "STATUS=again\n");
    world_say(world, "PING=3\n");
    assert_string_equal(world_hear(world), "PONG=3\n");
}

/* --- A poold that talks nonsense. */

static void
nonsense_is_ignored_and_what_follows_is_heard(void **state)
{
    struct world *world = *state;
    static char huge[100000];
    memset(huge, 'A', sizeof huge);
    world_begin(world);
    world_say(world, "PING=");
    world_say(world, "PING=-1\n");
    world_say(world, "PING=99999999999999999999999\n");
    world_say(world, "=\n");
    world_send(world, "PING=1\0\nDRAIN=1", 15);
    while (world_turn(world, 0))
        continue;
    world_say(world, "");
    world_say(world, "DRAIN=2\nPONG=5\nREADY=1\nREQUESTS=7\n");
    world_say(world, "DRAIN\n");
    world_send(world, huge, sizeof huge);
    world_send(world, huge, MESSAGE_MAX + 1);
    while (world_turn(world, 0))
        continue;
    assert_false(world_take(world));
    assert_int_equal(world->drains, 0);
    world_say(world, "UNHEARD=of\nPING=6\n");
    assert_string_equal(world_hear(world), "PONG=6\n");
}

static void
random_bytes_do_no_harm(void **state)
{
    struct world *world = *state;
    static const char *const words[] = {"PING=",          "DRAIN=", "1", "\n", "=",
                                        "DEADLINE_USEC=", "\0",     "9", "",   "\xff"};
    unsigned seed = 1;
    world_begin(world);
    for (unsigned i = 0; i < 5000; i++) {
        char text[256];
        size_t len = 0;
        for (unsigned n = (unsigned)rand_r(&seed) % 12; n > 0; n--) {
            const char *word = words[(unsigned)rand_r(&seed) % ARRAY_LEN(words)];
            size_t word_len = word[0] == '\0' ? (unsigned)rand_r(&seed) % 2 : strlen(word);
            memcpy(text + len, word, word_len);
            len += word_len;
        }
        world_send(world, text, len);
        while (world_turn(world, 0))
            continue;
        while (world_take(world))
            continue;
    }
    world_say(world, "PING=123456789\n");
    while (strstr(world_hear(world), "PONG=123456789") == NULL)
        continue;
}

/* --- Watchdog. */

static void
the_watchdog_is_fed_by_dispatch_as_often_as_asked(void **state)
{
    struct world *world = *state;
    setenv("WATCHDOG_USEC", "100000", 1);
    world_create(world, 0);
    for (int i = 0; i < 3; i++)
        assert_string_equal(world_hear(world), "WATCHDOG=1\n");
}

static void
the_watchdog_of_another_process_is_not_fed(void **state)
{
    struct world *world = *state;
    setenv("WATCHDOG_USEC", "20000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    world_create(world, 0);
    assert_false(world_turn(world, 100));
    poolworker_destroy(&world->pw);
    unsetenv("WATCHDOG_PID");
    world_create(world, POOLWORKER_OWN_WATCHDOG);
    assert_false(world_turn(world, 100));
    poolworker_alive(world->pw);
    assert_string_equal(world_hear(world), "WATCHDOG=1\n");
}

/* --- Children. */

static void
in_a_child(void (*what)(struct world *), struct world *world)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        what(world);
        poolworker_destroy(&world->pw);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void
speak(struct world *world)
{
    poolworker_ready(world->pw);
    poolworker_status(world->pw, "I am the worker");
    poolworker_unhealthy(world->pw);
    poolworker_stopping(world->pw);
    poolworker_dispatch(world->pw);
}

static void
a_child_says_nothing_and_takes_nothing(void **state)
{
    struct world *world = *state;
    world_begin(world);
    world_say(world, "PING=4\n");
    in_a_child(speak, world);
    assert_false(world_take(world));
    assert_false(poolworker_is_draining(world->pw));
    assert_string_equal(world_hear(world), "PONG=4\n"); /* the worker's, and still there */
}

static void
count(struct world *world)
{
    for (int i = 0; i < 10; i++) {
        poolworker_request_begin(world->pw);
        poolworker_request_end(world->pw);
    }
    poolworker_request_begin(world->pw);
}

static void
requests_of_a_child_are_counted_and_wake_the_worker(void **state)
{
    struct world *world = *state;
    world_begin(world);
    in_a_child(count, world);
    assert_string_equal(world_hear(world), "REQUESTS=10\nACTIVE=1\n");
}

static void
expect_to_leave(struct world *world)
{
    if (!poolworker_is_draining(world->pw) || poolworker_accept(world->pw, 0) != -ESHUTDOWN)
        _exit(1);
}

static void
a_child_sees_that_the_worker_is_to_leave(void **state)
{
    struct world *world = *state;
    world_begin(world);
    poolworker_stopping(world->pw);
    in_a_child(expect_to_leave, world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_notify_socket_every_call_works_and_says_nothing),
        TEST(an_address_that_is_none_is_refused),
        TEST(who_fails_to_be_made_leaves_no_descriptor),
        TEST(another_service_manager_hears_what_sd_notify_knows_and_no_more),
        TEST(a_poold_with_a_newer_protocol_is_spoken_to_as_any_service_manager),
        TEST(an_abstract_address_works_as_well),
        TEST(the_environment_is_cleaned_when_asked_for),
        TEST(a_poold_that_does_not_read_blocks_nobody_and_hears_the_latest_later),
        TEST(tries_become_rare_while_poold_does_not_read),
        TEST(a_poold_that_was_not_there_is_spoken_to_when_it_is),
        TEST(after_a_refused_message_the_worker_connects_again),
        TEST(nonsense_is_ignored_and_what_follows_is_heard),
        TEST(random_bytes_do_no_harm),
        TEST(the_watchdog_is_fed_by_dispatch_as_often_as_asked),
        TEST(the_watchdog_of_another_process_is_not_fed),
        TEST(a_child_says_nothing_and_takes_nothing),
        TEST(requests_of_a_child_are_counted_and_wake_the_worker),
        TEST(a_child_sees_that_the_worker_is_to_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
