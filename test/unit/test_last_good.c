/* test_last_good.c - claims about the last good configuration: what is stored comes back, and nothing
 * that another could have written is believed. */
#include "test/unit/load_helper.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "supervisor/load/image.h"
#include "supervisor/load/last_good.h"

#define OTHER_USER 65534

struct place {
    char top[64], dir[96], file[128], new[160];
    struct load_result image; /* of a pool, as for a keeper */
};

static int
place_create(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    if (place == NULL)
        return -1;
    strcpy(place->top, "/tmp/poold-good-XXXXXX");
    if (mkdtemp(place->top) == NULL)
        return -1;
    snprintf(place->dir, sizeof place->dir, "%s/var/state", place->top);
    snprintf(place->file, sizeof place->file, "%s/" LAST_GOOD, place->dir);
    snprintf(place->new, sizeof place->new, "%s.new", place->file);
    char text[512];
    struct load_options options = {.config = "c.json", .runtime = "/run/one"};
    struct err err;
    int len = snprintf(text, sizeof text,
                       "{\"pools\": {\"web\": {\"command\": [\"/bin/true\"], \"limits\": "
                       "{\"nofile\": 100}, \"listen\": [\"127.0.0.1:8000\"], "
                       "\"workers\": {\"min\": 3}, %s}}}",
                       identity());
    if (load_compile_text(&options, text, (size_t)len, &place->image, &err) != 0)
        return -1;
    *state = place;
    return 0;
}

static int
place_destroy(void **state)
{
    struct place *place = *state;
    char parent[96];
    load_result_fini(&place->image);
    unlink(place->file);
    unlink(place->new);
    rmdir(place->file);
    rmdir(place->dir);
    unlink(place->dir);
    snprintf(parent, sizeof parent, "%s/var", place->top);
    rmdir(parent);
    int r = rmdir(place->top); /* nothing else was left there */
    free(place);
    return r;
}

static void
store(const struct place *place)
{
    struct err err;
    if (last_good_store(place->dir, place->image.image, place->image.size, &err) != 0)
        fail_msg("not stored: %s", err.text);
}

/* What is there now is not believed, and the reason has this in it. */
static void
expect_no_use(const struct place *place, const char *why)
{
    struct last_good kept = {0};
    struct err err;
    assert_true(last_good_read(place->dir, &kept, &err) < 0);
    if (strstr(err.text, why) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", why, err.text);
    assert_null(kept.bytes);
}

static void
expect_good(const struct place *place)
{
    struct last_good kept;
    struct err err;
    if (last_good_read(place->dir, &kept, &err) != 0)
        fail_msg("not read: %s", err.text);
    assert_int_equal(kept.record.size, place->image.size);
    assert_memory_equal(kept.bytes, place->image.image, place->image.size);
    last_good_fini(&kept);
}

static void
what_is_stored_comes_back_with_its_date_and_only_its_owner_may_read_it(void **state)
{
    struct place *place = *state;
    struct stat st, dir;
    store(place);
    expect_good(place);
    struct last_good kept;
    struct err err;
    assert_int_equal(stat(place->file, &st), 0);
    assert_int_equal(stat(place->dir, &dir), 0);
    assert_int_equal(last_good_read(place->dir, &kept, &err), 0);
    assert_int_equal(kept.at, st.st_mtime);
    last_good_fini(&kept);
    assert_int_equal(st.st_mode, S_IFREG | 0600);
    assert_int_equal(dir.st_mode, S_IFDIR | 0700);
    assert_int_equal(st.st_uid, geteuid());
}

static void
without_a_directory_or_a_file_nothing_is_kept(void **state)
{
    struct place *place = *state;
    struct last_good kept;
    struct err err;
    assert_int_equal(last_good_read(NULL, &kept, &err), -ENOENT);
    assert_int_equal(last_good_read(place->dir, &kept, &err), -ENOENT);
    store(place);
    assert_int_equal(unlink(place->file), 0);
    assert_int_equal(last_good_read(place->dir, &kept, &err), -ENOENT);
    assert_int_equal(last_good_store(NULL, place->image.image, place->image.size, &err), -ENOENT);
}

static void
a_file_that_others_may_have_written_is_not_believed(void **state)
{
    struct place *place = *state;
    char second[128];
    store(place);
    assert_int_equal(chmod(place->file, 0620), 0);
    expect_no_use(place, "others can write it (mode 0620)");
    assert_int_equal(chmod(place->file, 0602), 0);
    expect_no_use(place, "others can write it (mode 0602)");
    assert_int_equal(chmod(place->file, 0600), 0);
    snprintf(second, sizeof second, "%s/second", place->top);
    assert_int_equal(link(place->file, second), 0);
    expect_no_use(place, "it has 2 names");
    assert_int_equal(unlink(second), 0);
    expect_good(place);
    if (geteuid() == 0) {
        assert_int_equal(chown(place->file, OTHER_USER, OTHER_USER), 0);
        expect_no_use(place, "it belongs to user 65534");
    }
}

static void
a_directory_that_others_can_write_is_not_used(void **state)
{
    struct place *place = *state;
    struct err err;
    store(place);
    assert_int_equal(chmod(place->dir, 0770), 0);
    expect_no_use(place, "others can write to it");
    assert_int_equal(last_good_store(place->dir, place->image.image, place->image.size, &err),
                     -EPERM);
    assert_int_equal(chmod(place->dir, 0700), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(place->dir, OTHER_USER, OTHER_USER), 0);
        expect_no_use(place, "belongs to user 65534");
    }
}

static void
a_link_a_directory_and_a_fifo_are_no_configuration(void **state)
{
    struct place *place = *state;
    char other[128];
    snprintf(other, sizeof other, "%s/other", place->top);
    store(place);
    assert_int_equal(rename(place->file, other), 0);
    assert_int_equal(symlink(other, place->file), 0);
    expect_no_use(place, "Too many levels of symbolic links");
    assert_int_equal(unlink(place->file), 0);
    assert_int_equal(unlink(other), 0);
    assert_int_equal(mkdir(place->file, 0700), 0);
    expect_no_use(place, "no regular file");
    assert_int_equal(rmdir(place->file), 0);
    assert_int_equal(mkfifo(place->file, 0600), 0);
    expect_no_use(place, "no regular file");
}

/* Stores the image with the byte at that place changed. */
static void
store_changed(const struct place *place, size_t at, size_t size)
{
    struct err err;
    char *bytes = malloc(place->image.size);
    assert_non_null(bytes);
    memcpy(bytes, place->image.image, place->image.size);
    bytes[at] = (char)(bytes[at] + 1);
    assert_int_equal(last_good_store(place->dir, bytes, size, &err), 0);
    free(bytes);
}

static void
another_version_a_changed_byte_and_a_lost_end_are_not_used(void **state)
{
    struct place *place = *state;
    size_t size = place->image.size;
    char both[80];
    store_changed(place, offsetof(struct record_header, version), size);
    snprintf(both, sizeof both, "it has version %u, and this poold reads version %u",
             RECORD_VERSION + 1, RECORD_VERSION);
    expect_no_use(place, both);
    store_changed(place, 0, size);
    expect_no_use(place, "it is damaged");
    store_changed(place, size - 1, size - 1);
    expect_no_use(place, "it is damaged");
    store_changed(place, 0, 3);
    expect_no_use(place, "it has 3 bytes");
    /* A change that leaves every index sound. */
    store_changed(place, offsetof(struct record_header, starts_max), size);
    expect_no_use(place, "it is damaged");
    store(place);
    expect_good(place);
}

static void
errors_are_no_good_configuration(void **state)
{
    struct place *place = *state;
    struct err err;
    struct compiled bad = compile("{\"pools\": 1}");
    assert_true(bad.record.header->errors > 0);
    assert_int_equal(last_good_store(place->dir, bad.result.image, bad.result.size, &err), 0);
    expect_no_use(place, "no configuration that poold has run with");
    compiled_fini(&bad);
}

static void
a_store_that_fails_half_way_leaves_what_was_kept(void **state)
{
    struct place *place = *state;
    store(place);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct rlimit full = {place->image.size / 2, place->image.size / 2};
        struct err err;
        signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &full) != 0)
            _exit(2);
        int r = last_good_store(place->dir, place->image.image, place->image.size, &err);
        _exit(r == -EFBIG && strstr(err.text, place->file) != NULL ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_not_equal(access(place->new, F_OK), 0);
    expect_good(place);
}

static void
what_a_killed_store_left_behind_does_not_stop_the_next(void **state)
{
    struct place *place = *state;
    store(place);
    int fd = open(place->new, O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
    assert_true(fd >= 0);
    close(fd);
    store(place);
    expect_good(place);
    assert_int_not_equal(access(place->new, F_OK), 0);
}

/* --- made fit for another start */

static void
a_renewed_one_has_the_old_pools_and_the_new_errors(void **state)
{
    struct place *place = *state;
    struct record old, renewed;
    struct load_result result;
    struct err err;
    const char *logs[] = {"stderr"};
    struct load_options options = {
        .config = "c.json", .runtime = "/run/two", .logs = {logs[0]}, .log_count = 1};
    struct compiled bad = compile("{\"one\": 1, \"two\": 2}");
    assert_int_equal(record_open(&old, place->image.image, place->image.size), 0);
    assert_int_equal(load_renew(&options, &old, 1234567, &bad.record, &result, &err), 0);
    assert_int_equal(record_open(&renewed, result.image, result.size), 0);

    const struct record_header *header = renewed.header;
    assert_int_equal(header->errors, 0);
    assert_int_equal(header->errors_kept, 2);
    assert_int_equal(header->kept_at, 1234567);
    assert_string_equal(record_text(&renewed, header->error_text), bad.record.text);
    assert_string_equal(record_text(&renewed, header->runtime), "/run/two");
    assert_string_equal(record_text(&renewed, header->source), "c.json");
    assert_true(header->serial != old.header->serial);
    assert_true(header->serial == image_serial(result.image, result.size));
    assert_true(header->places > 0 && header->nofile > 0);
    assert_string_equal(string_at(&renewed, &header->engine, header->engine.count - 1), "stderr");

    assert_int_equal(header->pools, 1);
    assert_int_equal(header->pools_present, 1);
    assert_memory_equal(renewed.pools, old.pools, sizeof *old.pools);
    assert_memory_equal(renewed.sockets, old.sockets, sizeof *old.sockets);
    assert_string_equal(record_text(&renewed, renewed.pools[0].program), "/bin/true");
    assert_int_equal(record_limit_at(&renewed, &renewed.pools[0], 0).soft, 100);
    load_result_fini(&result);
    compiled_fini(&bad);
}

static void
without_a_user_for_the_engine_nothing_stands_in(void **state)
{
    struct place *place = *state;
    struct record old;
    struct load_result result = {0};
    struct err err;
    struct load_options options = {
        .config = "c.json", .runtime = "/run/two", .engine_user = "no-such-user-here"};
    if (geteuid() != 0)
        skip(); /* then the engine is ourselves, whatever was given */
    struct compiled bad = compile("{\"one\": 1}");
    assert_int_equal(record_open(&old, place->image.image, place->image.size), 0);
    assert_true(load_renew(&options, &old, 1, &bad.record, &result, &err) < 0);
    assert_null(result.image);
    compiled_fini(&bad);
}

int
main(void)
{
#define CLAIM(f) cmocka_unit_test_setup_teardown(f, place_create, place_destroy)
    const struct CMUnitTest tests[] = {
        CLAIM(what_is_stored_comes_back_with_its_date_and_only_its_owner_may_read_it),
        CLAIM(without_a_directory_or_a_file_nothing_is_kept),
        CLAIM(a_file_that_others_may_have_written_is_not_believed),
        CLAIM(a_directory_that_others_can_write_is_not_used),
        CLAIM(a_link_a_directory_and_a_fifo_are_no_configuration),
        CLAIM(another_version_a_changed_byte_and_a_lost_end_are_not_used),
        CLAIM(errors_are_no_good_configuration),
        CLAIM(a_store_that_fails_half_way_leaves_what_was_kept),
        CLAIM(what_a_killed_store_left_behind_does_not_stop_the_next),
        CLAIM(a_renewed_one_has_the_old_pools_and_the_new_errors),
        CLAIM(without_a_user_for_the_engine_nothing_stands_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
