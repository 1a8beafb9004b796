/* inclusion.c - the IP addresses that may be listened on at all (`listen_addresses`). */
#include "supervisor/load/inclusion.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "supervisor/load/compile.h"

static bool
refuse(struct load *load, const json_t *element, const char *why)
{
    char found[JSON_FOUND_MAX];
    problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE, "found %s, %s",
                json_found(element, found), why);
    return false;
}

static bool
is_any(const struct ip_address *address)
{
    static const uint8_t zeros[16];
    return memcmp(address->bytes, zeros, sizeof zeros) == 0;
}

/* An address as inet_pton reads it, without a port; nothing that would stand for more than one, or
 * that a pool could not name. */
static bool
parse(struct load *load, const json_t *element, struct ip_address *out)
{
    struct in6_addr in6;
    const char *text = json_string_value(element);
    memset(out, 0, sizeof *out);
    out->text = text;
    if (text != NULL && inet_pton(AF_INET, text, out->bytes) == 1) {
        out->family = AF_INET;
    } else if (text != NULL && inet_pton(AF_INET6, text, &in6) == 1) {
        out->family = AF_INET6;
        memcpy(out->bytes, &in6, sizeof in6);
        if (IN6_IS_ADDR_V4MAPPED(&in6))
            return refuse(load, element, "an IPv4 address in IPv6 clothes; write it as 1.2.3.4");
        if (IN6_IS_ADDR_LINKLOCAL(&in6))
            return refuse(load, element, "which is link-local and cannot be listened on here");
    } else {
        return refuse(load, element,
                      "but an IP address without a port and brackets is needed, such as "
                      "\"192.0.2.1\" or \"2001:db8::1\"");
    }
    if (is_any(out))
        return refuse(load, element,
                      "which stands for every address; leave listen_addresses out for that");
    return true;
}

static void
take_element(struct load *load, const json_t *element)
{
    struct inclusion *inclusion = &load->inclusion;
    struct ip_address address;
    if (!parse(load, element, &address))
        return;
    for (uint32_t i = 0; i < inclusion->count; i++) {
        const struct ip_address *other = &inclusion->list[i];
        if (other->family == address.family &&
            memcmp(other->bytes, address.bytes, sizeof address.bytes) == 0) {
            refuse(load, element, "which is in the list already");
            return;
        }
    }
    assert(inclusion->count < INCLUSION_MAX); /* the table's most */
    inclusion->list[inclusion->count++] = address;
}

void
inclusion_take(struct load *load, const json_t *array)
{
    size_t index;
    json_t *element;
    struct pointer_mark list = pointer_enter_member(&load->pointer, "listen_addresses");
    json_array_foreach(array, index, element)
    {
        struct pointer_mark mark = pointer_enter_element(&load->pointer, index);
        take_element(load, element);
        pointer_leave(&load->pointer, mark);
    }
    pointer_leave(&load->pointer, list);
}

/* The host of an IP socket. */
static struct ip_address
host_of(const struct record_socket *socket)
{
    struct ip_address host = {.family = socket->family};
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    if (socket->family == AF_INET) {
        memcpy(&in, socket->sockaddr, sizeof in);
        memcpy(host.bytes, &in.sin_addr, sizeof in.sin_addr);
    } else {
        memcpy(&in6, socket->sockaddr, sizeof in6);
        memcpy(host.bytes, &in6.sin6_addr, sizeof in6.sin6_addr);
    }
    return host;
}

bool
inclusion_is_wildcard(const struct record_socket *socket)
{
    if (socket->family == AF_UNIX)
        return false;
    struct ip_address host = host_of(socket);
    return is_any(&host);
}

bool
inclusion_allows(const struct inclusion *inclusion, const struct record_socket *socket)
{
    if (socket->family == AF_UNIX || inclusion->count == 0)
        return true;
    struct ip_address host = host_of(socket);
    for (uint32_t i = 0; i < inclusion->count; i++) {
        if (inclusion->list[i].family == host.family &&
            memcmp(inclusion->list[i].bytes, host.bytes, sizeof host.bytes) == 0)
            return true;
    }
    return false;
}

bool
inclusion_allows_all(const struct inclusion *inclusion, const struct record *record,
                     const struct record_pool *pool)
{
    for (uint32_t i = 0; i < pool->socket_count; i++) {
        if (!inclusion_allows(inclusion, &record->sockets[pool->socket_first + i]))
            return false;
    }
    return true;
}

static in_port_t
port_of(const struct record_socket *socket)
{
    struct sockaddr_in in; /* the port stands at the same place for both families */
    memcpy(&in, socket->sockaddr, sizeof in);
    return in.sin_port;
}
_Static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port),
               "port_of");

static void
set_address(struct record_socket *out, const struct ip_address *address, in_port_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = port};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = port};
    memset(out->sockaddr, 0, sizeof out->sockaddr);
    out->family = address->family;
    out->dual = 0;
    if (address->family == AF_INET) {
        memcpy(&in.sin_addr, address->bytes, sizeof in.sin_addr);
        memcpy(out->sockaddr, &in, sizeof in);
        out->length = sizeof in;
    } else {
        memcpy(&in6.sin6_addr, address->bytes, sizeof in6.sin6_addr);
        memcpy(out->sockaddr, &in6, sizeof in6);
        out->length = sizeof in6;
    }
}

bool
inclusion_expand(const struct inclusion *inclusion, const struct record_socket *wildcard,
                 uint32_t i, struct record_socket *out, char text[INCLUSION_TEXT_MAX])
{
    for (uint32_t at = 0; at < inclusion->count; at++) {
        const struct ip_address *address = &inclusion->list[at];
        bool meant = wildcard->dual || wildcard->family == address->family;
        if (!meant || i-- > 0)
            continue;
        char host[INET6_ADDRSTRLEN];
        bool six = address->family == AF_INET6;
        *out = *wildcard;
        set_address(out, address, port_of(wildcard));
        inet_ntop(address->family, address->bytes, host, sizeof host);
        snprintf(text, INCLUSION_TEXT_MAX, "%s%s%s:%u", six ? "[" : "", host, six ? "]" : "",
                 ntohs(port_of(wildcard)));
        return true;
    }
    return false;
}

const char *
inclusion_text(const struct inclusion *inclusion, char buf[INCLUSION_LIST_MAX])
{
    size_t len = 0;
    buf[0] = '\0';
    for (uint32_t i = 0; i < inclusion->count; i++) {
        const char *text = inclusion->list[i].text;
        if (len + strlen(text) + sizeof ", ..." >= INCLUSION_LIST_MAX) {
            snprintf(buf + len, INCLUSION_LIST_MAX - len, ", ...");
            break;
        }
        len +=
            (size_t)snprintf(buf + len, INCLUSION_LIST_MAX - len, "%s%s", i == 0 ? "" : ", ", text);
    }
    return buf;
}
