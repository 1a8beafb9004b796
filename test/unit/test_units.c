/* test_units.c - claims about durations, sizes and signals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "common/prng.h"
#include "common/units.h"

static void
expect_duration(const char *text, uint64_t want)
{
    uint64_t ms = 0;
    struct err err;
    assert_int_equal(duration_parse(text, &ms, &err), 0);
    assert_true(ms == want);
}

static void
durations_have_units(void **state)
{
    (void)state;
    expect_duration("90s", 90000);
    expect_duration("20m", 1200000);
    expect_duration("29h", 104400000);
    expect_duration("1h30m", 5400000);
    expect_duration("200ms", 200);
    expect_duration("1d2h3m4s5ms", 93784005);
    expect_duration("1h5ms", 3600005);
    expect_duration("0s", 0);
    expect_duration("007s", 7000);
    expect_duration("3660d", DURATION_MAX_MS);
}

static void
what_is_no_duration_is_refused_and_out_is_untouched(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "90",
                                      "s",
                                      "1.5s",
                                      "-1s",
                                      "+1s",
                                      " 1s",
                                      "1s ",
                                      "1 s",
                                      "30m1h",
                                      "1s1s",
                                      "1S",
                                      "1sec",
                                      "1ms1s",
                                      "0x1s",
                                      "1h30",
                                      "99999999999999999999s",
                                      "18446744073709551616ms"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint64_t ms = 77;
        struct err err;
        assert_int_equal(duration_parse(bad[i], &ms, &err), -EINVAL);
        assert_int_equal(ms, 77);
        assert_non_null(strstr(err.text, "\"1h30m\""));
    }
    uint64_t ms = 77;
    assert_int_equal(duration_parse("3661d", &ms, NULL), -ERANGE);
    assert_int_equal(duration_parse("3660d1ms", &ms, NULL), -ERANGE);
    assert_int_equal(duration_parse("18446744073709551615h", &ms, NULL), -ERANGE);
    assert_int_equal(ms, 77);
}

static void
a_formatted_duration_parses_to_itself(void **state)
{
    (void)state;
    char buf[UNIT_TEXT_MAX];
    assert_string_equal(duration_format(0, buf), "0s");
    assert_string_equal(duration_format(5400000, buf), "1h30m");
    assert_string_equal(duration_format(86400000, buf), "1d");
    assert_string_equal(duration_format(1500, buf), "1s500ms");
    struct prng prng = {1};
    for (int i = 0; i < 10000; i++) {
        uint64_t ms = prng_below(&prng, UINT64_C(1) << prng_below(&prng, 38)), back = 0;
        assert_int_equal(duration_parse(duration_format(ms, buf), &back, NULL), 0);
        assert_true(back == ms);
    }
    assert_true(strlen(duration_format(UINT64_MAX, buf)) < sizeof buf);
}

static void
sizes_have_units_of_1000_and_1024(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t want;
    } good[] = {{"512MiB", 536870912},
                {"2GiB", UINT64_C(2147483648)},
                {"800kB", 800000},
                {"1B", 1},
                {"0", 0},
                {"0MB", 0},
                {"3TB", UINT64_C(3000000000000)},
                {"1TiB", UINT64_C(1099511627776)}};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        uint64_t bytes = 7;
        assert_int_equal(size_parse(good[i].text, &bytes, NULL), 0);
        assert_true(bytes == good[i].want);
    }
}

static void
what_is_no_size_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",    "512",  "512M", "512KB", "1.5GiB", "-1B",
                                      " 1B", "1B1B", "MiB",  "1GiB ", "1mib"};
    uint64_t bytes = 7;
    struct err err;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(size_parse(bad[i], &bytes, &err), -EINVAL);
        assert_non_null(strstr(err.text, "MiB"));
    }
    assert_int_equal(size_parse("18446744073709551616B", &bytes, NULL), -EINVAL);
    assert_int_equal(size_parse("16777216TiB", &bytes, NULL), -ERANGE);
    assert_int_equal(bytes, 7);
}

static void
a_formatted_size_parses_to_itself(void **state)
{
    (void)state;
    char buf[UNIT_TEXT_MAX];
    assert_string_equal(size_format(536870912, buf), "512MiB");
    assert_string_equal(size_format(800000, buf), "800kB");
    assert_string_equal(size_format(1025, buf), "1025B");
    assert_string_equal(size_format(0, buf), "0");
    struct prng prng = {1};
    for (int i = 0; i < 10000; i++) {
        uint64_t bytes = prng_next(&prng) >> prng_below(&prng, 64), back = 1;
        if (i % 2 == 0)
            bytes &= ~UINT64_C(0xfffff);
        assert_int_equal(size_parse(size_format(bytes, buf), &back, NULL), 0);
        assert_true(back == bytes);
    }
}

static void
signals_have_names_with_and_without_sig(void **state)
{
    (void)state;
    assert_int_equal(signal_number("TERM"), SIGTERM);
    assert_int_equal(signal_number("SIGTERM"), SIGTERM);
    assert_int_equal(signal_number("SIGUSR2"), SIGUSR2);
    assert_int_equal(signal_number("SIGSIGTERM"), 0);
    assert_int_equal(signal_number("term"), 0);
    assert_int_equal(signal_number("SIG"), 0);
    assert_int_equal(signal_number(""), 0);
    assert_int_equal(signal_number("15"), 0);
    assert_string_equal(signal_name(SIGKILL), "KILL");
    assert_null(signal_name(0));
    assert_null(signal_name(-1));
    assert_null(signal_name(64));
    for (int i = 1; i < 32; i++)
        assert_int_equal(signal_number(signal_name(i)), i);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_have_units),
        cmocka_unit_test(what_is_no_duration_is_refused_and_out_is_untouched),
        cmocka_unit_test(a_formatted_duration_parses_to_itself),
        cmocka_unit_test(sizes_have_units_of_1000_and_1024),
        cmocka_unit_test(what_is_no_size_is_refused),
        cmocka_unit_test(a_formatted_size_parses_to_itself),
        cmocka_unit_test(signals_have_names_with_and_without_sig),
    };
    return cmocka_run_group_tests_name("units", tests, NULL, NULL) != 0;
}
