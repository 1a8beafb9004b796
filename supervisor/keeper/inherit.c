/* inherit.c - listening sockets that poold was started with, as sd_listen_fds(3) has it: so a user
 * who is not root serves port 80, and no connection is refused before poold runs. */
#include <netinet/in.h>

#include "supervisor/keeper/keeper.h"

#define INHERITED_MAX 256

/* Keeps them above the numbers that have a meaning, and closes everything else from 3 on. */
int
inherited_open(struct keeper *k)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    int count = 0;
    if (pid != NULL && fds != NULL && strtol(pid, NULL, 10) == getpid())
        count = (int)MAX(0, MIN(strtol(fds, NULL, 10), INHERITED_MAX));
    k->inherited = MAX(3 + count, HELPER_ENGINE_FD + 1);
    if (close_range(3 + (unsigned)count, ~0u, 0) != 0)
        return -errno;
    for (int fd = 3; fd < 3 + count; fd++) {
        if (fcntl(fd, F_DUPFD_CLOEXEC, k->inherited) >= 0)
            k->inherited_count++; /* the lowest free number: without a gap */
        close(fd);
    }
    return 0;
}

/* Whether it is a stream socket with the address, for IPv4 too where that is wanted. */
static bool
inherited_fits(int fd, const struct record_socket *record)
{
    int type, only = !record->dual;
    struct sockaddr_storage name = {0};
    socklen_t length = sizeof name, size = sizeof type;
    return getsockname(fd, (struct sockaddr *)&name, &length) == 0 &&
           memcmp(&name, record->sockaddr, record->length) == 0 &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM &&
           (record->family != AF_INET6 ||
            (getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &size) == 0 &&
             only == !record->dual));
}

int
inherited_take(const struct keeper *k, const struct record_socket *record)
{
    for (int fd = k->inherited; fd < k->inherited + k->inherited_count; fd++) {
        if (!inherited_fits(fd, record))
            continue;
        /* A copy: it is there still when this one is closed and then wanted again. */
        int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (own >= 0)
            fcntl(own, F_SETFL, record->blocking ? 0 : O_NONBLOCK);
        return own;
    }
    return -1;
}

/* Nobody else is to believe that they are his. /dev/null takes the place of those that are not
 * wanted, so that whatever gets such a number is never taken for one. */
void
inherited_check(struct keeper *k)
{
    const struct record *record = &k->record;
    int unwanted = 0;
    for (int fd = k->inherited; fd < k->inherited + k->inherited_count; fd++) {
        uint32_t i = 0;
        while (i < record->header->sockets && !inherited_fits(fd, &record->sockets[i]))
            i++;
        if (i == record->header->sockets) {
            unwanted++;
            dup3(HELPER_LINK_FD, fd, O_CLOEXEC);
        }
    }
    if (unwanted > 0)
        say("of %d sockets that poold was started with (LISTEN_FDS) %d are closed: no pool has "
            "their address in \"listen\"",
            k->inherited_count, unwanted);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
}
