/* test_text.c - claims about text from outside in lines of ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "common/prng.h"
#include "common/text.h"

static void
expect_escaped(const char *in, size_t len, const char *want)
{
    char out[256];
    size_t size = text_escape(out, sizeof out, in, len);
    assert_string_equal(out, want);
    assert_int_equal(size, strlen(want));
}
#define EXPECT_ESCAPED(in, want) expect_escaped(in, sizeof in - 1, want)

static void
printable_text_stays_as_it_is(void **state)
{
    (void)state;
    EXPECT_ESCAPED("", "");
    EXPECT_ESCAPED("worker \"a\" = 100% \\o/ ~", "worker \"a\" = 100% \\o/ ~");
    EXPECT_ESCAPED("Gr\xc3\xbc\xc3\x9f"
                   "e \xe2\x82\xac \xf0\x9f\x90\x84",
                   "Gr\xc3\xbc\xc3\x9f"
                   "e \xe2\x82\xac \xf0\x9f\x90\x84");
}

static void
controls_become_numbers(void **state)
{
    (void)state;
    EXPECT_ESCAPED("ok\n<0>kernel: fake", "ok\\x0a<0>kernel: fake");
    EXPECT_ESCAPED("a\x1b[2Jb\rc\td\0e\x7f", "a\\x1b[2Jb\\x0dc\\x09d\\x00e\\x7f");
    EXPECT_ESCAPED("\xc2\x9b"
                   "31m",
                   "\\xc2\\x9b31m"); /* C1: CSI in one character */
}

static void
bidi_and_line_separators_become_numbers(void **state)
{
    (void)state;
    EXPECT_ESCAPED("\xe2\x80\xaetxt", "\\xe2\\x80\\xaetxt"); /* U+202E */
    EXPECT_ESCAPED("\xe2\x81\xa6txt", "\\xe2\\x81\\xa6txt"); /* U+2066 */
    EXPECT_ESCAPED("\xe2\x80\xa8txt", "\\xe2\\x80\\xa8txt"); /* U+2028 */
    EXPECT_ESCAPED("\xd8\x9ctxt", "\\xd8\\x9ctxt");          /* U+061C */
}

static void
what_is_not_utf8_becomes_numbers(void **state)
{
    (void)state;
    EXPECT_ESCAPED("\xff"
                   "a",
                   "\\xffa");
    EXPECT_ESCAPED("\xc0\x8a", "\\xc0\\x8a"); /* an overlong newline */
    EXPECT_ESCAPED("\xe0\x80\x8a", "\\xe0\\x80\\x8a");
    EXPECT_ESCAPED("\xed\xa0\x80", "\\xed\\xa0\\x80");          /* a surrogate */
    EXPECT_ESCAPED("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"); /* above U+10FFFF */
    EXPECT_ESCAPED("\xe2\x82", "\\xe2\\x82");                   /* ends too early */
    EXPECT_ESCAPED("\xe2"
                   "ab",
                   "\\xe2"
                   "ab");
}

static void
a_printable_character_has_a_length(void **state)
{
    (void)state;
    assert_int_equal(text_printable("ab", 2), 1);
    assert_int_equal(text_printable("\xe2\x82\xac", 3), 3);
    assert_int_equal(text_printable("\xe2\x82\xac", 2), 0);
    assert_int_equal(text_printable("\n", 1), 0);
    assert_int_equal(text_printable("\xe2\x80\xae", 3), 0);
}

static void
what_does_not_fit_is_cut_between_characters(void **state)
{
    (void)state;
    char out[10];
    text_escape(out, sizeof out, "123456789", 9);
    assert_string_equal(out, "123456789");
    text_escape(out, sizeof out, "1234567890", 10);
    assert_string_equal(out, "123456...");
    text_escape(out, sizeof out, "12345\nabc", 9);
    assert_string_equal(out, "12345...");
    text_escape(out, sizeof out,
                "12345\xe2\x82\xac"
                "abc",
                11);
    assert_string_equal(out, "12345...");
}

/* Every input, at every size of out: no harmful byte, ends with NUL inside, twice is once. */
static void
any_bytes_give_harmless_text(void **state)
{
    (void)state;
    struct prng prng = {7};
    for (int round = 0; round < 20000; round++) {
        char in[24], once[128], twice[128];
        size_t len = prng_below(&prng, sizeof in);
        for (size_t i = 0; i < len; i++)
            in[i] = (char)prng_below(&prng, 256);
        size_t cap = 4 + prng_below(&prng, sizeof once - 4);
        memset(once, 'Z', sizeof once);
        size_t size = text_escape(once, cap, in, len);
        assert_true(size < cap);
        assert_int_equal(strlen(once), size);
        for (size_t i = 0; i < size; i++)
            assert_true((unsigned char)once[i] >= 0x20 && once[i] != 0x7f);
        assert_int_equal(text_escape(twice, sizeof twice, once, size), size);
        assert_memory_equal(once, twice, size);
    }
}

static void
a_cut_ends_on_a_boundary_with_a_mark(void **state)
{
    (void)state;
    char plain[] = "123456789";
    assert_int_equal(text_cut(plain, 9, 9), 9);
    assert_string_equal(plain, "123456...");
    char wide[] = "12\xe2\x82\xac"
                  "6789";
    assert_int_equal(text_cut(wide, 9, 7), 5);
    assert_string_equal(wide, "12...");
    char least[] = "1234";
    assert_int_equal(text_cut(least, 4, 3), 3);
    assert_string_equal(least, "...");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(printable_text_stays_as_it_is),
        cmocka_unit_test(controls_become_numbers),
        cmocka_unit_test(bidi_and_line_separators_become_numbers),
        cmocka_unit_test(what_is_not_utf8_becomes_numbers),
        cmocka_unit_test(a_printable_character_has_a_length),
        cmocka_unit_test(what_does_not_fit_is_cut_between_characters),
        cmocka_unit_test(any_bytes_give_harmless_text),
        cmocka_unit_test(a_cut_ends_on_a_boundary_with_a_mark),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL) != 0;
}
