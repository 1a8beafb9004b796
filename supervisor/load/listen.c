/* listen.c - the addresses that a pool listens on. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/hash.h"
#include "common/text.h"
#include "supervisor/load/compile.h"

#define BACKLOG_DEFAULT   1000u /* IIS's queueLength; the kernel caps it at somaxconn */
#define UNIX_MODE_DEFAULT 0666u /* the directory says who may connect */

#define LISTEN_FORMS "\"127.0.0.1:8080\", \"[::1]:8080\", \"*:80\" or \"unix:/run/shop.sock\""

/* Reports at load->pointer; returns false. format gets the address, escaped. */
static bool
refuse(struct load *load, const char *text, const char *why)
{
    char escaped[TEXT_WORD_MAX * 2];
    text_escape(escaped, sizeof escaped, text, strlen(text));
    problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE, "the address \"%s\" %s", escaped,
                why);
    return false;
}

static bool
parse_unix(struct load *load, const char *text, const char *path, struct record_socket *out)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (path[0] != '/')
        return refuse(load, text, "needs an absolute path behind \"unix:\"");
    if (!text_is_printable(path))
        return refuse(load, text, "has a control or hidden character");
    if (len >= sizeof address.sun_path)
        return refuse(load, text, "has a path of more than 107 bytes, the kernel's limit");
    if (path[len - 1] == '/')
        return refuse(load, text, "ends with /; the path of a socket is needed");
    memcpy(address.sun_path, path, len + 1);
    out->family = AF_UNIX;
    out->length = (uint16_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    out->mode = UNIX_MODE_DEFAULT;
    memcpy(out->sockaddr, &address, sizeof address);
    return true;
}

/* 1 to 65535, digits only; 0: it is none. */
static uint16_t
parse_port(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits] != '\0' || text[0] == '0')
        return 0;
    unsigned long port = strtoul(text, NULL, 10);
    return port <= 65535 ? (uint16_t)port : 0;
}

static void
set_inet6(struct record_socket *out, const struct in6_addr *host, uint16_t port)
{
    struct sockaddr_in6 address = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = *host};
    out->family = AF_INET6;
    out->length = sizeof address;
    memcpy(out->sockaddr, &address, sizeof address);
}

static bool
parse_inet6(struct load *load, const char *text, const char *host, uint16_t port,
            struct record_socket *out)
{
    struct in6_addr address;
    char inside[INET6_ADDRSTRLEN];
    size_t len = strlen(host);
    if (host[0] == '[' && host[len - 1] == ']' && len - 2 < sizeof inside) {
        memcpy(inside, host + 1, len - 2);
        inside[len - 2] = '\0';
    } else {
        inside[0] = '\0';
    }
    if (inet_pton(AF_INET6, inside, &address) != 1)
        return refuse(load, text, "has no IPv6 address between the brackets");
    if (IN6_IS_ADDR_V4MAPPED(&address))
        return refuse(load, text, "is an IPv4 address in IPv6 clothes; write it as \"1.2.3.4:80\"");
    if (IN6_IS_ADDR_LINKLOCAL(&address))
        return refuse(load, text,
                      "is link-local; it needs an interface, which cannot be named yet");
    set_inet6(out, &address, port);
    return true;
}

static bool
parse_inet(struct load *load, const char *text, const char *host, uint16_t port,
           struct record_socket *out)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    char why[TEXT_WORD_MAX * 2];
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        snprintf(why, sizeof why, "has no IP address%s; did you mean \"%s:%u\"?",
                 host[0] == '\0' ? "" : " (names are not looked up)",
                 strcmp(host, "localhost") == 0 ? "127.0.0.1" : "*", port);
        return refuse(load, text, why);
    }
    out->family = AF_INET;
    out->length = sizeof address;
    memcpy(out->sockaddr, &address, sizeof address);
    return true;
}

/* Parses an address; reports what is wrong at load->pointer. */
static bool
listen_parse(struct load *load, const char *text, struct record_socket *out)
{
    char host[TEXT_WORD_MAX];
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(load, text, text + 5, out);
    if (text[0] == '/')
        return refuse(load, text, "lacks \"unix:\" before the path");
    const char *colon = strrchr(text, ':');
    if (colon == NULL || strchr(colon, ']') != NULL || colon - text >= (ptrdiff_t)sizeof host)
        return refuse(load, text, "is none of " LISTEN_FORMS);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    uint16_t port = parse_port(colon + 1);
    if (port == 0)
        return refuse(load, text, "has no port from 1 to 65535 behind the last colon");
    if (host[0] == '[')
        return parse_inet6(load, text, host, port, out);
    if (strchr(host, ':') != NULL)
        return refuse(load, text, "needs brackets around its IPv6 address: \"[::1]:80\"");
    if (strcmp(host, "*") != 0)
        return parse_inet(load, text, host, port, out);
    set_inet6(out, &in6addr_any, port);
    out->dual = 1;
    return true;
}

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

static void
refuse_claimed(struct load *load, const char *text, uint32_t index)
{
    const struct record_socket *other = socket_at(load, index);
    const char *texts = load->image.text.bytes;
    char why[TEXT_WORD_MAX * 4], address[TEXT_WORD_MAX * 2];
    text_escape(address, sizeof address, texts + other->address, strlen(texts + other->address));
    /* name is the pool's until sockets have names of their own. */
    snprintf(why, sizeof why, "cannot be bound together with \"%s\" of the pool \"%.64s\"", address,
             texts + other->name);
    refuse(load, text, why);
}

static void
add_socket(struct load *load, struct draft *draft, const char *pool, const char *text,
           const struct identity *identity)
{
    struct record_socket socket;
    memset(&socket, 0, sizeof socket);
    if (!listen_parse(load, text, &socket))
        return;
    uint32_t index = image_socket_count(&load->image);
    uint32_t other = claim_address(load, &socket, index);
    if (other != NONE && !load->image.text.failed && !load->image.sockets.failed) {
        refuse_claimed(load, text, other);
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
