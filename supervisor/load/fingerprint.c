/* fingerprint.c - one number for all that a process of a pool is made of: when it is the same after
 * a change, a new process would be the same, and running ones can stay. */
#include <string.h>

#include "common/hash.h"
#include "supervisor/load/compile.h"

static uint64_t
mix_bytes(uint64_t hash, const void *bytes, size_t len)
{
    uint64_t size = len; /* so that "ab" "c" and "a" "bc" differ */
    return hash_bytes(hash_bytes(hash, &size, sizeof size), bytes, len);
}

static uint64_t
mix_number(uint64_t hash, uint64_t number)
{
    return hash_bytes(hash, &number, sizeof number);
}

static uint64_t
mix_text(uint64_t hash, const struct load *load, uint32_t at)
{
    const char *text = load->image.text.bytes + at;
    return mix_bytes(hash, text, strlen(text));
}

static uint64_t
mix_strings(uint64_t hash, const struct load *load, const struct record_strings *strings)
{
    return mix_bytes(hash, load->image.text.bytes + strings->at, strings->bytes);
}

/* The address, because a socket that is bound anew is another one; the rest of a socket - its queue,
 * the owner of its path - can change under a process that holds it. */
static uint64_t
mix_socket(uint64_t hash, const struct load *load, const struct record_socket *socket)
{
    hash = mix_text(hash, load, socket->name);
    hash = mix_text(hash, load, socket->address);
    hash = mix_bytes(hash, socket->sockaddr, socket->length);
    hash = mix_number(hash, socket->dual);
    return mix_number(hash, socket->blocking);
}

static uint64_t
mix_identity(uint64_t hash, const struct load *load, const struct record_pool *pool)
{
    const char *texts = load->image.text.bytes;
    hash = mix_number(hash, pool->uid);
    hash = mix_number(hash, pool->gid);
    hash = mix_bytes(hash, texts + pool->groups, pool->group_count * sizeof(uint32_t));
    hash = mix_number(hash, pool->drop_privileges);
    return mix_number(hash, pool->no_new_privs);
}

uint64_t
fingerprint_of(const struct load *load, const struct record_pool *pool)
{
    const char *texts = load->image.text.bytes;
    const struct record_socket *sockets = (const void *)load->image.sockets.bytes;
    uint64_t hash = mix_text(HASH_START, load, pool->program);
    hash = mix_text(hash, load, pool->directory);
    hash = mix_strings(hash, load, &pool->argv);
    hash = mix_strings(hash, load, &pool->env);
    hash = mix_identity(hash, load, pool);
    hash = mix_bytes(hash, texts + pool->limits, pool->limit_count * sizeof(struct record_limit));
    hash = mix_number(hash, pool->umask);
    hash = mix_number(hash, pool->set_nice);
    hash = mix_number(hash, (uint64_t)pool->nice);
    hash = mix_number(hash, pool->set_oom_score_adjust);
    hash = mix_number(hash, (uint64_t)pool->oom_score_adjust);
    hash = mix_number(hash, pool->handoff);
    hash = mix_number(hash, pool->socket_count);
    for (uint32_t i = 0; i < pool->socket_count; i++)
        hash = mix_socket(hash, load, &sockets[pool->socket_first + i]);
    return hash_mix(hash);
}
