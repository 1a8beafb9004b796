/* test_load_pool.c - claims about sockets, limits, hand-offs and presets of a pool. */
#include "test/unit/load_helper.h"

#include <arpa/inet.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "supervisor/load/preset.h"

static const struct record_pool *
good_pool(const struct compiled *compiled)
{
    assert_string_equal(compiled->errors, "");
    assert_int_equal(compiled->record.header->pools, 1);
    return &compiled->record.pools[0];
}

/* The pool with these members is refused with these words, and nothing else. */
static void
expect_refused(const char *members, const char *want)
{
    struct compiled compiled = compile_pool(members);
    if (strstr(compiled.errors, want) == NULL)
        fail_msg("%s\ngives: %s\nand not: %s", members, compiled.errors, want);
    assert_int_equal(compiled.record.header->errors, 1);
    compiled_fini(&compiled);
}

static void
a_socket_says_its_name_mode_owner_and_queue(void **state)
{
    (void)state;
    char members[512];
    snprintf(
        members, sizeof members,
        "\"queue_length\": 77, \"listen\": [{\"address\": \"unix:/run/p\", \"name\": \"admin\", "
        "\"mode\": \"0660\", \"user\": \"%s\", \"group\": \"%s\", \"backlog\": 5}, "
        "{\"address\": \"*:80\"}]",
        getpwuid(geteuid())->pw_name, getgrgid(getegid())->gr_name);
    struct compiled compiled = compile_pool(members);
    assert_int_equal(good_pool(&compiled)->socket_count, 2);
    const struct record_socket *sockets = compiled.record.sockets;
    assert_string_equal(record_text(&compiled.record, sockets[0].name), "admin");
    assert_int_equal(sockets[0].mode, 0660);
    assert_int_equal(sockets[0].backlog, 5);
    assert_int_equal(sockets[0].uid, geteuid());
    assert_int_equal(sockets[0].gid, getegid());
    assert_string_equal(record_text(&compiled.record, sockets[1].name), "p");
    assert_int_equal(sockets[1].backlog, 77);
    compiled_fini(&compiled);
}

static void
as_root_a_path_may_belong_to_anybody(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    struct compiled compiled = compile_pool(
        "\"listen\": [{\"address\": \"unix:/run/p\", \"user\": \"daemon\", \"group\": \"bin\"}]");
    assert_int_equal(good_pool(&compiled)->socket_count, 1);
    assert_int_equal(compiled.record.sockets[0].uid, getpwnam("daemon")->pw_uid);
    assert_int_equal(compiled.record.sockets[0].gid, getgrnam("bin")->gr_gid);
    compiled_fini(&compiled);
}

static void
an_object_that_is_no_socket_is_refused_at_its_member(void **state)
{
    (void)state;
    static const struct {
        const char *object, *want;
    } bad[] = {
        {"{}", "/listen/0: \"address\" is missing"},
        {"{\"address\": 80}", "/listen/0/address: found the number 80, but a string is needed"},
        {"{\"address\": \"*:80\", \"mode\": \"0600\"}",
         "/listen/0/mode: only the path of a \"unix:\" address has a mode"},
        {"{\"address\": \"unix:/x\", \"mode\": \"1777\"}", "/listen/0/mode: found the string"},
        {"{\"address\": \"unix:/x\", \"mode\": \"08\"}", "an octal number in quotes"},
        {"{\"address\": \"unix:/x\", \"mode\": 660}", "found the number 660, but an octal number"},
        {"{\"address\": \"*:80\", \"name\": \"a:b\"}", "/listen/0/name: found the string \"a:b\""},
        {"{\"address\": \"*:80\", \"name\": \"a\\u0000b\"}", "a string may not hold \\u0000"},
        {"{\"address\": \"*:80\", \"backlog\": 0}", "/listen/0/backlog: found the number 0"},
        {"{\"address\": \"*:80\", \"backlog\": 18446744073709551616}", "too big integer"},
        {"{\"address\": \"unix:/x\", \"user\": \"no-such-user-here\"}",
         "/listen/0/user: there is no"},
        {"{\"address\": \"unix:/x\", \"group\": \"no-such-group-here\"}",
         "/listen/0/group: there is"},
        {"{\"adress\": \"*:80\", \"address\": \"*:80\"}",
         "unknown key \"adress\"; did you mean \"address\"?"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char members[256];
        snprintf(members, sizeof members, "\"listen\": [%s]", bad[i].object);
        expect_refused(members, bad[i].want);
    }
}

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

/* In a process of its own, without the right to raise anything; its exit status is what failed. */
static void
what_poold_may_not_give_is_refused_with_what_it_has(void **state)
{
    static const char *const cases[][2] = {
        {"\"limits\": {\"nofile\": 100}", ""},
        {"\"limits\": {\"nofile\": 101}", "/limits/nofile: found the number 101, but poold was "
                                          "started with 100 and may not go beyond it without "
                                          "CAP_SYS_RESOURCE"},
        {"\"limits\": {\"nofile\": \"unlimited\"}", "found the string \"unlimited\", but poold was "
                                                    "started with 100 "},
        {"\"limits\": {\"core\": \"2KiB\"}", "started with 1KiB "},
        {"\"limits\": {\"cpu\": \"1h\"}", "started with 1000 s "},
        {"\"limits\": {\"nice\": 6}", ""},
        {"\"limits\": {\"nice\": 4}", "/limits/nice: found the number 4, but poold was started "
                                      "with 5 and may not go beyond it without CAP_SYS_NICE"},
        {"\"limits\": {\"oom_score_adjust\": 300}", ""},
        {"\"limits\": {\"oom_score_adjust\": -1}", "CAP_SYS_RESOURCE"}};
    const struct rlimit nofile = {100, 100}, core = {1024, 1024}, cpu = {1000, 1000}, none = {0, 0};
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        int failed = 0;
        bool ready = setrlimit(RLIMIT_NOFILE, &nofile) == 0 && setrlimit(RLIMIT_CORE, &core) == 0 &&
                     setrlimit(RLIMIT_CPU, &cpu) == 0 && setrlimit(RLIMIT_NICE, &none) == 0 &&
                     setpriority(PRIO_PROCESS, 0, 5) == 0 &&
                     (geteuid() != 0 || setresuid(65534, 65534, 65534) == 0);
        prctl(PR_SET_DUMPABLE, 1); /* else its /proc belongs to root */
        for (size_t i = 0; ready && i < ARRAY_LEN(cases) && failed == 0; i++) {
            struct compiled compiled = compile_pool(cases[i][0]);
            if (strstr(compiled.errors, cases[i][1]) == NULL ||
                (cases[i][1][0] == '\0' && compiled.errors[0] != '\0')) {
                fprintf(stderr, "case %zu: %s\n", i, compiled.errors);
                failed = (int)i + 1;
            }
            compiled_fini(&compiled);
        }
        _exit(ready ? failed : 99);
    }
    int status;
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void
as_root_named_groups_stand_in_for_those_of_the_database(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    struct compiled compiled =
        compile("{\"pools\": {\"p\": {\"command\": [\"/x\"], \"identity\": {\"user\": \"daemon\", "
                "\"groups\": [\"bin\", \"tty\"]}}, \"q\": {\"command\": [\"/x\"], \"identity\": "
                "{\"user\": \"daemon\", \"groups\": []}}}}");
    assert_string_equal(compiled.errors, "");
    const struct record_pool *pools = compiled.record.pools;
    uint32_t groups[2];
    assert_int_equal(pools[0].group_count, 2);
    memcpy(groups, compiled.record.text + pools[0].groups, sizeof groups);
    assert_int_equal(groups[0], getgrnam("bin")->gr_gid);
    assert_int_equal(groups[1], getgrnam("tty")->gr_gid);
    assert_int_equal(pools[1].group_count, 0);
    compiled_fini(&compiled);
    compiled =
        compile("{\"pools\": {\"p\": {\"command\": [\"/x\"], \"identity\": {\"user\": \"bin\", "
                "\"groups\": [\"bin\", \"tyt\"]}}}}");
    assert_non_null(
        strstr(compiled.errors, "/pools/p/identity/groups/1: there is no group \"tyt\""));
    compiled_fini(&compiled);
}

static void
stdin_takes_one_socket_and_it_blocks(void **state)
{
    (void)state;
    struct compiled compiled = compile_pool("\"handoff\": \"stdin\", \"listen\": [\"unix:/x\"]");
    assert_int_equal(good_pool(&compiled)->handoff, HANDOFF_STDIN);
    assert_int_equal(compiled.record.sockets[0].blocking, 1);
    compiled_fini(&compiled);
    compiled = compile_pool("\"handoff\": \"fpm\", \"listen\": [\"unix:/x\", \"unix:/y\"]");
    assert_int_equal(good_pool(&compiled)->handoff, HANDOFF_FPM);
    assert_int_equal(compiled.record.sockets[1].blocking, 1);
    compiled_fini(&compiled);
    compiled = compile_pool("\"handoff\": \"nginx\", \"listen\": [\"unix:/x\"]");
    assert_int_equal(good_pool(&compiled)->handoff, HANDOFF_NGINX);
    assert_int_equal(compiled.record.sockets[0].blocking, 0);
    compiled_fini(&compiled);
    expect_refused("\"handoff\": \"stdin\", \"listen\": [\"unix:/x\", \"unix:/y\"]",
                   "handoff \"stdin\" takes exactly one socket, and \"listen\" comes to 2");
    expect_refused("\"preset\": \"php-cgi\"",
                   "handoff \"stdin\" takes exactly one socket, and \"listen\" comes to 0");
}

static void
every_preset_fills_what_was_measured(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum handoff handoff;
        int stop_signal;
        enum ready_rule ready;
    } want[] = {
        {"gunicorn", HANDOFF_LISTEN_FDS, SIGTERM, READY_NOTIFY},
        {"uvicorn", HANDOFF_FD, SIGTERM, READY_AFTER},
        {"uwsgi", HANDOFF_FD, SIGTERM, READY_NOTIFY},
        {"puma", HANDOFF_LISTEN_FDS, SIGTERM, READY_AFTER},
        {"node", HANDOFF_FD, SIGTERM, READY_AFTER},
        {"nginx", HANDOFF_NGINX, SIGQUIT, READY_AFTER},
        {"php-fpm", HANDOFF_FPM, SIGQUIT, READY_NOTIFY},
        {"php-cgi", HANDOFF_STDIN, SIGTERM, READY_AFTER},
        {"lighttpd", HANDOFF_LISTEN_FDS, SIGINT, READY_AFTER},
        {"haproxy", HANDOFF_FD, SIGUSR1, READY_AFTER},
    };
    assert_int_equal(sizeof want / sizeof want[0], PRESET_COUNT - 1);
    for (size_t i = 0; i < PRESET_COUNT - 1; i++) {
        char members[128];
        snprintf(members, sizeof members, "\"preset\": \"%s\", \"listen\": [\"unix:/x\"]",
                 want[i].name);
        struct compiled compiled = compile_pool(members);
        const struct record_pool *pool = good_pool(&compiled);
        assert_int_equal(pool->handoff, want[i].handoff);
        assert_int_equal(pool->stop_signal, want[i].stop_signal);
        assert_int_equal(pool->settings.ready, want[i].ready);
        compiled_fini(&compiled);
    }
    expect_refused("\"preset\": \"ngnix\"", "did you mean \"nginx\"?");
}

/* --- listen_addresses */

static struct compiled
compile_listening(const char *addresses, const char *listen)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{\"listen_addresses\": [%s],\n\"pools\": {\"p\": {\"command\": [\"/x\"], %s, "
             "\"listen\": [%s]}}}",
             addresses, identity(), listen);
    return compile(text);
}

/* The addresses of all sockets, with a blank between. */
static void
expect_sockets(const char *addresses, const char *listen, const char *want)
{
    struct compiled compiled = compile_listening(addresses, listen);
    char got[512] = "";
    assert_string_equal(compiled.errors, "");
    assert_string_equal(record_text(&compiled.record, compiled.record.pools[0].refused), "");
    for (uint32_t i = 0; i < compiled.record.header->sockets; i++) {
        size_t len = strlen(got);
        snprintf(got + len, sizeof got - len, "%s%s", i == 0 ? "" : " ",
                 record_text(&compiled.record, compiled.record.sockets[i].address));
        assert_int_equal(compiled.record.sockets[i].dual, 0);
    }
    assert_string_equal(got, want);
    compiled_fini(&compiled);
}

static void
a_wildcard_binds_exactly_the_addresses_of_the_list(void **state)
{
    (void)state;
    const char *list = "\"127.0.0.1\", \"::1\", \"127.0.0.2\"";
    expect_sockets(list, "\"*:80\"", "127.0.0.1:80 [::1]:80 127.0.0.2:80");
    expect_sockets(list, "\"0.0.0.0:80\"", "127.0.0.1:80 127.0.0.2:80");
    expect_sockets(list, "\"[::]:80\"", "[::1]:80");
    expect_sockets(list, "\"127.0.0.2:80\", \"unix:/x\"", "127.0.0.2:80 unix:/x");
    expect_sockets("\"::1\"", "{\"address\": \"*:80\", \"name\": \"n\"}", "[::1]:80");

    struct compiled compiled = compile_listening("\"127.0.0.1\"", "\"*:8080\"");
    struct sockaddr_in in;
    memcpy(&in, compiled.record.sockets[0].sockaddr, sizeof in);
    assert_int_equal(compiled.record.sockets[0].length, sizeof in);
    assert_int_equal(in.sin_port, htons(8080));
    assert_int_equal(in.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    compiled_fini(&compiled);
}

static void
a_pool_that_names_an_address_outside_the_list_is_refused_alone(void **state)
{
    (void)state;
    static const struct {
        const char *list, *listen, *why;
    } outside[] = {
        {"\"127.0.0.1\"", "\"127.0.0.1:80\", \"127.0.0.2:80\"",
         "\"127.0.0.2:80\" is outside listen_addresses (127.0.0.1)"},
        {"\"127.0.0.1\", \"127.0.0.3\"", "\"[::1]:80\"",
         "\"[::1]:80\" is outside listen_addresses (127.0.0.1, 127.0.0.3)"},
        {"\"127.0.0.1\"", "\"[::]:80\"",
         "\"[::]:80\" stands for none of listen_addresses (127.0.0.1)"},
    };
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        struct compiled compiled = compile_listening(outside[i].list, outside[i].listen);
        const struct record_pool *pool = good_pool(&compiled);
        assert_string_equal(record_text(&compiled.record, pool->refused), outside[i].why);
        assert_int_equal(pool->socket_count, 0);
        assert_int_equal(compiled.record.header->sockets, 0);
        compiled_fini(&compiled);
    }
}

static void
a_bad_entry_of_the_list_is_an_error(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "1",
        "\"\"",
        "\"localhost\"",
        "\"127.0.0.1:80\"",
        "\"[::1]\"",
        "\"0.0.0.0\"",
        "\"::\"",
        "\"::ffff:127.0.0.1\"",
        "\"fe80::1\"",
        "\"*\"",
        "null",
        "\"::1%lo\"",
        "\"127.0.0.1\", \"127.0.0.1\"",
        "\"127.0.0.0/8\"",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct compiled compiled = compile_listening(bad[i], "\"*:80\"");
        assert_int_equal(compiled.record.header->errors, 1);
        assert_non_null(strstr(compiled.errors, ": /listen_addresses/"));
        compiled_fini(&compiled);
    }
}

static void
a_wildcard_that_comes_to_too_many_sockets_is_an_error(void **state)
{
    (void)state;
    char list[2048] = "", listen[256] = "";
    for (int i = 1; i <= 40; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s\"10.0.0.%d\"",
                 i == 1 ? "" : ",", i);
    snprintf(listen, sizeof listen, "\"*:80\", \"*:81\"");
    char text[4096];
    snprintf(text, sizeof text,
             "{\"listen_addresses\": [%s], \"pools\": {\"p\": {\"command\": [\"/x\"], %s, "
             "\"listen\": [%s]}}}",
             list, identity(), listen);
    struct compiled compiled = compile(text);
    assert_int_equal(compiled.record.header->errors, 1);
    assert_non_null(strstr(compiled.errors,
                           "/pools/p/listen/1: with listen_addresses the pool comes "
                           "to more than 64 sockets"));
    compiled_fini(&compiled);
}

static void
the_keys_of_the_file_reach_the_header(void **state)
{
    (void)state;
    struct compiled compiled =
        compile("{\"log\": {\"facility\": \"local7\", \"level\": \"debug\"}, "
                "\"limits\": {\"starts\": 3}}");
    assert_string_equal(compiled.errors, "");
    assert_int_equal(compiled.record.header->log_facility, 23);
    assert_int_equal(compiled.record.header->log_level, 7);
    assert_int_equal(compiled.record.header->starts_max, 3);
    compiled_fini(&compiled);
    compiled = compile("{}");
    assert_int_equal(compiled.record.header->log_facility, 3);
    assert_int_equal(compiled.record.header->log_level, 6);
    compiled_fini(&compiled);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_says_its_name_mode_owner_and_queue),
        cmocka_unit_test(as_root_a_path_may_belong_to_anybody),
        cmocka_unit_test(an_object_that_is_no_socket_is_refused_at_its_member),
        cmocka_unit_test(limits_are_soft_and_hard_in_the_kernels_units),
        cmocka_unit_test(what_poold_may_not_give_is_refused_with_what_it_has),
        cmocka_unit_test(as_root_a_limit_may_be_none),
        cmocka_unit_test(a_limit_that_cannot_be_is_refused),
        cmocka_unit_test(as_root_named_groups_stand_in_for_those_of_the_database),
        cmocka_unit_test(stdin_takes_one_socket_and_it_blocks),
        cmocka_unit_test(every_preset_fills_what_was_measured),
        cmocka_unit_test(a_wildcard_binds_exactly_the_addresses_of_the_list),
        cmocka_unit_test(a_pool_that_names_an_address_outside_the_list_is_refused_alone),
        cmocka_unit_test(a_bad_entry_of_the_list_is_an_error),
        cmocka_unit_test(a_wildcard_that_comes_to_too_many_sockets_is_an_error),
        cmocka_unit_test(the_keys_of_the_file_reach_the_header),
    };
    return cmocka_run_group_tests_name("load_pool", tests, NULL, NULL) != 0;
}
