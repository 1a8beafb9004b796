/* environment.c - what the environment says: whom to talk to, which listeners, how often to be alive. */
#include "worker/lib/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_LISTENER 3
#define PROTOCOL       1 /* the highest that this library speaks */

static const char *const names[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                                    "LISTEN_FDS",    "LISTEN_PID",    "LISTEN_FDNAMES",
                                    "POOLD_PROTOCOL"};

/* A whole decimal number up to max; fallback when the variable is not set or is none. */
static uint64_t
number_of(const char *name, uint64_t max, uint64_t fallback)
{
    const char *text = getenv(name);
    if (text == NULL || *text < '0' || *text > '9')
        return fallback;
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    return *end != '\0' || errno != 0 || number > max ? fallback : number;
}

/* Who is meant by NAME: this process, if the variable is not set (and may be) or is our pid. */
static bool
is_for_us(const struct poolworker *pw, const char *name, bool by_default)
{
    if (getenv(name) == NULL)
        return by_default;
    return number_of(name, INT32_MAX, 0) == (uint64_t)pw->pid;
}

static int
read_address(struct poolworker *pw)
{
    const char *path = getenv("NOTIFY_SOCKET");
    if (path == NULL || path[0] == '\0')
        return 0;
    size_t len = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || len < 2 || len >= sizeof pw->address.sun_path)
        return -EINVAL;
    pw->address.sun_family = AF_UNIX;
    memcpy(pw->address.sun_path, path, len);
    bool is_abstract = path[0] == '@'; /* such a name has no NUL behind it */
    if (is_abstract)
        pw->address.sun_path[0] = '\0';
    pw->address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + !is_abstract);
    /* A newer poold still understands sd_notify(3); what it asks for itself, we do not know. */
    uint64_t protocol = number_of("POOLD_PROTOCOL", UINT64_MAX, 0);
    pw->level = protocol >= 1 && protocol <= PROTOCOL ? POOLWORKER_POOLD : POOLWORKER_NOTIFY;
    return 0;
}

static int
read_listeners(struct poolworker *pw)
{
    if (!is_for_us(pw, "LISTEN_PID", false))
        return 0;
    pw->listener_count = (unsigned)number_of("LISTEN_FDS", LISTENERS_MAX, 0);
    for (unsigned i = 0; i < pw->listener_count; i++) {
        pw->listeners[i] = FIRST_LISTENER + (int)i;
        int flags = fcntl(pw->listeners[i], F_GETFD);
        if (flags < 0 || fcntl(pw->listeners[i], F_SETFD, flags | FD_CLOEXEC) < 0)
            return -errno;
    }
    const char *text = getenv("LISTEN_FDNAMES");
    if (text == NULL || pw->listener_count == 0)
        return 0;
    pw->names = calloc(1, strlen(text) + LISTENERS_MAX + 1); /* missing names are empty ones */
    if (pw->names == NULL)
        return -ENOMEM;
    memcpy(pw->names, text, strlen(text));
    for (char *c = pw->names; (c = strchr(c, ':')) != NULL;)
        *c++ = '\0';
    return 0;
}

int
environment_read(struct poolworker *pw)
{
    int r = read_address(pw);
    if (r != 0)
        return r;
    if (pw->level != POOLWORKER_ALONE && is_for_us(pw, "WATCHDOG_PID", true)) {
        uint64_t usec = number_of("WATCHDOG_USEC", UINT64_MAX, 0);
        if (usec > 0 && !(pw->flags & POOLWORKER_OWN_WATCHDOG))
            pw->watchdog_ms = MAX(usec / 2000, 1);
    }
    return read_listeners(pw);
}

void
environment_clean(void)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        unsetenv(names[i]);
}
