/* test_keeper_output.c - the files that output goes to: opened as the record says, and nothing else. */
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "test/unit/keeper_workers.h"

/* A pool whose output goes to that file of the test's directory. */
static void
pool_writing(struct world *world, const char *name, char path[160])
{
    snprintf(path, 160, "%s/%s", world->directory, name);
    struct record_pool *pool = pool_of(world, "shop", "wait", NULL);
    pool->output = OUTPUT_FILE;
    pool->output_path = blob_text(&world->blob, path);
}

/* Asks for it; returns the descriptor, or a negative errno. */
static int
opened(struct world *world, uint32_t pool)
{
    uint64_t request =
        ask(world, (struct verb){.kind = VERB_OPEN, .index = pool, .argument = 4711});
    struct report report = told_of(world, VERB_OPENED);
    assert_int_equal(report.verb.request, request);
    assert_int_equal(report.verb.index, pool);
    assert_int_equal(report.verb.argument, 4711);
    assert_int_equal(report.fd_count, report.verb.error == 0);
    return report.verb.error == 0 ? report.fds[0] : -report.verb.error;
}

static void
put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static bool
keeper_holds(const struct world *world, const char *path)
{
    char link[64], target[200];
    for (int fd = 0; fd < 256; fd++) {
        snprintf(link, sizeof link, "/proc/%d/fd/%d", world->keeper, fd);
        ssize_t length = readlink(link, target, sizeof target - 1);
        if (length == (ssize_t)strlen(path) && memcmp(target, path, (size_t)length) == 0)
            return true;
    }
    return false;
}

static void
a_file_is_made_for_owner_and_group_and_appended_to(void **state)
{
    struct world *world = *state;
    char path[160], text[64];
    struct stat status;
    pool_writing(world, "out", path);
    world_start(world);
    int fd = opened(world, 0);
    assert_true(fd >= 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode, S_IFREG | 0640);
    assert_int_equal(status.st_uid, geteuid());
    assert_int_equal(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND), O_WRONLY | O_APPEND);
    put(path, "as it was, ");
    assert_int_equal(write(fd, "more", 4), 4);
    file_read(path, text, sizeof text);
    assert_string_equal(text, "as it was, more");
    close(fd);
    assert_int_equal(world_leave(world, 0), 0);
}

static void
a_file_that_is_there_keeps_its_mode(void **state)
{
    struct world *world = *state;
    char path[160];
    struct stat status;
    pool_writing(world, "out", path);
    put(path, "");
    assert_int_equal(chmod(path, 0604), 0);
    world_start(world);
    close(opened(world, 0));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode, S_IFREG | 0604);
    assert_int_equal(world_leave(world, 0), 0);
}

static void
nothing_but_a_regular_file_of_one_name_is_opened(void **state)
{
    struct world *world = *state;
    char path[160], victim[160];
    pool_writing(world, "out", path);
    snprintf(victim, sizeof victim, "%s/victim", world->directory);
    put(victim, "not yours");
    world_start(world);
    assert_int_equal(symlink(victim, path), 0);
    assert_int_equal(opened(world, 0), -ELOOP);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(link(victim, path), 0);
    assert_int_equal(opened(world, 0), -EMLINK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(opened(world, 0), -ENXIO); /* nobody reads it */
    int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_int_equal(opened(world, 0), -ENXIO);
    close(reader);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(opened(world, 0), -EISDIR);
    assert_int_equal(world_leave(world, 0), 0);
}

static void
no_directory_on_the_way_may_be_a_symbolic_link(void **state)
{
    struct world *world = *state;
    char path[160], folder[160], other[160];
    snprintf(folder, sizeof folder, "%s/logs", world->directory);
    snprintf(other, sizeof other, "%s/secret", world->directory);
    assert_int_equal(mkdir(folder, 0700), 0);
    pool_writing(world, "logs/out", path);
    world_start(world);
    close(opened(world, 0));
    assert_int_equal(rename(folder, other), 0);
    assert_int_equal(opened(world, 0), -ENOENT);
    assert_int_equal(symlink(other, folder), 0);
    assert_int_equal(opened(world, 0), -ELOOP);
    assert_int_equal(world_leave(world, 0), 0);
}

static void
only_what_the_record_names_is_opened(void **state)
{
    struct world *world = *state;
    char path[160];
    pool_writing(world, "out", path);
    pool_of(world, "silent", "wait", NULL)->output_path =
        world->blob.pools[0].output_path; /* not to be used */
    world_start(world);
    assert_int_equal(opened(world, 1), -EINVAL);
    assert_int_equal(opened(world, 2), -EINVAL);
    assert_int_equal(opened(world, 0xffffffff), -EINVAL);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(world_leave(world, 0), 0);
}

/* Only so is it sure that a message which is lost with its engine holds no descriptor. */
static void
a_full_link_gets_no_descriptor_and_the_keeper_keeps_none(void **state)
{
    struct world *world = *state;
    char path[160];
    pool_writing(world, "out", path);
    world_start(world);
    for (int i = 0; i < 2000; i++)
        ask(world, (struct verb){.kind = VERB_LIST});
    ask(world, (struct verb){.kind = VERB_OPEN});
    ask(world, (struct verb){.kind = VERB_LIST});
    int unread = 1;
    WORLD_WAIT(ioctl(world->engine.fd, SIOCOUTQ, &unread) == 0 && unread == 0);
    for (int i = 0; i < 2000; i++)
        told_of(world, VERB_LIST_END);
    struct report report = told_of(world, VERB_OPENED);
    assert_int_equal(report.verb.error, EAGAIN);
    assert_int_equal(report.fd_count, 0);
    told_of(world, VERB_LIST_END);
    int fd = opened(world, 0);
    assert_true(fd >= 0);
    close(fd);
    WORLD_WAIT(!keeper_holds(world, path));
    assert_int_equal(world_leave(world, 0), 0);
}

int
main(int argc, char **argv)
{
    int status = keeper_test_main(argc, argv);
    if (status >= 0)
        return status;
    const struct CMUnitTest tests[] = {
        CLAIM(a_file_is_made_for_owner_and_group_and_appended_to),
        CLAIM(a_file_that_is_there_keeps_its_mode),
        CLAIM(nothing_but_a_regular_file_of_one_name_is_opened),
        CLAIM(no_directory_on_the_way_may_be_a_symbolic_link),
        CLAIM(only_what_the_record_names_is_opened),
        CLAIM(a_full_link_gets_no_descriptor_and_the_keeper_keeps_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
