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

bool
clone_is_refused(int error)
{
    return error == EPERM || error == ENOSYS || error == EINVAL;
}

/* In a copy of the keeper, so only what is async-signal-safe. */
_Noreturn static void
copy_execute(const char *path, const char *const *argv, int link, const sigset_t *mask)
{
    static const char text[] = "poold: cannot execute poold-exec or poold-engine\n";
    if (dup2(link, HELPER_LINK_FD) >= 0 && fcntl(HELPER_ENGINE_FD, F_SETFD, 0) == 0 &&
        sigprocmask(SIG_SETMASK, mask, NULL) == 0)
        execve(path, (char *const *)(uintptr_t)argv, environ);
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(HELPER_EXIT);
}

pid_t
program_start(int image, const char *const *argv, int *link)
{
    static bool copying; /* a filter refuses children that share our memory until their exec */
    char path[32];
    int pair[2];
    pid_t pid = -1;
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
    if (error == 0 && !copying) {
        error =
            posix_spawn(&pid, path, &actions, &attributes, (char *const *)(uintptr_t)argv, environ);
        copying = clone_is_refused(error);
    }
    posix_spawn_file_actions_destroy(&actions);
    if (copying) {
        pid = fork();
        error = pid < 0 ? errno : 0;
        if (pid == 0)
            copy_execute(path, argv, pair[1], &none);
    }
    close(pair[1]);
    return error == 0 ? pid : -error;
}
