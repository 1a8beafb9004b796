/* holder.c - looks up who has an address: /proc/net for TCP, the file itself for a path. */
#include "supervisor/engine/holder.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "supervisor/engine/user.h"

#define LISTENING 0x0au /* of /proc/net/tcp; those that listen come first */
#define HOST_HEX  32u

/* As /proc/net/tcp writes a host: each four bytes as a number of this machine. */
static void
host_hex(char out[HOST_HEX + 1], const void *host, size_t size)
{
    for (size_t at = 0; at < size; at += 4) {
        uint32_t word;
        memcpy(&word, (const char *)host + at, sizeof word);
        snprintf(out + 2 * at, 9, "%08X", word);
    }
}

static bool
is_any(const char *hex)
{
    return strspn(hex, "0") == strlen(hex);
}

/* A socket of that table that listens on the port, on the host (NULL: on any) or on every one. */
static bool
table_search(const char *path, const char *host, unsigned port, uint32_t *uid)
{
    char line[256], there[HOST_HEX + 1];
    unsigned there_port, state, user;
    bool found = false;
    FILE *table = fopen(path, "re");
    if (table == NULL)
        return false;
    state = LISTENING;
    if (fgets(line, sizeof line, table) == NULL) /* the head */
        state = 0;
    while (!found && state == LISTENING && fgets(line, sizeof line, table) != NULL &&
           sscanf(line, "%*d: %32[0-9A-F]:%x %*[0-9A-F]:%*x %x %*x:%*x %*x:%*x %*x %u", there,
                  &there_port, &state, &user) == 4) {
        found = state == LISTENING && there_port == port &&
                (host == NULL || is_any(there) || strcmp(there, host) == 0);
        *uid = found ? user : *uid;
    }
    fclose(table);
    return found;
}

static bool
inet_holder(const struct record_socket *socket, uint32_t *uid)
{
    char host[HOST_HEX + 1];
    unsigned port;
    if (socket->family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, socket->sockaddr, sizeof in);
        port = ntohs(in.sin_port);
        host_hex(host, &in.sin_addr, sizeof in.sin_addr);
    } else {
        struct sockaddr_in6 in6;
        memcpy(&in6, socket->sockaddr, sizeof in6);
        port = ntohs(in6.sin6_port);
        host_hex(host, &in6.sin6_addr, sizeof in6.sin6_addr);
    }
    bool any = is_any(host), six = socket->family == AF_INET6;
    /* A socket of IPv6 on every address has the port of IPv4 too, unless it was told not to. */
    return table_search(six ? "/proc/net/tcp6" : "/proc/net/tcp", any ? NULL : host, port, uid) ||
           (!six && table_search("/proc/net/tcp6", "", port, uid)) ||
           (socket->dual && table_search("/proc/net/tcp", NULL, port, uid));
}

static bool
unix_holder(const struct record_socket *socket, uint32_t *uid)
{
    struct stat status;
    const char *path = (const char *)socket->sockaddr + offsetof(struct sockaddr_un, sun_path);
    if (lstat(path, &status) != 0)
        return false;
    *uid = status.st_uid;
    return true;
}

static void
holder_name(uint32_t uid, char name[HOLDER_NAME_MAX])
{
    _Static_assert(HOLDER_NAME_MAX >= USER_NAME_MAX, "room for a name");
    if (user_name(NULL, uid, name)[0] == '\0')
        snprintf(name, HOLDER_NAME_MAX, "%u", uid);
}

const char *
holder_find(const struct record_socket *socket, char name[HOLDER_NAME_MAX])
{
    uint32_t uid = 0;
    name[0] = '\0';
    if (socket->family == AF_UNIX ? unix_holder(socket, &uid) : inet_holder(socket, &uid))
        holder_name(uid, name);
    return name;
}
