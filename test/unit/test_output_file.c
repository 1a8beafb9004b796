/* test_output_file.c - one output file on a disk that is slow, full, dead or exchanged, as the test
 * likes: what is written where, what is lost, and what is told. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>

#include "supervisor/engine/output_file.h"

#define DISKS    4 /* descriptors; their number is the file's */
#define DISK_MAX (16u << 20)

/* The world: a clock, disks, and whoever has the file. */
struct io {
    msec now;
    bool no_threads;
    struct {
        char *bytes;
        size_t len;
        bool is_closed;
    } disks[DISKS];
    /* the write under way */
    int fd; /* -1: none */
    const char *bytes;
    size_t len;
    io_done_fn *done;
    void *ctx;
};

static struct io world;
static struct output_host host;
static struct output_file *file;
static unsigned asked, told_count;
static uint16_t told_id;
static char told[EVENT_LINE_MAX + 600];

msec
io_time(const struct io *io)
{
    return io->now;
}

int
io_write(struct io *io, int fd, const char *bytes, size_t len, io_done_fn *done, void *ctx)
{
    assert_int_equal(io->fd, -1); /* one at a time */
    assert_true(fd >= 0 && fd < DISKS && !io->disks[fd].is_closed && len > 0);
    if (io->no_threads)
        return -EAGAIN;
    io->fd = fd;
    io->bytes = bytes;
    io->len = len;
    io->done = done;
    io->ctx = ctx;
    return 0;
}

void
io_close_later(struct io *io, int fd)
{
    assert_true(io->fd != fd && !io->disks[fd].is_closed);
    io->disks[fd].is_closed = true;
}

static void
on_changed(void *ctx, struct output_file *it)
{
    (void)ctx;
    assert_ptr_equal(it, file);
}

static void
on_ask(void *ctx, struct output_file *it)
{
    (void)ctx, (void)it;
    asked++;
}

static void
on_event(void *ctx, const struct event_seen *seen)
{
    (void)ctx;
    told_count++;
    told_id = seen->id;
    snprintf(told, sizeof told, "%s %s", seen->text, seen->fields);
}

static int
set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    world.now = 50000;
    world.fd = -1;
    for (int i = 0; i < DISKS; i++)
        world.disks[i].bytes = malloc(DISK_MAX);
    asked = told_count = 0;
    told[0] = '\0';
    host = (struct output_host){.io = &world, .changed = on_changed, .ask = on_ask};
    assert_int_equal(events_create(&host.events, NULL, NULL), 0);
    events_sink_add(host.events, on_event, NULL);
    file = output_file_create(&host, "/logs/out", 0);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    file->writes = false; /* a thread of ours touches nothing any more */
    world.fd = -1;
    output_file_destroy(&file);
    events_sink_remove(host.events, on_event, NULL);
    events_destroy(&host.events);
    for (int i = 0; i < DISKS; i++)
        free(world.disks[i].bytes);
    return 0;
}

/* --- what the disk does */

/* It takes so much of the write under way, and then answers that; or an error. */
static void
disk_answers(int64_t result)
{
    int fd = world.fd;
    assert_true(fd >= 0);
    if (result > 0) {
        assert_true((size_t)result <= world.len && world.disks[fd].len + world.len <= DISK_MAX);
        memcpy(world.disks[fd].bytes + world.disks[fd].len, world.bytes, (size_t)result);
        world.disks[fd].len += (size_t)result;
    }
    world.fd = -1;
    world.done(world.ctx, result);
}

static void
disk_takes_all(void)
{
    while (world.fd >= 0)
        disk_answers((int64_t)world.len);
}

static void
assert_on_disk(int fd, const char *text)
{
    assert_int_equal(world.disks[fd].len, strlen(text));
    assert_memory_equal(world.disks[fd].bytes, text, strlen(text));
}

/* --- who writes */
static const struct worker_id a = {0, 0, 1}, b = {0, 1, 2};

static void
say(struct worker_id worker, const char *text)
{
    output_file_put(file, worker, text, strlen(text));
    output_file_go(file);
}

/* A line of that many bytes with its newline. */
static void
say_much(size_t size)
{
    char *bytes = malloc(size);
    memset(bytes, 'x', size);
    bytes[size - 1] = '\n';
    output_file_put(file, a, bytes, size);
    output_file_go(file);
    free(bytes);
}

static void
pass(msec ms)
{
    world.now += ms;
    output_file_tick(file);
}

/* --- claims: a disk that works */

static void
what_comes_before_the_file_is_open_is_written_first(void **state)
{
    (void)state;
    say(a, "one\n");
    say(b, "two\n");
    assert_int_equal(world.fd, -1);
    output_file_opened(file, 0);
    disk_takes_all();
    say(a, "three\n");
    disk_takes_all();
    assert_on_disk(0, "one\ntwo\nthree\n");
    assert_int_equal(told_count, 0);
    assert_true(output_file_is_written(file));
}

static void
one_write_is_under_way_and_what_comes_meanwhile_is_the_next(void **state)
{
    (void)state;
    output_file_opened(file, 0);
    say(a, "one\n");
    say(a, "two\n");
    say(a, "three\n");
    assert_int_equal(world.len, 4);
    assert_false(output_file_is_written(file));
    disk_answers(4);
    assert_int_equal(world.len, 10);
    disk_answers(3); /* the rest is written behind it */
    assert_int_equal(world.len, 7);
    disk_takes_all();
    assert_on_disk(0, "one\ntwo\nthree\n");
}

static void
a_slow_disk_makes_readers_wait_and_loses_nothing(void **state)
{
    (void)state;
    output_file_opened(file, 0);
    say_much(1000);
    assert_true(output_file_takes(file));
    say_much(OUTPUT_FULL - 1);
    assert_true(output_file_takes(file));
    say_much(1);
    assert_false(output_file_takes(file));
    world.now += OUTPUT_PATIENCE_MS - 1;
    output_file_tick(file);
    disk_answers((int64_t)world.len);
    assert_true(output_file_takes(file));
    world.now += OUTPUT_PATIENCE_MS - 1;
    output_file_tick(file);
    disk_takes_all();
    assert_int_equal(world.disks[0].len, 1000 + OUTPUT_FULL);
    assert_int_equal(told_count, 0);
}

/* Last words come whether there is room or not. */
static void
what_is_more_than_can_be_kept_is_counted_and_told(void **state)
{
    (void)state;
    output_file_opened(file, 0);
    say(a, "first\n");
    say_much(OUTPUT_MOST);
    say(a, "two\nlines\n");
    disk_takes_all();
    assert_int_equal(world.disks[0].len, 6 + OUTPUT_MOST);
    assert_int_equal(told_id, EVENT_EVENTS_DROPPED);
    assert_non_null(strstr(told, "lines=2 path=/logs/out"));
    assert_int_equal(told_count, 1);
}

static void
a_line_in_parts_is_ended_before_anybody_else_s_begins(void **state)
{
    (void)state;
    output_file_opened(file, 0);
    say(a, "a long");
    say(a, " line");
    say(b, "b\n");
    say(a, " goes on\n");
    say(b, "part");
    output_file_end_line(file, a); /* it has none */
    output_file_end_line(file, b);
    say(a, "end\n");
    disk_takes_all();
    assert_on_disk(0, "a long line\nb\n goes on\npart\nend\n");
}

/* --- claims: a disk that does not */

static void
a_full_disk_is_told_once_and_gets_what_was_kept_when_it_has_room(void **state)
{
    (void)state;
    output_file_opened(file, 0);
    say(a, "one\ntwo\n");
    say(a, "kept\n");
    disk_answers(4);
    disk_answers(-ENOSPC);
    assert_int_equal(told_id, EVENT_OUTPUT_FAILED);
    assert_non_null(strstr(told, "/logs/out cannot be written: No space left on device; what"));
    assert_non_null(strstr(told, "errno=28 path=/logs/out"));
    assert_true(output_file_takes(file));
    say(a, "lost\nlost too\n");
    for (int i = 0; i < 3; i++) {
        pass(OUTPUT_RETRY_MS - 1);
        assert_int_equal(world.fd, -1);
        pass(1);
        say(a, "lost as well\n");
        disk_answers(i == 1 ? 2 : -ENOSPC); /* a little room is not enough */
        if (i == 1)
            disk_answers(-EIO);
    }
    assert_int_equal(told_count, 1);
    pass(OUTPUT_RETRY_MS);
    disk_takes_all();
    assert_int_equal(told_id, EVENT_OUTPUT_RESTORED);
    assert_non_null(strstr(told, "5 lines were lost meanwhile lines=5 since=8.000"));
    say(a, "again\n");
    disk_takes_all();
    assert_on_disk(0, "one\ntwo\nkept\nagain\n");
    assert_int_equal(told_count, 2);
}

static void
a_disk_that_does_not_answer_holds_up_nobody_for_more_than_a_second(void **state)
{
    (void)state;
    output_file_opened(file, 0);
    say_much(OUTPUT_FULL);
    say_much(OUTPUT_FULL);
    assert_false(output_file_takes(file));
    pass(OUTPUT_PATIENCE_MS);
    assert_int_equal(told_id, EVENT_OUTPUT_FAILED);
    assert_non_null(strstr(told, "the disk has not answered for a second"));
    assert_true(output_file_takes(file));
    assert_true(output_file_is_written(file)); /* as far as it can be: poold may end */
    say(a, "lost\n");
    assert_int_equal(file->due, MSEC_NEVER);
    pass(3600000);
    disk_takes_all();
    assert_int_equal(told_id, EVENT_OUTPUT_RESTORED);
    assert_non_null(strstr(told, "lines=1"));
    assert_int_equal(world.disks[0].len, 2 * OUTPUT_FULL);
}

static void
a_dead_disk_that_fails_in_the_end_is_tried_again(void **state)
{
    (void)state;
    output_file_opened(file, 0);
    say(a, "kept\n");
    pass(OUTPUT_PATIENCE_MS);
    disk_answers(-EIO);
    pass(OUTPUT_RETRY_MS);
    disk_takes_all();
    assert_on_disk(0, "kept\n");
    assert_int_equal(told_count, 2);
}

static void
a_file_that_cannot_be_opened_is_asked_for_again_and_again(void **state)
{
    (void)state;
    say(a, "kept\n");
    output_file_opened(file, -ENOENT);
    assert_non_null(strstr(told, "cannot be opened: No such file or directory"));
    say(a, "lost\n");
    pass(OUTPUT_RETRY_MS);
    assert_int_equal(asked, 1);
    output_file_opened(file, -EACCES);
    pass(OUTPUT_RETRY_MS);
    assert_int_equal(asked, 2);
    output_file_opened(file, 1);
    disk_takes_all();
    assert_on_disk(1, "kept\n");
    assert_int_equal(told_id, EVENT_OUTPUT_RESTORED);
    assert_int_equal(told_count, 2);
}

static void
a_keeper_that_does_not_answer_holds_up_nobody(void **state)
{
    (void)state;
    pass(OUTPUT_PATIENCE_MS);
    assert_int_equal(told_id, EVENT_OUTPUT_FAILED);
    say(a, "lost\n");
    output_file_opened(file, 0);
    assert_int_equal(told_id, EVENT_OUTPUT_RESTORED);
    say(a, "written\n");
    disk_takes_all();
    assert_on_disk(0, "written\n");
}

static void
without_threads_nothing_is_lost_that_was_kept(void **state)
{
    (void)state;
    output_file_opened(file, 0);
    world.no_threads = true;
    say(a, "kept\n");
    assert_int_equal(told_id, EVENT_OUTPUT_FAILED);
    world.no_threads = false;
    pass(OUTPUT_RETRY_MS);
    disk_takes_all();
    assert_on_disk(0, "kept\n");
}

/* The worker's next line must not stand behind the part that was written. */
static void
a_line_whose_rest_is_lost_ends_where_it_was_cut(void **state)
{
    (void)state;
    output_file_opened(file, 0);
    say(a, "a long");
    disk_answers(-EIO);
    say(a, " line\n");
    pass(OUTPUT_RETRY_MS);
    disk_takes_all();
    say(a, "next\n");
    disk_takes_all();
    assert_on_disk(0, "a long\nnext\n");
}

static void
what_is_lost_for_good_is_told_at_the_end(void **state)
{
    (void)state;
    output_file_opened(file, 0);
    say(a, "one\ntwo\n");
    say(a, "three\n");
    disk_answers(4);
    disk_answers(-EIO);
    say(a, "four\n");
    output_file_tell_end(file);
    assert_int_equal(told_id, EVENT_EVENTS_DROPPED);
    assert_non_null(strstr(told, "3 lines for the output file /logs/out are lost: poold ends"));
}

/* --- claims: another file of that name */

static void
a_new_file_takes_over_between_two_writes(void **state)
{
    (void)state;
    output_file_opened(file, 0);
    say(a, "old\n");
    say(b, "new\n");
    output_file_opened(file, 1);
    assert_false(world.disks[0].is_closed);
    disk_answers(2); /* a line is not in two files */
    assert_false(world.disks[0].is_closed);
    disk_takes_all();
    assert_true(world.disks[0].is_closed);
    assert_on_disk(0, "old\n");
    assert_on_disk(1, "new\n");
}

static void
a_file_that_is_idle_is_exchanged_at_once(void **state)
{
    (void)state;
    output_file_opened(file, 0);
    say(a, "old\n");
    disk_takes_all();
    output_file_opened(file, 1);
    assert_true(world.disks[0].is_closed);
    say(a, "new\n");
    disk_takes_all();
    assert_on_disk(0, "old\n");
    assert_on_disk(1, "new\n");
    assert_int_equal(told_count, 0);
}

static void
the_last_of_several_new_files_is_taken(void **state)
{
    (void)state;
    output_file_opened(file, 0);
    say(a, "old\n");
    output_file_opened(file, 1);
    output_file_opened(file, 2);
    assert_true(world.disks[1].is_closed);
    say(a, "new\n");
    disk_takes_all();
    assert_on_disk(0, "old\n");
    assert_on_disk(2, "new\n");
}

static void
a_new_file_gets_what_a_full_disk_did_not_take(void **state)
{
    (void)state;
    output_file_opened(file, 0);
    say(a, "one\ntwo\n");
    disk_answers(6);
    disk_answers(-ENOSPC);
    output_file_opened(file, 1);
    disk_takes_all();
    assert_on_disk(0, "one\ntw");
    assert_on_disk(1, "two\n");
    assert_int_equal(told_id, EVENT_OUTPUT_RESTORED);
}

static void
a_new_file_is_written_at_once_when_the_old_disk_fails(void **state)
{
    (void)state;
    output_file_opened(file, 0);
    say(a, "one\n");
    output_file_opened(file, 1);
    disk_answers(-ENOSPC);
    assert_int_equal(world.fd, 1);
    disk_takes_all();
    assert_on_disk(1, "one\n");
    assert_int_equal(told_id, EVENT_OUTPUT_RESTORED);
}

static void
a_file_that_cannot_be_opened_again_goes_on_in_the_old_one(void **state)
{
    (void)state;
    output_file_opened(file, 0);
    output_file_opened(file, -EMLINK);
    assert_int_equal(told_id, EVENT_OUTPUT_FAILED);
    assert_non_null(strstr(told, "hard link"));
    assert_non_null(strstr(told, "goes on in the one that is open"));
    say(a, "on\n");
    disk_takes_all();
    assert_on_disk(0, "on\n");
    assert_int_equal(told_count, 1);
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(what_comes_before_the_file_is_open_is_written_first),
        CLAIM(one_write_is_under_way_and_what_comes_meanwhile_is_the_next),
        CLAIM(a_slow_disk_makes_readers_wait_and_loses_nothing),
        CLAIM(what_is_more_than_can_be_kept_is_counted_and_told),
        CLAIM(a_line_in_parts_is_ended_before_anybody_else_s_begins),
        CLAIM(a_full_disk_is_told_once_and_gets_what_was_kept_when_it_has_room),
        CLAIM(a_disk_that_does_not_answer_holds_up_nobody_for_more_than_a_second),
        CLAIM(a_dead_disk_that_fails_in_the_end_is_tried_again),
        CLAIM(a_file_that_cannot_be_opened_is_asked_for_again_and_again),
        CLAIM(a_keeper_that_does_not_answer_holds_up_nobody),
        CLAIM(without_threads_nothing_is_lost_that_was_kept),
        CLAIM(a_line_whose_rest_is_lost_ends_where_it_was_cut),
        CLAIM(what_is_lost_for_good_is_told_at_the_end),
        CLAIM(a_new_file_takes_over_between_two_writes),
        CLAIM(a_file_that_is_idle_is_exchanged_at_once),
        CLAIM(the_last_of_several_new_files_is_taken),
        CLAIM(a_new_file_gets_what_a_full_disk_did_not_take),
        CLAIM(a_new_file_is_written_at_once_when_the_old_disk_fails),
        CLAIM(a_file_that_cannot_be_opened_again_goes_on_in_the_old_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
