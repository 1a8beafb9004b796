/* listener.c - accepts connections and gives them to libmicrohttpd. */
#include "worker/host/listener.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "worker/host/connection.h"
#include "worker/host/server.h"

enum { BACKLOG = 1024 };

/* One a turn: whoever of a garden is free takes the next. */
static void
listener_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct listener *listener = (struct listener *)watch;
    struct server *server = listener->server;
    if (!server->is_accepting)
        return; /* this very turn has brought the last one */
    if (!connections_make_room(server)) {
        listeners_accept(server, false);
        timeout_set(&server->retry, &server->retry_queue, &server->loop);
        return;
    }
    int fd = poolworker_accept(server->pw, watch->fd);
    if (fd >= 0)
        connection_add(server, fd);
}

static int
listener_add(struct server *server, int fd, struct err *err)
{
    if (server->listener_count == LISTENERS_MAX)
        return err_set(err, -E2BIG, "there are more than %d listening sockets", LISTENERS_MAX);
    server->listeners[server->listener_count++] =
        (struct listener){.watch = {.fd = fd, .ready = listener_ready}, .server = server};
    return 0;
}

static int
bind_unix(const char *path, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return err_set(err, -ENAMETOOLONG, "the path of --listen unix:%s is too long", path);
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    int code = -errno;
    if (fd >= 0)
        close(fd);
    return err_errno(err, code, "cannot listen at unix:%s", path);
}

static int
bind_one(const struct addrinfo *info)
{
    const int on = 1;
    int fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int code = -errno;
    if (fd >= 0)
        close(fd);
    return code;
}

/* "127.0.0.1:8080", "[::1]:8080". */
static int
bind_internet(const char *text, struct err *err)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    const char *from = *text == '[' ? text + 1 : text;
    size_t len = colon == NULL ? 0 : (size_t)(colon - from) - (*text == '[' ? 1 : 0);
    if (len == 0 || len >= sizeof host || (*text == '[' && from[len] != ']'))
        return err_set(err, -EINVAL, "--listen %.60s: neither HOST:PORT nor unix:PATH", text);
    memcpy(host, from, len);
    host[len] = '\0';
    struct addrinfo *info, hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                                    .ai_socktype = SOCK_STREAM};
    int failed = getaddrinfo(host, colon + 1, &hints, &info);
    if (failed != 0)
        return err_set(err, -EINVAL, "--listen %.60s: %s", text, gai_strerror(failed));
    int fd = bind_one(info);
    freeaddrinfo(info);
    return fd >= 0 ? fd : err_errno(err, fd, "cannot listen at %.60s", text);
}

int
listeners_open(struct server *server, struct err *err)
{
    int code = 0;
    for (unsigned i = 0; i < poolworker_listeners(server->pw) && code == 0; i++)
        code = listener_add(server, poolworker_listener(server->pw, i), err);
    for (unsigned i = 0; i < server->options.listen.count && code == 0; i++) {
        const char *text = server->options.listen.items[i];
        int fd =
            strncmp(text, "unix:", 5) == 0 ? bind_unix(text + 5, err) : bind_internet(text, err);
        code = fd < 0 ? fd : listener_add(server, fd, err);
    }
    if (code == 0 && server->listener_count == 0)
        code = err_set(err, -EINVAL,
                       "there is nothing to listen on: no socket was inherited, and no --listen "
                       "names one");
    return code;
}

void
listeners_close(struct server *server)
{
    for (unsigned i = 0; i < server->options.listen.count; i++)
        if (strncmp(server->options.listen.items[i], "unix:", 5) == 0)
            unlink(server->options.listen.items[i] + 5);
    for (unsigned i = 0; i < server->listener_count; i++)
        close(server->listeners[i].watch.fd);
    server->listener_count = 0;
}

void
listeners_accept(struct server *server, bool accept)
{
    if (accept == server->is_accepting)
        return;
    server->is_accepting = accept;
    if (!accept) {
        poolworker_unwatch(server->pw, server->loop.epoll);
        return;
    }
    for (unsigned i = 0; i < server->listener_count; i++) {
        struct watch *watch = &server->listeners[i].watch;
        poolworker_watch(server->pw, server->loop.epoll, watch->fd, (uintptr_t)watch);
    }
}
