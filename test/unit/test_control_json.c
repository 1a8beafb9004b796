/* test_control_json.c - JSON written piece by piece is JSON, whatever the strings hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include "supervisor/engine/control_json.h"

static json_t *
parsed(struct json_out *out)
{
    assert_false(out->failed);
    json_t *value = json_loadb(json_out_start(out), json_out_pending(out),
                               JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    json_out_fini(out);
    assert_non_null(value);
    return value;
}

static void
members_and_values_are_separated_by_commas(void **state)
{
    (void)state;
    struct json_out out = {0};
    json_out_open(&out, NULL, '{');
    json_out_number(&out, "a", -42);
    json_out_open(&out, "b", '[');
    json_out_bool(&out, NULL, true);
    json_out_null(&out, NULL);
    json_out_open(&out, NULL, '{');
    json_out_close(&out, '}');
    json_out_close(&out, ']');
    json_out_number(&out, "c", INT64_MIN);
    json_out_seconds(&out, "d", 61005);
    json_out_string(&out, "e", NULL);
    json_out_close(&out, '}');
    json_t *value = parsed(&out);
    char *text = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(6));
    assert_string_equal(text, "{\"a\":-42,\"b\":[true,null,{}],\"c\":-9223372036854775808,"
                              "\"d\":61.005,\"e\":null}");
    free(text);
    json_decref(value);
}

static void
every_byte_in_a_string_leaves_the_document_whole(void **state)
{
    (void)state;
    for (int first = 1; first < 256; first++) {
        for (int second = 0; second < 256; second++) {
            char string[3] = {(char)first, (char)second, '\0'};
            struct json_out out = {0};
            json_out_string(&out, NULL, string);
            assert_null(memchr(json_out_start(&out), '\n', json_out_pending(&out)));
            json_t *value = parsed(&out);
            if (first < 0x7f && second < 0x7f)
                assert_string_equal(json_string_value(value), string);
            json_decref(value);
        }
    }
}

static void
well_formed_text_stays_as_it_is(void **state)
{
    (void)state;
    struct json_out out = {0};
    json_out_string(&out, NULL, "Grüße \"\\ 日本 \U0001F600");
    json_t *value = parsed(&out);
    assert_string_equal(json_string_value(value), "Grüße \"\\ 日本 \U0001F600");
    json_decref(value);
}

static void
times_are_those_of_the_calendar(void **state)
{
    (void)state;
    static const int64_t seconds[] = {0,          951782399, 951782400, 951868800, 1078012800,
                                      4107542400, 68169600,  -1,        1763812800};
    static const int32_t offsets[] = {0, 3600, -3 * 3600 - 1800, 14 * 3600, -12 * 3600};
    for (size_t i = 0; i < ARRAY_LEN(seconds); i++) {
        for (size_t j = 0; j < ARRAY_LEN(offsets); j++) {
            time_t local = (time_t)(seconds[i] + offsets[j]);
            int32_t minutes = (offsets[j] < 0 ? -offsets[j] : offsets[j]) / 60;
            struct tm tm;
            char expected[64], date[32];
            gmtime_r(&local, &tm);
            strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
            snprintf(expected, sizeof expected, "%s.007%c%02d:%02d", date,
                     offsets[j] < 0 ? '-' : '+', minutes / 60, minutes % 60);
            struct json_out out = {0};
            json_out_time(&out, NULL, seconds[i] * 1000 + 7, offsets[j]);
            json_t *value = parsed(&out);
            assert_string_equal(json_string_value(value), expected);
            json_decref(value);
        }
    }
}

static void
what_was_sent_makes_room_for_what_comes(void **state)
{
    (void)state;
    struct json_out out = {0};
    char chunk[1000];
    memset(chunk, 'x', sizeof chunk);
    for (int i = 0; i < 10000; i++) {
        json_out_raw(&out, chunk, sizeof chunk);
        json_out_took(&out, i == 0 ? 500 : sizeof chunk);
    }
    assert_int_equal(json_out_pending(&out), 500);
    assert_true(out.cap <= 8192);
    json_out_fini(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_and_values_are_separated_by_commas),
        cmocka_unit_test(every_byte_in_a_string_leaves_the_document_whole),
        cmocka_unit_test(well_formed_text_stays_as_it_is),
        cmocka_unit_test(times_are_those_of_the_calendar),
        cmocka_unit_test(what_was_sent_makes_room_for_what_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
