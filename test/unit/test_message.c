/* test_message.c - what a worker's datagram says, and when it is malformed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "common/message.h"

static struct message
read_good(const char *text, size_t len)
{
    struct message message;
    assert_true(message_read(&message, text, len));
    return message;
}

static void
several_lines_are_read_and_unknown_keys_are_ignored(void **state)
{
    (void)state;
    const char text[] = "READY=1\nMAINPID=12\nSTATUS=serving 3\n";
    struct message message = read_good(text, strlen(text));
    assert_int_equal(message.keys, MESSAGE_READY | MESSAGE_STATUS);
    assert_int_equal(message.status_len, 9);
    assert_memory_equal(message.status, "serving 3", 9);
}

static void
only_the_value_1_says_ready_or_stopping(void **state)
{
    (void)state;
    assert_int_equal(read_good("READY=0\nSTOPPING=11", 19).keys, 0);
    assert_int_equal(read_good("STOPPING=1", 10).keys, MESSAGE_STOPPING);
    assert_int_equal(read_good("READYX=1", 8).keys, 0);
}

static void
one_trailing_nul_is_allowed_and_any_other_is_malformed(void **state)
{
    (void)state;
    struct message message;
    assert_int_equal(read_good("READY=1\0", 8).keys, MESSAGE_READY);
    assert_false(message_read(&message, "READY=1\0\0", 9));
    assert_false(message_read(&message, "REA\0DY=1", 8));
}

static void
a_line_without_a_key_is_malformed(void **state)
{
    (void)state;
    struct message message;
    assert_false(message_read(&message, "READY", 5));
    assert_false(message_read(&message, "READY=1\n=1", 10));
    assert_false(message_read(&message, "\xff\xfe\x01", 3));
}

static void
a_datagram_above_the_limit_is_malformed(void **state)
{
    (void)state;
    char text[MESSAGE_MAX + 1];
    memset(text, 'x', sizeof text);
    memcpy(text, "STATUS=", 7);
    struct message message;
    assert_false(message_read(&message, text, sizeof text));
    assert_int_equal(read_good(text, MESSAGE_MAX).status_len, MESSAGE_MAX - 7);
}

static void
an_empty_datagram_says_nothing(void **state)
{
    (void)state;
    assert_int_equal(read_good("", 0).keys, 0);
    assert_int_equal(read_good("\n\n", 2).keys, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_lines_are_read_and_unknown_keys_are_ignored),
        cmocka_unit_test(only_the_value_1_says_ready_or_stopping),
        cmocka_unit_test(one_trailing_nul_is_allowed_and_any_other_is_malformed),
        cmocka_unit_test(a_line_without_a_key_is_malformed),
        cmocka_unit_test(a_datagram_above_the_limit_is_malformed),
        cmocka_unit_test(an_empty_datagram_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
