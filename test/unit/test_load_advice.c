/* test_load_advice.c - claims about what a valid configuration is warned of. */
#include "test/unit/load_helper.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>

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
                  "pool \"p\": timeout runs the server in a child, so LISTEN_PID is not "
                  "the server's; set \"handoff\": \"fd\"\n");
    expect_advice("\"/usr/bin/sudo\", \"/x\"", SOCKET ", \"handoff\": \"fd\"",
                  "pool \"p\": sudo closes the listening sockets before it runs the "
                  "server; name the server itself\n");
    expect_advice("\"/bin/sh\", \"-c\", \"server --port 3\"", SOCKET,
                  "pool \"p\": sh -c runs the server in a child, so LISTEN_PID is not the "
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
    assert_string_equal(advice, "2 pools, \"b\" among them, run as user \"bin\" and can "
                                "act for each other\n");
    free(advice);
}

static void
a_preset_without_the_word_that_its_server_needs_is_told_what_happens(void **state)
{
    (void)state;
    expect_advice("\"/usr/bin/gunicorn\", \"shop:app\"", SOCKET ", \"preset\": \"gunicorn\"",
                  "pool \"p\": without \"--preload\" in its command it says that it is "
                  "ready before the application is imported\n");
    expect_advice("\"/usr/bin/gunicorn\", \"--preload\", \"shop:app\"",
                  SOCKET ", \"preset\": \"gunicorn\"", "");
    expect_advice("\"/usr/bin/node\", \"app.js\"", SOCKET ", \"preset\": \"node\"", "");
}

static void
a_pool_that_is_kept_from_its_addresses_is_named(void **state)
{
    (void)state;
    char text[512], *out = NULL;
    size_t size;
    snprintf(text, sizeof text,
             "{\"listen_addresses\": [\"::1\"], \"pools\": {\"p\": {\"command\": [\"/x\"], %s, "
             "\"listen\": [\"1.2.3.4:80\"]}}}",
             identity());
    struct compiled compiled = compile(text);
    FILE *stream = open_memstream(&out, &size);
    advice_print(&compiled.record, stream);
    fclose(stream);
    assert_string_equal(out, "pool \"p\" does not start: \"1.2.3.4:80\" is outside "
                             "listen_addresses (::1)\n");
    free(out);
    compiled_fini(&compiled);
}

static void
queues_above_the_kernels_cap_are_named_once(void **state)
{
    (void)state;
    static const struct {
        uint32_t cap;
        const char *want;
    } cases[] = {
        {1000, ""},
        {999, "2 sockets of \"p\" and others want a queue of up to 1000 connections, and "
              "the kernel gives 999; raise net.core.somaxconn or lower queue_length\n"},
        {500, "3 sockets of \"p\" and others want a queue of up to 1000 connections, and "
              "the kernel gives 500; raise net.core.somaxconn or lower queue_length\n"},
    };
    struct compiled compiled = compile_pool(
        "\"listen\": [\"unix:/a\", {\"address\": \"unix:/b\", \"backlog\": 501}, \"unix:/c\"]");
    assert_string_equal(compiled.errors, "");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *out = NULL;
        size_t size;
        FILE *stream = open_memstream(&out, &size);
        advice_print_queues(&compiled.record, cases[i].cap, stream);
        fclose(stream);
        assert_string_equal(out, cases[i].want);
        free(out);
    }
    compiled_fini(&compiled);
}

static void
as_root_what_a_pools_own_user_may_write_is_named(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    char dir[] = "/tmp/poold-test-XXXXXX", program[64], pool[512], want[512];
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chmod(dir, 0755), 0);
    snprintf(program, sizeof program, "%s/server", dir);
    int fd = open(program, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    assert_true(fd >= 0);
    close(fd);
    snprintf(pool, sizeof pool,
             "\"p\": {\"command\": [\"%s\"], \"identity\": {\"user\": \"daemon\"}}", program);
    char *advice = advice_on(pool);
    assert_string_equal(advice, "");
    free(advice);

    assert_int_equal(chmod(program, 0757), 0); /* the program itself */
    snprintf(want, sizeof want,
             "pool \"p\": its user \"daemon\" may write %s, where its program is\n", program);
    advice = advice_on(pool);
    assert_string_equal(advice, want);
    free(advice);

    assert_int_equal(chmod(program, 0755), 0); /* the directory above it */
    assert_int_equal(chown(dir, getpwnam("daemon")->pw_uid, 0), 0);
    snprintf(want, sizeof want,
             "pool \"p\": its user \"daemon\" may write %s, where its program is\n", dir);
    advice = advice_on(pool);
    assert_string_equal(advice, want);
    free(advice);

    snprintf(pool, sizeof pool,
             "\"p\": {\"command\": [\"/bin/true\"], \"directory\": \"%s\", \"identity\": "
             "{\"user\": \"daemon\"}}",
             dir);
    snprintf(want, sizeof want,
             "pool \"p\": its user \"daemon\" may write %s, where its directory is\n", dir);
    advice = advice_on(pool);
    assert_string_equal(advice, want);
    free(advice);

    snprintf(pool, sizeof pool,
             "\"p\": {\"command\": [\"/bin/true\"], \"output\": \"%s/log\", \"identity\": "
             "{\"user\": \"daemon\"}}",
             dir);
    snprintf(want, sizeof want,
             "pool \"p\": its user \"daemon\" may write %s, where its output is\n", dir);
    advice = advice_on(pool);
    assert_string_equal(advice, want);
    free(advice);
    unlink(program);
    rmdir(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrapper_that_breaks_the_hand_off_is_named),
        cmocka_unit_test(a_wrapper_that_does_no_harm_is_not),
        cmocka_unit_test(as_root_pools_that_share_a_user_are_named_once),
        cmocka_unit_test(a_preset_without_the_word_that_its_server_needs_is_told_what_happens),
        cmocka_unit_test(a_pool_that_is_kept_from_its_addresses_is_named),
        cmocka_unit_test(queues_above_the_kernels_cap_are_named_once),
        cmocka_unit_test(as_root_what_a_pools_own_user_may_write_is_named),
    };
    return cmocka_run_group_tests_name("load_advice", tests, NULL, NULL) != 0;
}
