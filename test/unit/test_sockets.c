/* test_sockets.c - when the keeper is asked to look after sockets, and what is told of them. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "supervisor/engine/sockets.h"
#include "test/unit/record_blob.h"

#define POOLS 8u

/* What sockets.c may ask of the whole, and what became of it. */
struct shell {
    struct record record;
    struct events *events;
    msec now;
    uint32_t asked[BLOB_SOCKETS_MAX], asked_all;
    char told[EVENT_LINE_MAX];
    unsigned told_id, told_count;
};

static struct shell shell;
static struct blob blob;
static struct sockets *sockets;

msec
shell_now(const struct shell *s)
{
    return s->now;
}

struct events *
shell_events(struct shell *s)
{
    return s->events;
}

const struct record *
shell_record(const struct shell *s)
{
    return &s->record;
}

const char *
shell_pool_name(const struct shell *s, uint32_t pool)
{
    return record_text(&s->record, s->record.pools[pool].name);
}

void
shell_listen(struct shell *s, uint32_t socket)
{
    s->asked[socket]++;
    s->asked_all++;
}

static void
on_event(void *ctx, const struct event_seen *seen)
{
    (void)ctx;
    shell.told_id = seen->id;
    shell.told_count++;
    snprintf(shell.told, sizeof shell.told, "%s: %s %s", seen->pool, seen->text, seen->fields);
}

static int
set_up(void **state)
{
    (void)state;
    static const char *const argv[] = {"/bin/true", NULL}, *const env[] = {NULL};
    char name[16];
    memset(&shell, 0, sizeof shell);
    shell.now = 5000;
    blob_init(&blob);
    blob_pool(&blob, "none", argv, env);
    for (unsigned pool = 1; pool < POOLS; pool++) {
        snprintf(name, sizeof name, "pool%u", pool);
        blob_pool(&blob, name, argv, env);
        for (unsigned i = 0; i < 11; i++)
            blob_inet(&blob, i == 0 ? "first" : "more", (uint16_t)(1000 + 20 * pool + i));
    }
    assert_int_equal(events_create(&shell.events, NULL, NULL), 0);
    events_sink_add(shell.events, on_event, NULL);
    assert_int_equal(sockets_create(&sockets, &shell, POOLS, NULL), 0);
    blob_finish(&blob);
    assert_int_equal(record_open(&shell.record, blob.bytes, blob.size), 0);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    sockets_destroy(&sockets);
    events_sink_remove(shell.events, on_event, NULL);
    events_destroy(&shell.events);
    return 0;
}

/* Lets time pass to the next deadline; returns how long that took. */
static msec
pass(void)
{
    msec at = sockets_deadline(sockets), before = shell.now;
    if (at == MSEC_NEVER)
        return MSEC_NEVER;
    assert_true(at >= before);
    sockets_tick(sockets, at - 1);
    uint32_t early = shell.asked_all;
    shell.now = at;
    sockets_tick(sockets, at);
    assert_true(shell.asked_all > early);
    return at - before;
}

static void
restored(uint32_t index, int error)
{
    shell.told_count = 0;
    sockets_restored(sockets, &(struct verb){.index = index, .error = error});
}

static void
tell_started(uint32_t backlog)
{
    blob.sockets[3].backlog = backlog;
    blob_finish(&blob);
    assert_int_equal(record_open(&shell.record, blob.bytes, blob.size), 0);
    shell.told_count = 0;
    sockets_started(sockets, 1);
}

/* --- claims ---------------------------------------------------------------------------------- */

static void
after_an_occasion_the_keeper_is_asked_a_few_times_and_then_never(void **state)
{
    (void)state;
    static const msec pauses[] = {0, 10, 100, 900, 3000, 11000};
    assert_true(sockets_deadline(sockets) == MSEC_NEVER);
    sockets_touched(sockets, 2);
    for (uint32_t i = 0; i < ARRAY_LEN(pauses); i++) {
        assert_int_equal(pass(), pauses[i]);
        for (uint32_t socket = 11; socket < 22; socket++)
            assert_int_equal(shell.asked[socket], i + 1);
    }
    assert_true(pass() == MSEC_NEVER);
    assert_int_equal(shell.asked_all, 11 * ARRAY_LEN(pauses)); /* nobody else's */
}

static void
another_occasion_begins_anew(void **state)
{
    (void)state;
    sockets_touched(sockets, 1);
    for (int i = 0; i < 4; i++)
        pass();
    sockets_touched(sockets, 1);
    assert_int_equal(pass(), 0);
    assert_int_equal(pass(), 10);
    for (int i = 0; i < 4; i++)
        pass();
    assert_true(pass() == MSEC_NEVER);
}

static void
a_pool_without_sockets_asks_for_nothing(void **state)
{
    (void)state;
    sockets_touched(sockets, 0);
    assert_true(sockets_deadline(sockets) == MSEC_NEVER);
    sockets_started(sockets, 0);
    assert_int_equal(shell.told_count, 0);
}

static void
a_turn_asks_a_bounded_number_and_the_next_one_the_rest(void **state)
{
    (void)state;
    for (uint32_t pool = 1; pool < POOLS; pool++)
        sockets_touched(sockets, pool);
    sockets_tick(sockets, shell.now);
    assert_int_equal(shell.asked_all, 66);
    assert_true(sockets_deadline(sockets) <= shell.now);
    sockets_tick(sockets, shell.now);
    assert_int_equal(shell.asked_all, 77);
    assert_true(sockets_deadline(sockets) > shell.now);
}

static void
a_path_that_is_back_is_told_each_time(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        restored(11, 0);
        assert_int_equal(shell.told_count, 1);
        assert_int_equal(shell.told_id, EVENT_SOCKET_RESTORED);
        assert_non_null(strstr(shell.told, "pool2: "));
        assert_non_null(strstr(shell.told, "address=first"));
    }
}

static void
a_path_that_stays_lost_is_told_once_until_it_is_back(void **state)
{
    (void)state;
    restored(11, EEXIST);
    assert_int_equal(shell.told_id, EVENT_SOCKET_FAILED);
    assert_non_null(strstr(shell.told, "something else is there"));
    assert_non_null(strstr(shell.told, "errno=17"));
    restored(11, EEXIST);
    assert_int_equal(shell.told_count, 0);
    restored(0, EXDEV); /* another pool's is another story */
    assert_non_null(strstr(shell.told, "filesystem"));
    restored(11, 0);
    assert_int_equal(shell.told_id, EVENT_SOCKET_RESTORED);
    restored(11, EACCES);
    assert_int_equal(shell.told_count, 1);
    assert_non_null(strstr(shell.told, "Permission denied"));
}

static void
an_answer_about_a_socket_that_is_no_more_is_ignored(void **state)
{
    (void)state;
    restored(blob.header.sockets, 0);
    assert_int_equal(shell.told_count, 0);
}

static void
a_queue_that_the_kernel_cuts_is_told_with_both_numbers(void **state)
{
    (void)state;
    char text[32] = "", expected[64];
    int fd = open("/proc/sys/net/core/somaxconn", O_RDONLY | O_CLOEXEC);
    assert_true(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    unsigned cap = (unsigned)strtoul(text, NULL, 10);
    tell_started(cap);
    assert_int_equal(shell.told_count, 0);
    tell_started(cap + 1);
    assert_int_equal(shell.told_count, 1);
    assert_int_equal(shell.told_id, EVENT_QUEUE_CAPPED);
    snprintf(expected, sizeof expected, "address=more queue_length=%u cap=%u", cap + 1, cap);
    assert_non_null(strstr(shell.told, expected));
}

int
main(void)
{
#define CLAIM(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(after_an_occasion_the_keeper_is_asked_a_few_times_and_then_never),
        CLAIM(another_occasion_begins_anew),
        CLAIM(a_pool_without_sockets_asks_for_nothing),
        CLAIM(a_turn_asks_a_bounded_number_and_the_next_one_the_rest),
        CLAIM(a_path_that_is_back_is_told_each_time),
        CLAIM(a_path_that_stays_lost_is_told_once_until_it_is_back),
        CLAIM(an_answer_about_a_socket_that_is_no_more_is_ignored),
        CLAIM(a_queue_that_the_kernel_cuts_is_told_with_both_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
