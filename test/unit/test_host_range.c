/* test_host_range.c - claims about ranges, validators and conditions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "worker/host/conditional.h"
#include "worker/host/range.h"

static void
expect_part(const char *text, uint64_t size, uint64_t first, uint64_t len)
{
    struct range range;
    assert_int_equal(range_parse(text, size, &range), RANGE_PART);
    assert_true(range.first == first);
    assert_true(range.len == len);
}

static void
one_range_lies_inside_of_what_is_there(void **state)
{
    (void)state;
    expect_part("bytes=0-0", 10, 0, 1);
    expect_part("bytes=2-4", 10, 2, 3);
    expect_part("bytes=2-", 10, 2, 8);
    expect_part("bytes=2-99", 10, 2, 8);
    expect_part("bytes=-3", 10, 7, 3);
    expect_part("bytes=-99", 10, 0, 10);
    expect_part("BYTES= 1-2 ", 10, 1, 2);
}

static void
a_range_behind_the_end_is_beyond(void **state)
{
    (void)state;
    struct range range;
    assert_int_equal(range_parse("bytes=10-", 10, &range), RANGE_BEYOND);
    assert_int_equal(range_parse("bytes=-0", 10, &range), RANGE_BEYOND);
    assert_int_equal(range_parse("bytes=-5", 0, &range), RANGE_BEYOND);
    assert_int_equal(range_parse("bytes=0-", 0, &range), RANGE_BEYOND);
}

static void
what_is_not_one_range_of_bytes_is_the_whole(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "bytes",
                                        "bytes=",
                                        "bytes=-",
                                        "bytes=3",
                                        "1-2",
                                        "lines=1",
                                        "bytes=4-2",
                                        "bytes=1-2,4-5",
                                        "bytes=1-2x",
                                        "bytes=x-",
                                        "bytes=--1",
                                        "bytes=+1-2",
                                        "bytes=9999999999999999999-"};
    struct range range;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_int_equal(range_parse(texts[i], 10, &range), RANGE_WHOLE);
}

static void
dates_are_read_in_all_three_forms(void **state)
{
    (void)state;
    static const char *const forms[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
                                        "Sunday, 06-Nov-94 08:49:37 GMT",
                                        "Sun Nov  6 08:49:37 1994"};
    char text[HTTP_DATE_MAX];
    int64_t seconds = 0;
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        assert_true(http_date_parse(forms[i], &seconds));
        assert_true(seconds == 784111777);
    }
    assert_string_equal(http_date_format(784111777, text), forms[0]);
    seconds = 5;
    assert_false(http_date_parse("yesterday", &seconds));
    assert_false(http_date_parse("Sun, 06 Nov 1994 08:49:37 GMT and more", &seconds));
    assert_true(seconds == 5);
}

static struct validators
validators_of(int64_t age_s)
{
    struct validators validators;
    struct stat stat = {.st_size = 10, .st_mtim = {.tv_sec = 1000}};
    validators_make(&validators, &stat, 1000 + age_s);
    return validators;
}

static void
a_file_that_has_just_changed_has_a_weak_tag(void **state)
{
    (void)state;
    struct validators fresh = validators_of(1), settled = validators_of(2);
    assert_string_equal(settled.etag, "\"a-3e8.0\"");
    assert_string_equal(fresh.etag, "W/\"a-3e8.0\"");
    struct conditions same = {.if_match = fresh.etag, .if_range = fresh.etag};
    assert_int_equal(conditions_judge(&same, &fresh), VERDICT_FAILED);
    assert_false(conditions_range_holds(&same, &fresh));
    same = (struct conditions){.if_none_match = fresh.etag};
    assert_int_equal(conditions_judge(&same, &fresh), VERDICT_NOT_MODIFIED);
}

static void
tags_go_before_dates(void **state)
{
    (void)state;
    struct validators own = validators_of(100);
    const char *old = "Thu, 01 Jan 1970 00:00:01 GMT", *now = "Thu, 01 Jan 1970 00:16:40 GMT";
    const struct {
        struct conditions asked;
        enum verdict verdict;
    } cases[] = {
        {{0}, VERDICT_GO_ON},
        {{.if_none_match = own.etag}, VERDICT_NOT_MODIFIED},
        {{.if_none_match = "\"b\" , \"a-3e8.0\""}, VERDICT_NOT_MODIFIED},
        {{.if_none_match = "\"b\", W/\"a-3e8.0\""}, VERDICT_NOT_MODIFIED},
        {{.if_none_match = "\"a-3e8.0"}, VERDICT_GO_ON},
        {{.if_none_match = "a-3e8.0"}, VERDICT_GO_ON},
        {{.if_none_match = "\"b\"", .if_modified_since = now}, VERDICT_GO_ON},
        {{.if_modified_since = now}, VERDICT_NOT_MODIFIED},
        {{.if_modified_since = old}, VERDICT_GO_ON},
        {{.if_match = "*"}, VERDICT_GO_ON},
        {{.if_match = "\"b\""}, VERDICT_FAILED},
        {{.if_match = own.etag, .if_unmodified_since = old}, VERDICT_GO_ON},
        {{.if_unmodified_since = old}, VERDICT_FAILED},
        {{.if_unmodified_since = now}, VERDICT_GO_ON},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(conditions_judge(&cases[i].asked, &own), cases[i].verdict);
}

static void
a_range_holds_for_the_very_same_thing_only(void **state)
{
    (void)state;
    struct validators own = validators_of(100);
    struct conditions asked = {0};
    assert_true(conditions_range_holds(&asked, &own));
    asked.if_range = own.etag;
    assert_true(conditions_range_holds(&asked, &own));
    asked.if_range = own.date;
    assert_true(conditions_range_holds(&asked, &own));
    asked.if_range = "\"b\"";
    assert_false(conditions_range_holds(&asked, &own));
    asked.if_range = "W/\"a-3e8.0\"";
    assert_false(conditions_range_holds(&asked, &own));
    asked.if_range = "Thu, 01 Jan 1970 00:16:41 GMT";
    assert_false(conditions_range_holds(&asked, &own));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_range_lies_inside_of_what_is_there),
        cmocka_unit_test(a_range_behind_the_end_is_beyond),
        cmocka_unit_test(what_is_not_one_range_of_bytes_is_the_whole),
        cmocka_unit_test(dates_are_read_in_all_three_forms),
        cmocka_unit_test(a_file_that_has_just_changed_has_a_weak_tag),
        cmocka_unit_test(tags_go_before_dates),
        cmocka_unit_test(a_range_holds_for_the_very_same_thing_only),
    };
    return cmocka_run_group_tests_name("host_range", tests, NULL, NULL) != 0;
}
