/* test_malformed.c - claims about the window of malformed messages, which slides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "supervisor/engine/malformed.h"

#define START 5000000u

static void
the_tenth_in_sixty_seconds_is_too_many(void **state)
{
    (void)state;
    struct malformed malformed = {0};
    for (msec i = 0; i < 9; i++)
        assert_false(malformed_note(&malformed, START + i));
    assert_true(malformed_note(&malformed, START + MALFORMED_WINDOW));
}

static void
the_tenth_a_millisecond_later_is_forgiven(void **state)
{
    (void)state;
    struct malformed malformed = {0};
    for (msec i = 0; i < 9; i++)
        assert_false(malformed_note(&malformed, START + i));
    assert_false(malformed_note(&malformed, START + MALFORMED_WINDOW + 1));
    /* The second to the eleventh lie in one window. */
    assert_true(malformed_note(&malformed, START + MALFORMED_WINDOW + 1));
}

/* Five before the end of a minute and five after it: a window that is fixed would forgive them. */
static void
ten_around_the_end_of_a_minute_are_too_many(void **state)
{
    (void)state;
    struct malformed malformed = {0};
    assert_false(malformed_note(&malformed, START));
    for (msec i = 0; i < 5; i++)
        assert_false(malformed_note(&malformed, START + 59000 + i));
    for (msec i = 0; i < 4; i++)
        assert_false(malformed_note(&malformed, START + 61000 + i));
    assert_true(malformed_note(&malformed, START + 61004));
}

static void
one_every_seven_seconds_is_forgiven_for_ever(void **state)
{
    (void)state;
    struct malformed malformed = {0};
    for (msec i = 0; i < 1000; i++)
        assert_false(malformed_note(&malformed, START + i * 7000));
}

static void
after_too_many_ten_more_are_needed(void **state)
{
    (void)state;
    struct malformed malformed = {0};
    for (int round = 0; round < 3; round++)
        for (int i = 1; i <= 10; i++)
            assert_int_equal(malformed_note(&malformed, START), i == 10);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tenth_in_sixty_seconds_is_too_many),
        cmocka_unit_test(the_tenth_a_millisecond_later_is_forgiven),
        cmocka_unit_test(ten_around_the_end_of_a_minute_are_too_many),
        cmocka_unit_test(one_every_seven_seconds_is_forgiven_for_ever),
        cmocka_unit_test(after_too_many_ten_more_are_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
