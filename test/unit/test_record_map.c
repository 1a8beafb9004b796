/* test_record_map.c - a compiled configuration in a descriptor, for whoever reads it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "record_blob.h"
#include "supervisor/record_map.h"

static struct blob blob;

/* A memfd with the first size bytes of the blob. */
static int
written(size_t size)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, blob.bytes, size), (ssize_t)size);
    return fd;
}

static int
set_up(void **state)
{
    static const char *const argv[] = {"/bin/true", NULL}, *const env[] = {NULL};
    (void)state;
    blob_init(&blob);
    blob_pool(&blob, "web", argv, env);
    blob_finish(&blob);
    return 0;
}

static void
what_was_sealed_is_mapped_and_outlives_its_descriptor(void **state)
{
    const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    struct record record;
    (void)state;
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(write(fd, blob.bytes, blob.size), (ssize_t)blob.size);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    assert_int_equal(record_map(&record, fd, NULL), 0);
    close(fd);
    assert_string_equal(record_text(&record, record.pools[0].name), "web");
    record_unmap(&record);
    assert_null(record.header);
    record_unmap(&record); /* nothing is left to give back */
}

static void
another_version_is_told_with_its_number_and_nothing_is_given(void **state)
{
    struct record record = {.size = 7};
    uint32_t version = 0;
    (void)state;
    ((struct record_header *)(void *)blob.bytes)->version = RECORD_VERSION + 4;
    int fd = written(blob.size);
    assert_int_equal(record_map(&record, fd, &version), -EPROTO);
    assert_int_equal(record_map(&record, fd, NULL), -EPROTO);
    assert_int_equal(version, RECORD_VERSION + 4);
    assert_int_equal(record.size, 7);
    close(fd);
}

static void
what_is_none_is_refused(void **state)
{
    struct record record = {.size = 7};
    int pipe_ends[2];
    (void)state;
    int empty = written(0), half = written(blob.size / 2);
    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
    assert_int_equal(record_map(&record, -1, NULL), -EBADF);
    assert_int_equal(record_map(&record, empty, NULL), -EINVAL);
    assert_int_equal(record_map(&record, half, NULL), -EINVAL);
    assert_true(record_map(&record, pipe_ends[0], NULL) < 0);
    assert_int_equal(record.size, 7);
    close(empty);
    close(half);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_was_sealed_is_mapped_and_outlives_its_descriptor, set_up),
        cmocka_unit_test_setup(another_version_is_told_with_its_number_and_nothing_is_given,
                               set_up),
        cmocka_unit_test_setup(what_is_none_is_refused, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
