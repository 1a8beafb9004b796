/* give.c - what the loader gives the keeper to hold. */
#include "supervisor/load/give.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "supervisor/fds.h"

#define WAIT_MS 10000 /* the keeper sends it when it starts the loader */

int
give(enum loaded what, int fd, struct err *err)
{
    uint32_t which = what;
    /* Without waiting for a reader: all that is ever given fits the link's queue. */
    int error = fds_send(LOADER_LINK_FD, &which, sizeof which, &fd, 1);
    close(fd);
    return error == 0 ? 0 : err_errno(err, error, "cannot give a descriptor to poold");
}

int
give_back(enum loaded what, struct err *err)
{
    struct pollfd link = {.fd = LOADER_LINK_FD, .events = POLLIN};
    uint32_t which;
    int fd = poll(&link, 1, WAIT_MS) == 1 ? fds_take(LOADER_LINK_FD, &which, sizeof which) : -1;
    if (fd >= 0 && which == (uint32_t)what)
        return fd;
    if (fd >= 0)
        close(fd);
    return err_set(err, -EPROTO, "poold does not say what is in force");
}
