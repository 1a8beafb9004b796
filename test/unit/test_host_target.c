/* test_host_target.c - claims about the targets of requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "worker/host/target.h"

static void
expect_path(const char *text, const char *path, const char *query)
{
    struct target target;
    assert_int_equal(target_parse(&target, text), REFUSAL_NONE);
    assert_string_equal(target.path, path);
    assert_string_equal(target.query, query);
    target_fini(&target);
}

static void
expect_refused(const char *text, enum refusal refusal)
{
    struct target target;
    assert_int_equal(target_parse(&target, text), refusal);
    assert_null(target.path);
    target_fini(&target);
}

static void
a_path_is_decoded_once_and_a_query_never(void **state)
{
    (void)state;
    expect_path("/", "/", "");
    expect_path("/a%20b?c%20d", "/a b", "c%20d");
    expect_path("/a%2541", "/a%41", "");
    expect_path("/%41%7a?", "/Az", "");
    expect_path("/a?b?c", "/a", "b?c");
    expect_path("//a///b//", "/a/b/", "");
    expect_path("*", "*", "");
    expect_path("/\xc3\xa4", "/\xc3\xa4", "");
}

static void
scheme_and_authority_are_left_out(void **state)
{
    (void)state;
    expect_path("http://host:80/a?b", "/a", "b");
    expect_path("HTTPS://host/a", "/a", "");
    expect_path("http://host", "/", "");
    expect_path("http://host?b", "/", "b");
}

static void
what_begins_with_a_dot_is_hidden_but_for_well_known_in_front(void **state)
{
    (void)state;
    expect_refused("/.", REFUSAL_HIDDEN);
    expect_refused("/..", REFUSAL_HIDDEN);
    expect_refused("/a/../b", REFUSAL_HIDDEN);
    expect_refused("/a/.b", REFUSAL_HIDDEN);
    expect_refused("/%2e%2E/a", REFUSAL_HIDDEN);
    expect_refused("/.well-known", REFUSAL_HIDDEN);
    expect_refused("/a/.well-known/b", REFUSAL_HIDDEN);
    expect_refused("/.well-known/.b", REFUSAL_HIDDEN);
    expect_path("/.well-known/a", "/.well-known/a", "");
    expect_path("/a.b/c..", "/a.b/c..", "");
}

static void
what_no_path_can_be_is_refused(void **state)
{
    (void)state;
    expect_refused("", REFUSAL_BAD_TARGET);
    expect_refused("a", REFUSAL_BAD_TARGET);
    expect_refused("%2fa", REFUSAL_ENCODED_SLASH);
    expect_refused("/a%2Fb", REFUSAL_ENCODED_SLASH);
    expect_refused("/a%00b", REFUSAL_BAD_TARGET);
    expect_refused("/a%0ab", REFUSAL_BAD_TARGET);
    expect_refused("/a\x7f", REFUSAL_BAD_TARGET);
    expect_refused("/%", REFUSAL_BAD_TARGET);
    expect_refused("/%4", REFUSAL_BAD_TARGET);
    expect_refused("/%4g", REFUSAL_BAD_TARGET);
    expect_refused("/%?4", REFUSAL_BAD_TARGET);
    expect_refused("*a", REFUSAL_BAD_TARGET);
}

static void
a_target_has_at_most_8192_bytes(void **state)
{
    (void)state;
    char *text = malloc(TARGET_MAX + 2);
    assert_non_null(text);
    memset(text, '/', TARGET_MAX + 2);
    text[TARGET_MAX] = '\0';
    expect_path(text, "/", "");
    text[TARGET_MAX] = '/';
    text[TARGET_MAX + 1] = '\0';
    expect_refused(text, REFUSAL_TARGET_TOO_LONG);
    free(text);
}

static void
a_prefix_holds_what_is_at_it_or_below(void **state)
{
    (void)state;
    assert_true(target_is_below("/app/", "/app/"));
    assert_true(target_is_below("/app/x", "/app/"));
    assert_true(target_is_below("/app", "/app/"));
    assert_true(target_is_below("/x", "/"));
    assert_false(target_is_below("/apple", "/app/"));
    assert_false(target_is_below("/ap", "/app/"));
    assert_false(target_is_below("/", "/app/"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_decoded_once_and_a_query_never),
        cmocka_unit_test(scheme_and_authority_are_left_out),
        cmocka_unit_test(what_begins_with_a_dot_is_hidden_but_for_well_known_in_front),
        cmocka_unit_test(what_no_path_can_be_is_refused),
        cmocka_unit_test(a_target_has_at_most_8192_bytes),
        cmocka_unit_test(a_prefix_holds_what_is_at_it_or_below),
    };
    return cmocka_run_group_tests_name("host_target", tests, NULL, NULL) != 0;
}
