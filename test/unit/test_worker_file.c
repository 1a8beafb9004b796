/* test_worker_file.c - from the pipes of workers into their pool's file: whose bytes stand where, and who
 * waits when there is no room. The keeper is the test, the file is a real one. */
#include <poll.h>

#include "supervisor/engine/workers_inside.h"
#include "test/unit/shell_world.h"

#define LONG (1u << 20) /* a line of more is not kept whole */

static char path[] = "/tmp/poold-test-XXXXXX";
static int file = -1;          /* to read it back */
static int write_end[WORKERS]; /* of each worker's pipe */
static struct verb question;   /* the last OPEN */

static struct worker_id
worker_of(uint32_t slot)
{
    return (struct worker_id){.pool = 0, .slot = slot, .generation = slot + 1};
}

static int
set_up_file(void **state)
{
    (void)state;
    strcpy(path + strlen(path) - 6, "XXXXXX");
    file = mkstemp(path);
    blob_of_one_pool(&blob);
    blob.pools[0].output = OUTPUT_FILE;
    blob.pools[0].output_path = blob_text(&blob, path);
    blob_finish(&blob);
    shell_begin(memfd_create("test", MFD_CLOEXEC));
    outputs_tell(shell.outputs, 0);
    assert_int_equal(recv(keeper, &question, sizeof question, MSG_DONTWAIT), sizeof question);
    assert_int_equal(question.kind, VERB_OPEN);
    assert_int_equal(question.index, 0);
    for (uint32_t i = 0; i < WORKERS; i++) {
        int pipe[2];
        assert_int_equal(pipe2(pipe, O_CLOEXEC | O_NONBLOCK), 0);
        write_end[i] = pipe[1];
        workers_attach(shell.workers, i, worker_of(i), 100 + (int32_t)i, 0, -1, pipe[0]);
    }
    return 0;
}

static int
tear_down_file(void **state)
{
    (void)state;
    while (io_threads_work(shell.io)) {
        io_wake_at(shell.io, io_now());
        io_run(shell.io);
    }
    shell_die();
    for (uint32_t i = 0; i < WORKERS; i++)
        close(write_end[i]);
    close(file);
    unlink(path);
    return 0;
}

/* The keeper answers. */
static void
open_it(void)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    struct verb answer = question;
    answer.kind = VERB_OPENED;
    shell_on_report(&shell, &answer, &fd, 1);
}

static void
say(uint32_t worker, const char *text)
{
    assert_int_equal(write(write_end[worker], text, strlen(text)), strlen(text));
}

/* All that can be read is; what is written is on the disk. */
static void
settle(void)
{
    for (;;) {
        struct portion portion = portion_of(1000, 1000000);
        bool more = workers_read(shell.workers, &portion);
        if (io_threads_work(shell.io)) {
            io_wake_at(shell.io, io_now());
            io_run(shell.io);
        } else if (!more) {
            return;
        }
    }
}

static void
assert_file_is(const char *text)
{
    char got[512] = "";
    settle();
    assert_true(pread(file, got, sizeof got - 1, 0) >= 0);
    assert_string_equal(got, text);
}

static size_t
file_size(void)
{
    return (size_t)lseek(file, 0, SEEK_END);
}

static void
fill(uint32_t worker, char letter, size_t size)
{
    static char chunk[65536];
    memset(chunk, letter, sizeof chunk);
    for (size_t n; size > 0; size -= n) {
        n = MIN(size, sizeof chunk);
        ssize_t wrote = write(write_end[worker], chunk, n);
        if (wrote < 0)
            settle();
        n = wrote < 0 ? 0 : (size_t)wrote;
    }
}

static void
a_line_that_comes_in_pieces_is_whole_between_those_of_others(void **state)
{
    (void)state;
    open_it();
    say(0, "one in ");
    settle();
    say(1, "two\nthree ");
    settle();
    say(0, "pieces\n");
    assert_file_is("two\none in pieces\n");
    say(1, "goes on\n");
    assert_file_is("two\none in pieces\nthree goes on\n");
    assert_int_equal(shell.workers->line_bytes, 0);
}

static void
what_a_worker_leaves_without_a_newline_gets_one_and_is_its_last_line(void **state)
{
    (void)state;
    struct shell_worker seen;
    open_it();
    say(0, "whole\n\n");
    settle();
    shell_worker(&shell, 0, &seen);
    assert_string_equal(seen.last_line, "whole");
    say(0, "in ");
    settle();
    say(0, "pieces\n");
    settle();
    shell_worker(&shell, 0, &seen);
    assert_string_equal(seen.last_line, "in pieces");
    say(0, "no end");
    workers_last_words(shell.workers, 0);
    shell_worker(&shell, 0, &seen);
    assert_string_equal(seen.last_line, "no end");
    say(1, "another\n");
    assert_file_is("whole\n\nin pieces\nno end\nanother\n");
}

static void
a_line_up_to_1_mib_is_whole_and_a_longer_one_ends_before_another_begins(void **state)
{
    (void)state;
    char text[8] = "";
    open_it();
    fill(0, 'x', LONG);
    settle();
    assert_int_equal(file_size(), 0);
    say(1, "b\n");
    settle();
    assert_int_equal(file_size(), 2);
    say(0, "\n");
    settle();
    assert_int_equal(file_size(), 2 + LONG + 1);
    fill(0, 'y', LONG + 1);
    settle();
    assert_true(file_size() > 2 + LONG + 1 + LONG / 2);
    size_t before = file_size();
    say(1, "c\n");
    settle();
    assert_int_equal(pread(file, text, sizeof text, (off_t)before), 3);
    assert_string_equal(text, "\nc\n");
    say(0, "y\n");
    settle();
    assert_int_equal(file_size(), 2 + (LONG + 1) + (LONG + 1) + 1 + 2 + 2);
}

/* More would be a denial of service. */
static void
all_lines_without_an_end_together_are_bounded(void **state)
{
    (void)state;
    open_it();
    shell.workers->line_bytes = (16u << 20) - LONG; /* as if others had so much */
    fill(0, 'x', LONG / 2);
    settle();
    assert_int_equal(file_size(), 0);
    fill(1, 'y', LONG);
    settle();
    assert_true(file_size() > 0);
    assert_true(shell.workers->line_bytes <= 16u << 20);
    say(2, "small");
    settle();
    assert_int_equal(workers_attached(shell.workers, 2, worker_of(2)), true);
    shell.workers->line_bytes -= (16u << 20) - LONG;
}

static void
workers_wait_for_room_and_all_go_on_whoever_of_them_has_gone(void **state)
{
    (void)state;
    char line[65536];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    for (uint32_t i = 0; i < OUTPUT_FULL / sizeof line; i++) {
        assert_int_equal(write(write_end[0], line, sizeof line), sizeof line);
        settle(); /* the keeper has not answered: it is kept */
    }
    for (uint32_t i = 0; i < WORKERS; i++)
        say(i, "waits\n");
    settle();
    struct output_file *out;
    assert_int_equal(outputs_of(shell.outputs, 0, &out), OUTPUT_FILE);
    for (uint32_t i = 0; i < WORKERS; i++)
        assert_ptr_equal(entry_of(shell.workers, i)->waits, out);
    workers_last_words(shell.workers, 2); /* that is not waited for */
    workers_detach(shell.workers, 2);     /* from the middle of the list, and then its neighbour */
    workers_detach(shell.workers, 1);
    open_it();
    settle();
    assert_int_equal(file_size(), OUTPUT_FULL + 3 * strlen("waits\n"));
    assert_int_equal(out->waiting, 0);
    say(0, "reads on\n");
    say(3, "reads on\n");
    settle();
    assert_int_equal(file_size(), OUTPUT_FULL + 3 * strlen("waits\n") + 2 * strlen("reads on\n"));
}

/* What was begun counts as a line, too. */
static void
last_words_that_are_lost_are_counted(void **state)
{
    (void)state;
    struct output_file *out;
    open_it();
    outputs_of(shell.outputs, 0, &out);
    out->failing = true;
    say(0, "lost\nno end");
    workers_last_words(shell.workers, 0);
    assert_int_equal(out->lost, 2);
    assert_file_is("");
}

/* A pipe that nobody reads is a disk that is slow. */
static void
poold_does_not_end_before_the_disk_has_what_was_written(void **state)
{
    (void)state;
    char bytes[4096];
    int disk[2];
    struct verb answer = question;
    answer.kind = VERB_OPENED;
    assert_int_equal(pipe2(disk, O_CLOEXEC), 0);
    shell_on_report(&shell, &answer, &disk[1], 1);
    size_t size = 0;
    struct portion portion = portion_of(1000, 1000000);
    for (int i = 0; i < 4; i++) { /* twice what the pipe takes */
        fill(0, 'x', 32767);
        say(0, "\n");
        size += 32768;
        workers_read(shell.workers, &portion);
    }
    shell_leave(&shell, 0);
    shell_turn(&shell);
    assert_true(io_threads_work(shell.io));
    assert_null(strstr(told, "are lost"));
    for (size_t got = 0; got < size;) {
        struct pollfd wait = {.fd = disk[0], .events = POLLIN};
        if (poll(&wait, 1, 0) == 1)
            got += (size_t)read(disk[0], bytes, sizeof bytes);
        io_wake_at(shell.io, io_now());
        io_run(shell.io);
    }
    settle();
    shell_turn(&shell);
    assert_null(strstr(told, "are lost"));
    io_run(shell.io); /* it was told to stop */
    close(disk[0]);
}

static void
an_answer_to_an_older_question_is_closed(void **state)
{
    (void)state;
    int pipe[2];
    char byte;
    struct verb answer = question;
    answer.kind = VERB_OPENED;
    answer.request--;
    assert_int_equal(pipe2(pipe, O_CLOEXEC | O_NONBLOCK), 0);
    shell_on_report(&shell, &answer, &pipe[1], 1);
    assert_int_equal(read(pipe[0], &byte, 1), 0); /* nobody can write there */
    answer.argument = 77;
    shell_on_report(&shell, &answer, NULL, 0);
    close(pipe[0]);
    open_it();
    say(0, "x\n");
    assert_file_is("x\n");
}

static void
a_full_link_of_the_keeper_is_asked_again(void **state)
{
    (void)state;
    struct verb answer = question;
    answer.kind = VERB_OPENED;
    answer.error = EAGAIN;
    shell_on_report(&shell, &answer, NULL, 0);
    assert_string_equal(told, "");
    assert_int_equal(outputs_deadline(shell.outputs), shell_now(&shell));
    outputs_tick(shell.outputs, shell_now(&shell));
    uint64_t before = question.request;
    assert_int_equal(recv(keeper, &question, sizeof question, MSG_DONTWAIT), sizeof question);
    assert_true(question.kind == VERB_OPEN && question.request > before);
    open_it();
    say(0, "x\n");
    assert_file_is("x\n");
}

/* The number of files, and what became of them, is told when the last answer has come. */
static void
a_second_signal_during_the_first_begins_anew_and_is_told_once(void **state)
{
    (void)state;
    open_it();
    outputs_reopen(shell.outputs);
    outputs_tick(shell.outputs, shell_now(&shell));
    assert_int_equal(recv(keeper, &question, sizeof question, MSG_DONTWAIT), sizeof question);
    struct verb first = question;
    outputs_reopen(shell.outputs);
    outputs_tick(shell.outputs, shell_now(&shell));
    assert_int_equal(recv(keeper, &question, sizeof question, MSG_DONTWAIT), sizeof question);
    struct verb second = question;
    question = first;
    open_it(); /* too late */
    outputs_tick(shell.outputs, shell_now(&shell));
    assert_string_equal(told, "");
    question = second;
    open_it();
    outputs_tick(shell.outputs, shell_now(&shell));
    assert_string_equal(told, "SIGUSR1: 1 output file was opened again signal=10 files=1");
    told[0] = '\0';
    outputs_tick(shell.outputs, shell_now(&shell));
    assert_string_equal(told, "");
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, set_up_file, tear_down_file)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_line_that_comes_in_pieces_is_whole_between_those_of_others),
        CLAIM(what_a_worker_leaves_without_a_newline_gets_one_and_is_its_last_line),
        CLAIM(a_line_up_to_1_mib_is_whole_and_a_longer_one_ends_before_another_begins),
        CLAIM(all_lines_without_an_end_together_are_bounded),
        CLAIM(workers_wait_for_room_and_all_go_on_whoever_of_them_has_gone),
        CLAIM(last_words_that_are_lost_are_counted),
        CLAIM(poold_does_not_end_before_the_disk_has_what_was_written),
        CLAIM(an_answer_to_an_older_question_is_closed),
        CLAIM(a_full_link_of_the_keeper_is_asked_again),
        CLAIM(a_second_signal_during_the_first_begins_anew_and_is_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
