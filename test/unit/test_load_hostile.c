/* test_load_hostile.c - claims about files that are no honest mistake: cut off, huge, deep, or with
 * what no name may hold. */
#include "test/unit/load_bad.h"

#include "supervisor/load/rights.h"

#include <sys/resource.h>

static uint32_t
lines_of(const char *text)
{
    uint32_t lines = 0;
    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

static void
after_a_thousand_errors_the_others_are_counted(void **state)
{
    (void)state;
    enum { ERRORS = 1500 };
    char *text = malloc(ERRORS * 16);
    assert_non_null(text);
    size_t at = (size_t)sprintf(text, "{\"pools\": {}");
    for (int i = 0; i < ERRORS; i++)
        at += (size_t)sprintf(text + at, ",\n\"x%d\": 1", i);
    strcpy(text + at, "}");
    struct compiled compiled = compile(text);
    assert_int_equal(compiled.record.header->errors, ERRORS);
    assert_int_equal(lines_of(compiled.errors), LOAD_ERRORS_MAX + 1);
    assert_non_null(strstr(compiled.errors, "\nand 500 more errors\n"));
    compiled_fini(&compiled);
    free(text);
}

static void
too_many_values_are_refused_and_not_a_crash(void **state)
{
    (void)state;
    enum { OBJECTS = LOAD_FILE_MAX / 3 - 1 };
    size_t len = OBJECTS * 3 + 1;
    char *text = malloc(len);
    assert_non_null(text);
    text[0] = '[';
    for (size_t i = 0; i < OBJECTS; i++)
        memcpy(text + 1 + i * 3, "{},", 3);
    text[len - 1] = ']'; /* in place of the last comma */
    struct compiled compiled = compile_bytes(text, len);
    assert_string_equal(compiled.errors, "c.json: the document needs too much memory\n");
    compiled_fini(&compiled);
    free(text);
}

/* A half-written file is an error wherever it ends, and never a crash. */
static void
no_prefix_of_a_good_file_is_a_good_file(void **state)
{
    (void)state;
    char *text = with_identity(
        "{\"pools\": {\"p\": {\"command\": [\"/x\", \"\\u00e4\\\\\\ud83d\\udc04\"], \"listen\": "
        "[\"*:80\", \"unix:/run/x\"], \"ready\": {\"after\": \"1s\"},\n\"environment\": {\"A\": "
        "\"b\"}, \"workers\": {\"min\": 12}, \"recycling\": {\"overlap\": true}, \"limits\": "
        "{\"nofile\": 64, "
        "\"core\": \"0\"}, @}}, \"defaults\": {\"umask\": \"0077\"}, \"log\": {\"level\": "
        "\"debug\"}, \"include\": []}");
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        char *exact = malloc(i + 1); /* a sanitizer sees what is read behind it */
        assert_non_null(exact);
        memcpy(exact, text, i);
        struct compiled compiled = compile_bytes(exact, i);
        assert_int_equal(compiled.record.header->errors, 1);
        free(exact);
        compiled_fini(&compiled);
    }
    struct compiled whole = compile(text);
    assert_string_equal(whole.errors, "");
    compiled_fini(&whole);
    free(text);
}

static void
nesting_of_five_thousand_levels_is_refused_and_not_a_crash(void **state)
{
    (void)state;
    enum { LEVELS = 5000 };
    static const char *const opens[] = {"[", "{\"a\":"}, *const closes[] = {"]", "}"};
    for (int kind = 0; kind < 2; kind++) {
        char *text = calloc(LEVELS, 8);
        assert_non_null(text);
        for (size_t i = 0; i < LEVELS; i++)
            strcat(text + i * strlen(opens[kind]), opens[kind]);
        size_t len = strlen(text);
        memcpy(text + len, "1", 1);
        for (size_t i = 0; i < LEVELS; i++)
            memcpy(text + len + 1 + i, closes[kind], 1);
        struct compiled compiled = compile(text);
        assert_int_equal(compiled.record.header->errors, 1);
        assert_non_null(strstr(compiled.errors, "nested more than 32 levels deep\n"));
        compiled_fini(&compiled);
        free(text);
    }
}

static void
a_number_beyond_64_bits_is_refused_whatever_the_key(void **state)
{
    (void)state;
    static const char *const numbers[] = {"9223372036854775808", "18446744073709551617",
                                          "-9223372036854775809", "1e400", "-1e999"};
    static const char *const keys[] = {
        "\"workers\": {\"min\": %s}", "\"queue_length\": %s", "\"limits\": {\"nofile\": %s}",
        "\"health\": {\"startup_timeout\": %s}", "\"limits\": {\"core\": \"%sB\"}"};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
            const char *mark = strstr(keys[k], "%s");
            char members[128];
            snprintf(members, sizeof members, "%.*s%s%s", (int)(mark - keys[k]), keys[k],
                     numbers[i], mark + 2);
            struct compiled compiled = compile_pool(members);
            uint64_t most; /* 2^63 bytes are a size, where a core dump may have it */
            bool fits =
                k == 4 && i == 0 && rights_give_limit(RLIMIT_CORE, UINT64_C(1) << 63, &most);
            assert_int_equal(compiled.record.header->errors, fits ? 0 : 1);
            compiled_fini(&compiled);
        }
    }
}

static void
control_characters_in_names_are_refused_and_shown_as_such(void **state)
{
    (void)state;
    static const struct bad controls[] = {
        {"{\"pools\": {\"a\\u0000b\": {}}}", "c.json:1:12: a string may not hold \\u0000\n"},
        {"{\"pools\": {\"a\\u001b[2J\": {\"command\": [\"/x\"], @}}}",
         "c.json:1:12: /pools/a\\x1b[2J: a pool's name is 1 to 64 of a-z A-Z 0-9 . _ -, a letter "
         "or "
         "digit first\n"},
        {"{\"pools\": {\"a\nb\": {}}}", "c.json:1:12: unexpected newline near '\"a'\n"},
        {POOL("\"listen\": [{\"address\": \"unix:/x\", \"user\": \"a\\u0007\"}]"),
         POOL_AT("44", "/listen/0/user",
                 "found the string \"a\\x07\", but the name of a user is needed")},
        {"{\"include\": [\"a\\u0009\"]}",
         "c.json:1:14: /include/0: found the string \"a\\x09\", but a pattern of file names is "
         "needed, such as \"pools.d/*.json\"\n"},
    };
    EXPECT_BAD(controls);
}

static void
a_nul_in_the_file_is_refused_wherever_it_stands(void **state)
{
    (void)state;
    const char *good = "{\"pools\": {\"p\": {\"listen\": [\"*:80\"]}}}";
    size_t len = strlen(good);
    char bytes[64];
    for (size_t at = 0; at <= len; at++) {
        memcpy(bytes, good, at);
        bytes[at] = '\0';
        memcpy(bytes + at + 1, good + at, len - at);
        struct compiled compiled = compile_bytes(bytes, len + 1);
        unsigned line, column;
        assert_int_equal(compiled.record.header->errors, 1);
        assert_int_equal(sscanf(compiled.errors, "c.json:%u:%u:", &line, &column), 2);
        compiled_fini(&compiled);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_thousand_errors_the_others_are_counted),
        cmocka_unit_test(too_many_values_are_refused_and_not_a_crash),
        cmocka_unit_test(nesting_of_five_thousand_levels_is_refused_and_not_a_crash),
        cmocka_unit_test(a_number_beyond_64_bits_is_refused_whatever_the_key),
        cmocka_unit_test(control_characters_in_names_are_refused_and_shown_as_such),
        cmocka_unit_test(a_nul_in_the_file_is_refused_wherever_it_stands),
        cmocka_unit_test(no_prefix_of_a_good_file_is_a_good_file),
    };
    return cmocka_run_group_tests_name("load_hostile", tests, NULL, NULL) != 0;
}
