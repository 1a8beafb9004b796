/* test_load_file.c - claims about reading a file that may be anything, and may change. */
#include "test/unit/load_helper.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "supervisor/load/file.h"

static char dir[] = "/tmp/poold-test-XXXXXX";
static char path[64], other[64];

static int
make_dir(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/c.json", dir);
    snprintf(other, sizeof other, "%s/new", dir);
    return 0;
}

static int
remove_dir(void **state)
{
    (void)state;
    return rmdir(dir);
}

static void
write_file(const char *name, const char *text, mode_t mode)
{
    FILE *file = fopen(name, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(name, mode), 0);
}

static void
expect_unread(const char *name, int code, const char *why)
{
    struct file_text text;
    struct err err;
    alarm(10); /* a read that blocks must not block the run */
    assert_int_equal(file_read(name, 4096, &text, &err), code);
    alarm(0);
    assert_non_null(strstr(err.text, why));
}

static void
a_file_is_read_whole(void **state)
{
    (void)state;
    struct file_text text;
    struct err err;
    write_file(path, "{\"pools\": {}}\n", 0644);
    assert_int_equal(file_read(path, 14, &text, &err), 0);
    assert_int_equal(text.len, 14);
    assert_memory_equal(text.bytes, "{\"pools\": {}}\n", 14);
    free(text.bytes);
    expect_unread("/dev/null", -EINVAL, "it is a device");
    write_file(path, "", 0600);
    assert_int_equal(file_read(path, 14, &text, &err), 0);
    assert_int_equal(text.len, 0);
    free(text.bytes);
    unlink(path);
}

static void
a_fifo_is_refused_without_waiting_for_a_writer(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_unread(path, -EINVAL, "it is a FIFO; a regular file is needed");
    unlink(path);
}

static void
what_is_no_regular_file_is_refused(void **state)
{
    (void)state;
    expect_unread(dir, -EINVAL, "it is a directory");
    expect_unread("/dev/zero", -EINVAL, "it is a device");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    expect_unread(path, -ENXIO, "cannot open it");
    close(fd);
    unlink(path);
    expect_unread(path, -ENOENT, "cannot open it: No such file");
}

/* As the ways to keep a configuration elsewhere are: the file behind it is what counts. */
static void
a_symbolic_link_is_as_good_as_what_it_leads_to(void **state)
{
    (void)state;
    char link[128];
    struct file_text text;
    struct err err;
    snprintf(link, sizeof link, "%s/link", dir);
    write_file(path, "{}", 0600);
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(file_read(link, 4096, &text, &err), 0);
    assert_int_equal(text.len, 2);
    free(text.bytes);
    assert_int_equal(chmod(path, 0602), 0);
    expect_unread(link, -EPERM, "run chmod");
    unlink(path);
    expect_unread(link, -ENOENT, "cannot open it: No such file");
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_unread(link, -EINVAL, "it is a FIFO");
    unlink(path);
    assert_int_equal(symlink(link, path), 0);
    expect_unread(link, -ELOOP, "cannot open it: Too many levels of symbolic links");
    unlink(path);
    unlink(link);
}

static void
a_huge_file_is_refused_unread(void **state)
{
    (void)state;
    write_file(path, "", 0600);
    assert_int_equal(truncate(path, (off_t)10 << 30), 0);
    expect_unread(path, -EFBIG, "it has 10737418240 bytes; at most 4096 are read");
    unlink(path);
}

/* Files in /proc have size 0 and some bytes: as if they grew. */
static void
a_file_that_grows_is_refused(void **state)
{
    (void)state;
    expect_unread("/proc/uptime", -EAGAIN, "it changed while it was read, 3 times in a row");
}

static void
a_file_that_others_may_write_is_refused(void **state)
{
    (void)state;
    write_file(path, "{}", 0646);
    expect_unread(path, -EPERM, geteuid() == 0 ? "run chmod go-w" : "run chmod o-w");
    if (geteuid() == 0) {
        assert_int_equal(chmod(path, 0660), 0);
        expect_unread(path, -EPERM, "(mode 0660); run chmod go-w");
        assert_int_equal(chmod(path, 0600), 0);
        assert_int_equal(chown(path, 65534, 0), 0);
        expect_unread(path, -EPERM, "belongs to user 65534; it must belong to root");
    }
    unlink(path);
}

static void
a_refused_file_is_an_error_of_the_configuration(void **state)
{
    (void)state;
    struct load_options options = {.config = dir};
    struct load_result result;
    struct record record;
    struct err err;
    char want[128];
    snprintf(want, sizeof want, "%s: it is a directory; a regular file is needed\n", dir);
    assert_int_equal(load_compile(&options, &result, &err), 0);
    assert_int_equal(record_open(&record, result.image, result.size), 0);
    assert_int_equal(record.header->errors, 1);
    assert_string_equal(record.text, want);
    load_result_fini(&result);
}

static void
check_exits_78_for_errors_and_0_for_none(void **state)
{
    (void)state;
    struct load_options options = {.config = path};
    char *out = NULL;
    size_t size;
    write_file(path, "{\"pools\": 1}", 0600);
    FILE *stream = open_memstream(&out, &size);
    assert_int_equal(load_check(&options, stream), 78);
    assert_non_null(strstr(out, "/c.json:1:11: /pools: found the number 1"));
    rewind(stream);
    write_file(path, "{\"pools\": {}}", 0600);
    assert_int_equal(load_check(&options, stream), 0);
    assert_non_null(strstr(out, "/c.json: 0 pools, 0 sockets: valid\n"));
    fclose(stream);
    free(out);
    unlink(path);
}

static void
a_file_that_was_replaced_since_it_was_opened_is_read_again(void **state)
{
    (void)state;
    struct file_text text;
    struct err err;
    write_file(path, "old", 0600);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(file_read_descriptor(fd, path, 4096, &text, &err), 0);
    free(text.bytes);
    write_file(other, "new", 0600);
    assert_int_equal(rename(other, path), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(file_read_descriptor(fd, path, 4096, &text, &err), -EAGAIN);
    assert_int_equal(file_read(path, 4096, &text, &err), 0);
    assert_memory_equal(text.bytes, "new", 3);
    free(text.bytes);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(file_read_descriptor(fd, path, 4096, &text, &err), -EAGAIN);
    close(fd);
}

/* Replaces the file by rename, the way editors do, until it is killed, at the latest when the test
 * is gone. */
static void
replace_for_ever(void)
{
    static char big[20000];
    alarm(60);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        _exit(1);
    for (unsigned i = 0;; i++) {
        int fd = open(other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        size_t len = i % 2 == 0 ? sizeof big : 100;
        memset(big, i % 2 == 0 ? 'a' : 'b', len);
        if (fd < 0 || write(fd, big, len) != (ssize_t)len || close(fd) != 0 ||
            rename(other, path) != 0)
            _exit(1);
    }
}

static void
a_file_that_is_replaced_meanwhile_is_read_old_or_new_but_never_mixed(void **state)
{
    (void)state;
    write_file(path, "b", 0600);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        replace_for_ever();
    unsigned good = 0, changed = 0;
    while (good < 200 && changed < 100000) {
        struct file_text text;
        struct err err;
        int r = file_read(path, 1 << 20, &text, &err);
        if (r == -EAGAIN) {
            assert_non_null(strstr(err.text, "changed while it was read, 3 times"));
            changed++;
            continue;
        }
        assert_int_equal(r, 0);
        for (size_t i = 1; i < text.len; i++)
            assert_int_equal(text.bytes[i], text.bytes[0]);
        assert_true(text.len == 1 || text.len == 100 || text.len == 20000);
        free(text.bytes);
        good++;
    }
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(good, 200);
    unlink(other);
    unlink(path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_whole),
        cmocka_unit_test(a_fifo_is_refused_without_waiting_for_a_writer),
        cmocka_unit_test(what_is_no_regular_file_is_refused),
        cmocka_unit_test(a_symbolic_link_is_as_good_as_what_it_leads_to),
        cmocka_unit_test(a_huge_file_is_refused_unread),
        cmocka_unit_test(a_file_that_grows_is_refused),
        cmocka_unit_test(a_file_that_others_may_write_is_refused),
        cmocka_unit_test(a_refused_file_is_an_error_of_the_configuration),
        cmocka_unit_test(check_exits_78_for_errors_and_0_for_none),
        cmocka_unit_test(a_file_that_was_replaced_since_it_was_opened_is_read_again),
        cmocka_unit_test(a_file_that_is_replaced_meanwhile_is_read_old_or_new_but_never_mixed),
    };
    return cmocka_run_group_tests_name("load_file", tests, make_dir, remove_dir) != 0;
}
