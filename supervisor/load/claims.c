/* claims.c - two sockets cannot have one address, nor an address and its family's wildcard one port. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "common/hash.h"
#include "supervisor/load/compile.h"

enum claim { CLAIM_EXACT, CLAIM_ANY_OF_PORT, CLAIM_WILDCARD };

static uint64_t
claim_key(enum claim claim, unsigned family, const void *bytes, size_t len)
{
    unsigned parts[2] = {claim, family};
    return hash_bytes(hash_bytes(HASH_START, parts, sizeof parts), bytes, len);
}

/* The index of a socket that holds the claim already, NONE: there is none. */
static uint32_t
claimed(struct load *load, enum claim claim, unsigned family, const void *bytes, size_t len)
{
    uint64_t *index = map_find(&load->addresses, claim_key(claim, family, bytes, len));
    return index == NULL ? NONE : (uint32_t)*index;
}

static void
claim_put(struct load *load, enum claim claim, unsigned family, const void *bytes, size_t len,
          uint32_t index)
{
    if (map_put(&load->addresses, claim_key(claim, family, bytes, len), index) != 0)
        load->failed = true;
}

/* One family of a TCP socket. */
static uint32_t
claim_port(struct load *load, unsigned family, in_port_t port, const void *host, size_t host_len,
           bool wildcard, uint32_t index)
{
    unsigned char exact[sizeof port + 16];
    memcpy(exact, &port, sizeof port);
    memcpy(exact + sizeof port, host, host_len);
    size_t len = sizeof port + host_len;
    uint32_t other = claimed(load, CLAIM_WILDCARD, family, &port, sizeof port);
    if (other == NONE)
        other = wildcard ? claimed(load, CLAIM_ANY_OF_PORT, family, &port, sizeof port)
                         : claimed(load, CLAIM_EXACT, family, exact, len);
    if (other != NONE)
        return other;
    claim_put(load, CLAIM_ANY_OF_PORT, family, &port, sizeof port, index);
    if (wildcard)
        claim_put(load, CLAIM_WILDCARD, family, &port, sizeof port, index);
    else
        claim_put(load, CLAIM_EXACT, family, exact, len, index);
    return NONE;
}

uint32_t
claim_address(struct load *load, const struct record_socket *socket, uint32_t index)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    if (socket->family == AF_UNIX) {
        uint32_t other = claimed(load, CLAIM_EXACT, AF_UNIX, socket->sockaddr, socket->length);
        if (other == NONE)
            claim_put(load, CLAIM_EXACT, AF_UNIX, socket->sockaddr, socket->length, index);
        return other;
    }
    if (socket->family == AF_INET) {
        memcpy(&in, socket->sockaddr, sizeof in);
        return claim_port(load, AF_INET, in.sin_port, &in.sin_addr, sizeof in.sin_addr,
                          in.sin_addr.s_addr == htonl(INADDR_ANY), index);
    }
    memcpy(&in6, socket->sockaddr, sizeof in6);
    bool wildcard = IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr);
    uint32_t other = NONE;
    in.sin_addr.s_addr = htonl(INADDR_ANY);
    if (socket->dual)
        other =
            claim_port(load, AF_INET, in6.sin6_port, &in.sin_addr, sizeof in.sin_addr, true, index);
    if (other == NONE)
        other = claim_port(load, AF_INET6, in6.sin6_port, &in6.sin6_addr, sizeof in6.sin6_addr,
                           wildcard, index);
    return other;
}
