/* test_sink_syslog.c - claims about the syslog sink: nothing waits, what is not taken is counted
 * and told, and the daemon is found again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>

#include "test/unit/sink_world.h"

static void
a_line_has_priority_time_tag_number_subject_text_and_fields(void **state)
{
    struct world *world = *state;
    int fd = listen_at(world->path);
    struct sink *sink = syslog_at(world);
    struct event_fields fields = {0};
    fields_number(&fields, "pid", 4121);
    struct {
        enum event_id id;
        const char *pool;
        struct worker_id worker;
        const char *priority, *rest;
    } const cases[] = {
        {EVENT_WORKER_DIED,
         "shop",
         {0, 2, 7},
         "<28>",
         "1009 worker-died shop/2.7: t seq=1 pid=4121"},
        {EVENT_POOL_DISABLED,
         "shop",
         {0, 0, 0},
         "<27>",
         "1002 pool-disabled shop: t seq=2 pid=4121"},
        {EVENT_SUPERVISOR_STARTED,
         NULL,
         {0, 0, 0},
         "<29>",
         "6000 supervisor-started t seq=3 pid=4121"},
        {EVENT_WORKER_OUTPUT, "shop", {0, 2, 7}, "<30>", "6060 worker-output shop/2.7: t pid=4121"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char want[512], stamp[32] = "", line[4096];
        events_emit(world->events, cases[i].id, cases[i].pool, cases[i].worker, &fields, "t");
        assert_true(receive(fd, line, sizeof line));
        char *tag = strstr(line, " poold[");
        assert_non_null(tag);
        assert_memory_equal(line, cases[i].priority, 4);
        snprintf(want, sizeof want, " poold[%d]: %s", (int)getpid(), cases[i].rest);
        assert_string_equal(tag, want);
        struct event_seen seen;
        if (!events_get(world->events, i + 1, &seen)) {
            assert_int_equal(cases[i].id, EVENT_WORKER_OUTPUT); /* not in the ring, its time lost */
            continue;
        }
        time_t seconds = seen.wall_ms / 1000;
        strftime(stamp, sizeof stamp, "%b %e %T", localtime(&seconds));
        snprintf(want, sizeof want, "%s%s", cases[i].priority, stamp);
        *tag = '\0';
        assert_string_equal(line, want);
    }
    sink_destroy(&sink);
    assert_null(sink);
    close(fd);
}

static void
a_text_of_a_megabyte_is_cut_and_keeps_number_and_fields(void **state)
{
    struct world *world = *state;
    int fd = listen_at(world->path);
    struct sink *sink = syslog_at(world);
    char *large = malloc(1 << 20), line[8192];
    assert_non_null(large);
    memset(large, 'x', (1 << 20) - 1);
    large[(1 << 20) - 1] = '\0';
    struct event_fields fields = {0};
    fields_number(&fields, "pid", 4121);
    events_emit(world->events, EVENT_WORKER_DIED, "shop", nobody, &fields, "%s", large);
    assert_true(receive(fd, line, sizeof line));
    assert_true(strlen(line) < 1200);
    assert_non_null(strstr(line, ": 1009 worker-died shop: xxx"));
    assert_string_equal(strstr(line, "..."), "... seq=1 pid=4121");
    sink_destroy(&sink);
    free(large);
    close(fd);
}

static void
a_full_socket_takes_no_time_and_every_loss_is_told_once(void **state)
{
    struct world *world = *state;
    int fd = listen_at(world->path);
    struct sink *sink = syslog_at(world);
    emit_many(world, 10000); /* would never return if anything waited: nobody reads */
    assert_true(sink_deadline(sink) == clock_ms + 1000);
    clock_ms += 1000;
    sink_tick(sink, clock_ms); /* still full: nothing is told, and it is tried again */
    assert_true(sink_deadline(sink) == clock_ms + 1000);
    unsigned taken = receive_all(fd);
    assert_in_range(taken, 1, 9999);
    sink_tick(sink, clock_ms + 999); /* not due yet */
    assert_int_equal(receive_all(fd), 0);
    clock_ms += 1000;
    sink_tick(sink, clock_ms);
    char line[4096], want[160];
    assert_true(receive(fd, line, sizeof line));
    struct event_seen seen;
    assert_int_equal(told(world, 10001, &seen), 1);
    assert_int_equal(field(&seen, "dropped"), 10000 - taken);
    snprintf(want, sizeof want, ": 6061 events-dropped %u events were not taken by %s since ",
             10000 - taken, world->path);
    assert_non_null(strstr(line, want));
    assert_non_null(strstr(line, ": it was full; "));
    assert_true(sink_deadline(sink) == MSEC_NEVER);
    sink_tick(sink, clock_ms + 100000);
    assert_int_equal(receive_all(fd), 0);
    assert_int_equal(told(world, 10001, &seen), 1);

    uint64_t again = events_next(world->events);
    emit_many(world, 100); /* the next count begins at 0 */
    taken = receive_all(fd);
    clock_ms += 1000;
    sink_tick(sink, clock_ms);
    assert_int_equal(told(world, again, &seen), 1);
    assert_int_equal(field(&seen, "dropped"), 100 - taken);
    sink_destroy(&sink);
    close(fd);
}

static void
a_missing_socket_is_found_when_it_comes_and_its_losses_are_told(void **state)
{
    struct world *world = *state;
    struct sink *sink = syslog_at(world);
    emit_many(world, 3);
    clock_ms += 1000;
    sink_tick(sink, clock_ms);
    struct event_seen seen;
    assert_int_equal(told(world, 1, &seen), 0);
    int fd = listen_at(world->path);
    clock_ms += 1000;
    sink_tick(sink, clock_ms);
    assert_int_equal(told(world, 1, &seen), 1);
    assert_int_equal(field(&seen, "dropped"), 3);
    assert_non_null(strstr(seen.text, "No such file"));
    assert_int_equal(receive_all(fd), 1);
    emit(world, 4);
    assert_int_equal(receive_all(fd), 1);
    sink_destroy(&sink);
    close(fd);
}

static void
a_missing_socket_is_looked_for_at_most_once_a_second(void **state)
{
    struct world *world = *state;
    struct sink *sink = syslog_at(world);
    emit(world, 1); /* looks */
    int fd = listen_at(world->path);
    clock_ms += 999;
    emit_many(world, 100);
    assert_int_equal(receive_all(fd), 0);
    clock_ms += 1;
    emit(world, 2); /* looks again: the next event drives it, too */
    assert_int_equal(receive_all(fd), 1);
    sink_tick(sink, clock_ms);
    struct event_seen seen;
    assert_int_equal(told(world, 1, &seen), 1);
    assert_int_equal(field(&seen, "dropped"), 101);
    sink_destroy(&sink);
    close(fd);
}

static void
a_daemon_that_was_started_anew_costs_no_event(void **state)
{
    struct world *world = *state;
    struct sink *sink = syslog_at(world);
    for (unsigned i = 0; i < 5; i++) {
        int fd = listen_at(world->path);
        emit(world, i);
        emit(world, i);
        assert_int_equal(receive_all(fd), 2);
        close(fd);
        clock_ms += 1000;
    }
    assert_true(sink_deadline(sink) == MSEC_NEVER);
    sink_destroy(&sink);
}

/* Dead, its connection is still writable: that must not be taken for a daemon. */
static void
drops_are_not_told_to_a_daemon_that_died_full(void **state)
{
    struct world *world = *state;
    int fd = listen_at(world->path);
    struct sink *sink = syslog_at(world);
    emit_many(world, 100);
    unsigned taken = receive_all(fd);
    emit_many(world, 100);
    close(fd);
    for (unsigned i = 0; i < 5; i++) {
        clock_ms += 1000;
        sink_tick(sink, clock_ms);
    }
    struct event_seen seen;
    assert_int_equal(told(world, 1, &seen), 0);
    fd = listen_at(world->path);
    clock_ms += 1000;
    sink_tick(sink, clock_ms);
    assert_int_equal(told(world, 1, &seen), 1);
    assert_int_equal(field(&seen, "dropped"), 200 - 2 * taken);
    assert_int_equal(receive_all(fd), 1);
    sink_destroy(&sink);
    close(fd);
}

/* A sink that is asked before the one under test and takes all the room when drops are told. */
struct spoiler {
    const char *path;
    bool active;
    unsigned calls;
};

static void
spoil(void *ctx, const struct event_seen *seen)
{
    struct spoiler *spoiler = ctx;
    if (!spoiler->active || seen->id != EVENT_EVENTS_DROPPED)
        return;
    spoiler->calls++;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, spoiler->path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    while (sendto(fd, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&address, sizeof address) == 1)
        continue;
    close(fd);
}

static void
a_count_that_could_not_be_told_is_kept(void **state)
{
    struct world *world = *state;
    struct spoiler spoiler = {.path = world->path, .active = true};
    events_sink_add(world->events, spoil, &spoiler);
    int fd = listen_at(world->path);
    struct sink *sink = syslog_at(world);
    emit_many(world, 50);
    unsigned lost = 50 - receive_all(fd);
    clock_ms += 1000;
    sink_tick(sink, clock_ms); /* room at first, none when it is told */
    assert_int_equal(spoiler.calls, 1);
    receive_all(fd);
    spoiler.active = false;
    emit_many(world, 50);
    lost += 50 - receive_all(fd);
    struct event_seen seen;
    for (unsigned i = 0; i < 30; i++) {
        clock_ms += 1000;
        sink_tick(sink, clock_ms);
    }
    assert_int_equal(told(world, 1, &seen), 1); /* it does not fill the ring with attempts */
    assert_true(sink_deadline(sink) <= clock_ms + 60000);
    clock_ms = sink_deadline(sink);
    sink_tick(sink, clock_ms);
    assert_int_equal(told(world, 1, &seen), 2);
    assert_int_equal(field(&seen, "dropped"), lost);
    assert_int_equal(receive_all(fd), 1);
    events_sink_remove(world->events, spoil, &spoiler);
    sink_destroy(&sink);
    close(fd);
}

static void
one_full_sink_takes_nothing_from_another(void **state)
{
    struct world *world = *state;
    int fd = listen_at(world->path);
    struct sink *full = syslog_at(world), *file = NULL;
    char name[96], text[2048];
    snprintf(name, sizeof name, "%s/out", world->folder);
    int out = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_APPEND, 0600);
    assert_true(out >= 0);
    assert_int_equal(sink_stderr_create(&file, world->events, out, &world->err), 0);
    emit_many(world, 1000);
    unsigned taken = receive_all(fd);
    assert_true(taken < 1000);
    clock_ms += 1000;
    sink_tick(full, clock_ms);
    sink_tick(file, clock_ms);
    unsigned lines = 0;
    FILE *in = fopen(name, "r");
    assert_non_null(in);
    while (fgets(text, sizeof text, in) != NULL)
        lines++;
    fclose(in);
    assert_int_equal(lines, 1001);
    assert_non_null(strstr(text, " events-dropped warning: "));
    sink_destroy(&full);
    sink_destroy(&file);
    close(out);
    close(fd);
}

/* What creating a sink for the world's path says on standard error. */
static void
say_at_start(const struct world *world, char *out, size_t cap)
{
    struct sink *sink = NULL;
    struct err err;
    int file = memfd_create("stderr", MFD_CLOEXEC), before = dup(STDERR_FILENO);
    assert_true(file >= 0 && before >= 0);
    assert_int_equal(dup2(file, STDERR_FILENO), STDERR_FILENO);
    int rc = sink_create(&sink, world->events, world->path, &err);
    dup2(before, STDERR_FILENO);
    close(before);
    assert_int_equal(rc, 0);
    ssize_t n = pread(file, out, cap - 1, 0);
    assert_true(n >= 0);
    out[n] = '\0';
    close(file);
    sink_destroy(&sink);
}

static void
a_target_that_takes_no_events_is_named_at_the_start(void **state)
{
    struct world *world = *state;
    char said[512], want[512];
    int fd = open(world->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(fd);
    say_at_start(world, said, sizeof said);
    snprintf(want, sizeof want,
             "poold: %s is a regular file, not a datagram socket; events go nowhere until one that "
             "is read is there\n",
             world->path);
    assert_string_equal(said, want);
    unlink(world->path);
    say_at_start(world, said, sizeof said);
    assert_non_null(strstr(said, "/log is no datagram socket: it does not exist; events go"));
    fd = listen_at(world->path);
    say_at_start(world, said, sizeof said);
    assert_string_equal(said, "");
    close(fd);
    say_at_start(world, said, sizeof said);
    assert_non_null(strstr(said, "/log is a datagram socket that nobody reads; events go"));
}

static void
only_what_can_be_a_log_is_taken_for_one(void **state)
{
    struct world *world = *state;
    struct sink *sink = NULL;
    static const char *const wrong[] = {"", "journal", "log", "./log", "file.log", "SYSLOG"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_int_equal(sink_create(&sink, world->events, wrong[i], &world->err), -EINVAL);
        assert_non_null(strstr(world->err.text, "syslog"));
        assert_null(sink);
    }
    char longest[200];
    memset(longest, '/', sizeof longest);
    longest[108] = '\0';
    assert_int_equal(sink_create(&sink, world->events, longest, &world->err), -ENAMETOOLONG);
    longest[107] = '\0';
    assert_int_equal(sink_create(&sink, world->events, longest, &world->err), 0);
    sink_destroy(&sink);
    assert_int_equal(sink_create(&sink, world->events, "syslog", &world->err), 0);
    sink_destroy(&sink);
    assert_int_equal(sink_create(&sink, world->events, "stderr", &world->err), 0);
    sink_destroy(&sink);
    assert_int_equal(sink_stderr_create(&sink, world->events, 1000000, &world->err), -EBADF);
}

int
main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the engine does */
    alarm(ALL_LIMIT_S);
    const struct CMUnitTest tests[] = {
        TEST(a_line_has_priority_time_tag_number_subject_text_and_fields),
        TEST(a_text_of_a_megabyte_is_cut_and_keeps_number_and_fields),
        TEST(a_full_socket_takes_no_time_and_every_loss_is_told_once),
        TEST(a_missing_socket_is_found_when_it_comes_and_its_losses_are_told),
        TEST(a_missing_socket_is_looked_for_at_most_once_a_second),
        TEST(a_daemon_that_was_started_anew_costs_no_event),
        TEST(drops_are_not_told_to_a_daemon_that_died_full),
        TEST(a_count_that_could_not_be_told_is_kept),
        TEST(one_full_sink_takes_nothing_from_another),
        TEST(a_target_that_takes_no_events_is_named_at_the_start),
        TEST(only_what_can_be_a_log_is_taken_for_one),
    };
    return cmocka_run_group_tests_name("sink_syslog", tests, NULL, NULL) != 0;
}
