/* control.c - the control socket: who may connect, the list of clients, and time. */
#include "supervisor/engine/control_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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
        count += client->uid == uid;
    return count;
}

/* One line, if the socket takes it, and the door is shut. */
static void
control_refuse(int fd, enum control_error error, const char *text)
{
    char line[256];
    int len =
        snprintf(line, sizeof line,
                 "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":%d,\"message\":\"%s\"}}\n",
                 (int)error, text);
    assert(len > 0 && (size_t)len < sizeof line);
    ssize_t sent = send(fd, line, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)sent; /* a caller that does not read it sees the close */
    close(fd);
}

/* A stranger was at the door: an event, at most one a second. */
static void
control_denied(struct control *control, const struct ucred *peer)
{
    msec now = io_now();
    if (now < control->denied_until)
        return;
    control->denied_until = now + 1000;
    struct event_fields fields = {0};
    fields_number(&fields, "uid", peer->uid);
    fields_number(&fields, "pid", peer->pid);
    fields_string(&fields, "method", "connect");
    fields_string(&fields, "result", "denied");
    events_emit(shell_events(control->shell), EVENT_CONTROL_COMMAND, NULL, (struct worker_id){0},
                &fields, "user %u (pid %d) was refused at the control socket: it has no role",
                (unsigned)peer->uid, (int)peer->pid);
}

static void
control_admit(struct control *control, int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0) {
        close(fd);
        return;
    }
    enum control_role role = peer.uid == 0 || peer.uid == control->owner ? ROLE_ADMIN : ROLE_NONE;
    if (role == ROLE_NONE) {
        control_denied(control, &peer);
        control_refuse(fd, ERROR_DENIED, "your user has no role here");
        return;
    }
    uint32_t most = CONTROL_CLIENTS_MAX - (role == ROLE_ADMIN ? 0 : CONTROL_CLIENTS_ADMIN);
    if (control->client_count >= most) {
        control_refuse(fd, ERROR_UNAVAILABLE, "too many clients are connected");
        return;
    }
    if (control_clients_of(control, peer.uid) >= CONTROL_CLIENTS_USER) {
        control_refuse(fd, ERROR_UNAVAILABLE, "your user has too many connections");
        return;
    }
    if (client_create(control, fd, peer.uid, peer.pid, role) == NULL)
        control_refuse(fd, ERROR_UNAVAILABLE, "out of memory");
}

static void
control_on_listener(void *ctx, unsigned events)
{
    (void)events;
    struct control *control = ctx;
    for (uint32_t i = 0; i < CONTROL_ACCEPTS_TURN; i++) {
        int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            control_admit(control, fd);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        if (errno == EAGAIN)
            return;
        /* No descriptor or no memory: the connection stays in the queue, and the socket readable.
         * Looking away for a while is what keeps the loop from spinning. */
        control->resume_at = io_now() + CONTROL_PAUSE_MS;
        io_watch_want(control->watch, 0);
        control_due(control, control->resume_at);
        return;
    }
}
