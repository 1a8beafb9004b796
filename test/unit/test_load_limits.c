/* test_load_limits.c - claims about the limits of a pool. */
#include "test/unit/load_helper.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void
limits_are_soft_and_hard_in_the_kernels_units(void **state)
{
    (void)state;
    struct compiled compiled = compile_pool("\"limits\": {\"nofile\": 64, \"core\": \"0\", "
                                            "\"cpu\": \"2m\", \"rttime\": \"5ms\", \"stack\": "
                                            "\"1MiB\", \"nice\": 19, \"oom_score_adjust\": 1000}");
    const struct record_pool *pool = good_pool(&compiled);
    uint64_t want[RLIM_NLIMITS] = {
        [RLIMIT_NOFILE] = 64, [RLIMIT_CPU] = 120, [RLIMIT_RTTIME] = 5000, [RLIMIT_STACK] = 1 << 20};
    assert_int_equal(pool->limit_count, 5);
    for (uint32_t i = 0; i < pool->limit_count; i++) {
        struct record_limit limit = record_limit_at(&compiled.record, pool, i);
        assert_int_equal(limit.soft, want[limit.resource]);
        assert_int_equal(limit.hard, limit.soft);
    }
    assert_int_equal(pool->set_nice, 1);
    assert_int_equal(pool->nice, 19);
    assert_int_equal(pool->set_oom_score_adjust, 1);
    assert_int_equal(pool->oom_score_adjust, 1000);
    compiled_fini(&compiled);
    compiled = compile_pool("");
    pool = good_pool(&compiled);
    assert_int_equal(pool->limit_count + pool->set_nice + pool->set_oom_score_adjust, 0);
    compiled_fini(&compiled);
}

static void
as_root_a_limit_may_be_none(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    struct compiled compiled = compile_pool("\"limits\": {\"as\": \"unlimited\"}");
    const struct record_pool *pool = good_pool(&compiled);
    assert_int_equal(pool->limit_count, 1);
    assert_true(record_limit_at(&compiled.record, pool, 0).hard == RLIM_INFINITY);
    compiled_fini(&compiled);
}

static void
a_limit_that_cannot_be_is_refused(void **state)
{
    (void)state;
    expect_refused("\"limits\": {\"nofile\": -1}", "/limits/nofile: found the number -1");
    expect_refused("\"limits\": {\"nofile\": \"99\"}",
                   "found the string \"99\", but a whole number");
    expect_refused("\"limits\": {\"core\": 5}", "found the number 5, but a size such as");
    expect_refused("\"limits\": {\"core\": \"99999999999TiB\"}", "/limits/core: found the string");
    expect_refused("\"limits\": {\"cpu\": \"1500ms\"}", "in whole seconds");
    expect_refused("\"limits\": {\"nice\": 20}", "an integer from -20 to 19 is needed");
    expect_refused("\"limits\": {\"oom_score_adjust\": -1001}", "an integer from -1000 to 1000");
    expect_refused("\"limits\": {\"nofiles\": 1}", "did you mean \"nofile\"?");
}

static const char *const cases[][2] = {
    {"\"limits\": {\"nofile\": 100}", ""},
    {"\"limits\": {\"nofile\": 101}", "/limits/nofile: found the number 101, but poold was "
                                      "started with 100 and may not go beyond it without "
                                      "CAP_SYS_RESOURCE"},
    {"\"limits\": {\"nofile\": \"unlimited\"}", "found the string \"unlimited\", but poold was "
                                                "started with 100 "},
    {"\"limits\": {\"msgqueue\": \"2KiB\"}", "started with 1KiB "},
    {"\"limits\": {\"cpu\": \"1h\"}", "started with 1000 s "},
    {"\"limits\": {\"nice\": 19}", ""},
    {"\"limits\": {\"nice\": 18}", "/limits/nice: found the number 18, but poold was started "
                                   "with 19 and may not go beyond it without CAP_SYS_NICE"},
    {"\"limits\": {\"oom_score_adjust\": 300}", ""},
    {"\"limits\": {\"oom_score_adjust\": -1}", "CAP_SYS_RESOURCE"}};

/* The rights that are given up for it are gone for good. Returns the number of the case that fails. */
static int
give_up_rights_and_try(void)
{
    const struct rlimit nofile = {100, 100}, queue = {1024, 1024}, cpu = {1000, 1000},
                        none = {0, 0};
    if (setrlimit(RLIMIT_NOFILE, &nofile) != 0 || setrlimit(RLIMIT_MSGQUEUE, &queue) != 0 ||
        setrlimit(RLIMIT_CPU, &cpu) != 0 || setrlimit(RLIMIT_NICE, &none) != 0 ||
        setpriority(PRIO_PROCESS, 0, 19) != 0 ||
        (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0))
        return 99;
    prctl(PR_SET_DUMPABLE, 1); /* else its /proc belongs to root */
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct compiled compiled = compile_pool(cases[i][0]);
        bool good = cases[i][1][0] == '\0' ? compiled.errors[0] == '\0'
                                           : strstr(compiled.errors, cases[i][1]) != NULL;
        if (!good) {
            fprintf(stderr, "%s: %s\n", cases[i][0], compiled.errors);
            return (int)i + 1;
        }
        compiled_fini(&compiled);
    }
    return 0;
}

static void
what_poold_may_not_give_is_refused_with_what_it_has(void **state)
{
    int status;
    (void)state;
    pid_t pid = fork();
    if (pid == 0)
        _exit(give_up_rights_and_try());
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_soft_and_hard_in_the_kernels_units),
        cmocka_unit_test(as_root_a_limit_may_be_none),
        cmocka_unit_test(a_limit_that_cannot_be_is_refused),
        cmocka_unit_test(what_poold_may_not_give_is_refused_with_what_it_has),
    };
    return cmocka_run_group_tests_name("load_limits", tests, NULL, NULL) != 0;
}
