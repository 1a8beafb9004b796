/* libuv.c - a worker in a libuv loop. */
#include <poolworker.h>
#include <sys/epoll.h>
#include <uv.h>

#include "tiny.h"

/* libuv cannot wait for a listener exclusively, and looks at descriptors of its own only. So the
 * listeners sit in an epoll descriptor of ours, and libuv polls that. */
static int listeners_fd;
static struct poolworker *pw;
static uv_loop_t loop;
static uv_poll_t poold, listeners;
static uv_signal_t term;
static unsigned connections;

struct connection {
    uv_pipe_t stream; /* libuv's name for any stream socket that is already connected */
    struct tiny_request request;
    uv_write_t write;
    char answer[256];
};

/* Nothing more comes in; when nothing is left, the loop ends by itself. */
static void
leave(void)
{
    uv_close((uv_handle_t *)&listeners, NULL);
    uv_close((uv_handle_t *)&term, NULL);
    if (connections == 0)
        uv_close((uv_handle_t *)&poold, NULL);
}

static void
on_drain(struct poolworker *worker, uint64_t limit_ms, void *context)
{
    (void)worker, (void)limit_ms, (void)context;
    leave();
}

static void
on_term(uv_signal_t *handle, int number)
{
    (void)handle, (void)number;
    poolworker_stopping(pw);
    leave();
}

static void
on_poold(uv_poll_t *handle, int status, int events)
{
    (void)handle, (void)status, (void)events;
    poolworker_dispatch(pw);
}

/* --- Connections. */

static void
on_closed(uv_handle_t *handle)
{
    free(handle->data);
    connections--;
    if (poolworker_is_draining(pw) && connections == 0)
        uv_close((uv_handle_t *)&poold, NULL);
}

static void
on_written(uv_write_t *write, int status)
{
    (void)status;
    poolworker_request_end(pw);
    uv_close((uv_handle_t *)write->handle, on_closed);
}

static void
on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct tiny_request *request = &((struct connection *)handle->data)->request;
    (void)suggested;
    *buf = uv_buf_init(request->text + request->len, (unsigned)(TINY_REQUEST_MAX - request->len));
}

static void
on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct connection *connection = stream->data;
    (void)buf;
    connection->request.len += n > 0 ? (size_t)n : 0;
    if (tiny_is_complete(&connection->request)) {
        uv_buf_t answer =
            uv_buf_init(connection->answer, (unsigned)tiny_answer(connection->answer));
        poolworker_request_begin(pw);
        uv_read_stop(stream);
        if (uv_write(&connection->write, stream, &answer, 1, on_written) != 0)
            on_written(&connection->write, 0);
    } else if (n < 0)
        uv_close((uv_handle_t *)stream, on_closed);
}

static void
begin(int fd)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) {
        close(fd);
        return;
    }
    connection->stream.data = connection;
    connection->write.handle = (uv_stream_t *)&connection->stream;
    connections++;
    uv_pipe_init(&loop, &connection->stream, 0);
    if (uv_pipe_open(&connection->stream, fd) != 0)
        close(fd);
    if (uv_read_start((uv_stream_t *)&connection->stream, on_room, on_read) != 0)
        uv_close((uv_handle_t *)&connection->stream, on_closed);
}

static void
on_connection(uv_poll_t *handle, int status, int events)
{
    struct epoll_event event;
    (void)handle, (void)status, (void)events;
    if (epoll_wait(listeners_fd, &event, 1, 0) != 1)
        return; /* another worker was quicker */
    int fd = poolworker_accept(pw, (int)event.data.u64);
    if (fd >= 0)
        begin(fd);
}

/* --- The whole. */

static void
listen_on(int listener)
{
    if (poolworker_watch(pw, listeners_fd, listener, (uint64_t)listener) != 0)
        exit(71);
}

int
main(int argc, char **argv)
{
    if (poolworker_create(&pw, POOLWORKER_CLEAN) != 0)
        return 71;
    listeners_fd = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned i = 0; i < poolworker_listeners(pw); i++)
        listen_on(poolworker_listener(pw, i));
    if (poolworker_listeners(pw) == 0)
        listen_on(tiny_listen(argc, argv));
    poolworker_on_drain(pw, on_drain, NULL);
    uv_loop_init(&loop);
    uv_poll_init(&loop, &poold, poolworker_fd(pw));
    uv_poll_start(&poold, UV_READABLE, on_poold);
    uv_poll_init(&loop, &listeners, listeners_fd);
    uv_poll_start(&listeners, UV_READABLE, on_connection);
    uv_signal_init(&loop, &term);
    uv_signal_start(&term, on_term, SIGTERM);
    poolworker_ready(pw);
    uv_run(&loop, UV_RUN_DEFAULT);
    poolworker_destroy(&pw);
    return 0;
}
