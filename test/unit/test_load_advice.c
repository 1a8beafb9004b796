/* test_load_advice.c - claims about what a valid configuration is warned of. */
#include "test/unit/load_helper.h"

#include "supervisor/load/advice.h"

/* The advice on these pools; free. */
static char *
advice_on(const char *pools)
{
    char text[2048], *out = NULL;
    size_t size;
    snprintf(text, sizeof text, "{\"pools\": {%s}}", pools);
    struct compiled compiled = compile(text);
    assert_string_equal(compiled.errors, "");
    FILE *stream = open_memstream(&out, &size);
    advice_print(&compiled.record, stream);
    fclose(stream);
    compiled_fini(&compiled);
    return out;
}

/* The advice on one pool "p" with that command and those members. */
static void
expect_advice(const char *command, const char *members, const char *want)
{
    char pool[1024];
    snprintf(pool, sizeof pool, "\"p\": {\"command\": [%s], %s, %s}", command, identity(), members);
    char *advice = advice_on(pool);
    assert_string_equal(advice, want);
    free(advice);
}

#define SOCKET "\"listen\": [\"*:80\"]"

static void
a_wrapper_that_breaks_the_hand_off_is_named(void **state)
{
    (void)state;
    expect_advice("\"/usr/bin/timeout\", \"9\", \"/x\"", SOCKET,
                  "warning: pool \"p\": timeout runs the server in a child, so LISTEN_PID is not "
                  "the server's; set \"handoff\": \"fd\"\n");
    expect_advice("\"/usr/bin/sudo\", \"/x\"", SOCKET ", \"handoff\": \"fd\"",
                  "warning: pool \"p\": sudo closes the listening sockets before it runs the "
                  "server; name the server itself\n");
    expect_advice("\"/bin/sh\", \"-c\", \"server --port 3\"", SOCKET,
                  "warning: pool \"p\": sh -c runs the server in a child, so LISTEN_PID is not the "
                  "server's; write \"exec server ...\", or set \"handoff\": \"fd\"\n");
}

static void
a_wrapper_that_does_no_harm_is_not(void **state)
{
    (void)state;
    expect_advice("\"/usr/bin/timeout\", \"9\", \"/x\"", SOCKET ", \"handoff\": \"fd\"", "");
    expect_advice("\"/usr/bin/timeout\", \"9\", \"/x\"", "\"listen\": []", "");
    expect_advice("\"/usr/bin/env\", \"/x\"", SOCKET, "");
    expect_advice("\"/bin/sh\", \"-c\", \"ulimit -n 99; exec server\"", SOCKET, "");
    expect_advice("\"/bin/sh\", \"/x\"", SOCKET, "");
    expect_advice("\"/bin/sh\", \"-c\"", SOCKET, "");
}

static void
as_root_pools_that_share_a_user_are_named_once(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    char *advice = advice_on("\"a\": {\"command\": [\"/x\"], \"identity\": {\"user\": \"root\"}},"
                             "\"b\": {\"command\": [\"/x\"], \"identity\": {\"user\": \"bin\"}},"
                             "\"c\": {\"command\": [\"/x\"], \"identity\": {\"user\": \"daemon\"}},"
                             "\"d\": {\"command\": [\"/x\"], \"identity\": {\"user\": \"bin\"}}");
    assert_string_equal(advice, "warning: 2 pools, \"b\" among them, run as user \"bin\" and can "
                                "act for each other\n");
    free(advice);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrapper_that_breaks_the_hand_off_is_named),
        cmocka_unit_test(a_wrapper_that_does_no_harm_is_not),
        cmocka_unit_test(as_root_pools_that_share_a_user_are_named_once),
    };
    return cmocka_run_group_tests_name("load_advice", tests, NULL, NULL) != 0;
}
