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
numbers_are_read_exactly_and_what_is_none_is_malformed(void **state)
{
    (void)state;
    const char text[] = "PONG=18446744073709551615\nREQUESTS=0\nACTIVE=007";
    struct message message = read_good(text, strlen(text));
    assert_int_equal(message.keys, MESSAGE_PONG | MESSAGE_REQUESTS | MESSAGE_ACTIVE);
    assert_true(message.pong == UINT64_MAX && message.requests == 0 && message.active == 7);
    static const char *const none[] = {"PONG=", "PONG=18446744073709551616", "PONG=-1", "PONG= 1",
                                       "PONG=1x"};
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        assert_false(message_read(&message, none[i], strlen(none[i])));
}

static void
a_watchdog_is_alive_or_sick(void **state)
{
    (void)state;
    assert_int_equal(read_good("WATCHDOG=1", 10).keys, MESSAGE_WATCHDOG);
    assert_int_equal(read_good("WATCHDOG=trigger", 16).keys, MESSAGE_UNHEALTHY);
    assert_int_equal(read_good("WATCHDOG=2", 10).keys, 0);
}

static void
of_a_key_that_comes_twice_the_last_counts(void **state)
{
    (void)state;
    assert_int_equal(read_good("ACTIVE=1\nACTIVE=2", 17).active, 2);
}

/* Every key of the table, so that a new one is covered on the day it is made. */
static void
what_is_written_is_read_back(void **state)
{
    (void)state;
    struct message message = {.keys = (1u << MESSAGE_PLACE_COUNT) - 1};
#define MESSAGE_FLAG(bit, key, value)
#define MESSAGE_NUMBER(bit, key, field) message.field = 1000 + MESSAGE_PLACE_##bit;
#define MESSAGE_TEXT(bit, key, field)   message.field##_len = strlen(message.field = "why: " key);
#include "common/message.def"
    char text[MESSAGE_MAX];
    size_t len = message_write(text, sizeof text, &message);
    struct message back = read_good(text, len);
    assert_int_equal(back.keys, message.keys);
#define MESSAGE_FLAG(bit, key, value)
#define MESSAGE_NUMBER(bit, key, field) assert_true(back.field == message.field);
#define MESSAGE_TEXT(bit, key, field)                                                              \
    assert_int_equal(back.field##_len, message.field##_len);                                       \
    assert_memory_equal(back.field, message.field, message.field##_len);
#include "common/message.def"
    for (size_t cap = 0; cap < len; cap++) /* nothing is written in halves, nothing beyond cap */
        assert_int_equal(message_write(text, cap, &message), 0);
}

static void
a_text_cannot_end_its_line(void **state)
{
    (void)state;
    struct message message = {
        .keys = MESSAGE_STATUS, .status = "a\nSTOPPING=1\0b", .status_len = 14};
    char text[64];
    size_t len = message_write(text, sizeof text, &message);
    assert_int_equal(read_good(text, len).keys, MESSAGE_STATUS);
    assert_memory_equal(text, "STATUS=a STOPPING=1 b\n", len);
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
        cmocka_unit_test(numbers_are_read_exactly_and_what_is_none_is_malformed),
        cmocka_unit_test(a_watchdog_is_alive_or_sick),
        cmocka_unit_test(of_a_key_that_comes_twice_the_last_counts),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(a_text_cannot_end_its_line),
        cmocka_unit_test(an_empty_datagram_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
