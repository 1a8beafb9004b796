/* limits.c - how much of the machine a worker may have: its priority, its place in the order of the
 * OOM killer, its resource limits. */
#include "supervisor/exec/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

#include "supervisor/exec/syscall.h"

#define OOM_SCORE "/proc/self/oom_score_adj"
#define AUTOGROUP "/proc/self/autogroup"

static long priority_set(int32_t nice);
static long rlimits_set(const struct record *record, const struct record_pool *pool,
                        const struct spec *spec);
static long number_write(const char *path, int32_t number);
static bool fail(struct failure *failure, enum spawn_step step, long error);

/* poold itself may be protected from the OOM killer; its workers must not inherit that. A score
 * above 0 they do inherit: only who may raise limits can lower one that was given to poold. */
bool
oom_score_unprotect(struct failure *failure)
{
    char first = '0';
    long fd = SYS4(SYS_openat, AT_FDCWD, OOM_SCORE, O_RDONLY | O_CLOEXEC, 0);
    if (fd == -ENOENT)
        return true; /* no /proc: nor could poold have been protected from inside */
    long result = fd < 0 ? fd : SYS3(SYS_read, fd, &first, 1);
    if (fd >= 0)
        SYS1(SYS_close, fd);
    /* Only where it is needed: the write takes a lock that every process on the machine shares. */
    if (result > 0 && first == '-')
        result = number_write(OOM_SCORE, 0);
    return result >= 0 || fail(failure, STEP_OOM_SCORE, -result);
}

/* The OOM score before the limits: its file is opened, which a limit of open files could forbid. */
bool
limits_take(const struct record *record, const struct record_pool *pool, const struct spec *spec,
            struct failure *failure)
{
    long result = pool->set_nice ? priority_set(pool->nice) : 0;
    if (result < 0)
        return fail(failure, STEP_PRIORITY, -result);
    if (pool->set_oom_score_adjust)
        result = number_write(OOM_SCORE, pool->oom_score_adjust);
    if (result < 0)
        return fail(failure, STEP_OOM_SCORE, -result);
    result = rlimits_set(record, pool, spec);
    return result >= 0 || fail(failure, STEP_LIMITS, -result);
}

/* With sched_autogroup_enabled the kernel weighs sessions, not processes, and each worker is a
 * session of its own: the nice value alone would change nothing. Where it cannot be written (no
 * autogroups, /proc read-only, not root and another one just did) the nice value has to do. */
static long
priority_set(int32_t nice)
{
    long result = SYS3(SYS_setpriority, PRIO_PROCESS, 0, nice);
    if (result >= 0)
        number_write(AUTOGROUP, nice);
    return result;
}

/* poold has raised its own limit of open files; whatever else it has, it was started with. */
static long
rlimits_set(const struct record *record, const struct record_pool *pool, const struct spec *spec)
{
    struct rlimit nofile = {spec->nofile_soft, spec->nofile_hard};
    long result = SYS4(SYS_prlimit64, 0, RLIMIT_NOFILE, &nofile, NULL);
    for (uint32_t i = 0; result >= 0 && i < pool->limit_count; i++) {
        struct record_limit limit = record_limit_at(record, pool, i);
        struct rlimit wanted = {limit.soft, limit.hard};
        result = SYS4(SYS_prlimit64, 0, limit.resource, &wanted, NULL);
    }
    return result;
}

static long
number_write(const char *path, int32_t number)
{
    char text[12];
    size_t at = sizeof text;
    uint32_t rest = number < 0 ? 0u - (uint32_t)number : (uint32_t)number;
    do {
        text[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0)
        text[--at] = '-';
    long fd = SYS4(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    long result = SYS3(SYS_write, fd, text + at, sizeof text - at);
    SYS1(SYS_close, fd);
    return result;
}

static bool
fail(struct failure *failure, enum spawn_step step, long error)
{
    *failure = (struct failure){step, (int)error};
    return false;
}
