/* test_load_pool.c - claims about sockets, groups, hand-offs and presets of a pool. */
#include "test/unit/load_helper.h"

#include <grp.h>
#include <pwd.h>
#include <signal.h>

#include "supervisor/load/preset.h"

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
        cmocka_unit_test(as_root_named_groups_stand_in_for_those_of_the_database),
        cmocka_unit_test(stdin_takes_one_socket_and_it_blocks),
        cmocka_unit_test(every_preset_fills_what_was_measured),
        cmocka_unit_test(the_keys_of_the_file_reach_the_header),
    };
    return cmocka_run_group_tests_name("load_pool", tests, NULL, NULL) != 0;
}
