/* test_host_loop.c - claims about the loop, the options and the fields of the access log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "worker/host/access_log.h"
#include "worker/host/loop.h"
#include "worker/host/options.h"
#include "worker/host/token.h"

static struct loop loop;
static struct watch first, second;
static unsigned ready_count, ring_count;

static void
forget_the_other(struct watch *watch, uint32_t events)
{
    (void)events;
    ready_count++;
    loop_forget(&loop, watch == &first ? &second : &first);
}

static void
who_is_forgotten_in_a_turn_is_not_called_in_it(void **state)
{
    (void)state;
    int one[2], two[2];
    assert_int_equal(loop_open(&loop), 0);
    assert_int_equal(pipe2(one, O_CLOEXEC), 0);
    assert_int_equal(pipe2(two, O_CLOEXEC), 0);
    first = (struct watch){.fd = one[0], .ready = forget_the_other};
    second = (struct watch){.fd = two[0], .ready = forget_the_other};
    assert_int_equal(loop_watch(&loop, &first, EPOLLIN), 0);
    assert_int_equal(loop_watch(&loop, &second, EPOLLIN), 0);
    assert_int_equal(write(one[1], "x", 1) + write(two[1], "x", 1), 2);
    loop_turn(&loop, 1000);
    assert_int_equal(ready_count, 1);
    for (int i = 0; i < 2; i++) {
        close(one[i]);
        close(two[i]);
    }
    loop_close(&loop);
}

static void
ring(struct timeout *timeout)
{
    assert_null(timeout->queue);
    ring_count++;
}

static void
a_time_out_rings_once_when_its_span_is_over(void **state)
{
    (void)state;
    struct timeout_queue queue;
    struct timeout early = {.ring = ring}, cleared = {.ring = ring}, late = {.ring = ring};
    assert_int_equal(loop_open(&loop), 0);
    timeout_queue_open(&queue, &loop, 20);
    timeout_set(&early, &queue, &loop);
    timeout_set(&cleared, &queue, &loop);
    timeout_set(&late, &queue, &loop);
    timeout_clear(&cleared);
    timeout_clear(&cleared);
    msec began = loop.now;
    for (unsigned turns = 0; ring_count < 2 && turns < 1000; turns++)
        loop_turn(&loop, MSEC_NEVER);
    assert_int_equal(ring_count, 2);
    assert_true(loop.now >= began + 20);
    assert_null(queue.head);
    assert_null(queue.tail);
    loop_turn(&loop, 30);
    assert_int_equal(ring_count, 2);
    loop_close(&loop);
}

static enum options_outcome
read_options(struct options *options, struct err *err, const char *one, const char *two)
{
    char name[] = "poolworker";
    char *argv[] = {name, (char *)(uintptr_t)one, (char *)(uintptr_t)two, NULL};
    return options_read(options, two == NULL ? 2 : 3, argv, err);
}

static void
an_option_takes_its_value_behind_it_or_behind_an_equals_sign(void **state)
{
    (void)state;
    struct options options;
    struct err err;
    assert_int_equal(read_options(&options, &err, "--body-size", "2MiB"), OPTIONS_RUN);
    assert_true(options.body_size == 2 * 1024 * 1024);
    assert_int_equal(read_options(&options, &err, "--idle-timeout=5s", NULL), OPTIONS_RUN);
    assert_true(options.idle_timeout == 5000);
    assert_true(options.header_size == 16 * 1024);
    assert_null(options.root);
    assert_int_equal(options.index.count, 2);
    assert_int_equal(read_options(&options, &err, "--index", "main.html"), OPTIONS_RUN);
    assert_int_equal(options.index.count, 1);
    assert_int_equal(read_options(&options, &err, "--no-log", NULL), OPTIONS_RUN);
    assert_true(options.no_log);
}

static void
a_wrong_option_is_refused_with_what_is_meant(void **state)
{
    (void)state;
    static const struct {
        const char *one, *two, *text;
    } cases[] = {
        {"--rot", "x", "did you mean --root?"},    {"root", NULL, "is no option"},
        {"--root", NULL, "--root needs DIR"},      {"--no-log=1", NULL, "takes no value"},
        {"--connections", "0", "is not a number"}, {"--idle-timeout", "5", "--idle-timeout 5: "},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct options options;
        struct err err = {0};
        assert_int_equal(read_options(&options, &err, cases[i].one, cases[i].two), OPTIONS_WRONG);
        assert_non_null(strstr(err.text, cases[i].text));
    }
}

static void
a_field_is_one_word_whatever_a_stranger_wrote(void **state)
{
    (void)state;
    char out[64];
    access_log_field(out, 60, "two words");
    assert_string_equal(out, "two+words");
    access_log_field(out, 60, NULL);
    assert_string_equal(out, "-");
    access_log_field(out, 60, "");
    assert_string_equal(out, "-");
    access_log_field(out, 60, "a\nb\x1b\xff");
    assert_string_equal(out, "a\\x0ab\\x1b\\xff");
    assert_int_equal(access_log_field(out, 8, "123456789"), 8);
    assert_string_equal(out, "12345...");
}

static void
names_are_tokens_and_values_have_no_control_characters(void **state)
{
    (void)state;
    assert_true(token_is("Content-Length", 14));
    assert_false(token_is("Content-Length ", 15));
    assert_false(token_is("", 0));
    assert_false(token_is("a\0b", 3));
    assert_false(token_is("a:b", 3));
    assert_true(token_is_value("a\tb \xc3\xa4", 6));
    assert_true(token_is_value("", 0));
    assert_false(token_is_value("a\nb", 3));
    assert_false(token_is_value("a\0b", 3));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_forgotten_in_a_turn_is_not_called_in_it),
        cmocka_unit_test(a_time_out_rings_once_when_its_span_is_over),
        cmocka_unit_test(an_option_takes_its_value_behind_it_or_behind_an_equals_sign),
        cmocka_unit_test(a_wrong_option_is_refused_with_what_is_meant),
        cmocka_unit_test(a_field_is_one_word_whatever_a_stranger_wrote),
        cmocka_unit_test(names_are_tokens_and_values_have_no_control_characters),
    };
    return cmocka_run_group_tests_name("host_loop", tests, NULL, NULL) != 0;
}
