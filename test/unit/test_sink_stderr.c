/* test_sink_stderr.c - claims about the stderr sink: whatever the descriptor is, nothing waits,
 * lines are whole, and what is not taken is counted and told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <termios.h>
#include <time.h>

#include "test/unit/sink_world.h"

/* poll(2), unless it is to say that everything is writable: as if another writer had taken the room
 * just after it was asked. */
static bool poll_is_late;
static unsigned polls;
int test_poll(struct pollfd *, nfds_t, int) __asm__("poll");

int
test_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    struct timespec limit = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
    polls++;
    if (!poll_is_late)
        return ppoll(fds, count, &limit, NULL);
    for (nfds_t i = 0; i < count; i++)
        fds[i].revents = fds[i].events;
    return (int)count;
}

static struct sink *
stderr_at(struct world *world, int fd)
{
    struct sink *sink = NULL;
    assert_int_equal(sink_stderr_create(&sink, world->events, fd, &world->err), 0);
    return sink;
}

/* Reads what is there now, or up to cap - 1 bytes. */
static size_t
read_some(int fd, char *out, size_t cap)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    if (poll(&poller, 1, 0) != 1 || !(poller.revents & POLLIN))
        return 0;
    ssize_t n = read(fd, out, cap - 1);
    out[MAX(n, 0)] = '\0';
    return (size_t)MAX(n, 0);
}

static void
a_line_of_stderr_has_time_name_severity_subject_text_and_fields(void **state)
{
    struct world *world = *state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct sink *sink = stderr_at(world, ends[1]);
    setenv("TZ", "IST-5:30", 1);
    tzset();
    emit(world, 3);
    events_emit(world->events, EVENT_SUPERVISOR_STOPPED, NULL, nobody, NULL, "bye");
    unsetenv("TZ");
    char text[512], want[512], stamp[2][64];
    assert_true(read_some(ends[0], text, sizeof text) > 0);
    for (unsigned i = 0; i < 2; i++) {
        struct event_seen seen;
        assert_true(events_get(world->events, i + 1, &seen));
        time_t seconds = seen.wall_ms / 1000 + 19800;
        strftime(stamp[i], sizeof stamp[i], "%Y-%m-%dT%T+05:30", gmtime(&seconds));
    }
    snprintf(want, sizeof want,
             "%s worker-ready info shop/2.7: event 3 pid=3\n%s supervisor-stopped notice: bye\n",
             stamp[0], stamp[1]);
    assert_string_equal(text, want);
    sink_destroy(&sink);
    close(ends[0]);
    close(ends[1]);
}

/* Emits far more than fits while nobody reads, then reads; every line is whole, none comes twice,
 * and those that are missing are told. */
static void
expect_exact_counts(struct world *world, struct sink *sink, int write_end, int read_end)
{
    const unsigned count = 10000;
    int flags = fcntl(write_end, F_GETFL);
    assert_int_equal(flags & O_NONBLOCK, 0); /* a blocking one: the hard case */
    char *text = NULL, some[4096];
    size_t size;
    FILE *all = open_memstream(&text, &size);
    assert_non_null(all);
    for (unsigned i = 0; i < count; i++) {
        emit(world, i);
        if (i == count / 2) /* room again, in the middle of a line perhaps */
            fwrite(some, 1, read_some(read_end, some, sizeof some), all);
    }
    unsigned quiet = 0;
    struct event_seen seen;
    while (quiet < 3) { /* a tick may leave the rest of a line */
        quiet++;
        for (size_t n; (n = read_some(read_end, some, sizeof some)) > 0; quiet = 0)
            fwrite(some, 1, n, all);
        clock_ms += 1000;
        sink_tick(sink, clock_ms);
    }
    assert_true(sink_deadline(sink) == MSEC_NEVER);
    fclose(all);
    assert_int_equal(told(world, count, &seen), 1);
    unsigned lines = 0, last = 0, tellers = 0;
    for (char *save, *line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        char *at = strstr(line, "worker-ready info shop/2.7: event ");
        unsigned number = 0, pid = 0;
        int end = 0;
        if (at == NULL) {
            assert_non_null(strstr(line, "events-dropped warning: "));
            tellers++;
            continue;
        }
        assert_int_equal(
            sscanf(at, "worker-ready info shop/2.7: event %u pid=%u%n", &number, &pid, &end), 2);
        assert_int_equal(at[end], '\0');
        assert_int_equal(number, pid);
        assert_true(lines == 0 || number > last);
        last = number;
        lines++;
    }
    assert_int_equal(tellers, 1);
    assert_in_range(lines, 1, count - 1);
    assert_int_equal(field(&seen, "dropped"), count - lines);
    assert_int_equal(fcntl(write_end, F_GETFL), flags);
    free(text);
    sink_destroy(&sink);
    close(write_end);
    close(read_end);
}

static void
a_full_pipe_takes_no_time_and_every_loss_is_told(void **state)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    expect_exact_counts(*state, stderr_at(*state, ends[1]), ends[1], ends[0]);
}

/* Where nothing may be opened once more. */
static struct sink *
stderr_without_own(struct world *world, int fd)
{
    struct rlimit limit, none_free;
    struct sink *sink = NULL;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none_free = limit;
    none_free.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none_free), 0);
    int rc = sink_stderr_create(&sink, world->events, fd, &world->err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(rc, 0);
    return sink;
}

static void
a_full_pipe_that_cannot_be_opened_again_takes_no_time_either(void **state)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    expect_exact_counts(*state, stderr_without_own(*state, ends[1]), ends[1], ends[0]);
}

static void
a_pipe_that_another_writer_fills_meanwhile_holds_nobody_up(void **state)
{
    struct world *world = *state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct sink *sink = stderr_at(world, ends[1]);
    poll_is_late = true;
    emit_many(world, 10000);
    poll_is_late = false;
    assert_true(sink_deadline(sink) == clock_ms + 1000);
    sink_destroy(&sink);
    close(ends[0]);
    close(ends[1]);
}

static void
a_full_socket_as_stderr_takes_no_time_and_every_loss_is_told(void **state)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    expect_exact_counts(*state, stderr_at(*state, ends[1]), ends[1], ends[0]);
}

static void
open_terminal(int *out_master, int *out_slave)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(master >= 0);
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(slave >= 0);
    struct termios raw;
    assert_int_equal(tcgetattr(slave, &raw), 0);
    cfmakeraw(&raw);
    assert_int_equal(tcsetattr(slave, TCSANOW, &raw), 0);
    *out_master = master;
    *out_slave = slave;
}

static void
a_terminal_that_nobody_reads_takes_no_time_and_every_loss_is_told(void **state)
{
    int master, slave;
    open_terminal(&master, &slave);
    expect_exact_counts(*state, stderr_at(*state, slave), slave, master);
}

/* No file of the disk is asked whether it takes a line: it always does. */
static void
a_file_takes_every_line_whatever_poll_says(void **state)
{
    struct world *world = *state;
    int fd = open(world->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    struct sink *sink = stderr_at(world, fd);
    polls = 0;
    emit_many(world, 1000);
    assert_int_equal(polls, 0);
    assert_true(sink_deadline(sink) == MSEC_NEVER);
    assert_true(lseek(fd, 0, SEEK_CUR) > 1000 * 60);
    sink_destroy(&sink);
    close(fd);
}

/* A device that knows no RWF_NOWAIT is asked each time. */
static void
a_terminal_that_cannot_be_opened_again_is_asked_first(void **state)
{
    struct world *world = *state;
    int master, slave;
    open_terminal(&master, &slave);
    struct sink *sink = stderr_without_own(world, slave);
    polls = 0;
    emit_many(world, 10);
    assert_int_equal(polls, 10);
    assert_true(sink_deadline(sink) == MSEC_NEVER);
    sink_destroy(&sink);
    close(master);
    close(slave);
}

static void
a_reader_that_went_away_kills_nobody(void **state)
{
    struct world *world = *state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct sink *sink = stderr_at(world, ends[1]);
    close(ends[0]);
    emit_many(world, 10);
    assert_true(sink_deadline(sink) == clock_ms + 1000);
    clock_ms += 1000;
    sink_tick(sink, clock_ms);
    sink_destroy(&sink);
    close(ends[1]);
}

int
main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the engine does */
    alarm(ALL_LIMIT_S);
    const struct CMUnitTest tests[] = {
        TEST(a_line_of_stderr_has_time_name_severity_subject_text_and_fields),
        TEST(a_full_pipe_takes_no_time_and_every_loss_is_told),
        TEST(a_full_pipe_that_cannot_be_opened_again_takes_no_time_either),
        TEST(a_pipe_that_another_writer_fills_meanwhile_holds_nobody_up),
        TEST(a_full_socket_as_stderr_takes_no_time_and_every_loss_is_told),
        TEST(a_terminal_that_nobody_reads_takes_no_time_and_every_loss_is_told),
        TEST(a_file_takes_every_line_whatever_poll_says),
        TEST(a_terminal_that_cannot_be_opened_again_is_asked_first),
        TEST(a_reader_that_went_away_kills_nobody),
    };
    return cmocka_run_group_tests_name("sink_stderr", tests, NULL, NULL) != 0;
}
