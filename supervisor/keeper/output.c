/* output.c - the files that what workers write is appended to: opened here, for the engine has no
 * rights and may name no path; written there. */
#include <linux/openat2.h>
#include <sys/syscall.h>

#include "supervisor/keeper/keeper.h"

/* The directory may belong to the pool's user, who must not lead us anywhere else: there is no
 * symbolic link on the whole way, and what lies at its end is a regular file of one name - a hard
 * link to somebody else's file has two. */
static int
output_open(const char *path)
{
    struct open_how how = {.flags = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY |
                                    O_NOFOLLOW | O_CLOEXEC,
                           .mode = 0640,
                           .resolve = RESOLVE_NO_SYMLINKS};
    struct stat status = {0};
    mode_t mask = umask(0);
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
    int error = fd < 0 || fstat(fd, &status) != 0 ? -errno : 0;
    umask(mask);
    if (error == 0 && (!S_ISREG(status.st_mode) || status.st_nlink != 1))
        error = S_ISREG(status.st_mode) ? -EMLINK : -ENXIO;
    if (error != 0)
        fd_close(&fd);
    return error != 0 ? error : fd;
}

/* Given away at once, ahead of what waits to be told, so that no descriptor waits here; when the link is
 * full the engine asks again. */
void
output_asked(struct keeper *k, const struct verb *verb)
{
    struct verb answer = *verb;
    answer.kind = VERB_OPENED;
    int fd = -EINVAL;
    if (verb->index < k->record.header->pools && k->record.pools[verb->index].output == OUTPUT_FILE)
        fd = output_open(record_text(&k->record, k->record.pools[verb->index].output_path));
    int error = MIN(fd, 0);
    if (error == 0 && fds_send(k->engine.link, &answer, sizeof answer, &fd, 1) != 0)
        error = -EAGAIN;
    if (error != 0)
        message_answer(k, *verb, VERB_OPENED, STEP_NONE, -error);
    fd_close(&fd);
}
