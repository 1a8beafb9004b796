/* test_poolworker_count.c - counting by many threads at a time; the thread sanitizer runs it too. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>

#include "test/unit/poolworker_world.h"

enum { THREADS = 8, REQUESTS = 50000 };

static void *
count_requests(void *context)
{
    for (int i = 0; i < REQUESTS; i++) {
        poolworker_request_begin(context);
        poolworker_request_end(context);
    }
    return NULL;
}

/* A request that begins in one thread may end in another. */
static void *
begin_requests(void *context)
{
    for (int i = 0; i < REQUESTS; i++)
        poolworker_request_begin(context);
    return NULL;
}

static void *
end_requests(void *context)
{
    for (int i = 0; i < REQUESTS; i++)
        poolworker_request_end(context);
    return NULL;
}

/* Turns the loop until poold has heard so many requests; what it hears never goes down. */
static void
hear_requests(struct world *world, uint64_t requests)
{
    struct message message = {0};
    uint64_t heard = 0;
    while (heard < requests) {
        const char *text = world_hear(world);
        assert_true(message_read(&message, text, strlen(text)));
        if (!(message.keys & MESSAGE_REQUESTS))
            continue;
        assert_true(message.requests >= heard && message.requests <= requests);
        heard = message.requests;
    }
}

static void
no_request_of_any_thread_is_lost_and_none_reported_in_vain(void **state)
{
    struct world *world = *state;
    pthread_t threads[THREADS];
    world_begin(world);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_requests, world->pw), 0);
    hear_requests(world, THREADS * REQUESTS);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(poolworker_requests(world->pw), THREADS * REQUESTS);
    assert_int_equal(poolworker_active(world->pw), 0);
}

static void
what_begins_in_one_thread_may_end_in_another(void **state)
{
    struct world *world = *state;
    pthread_t begins, ends;
    world_begin(world);
    assert_int_equal(pthread_create(&begins, NULL, begin_requests, world->pw), 0);
    pthread_join(begins, NULL);
    assert_int_equal(poolworker_active(world->pw), REQUESTS);
    assert_int_equal(pthread_create(&ends, NULL, end_requests, world->pw), 0);
    while (poolworker_requests(world->pw) < REQUESTS)
        assert_in_range(poolworker_active(world->pw), 0, REQUESTS);
    pthread_join(ends, NULL);
    assert_int_equal(poolworker_active(world->pw), 0);
}

/* The last request of a burst must be reported too, however it falls between the loop's turns: whoever
 * counts while a report is made has to see that no timer runs any more. */
static void
the_last_of_each_burst_is_reported(void **state)
{
    struct world *world = *state;
    pthread_t threads[2];
    world_begin(world);
    for (uint64_t round = 1; round <= 5; round++) {
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, count_requests, world->pw), 0);
        hear_requests(world, round * 2 * REQUESTS);
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
    }
}

static struct poolworker *signalled;
static atomic_int signals;

static void
on_alarm(int number)
{
    (void)number;
    poolworker_request_begin(signalled);
    poolworker_request_end(signalled);
    signals++;
}

static void
a_signal_handler_may_count(void **state)
{
    struct world *world = *state;
    const struct itimerval often = {{0, 100}, {0, 100}}, never = {{0, 0}, {0, 0}};
    world_begin(world);
    signalled = world->pw;
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART}, before;
    sigaction(SIGALRM, &action, &before);
    setitimer(ITIMER_REAL, &often, NULL);
    uint64_t own = 0;
    while (signals < 100) {
        poolworker_request_begin(world->pw);
        poolworker_request_end(world->pw);
        own++;
    }
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &before, NULL);
    assert_int_equal(poolworker_requests(world->pw), own + (uint64_t)signals);
    assert_int_equal(poolworker_active(world->pw), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_request_of_any_thread_is_lost_and_none_reported_in_vain),
        TEST(what_begins_in_one_thread_may_end_in_another),
        TEST(the_last_of_each_burst_is_reported),
        TEST(a_signal_handler_may_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
