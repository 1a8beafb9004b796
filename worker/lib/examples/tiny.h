/* tiny.h - as much HTTP as the examples need: one request a connection, one line as the answer. */
#ifndef POOLWORKER_EXAMPLE_TINY_H
#define POOLWORKER_EXAMPLE_TINY_H

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TINY_REQUEST_MAX 4096

/* A request of which so much has come. */
struct tiny_request {
    size_t len;
    char text[TINY_REQUEST_MAX];
};

static inline bool
tiny_is_complete(const struct tiny_request *request)
{
    return memmem(request->text, request->len, "\r\n\r\n", 4) != NULL;
}

static inline bool
tiny_is_too_long(const struct tiny_request *request)
{
    return request->len == TINY_REQUEST_MAX;
}

/* The same answer to everybody: who serves. Its length. */
static inline size_t
tiny_answer(char out[256])
{
    char body[128];
    const char *pool = getenv("POOLD_POOL"), *worker = getenv("POOLD_WORKER");
    int len = snprintf(body, sizeof body, "pid=%d worker=%.20s pool=%.64s\n", (int)getpid(),
                       worker != NULL ? worker : "-", pool != NULL ? pool : "-");
    len = snprintf(out, 256, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
                   len, body);
    return (size_t)len;
}

/* Run by hand there is no listener: one of port argv[1] on 127.0.0.1. Ends the process on failure. */
static inline int
tiny_listen(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int port = argc == 2 ? atoi(argv[1]) : 0, one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    address.sin_port = htons((uint16_t)port);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (port <= 0 || port > 65535)
        errno = EINVAL;
    else if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 100) == 0)
        return fd;
    fprintf(stderr, "%s: cannot listen on port %s: %s\nusage: %s PORT, or run it in a pool\n",
            argv[0], argc == 2 ? argv[1] : "?", strerror(errno), argv[0]);
    exit(64);
}

#endif
