/* control.c - the control socket: who may connect, the list of clients, and time. */
#include "supervisor/engine/control_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/json.h"

static void control_on_listener(void *ctx, unsigned events);

int
control_create(struct control **out, struct shell *shell, int fd, struct err *err)
{
    struct control *control = calloc(1, sizeof *control);
    if (control == NULL)
        return err_set(err, -ENOMEM, "out of memory for the control socket");
    control->shell = shell;
    control->fd = fd;
    control->resume_at = control->deadline = MSEC_NEVER;
    /* The kernel keeps with a listening socket who called listen(): the keeper. Its user, who can
     * stop everything anyway, is an admin. */
    struct ucred keeper;
    socklen_t len = sizeof keeper;
    control->owner = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &keeper, &len) == 0 ? keeper.uid : 0;
    json_setup();
    if (failures_create(control) < 0) {
        free(control);
        return err_set(err, -ENOMEM, "out of memory for the control socket");
    }
    int r = io_watch_open(shell_io(shell), &control->watch, fd, IO_CONTROL, 0, control_on_listener,
                          control);
    if (r < 0) {
        free(control->failed_seq);
        free(control);
        return err_errno(err, r, "the control socket cannot be watched");
    }
    events_sink_add(shell_events(shell), control_events_sink, control);
    *out = control;
    return 0;
}

void
control_open(struct control *control)
{
    control->is_open = true;
    io_watch_want(control->watch, IO_READ);
}

msec
control_leave(struct control *control)
{
    control->leaving = true;
    io_watch_want(control->watch, 0);
    return io_now() + CONTROL_LEAVE_MS;
}

bool
control_is_drained(const struct control *control)
{
    for (const struct client *client = control->clients; client != NULL; client = client->next) {
        if (client_has_output(client))
            return false;
    }
    return true;
}

void
control_destroy(struct control **at)
{
    struct control *control = *at;
    if (control == NULL)
        return;
    while (control->clients != NULL)
        client_destroy(control->clients);
    for (uint32_t i = 0; i < CONTROL_CALL_BUCKETS; i++)
        assert(control->calls[i] == NULL);
    assert(control->stream_count == 0 && control->subscriber_count == 0);
    io_watch_close(&control->watch);
    close(control->fd);
    events_sink_remove(shell_events(control->shell), control_events_sink, control);
    free(control->failed_seq);
    free(control);
    *at = NULL;
}

void
control_due(struct control *control, msec at)
{
    control->deadline = MIN(control->deadline, at);
}

msec
control_deadline(const struct control *control)
{
    return control->deadline;
}

void
control_tick(struct control *control, msec now)
{
    if (now < control->deadline)
        return;
    control->deadline = MSEC_NEVER; /* everyone says anew what is due */
    if (control->resume_at <= now) {
        control->resume_at = MSEC_NEVER;
        io_watch_want(control->watch, IO_READ);
    }
    control_due(control, control->resume_at);
    calls_tick(control, now);
    for (struct client *client = control->clients, *next; client != NULL; client = next) {
        next = client->next; /* a client destroys nobody but itself */
        client_tick(client, now);
    }
}

static uint32_t
control_clients_of(const struct control *control, uid_t uid)
{
    uint32_t count = 0;
    for (const struct client *client = control->clients; client != NULL; client = client->next)
        count += client->peer.uid == uid;
    return count;
}

/* One line, if the socket takes it, and the door is shut. data: the members that say more, or NULL;
 * freed. */
static void
control_refuse(int fd, enum control_error error, struct json_out *data, const char *text)
{
    struct json_out line = {0};
    json_out_text(&line, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":");
    json_out_open(&line, NULL, '{');
    json_out_number(&line, "code", error);
    json_out_string(&line, "message", text);
    if (data != NULL) {
        json_out_open(&line, "data", '{');
        json_out_raw(&line, json_out_start(data), json_out_pending(data));
        json_out_close(&line, '}');
        json_out_fini(data);
    }
    json_out_text(&line, "}}\n");
    ssize_t sent = line.failed ? -1
                               : send(fd, json_out_start(&line), json_out_pending(&line),
                                      MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)sent; /* a caller that does not read it sees the close */
    json_out_fini(&line);
    close(fd);
}

static void
control_refuse_stranger(struct control *control, int fd, const struct peer *peer)
{
    struct json_out data = {0};
    char who[ACCESS_WHO_MAX], text[ACCESS_WHO_MAX + 32];
    access_denied(control, DENIED_STRANGER, peer, "connect", ROLE_VIEWER);
    access_describe_refusal(control, &data, peer, ROLE_VIEWER);
    snprintf(text, sizeof text, "%s has no role here", access_who(control, peer, who));
    control_refuse(fd, ERROR_DENIED, &data, text);
}

static void
control_admit(struct control *control, int fd)
{
    struct peer peer;
    access_take(control, fd, &peer);
    if (peer.role == ROLE_NONE) {
        control_refuse_stranger(control, fd, &peer);
        return;
    }
    uint32_t most = CONTROL_CLIENTS_MAX - (peer.role == ROLE_ADMIN ? 0 : CONTROL_CLIENTS_ADMIN);
    char text[160];
    if (control->client_count >= most) {
        snprintf(text, sizeof text,
                 "%u clients are connected, of at most %u, of which %u are kept for admins",
                 control->client_count, CONTROL_CLIENTS_MAX, CONTROL_CLIENTS_ADMIN);
        control_refuse(fd, ERROR_UNAVAILABLE, NULL, text);
        return;
    }
    if (control_clients_of(control, peer.uid) >= CONTROL_CLIENTS_USER) {
        snprintf(text, sizeof text, "your user has %u connections, the most: close one",
                 CONTROL_CLIENTS_USER);
        control_refuse(fd, ERROR_UNAVAILABLE, NULL, text);
        return;
    }
    if (client_create(control, fd, &peer) == NULL)
        control_refuse(fd, ERROR_UNAVAILABLE, NULL, "out of memory");
}

/* Admits who waits, some at a time. False: for want of something nobody more can be. */
static bool
control_accept(struct control *control, uint32_t most)
{
    for (uint32_t i = 0; i < most; i++) {
        int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            control_admit(control, fd);
        else if (errno == EAGAIN)
            return true;
        else if (errno != EINTR && errno != ECONNABORTED)
            return false;
    }
    return true;
}

static void
control_on_listener(void *ctx, unsigned events)
{
    (void)events;
    struct control *control = ctx;
    if (control_accept(control, CONTROL_ACCEPTS_TURN))
        return;
    /* No descriptor or no memory: the connection stays in the queue, and the socket readable.
     * Looking away for a while is what keeps the loop from spinning. */
    control->resume_at = io_now() + CONTROL_PAUSE_MS;
    io_watch_want(control->watch, 0);
    control_due(control, control->resume_at);
}

static bool
is_same_socket(int a, int b)
{
    struct stat one, other;
    return fstat(a, &one) == 0 && fstat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

/* Who connected to the old socket before its path went meant us: he is let in. Who is connected stays:
 * where he came in changes nothing of what he may do. */
static void
control_move(struct control *control, int fd)
{
    struct io_watch *watch;
    if (is_same_socket(control->fd, fd)) {
        close(fd);
        return;
    }
    /* Without memory or descriptors the engine could not hear anybody; it stops, and the keeper
     * starts another. */
    if (io_watch_open(shell_io(control->shell), &watch, fd, IO_CONTROL, 0, control_on_listener,
                      control) != 0)
        abort();
    if (control->is_open)
        control_accept(control, CONTROL_BACKLOG);
    io_watch_close(&control->watch);
    close(control->fd);
    control->watch = watch;
    control->fd = fd;
    control->resume_at = MSEC_NEVER;
    io_watch_want(watch, control->is_open && !control->leaving ? IO_READ : 0);
}

void
control_taken(struct control *control, int fd)
{
    control_move(control, fd);
    access_changed(control);
}
