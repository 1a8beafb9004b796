/* programs.c - the two programs beside poold: found and opened once, executed by descriptor, so
 * that a package upgrade cannot put another version under a running poold. */
#include <spawn.h>

#include "supervisor/keeper/keeper.h"

/* Beside poold, as in the build tree, or where it was installed. */
static int
image_open(const char *name)
{
    char self[PATH_MAX] = "", path[PATH_MAX + 32];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    while (length > 0 && self[length - 1] != '/')
        length--;
    snprintf(path, sizeof path, "%.*s%s", (int)MAX(length, 0), self, name);
    int fd = length > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) {
        snprintf(path, sizeof path, "%s/%s", POOLD_LIBEXECDIR, name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (fd < 0)
        say("cannot find %s beside poold or in %s: %s", name, POOLD_LIBEXECDIR, strerror(errno));
    return fd;
}

/* The numbers are part of the contract with poold-exec; HELPER_LINK_FD is kept for gifts. They are
 * the lowest that are free, so each image gets its own. */
int
programs_open(struct keeper *k)
{
    (void)k;
    int link = open("/dev/null", O_RDWR | O_CLOEXEC);
    int helper = image_open("poold-exec"), engine = image_open("poold-engine");
    if (helper < 0 || engine < 0)
        return 1;
    assert(link == HELPER_LINK_FD && helper == HELPER_IMAGE_FD && engine == HELPER_ENGINE_FD);
    return 0;
}

pid_t
program_start(int image, const char *const *argv, int *link)
{
    char path[32];
    int pair[2];
    pid_t pid;
    sigset_t none;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    *link = -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return -errno;
    *link = pair[0];
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawn_file_actions_init(&actions);
    /* A number onto itself loses close-on-exec; all others keep it. */
    int error = posix_spawn_file_actions_adddup2(&actions, pair[1], HELPER_LINK_FD);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(&actions, HELPER_ENGINE_FD, HELPER_ENGINE_FD);
    snprintf(path, sizeof path, "/proc/self/fd/%d", image);
    if (error == 0)
        error =
            posix_spawn(&pid, path, &actions, &attributes, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(pair[1]);
    return error == 0 ? pid : -error;
}
