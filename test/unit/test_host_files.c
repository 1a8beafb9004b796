/* test_host_files.c - claims about media types and about what lies below a directory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/host/lookup.h"
#include "worker/host/mime.h"

static char folder[64];
static int directory; /* folder/root */

static void
write_file(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void
make(const char *name, const char *target)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(target == NULL ? mkdir(path, 0755) : symlink(target, path), 0);
}

static int
make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/poold-host-XXXXXX");
    assert_non_null(mkdtemp(folder));
    make("root", NULL);
    make("root/sub", NULL);
    write_file("root/a", "a");
    write_file("root/sub/b", "b");
    write_file("outside", "no");
    make("root/link", "a");
    make("root/out", "../outside");
    make("root/absolute", "/etc/hostname");
    make("root/up", "..");
    char path[128];
    snprintf(path, sizeof path, "%s/root", folder);
    directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return directory < 0;
}

static int
remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"root/a",        "root/sub/b", "root/link", "root/out",
                                        "root/absolute", "root/up",    "root/sub",  "root",
                                        "outside",       "types"};
    char path[128];
    close(directory);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove(path);
    }
    return rmdir(folder);
}

static int
open_path(enum lookup_way way, const char *path)
{
    struct stat stat;
    int fd = lookup_open_by(way, directory, path, &stat);
    if (fd >= 0)
        close(fd);
    return fd < 0 ? fd : 0;
}

/* The kernel may lack openat2; the way by steps is there everywhere. */
static bool
has_way(enum lookup_way way)
{
    int code = open_path(way, "/");
    return code != -ENOSYS && code != -EPERM;
}

static void
what_lies_below_is_opened_either_way(void **state)
{
    (void)state;
    for (enum lookup_way way = LOOKUP_BY_KERNEL; way <= LOOKUP_BY_STEPS; way++) {
        if (!has_way(way))
            continue;
        assert_int_equal(open_path(way, "/"), 0);
        assert_int_equal(open_path(way, "/a"), 0);
        assert_int_equal(open_path(way, "/sub"), 0);
        assert_int_equal(open_path(way, "/sub/"), 0);
        assert_int_equal(open_path(way, "/sub/b"), 0);
        assert_int_equal(open_path(way, "/c"), -ENOENT);
        assert_int_equal(open_path(way, "/a/"), -ENOTDIR);
        assert_int_equal(open_path(way, "/a/b"), -ENOTDIR);
    }
}

static void
no_link_and_no_way_out_is_followed_either_way(void **state)
{
    (void)state;
    static const char *const paths[] = {"/link",       "/out",        "/absolute",         "/up",
                                        "/up/outside", "/../outside", "/sub/../../outside"};
    for (enum lookup_way way = LOOKUP_BY_KERNEL; way <= LOOKUP_BY_STEPS; way++)
        for (size_t i = 0; has_way(way) && i < ARRAY_LEN(paths); i++)
            assert_true(open_path(way, paths[i]) < 0);
}

static void
a_name_that_is_too_long_is_no_file_either_way(void **state)
{
    (void)state;
    char path[600];
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    assert_int_equal(open_path(LOOKUP_BY_STEPS, path), -ENAMETOOLONG);
    if (has_way(LOOKUP_BY_KERNEL))
        assert_int_equal(open_path(LOOKUP_BY_KERNEL, path), -ENAMETOOLONG);
}

static void
the_last_extension_gives_the_type(void **state)
{
    (void)state;
    struct mime mime;
    struct err err;
    char path[128];
    write_file("types", "# a comment\ntext/html html htm\n\nimage/png\tpng # png2\nbroken zip\n");
    snprintf(path, sizeof path, "%s/types", folder);
    assert_int_equal(mime_open(&mime, path, &err), 0);
    assert_string_equal(mime_type(&mime, "/a.html"), "text/html");
    assert_string_equal(mime_type(&mime, "/a.png.HTM"), "text/html");
    assert_string_equal(mime_type(&mime, "a.png"), "image/png");
    assert_null(mime_type(&mime, "/a.png2"));
    assert_null(mime_type(&mime, "/a.zip"));
    assert_null(mime_type(&mime, "/a.html/b"));
    assert_null(mime_type(&mime, "/a."));
    assert_null(mime_type(&mime, "/html"));
    mime_close(&mime);
}

static void
without_a_table_the_web_s_own_types_are_known(void **state)
{
    (void)state;
    struct mime mime;
    struct err err;
    assert_int_equal(mime_open(&mime, "/nowhere/mime.types", &err), 0);
    assert_string_equal(mime_type(&mime, "/index.html"), "text/html");
    assert_string_equal(mime_type(&mime, "/a.js"), "text/javascript");
    mime_close(&mime);
    assert_int_equal(mime_open(&mime, "/proc/self", &err), -EFBIG);
    assert_non_null(strstr(err.text, "/proc/self"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_lies_below_is_opened_either_way),
        cmocka_unit_test(no_link_and_no_way_out_is_followed_either_way),
        cmocka_unit_test(a_name_that_is_too_long_is_no_file_either_way),
        cmocka_unit_test(the_last_extension_gives_the_type),
        cmocka_unit_test(without_a_table_the_web_s_own_types_are_known),
    };
    return cmocka_run_group_tests_name("host_files", tests, make_folder, remove_folder) != 0;
}
