/* listen.c - the addresses that a pool listens on. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/hash.h"
#include "common/text.h"
#include "supervisor/load/compile.h"

#define BACKLOG_DEFAULT 1000u /* IIS's queueLength; the kernel caps it at somaxconn */

/* --- Two sockets cannot have one address, nor an address and its family's wildcard one port. */

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

/* Claims the address for the socket that will be at index. Returns the one it cannot live with. */
static uint32_t
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

static const struct record_socket *
socket_at(const struct load *load, uint32_t index)
{
    const void *sockets = load->image.sockets.bytes;
    return (const struct record_socket *)sockets + index;
}

/* The element of the pool's list that says so. */
static size_t
element_of(const struct draft *draft, const char *address)
{
    size_t index;
    json_t *element;
    json_array_foreach(draft->listen, index, element)
    {
        if (json_is_string(element) && strcmp(json_string_value(element), address) == 0)
            break;
    }
    return index;
}

/* The same socket a second time, in the same list. */
static void
refuse_twice(struct load *load, const struct draft *draft, const char *text, const char *address)
{
    const char *pointer = load->pointer.text, *last = strrchr(pointer, '/');
    char why[sizeof load->pointer.text + 64];
    snprintf(why, sizeof why, "is there already, at %.*s/%zu", (int)(last - pointer), pointer,
             element_of(draft, address));
    address_refuse(load, text, why);
}

static void
refuse_claimed(struct load *load, const struct draft *draft, const char *text,
               const struct record_socket *socket, uint32_t index)
{
    const struct record_socket *other = socket_at(load, index);
    const char *texts = load->image.text.bytes;
    bool same = other->family == socket->family && other->dual == socket->dual &&
                memcmp(other->sockaddr, socket->sockaddr, sizeof socket->sockaddr) == 0;
    if (same && index >= draft->record.socket_first) {
        refuse_twice(load, draft, text, texts + other->address);
        return;
    }
    char why[TEXT_WORD_MAX * 4], address[TEXT_WORD_MAX * 2];
    text_escape(address, sizeof address, texts + other->address, strlen(texts + other->address));
    /* name is the pool's until sockets have names of their own. */
    snprintf(why, sizeof why, "cannot be bound together with \"%s\" of the pool \"%.64s\"", address,
             texts + other->name);
    address_refuse(load, text, why);
}

static void
add_socket(struct load *load, struct draft *draft, const char *pool, const char *text,
           const struct identity *identity)
{
    struct record_socket socket;
    memset(&socket, 0, sizeof socket);
    if (!address_parse(load, text, &socket))
        return;
    uint32_t index = image_socket_count(&load->image);
    uint32_t other = claim_address(load, &socket, index);
    if (other != NONE && !load->image.text.failed && !load->image.sockets.failed) {
        refuse_claimed(load, draft, text, &socket, other);
        return;
    }
    socket.pool = image_pool_count(&load->image);
    socket.name = image_string(&load->image, pool);
    socket.address = image_string(&load->image, text);
    socket.backlog = BACKLOG_DEFAULT;
    socket.uid = identity == NULL ? 0 : identity->uid;
    socket.gid = identity == NULL ? 0 : identity->gid;
    buffer_add(&load->image.sockets, &socket, sizeof socket);
    draft->record.socket_count++;
}

void
listen_resolve(struct load *load, struct draft *draft, const char *pool,
               const struct identity *identity)
{
    size_t index;
    json_t *element;
    draft->record.socket_first = image_socket_count(&load->image);
    struct pointer_mark list = pointer_enter_member(&load->pointer, "listen");
    json_array_foreach(draft->listen, index, element)
    {
        struct pointer_mark mark = pointer_enter_element(&load->pointer, index);
        if (value_check_string(load, element))
            add_socket(load, draft, pool, json_string_value(element), identity);
        pointer_leave(&load->pointer, mark);
    }
    pointer_leave(&load->pointer, list);
}
