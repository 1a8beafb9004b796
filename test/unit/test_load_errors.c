/* test_load_errors.c - claims about what a bad configuration is told: the place, what was found,
 * what is allowed, and what was meant. */
#include <pwd.h>

#include "test/unit/load_bad.h"

#define DURATION_FORM                                                                              \
    "a duration is whole numbers with units, the greatest first: \"90s\", \"20m\", \"29h\", "      \
    "\"1h30m\", \"200ms\""
#define SIGNAL_NEEDED                                                                              \
    "\"TERM\", \"QUIT\", \"INT\", \"HUP\", \"USR1\", \"USR2\" or \"WINCH\" is needed"
#define READY_NEEDED "\"exec\", \"notify\", {\"after\": \"2s\"} or {\"command\": [...]} is needed"

static const struct bad syntax[] = {
    {"", "c.json:1:1: there is nothing in it\n"},
    {" \n\t", "c.json:2:2: there is nothing in it\n"},
    {"{\"pools\": {}", "c.json:1:13: '}' expected near end of file\n"},
    {"{\"pools\": {},}",
     "c.json:1:14: string or '}' expected near '}'; is there a comma too many?\n"},
    {"[1,\n]", "c.json:2:1: unexpected token near ']'; is there a comma too many?\n"},
    {"[1}", "c.json:1:3: ']' expected near '}'\n"},
    {"{\n \"pools\" {}}", "c.json:2:10: ':' expected near '{'\n"},
    {"{\"pools\": nul}", "c.json:1:11: invalid token near 'nul'\n"},
    {"{\"pools\": {}} // no", "c.json:1:15: end of file expected near '/'\n"},
    {"\xef\xbb\xbf{}", "c.json:1:1: begins with a byte order mark; take it out\n"},
    {"{\"p\\u0000\": 1}", "c.json:1:2: a string may not hold \\u0000\n"},
    {"{\"p\": [\"a\\u0000b\"]}", "c.json:1:8: a string may not hold \\u0000\n"},
    {"{\"\xc3\xa4\": \xff}", "c.json:1:7: unable to decode byte 0xff\n"},
    {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
     "c.json:1:33: nested more than 32 levels deep\n"},
};

static const struct bad duplicates[] = {
    {"{\"pools\": {},\n \"pools\": {}}",
     "c.json:2:2: /pools: the key is there already, at line 1, column 2\n"},
    {"{\"pools\": {}, \"\\u0070ools\": {}, \"pools\": {}}",
     "c.json:1:15: /\\u0070ools: the key is there already, at line 1, column 2\n"
     "c.json:1:33: /pools: the key is there already, at line 1, column 2\n"},
    /* The last one counts, and is judged too. */
    {POOL("\"handoff\": \"fd\", \"handoff\": \"df\""),
     POOL_AT("19", "/handoff", "the key is there already, at line 2, column 2")
         POOL_AT("30", "/handoff",
                 "found the string \"df\", but \"listen_fds\", \"fd\", \"none\", \"stdin\", "
                 "\"nginx\" or \"fpm\" is needed; did you mean \"fd\"?")},
    {"{\"a\": [{\"b\": 1}, {\"b\": 1, \"b\": 2}],",
     "c.json:1:27: /a/1/b: the key is there already, at line 1, column 19\n"
     "c.json:1:36: string or '}' expected near end of file\n"},
};

static const struct bad unknown[] = {
    {"{\"polls\": {}}", "c.json:1:2: /polls: unknown key \"polls\"; did you mean \"pools\"?\n"},
    {"{\"x\": {}}", "c.json:1:2: /x: unknown key \"x\"\n"},
    {POOL("\"worker\": {\"min\": 1}"),
     POOL_AT("2", "/worker", "unknown key \"worker\"; did you mean \"workers\"?")},
    {POOL("\"workers\": {\"mni\": 1}"),
     POOL_AT("14", "/workers/mni", "unknown key \"mni\"; did you mean \"min\"?")},
    {POOL("\"workers.min\": 1"),
     POOL_AT("2", "/workers.min",
             "unknown key \"workers.min\"; did you mean \"min\" inside \"workers\"?")},
    {POOL("\"startup_timeout\": \"1s\""),
     POOL_AT(
         "2", "/startup_timeout",
         "unknown key \"startup_timeout\"; did you mean \"startup_timeout\" inside \"health\"?")},
    {POOL("\"health\": {\"listen\": []}"),
     POOL_AT("13", "/health/listen",
             "unknown key \"listen\"; did you mean \"listen\" of the pool?")},
    {POOL("\"health\": {\"rapid_fial\": true}"),
     POOL_AT("13", "/health/rapid_fial",
             "unknown key \"rapid_fial\"; did you mean \"rapid_fail\" inside \"failure\"?")},
    {POOL("\"warm_up\": []"),
     POOL_AT("2", "/warm_up", "unknown key \"warm_up\"; this version does not have it yet")},
    {POOL("\"workers\": {\"max\": 3}, \"cpu\": {\"limit\": 1}"),
     POOL_AT("14", "/workers/max", "unknown key \"max\"; this version does not have it yet")
         POOL_AT("25", "/cpu", "unknown key \"cpu\"; this version does not have it yet")},
    {"{\"limits\": {\"workers\": 9}, \"command\": [], \"log\": {\"levle\": 1}}",
     "c.json:1:13: /limits/workers: unknown key \"workers\"; this version does not have it yet\n"
     "c.json:1:28: /command: unknown key \"command\"; did you mean \"command\" of a pool?\n"
     "c.json:1:51: /log/levle: unknown key \"levle\"; did you mean \"level\"?\n"},
    {POOL("\"listen_addresses\": []"),
     POOL_AT(
         "2", "/listen_addresses",
         "unknown key \"listen_addresses\"; did you mean \"listen_addresses\" at the top of the "
         "file?")},
    {POOL("\"a/~\\u001b[2J\": 5"), POOL_AT("2", "/a~1~0\\x1b[2J", "unknown key \"a/~\\x1b[2J\"")},
};

static const struct bad types[] = {
    {"7", "c.json:1:1: found the number 7, but an object with \"pools\" is needed\n"},
    {"{\"pools\": []}",
     "c.json:1:11: /pools: found an empty array, but an object of pools is needed\n"},
    {"{\"pools\": {\"p\": true}}", "c.json:1:17: /pools/p: found true, but a pool is an object\n"},
    {"{\"$comment\": 1}", "c.json:1:14: /$comment: found the number 1, but a string is needed\n"},
    {POOL("\"$schema\": {}"),
     POOL_AT("13", "/$schema", "found an empty object, but a string is needed")},
    {POOL("\"health\": \"1s\""),
     POOL_AT("12", "/health", "found the string \"1s\", but an object of keys is needed")},
    {POOL("\"workers\": {\"min\": \"2\"}"),
     POOL_AT("21", "/workers/min",
             "found the string \"2\", but an integer from 1 to 1024 is needed")},
    {POOL("\"workers\": {\"min\": 2.0}"),
     POOL_AT("21", "/workers/min",
             "found the number 2.0, but an integer from 1 to 1024 is needed")},
    {POOL("\"workers\": {\"min\": null}"), POOL_AT("21", "/workers/min",
                                                   "found null, but an integer from 1 to 1024 is "
                                                   "needed (leave the key out for its default)")},
    {POOL("\"recycling\": {\"overlap\": \"yes\"}"),
     POOL_AT("27", "/recycling/overlap", "found the string \"yes\", but true or false is needed")},
    {POOL("\"recycling\": {\"schedule\": [\"03:30\", \"24:00\"]}"),
     POOL_AT("38", "/recycling/schedule/1",
             "found the string \"24:00\", but a clock time from \"00:00\" to \"23:59\" is needed")},
    {POOL("\"recycling\": {\"jitter\": 10}"),
     POOL_AT("26", "/recycling/jitter",
             "found the number 10, but a percentage from \"0%\" to \"50%\" is needed")},
    {POOL("\"directory\": [1]"),
     POOL_AT("15", "/directory", "found an array, but an absolute path is needed")},
    {POOL("\"environment\": [\"A=b\"]"),
     POOL_AT("17", "/environment",
             "found an array, but an object of at most 1000 strings is needed")},
    {POOL("\"listen\": \"*:80\""), POOL_AT("12", "/listen",
                                           "found the string \"*:80\", but an array of at most 64 "
                                           "addresses such as \"127.0.0.1:8080\" is needed")},
    {POOL("\"listen\": [80]"),
     POOL_AT("13", "/listen/0", "found the number 80, but a string is needed")},
    {POOL("\"ready\": true"), POOL_AT("11", "/ready", "found true, but " READY_NEEDED)},
    {POOL("\"ready\": {}"), POOL_AT("11", "/ready", "found an empty object, but " READY_NEEDED)},
    {POOL("\"ready\": {\"after\": \"1s\", \"command\": [\"/x\"]}"),
     POOL_AT("11", "/ready", "found an object, but " READY_NEEDED)},
    {POOL("\"ready\": {\"command\": []}"),
     POOL_AT("23", "/ready/command",
             "found an empty array, but an array of 1 to 1024 strings is needed")},
    {POOL("\"ready\": {\"command\": [\"/x\", 1]}"),
     POOL_AT("30", "/ready/command/1", "found the number 1, but a string is needed")},
    {POOL("\"ready\": \"notfy\""),
     POOL_AT("11", "/ready",
             "found the string \"notfy\", but " READY_NEEDED "; did you mean \"notify\"?")},
};

static const struct bad ranges[] = {
    {POOL("\"workers\": {\"min\": 0}"),
     POOL_AT("21", "/workers/min",
             "found the number 0, but an integer from 1 to 1024 is needed (workers that are kept "
             "running; 0, demand start, is not in this version)")},
    {POOL("\"workers\": {\"min\": 4294967297}"),
     POOL_AT("21", "/workers/min",
             "found the number 4294967297, but an integer from 1 to 1024 is needed (workers that "
             "are kept running; 0, demand start, is not in this version)")},
    {POOL("\"failure\": {\"max_failures\": -1}"),
     POOL_AT("30", "/failure/max_failures",
             "found the number -1, but an integer from 1 to 64 is needed (failures within "
             "failure.interval that disable the pool)")},
    {POOL("\"failure\": {\"interval\": \"99ms\"}"),
     POOL_AT("26", "/failure/interval",
             "found the string \"99ms\", but a duration from \"100ms\" to \"1d\" is needed "
             "(sliding window in which failures are counted)")},
    {POOL("\"failure\": {\"interval\": \"99999999999999999999h\"}"),
     POOL_AT("26", "/failure/interval",
             "found the string \"99999999999999999999h\", but a duration from \"100ms\" to \"1d\" "
             "is needed; " DURATION_FORM)},
    {POOL("\"failure\": {\"interval\": \"9999999d\"}"),
     POOL_AT("26", "/failure/interval",
             "found the string \"9999999d\", but a duration from \"100ms\" to \"1d\" is needed "
             "(sliding window in which failures are counted)")},
    {POOL("\"failure\": {\"interval\": 90}"),
     POOL_AT("26", "/failure/interval",
             "found the number 90 without a unit, but a duration from \"100ms\" to \"1d\" is "
             "needed: write \"90s\" or \"90ms\"")},
    {POOL("\"failure\": {\"interval\": \"30m1h\"}"),
     POOL_AT("26", "/failure/interval",
             "found the string \"30m1h\", but a duration from \"100ms\" to \"1d\" is "
             "needed; " DURATION_FORM)},
    {POOL("\"ready\": {\"after\": \"25h\"}"),
     POOL_AT("21", "/ready/after",
             "found the string \"25h\", but a duration from \"1ms\" to \"1d\" is needed (when a "
             "starting worker is ready: \"exec\", \"notify\" (at READY=1), {\"after\": \"2s\"}, or "
             "{\"command\": [...]} when that exits 0)")},
};

static const struct bad names[] = {
    {"{\"pools\": {\n\"-a\": {\"command\": [\"/x\"], @},\n\"a b\": {}}}",
     "c.json:2:1: /pools/-a: a pool's name is 1 to 64 of a-z A-Z 0-9 . _ -, a letter or digit "
     "first\n"
     "c.json:3:1: /pools/a b: a pool's name is 1 to 64 of a-z A-Z 0-9 . _ -, a letter or digit "
     "first\n"},
    {POOL("\"directory\": \"srv\""),
     POOL_AT("15", "/directory", "found the string \"srv\", but an absolute path is needed")},
    {POOL("\"directory\": \"/s\\nv\""),
     POOL_AT("15", "/directory",
             "found the string \"/s\\x0av\", with a control or hidden character")},
    {POOL("\"stop_signal\": \"KILL\""),
     POOL_AT("17", "/stop_signal", "found the string \"KILL\", but " SIGNAL_NEEDED)},
    {POOL("\"stop_signal\": \"SIGTREM\""),
     POOL_AT("17", "/stop_signal",
             "found the string \"SIGTREM\", but " SIGNAL_NEEDED "; did you mean \"TERM\"?")},
    {POOL("\"stop_signal\": 15"),
     POOL_AT("17", "/stop_signal", "found the number 15, but " SIGNAL_NEEDED)},
    {POOL("\"handoff\": \"listenfds\""),
     POOL_AT("13", "/handoff",
             "found the string \"listenfds\", but \"listen_fds\", \"fd\", \"none\", \"stdin\", "
             "\"nginx\" or \"fpm\" is needed; did you mean \"listen_fds\"?")},
    {POOL("\"environment\": {\"A-B\": \"\", \"1\": \"\", \"\": \"\"}"),
     POOL_AT("18", "/environment/A-B",
             "a variable's name is letters, digits and _, and no digit first")
         POOL_AT("29", "/environment/1",
                 "a variable's name is letters, digits and _, and no digit first")
             POOL_AT("38", "/environment/",
                     "a variable's name is letters, digits and _, and no digit first")},
    {POOL("\"environment\": {\"LISTEN_PID\": \"\", \"NOTIFY_SOCKET\": \"\", \"WATCHDOG_USEC\": "
          "\"\", \"POOLD_X\": \"\"}"),
     POOL_AT("18", "/environment/LISTEN_PID",
             "poold sets this variable itself, for each worker; take it out")
         POOL_AT("36", "/environment/NOTIFY_SOCKET",
                 "poold sets this variable itself, for each worker; take it out")
             POOL_AT("57", "/environment/WATCHDOG_USEC",
                     "poold sets this variable itself, for each worker; take it out")
                 POOL_AT("78", "/environment/POOLD_X",
                         "poold sets this variable itself, for each worker; take it out")},
    {POOL("\"environment\": {\"PORT\": 80}"),
     POOL_AT("26", "/environment/PORT",
             "found the number 80, but a string is needed (put it in quotes)")},
    {POOL("\"ready\": {\"command\": [\"./x\"]}"),
     POOL_AT("24", "/ready/command/0",
             "the program \"./x\" is neither absolute nor a name without /")},
    {POOL("\"ready\": {\"command\": [\"\"]}"),
     POOL_AT("24", "/ready/command/0", "the program \"\" is empty")},
    {POOL("\"ready\": {\"command\": [\"/x\\u202e\"]}"),
     POOL_AT("24", "/ready/command/0",
             "the program \"/x\\xe2\\x80\\xae\" has a control or hidden character")},
    {POOL("\"environment\": {\"PATH\": \"/nowhere:/tmp\"}, \"ready\": {\"command\": [\"sh\"]}"),
     POOL_AT("66", "/ready/command/0",
             "there is no program \"sh\" in the pool's PATH (/nowhere:/tmp)")},
};

static const struct bad rules[] = {
    {"{\"pools\": {\n\"p\": {@}}}", "c.json:2:1: /pools/p: \"command\" is missing; a pool needs "
                                    "one, such as [\"/usr/bin/server\"]\n"},
    {POOL("\"failure\": {\"delay\": \"31s\"}"),
     POOL_AT("23", "/failure/delay", "delay \"31s\" is above delay_max \"30s\"")},
    {POOL("\"failure\": {\"delay_max\": \"199ms\"}"),
     "c.json:1:12: /pools/p: delay \"200ms\" is above delay_max \"199ms\"\n"},
    {POOL("\"ready\": {\"after\": \"90s\"}"),
     POOL_AT("11", "/ready",
             "ready after \"1m30s\" is never reached: health.startup_timeout is \"1m30s\"")},
    {POOL("\"handoff\": \"none\", \"listen\": [\"*:80\"]"),
     POOL_AT("13", "/handoff",
             "handoff is \"none\", so nobody would accept on the addresses in \"listen\"; take one "
             "of the two out")},
    /* A rule is not judged on a value that is wrong already. */
    {POOL("\"failure\": {\"delay\": \"31s\", \"delay_max\": 1}"),
     POOL_AT("43", "/failure/delay_max",
             "found the number 1 without a unit, but a duration from \"1ms\" to \"1d\" is needed: "
             "write \"1s\" or \"1ms\"")},
};

static void
a_syntax_error_names_its_first_character(void **state)
{
    (void)state;
    EXPECT_BAD(syntax);
}

static void
every_duplicate_key_is_reported_with_both_places(void **state)
{
    (void)state;
    EXPECT_BAD(duplicates);
}

static void
an_unknown_key_is_told_the_nearest_one(void **state)
{
    (void)state;
    EXPECT_BAD(unknown);
}

static void
a_wrong_type_is_told_what_was_found_and_what_is_allowed(void **state)
{
    (void)state;
    EXPECT_BAD(types);
}

static void
a_value_out_of_range_is_told_the_range(void **state)
{
    (void)state;
    EXPECT_BAD(ranges);
}

static void
a_name_that_cannot_be_is_refused(void **state)
{
    (void)state;
    EXPECT_BAD(names);
}

static void
rules_between_keys_are_checked(void **state)
{
    (void)state;
    EXPECT_BAD(rules);
}

static void
as_root_an_unknown_user_is_told_the_nearest_one(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    struct compiled compiled = compile(
        "{\"pools\": {\n\"a\": {\"command\": [\"/x\"], \"identity\": {\"user\": \"deamon\", "
        "\"group\": \"tyt\"}},\n\"b\": {\"command\": [\"/x\"], \"identity\": {}}}}");
    assert_string_equal(
        compiled.errors,
        "c.json:2:47: /pools/a/identity/user: there is no user \"deamon\"; did you "
        "mean \"daemon\"?\n"
        "c.json:2:66: /pools/a/identity/group: there is no group \"tyt\"; did you "
        "mean \"tty\"?\n"
        "c.json:3:1: /pools/b: \"identity\": {\"user\": ...} is missing; poold runs "
        "as root, so the pool must name its user, \"root\" too\n");
    compiled_fini(&compiled);
}

/* The errors and warnings of a good file when the engine is to run as user. */
static struct compiled
compile_for_engine(const char *user)
{
    const char *text = "{\"pools\": {}}";
    struct load_options options = {.config = "c.json", .engine_user = user};
    struct compiled out = {.errors = ""};
    struct err err;
    assert_int_equal(load_compile_text(&options, text, strlen(text), &out.result, &err), 0);
    assert_int_equal(record_open(&out.record, out.result.image, out.result.size), 0);
    if (out.record.header->errors > 0)
        out.errors = out.record.text;
    out.warnings = record_text(&out.record, out.record.header->warning_text);
    return out;
}

static void
as_root_an_engine_user_that_was_named_must_exist(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    struct compiled bad = compile_for_engine("deamon");
    assert_string_equal(
        bad.errors,
        "c.json: --engine-user: there is no user \"deamon\"; did you mean \"daemon\"?\n");
    assert_string_equal(bad.warnings, "");
    compiled_fini(&bad);
    struct compiled good = compile_for_engine("daemon");
    assert_string_equal(good.errors, "");
    assert_string_equal(record_text(&good.record, good.record.header->engine_user), "daemon");
    compiled_fini(&good);
}

static void
as_root_user_65534_stands_in_for_the_default_engine_user_alone(void **state)
{
    (void)state;
    if (geteuid() != 0 || getpwnam(LOAD_ENGINE_USER) != NULL)
        skip();
    struct compiled given = compile_for_engine(LOAD_ENGINE_USER);
    assert_int_equal(given.record.header->errors, 1);
    compiled_fini(&given);
    struct compiled compiled = compile_for_engine(NULL);
    assert_string_equal(compiled.errors, "");
    assert_int_equal(compiled.record.header->engine_uid, 65534);
    assert_non_null(strstr(compiled.warnings, "there is no user \"poold\""));
    compiled_fini(&compiled);
}

static void
all_errors_are_reported_at_once_in_the_order_of_the_file(void **state)
{
    (void)state;
    struct compiled compiled =
        compile("{\"b\": 1,\n\"pools\": {\n\"-\": {\"x\": 1,\n\"ready\": 1,\n"
                "\"listen\": [\"a\",\n\"b\"]}},\n\"a\": null}");
    uint32_t last = 0, seen = 0;
    for (const char *at = compiled.errors; *at != '\0'; at = strchr(at, '\n') + 1) {
        unsigned line;
        assert_int_equal(sscanf(at, "c.json:%u:", &line), 1);
        assert_true(line >= last);
        last = line;
        seen++;
    }
    assert_int_equal(seen, compiled.record.header->errors);
    assert_int_equal(seen, 7); /* nothing is missed in "-" */
    assert_int_equal(last, 7);
    compiled_fini(&compiled);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_syntax_error_names_its_first_character),
        cmocka_unit_test(every_duplicate_key_is_reported_with_both_places),
        cmocka_unit_test(an_unknown_key_is_told_the_nearest_one),
        cmocka_unit_test(a_wrong_type_is_told_what_was_found_and_what_is_allowed),
        cmocka_unit_test(a_value_out_of_range_is_told_the_range),
        cmocka_unit_test(a_name_that_cannot_be_is_refused),
        cmocka_unit_test(rules_between_keys_are_checked),
        cmocka_unit_test(as_root_an_unknown_user_is_told_the_nearest_one),
        cmocka_unit_test(as_root_an_engine_user_that_was_named_must_exist),
        cmocka_unit_test(as_root_user_65534_stands_in_for_the_default_engine_user_alone),
        cmocka_unit_test(all_errors_are_reported_at_once_in_the_order_of_the_file),
    };
    return cmocka_run_group_tests_name("load_errors", tests, NULL, NULL) != 0;
}
