/* line_client.c - a caller of the control socket in the test's own process. Included by a test
 * program, after fake_shell.c: the server's loop runs while the caller waits. */
/* Not every test needs all of it. */
#pragma GCC diagnostic ignored "-Wunused-function"

#include <jansson.h>
#include <poll.h>

struct caller {
    struct shell *shell;
    int fd;
    char *data;
    size_t len, cap;
    size_t lines;  /* in data */
    size_t wanted; /* caller_await: lines */
    bool closed;   /* the server has closed */
    bool reads;    /* false: a caller that does not read */
};

static struct caller *
caller_open(struct shell *shell)
{
    struct caller *caller = calloc(1, sizeof *caller);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", shell->path);
    caller->shell = shell;
    caller->reads = true;
    caller->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(caller->fd >= 0);
    assert_int_equal(connect(caller->fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(fcntl(caller->fd, F_SETFL, O_NONBLOCK), 0);
    return caller;
}

static void
caller_close(struct caller *caller)
{
    if (caller->fd >= 0)
        close(caller->fd);
    free(caller->data);
    free(caller);
}

static void
caller_take(struct caller *caller)
{
    while (!caller->closed && caller->reads) {
        if (caller->len + 65536 > caller->cap) {
            caller->cap = MAX(caller->cap * 2, 131072);
            caller->data = realloc(caller->data, caller->cap);
            assert(caller->data != NULL);
        }
        ssize_t n = recv(caller->fd, caller->data + caller->len, 65536, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            caller->closed = true;
            return;
        }
        for (ssize_t i = 0; i < n; i++)
            caller->lines += caller->data[caller->len + (size_t)i] == '\n';
        caller->len += (size_t)n;
    }
}

/* Sends all of it, running the server while the socket is full. */
struct caller_sending {
    struct caller *caller;
    const char *bytes;
    size_t len;
};

static bool
caller_sent(void *ctx)
{
    struct caller_sending *sending = ctx;
    while (sending->len > 0) {
        ssize_t n = send(sending->caller->fd, sending->bytes, sending->len, MSG_NOSIGNAL);
        if (n < 0)
            break;
        sending->bytes += n;
        sending->len -= (size_t)n;
    }
    caller_take(sending->caller);
    return sending->len == 0 || sending->caller->closed;
}

static void
caller_send_bytes(struct caller *caller, const char *bytes, size_t len)
{
    struct caller_sending sending = {caller, bytes, len};
    if (!caller_sent(&sending))
        assert_true(fake_until(caller->shell, caller_sent, &sending, 30000));
}

static void
caller_send(struct caller *caller, const char *line)
{
    caller_send_bytes(caller, line, strlen(line));
    caller_send_bytes(caller, "\n", 1);
}

static bool
caller_has_lines(void *ctx)
{
    struct caller *caller = ctx;
    caller_take(caller);
    return caller->lines >= caller->wanted || caller->closed;
}

/* Waits until that many lines are there; false: the server closed first, or too late. */
static bool
caller_await(struct caller *caller, size_t lines)
{
    caller->wanted = lines;
    return fake_until(caller->shell, caller_has_lines, caller, 30000) && caller->lines >= lines;
}

static bool
caller_is_closed(void *ctx)
{
    struct caller *caller = ctx;
    caller_take(caller);
    return caller->closed;
}

/* The first line, taken away, as JSON. NULL: there is none, or it is no JSON. */
static json_t *
caller_line(struct caller *caller)
{
    char *end = caller->len == 0 ? NULL : memchr(caller->data, '\n', caller->len);
    if (end == NULL)
        return NULL;
    size_t len = (size_t)(end - caller->data);
    json_t *line = json_loadb(caller->data, len, JSON_REJECT_DUPLICATES, NULL);
    memmove(caller->data, end + 1, caller->len - len - 1);
    caller->len -= len + 1;
    caller->lines--;
    return line;
}

static json_t *
caller_next(struct caller *caller)
{
    assert_true(caller_await(caller, 1));
    json_t *line = caller_line(caller);
    assert_non_null(line);
    return line;
}

static json_t *
caller_ask(struct caller *caller, const char *line)
{
    caller_send(caller, line);
    return caller_next(caller);
}

/* The member at a path like "result.pools.0.name"; NULL: there is none. */
static const json_t *
at(const json_t *value, const char *path)
{
    char key[64];
    while (*path != '\0' && value != NULL) {
        size_t len = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)len, path);
        value = json_is_array(value) ? json_array_get(value, (size_t)strtoul(key, NULL, 10))
                                     : json_object_get(value, key);
        path += len + (path[len] == '.');
    }
    return value;
}

static const char *
text_at(const json_t *value, const char *path)
{
    const char *text = json_string_value(at(value, path));
    return text == NULL ? "(none)" : text;
}

static int
number_at(const json_t *value, const char *path)
{
    const json_t *number = at(value, path);
    return json_is_integer(number) ? (int)json_integer_value(number) : -12345;
}
