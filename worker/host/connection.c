/* connection.c - time-outs of connections, and room for new ones. */
#include "worker/host/connection.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker/host/listener.h"
#include "worker/host/server.h"

static void connection_late(struct timeout *);

void
connection_add(struct server *server, int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    if (getpeername(fd, (struct sockaddr *)&address, &len) != 0) {
        close(fd); /* it has gone already */
        return;
    }
    if (address.ss_family == AF_UNIX)
        len = sizeof(sa_family_t);
    MHD_add_connection(server->mhd, fd, (struct sockaddr *)&address, len);
}

static void
read_peer(struct connection *connection, const struct sockaddr *address)
{
    const struct sockaddr_in *four = (const void *)address;
    const struct sockaddr_in6 *six = (const void *)address;
    bool is_six = address != NULL && address->sa_family == AF_INET6;
    memcpy(connection->peer, "-", sizeof "-");
    memcpy(connection->peer_port, "-", sizeof "-");
    if (address == NULL || (!is_six && address->sa_family != AF_INET))
        return;
    const void *from = is_six ? (const void *)&six->sin6_addr : (const void *)&four->sin_addr;
    if (is_six && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
        inet_ntop(AF_INET, &six->sin6_addr.s6_addr[12], connection->peer, INET6_ADDRSTRLEN);
    else
        inet_ntop(address->sa_family, from, connection->peer, INET6_ADDRSTRLEN);
    snprintf(connection->peer_port, sizeof connection->peer_port, "%u",
             ntohs(is_six ? six->sin6_port : four->sin_port));
}

struct connection *
connection_create(struct server *server, struct MHD_Connection *mhd)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        return NULL;
    connection->timeout.ring = connection_late;
    connection->server = server;
    connection->mhd = mhd;
    connection->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    read_peer(connection,
              MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
    server->connection_count++;
    connection->phase_began = server->loop.now;
    timeout_set(&connection->timeout, &server->slow_queue, &server->loop);
    return connection;
}

void
connection_destroy(struct connection **connection)
{
    struct server *server = (*connection)->server;
    timeout_clear(&(*connection)->timeout);
    free(*connection);
    *connection = NULL;
    server->connection_count--;
    if (!server->is_draining && server->connection_count < server->options.connections)
        listeners_accept(server, true);
}

/* Bytes that the client has acknowledged; 0 where the kernel does not say (a unix socket's client is on
 * this machine, and libmicrohttpd's own time-out holds for it). */
static uint64_t
acknowledged(const struct connection *connection)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof info;
    if (getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        return 0;
    return info.tcpi_bytes_acked;
}

void
connection_enter(struct connection *connection, enum connection_phase phase)
{
    static const bool legal[CONNECTION_PHASE_COUNT][CONNECTION_PHASE_COUNT] = {
        [CONNECTION_FRESH] = {[CONNECTION_HEAD] = true},
        [CONNECTION_HEAD] = {[CONNECTION_BODY] = true, [CONNECTION_IDLE] = true},
        [CONNECTION_BODY] =
            {[CONNECTION_WORK] = true, [CONNECTION_ANSWER] = true, [CONNECTION_IDLE] = true},
        [CONNECTION_WORK] = {[CONNECTION_ANSWER] = true, [CONNECTION_IDLE] = true},
        [CONNECTION_ANSWER] = {[CONNECTION_IDLE] = true},
        [CONNECTION_IDLE] = {[CONNECTION_HEAD] = true},
    };
    struct server *server = connection->server;
    assert(legal[connection->phase][phase]);
    connection->phase = phase;
    connection->phase_began = server->loop.now;
    connection->phase_bytes = phase == CONNECTION_ANSWER ? acknowledged(connection) : 0;
    struct timeout_queue *const queues[CONNECTION_PHASE_COUNT] = {
        [CONNECTION_HEAD] = &server->slow_queue,
        [CONNECTION_BODY] = &server->slow_queue,
        [CONNECTION_ANSWER] = &server->answer_queue,
        [CONNECTION_IDLE] = server->is_draining ? &server->drain_queue : &server->idle_queue,
    };
    if (phase == CONNECTION_IDLE)
        listeners_accept(server, !server->is_draining); /* it could make room now */
    if (queues[phase] == NULL)
        timeout_clear(&connection->timeout);
    else
        timeout_set(&connection->timeout, queues[phase], &server->loop);
}

void
connection_took(struct connection *connection, size_t bytes)
{
    connection->phase_bytes += bytes;
}

/* Only our receiving side: a request that has arrived meanwhile is still read and answered, and then
 * libmicrohttpd finds the end of the stream and closes. */
static void
close_gently(struct connection *connection)
{
    timeout_clear(&connection->timeout);
    shutdown(connection->fd, SHUT_RD);
}

/* Over the time since it was asked last: what went into the buffers of the kernel at once says nothing
 * about now. */
static bool
is_too_slow(struct connection *connection)
{
    struct server *server = connection->server;
    uint64_t bytes = connection->phase_bytes;
    msec age = server->loop.now - connection->phase_began;
    connection->phase_began = server->loop.now;
    connection->phase_bytes = 0;
    if (connection->phase == CONNECTION_ANSWER) {
        uint64_t now = acknowledged(connection);
        if (now == 0)
            return false;
        bytes = now - bytes;
        connection->phase_bytes = now;
    }
    return bytes * 1000 < age * MINIMUM_RATE;
}

static void
connection_late(struct timeout *timeout)
{
    struct connection *connection = (struct connection *)timeout;
    struct server *server = connection->server;
    bool is_answered = connection->phase == CONNECTION_ANSWER;
    if (!is_answered && connection->phase != CONNECTION_BODY)
        close_gently(connection);
    else if (is_too_slow(connection))
        shutdown(connection->fd, SHUT_RDWR);
    else
        timeout_set(timeout, is_answered ? &server->answer_queue : &server->slow_queue,
                    &server->loop);
}

void
connections_drain(struct server *server)
{
    struct timeout *next;
    for (struct timeout *at = server->idle_queue.head; at != NULL; at = next) {
        next = at->after;
        timeout_set(at, &server->drain_queue, &server->loop);
    }
    for (struct timeout *at = server->slow_queue.head; at != NULL; at = next) {
        next = at->after;
        if (((struct connection *)at)->phase == CONNECTION_FRESH)
            timeout_set(at, &server->drain_queue, &server->loop);
    }
}

/* Without an idle one, somebody whose request is not there yet after a second; where so many are busy
 * at the front of the queue nobody is looked for behind them. One that is ended may have a request on
 * its way and stay: then there are more than --connections, but not over CONNECTIONS_OVER more. */
bool
connections_make_room(struct server *server)
{
    enum { LOOK_AT = 64, HEAD_AGE = 1000 };
    struct timeout *at = server->idle_queue.head;
    if (server->connection_count < server->options.connections)
        return true;
    if (server->connection_count >= server->options.connections + CONNECTIONS_OVER)
        return false;
    if (at != NULL) {
        close_gently((struct connection *)at);
        return true;
    }
    at = server->slow_queue.head;
    for (unsigned i = 0; at != NULL && i < LOOK_AT; i++, at = at->after) {
        struct connection *slow = (struct connection *)at;
        if (slow->phase <= CONNECTION_HEAD && server->loop.now - slow->phase_began >= HEAD_AGE) {
            close_gently(slow);
            return true;
        }
    }
    return false;
}
