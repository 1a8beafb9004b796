/* test_load_inherit.c - claims about where a pool's values come from, and which files they are in. */
#include "test/unit/load_helper.h"

#include <signal.h>

#include "supervisor/load/file.h"
#include "supervisor/load/keys.h"

/* --- Files that only these tests have: included ones are "a.json", "b.json", ... */

enum { FILES_MAX = 3 };
static const char *files[FILES_MAX]; /* NULL: there is none */

static int
read_fake(const char *path, size_t size_max, struct file_text *out, struct err *err)
{
    size_t index = (size_t)(path[0] - 'a');
    if (index >= FILES_MAX || strcmp(path + 1, ".json") != 0 || files[index] == NULL)
        return err_set(err, -ENOENT, "cannot open it: No such file or directory");
    size_t len = strlen(files[index]);
    if (len > size_max)
        return err_set(err, -EFBIG, "it has %zu bytes; at most %zu are read", len, size_max);
    *out = (struct file_text){.bytes = strdup(files[index]), .len = len, .inode = index + 1};
    return 0;
}

static int
match_fake(const char *pattern, size_t most, struct file_names *out, struct err *err)
{
    (void)err;
    assert_true(most >= FILES_MAX);
    *out = (struct file_names){.list = calloc(FILES_MAX, sizeof *out->list)};
    for (size_t i = 0; i < FILES_MAX; i++) {
        char name[] = {(char)('a' + i), '.', 'j', 's', 'o', 'n', '\0'};
        if (files[i] != NULL && (strcmp(pattern, "*.json") == 0 || strcmp(pattern, name) == 0))
            out->list[out->count++] = strdup(name);
    }
    return 0;
}

static struct compiled
compile_files(const char *text, const char *a, const char *b)
{
    static const struct load_files fake = {.read = read_fake, .match = match_fake};
    struct load_options options = {.config = "c.json", .files = &fake};
    struct compiled out = {.errors = ""};
    struct err err;
    files[0] = a;
    files[1] = b;
    assert_int_equal(load_compile_text(&options, text, strlen(text), &out.result, &err), 0);
    assert_int_equal(record_open(&out.record, out.result.image, out.result.size), 0);
    if (out.record.header->errors > 0)
        out.errors = out.record.text;
    out.warnings = record_text(&out.record, out.record.header->warning_text);
    return out;
}

/* What the pool's list of values says of the key; NULL: that it is built in. */
static const char *
value_of(const struct compiled *compiled, uint32_t pool, const char *path)
{
    const struct record_pool *record = &compiled->record.pools[pool];
    for (uint32_t i = 0; i < record->value_count; i++) {
        struct record_value value = record_value_at(&compiled->record, record, i);
        if (strcmp(config_keys[value.key].path, path) == 0)
            return record_text(&compiled->record, value.text);
    }
    return NULL;
}

static void
a_value_is_the_pools_then_its_presets_then_its_files_then_the_main_files(void **state)
{
    (void)state;
    struct compiled compiled = compile_files(
        "{\"include\": [\"*.json\"], \"defaults\": {\"identity\": {\"user\": \"root\"}, "
        "\"command\": [\"/main\"], \"stop_signal\": \"HUP\", \"queue_length\": 7, \"health\": "
        "{\"startup_timeout\": \"1s\", \"shutdown_timeout\": \"2s\"}}, \"pools\": {\"m\": {}}}",
        "{\"defaults\": {\"command\": [\"/file\"], \"health\": {\"startup_timeout\": \"3s\"}}, "
        "\"pools\": {\"f\": {}, \"p\": {\"preset\": \"nginx\"}, \"o\": {\"preset\": \"nginx\", "
        "\"stop_signal\": \"INT\", \"command\": [\"/own\"]}}}",
        NULL);
    if (geteuid() == 0) {
        assert_string_equal(compiled.errors, "");
        const struct record_pool *pools = compiled.record.pools;
        assert_int_equal(compiled.record.header->pools_present, 4);
        const char *programs[] = {"/main", "/file", "/file", "/own"};
        const int signals[] = {SIGHUP, SIGHUP, SIGQUIT, SIGINT};
        const unsigned startup[] = {1000, 3000, 3000, 3000};
        const int handoffs[] = {HANDOFF_LISTEN_FDS, HANDOFF_LISTEN_FDS, HANDOFF_NGINX,
                                HANDOFF_NGINX};
        for (int i = 0; i < 4; i++) {
            assert_string_equal(record_text(&compiled.record, pools[i].program), programs[i]);
            assert_int_equal(pools[i].stop_signal, signals[i]);
            assert_int_equal(pools[i].settings.startup_timeout_ms, startup[i]);
            assert_int_equal(pools[i].settings.shutdown_timeout_ms, 2000);
            assert_int_equal(pools[i].handoff, handoffs[i]);
        }
    }
    compiled_fini(&compiled);
}

static void
a_preset_that_is_inherited_fills_the_pool_too(void **state)
{
    (void)state;
    char text[512];
    snprintf(text, sizeof text,
             "{\"defaults\": {\"preset\": \"haproxy\", %s, \"stop_signal\": \"HUP\"}, "
             "\"pools\": {\"a\": {\"command\": [\"/x\"]}, \"b\": {\"command\": [\"/x\"], "
             "\"preset\": \"lighttpd\"}}}",
             identity());
    struct compiled compiled = compile(text);
    assert_string_equal(compiled.errors, "");
    assert_int_equal(compiled.record.pools[0].stop_signal, SIGUSR1);
    assert_int_equal(compiled.record.pools[0].handoff, HANDOFF_FD);
    assert_int_equal(compiled.record.pools[0].settings.ready_after_ms, 2000);
    assert_int_equal(compiled.record.pools[1].stop_signal, SIGINT);
    assert_string_equal(value_of(&compiled, 1, "preset"), "\"lighttpd\"");
    assert_string_equal(value_of(&compiled, 1, "stop_signal"), "\"INT\"");
    compiled_fini(&compiled);
}

static void
environments_merge_variable_by_variable(void **state)
{
    (void)state;
    char text[512];
    snprintf(text, sizeof text,
             "{\"defaults\": {\"environment\": {\"A\": \"main\", \"B\": \"main\"}, %s}, \"pools\": "
             "{\"p\": {\"command\": [\"/x\"], \"environment\": {\"B\": \"own\", \"C\": \"own\"}}, "
             "\"q\": {\"command\": [\"/x\"]}}}",
             identity());
    struct compiled compiled = compile(text);
    assert_string_equal(compiled.errors, "");
    const struct record_pool *pools = compiled.record.pools;
    assert_string_equal(variable(&compiled.record, &pools[0], "A"), "main");
    assert_string_equal(variable(&compiled.record, &pools[0], "B"), "own");
    assert_string_equal(variable(&compiled.record, &pools[0], "C"), "own");
    assert_string_equal(variable(&compiled.record, &pools[1], "B"), "main");
    assert_null(variable(&compiled.record, &pools[1], "C"));
    compiled_fini(&compiled);
}

static void
it_does_not_matter_which_layer_a_variable_comes_from(void **state)
{
    (void)state;
    char text[512];
    snprintf(text, sizeof text,
             "{\"defaults\": {\"environment\": {\"B\": \"1\", \"Z\": \"1\"}, %s}, \"pools\": "
             "{\"p\": {\"command\": [\"/x\"], \"environment\": {\"C\": \"1\", \"A\": \"1\"}}}}",
             identity());
    struct compiled layers = compile(text);
    snprintf(text, sizeof text,
             "{\"pools\": {\"p\": {\"command\": [\"/x\"], %s, \"environment\": {\"A\": \"1\", "
             "\"C\": \"1\", \"Z\": \"1\", \"B\": \"1\"}}}}",
             identity());
    struct compiled own = compile(text);
    assert_string_equal(layers.errors, "");
    assert_string_equal(own.errors, "");
    assert_true(layers.record.pools[0].settings.fingerprint ==
                own.record.pools[0].settings.fingerprint);
    compiled_fini(&layers);
    compiled_fini(&own);
}

/* 1,000 pools, each with its own copy of 100 KB. */
static void
more_text_than_64_mib_is_refused_soon(void **state)
{
    (void)state;
    enum { VARIABLES = 1000, COPIES = 1000 };
    char *text = malloc(VARIABLES * 120 + COPIES * 60 + 512);
    assert_non_null(text);
    size_t at = (size_t)sprintf(
        text, "{\"defaults\": {\"command\": [\"/x\"], %s, \"environment\": {", identity());
    for (int i = 0; i < VARIABLES; i++)
        at += (size_t)sprintf(text + at, "%s\"V%d\": \"%090d\"", i == 0 ? "" : ", ", i, i);
    at += (size_t)sprintf(text + at, "}},\n\"pools\": {");
    for (int i = 0; i < COPIES; i++)
        at += (size_t)sprintf(text + at, "%s\"p%d\": {\"environment\": {\"A\": \"%d\"}}",
                              i == 0 ? "" : ", ", i, i);
    sprintf(text + at, "}}");
    struct compiled compiled = compile(text);
    assert_int_equal(compiled.record.header->errors, 1);
    assert_non_null(strstr(compiled.errors, "come to more than 64 MiB; shorten what many pools "
                                            "inherit\n"));
    compiled_fini(&compiled);
    free(text);
}

static void
what_is_wrong_in_defaults_is_told_once_and_there(void **state)
{
    (void)state;
    struct compiled compiled = compile_files(
        "{\"defaults\": {\n\"stop_signal\": \"KILL\", \"listen\": [\"*:80\"],\n\"command\": "
        "[\"no-such-program\"], \"identity\": {\"user\": \"no-such-user-here\"}},\n\"pools\": "
        "{\"a\": {}, \"b\": {}, \"c\": {\"command\": [\"/x\"]}}}",
        NULL, NULL);
    assert_non_null(strstr(compiled.errors, "c.json:2:16: /defaults/stop_signal: found "));
    assert_non_null(strstr(compiled.errors,
                           "c.json:2:24: /defaults/listen: \"listen\" cannot stand in "
                           "\"defaults\": no two pools can have one address\n"));
    assert_non_null(strstr(compiled.errors, "c.json:3:13: /defaults/command/0: there is no program "
                                            "\"no-such-program\""));
    assert_non_null(strstr(compiled.errors, "c.json:3:54: /defaults/identity/user: "));
    assert_int_equal(compiled.record.header->errors, 4);
    compiled_fini(&compiled);
}

static void
errors_of_all_files_are_told_at_once_each_in_its_own(void **state)
{
    (void)state;
    struct compiled compiled = compile_files("{\"include\": [\"*.json\"],\n\"pools\": {\"p\": 1}}",
                                             "{\"pools\": {\"q\": 2},\n\"include\": []}",
                                             "{\"pool\": {},\n\"defaults\": {\"umask\": 22}");
    assert_string_equal(compiled.errors,
                        "c.json:2:16: /pools/p: found the number 1, but a pool is an object\n"
                        "a.json:1:17: /pools/q: found the number 2, but a pool is an object\n"
                        "a.json:2:1: /include: \"include\" can stand in the main file only\n"
                        "b.json:2:26: '}' expected near end of file\n");
    compiled_fini(&compiled);
}

static void
a_pool_that_two_files_name_is_told_with_both_places(void **state)
{
    (void)state;
    struct compiled compiled =
        compile_files("{\"include\": [\"*.json\"]}", "{\"pools\": {\n\"p\": {}}}",
                      "{\"pools\": {\n\n \"p\": {}}}");
    assert_non_null(strstr(compiled.errors, "b.json:3:2: /pools/p: another file has a pool of that "
                                            "name already, at a.json:2:1\n"));
    compiled_fini(&compiled);
}

static void
a_file_that_is_named_and_not_there_is_an_error_and_a_pattern_for_none_is_not(void **state)
{
    (void)state;
    struct compiled compiled = compile_files("{\"include\": [\"*.json\"]}", NULL, NULL);
    assert_string_equal(compiled.errors, "");
    compiled_fini(&compiled);
    compiled = compile_files("{\"include\": [\"b.json\"]}", NULL, NULL);
    assert_string_equal(compiled.errors, "c.json:1:14: /include/0: there is no file b.json\n");
    compiled_fini(&compiled);
    compiled = compile_files("{\"include\": [7, \"\", \"a\\n\"]}", NULL, NULL);
    assert_int_equal(compiled.record.header->errors, 3);
    compiled_fini(&compiled);
}

static void
no_file_is_read_twice(void **state)
{
    (void)state;
    struct compiled compiled = compile_files("{\"include\": [\"*.json\", \"a.json\"]}", "{}", NULL);
    assert_string_equal(compiled.errors, "c.json:1:24: /include/1: a.json is included already\n");
    compiled_fini(&compiled);
    /* The main file includes itself. */
    files[2] = "{}";
    compiled = compile_files("{\"include\": [\"*.json\"]}", NULL, NULL);
    files[2] = NULL;
    assert_string_equal(compiled.errors, "c.json:1:14: /include/0: c.json is this very file\n");
    compiled_fini(&compiled);
}

/* --- values and fingerprint */

static void
every_value_that_is_not_built_in_is_listed_in_one_way_of_writing_it(void **state)
{
    (void)state;
    struct compiled compiled = compile_pool(
        "\"health\": {\"startup_timeout\": \"90000ms\", \"shutdown_timeout\": \"1500ms\"}, "
        "\"stop_signal\": \"SIGQUIT\", \"umask\": \"077\", \"limits\": {\"core\": \"1024KiB\", "
        "\"nofile\": 99, \"cpu\": \"60s\", \"as\": \"unlimited\"}, \"ready\": {\"$comment\": "
        "\"c\", "
        "\"after\": \"2000ms\"}, \"listen\": [{\"address\": \"*:80\", \"$comment\": \"x\"}, "
        "{\"name\": "
        "\"n\", \"address\": \"*:81\"}], \"environment\": {\"B\": \"secret\", \"A\": \"\"}");
    assert_string_equal(compiled.errors, "");
    assert_null(value_of(&compiled, 0, "health.startup_timeout"));
    assert_null(value_of(&compiled, 0, "handoff"));
    assert_string_equal(value_of(&compiled, 0, "health.shutdown_timeout"), "\"1s500ms\"");
    assert_string_equal(value_of(&compiled, 0, "stop_signal"), "\"QUIT\"");
    assert_string_equal(value_of(&compiled, 0, "umask"), "\"0077\"");
    assert_string_equal(value_of(&compiled, 0, "limits.core"), "\"1MiB\"");
    assert_string_equal(value_of(&compiled, 0, "limits.nofile"), "99");
    assert_string_equal(value_of(&compiled, 0, "limits.cpu"), "\"1m\"");
    assert_string_equal(value_of(&compiled, 0, "limits.as"), "\"unlimited\"");
    assert_string_equal(value_of(&compiled, 0, "ready"), "{\"after\":\"2s\"}");
    assert_string_equal(value_of(&compiled, 0, "listen"),
                        "[\"*:80\",{\"address\":\"*:81\",\"name\":\"n\"}]");
    assert_int_equal(strncmp(value_of(&compiled, 0, "environment"), "A=", 2), 0);
    for (size_t i = 0; i + 6 <= compiled.result.size; i++) /* but in the environment itself */
        if (memcmp((const char *)compiled.result.image + i, "secret", 6) == 0)
            assert_int_equal(((const char *)compiled.result.image)[i - 1], '=');
    const struct record_pool *pool = &compiled.record.pools[0];
    for (uint32_t i = 1; i < pool->value_count; i++) {
        struct record_value a = record_value_at(&compiled.record, pool, i - 1),
                            b = record_value_at(&compiled.record, pool, i);
        assert_true(a.key < b.key ||
                    (a.key == b.key && strcmp(record_text(&compiled.record, a.text),
                                              record_text(&compiled.record, b.text)) < 0));
    }
    compiled_fini(&compiled);
}

static uint64_t
fingerprint(const char *members)
{
    struct compiled compiled = compile_pool(members);
    assert_string_equal(compiled.errors, "");
    uint64_t fingerprint = compiled.record.pools[0].settings.fingerprint;
    compiled_fini(&compiled);
    return fingerprint;
}

static void
the_fingerprint_changes_with_all_that_takes_new_processes_and_with_nothing_else(void **state)
{
    (void)state;
    const char *const recycle[] = {
        "\"directory\": \"/tmp\"",
        "\"environment\": {\"A\": \"\"}",
        "\"environment\": {\"A\": \"1\"}",
        "\"umask\": \"0077\"",
        "\"listen\": [\"unix:/x\"]",
        "\"listen\": [\"unix:/y\"]",
        "\"listen\": [{\"address\": \"unix:/y\", \"name\": \"n\"}]",
        "\"listen\": [\"unix:/x\", \"unix:/y\"]",
        "\"listen\": [\"unix:/y\", \"unix:/x\"]",
        "\"listen\": [\"unix:/x\"], \"handoff\": \"fd\"",
        "\"identity\": {\"user\": \"root\", \"no_new_privileges\": false}",
        "\"limits\": {\"nofile\": 64}",
        "\"limits\": {\"nofile\": 65}",
        "\"limits\": {\"nice\": 19}",
        "\"limits\": {\"oom_score_adjust\": 900}",
    };
    const char *const live[] = {
        "\"health\": {\"startup_timeout\": \"9s\", \"shutdown_timeout\": \"9s\"}",
        "\"stop_signal\": \"HUP\", \"ready\": {\"command\": [\"/x\"]}",
        "\"workers\": {\"min\": 2}, \"recycling\": {\"surge\": 2, \"overlap\": false}",
        "\"failure\": {\"rapid_fail\": false}, \"auto_start\": false",
        "\"recycling\": {\"on_config_change\": false}, \"queue_length\": 5",
        "\"output\": \"null\"",
        "\"output\": \"/tmp/poold-test-output\"",
    };
    enum { RECYCLE = sizeof recycle / sizeof recycle[0] };
    uint64_t plain = fingerprint(""), seen[RECYCLE];
    for (size_t i = 0; i < RECYCLE; i++) {
        bool names_user = strstr(recycle[i], "identity") != NULL;
        char text[512];
        snprintf(text, sizeof text, "{\"pools\": {\"p\": {\"command\": [\"/bin/true\"], %s%s%s}}}",
                 names_user ? "" : identity(), names_user ? "" : ", ",
                 geteuid() == 0 || !names_user ? recycle[i]
                                               : "\"identity\": {\"no_new_privileges\": false}");
        struct compiled compiled = compile(text);
        assert_string_equal(compiled.errors, "");
        seen[i] = compiled.record.pools[0].settings.fingerprint;
        compiled_fini(&compiled);
        assert_true(seen[i] != plain);
        for (size_t k = 0; k < i; k++)
            assert_true(seen[k] != seen[i]);
    }
    for (size_t i = 0; i < sizeof live / sizeof live[0]; i++)
        assert_true(fingerprint(live[i]) == plain);
    assert_true(
        fingerprint("\"listen\": [{\"address\": \"unix:/x\", \"mode\": \"0600\", \"backlog\": "
                    "9}]") == fingerprint("\"listen\": [\"unix:/x\"]"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_the_pools_then_its_presets_then_its_files_then_the_main_files),
        cmocka_unit_test(a_preset_that_is_inherited_fills_the_pool_too),
        cmocka_unit_test(environments_merge_variable_by_variable),
        cmocka_unit_test(it_does_not_matter_which_layer_a_variable_comes_from),
        cmocka_unit_test(more_text_than_64_mib_is_refused_soon),
        cmocka_unit_test(what_is_wrong_in_defaults_is_told_once_and_there),
        cmocka_unit_test(errors_of_all_files_are_told_at_once_each_in_its_own),
        cmocka_unit_test(a_pool_that_two_files_name_is_told_with_both_places),
        cmocka_unit_test(
            a_file_that_is_named_and_not_there_is_an_error_and_a_pattern_for_none_is_not),
        cmocka_unit_test(no_file_is_read_twice),
        cmocka_unit_test(every_value_that_is_not_built_in_is_listed_in_one_way_of_writing_it),
        cmocka_unit_test(
            the_fingerprint_changes_with_all_that_takes_new_processes_and_with_nothing_else),
    };
    return cmocka_run_group_tests_name("load_inherit", tests, NULL, NULL) != 0;
}
