/* give.c - what the loader gives the keeper to hold. */
#include "supervisor/load/give.h"

#include <unistd.h>

#include "supervisor/fds.h"

int
give(enum loaded what, int fd, struct err *err)
{
    uint32_t which = what;
    /* Without waiting for a reader: all that is ever given fits the link's queue. */
    int error = fds_send(LOADER_LINK_FD, &which, sizeof which, &fd, 1);
    close(fd);
    return error == 0 ? 0 : err_errno(err, error, "cannot give a descriptor to poold");
}
