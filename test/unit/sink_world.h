/* sink_world.h - what the tests of sinks share: events, a folder, a log daemon that nobody reads,
 * and a clock of their own: a second passes when a test says so. Included once a program. */
#ifndef POOLD_TEST_SINK_WORLD_H
#define POOLD_TEST_SINK_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "supervisor/engine/sinks.h"

#define ALL_LIMIT_S 60 /* for a whole program: what waits for ever fails */

static const struct worker_id nobody = {0, 0, 0};
static msec clock_ms;

msec
io_now(void)
{
    return clock_ms;
}

/* A folder, a ring and events for one test. */
struct world {
    char folder[64], path[96];
    void *ring;
    struct events *events;
    struct err err;
};

static inline int
world_create(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    if (world == NULL)
        return -1;
    strcpy(world->folder, "/tmp/poold-sinks-XXXXXX");
    world->ring = calloc(1, events_ring_size());
    if (mkdtemp(world->folder) == NULL || world->ring == NULL)
        return -1;
    snprintf(world->path, sizeof world->path, "%s/log", world->folder);
    clock_ms = 5000000;
    *state = world;
    return events_create(&world->events, world->ring, &world->err);
}

static inline int
world_destroy(void **state)
{
    struct world *world = *state;
    static const char *const names[] = {"log", "conf", "drop-in", "pid", "out", "worker-out"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", world->folder, names[i]);
        unlink(path);
    }
    int rc = rmdir(world->folder);
    events_destroy(&world->events);
    free(world->ring);
    free(world);
    return rc;
}

/* A log daemon's socket that nobody reads unless the test does. */
static inline int
listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_true(strlen(path) < sizeof address.sun_path);
    strcpy(address.sun_path, path);
    unlink(path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* One datagram as a string; false when there is none. */
static inline bool
receive(int fd, char *out, size_t cap)
{
    ssize_t n = recv(fd, out, cap - 1, MSG_DONTWAIT);
    out[MAX(n, 0)] = '\0';
    return n >= 0;
}

static inline unsigned
receive_all(int fd)
{
    char line[4096];
    unsigned count = 0;
    while (receive(fd, line, sizeof line))
        count++;
    return count;
}

static inline void
emit(struct world *world, unsigned number)
{
    struct event_fields fields = {0};
    fields_number(&fields, "pid", number);
    events_emit(world->events, EVENT_WORKER_READY, "shop", (struct worker_id){0, 2, 7}, &fields,
                "event %u", number);
}

static inline void
emit_many(struct world *world, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        emit(world, i);
}

/* How many events of the ring from number on tell drops, and what the last of them says. */
static inline unsigned
told(struct world *world, uint64_t from, struct event_seen *out)
{
    unsigned count = 0;
    struct event_seen seen;
    *out = (struct event_seen){.text = "", .fields = ""};
    for (uint64_t seq = from; seq < events_next(world->events); seq++)
        if (events_get(world->events, seq, &seen) && seen.id == EVENT_EVENTS_DROPPED) {
            *out = seen;
            count++;
        }
    return count;
}

static inline unsigned long
field(const struct event_seen *seen, const char *key)
{
    struct field_pair pair;
    for (const char *at = seen->fields; fields_next(&at, &pair);)
        if (pair.key_len == strlen(key) && memcmp(pair.key, key, pair.key_len) == 0)
            return strtoul(pair.value, NULL, 10);
    fail_msg("no %s in: %s", key, seen->fields);
    return 0;
}

static inline struct sink *
syslog_at(struct world *world)
{
    struct sink *sink = NULL;
    assert_int_equal(sink_create(&sink, world->events, world->path, &world->err), 0);
    assert_true(sink_deadline(sink) == MSEC_NEVER);
    return sink;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_create, world_destroy)

#endif
