/* test_load_output.c - claims about where a configuration may have output go. */
#include "test/unit/load_helper.h"

#include <sys/stat.h>

static void
output_is_a_word_or_the_path_of_a_file(void **state)
{
    (void)state;
    struct compiled compiled = compile_pool("\"output\": \"null\"");
    assert_int_equal(good_pool(&compiled)->output, OUTPUT_NULL);
    compiled_fini(&compiled);
    compiled = compile_pool("\"output\": \"/tmp/no-such-file\"");
    assert_int_equal(good_pool(&compiled)->output, OUTPUT_FILE);
    assert_string_equal(record_text(&compiled.record, good_pool(&compiled)->output_path),
                        "/tmp/no-such-file");
    compiled_fini(&compiled);
    expect_refused("\"output\": \"event\"", "did you mean \"events\"?");
    expect_refused("\"output\": 7", "\"events\", \"null\" or the absolute path of a file is");
    expect_refused("\"output\": \"logs/x\"", "or the absolute path of a file is needed");
    expect_refused("\"output\": \"/tmp//x\"", "write it without \"//\", \".\" and \"..\"");
    expect_refused("\"output\": \"/tmp/./x\"", "write it without");
    expect_refused("\"output\": \"/tmp/../x\"", "write it without");
    expect_refused("\"output\": \"/tmp/x/\"", "write it without");
    expect_refused("\"output\": \"/\"", "write it without");
    expect_refused("\"output\": \"/tmp/\\u0007x\"", "control or hidden character");
    compiled = compile_pool("\"output\": \"/tmp/...\"");
    assert_string_equal(compiled.errors, "");
    compiled_fini(&compiled);
}

/* A directory of the test's own, with something in it that output cannot go to. */
static void
a_file_that_the_keeper_would_refuse_is_refused_with_what_to_write_instead(void **state)
{
    (void)state;
    char folder[] = "/tmp/poold-test-XXXXXX", path[64], other[64], member[160], why[128];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/x", folder);
    snprintf(other, sizeof other, "%s/y", folder);
    snprintf(member, sizeof member, "\"output\": \"%s\"", path);

    assert_int_equal(symlink(folder, path), 0);
    expect_refused(member, "is a symbolic link, and output goes through none\n");
    snprintf(member, sizeof member, "\"output\": \"%s/z\"", path);
    snprintf(why, sizeof why, "%s is a symbolic link, and output goes through none: write \"%s/z\"",
             path, folder);
    expect_refused(member, why);
    assert_int_equal(unlink(path), 0);

    snprintf(why, sizeof why, "the directory %s is not there: make it", path);
    expect_refused(member, why);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_refused(member, "/x: Not a directory");
    snprintf(member, sizeof member, "\"output\": \"%s\"", path);
    expect_refused(member, "/x is no regular file");
    assert_int_equal(unlink(path), 0);

    fclose(fopen(path, "we"));
    struct compiled compiled = compile_pool(member);
    assert_string_equal(compiled.errors, "");
    compiled_fini(&compiled);
    assert_int_equal(link(path, other), 0);
    expect_refused(member, "/x has more than one name (a hard link)");
    unlink(other);
    unlink(path);
    rmdir(folder);
}

/* Whose workers may still drain: what they say last goes to where it went. */
static void
a_pool_that_was_taken_out_keeps_where_its_output_goes(void **state)
{
    (void)state;
    struct compiled first = compile_pool("\"output\": \"/tmp/no-such-file\"");
    struct load_options options = {.config = "c.json", .in_force = &first.record};
    struct load_result result;
    struct record record;
    struct err err;
    const char none[] = "{\"pools\": {}}";
    assert_int_equal(load_compile_text(&options, none, strlen(none), &result, &err), 0);
    assert_int_equal(record_open(&record, result.image, result.size), 0);
    assert_int_equal(record.pools[0].present, 0);
    assert_int_equal(record.pools[0].output, OUTPUT_FILE);
    assert_string_equal(record_text(&record, record.pools[0].output_path), "/tmp/no-such-file");
    load_result_fini(&result);
    compiled_fini(&first);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_is_a_word_or_the_path_of_a_file),
        cmocka_unit_test(a_file_that_the_keeper_would_refuse_is_refused_with_what_to_write_instead),
        cmocka_unit_test(a_pool_that_was_taken_out_keeps_where_its_output_goes),
    };
    return cmocka_run_group_tests_name("load_output", tests, NULL, NULL) != 0;
}
