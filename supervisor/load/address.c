/* address.c - from an address as the file writes it to a socket address. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/text.h"
#include "supervisor/load/compile.h"

#define UNIX_MODE_DEFAULT 0666u /* the directory says who may connect */

#define LISTEN_FORMS "\"127.0.0.1:8080\", \"[::1]:8080\", \"*:80\" or \"unix:/run/shop.sock\""

bool
address_refuse(struct load *load, const char *text, const char *why)
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
        return address_refuse(load, text, "needs an absolute path behind \"unix:\"");
    if (!text_is_printable(path))
        return address_refuse(load, text, "has a control or hidden character");
    if (len >= sizeof address.sun_path)
        return address_refuse(load, text, "has a path of more than 107 bytes, the kernel's limit");
    if (path[len - 1] == '/')
        return address_refuse(load, text, "ends with /; the path of a socket is needed");
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
        return address_refuse(load, text, "has no IPv6 address between the brackets");
    if (IN6_IS_ADDR_V4MAPPED(&address))
        return address_refuse(load, text,
                              "is an IPv4 address in IPv6 clothes; write it as \"1.2.3.4:80\"");
    if (IN6_IS_ADDR_LINKLOCAL(&address))
        return address_refuse(load, text,
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
        return address_refuse(load, text, why);
    }
    out->family = AF_INET;
    out->length = sizeof address;
    memcpy(out->sockaddr, &address, sizeof address);
    return true;
}

/* Not in a kernel without it, nor where it is switched off. Any other error is not about that. */
static bool
is_ipv6_there(void)
{
    const struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), error = 0;
    if (fd < 0 || bind(fd, (const struct sockaddr *)&any, sizeof any) != 0)
        error = errno;
    if (fd >= 0)
        close(fd);
    return error != EAFNOSUPPORT && error != EADDRNOTAVAIL;
}

/* "*:80": every address, of IPv4 alone where there is no IPv6. */
static bool
set_any(struct record_socket *out, uint16_t port)
{
    if (is_ipv6_there()) {
        set_inet6(out, &in6addr_any, port);
        out->dual = 1;
        return true;
    }
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
    out->family = AF_INET;
    out->length = sizeof any;
    memcpy(out->sockaddr, &any, sizeof any);
    return true;
}

/* "tcp://1.2.3.4:80/": what a program's own configuration would take. */
static bool
refuse_scheme(struct load *load, const char *text, const char *rest)
{
    char why[TEXT_WORD_MAX * 2], escaped[TEXT_WORD_MAX];
    text_escape(escaped, sizeof escaped, rest, strcspn(rest, "/"));
    snprintf(why, sizeof why, "has a scheme, and needs none; write it as \"%s\"", escaped);
    return address_refuse(load, text, escaped[0] == '\0' ? "is none of " LISTEN_FORMS : why);
}

/* "::1:80", or something else with too many colons. */
static bool
refuse_colons(struct load *load, const char *text, const char *host, uint16_t port)
{
    struct in6_addr address;
    char why[TEXT_WORD_MAX * 2];
    snprintf(why, sizeof why, "needs brackets around its IPv6 address: \"[%s]:%u\"", host, port);
    return address_refuse(
        load, text, inet_pton(AF_INET6, host, &address) == 1 ? why : "is none of " LISTEN_FORMS);
}

bool
address_parse(struct load *load, const char *text, struct record_socket *out)
{
    char host[TEXT_WORD_MAX];
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(load, text, text + 5, out);
    if (text[0] == '/')
        return address_refuse(load, text, "lacks \"unix:\" before the path");
    const char *scheme = strstr(text, "://");
    if (scheme != NULL)
        return refuse_scheme(load, text, scheme + 3);
    const char *colon = strrchr(text, ':');
    if (colon == NULL || strchr(colon, ']') != NULL || colon - text >= (ptrdiff_t)sizeof host)
        return address_refuse(load, text, "is none of " LISTEN_FORMS);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    uint16_t port = parse_port(colon + 1);
    if (port == 0)
        return address_refuse(load, text, "has no port from 1 to 65535 behind the last colon");
    if (host[0] == '[')
        return parse_inet6(load, text, host, port, out);
    if (strchr(host, ':') != NULL)
        return refuse_colons(load, text, host, port);
    if (strcmp(host, "*") != 0)
        return parse_inet(load, text, host, port, out);
    return set_any(out, port);
}
