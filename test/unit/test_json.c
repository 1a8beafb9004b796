/* test_json.c - claims about reading JSON strictly, and knowing where things are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/json_scan.h"
#include "common/prng.h"

static json_t *
parse(const char *text, struct json_failure *failure)
{
    return json_parse(text, strlen(text), false, failure);
}

static void
a_duplicate_key_is_its_own_fault_and_may_be_let_pass(void **state)
{
    (void)state;
    struct json_failure failure;
    const char *text = "{\"a\": 1, \"a\": 2}";
    assert_null(parse(text, &failure));
    assert_int_equal(failure.fault, JSON_FAULT_DUPLICATE);
    json_t *tree = json_parse(text, strlen(text), true, &failure);
    assert_int_equal(json_integer_value(json_object_get(tree, "a")), 2);
    json_decref(tree);
}

static void
a_syntax_fault_is_placed_by_characters_not_bytes(void **state)
{
    (void)state;
    struct json_failure failure;
    assert_null(parse("{\n\"\xc3\xa4\xe2\x82\xac\": bad}", &failure));
    assert_int_equal(failure.fault, JSON_FAULT_SYNTAX);
    assert_int_equal(failure.line, 2);
    assert_int_equal(failure.column, 7);
    assert_int_equal(failure.offset, 11);
}

static void
nesting_ends_at_32_levels(void **state)
{
    (void)state;
    struct json_failure failure;
    char text[8000];
    for (unsigned levels = 31; levels <= 34; levels++) {
        memset(text, '[', levels);
        memset(text + levels, ']', levels);
        json_t *tree = json_parse(text, (size_t)levels * 2, false, &failure);
        assert_int_equal(tree != NULL, levels <= 32);
        assert_int_equal(failure.fault, levels <= 32 ? JSON_FAULT_NONE : JSON_FAULT_DEPTH);
        json_decref(tree);
    }
    memset(text, '[', sizeof text); /* more than jansson's own limit */
    assert_null(json_parse(text, sizeof text, false, &failure));
    assert_int_equal(failure.fault, JSON_FAULT_DEPTH);
    assert_int_equal(failure.column, 33);
}

static void
a_tree_above_the_budget_fails_cleanly(void **state)
{
    (void)state;
    struct json_failure failure;
    enum { OBJECTS = 10000 };
    char text[OBJECTS * 3 + 2] = "[";
    for (size_t i = 0; i < OBJECTS; i++)
        memcpy(text + 1 + i * 3, "{},", 3);
    text[OBJECTS * 3] = ']'; /* in place of the last comma */
    json_budget_begin(100000);
    assert_null(parse(text, &failure));
    assert_int_equal(failure.fault, JSON_FAULT_MEMORY);
    /* Everything was given back. */
    for (int i = 0; i < 100; i++) {
        json_t *tree = parse("{\"a\": [1, 2, 3], \"b\": \"text\"}", &failure);
        assert_non_null(tree);
        json_decref(tree);
    }
    assert_null(parse(text, &failure));
    json_budget_end();
    json_t *tree = parse(text, &failure);
    assert_non_null(tree);
    json_decref(tree);
}

static void
found_says_what_a_person_sees(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } rows[] = {{"\"a\\nb\"", "the string \"a\\x0ab\""},
                {"-3", "the number -3"},
                {"1.0", "the number 1.0"},
                {"1e3", "the number 1000.0"},
                {"0.1", "the number 0.1"},
                {"1e300", "the number 1e+300"},
                {"true", "true"},
                {"false", "false"},
                {"null", "null"},
                {"[]", "an empty array"},
                {"[1]", "an array"},
                {"{}", "an empty object"},
                {"{\"a\": 1}", "an object"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char buf[JSON_FOUND_MAX];
        struct json_failure failure;
        json_t *tree = parse(rows[i].text, &failure);
        assert_string_equal(json_found(tree, buf), rows[i].want);
        json_decref(tree);
    }
    json_t *tree = json_stringn(memset((char[1000]){0}, 'x', 1000), 1000);
    char buf[JSON_FOUND_MAX];
    assert_true(strlen(json_found(tree, buf)) < sizeof buf);
    assert_non_null(strstr(buf, "xxx...\""));
    json_decref(tree);
}

/* What a scan says about one path. */
struct wanted {
    uint64_t path;
    struct json_node node;
    unsigned count;
};

static void
find(const struct json_node *node, void *arg)
{
    struct wanted *wanted = arg;
    if (node->path != wanted->path)
        return;
    wanted->node = *node;
    wanted->count++;
}

static void
a_scan_finds_key_and_value_of_a_pointer(void **state)
{
    (void)state;
    const char *text =
        "{\"a\": [true, {\"\\u0062\\ud83d\\udc04\":\n  -1.5e3}], \"a/b\": {\"\": \"\\\"}\"}}";
    struct wanted wanted = {.path = JSON_PATH_ROOT};
    wanted.path = json_path_member(wanted.path, "a");
    wanted.path = json_path_element(wanted.path, 1);
    wanted.path = json_path_member(wanted.path, "b\xf0\x9f\x90\x84");
    assert_int_equal(json_scan(text, strlen(text), find, &wanted), strlen(text));
    assert_int_equal(wanted.count, 1);
    assert_int_equal(wanted.node.depth, 3);
    assert_int_equal(wanted.node.key.line, 1);
    assert_int_equal(wanted.node.key.column, 15);
    assert_int_equal(wanted.node.value.line, 2);
    assert_int_equal(wanted.node.value.column, 3);
    assert_memory_equal(text + wanted.node.value.offset, "-1.5e3", 6);

    wanted = (struct wanted){.path = json_path_member(JSON_PATH_ROOT, "a/b")};
    wanted.path = json_path_member(wanted.path, "");
    json_scan(text, strlen(text), find, &wanted);
    assert_int_equal(wanted.count, 1);
    wanted = (struct wanted){.path = json_path_member(JSON_PATH_ROOT, "a")};
    wanted.path = json_path_member(wanted.path, "b");
    json_scan(text, strlen(text), find, &wanted);
    assert_int_equal(wanted.count, 0);
}

static void
count_nodes(const struct json_node *node, void *arg)
{
    (void)node;
    ++*(size_t *)arg;
}

/* Values of a tree, which a scan of its text must all visit. */
static size_t
count_values(const json_t *tree)
{
    size_t count = 1, index;
    json_t *element;
    const char *key;
    json_array_foreach(tree, index, element) count += count_values(element);
    json_object_foreach((json_t *)(uintptr_t)tree, key, element) count += count_values(element);
    return count;
}

/* What jansson takes, the scan reads to the end; what it refuses, it survives. */
static void
a_scan_agrees_with_the_parser_on_what_is_valid(void **state)
{
    (void)state;
    static const char bytes[] = "{}[]\",:\\u01ae-. \ntfn";
    static const char seed[] =
        "{\"a\": [1, {\"b\\u00e4\": \"\\\\\"}, null], \"c\": {}, \"d\": -0.5}";
    struct prng prng = {3};
    unsigned valid = 0;
    for (int round = 0; round < 100000; round++) {
        char *text = malloc(sizeof seed - 1);
        assert_non_null(text);
        memcpy(text, seed, sizeof seed - 1);
        size_t len = sizeof seed - 1 - (round % 3 == 0 ? prng_below(&prng, sizeof seed - 1) : 0);
        for (uint64_t n = prng_below(&prng, 3); n > 0 && len > 0; n--)
            text[prng_below(&prng, len)] = bytes[prng_below(&prng, sizeof bytes - 1)];
        struct json_failure failure;
        size_t nodes = 0;
        size_t end = json_scan(text, len, count_nodes, &nodes);
        assert_true(end <= len);
        json_t *tree = json_parse(text, len, false, &failure);
        if (tree != NULL) {
            valid++;
            assert_int_equal(end, len);
            assert_int_equal(nodes, count_values(tree));
            json_decref(tree);
        }
        free(text);
    }
    assert_true(valid > 1000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_duplicate_key_is_its_own_fault_and_may_be_let_pass),
        cmocka_unit_test(a_syntax_fault_is_placed_by_characters_not_bytes),
        cmocka_unit_test(nesting_ends_at_32_levels),
        cmocka_unit_test(a_tree_above_the_budget_fails_cleanly),
        cmocka_unit_test(found_says_what_a_person_sees),
        cmocka_unit_test(a_scan_finds_key_and_value_of_a_pointer),
        cmocka_unit_test(a_scan_agrees_with_the_parser_on_what_is_valid),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL) != 0;
}
