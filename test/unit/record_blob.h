/* record_blob.h - builds a compiled configuration by hand, for tests that need one without the
 * loader. Fixed bounds: a test that outgrows them stops at an assertion. */
#ifndef POOLD_TEST_RECORD_BLOB_H
#define POOLD_TEST_RECORD_BLOB_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "supervisor/record.h"

#define BLOB_POOLS_MAX   8
#define BLOB_SOCKETS_MAX 80
#define BLOB_TEXT_MAX    16384

struct blob {
    struct record_header header;
    struct record_pool pools[BLOB_POOLS_MAX];
    struct record_socket sockets[BLOB_SOCKETS_MAX];
    char text[BLOB_TEXT_MAX];
    uint32_t text_size;
    _Alignas(8)
        uint8_t bytes[sizeof(struct record_header) + BLOB_POOLS_MAX * sizeof(struct record_pool) +
                      BLOB_SOCKETS_MAX * sizeof(struct record_socket) + BLOB_TEXT_MAX];
    size_t size; /* of bytes, after blob_finish */
};

static inline uint32_t
blob_bytes(struct blob *blob, const void *bytes, size_t size)
{
    uint32_t at = blob->text_size;
    assert(at + size < BLOB_TEXT_MAX);
    memcpy(blob->text + at, bytes, size);
    blob->text_size += (uint32_t)size;
    return at;
}

static inline uint32_t
blob_text(struct blob *blob, const char *text)
{
    return blob_bytes(blob, text, strlen(text) + 1);
}

static inline struct record_strings
blob_strings(struct blob *blob, const char *const *strings)
{
    struct record_strings out = {.at = blob->text_size};
    for (; *strings != NULL; strings++, out.count++)
        blob_text(blob, *strings);
    out.bytes = blob->text_size - out.at;
    return out;
}

static inline void
blob_init(struct blob *blob)
{
    memset(blob, 0, sizeof *blob);
    memcpy(blob->header.magic, RECORD_MAGIC, sizeof blob->header.magic);
    blob->header.version = RECORD_VERSION;
    blob_text(blob, "");
    blob->header.engine_user = blob_text(blob, "nobody");
    blob->header.source = blob_text(blob, "/etc/poold/poold.json");
    blob->header.starts_max = 4;
    blob->header.pools_max = BLOB_POOLS_MAX;
    blob->header.serial = 77;
}

/* A pool whose program is argv[0], with the plainest of everything. Its sockets must be added
 * before the next pool. */
static inline struct record_pool *
blob_pool(struct blob *blob, const char *name, const char *const *argv, const char *const *env)
{
    assert(blob->header.pools < BLOB_POOLS_MAX);
    struct record_pool *pool = &blob->pools[blob->header.pools++];
    pool->present = 1;
    pool->auto_start = 1;
    pool->name = blob_text(blob, name);
    pool->program = blob_text(blob, argv[0]);
    pool->directory = blob_text(blob, "/");
    pool->argv = blob_strings(blob, argv);
    pool->env = blob_strings(blob, env);
    pool->user = blob_text(blob, "somebody");
    pool->socket_first = blob->header.sockets;
    pool->umask = 022;
    pool->handoff = HANDOFF_LISTEN_FDS;
    pool->stop_signal = 15;
    pool->no_new_privs = 1;
    pool->settings = (struct pool_settings){.workers_min = 1,
                                            .workers_max = 1,
                                            .surge = 1,
                                            .max_failures = 5,
                                            .overlap = 1,
                                            .rapid_fail = 1,
                                            .startup_timeout_ms = 90000,
                                            .shutdown_timeout_ms = 90000,
                                            .failure_interval_ms = 300000,
                                            .failure_delay_ms = 200,
                                            .failure_delay_max_ms = 30000};
    return pool;
}

static inline void
blob_groups(struct blob *blob, struct record_pool *pool, const uint32_t *groups, uint32_t count)
{
    while (blob->text_size % sizeof(uint32_t) != 0)
        blob->text[blob->text_size++] = '\0';
    pool->groups = blob_bytes(blob, groups, count * sizeof *groups);
    pool->group_count = count;
}

static inline struct record_socket *
blob_socket(struct blob *blob, const char *name)
{
    assert(blob->header.sockets < BLOB_SOCKETS_MAX && blob->header.pools > 0);
    struct record_socket *socket = &blob->sockets[blob->header.sockets++];
    struct record_pool *pool = &blob->pools[blob->header.pools - 1];
    pool->socket_count++;
    pool->settings.has_sockets = 1;
    socket->pool = blob->header.pools - 1;
    socket->name = blob_text(blob, name);
    socket->address = blob_text(blob, name);
    socket->backlog = 100;
    return socket;
}

static inline struct record_socket *
blob_inet(struct blob *blob, const char *name, uint16_t port)
{
    struct record_socket *socket = blob_socket(blob, name);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socket->family = AF_INET;
    socket->length = sizeof address;
    memcpy(socket->sockaddr, &address, sizeof address);
    return socket;
}

static inline struct record_socket *
blob_unix(struct blob *blob, const char *name, const char *path, uint32_t mode)
{
    struct record_socket *socket = blob_socket(blob, name);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert(strlen(path) < sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path));
    socket->family = AF_UNIX;
    socket->length = sizeof address;
    socket->mode = mode;
    memcpy(socket->sockaddr, &address, sizeof address);
    return socket;
}

/* The control socket, behind all others. */
static inline struct record_socket *
blob_control(struct blob *blob, const char *path, uint32_t mode)
{
    assert(blob->header.sockets < BLOB_SOCKETS_MAX);
    struct record_socket *socket = &blob->sockets[blob->header.sockets++];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert(strlen(path) < sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path));
    *socket = (struct record_socket){.pool = NONE,
                                     .name = blob_text(blob, path),
                                     .backlog = 128,
                                     .family = AF_UNIX,
                                     .length = sizeof address,
                                     .mode = mode,
                                     .uid = geteuid(),
                                     .gid = getegid()};
    socket->address = socket->name;
    memcpy(socket->sockaddr, &address, sizeof address);
    blob->header.control = blob->header.sockets;
    return socket;
}

/* One more role: the list is written anew. */
static inline void
blob_role(struct blob *blob, enum role role, bool is_group, uint32_t id, const char *name)
{
    static struct record_role roles[32];
    uint32_t count = blob->header.role_count;
    assert(count < ARRAY_LEN(roles));
    for (uint32_t i = 0; i < count; i++)
        memcpy(&roles[i], blob->text + blob->header.roles + i * sizeof roles[i], sizeof roles[i]);
    roles[count] = (struct record_role){
        .id = id, .name = blob_text(blob, name), .role = (uint8_t)role, .is_group = is_group};
    while (blob->text_size % sizeof(uint32_t) != 0)
        blob->text[blob->text_size++] = '\0';
    blob->header.role_count++;
    blob->header.roles = blob_bytes(blob, roles, blob->header.role_count * sizeof *roles);
}

/* Lays it out as the loader does. */
static inline void
blob_finish(struct blob *blob)
{
    uint8_t *at = blob->bytes;
    blob_text(blob, "");
    blob->header.text_size = blob->text_size;
    memcpy(at, &blob->header, sizeof blob->header);
    at += sizeof blob->header;
    memcpy(at, blob->pools, blob->header.pools * sizeof blob->pools[0]);
    at += blob->header.pools * sizeof blob->pools[0];
    memcpy(at, blob->sockets, blob->header.sockets * sizeof blob->sockets[0]);
    at += blob->header.sockets * sizeof blob->sockets[0];
    memcpy(at, blob->text, blob->text_size);
    at += blob->text_size;
    blob->size = (size_t)(at - blob->bytes);
}

#endif
