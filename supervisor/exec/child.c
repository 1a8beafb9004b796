/* child.c - a child of the keeper on its way from nobody to a worker.
 *
 * What no specification changes is done while it waits, off the path between a death and its
 * replacement: session, descriptors, keyring. What passes from parent to child is not done by it at
 * all (heritage_make): some fifty system calls, a quarter of what a child costs. */
#include "supervisor/exec/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "supervisor/exec/syscall.h"

static void prepare(int link, struct failure *failure);
static bool keyring_make(struct failure *failure);
static int spec_read(struct spec *spec);
static const struct record_pool *config_map(struct record *out, const struct spec *spec, int fd);
static void descriptors_take(const struct record_pool *pool, const struct spec *spec);
static void notify_own(const struct record_pool *pool, const struct spec *spec);
static void rights_take(const struct record *record, const struct record_pool *pool,
                        const struct spec *spec);
static void step(enum spawn_step step, long result);
_Noreturn static void fail(struct failure failure);

struct failure
heritage_make(void)
{
    struct failure failure = {STEP_NONE, 0};
    int error = null_standard_fds();
    if (error < 0)
        return (struct failure){STEP_DESCRIPTORS, -error};
    if (oom_score_unprotect(&failure) && SYS0(SYS_geteuid) == 0)
        identity_lock_root(&failure);
    return failure;
}

_Noreturn void
child_run(int link, struct failure heritage)
{
    struct failure failure = heritage;
    prepare(link, &failure);

    struct spec spec;
    int config = spec_read(&spec);
    if (failure.step != STEP_NONE)
        fail(failure);
    struct record record;
    const struct record_pool *pool = config_map(&record, &spec, config);
    descriptors_take(pool, &spec);
    notify_own(pool, &spec);
    SYS1(SYS_umask, pool->umask);
    rights_take(&record, pool, &spec);
    /* Only now: a directory that the worker's user cannot enter must not be entered for it. */
    step(STEP_DIRECTORY, SYS1(SYS_chdir, record_text(&record, pool->directory)));

    struct program program;
    if (!program_make(&program, &record, pool, &spec))
        fail((struct failure){STEP_EXEC, E2BIG});
    step(STEP_EXEC, SYS3(SYS_execve, program.path, program.argv, program.envp));
    sys_exit(HELPER_EXIT);
}

static void
prepare(int link, struct failure *failure)
{
    /* First of all: until then poold's terminal could end us with a key. Fails only for a process
     * that leads its group already, which no child of ours does. */
    SYS0(SYS_setsid);
    long result = SYS3(SYS_dup3, link, CHILD_LINK_FD, O_CLOEXEC);
    if (result < 0)
        sys_exit(HELPER_EXIT); /* no way to tell: the keeper sees the link close */
    /* Nothing of poold or the launcher but the three and the link. */
    SYS3(SYS_close_range, 3, CHILD_LINK_FD - 1, 0);
    SYS3(SYS_close_range, CHILD_LINK_FD + 1, ~0u, 0);
    if (failure->step == STEP_NONE && SYS0(SYS_geteuid) == 0)
        keyring_make(failure);
}

/* Its own session keyring, so that no worker reads the keys of who started poold. Only where users
 * differ: as one user there is no border to keep, and each keyring would eat that user's quota
 * (200). A kernel built without keys, or a container's filter, refuses it to everyone alike: there
 * are no keys to protect then, so that is no reason not to start. */
static bool
keyring_make(struct failure *failure)
{
    long result = SYS2(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
    if (result >= 0 || result == -ENOSYS || result == -EPERM)
        return true;
    *failure = (struct failure){STEP_KEYRING, (int)-result};
    return false;
}

/* Waits. Returns the number of the configuration's descriptor, the last one: they lie on 3 and up in
 * their order because the kernel gives the lowest free numbers. */
static int
spec_read(struct spec *spec)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(SPEC_FDS_MAX * sizeof(int))];
    } control;
    struct iovec iov = {spec, sizeof *spec};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    long size;
    do {
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
        size = SYS3(SYS_recvmsg, CHILD_LINK_FD, &message, 0);
    } while (size == -EINTR);
    if (size <= 0)
        sys_exit(0); /* not needed any more, or poold is gone */
    if (size != (long)sizeof *spec || spec->version != SPEC_VERSION)
        fail((struct failure){STEP_SPECIFICATION, EPROTO});

    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    size_t count = spec->sockets + (spec->kind == SPAWN_WORKER ? 2u : 1u);
    if ((message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0 || header == NULL ||
        header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(count * sizeof(int)))
        fail((struct failure){STEP_DESCRIPTORS, EMFILE});
    const int *fds = (const int *)(const void *)CMSG_DATA(header);
    for (size_t i = 0; i < count; i++) {
        if (fds[i] != 3 + (int)i)
            fail((struct failure){STEP_DESCRIPTORS, EBADF});
    }
    return 2 + (int)count;
}

static const struct record_pool *
config_map(struct record *out, const struct spec *spec, int fd)
{
    long map = SYS6(SYS_mmap, NULL, spec->config_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map < 0 && map > -4096)
        fail((struct failure){STEP_SPECIFICATION, (int)-map});
    const char *bytes = (const char *)map;
    record_view(out, bytes, spec->config_size);
    return (const struct record_pool *)(const void *)(bytes + spec->pool_at);
}

/* 1 and 2 become the pipe, which the keeper has opened for reading and writing; they are /dev/null
 * already, as 0 is. The sockets stay where they are; whatever lies above them, the link too, ends at
 * exec. */
static void
descriptors_take(const struct record_pool *pool, const struct spec *spec)
{
    uint32_t kept = spec->sockets, pipe = 3u + spec->sockets;
    if (spec->kind == SPAWN_WORKER) {
        step(STEP_DESCRIPTORS, SYS3(SYS_dup3, pipe, 1, 0));
        step(STEP_DESCRIPTORS, SYS3(SYS_dup3, pipe, 2, 0));
        /* Servers open /dev/stderr, which is opening the pipe anew: that takes its owner. Who only
         * writes needs none, so there is no harm where it fails. */
        if (pool->drop_privileges)
            SYS3(SYS_fchown, 1, pool->uid, pool->gid);
    }
    if (pool->handoff == HANDOFF_STDIN && spec->sockets > 0) {
        step(STEP_DESCRIPTORS, SYS3(SYS_dup3, 3, 0, 0));
        kept = 0;
    }
    step(STEP_DESCRIPTORS, SYS3(SYS_close_range, 3u + kept, ~0u, CLOSE_RANGE_CLOEXEC));
}

/* Nobody else may send to it. Through a descriptor: only root can put anything into that directory, but
 * a rule without an exception is one that cannot be forgotten. */
static void
notify_own(const struct record_pool *pool, const struct spec *spec)
{
    if (spec->kind != SPAWN_WORKER || !pool->drop_privileges)
        return;
    long fd = SYS4(SYS_openat, AT_FDCWD, spec->notify, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
    step(STEP_NOTIFY_SOCKET, fd);
    step(STEP_NOTIFY_SOCKET, SYS5(SYS_fchownat, fd, "", pool->uid, pool->gid, AT_EMPTY_PATH));
}

/* What needs root's rights comes before they are given up. */
static void
rights_take(const struct record *record, const struct record_pool *pool, const struct spec *spec)
{
    struct failure failure = {STEP_NONE, 0};
    const uint32_t *groups = (const uint32_t *)(const void *)(record->text + pool->groups);
    if (!limits_take(record, pool, spec, &failure))
        fail(failure);
    if (pool->drop_privileges &&
        !identity_take(pool->uid, pool->gid, groups, pool->group_count, &failure))
        fail(failure);
    if (pool->no_new_privs && !identity_no_new_privs(&failure))
        fail(failure);
}

static void
step(enum spawn_step at, long result)
{
    if (result < 0)
        fail((struct failure){at, (int)-result});
}

_Noreturn static void
fail(struct failure failure)
{
    struct spec_failure report = {(uint32_t)failure.step, failure.error};
    SYS3(SYS_write, CHILD_LINK_FD, &report, sizeof report);
    sys_exit(HELPER_EXIT);
}
