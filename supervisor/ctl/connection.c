/* connection.c - poolctl's end of the control socket: lines out, JSON in, each within a time. */
#include "supervisor/ctl/connection.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/json.h"

#define LINE_FIRST     65536u
#define LINE_MAX_BYTES (512u << 20) /* a list of a million workers: no more is believed */
#define CONNECT_MS     5000
#define CONNECT_NAP_MS 20

struct connection {
    int fd;
    char *data; /* data[at..len) has come and is not taken */
    size_t at, len, cap;
    size_t seen; /* bytes after at that hold no newline */
};

/* A full queue of connections is EAGAIN for this kind of socket, and nothing tells when it has
 * room: it is tried again for a while. */
static int
connect_patiently(int fd, const struct sockaddr_un *address)
{
    for (int waited = 0;; waited += CONNECT_NAP_MS) {
        if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0)
            return 0;
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
        if (waited >= CONNECT_MS)
            return -ETIMEDOUT;
        poll(NULL, 0, CONNECT_NAP_MS);
    }
}

int
connection_open(struct connection **out, const char *path, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return err_set(err, -ENAMETOOLONG, "the path of a socket has at most %zu bytes: %s",
                       sizeof address.sun_path - 1, path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, -errno, "no socket can be made");
    int r = connect_patiently(fd, &address);
    struct connection *connection = r == 0 ? calloc(1, sizeof *connection) : NULL;
    if (connection == NULL) {
        close(fd);
        return err_errno(err, r == 0 ? -ENOMEM : r, "%s", path);
    }
    connection->fd = fd;
    *out = connection;
    return 0;
}

void
connection_close(struct connection **at)
{
    struct connection *connection = *at;
    if (connection == NULL)
        return;
    close(connection->fd);
    free(connection->data);
    free(connection);
    *at = NULL;
}

/* 0 when the socket is ready, else -ETIMEDOUT or another errno. */
static int
await(const struct connection *connection, short events, int limit_ms)
{
    struct pollfd pollfd = {.fd = connection->fd, .events = events};
    int n;
    do
        n = poll(&pollfd, 1, limit_ms);
    while (n < 0 && errno == EINTR);
    return n > 0 ? 0 : n == 0 ? -ETIMEDOUT : -errno;
}

static int
send_all(struct connection *connection, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(connection->fd, bytes, len, MSG_NOSIGNAL);
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
            continue;
        }
        int r = errno == EAGAIN ? await(connection, POLLOUT, CONNECTION_ANSWER_MS)
                                : (errno == EINTR ? 0 : -errno);
        /* Who was refused at the door finds it shut; the reason lies ready to be read. */
        if (r == -EPIPE || r == -ECONNRESET)
            return 0;
        if (r != 0)
            return r;
    }
    return 0;
}

int
connection_send(struct connection *connection, int64_t id, const char *method, json_t *params,
                struct err *err)
{
    json_t *request = json_pack("{s:s, s:I, s:s, s:o*}", "jsonrpc", "2.0", "id", (json_int_t)id,
                                "method", method, "params", params);
    char *line = request == NULL ? NULL : json_dumps(request, JSON_COMPACT);
    json_decref(request);
    if (line == NULL)
        return err_set(err, -EINVAL, "that cannot be sent: it is not UTF-8 text");
    size_t len = strlen(line);
    line[len] = '\n'; /* in the place of the NUL */
    int r = send_all(connection, line, len + 1);
    free(line);
    return r == 0 ? 0 : err_errno(err, r, "the supervisor does not take the request");
}

/* Room for more of a line. */
static int
make_room(struct connection *connection)
{
    if (connection->at > 0) {
        memmove(connection->data, connection->data + connection->at,
                connection->len - connection->at);
        connection->len -= connection->at;
        connection->at = 0;
    }
    if (connection->len < connection->cap)
        return 0;
    size_t cap = connection->cap == 0 ? LINE_FIRST : connection->cap * 2;
    if (cap > LINE_MAX_BYTES)
        return -EMSGSIZE;
    char *data = realloc(connection->data, cap);
    if (data == NULL)
        return -ENOMEM;
    connection->data = data;
    connection->cap = cap;
    return 0;
}

static int
read_more(struct connection *connection, int limit_ms)
{
    int r = make_room(connection);
    if (r != 0)
        return r;
    for (;;) {
        ssize_t n = recv(connection->fd, connection->data + connection->len,
                         connection->cap - connection->len, 0);
        if (n > 0) {
            connection->len += (size_t)n;
            return 0;
        }
        if (n == 0 || errno == ECONNRESET)
            return -EPIPE;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return -errno;
        if ((r = await(connection, POLLIN, limit_ms)) != 0)
            return r;
    }
}

static json_t *
parse(const char *line, size_t len, struct err *err)
{
    struct json_failure failure;
    json_t *message = json_parse(line, len, true, &failure);
    if (json_is_object(message))
        return message;
    err_set(err, -EPROTO, "what answers is not a supervisor: it sends no JSON-RPC");
    json_decref(message);
    return NULL;
}

json_t *
connection_read(struct connection *connection, int limit_ms, struct err *err)
{
    for (;;) {
        size_t have = connection->len - connection->at;
        if (have > connection->seen) {
            const char *start = connection->data + connection->at;
            const char *end = memchr(start + connection->seen, '\n', have - connection->seen);
            connection->seen = have;
            if (end != NULL) {
                size_t len = (size_t)(end - start);
                connection->at += len + 1;
                connection->seen = 0;
                return parse(start, len, err);
            }
        }
        int r = read_more(connection, limit_ms);
        if (r == 0)
            continue;
        if (r == -EPIPE)
            err_set(err, r, "the supervisor has closed the connection");
        else
            err_errno(err, r, "no answer from the supervisor");
        return NULL;
    }
}
