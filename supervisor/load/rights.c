/* rights.c - limits that poold has no right to give: found out when the file is read, and not when a
 * worker is to start. What a worker's process will do is done here, and put back. */
#include "supervisor/load/rights.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define OOM_SCORE "/proc/self/oom_score_adj"

bool
rights_give_limit(uint32_t resource, uint64_t limit, uint64_t *most)
{
    struct rlimit own, raised;
    if (getrlimit(resource, &own) != 0 || limit <= own.rlim_max)
        return true; /* the start will tell what is wrong with it, if anything */
    *most = own.rlim_max;
    raised = (struct rlimit){own.rlim_cur, limit};
    return setrlimit(resource, &raised) == 0 && setrlimit(resource, &own) == 0;
}

bool
rights_give_nice(int32_t nice, int32_t *least)
{
    errno = 0;
    int own = getpriority(PRIO_PROCESS, 0);
    if (errno != 0 || nice >= own)
        return true; /* back from there might not be allowed */
    *least = own;
    return setpriority(PRIO_PROCESS, 0, nice) == 0 && setpriority(PRIO_PROCESS, 0, own) == 0;
}

static bool
oom_score_write(int fd, int32_t score)
{
    char text[16];
    int len = snprintf(text, sizeof text, "%d", score);
    return pwrite(fd, text, (size_t)len, 0) == len;
}

bool
rights_give_oom_score(int32_t score, int32_t *least)
{
    char text[16] = "";
    int fd = open(OOM_SCORE, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return true;
    bool known = pread(fd, text, sizeof text - 1, 0) > 0;
    int32_t own = (int32_t)strtol(text, NULL, 10);
    bool may = !known || score >= own || (oom_score_write(fd, score) && oom_score_write(fd, own));
    *least = own;
    close(fd);
    return may;
}
