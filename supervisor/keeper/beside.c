/* beside.c - listeners that share a port: a new one beside one in force that is in its way, and those
 * that workers still hold when the keeper has done with them.
 *
 * "Bind first, then close" is refused where a host's address and every address of a port change
 * places. Two sockets of one user that both have SO_REUSEPORT may stand side by side, and the kernel
 * looks at both as they are now: so ours have it for the instant of the bind. But it goes on to let in
 * whoever of that user wants the address that was shared last, until the port is bound without the
 * option or shared at another address. A socket at an address that nobody has does that; beside one
 * of every address it must be on another interface, so that one is on an interface too for the
 * instant, and to take it off again needs CAP_NET_RAW. Whether nobody can come beside it is tried
 * last. */
#include <netinet/in.h>

#include "supervisor/keeper/keeper.h"

#define NOWHERE (INT_MAX - 2) /* and from there on: interfaces that no packet comes from */
#define NOBODY  0xc0000008u   /* 192.0.0.8, the dummy address of RFC 7600 */

static bool
option_set(int fd, int option, int value)
{
    return setsockopt(fd, SOL_SOCKET, option, &value, sizeof value) == 0;
}

/* Of all our listeners in force that have the port. Returns whether there is one. */
static bool
port_share(struct keeper *k, in_port_t port, int on)
{
    struct sockaddr_in in;
    bool found = false;
    for (uint32_t i = 0; i < k->record.header->sockets; i++) {
        const struct record_socket *record = &k->record.sockets[i];
        memcpy(&in, record->sockaddr, sizeof in);
        if (k->sockets[i].fd < 0 || k->sockets[i].given || record->family == AF_UNIX ||
            in.sin_port != port)
            continue;
        k->sockets[i].in_the_way = true;
        found |= option_set(k->sockets[i].fd, SO_REUSEPORT, on);
    }
    return found;
}

/* Whether a socket like that one can be bound beside what is there; it is closed again. */
static bool
bind_try(const struct record_socket *record, int share, int interface)
{
    const int on = 1, only = !record->dual;
    int fd = socket(record->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (record->family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
    bool bound =
        setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof on) == 0 &&
        option_set(fd, SO_REUSEPORT, share) && option_set(fd, SO_BINDTOIFINDEX, interface) &&
        bind(fd, (const struct sockaddr *)(const void *)record->sockaddr, record->length) == 0;
    fd_close(&fd);
    return bound;
}

int
socket_bind_beside(struct keeper *k, int fd, const struct record_socket *record)
{
    const struct sockaddr *address = (const struct sockaddr *)(const void *)record->sockaddr;
    struct record_socket nobody = {.family = AF_INET, .length = sizeof(struct sockaddr_in)};
    struct sockaddr_in in, away = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(NOBODY)};
    struct sockaddr_in6 in6;
    memcpy(&in, record->sockaddr, sizeof in);
    memcpy(&in6, record->sockaddr, sizeof in6);
    bool every = record->family == AF_INET ? in.sin_addr.s_addr == htonl(INADDR_ANY)
                                           : IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr);
    away.sin_port = in.sin_port; /* at the same place in both families */
    memcpy(nobody.sockaddr, &away, sizeof away);
    bool done = port_share(k, in.sin_port, 1) && option_set(fd, SO_REUSEPORT, 1) &&
                option_set(fd, SO_BINDTOIFINDEX, every ? NOWHERE + 1 : 0) &&
                bind(fd, address, record->length) == 0 && listen(fd, (int)record->backlog) == 0 &&
                bind_try(&nobody, !every, NOWHERE + 2) && option_set(fd, SO_BINDTOIFINDEX, 0) &&
                option_set(fd, SO_REUSEPORT, 0);
    port_share(k, in.sin_port, 0);
    return done && !bind_try(record, 1, 0) ? 0 : -EADDRINUSE;
}

/* shutdown(2) would cut off who is in the queue or shakes hands, and servers do not expect what
 * accept(2) says then. So it is only that nobody comes any more: who would have is refused, or
 * goes to what was bound beside it, for which it is then no obstacle. What poold was given is not
 * ours to end. */
void
socket_retire(const struct socket_slot *slot, const struct record_socket *record)
{
    if (slot->fd < 0 || slot->given || record->family == AF_UNIX)
        return;
    if (!option_set(slot->fd, SO_BINDTOIFINDEX, NOWHERE))
        say("a socket that is taken out is served until its workers end: %s", strerror(errno));
    option_set(slot->fd, SO_REUSEPORT, 1);
}
