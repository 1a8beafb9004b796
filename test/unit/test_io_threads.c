/* test_io_threads.c - writes by threads: the loop goes on meanwhile, and hears how they ended. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "supervisor/engine/io.h"

static struct io *io;
static int64_t result;
static unsigned done, turns, turns_before_done;
static bool stops_when_done;

static void
on_done(void *ctx, int64_t got)
{
    assert_ptr_equal(ctx, &result);
    result = got;
    done++;
    turns_before_done = turns;
}

static void
on_turn(void *ctx)
{
    (void)ctx;
    turns++;
    if (!stops_when_done || done > 0)
        io_stop(io);
}

static int
set_up(void **state)
{
    (void)state;
    result = done = turns = 0;
    stops_when_done = true;
    return io_create(&io, on_turn, NULL, NULL);
}

static int
tear_down(void **state)
{
    (void)state;
    io_destroy(&io);
    return 0;
}

static void
a_write_is_done_in_a_turn_and_told_before_its_end(void **state)
{
    (void)state;
    char path[] = "/tmp/poold-test-XXXXXX", text[8] = "";
    int fd = mkstemp(path);
    assert_int_equal(io_write(io, fd, "hello", 5, on_done, &result), 0);
    assert_true(io_threads_work(io));
    assert_int_equal(done, 0);
    io_run(io);
    assert_int_equal(done, 1);
    assert_int_equal(result, 5);
    assert_int_equal(turns, turns_before_done + 1);
    assert_false(io_threads_work(io));
    assert_int_equal(pread(fd, text, sizeof text, 0), 5);
    assert_string_equal(text, "hello");
    close(fd);
    unlink(path);
}

static void
a_write_that_fails_tells_why(void **state)
{
    (void)state;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        skip();
    assert_int_equal(io_write(io, fd, "x", 1, on_done, &result), 0);
    io_run(io);
    assert_int_equal(result, -ENOSPC);
    close(fd);
}

static void
turns_go_on_while_a_write_waits(void **state)
{
    (void)state;
    static char full[1 << 20];
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(io_write(io, ends[1], full, sizeof full, on_done, &result), 0);
    stops_when_done = false;
    for (int i = 0; i < 3; i++) {
        io_wake_at(io, io_now());
        io_run(io);
    }
    assert_int_equal(turns, 3);
    assert_int_equal(done, 0);
    assert_true(io_threads_work(io));
    for (size_t got = 0; got < sizeof full;)
        got += (size_t)read(ends[0], full, sizeof full);
    stops_when_done = true;
    io_run(io);
    assert_int_equal(result, sizeof full);
    close(ends[0]);
    close(ends[1]);
}

static void
a_descriptor_is_closed_by_and_by(void **state)
{
    (void)state;
    int ends[2];
    char byte;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    io_close_later(io, ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 0); /* waits until the last writer has gone */
    close(ends[0]);
}

/* libuv would abort. */
static void
where_no_thread_can_be_made_a_write_is_refused(void **state)
{
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit none = {0, 0};
        if (setrlimit(RLIMIT_NPROC, &none) != 0 || (geteuid() == 0 && setuid(65534) != 0))
            _exit(2);
        int first = io_write(io, STDOUT_FILENO, "x", 1, on_done, &result);
        _exit(first == -EAGAIN && !io_threads_work(io) ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(where_no_thread_can_be_made_a_write_is_refused), /* first: it forks */
        CLAIM(a_write_is_done_in_a_turn_and_told_before_its_end),
        CLAIM(a_write_that_fails_tells_why),
        CLAIM(turns_go_on_while_a_write_waits),
        CLAIM(a_descriptor_is_closed_by_and_by),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
