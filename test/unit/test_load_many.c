/* test_load_many.c - claims about a configuration of five thousand pools. */
#include "test/unit/load_helper.h"

#include <time.h>

enum { POOLS = 5000 };

/* A file of 5,000 pools; free. */
static char *
text_of_many_pools(void)
{
    enum { ROOM = 512 };
    char *text = malloc(POOLS * ROOM);
    assert_non_null(text);
    size_t at = (size_t)sprintf(text, "{\"pools\": {");
    for (int i = 0; i < POOLS; i++)
        at += (size_t)sprintf(
            text + at,
            "%s\"application-%d\": {\"command\": [\"/usr/bin/server\", \"--config\", "
            "\"/etc/server.conf\"], \"directory\": \"/srv/applications\", \"environment\": "
            "{\"LANG\": \"de_DE.UTF-8\", \"MODE\": \"production\"}, %s, \"listen\": "
            "[\"127.0.%d.%d:80\"]}",
            i == 0 ? "" : ", ", i, identity(), i / 250, i % 250);
    at += (size_t)sprintf(text + at, "}}");
    assert_true(at < LOAD_FILE_MAX);
    return text;
}

/* The engine's budget is 2.4 KiB a pool, of which its configuration may take 0.5. */
static void
five_thousand_pools_take_at_most_512_bytes_each(void **state)
{
    (void)state;
    char *text = text_of_many_pools();
    struct compiled compiled = compile(text);
    assert_string_equal(compiled.errors, "");
    assert_int_equal(compiled.record.header->pools, POOLS);
    assert_int_equal(compiled.record.header->sockets, POOLS);
    assert_true(compiled.result.size / POOLS <= 512);
    /* Equal lists are one. */
    assert_int_equal(compiled.record.pools[0].env.at, compiled.record.pools[4999].env.at);
    assert_int_equal(compiled.record.pools[0].argv.at, compiled.record.pools[4999].argv.at);
    compiled_fini(&compiled);
    free(text);
}

static double
seconds_of_cpu(void)
{
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void
five_thousand_pools_load_in_under_a_second_first_and_again(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_UNDEFINED__)
    skip();
#endif
    char *text = text_of_many_pools();
    double start = seconds_of_cpu();
    struct compiled first = compile(text);
    double loaded = seconds_of_cpu();
    struct load_options options = {.config = "c.json", .in_force = &first.record};
    struct load_result again;
    struct err err;
    assert_int_equal(load_compile_text(&options, text, strlen(text), &again, &err), 0);
    double reloaded = seconds_of_cpu();
    assert_int_equal(again.size, first.result.size);
    assert_true(loaded - start < 1.0);
    assert_true(reloaded - loaded < 1.0);
    load_result_fini(&again);
    compiled_fini(&first);
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_thousand_pools_take_at_most_512_bytes_each),
        cmocka_unit_test(five_thousand_pools_load_in_under_a_second_first_and_again),
    };
    return cmocka_run_group_tests_name("load_many", tests, NULL, NULL) != 0;
}
