/* test_nearest.c - claims about "did you mean". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <limits.h>
#include <string.h>

#include "common/prng.h"
#include "common/text.h"

static const char *
nearest_of(struct text_nearest *nearest, const char *word, const char *const *list)
{
    text_nearest_init(nearest, word);
    for (; *list != NULL; list++)
        text_nearest_offer(nearest, *list);
    return nearest->best;
}

static void
a_distance_counts_slips(void **state)
{
    (void)state;
    assert_int_equal(text_distance("", ""), 0);
    assert_int_equal(text_distance("abc", ""), 3);
    assert_int_equal(text_distance("", "ab"), 2);
    assert_int_equal(text_distance("recycle", "recycle"), 0);
    assert_int_equal(text_distance("recylce", "recycle"), 1); /* swapped */
    assert_int_equal(text_distance("recyle", "recycle"), 1);
    assert_int_equal(text_distance("reccycle", "recycle"), 1);
    assert_int_equal(text_distance("recicle", "recycle"), 1);
    assert_int_equal(text_distance("kitten", "sitting"), 3);
}

static void
a_distance_is_a_metric_on_random_words(void **state)
{
    (void)state;
    struct prng prng = {5};
    for (int round = 0; round < 5000; round++) {
        char a[12] = "", b[12] = "";
        size_t a_len = prng_below(&prng, 11), b_len = prng_below(&prng, 11);
        for (size_t i = 0; i < a_len; i++)
            a[i] = (char)('a' + prng_below(&prng, 3));
        for (size_t i = 0; i < b_len; i++)
            b[i] = (char)('a' + prng_below(&prng, 3));
        unsigned distance = text_distance(a, b);
        assert_int_equal(distance, text_distance(b, a));
        assert_int_equal(distance == 0, strcmp(a, b) == 0);
        assert_true(distance <= MAX(a_len, b_len));
        assert_true(distance >= MAX(a_len, b_len) - MIN(a_len, b_len));
    }
}

static void
the_nearest_word_is_offered_when_it_is_near(void **state)
{
    (void)state;
    static const char *const list[] = {"start", "stop", "status", "recycle", NULL};
    struct text_nearest nearest;
    assert_string_equal(nearest_of(&nearest, "stat", list), "start");
    assert_string_equal(nearest_of(&nearest, "sttaus", list), "status");
    assert_string_equal(nearest_of(&nearest, "recylcee", list), "recycle");
    assert_string_equal(nearest_of(&nearest, "explain", list), "");
    assert_string_equal(nearest_of(&nearest, "", list), "");
}

static void
a_word_above_64_bytes_is_near_to_nothing(void **state)
{
    (void)state;
    char word[67] = "", longest[65] = "";
    memset(word, 'a', 66);
    memset(longest, 'a', 64);
    const char *list[] = {word, longest, NULL};
    struct text_nearest nearest;
    assert_int_equal(text_distance(word, word), UINT_MAX);
    assert_string_equal(nearest_of(&nearest, word, list), "");
    assert_string_equal(nearest_of(&nearest, longest, list), longest);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_distance_counts_slips),
        cmocka_unit_test(a_distance_is_a_metric_on_random_words),
        cmocka_unit_test(the_nearest_word_is_offered_when_it_is_near),
        cmocka_unit_test(a_word_above_64_bytes_is_near_to_nothing),
    };
    return cmocka_run_group_tests_name("nearest", tests, NULL, NULL) != 0;
}
