/* control_client.c - one connection to the control socket: bytes in, bytes out, and their bounds.
 *
 * One visit a turn: send, go on with the large reply that is under way, else read and run a few
 * requests, send. Whatever is left over asks for the next turn by wanting to write, so that a peer
 * that does not read holds up nobody, itself included; what others have for it wakes it. A client is
 * destroyed in its own visit or tick only; everyone else marks it. */
#include "supervisor/engine/control_parts.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENT_IN_FIRST 1024u

static void client_on_io(void *ctx, unsigned events);

struct client *
client_create(struct control *control, int fd, const struct peer *peer)
{
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return NULL;
    if (io_watch_open(shell_io(control->shell), &client->watch, fd, IO_CONTROL, IO_READ,
                      client_on_io, client) < 0) {
        free(client);
        return NULL;
    }
    client->control = control;
    client->fd = fd;
    client->peer = *peer;
    client->subscribed_pool = NONE;
    client->request_until = client->read_until = client->look_at = MSEC_NEVER;
    client->link = &control->clients;
    client->next = control->clients;
    if (client->next != NULL)
        client->next->link = &client->next;
    control->clients = client;
    control->client_count++;
    return client;
}

void
client_destroy(struct client *client)
{
    struct control *control = client->control;
    calls_forget(client);
    stream_end(client);
    assert(control->client_count > 0);
    control->client_count--;
    control->subscriber_count -= client->subscribed;
    *client->link = client->next;
    if (client->next != NULL)
        client->next->link = client->link;
    io_watch_close(&client->watch);
    close(client->fd);
    free(client->in);
    json_out_fini(&client->out);
    json_out_fini(&client->events);
    free(client);
}

void
client_wake(struct client *client)
{
    io_watch_wake(client->watch);
}

bool
client_has_output(const struct client *client)
{
    return !client->broken &&
           (client->stream.kind != STREAM_NONE || json_out_pending(&client->out) > 0 ||
            json_out_pending(&client->events) > 0 || client->events_lost > 0);
}

static void
client_flush(struct client *client)
{
    while (!client->broken && json_out_pending(&client->out) > 0) {
        ssize_t n = send(client->fd, json_out_start(&client->out), json_out_pending(&client->out),
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            client->broken = true;
        if (n <= 0)
            return;
        json_out_took(&client->out, (size_t)n);
        client->read_until = MSEC_NEVER; /* client_settle sets it anew if there is more */
    }
}

/* Events wait until no reply is half written; then both buffers change places. */
static void
client_flush_events(struct client *client)
{
    if (client->stream.kind != STREAM_NONE || json_out_pending(&client->out) > 0)
        return;
    if (client->events_lost > 0)
        events_lost_line(client);
    if (json_out_pending(&client->events) == 0)
        return;
    struct json_out out = client->out;
    client->out = client->events;
    client->events = out;
    client_flush(client);
}

/* What poll says of events now; hang-ups and errors always. */
static short
client_poll(const struct client *client, short events)
{
    struct pollfd pollfd = {.fd = client->fd, .events = events};
    return poll(&pollfd, 1, 0) > 0 ? pollfd.revents : 0;
}

static bool
client_is_there(const struct client *client)
{
    return !(client_poll(client, 0) & (POLLHUP | POLLERR));
}

/* Room for more input, at most a line of the longest kind and its end. */
static bool
client_room(struct client *client)
{
    if (client->in_at > 0) {
        memmove(client->in, client->in + client->in_at, client->in_len - client->in_at);
        client->in_len -= client->in_at;
        client->in_at = 0;
    }
    if (client->in_len < client->in_cap)
        return true;
    size_t cap = client->in_cap == 0 ? CLIENT_IN_FIRST : client->in_cap * 2;
    cap = MIN(cap, CONTROL_LINE_MAX + 1);
    assert(cap > client->in_cap); /* a full buffer without a newline has been refused */
    char *in = realloc(client->in, cap);
    if (in == NULL) {
        client->broken = true;
        return false;
    }
    client->in = in;
    client->in_cap = cap;
    return true;
}

static void
client_read(struct client *client)
{
    if (client->eof || !client_room(client))
        return;
    ssize_t n;
    do
        n = recv(client->fd, client->in + client->in_len, client->in_cap - client->in_len,
                 MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        client->in_len += (size_t)n;
    else if (n == 0)
        client->eof = true;
    else if (errno != EAGAIN)
        client->broken = true;
    if (client->eof && !client_is_there(client))
        client->broken = true;
}

/* The next complete line in in; false: there is none (yet). */
static bool
client_line(struct client *client, const char **line, size_t *len)
{
    const char *start = client->in + client->in_at;
    size_t have = client->in_len - client->in_at;
    if (have == 0)
        return false;
    const char *end = memchr(start + client->in_seen, '\n', have - client->in_seen);
    if (end == NULL) {
        client->in_seen = have;
        return false;
    }
    *line = start;
    *len = (size_t)(end - start);
    client->in_at += *len + 1;
    client->in_seen = 0;
    client->request_until = MSEC_NEVER; /* that request was in time; another begins */
    return true;
}

static bool
client_may_run(const struct client *client)
{
    return !client->broken && !client->closing && !client->control->leaving &&
           client->stream.kind == STREAM_NONE && json_out_pending(&client->out) < CONTROL_OUT_HIGH;
}

static void
client_run_requests(struct client *client)
{
    const char *line;
    size_t len;
    for (uint32_t i = 0; i < CONTROL_REQUESTS_TURN && client_may_run(client); i++) {
        if (!client_line(client, &line, &len))
            break;
        if (len > 0 && line[len - 1] == '\r')
            len--;
        if (len > 0)
            request_run(client, line, len);
    }
    if (client->in_at == client->in_len) {
        free(client->in);
        client->in = NULL;
        client->in_at = client->in_len = client->in_cap = client->in_seen = 0;
    } else if (client->in_seen > CONTROL_LINE_MAX) {
        reply_error(client, "null", ERROR_REQUEST, NULL, "a request has at most %u bytes",
                    CONTROL_LINE_MAX);
        client->closing = true;
    }
}

/* Requests that have been read but not run. */
static bool
client_has_lines(const struct client *client)
{
    return client->in_len - client->in_at > client->in_seen;
}

/* What is wanted next, and by when; or the end. */
static void
client_settle(struct client *client)
{
    msec now = io_now();
    bool pending = json_out_pending(&client->out) > 0;
    bool writing = client->stream.kind != STREAM_NONE || json_out_pending(&client->events) > 0;
    bool working = writing || client_has_lines(client);
    if (client->out.failed || client->events.failed)
        client->broken = true;
    bool idle = client->eof && !working && client->calls == 0 && !client->subscribed;
    if (client->broken || (!pending && (idle || (client->closing && !writing)))) {
        client_destroy(client);
        return;
    }
    /* A socket of this kind takes bytes until it is full, but is writable only when a quarter full:
     * work that waits for that counts as well as bytes that wait. */
    bool write = pending || (client->closing ? writing : working);
    if (!write)
        client->read_until = MSEC_NEVER;
    else if (client->read_until == MSEC_NEVER)
        client->read_until = now + CONTROL_STUCK_MS;
    bool begun = client->in_seen > 0 && !client_has_lines(client) && client_may_run(client);
    if (!begun)
        client->request_until = MSEC_NEVER;
    else if (client->request_until == MSEC_NEVER)
        client->request_until = now + CONTROL_REQUEST_MS;
    if (client->eof && client->look_at == MSEC_NEVER)
        client->look_at = now + CONTROL_EOF_MS;
    control_due(client->control,
                MIN(client->read_until, MIN(client->request_until, client->look_at)));
    bool read = !client->eof && client_may_run(client) && !client_has_lines(client);
    io_watch_want(client->watch, (read ? IO_READ : 0u) | (write ? IO_WRITE : 0u));
}

static void
client_visit(struct client *client, bool readable)
{
    client_flush(client);
    if (client->stream.kind != STREAM_NONE && json_out_pending(&client->out) < CONTROL_OUT_HIGH) {
        stream_run(client);
    } else if (client_may_run(client)) {
        if (readable && !client_has_lines(client))
            client_read(client);
        client_run_requests(client);
    }
    client_flush(client);
    client_flush_events(client);
    client_settle(client);
}

static void
client_on_io(void *ctx, unsigned events)
{
    struct client *client = ctx;
    if (events & IO_WRITE)
        client->read_until = MSEC_NEVER;
    client_visit(client, (events & IO_READ) != 0);
}

void
client_tick(struct client *client, msec now)
{
    if (client->look_at <= now) {
        client->look_at = MSEC_NEVER;
        client->broken |= !client_is_there(client);
    }
    /* A deadline counts only when what lies ready has been seen: after a stall or a suspend the
     * rest of the request, or room for the reply, may be there. */
    bool late_reader = client->read_until <= now, late_writer = client->request_until <= now;
    if (late_reader) {
        client_flush(client);
        if (client->read_until <= now && !(client_poll(client, POLLOUT) & POLLOUT))
            client->broken = true;
        client->read_until = MSEC_NEVER;
    }
    if (late_writer) {
        client_read(client);
        client_run_requests(client);
        if (client->request_until <= now && !client->closing) {
            reply_error(client, "null", ERROR_REQUEST, NULL,
                        "a request must be complete within %u s", CONTROL_REQUEST_MS / 1000);
            client->closing = true;
        }
    }
    client_visit(client, false);
}
