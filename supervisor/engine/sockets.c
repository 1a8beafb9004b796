/* sockets.c - has the keeper look after the sockets of pools whose workers come and go.
 *
 * Servers listen() again on the socket that they share, with a queue of their own length, and some
 * remove the path of a unix one. Neither can be seen from here, so after each occasion the keeper is
 * asked to put it right (LISTEN), a few times with growing pauses: a server that was just executed
 * may take its time, and one that drains removes its path at the beginning or at the end. A pool
 * that nothing happens to costs nothing. */
#include "supervisor/engine/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/core/heap.h"

/* After an occasion. At first at once, behind the question for a replacement: while a path is gone,
 * clients fail. */
static const msec pauses_ms[] = {0, 10, 100, 900, 3000, 11000};

#define ASKED_A_TURN 64u /* LISTENs: some 2 us each */
#define SOMAXCONN    "/proc/sys/net/core/somaxconn"

struct sockets_pool {
    uint8_t asked;  /* of pauses_ms, since the last occasion */
    bool lost_told; /* that a path cannot be put back */
};

struct sockets {
    struct shell *shell;
    struct heap due; /* pools */
    struct sockets_pool *pools;
};

int
sockets_create(struct sockets **out, struct shell *shell, uint32_t pools_max, struct err *err)
{
    struct sockets *sockets = calloc(1, sizeof *sockets);
    if (sockets == NULL)
        return err_set(err, -ENOMEM, "out of memory for the table of sockets");
    *out = sockets;
    sockets->shell = shell;
    sockets->due.nodes_max = pools_max;
    sockets->due.entries = calloc(pools_max + 1u, sizeof *sockets->due.entries);
    sockets->due.places = calloc(pools_max + 1u, sizeof *sockets->due.places);
    sockets->pools = calloc(pools_max + 1u, sizeof *sockets->pools);
    if (sockets->due.entries != NULL && sockets->due.places != NULL && sockets->pools != NULL)
        return 0;
    sockets_destroy(out);
    return err_set(err, -ENOMEM, "out of memory for the table of sockets");
}

void
sockets_destroy(struct sockets **at)
{
    struct sockets *sockets = *at;
    if (sockets == NULL)
        return;
    free(sockets->due.entries);
    free(sockets->due.places);
    free(sockets->pools);
    free(sockets);
    *at = NULL;
}

static const struct record_pool *
pool_of(const struct sockets *sockets, uint32_t pool)
{
    return &shell_record(sockets->shell)->pools[pool];
}

void
sockets_touched(struct sockets *sockets, uint32_t pool)
{
    if (pool_of(sockets, pool)->socket_count == 0)
        return;
    sockets->pools[pool].asked = 0;
    heap_set(&sockets->due, pool, shell_now(sockets->shell) + pauses_ms[0]);
}

msec
sockets_deadline(const struct sockets *sockets)
{
    return sockets->due.len == 0 ? MSEC_NEVER : heap_first_key(&sockets->due);
}

/* Returns how many sockets it has. */
static uint32_t
pool_ask(struct sockets *sockets, uint32_t pool, msec now)
{
    const struct record_pool *record = pool_of(sockets, pool);
    uint8_t *asked = &sockets->pools[pool].asked;
    for (uint32_t i = 0; i < record->socket_count; i++)
        shell_listen(sockets->shell, record->socket_first + i);
    if (++*asked < ARRAY_LEN(pauses_ms) && record->socket_count > 0)
        heap_set(&sockets->due, pool, now + pauses_ms[*asked]);
    else
        heap_remove(&sockets->due, pool);
    return record->socket_count;
}

void
sockets_tick(struct sockets *sockets, msec now)
{
    uint32_t asked = 0;
    while (asked < ASKED_A_TURN && sockets_deadline(sockets) <= now)
        asked += pool_ask(sockets, heap_first(&sockets->due), now);
}

static const char *
address_of(const struct sockets *sockets, uint32_t socket)
{
    const struct record *record = shell_record(sockets->shell);
    return record_text(record, record->sockets[socket].address);
}

void
sockets_restored(struct sockets *sockets, const struct verb *verb)
{
    if (verb->index >= shell_record(sockets->shell)->header->sockets)
        return; /* of a configuration that is not in force any more */
    uint32_t pool = shell_record(sockets->shell)->sockets[verb->index].pool;
    bool *lost_told = &sockets->pools[pool].lost_told;
    const char *name = shell_pool_name(sockets->shell, pool);
    const char *address = address_of(sockets, verb->index);
    struct worker_id nobody = {.pool = pool};
    struct event_fields fields = {0};
    char reason[96];
    if (verb->error == 0) {
        fields_string(&fields, "address", address);
        events_emit(shell_events(sockets->shell), EVENT_SOCKET_RESTORED, name, nobody, &fields,
                    "somebody had removed the path of %s; it is there again", address);
    } else if (!*lost_told) {
        fields_string(&fields, "address", address);
        fields_number(&fields, "errno", verb->error);
        events_emit(shell_events(sockets->shell), EVENT_SOCKET_FAILED, name, nobody, &fields,
                    "somebody has removed the path of %s, and it cannot be put back: %s", address,
                    verb->error == EEXIST  ? "something else is there; remove it"
                    : verb->error == EXDEV ? "it is on another filesystem than the runtime "
                                             "directory; start poold again"
                                           : strerror_r(verb->error, reason, sizeof reason));
    }
    *lost_told = verb->error != 0;
}

/* UINT32_MAX where it cannot be known. */
static uint32_t
kernel_cap(void)
{
    char text[16] = "";
    int fd = open(SOMAXCONN, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    return size > 0 ? (uint32_t)strtoul(text, NULL, 10) : UINT32_MAX;
}

void
sockets_started(struct sockets *sockets, uint32_t pool)
{
    const struct record_pool *record = pool_of(sockets, pool);
    const struct record_socket *all = shell_record(sockets->shell)->sockets, *longest = NULL;
    for (uint32_t i = record->socket_first; i < record->socket_first + record->socket_count; i++) {
        if (longest == NULL || all[i].backlog > longest->backlog)
            longest = &all[i];
    }
    uint32_t cap = longest != NULL ? kernel_cap() : UINT32_MAX;
    if (longest == NULL || longest->backlog <= cap)
        return;
    struct event_fields fields = {0};
    const char *address = address_of(sockets, (uint32_t)(longest - all));
    fields_string(&fields, "address", address);
    fields_number(&fields, "queue_length", longest->backlog);
    fields_number(&fields, "cap", cap);
    events_emit(shell_events(sockets->shell), EVENT_QUEUE_CAPPED,
                shell_pool_name(sockets->shell, pool), (struct worker_id){.pool = pool}, &fields,
                "the queue of %s is to hold %u connections, and the kernel allows %u: raise "
                "net.core.somaxconn or lower queue_length",
                address, longest->backlog, cap);
}
