/* test_poolworker_listen.c - listeners by name, accepting one at a time, without descriptors, and leaving. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>

#include "test/unit/poolworker_world.h"

#define FIRST 3 /* where listeners are handed over */

struct place {
    int saved; /* what the test program had at FIRST + i, -1: nothing */
    struct sockaddr_in address;
};
static struct place places[3];

static int
listener_make(struct sockaddr_in *address)
{
    socklen_t len = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)address, sizeof *address), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)address, &len), 0);
    return fd;
}

/* Three listeners from descriptor 3 on, as poold hands them over. */
static int
listen_setup(void **state)
{
    char pid[16];
    for (int i = 0; i < 3; i++)
        places[i].saved = fcntl(FIRST + i, F_DUPFD_CLOEXEC, 100);
    world_setup(state);
    struct world *world = *state;
    if (world->poold < FIRST + 3) { /* where a listener comes to be */
        int poold = fcntl(world->poold, F_DUPFD_CLOEXEC, 100);
        close(world->poold);
        world->poold = poold;
    }
    for (int i = 0; i < 3; i++) {
        int fd = listener_make(&places[i].address);
        if (fd != FIRST + i) {
            assert_int_equal(dup2(fd, FIRST + i), FIRST + i);
            close(fd);
        }
    }
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "3", 1);
    setenv("LISTEN_FDNAMES", "web:admin:web", 1);
    world_create(world, 0);
    return 0;
}

static int
listen_teardown(void **state)
{
    world_teardown(state);
    for (int i = 0; i < 3; i++) {
        close(FIRST + i);
        if (places[i].saved >= 0) {
            dup2(places[i].saved, FIRST + i);
            close(places[i].saved);
        }
    }
    return 0;
}

static int
client(int at)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&places[at].address, sizeof places[at].address),
                     0);
    return fd;
}

static bool
has_flag(int fd, int get, int flag)
{
    return (fcntl(fd, get) & flag) != 0;
}

static void
listeners_are_found_by_number_and_by_name(void **state)
{
    struct world *world = *state;
    struct poolworker *pw = world->pw;
    assert_int_equal(poolworker_listeners(pw), 3);
    assert_int_equal(poolworker_listener(pw, 1), FIRST + 1);
    assert_int_equal(poolworker_listener(pw, 3), -1);
    assert_string_equal(poolworker_listener_name(pw, 0), "web");
    assert_string_equal(poolworker_listener_name(pw, 1), "admin");
    assert_string_equal(poolworker_listener_name(pw, 2), "web");
    assert_string_equal(poolworker_listener_name(pw, 3), "");
    assert_int_equal(poolworker_listener_named(pw, "admin"), FIRST + 1);
    assert_int_equal(poolworker_listener_named(pw, "web"), FIRST);
    assert_int_equal(poolworker_listener_named(pw, "we"), -1);
    for (int i = 0; i < 3; i++)
        assert_true(has_flag(FIRST + i, F_GETFD, FD_CLOEXEC));
}

static void
missing_names_are_empty(void **state)
{
    struct world *world = *state;
    poolworker_destroy(&world->pw);
    setenv("LISTEN_FDNAMES", "web", 1);
    world_create(world, 0);
    assert_string_equal(poolworker_listener_name(world->pw, 0), "web");
    assert_string_equal(poolworker_listener_name(world->pw, 2), "");
}

static void
listeners_of_another_process_are_left_alone(void **state)
{
    struct world *world = *state;
    poolworker_destroy(&world->pw);
    setenv("LISTEN_PID", "1", 1);
    world_create(world, 0);
    assert_int_equal(poolworker_listeners(world->pw), 0);
    assert_int_equal(poolworker_accept_wait(world->pw, 0, NULL), -ENOENT);
}

static void
accept_takes_one_connection_or_says_that_there_is_none(void **state)
{
    struct world *world = *state;
    assert_int_equal(poolworker_accept(world->pw, FIRST), -EAGAIN);
    int first = client(0), second = client(0);
    int fd = poolworker_accept(world->pw, FIRST);
    assert_true(fd >= 0);
    assert_true(has_flag(fd, F_GETFD, FD_CLOEXEC) && has_flag(fd, F_GETFL, O_NONBLOCK));
    int other = poolworker_accept(world->pw, FIRST);
    assert_true(other >= 0);
    assert_int_equal(poolworker_accept(world->pw, FIRST), -EAGAIN);
    close(fd), close(other), close(first), close(second);
}

/* The epoll descriptor, and an event of it that is there. 0: none. */
static uint64_t
event_of(int epoll_fd, int within_ms)
{
    struct epoll_event event;
    return epoll_wait(epoll_fd, &event, 1, within_ms) == 1 ? event.data.u64 : 0;
}

static void
a_watched_listener_is_reported_with_its_data_until_the_worker_leaves(void **state)
{
    struct world *world = *state;
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC), waiting = client(1);
    assert_int_equal(poolworker_watch(world->pw, epoll_fd, FIRST, 17), 0);
    assert_int_equal(poolworker_watch(world->pw, epoll_fd, FIRST + 1, 18), 0);
    assert_int_equal(poolworker_watch(world->pw, epoll_fd, FIRST + 1, 18), -EEXIST);
    assert_int_equal(event_of(epoll_fd, WORLD_LIMIT_MS), 18);
    poolworker_ready(world->pw);
    world_hear(world);
    world_say(world, "DRAIN=1\n");
    assert_string_equal(world_hear(world), "STOPPING=1\n");
    assert_int_equal(event_of(epoll_fd, 0), 0); /* though somebody still waits there */
    assert_int_equal(poolworker_accept(world->pw, FIRST + 1), -ESHUTDOWN);
    assert_int_equal(poolworker_watch(world->pw, epoll_fd, FIRST, 17), -ESHUTDOWN);
    close(waiting), close(epoll_fd);
}

static void
who_unwatches_is_told_of_no_connection_any_more(void **state)
{
    struct world *world = *state;
    int gone = epoll_create1(EPOLL_CLOEXEC), kept = epoll_create1(EPOLL_CLOEXEC);
    poolworker_watch(world->pw, gone, FIRST, 1);
    poolworker_watch(world->pw, kept, FIRST, 2);
    poolworker_unwatch(world->pw, gone);
    int waiting = client(0);
    assert_int_equal(event_of(kept, WORLD_LIMIT_MS), 2);
    assert_int_equal(event_of(gone, 0), 0);
    close(gone), close(kept), close(waiting);
}

struct waiter {
    pthread_t thread;
    _Atomic pid_t tid; /* 0: it has not begun */
    struct poolworker *pw;
    int epoll_fd;
    uint64_t seen;
    int result;
};

static void
waiter_begin(struct waiter *waiter, void *(*run)(void *))
{
    assert_int_equal(pthread_create(&waiter->thread, NULL, run, waiter), 0);
}

/* Until the kernel says that it sleeps, which it does nowhere but in its one call. */
static void
waiter_is_asleep(struct waiter *waiter)
{
    char path[64], state = 'R';
    for (unsigned i = 0; state != 'S'; i++) {
        assert_true(i < WORLD_LIMIT_MS);
        usleep(1000);
        snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)waiter->tid);
        FILE *file = waiter->tid != 0 ? fopen(path, "re") : NULL;
        if (file == NULL)
            continue;
        assert_int_equal(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
        fclose(file);
    }
}

static void *
wait_for_event(void *context)
{
    struct waiter *waiter = context;
    waiter->tid = gettid();
    waiter->seen = event_of(waiter->epoll_fd, WORLD_LIMIT_MS);
    return NULL;
}

/* EPOLLEXCLUSIVE: one or more of them, and not all. The others are woken by something else. */
static void
a_connection_does_not_wake_all_who_wait(void **state)
{
    enum { WAITERS = 8, CONNECTION = 1, END = 2 };
    struct world *world = *state;
    struct waiter waiters[WAITERS] = {0};
    struct epoll_event end = {.events = EPOLLIN, .data.u64 = END};
    int end_fd = eventfd(0, EFD_CLOEXEC), woken = 0;
    for (int i = 0; i < WAITERS; i++) {
        waiters[i].epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        epoll_ctl(waiters[i].epoll_fd, EPOLL_CTL_ADD, end_fd, &end);
        assert_int_equal(poolworker_watch(world->pw, waiters[i].epoll_fd, FIRST, CONNECTION), 0);
        waiter_begin(&waiters[i], wait_for_event);
    }
    for (int i = 0; i < WAITERS; i++)
        waiter_is_asleep(&waiters[i]);
    int waiting = client(0);
    eventfd_write(end_fd, 1);
    for (int i = 0; i < WAITERS; i++) {
        pthread_join(waiters[i].thread, NULL);
        assert_int_not_equal(waiters[i].seen, 0);
        woken += waiters[i].seen == CONNECTION;
        close(waiters[i].epoll_fd);
    }
    assert_in_range(woken, 1, WAITERS - 1);
    close(waiting), close(end_fd);
}

/* --- Without descriptors. */

static struct rlimit
descriptors_take_away(void)
{
    struct rlimit limit, none;
    getrlimit(RLIMIT_NOFILE, &limit);
    none = (struct rlimit){3, limit.rlim_max}; /* 0 to 2 are taken; poll(2) wants one */
    setrlimit(RLIMIT_NOFILE, &none);
    return limit;
}

static void
without_descriptors_a_watched_listener_rests_and_comes_back(void **state)
{
    struct world *world = *state;
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC), waiting = client(0);
    poolworker_watch(world->pw, epoll_fd, FIRST, 5);
    assert_int_equal(event_of(epoll_fd, WORLD_LIMIT_MS), 5);
    struct rlimit limit = descriptors_take_away();
    int r = poolworker_accept(world->pw, FIRST);
    setrlimit(RLIMIT_NOFILE, &limit);
    assert_int_equal(r, -EMFILE);
    assert_int_equal(event_of(epoll_fd, 0), 0); /* a loop would spin here */
    assert_true(world_turn(world, WORLD_LIMIT_MS));
    assert_int_equal(event_of(epoll_fd, WORLD_LIMIT_MS), 5);
    int fd = poolworker_accept(world->pw, FIRST);
    assert_true(fd >= 0);
    close(fd), close(waiting), close(epoll_fd);
}

static void
a_listener_that_rests_when_the_worker_leaves_does_not_come_back(void **state)
{
    struct world *world = *state;
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC), waiting = client(0);
    poolworker_watch(world->pw, epoll_fd, FIRST, 5);
    struct rlimit limit = descriptors_take_away();
    assert_int_equal(poolworker_accept(world->pw, FIRST), -EMFILE);
    setrlimit(RLIMIT_NOFILE, &limit);
    poolworker_stopping(world->pw);
    while (world_turn(world, 200))
        continue;
    assert_int_equal(event_of(epoll_fd, 0), 0);
    close(waiting), close(epoll_fd);
}

/* --- Threads that wait. */

static void
who_waits_gets_a_blocking_connection_and_is_told_of_which_listener(void **state)
{
    struct world *world = *state;
    int listener = -1, waiting = client(2);
    int fd = poolworker_accept_wait(world->pw, WORLD_LIMIT_MS, &listener);
    assert_true(fd >= 0);
    assert_int_equal(listener, FIRST + 2);
    assert_true(has_flag(fd, F_GETFD, FD_CLOEXEC) && !has_flag(fd, F_GETFL, O_NONBLOCK));
    assert_int_equal(poolworker_accept_wait(world->pw, 1, NULL), -ETIMEDOUT);
    close(fd), close(waiting);
}

static void *
wait_for_ever(void *context)
{
    struct waiter *waiter = context;
    waiter->tid = gettid();
    waiter->result = poolworker_accept_wait(waiter->pw, -1, NULL);
    return NULL;
}

static void
threads_that_wait_are_all_woken_when_the_worker_is_to_leave(void **state)
{
    struct world *world = *state;
    struct waiter waiters[8] = {0};
    for (int i = 0; i < 8; i++) {
        waiters[i].pw = world->pw;
        waiter_begin(&waiters[i], wait_for_ever);
    }
    waiter_is_asleep(&waiters[7]);
    poolworker_stopping(world->pw);
    for (int i = 0; i < 8; i++) {
        pthread_join(waiters[i].thread, NULL);
        assert_int_equal(waiters[i].result, -ESHUTDOWN);
    }
    assert_int_equal(poolworker_accept_wait(world->pw, -1, NULL), -ESHUTDOWN);
}

static void
who_waits_without_descriptors_rests_and_goes_on_when_there_are_some(void **state)
{
    struct world *world = *state;
    struct timespec before, after;
    assert_int_equal(poolworker_accept_wait(world->pw, 0, NULL), -ETIMEDOUT);
    int waiting = client(0);
    struct rlimit limit = descriptors_take_away();
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    int r = poolworker_accept_wait(world->pw, 1000, NULL);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    setrlimit(RLIMIT_NOFILE, &limit);
    assert_int_equal(r, -ETIMEDOUT);
    int64_t ms = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
    assert_true(ms < 300); /* of a CPU: spinning takes all of it */
    int fd = poolworker_accept_wait(world->pw, WORLD_LIMIT_MS, NULL);
    assert_true(fd >= 0);
    close(fd), close(waiting);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, listen_setup, listen_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(listeners_are_found_by_number_and_by_name),
        TEST(missing_names_are_empty),
        TEST(listeners_of_another_process_are_left_alone),
        TEST(accept_takes_one_connection_or_says_that_there_is_none),
        TEST(a_watched_listener_is_reported_with_its_data_until_the_worker_leaves),
        TEST(who_unwatches_is_told_of_no_connection_any_more),
        TEST(a_connection_does_not_wake_all_who_wait),
        TEST(without_descriptors_a_watched_listener_rests_and_comes_back),
        TEST(a_listener_that_rests_when_the_worker_leaves_does_not_come_back),
        TEST(who_waits_gets_a_blocking_connection_and_is_told_of_which_listener),
        TEST(threads_that_wait_are_all_woken_when_the_worker_is_to_leave),
        TEST(who_waits_without_descriptors_rests_and_goes_on_when_there_are_some),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
