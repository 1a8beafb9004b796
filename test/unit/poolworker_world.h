/* poolworker_world.h - the other end of a worker's notify socket: a poold that says what a test says. */
#ifndef TEST_POOLWORKER_WORLD_H
#define TEST_POOLWORKER_WORLD_H

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/message.h"
#include "worker/lib/poolworker.h"

#define WORLD_LIMIT_MS 20000 /* of a wait for what must come */

struct world {
    char directory[32], path[48];
    int poold; /* its end of the notify socket */
    struct poolworker *pw;
    struct sockaddr_un worker; /* where the last datagram came from */
    socklen_t worker_len;
    char text[MESSAGE_MAX + 1]; /* of the last datagram */
    unsigned drains;
    uint64_t limit_ms;
    bool sick;
};

static inline void
world_bind(struct world *world)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, world->path, strlen(world->path));
    unlink(world->path);
    world->poold = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(world->poold >= 0);
    assert_int_equal(bind(world->poold, (struct sockaddr *)&address, sizeof address), 0);
}

static inline void
world_forget_environment(void)
{
    static const char *const names[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                                        "LISTEN_FDS",    "LISTEN_PID",    "LISTEN_FDNAMES",
                                        "POOLD_PROTOCOL"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        unsetenv(names[i]);
}

/* A socket where poold would have one, and the environment that names it. */
static inline int
world_setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    strcpy(world->directory, "/tmp/poolworker.XXXXXX");
    assert_non_null(mkdtemp(world->directory));
    snprintf(world->path, sizeof world->path, "%s/notify", world->directory);
    world_bind(world);
    world_forget_environment();
    setenv("NOTIFY_SOCKET", world->path, 1);
    setenv("POOLD_PROTOCOL", "1", 1);
    *state = world;
    return 0;
}

static inline int
world_teardown(void **state)
{
    struct world *world = *state;
    poolworker_destroy(&world->pw);
    close(world->poold);
    unlink(world->path);
    rmdir(world->directory);
    free(world);
    return 0;
}

static inline void
world_on_drain(struct poolworker *pw, uint64_t limit_ms, void *context)
{
    struct world *world = context;
    assert_ptr_equal(pw, world->pw);
    world->drains++;
    world->limit_ms = limit_ms;
}

static inline bool
world_on_ping(struct poolworker *pw, void *context)
{
    struct world *world = context;
    assert_ptr_equal(pw, world->pw);
    return !world->sick;
}

static inline void
world_create(struct world *world, unsigned flags)
{
    assert_int_equal(poolworker_create(&world->pw, flags), 0);
    poolworker_on_drain(world->pw, world_on_drain, world);
    poolworker_on_ping(world->pw, world_on_ping, world);
}

/* True if the descriptor can be read within so many ms. */
static inline bool
world_is_readable(int fd, int within_ms)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    return poll(&pollfd, 1, within_ms) == 1;
}

/* One turn of a worker's loop: dispatch as soon as the descriptor is readable. */
static inline bool
world_turn(struct world *world, int within_ms)
{
    if (!world_is_readable(poolworker_fd(world->pw), within_ms))
        return false;
    poolworker_dispatch(world->pw);
    return true;
}

/* The next datagram of the worker, as it is there already. False: there is none. */
static inline bool
world_take(struct world *world)
{
    socklen_t len = sizeof world->worker;
    ssize_t n = recvfrom(world->poold, world->text, MESSAGE_MAX, MSG_DONTWAIT,
                         (struct sockaddr *)&world->worker, &len);
    if (n < 0)
        return false;
    world->worker_len = len;
    world->text[n] = '\0';
    return true;
}

/* Turns the worker's loop until it has said something. */
static inline const char *
world_hear(struct world *world)
{
    for (unsigned i = 0; !world_take(world); i++) {
        assert_true(i < 1000);
        assert_true(world_turn(world, WORLD_LIMIT_MS));
    }
    return world->text;
}

/* Says so many bytes to where the worker spoke from last. */
static inline void
world_send(struct world *world, const void *bytes, size_t len)
{
    assert_int_equal(
        sendto(world->poold, bytes, len, 0, (struct sockaddr *)&world->worker, world->worker_len),
        (ssize_t)len);
}

static inline void
world_say(struct world *world, const char *text)
{
    world_send(world, text, strlen(text));
}

/* The worker has introduced itself: poold knows where to answer. */
static inline void
world_begin(struct world *world)
{
    world_create(world, 0);
    poolworker_ready(world->pw);
    assert_string_equal(world_hear(world), "READY=1\n");
    assert_true(world->worker_len > sizeof(sa_family_t));
}

#endif
