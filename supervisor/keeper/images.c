/* images.c - the two programs beside poold: found and opened once, executed by descriptor, so that
 * a package upgrade cannot put another version under a running poold. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/exec/spec.h"
#include "supervisor/keeper/keeper.h"

static int image_open(const char *name);

int
images_open(void)
{
    /* The numbers are part of the contract with poold-exec; HELPER_LINK_FD is kept for gifts. */
    const int numbers[] = {HELPER_IMAGE_FD, HELPER_ENGINE_FD};
    const char *const names[] = {"poold-exec", "poold-engine"};
    if (dup3(STDIN_FILENO, HELPER_LINK_FD, O_CLOEXEC) < 0)
        return 1;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        int fd = image_open(names[i]);
        if (fd < 0) {
            say("cannot find %s beside poold or in %s: %s", names[i], POOLD_LIBEXECDIR,
                strerror(-fd));
            return 1;
        }
        if (fd == numbers[i])
            continue;
        dup3(fd, numbers[i], O_CLOEXEC);
        close(fd);
    }
    return 0;
}

_Noreturn void
images_run_engine(struct options *options)
{
    char name[] = "poold-engine", version[] = "--version", check[] = "--check";
    char config[] = "--config";
    char *const ask_version[] = {name, version, NULL};
    char *const ask_check[] = {name, check, config, options->config, NULL};
    int fd = image_open(name);
    if (fd >= 0)
        fexecve(fd, options->version ? ask_version : ask_check, environ);
    say("cannot run poold-engine: %s", strerror(fd < 0 ? -fd : errno));
    _exit(1);
}

static int
image_open(const char *name)
{
    char path[PATH_MAX + 32];
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX);
    const char *slash = length > 0 ? memrchr(path, '/', (size_t)length) : NULL;
    if (slash != NULL) {
        snprintf(path + (slash - path) + 1, 32, "%s", name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
            return fd;
    }
    snprintf(path, sizeof path, "%s/%s", POOLD_LIBEXECDIR, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}
