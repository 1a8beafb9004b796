/* identity.c - gives up root for good: the order is that of the kernel's rules, each step
 * checked. */
#include "supervisor/exec/helper.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>

#include "supervisor/exec/syscall.h"

#define GROUPS_MAX 65536 /* the kernel's NGROUPS_MAX; pages that are not used are never touched */

/* NOROOT: uid 0 gives no capability at exec. NO_CAP_AMBIENT_RAISE: nor can anybody bring one along.
 * Both locked. Never NO_SETUID_FIXUP: with it every capability would survive setresuid. */
#define SECUREBITS                                                                                 \
    (SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |                          \
     SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

static bool identity_is(uint32_t uid, uint32_t gid, const uint32_t *groups, uint32_t group_count);
static bool groups_are(const uint32_t *groups, uint32_t group_count);
static bool no_capability_left(void);
static bool fail(struct failure *failure, enum spawn_step step, long error);

bool
identity_lock_root(struct failure *failure)
{
    long error = SYS5(SYS_prctl, PR_SET_SECUREBITS, SECUREBITS, 0, 0, 0);
    if (error < 0)
        return fail(failure, STEP_SECUREBITS, -error);
    /* The kernel may know more capabilities than these headers: it ends the list with EINVAL. */
    for (long capability = 0; capability < 64; capability++) {
        error = SYS5(SYS_prctl, PR_CAPBSET_DROP, capability, 0, 0, 0);
        if (error == -EINVAL && capability > 0)
            break;
        if (error < 0)
            return fail(failure, STEP_BOUNDING_SET, -error);
    }
    error = SYS5(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (error < 0)
        return fail(failure, STEP_BOUNDING_SET, -error);
    return true;
}

bool
identity_take(uint32_t uid, uint32_t gid, const uint32_t *groups, uint32_t group_count,
              struct failure *failure)
{
    long error = SYS2(SYS_setgroups, group_count, groups);
    if (error < 0)
        return fail(failure, STEP_GROUPS, -error);
    error = SYS3(SYS_setresgid, gid, gid, gid);
    if (error < 0)
        return fail(failure, STEP_GROUP, -error);
    error = SYS3(SYS_setresuid, uid, uid, uid);
    if (error < 0)
        return fail(failure, STEP_USER, -error);
    /* For a pool that runs as uid 0 setresuid took nothing away: this does, for everyone. */
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};
    error = SYS2(SYS_capset, &header, none);
    if (error < 0)
        return fail(failure, STEP_USER, -error);
    if (!identity_is(uid, gid, groups, group_count) || !no_capability_left())
        return fail(failure, STEP_VERIFY, EPERM);
    if (uid != 0 && SYS3(SYS_setresuid, 0, 0, 0) == 0)
        return fail(failure, STEP_VERIFY, EPERM);
    return true;
}

bool
identity_no_new_privs(struct failure *failure)
{
    long error = SYS5(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return error == 0 || fail(failure, STEP_NO_NEW_PRIVS, -error);
}

static bool
identity_is(uint32_t uid, uint32_t gid, const uint32_t *groups, uint32_t group_count)
{
    uint32_t u[3], g[3];
    if (SYS3(SYS_getresuid, &u[0], &u[1], &u[2]) < 0 ||
        SYS3(SYS_getresgid, &g[0], &g[1], &g[2]) < 0)
        return false;
    for (int i = 0; i < 3; i++) {
        if (u[i] != uid || g[i] != gid)
            return false;
    }
    return groups_are(groups, group_count);
}

/* The kernel keeps the groups sorted, ours are in the order of the configuration. */
static bool
groups_are(const uint32_t *groups, uint32_t group_count)
{
    static uint32_t have[GROUPS_MAX];
    long count = SYS2(SYS_getgroups, GROUPS_MAX, have);
    if (count < 0 || (uint32_t)count != group_count)
        return false;
    for (uint32_t i = 0; i < group_count; i++) {
        uint32_t low = 0, high = group_count;
        while (low < high) {
            uint32_t middle = low + (high - low) / 2;
            if (have[middle] < groups[i])
                low = middle + 1;
            else
                high = middle;
        }
        if (low == group_count || have[low] != groups[i])
            return false;
    }
    return true;
}

static bool
no_capability_left(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    if (SYS2(SYS_capget, &header, data) < 0)
        return false;
    for (int i = 0; i < 2; i++) {
        if ((data[i].effective | data[i].permitted | data[i].inheritable) != 0)
            return false;
    }
    return true;
}

static bool
fail(struct failure *failure, enum spawn_step step, long error)
{
    failure->step = step;
    failure->error = (int)error;
    return false;
}
