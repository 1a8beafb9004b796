/* image.c - building a compiled configuration. */
#include "supervisor/load/image.h"

#include <stdlib.h>
#include <string.h>

#include "common/hash.h"

#define POOLS_MAX_LEAST                                                                            \
    16384u /* places for names that are still to come; unused ones cost nothing */

void
image_fini(struct image *image)
{
    buffer_fini(&image->pools);
    buffer_fini(&image->sockets);
    buffer_fini(&image->text);
    map_fini(&image->known);
}

/* A hash only says where to look; what counts is that the same bytes stand there. */
static bool
image_holds(const struct image *image, uint64_t at, const void *bytes, size_t len)
{
    return at + len <= image->text.len && memcmp(image->text.bytes + at, bytes, len) == 0;
}

uint32_t
image_bytes(struct image *image, const void *bytes, size_t len, size_t align)
{
    static const char zeros[4];
    assert(align == 1 || align == 4);
    if (len == 0)
        return 0;
    uint64_t hash = hash_bytes(HASH_START + align, bytes, len);
    const uint64_t *known = map_find(&image->known, hash);
    if (known != NULL && image_holds(image, *known, bytes, len))
        return (uint32_t)*known;
    if (image->text.len + len > IMAGE_TEXT_MAX) {
        image->is_full = true;
        return 0;
    }
    buffer_add(&image->text, zeros, (align - image->text.len % align) % align);
    size_t at = image->text.len;
    buffer_add(&image->text, bytes, len);
    if (image->text.failed || map_put(&image->known, hash, at) != 0)
        image->failed = true;
    return (uint32_t)at;
}

uint32_t
image_string(struct image *image, const char *string)
{
    return image_bytes(image, string, strlen(string) + 1, 1);
}

uint32_t
image_pool_count(const struct image *image)
{
    return (uint32_t)(image->pools.len / sizeof(struct record_pool));
}

uint32_t
image_socket_count(const struct image *image)
{
    return (uint32_t)(image->sockets.len / sizeof(struct record_socket));
}

uint64_t
image_worker_count(const struct image *image)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < image_pool_count(image); i++) {
        struct record_pool pool;
        memcpy(&pool, image->pools.bytes + i * sizeof pool, sizeof pool);
        count += pool.settings.workers_max;
    }
    return count;
}

uint64_t
image_serial(const void *bytes, size_t size)
{
    struct record_header header;
    memcpy(&header, bytes, sizeof header);
    header.serial = 0;
    if (header.advice_text != 0) { /* as if it were not there */
        size -= MIN(size - sizeof header, header.text_size - header.advice_text);
        header.text_size = header.advice_text;
        header.advice_text = 0;
    }
    uint64_t hash = hash_bytes(HASH_START, &header, sizeof header);
    return hash_mix(hash_bytes(hash, (const uint8_t *)bytes + sizeof header, size - sizeof header));
}

void *
image_finish(const struct image *image, const struct record_header *like, size_t *size)
{
    struct buffer all = {0};
    struct record_header header = *like;
    memcpy(header.magic, RECORD_MAGIC, sizeof header.magic);
    header.version = RECORD_VERSION;
    header.pools = image_pool_count(image);
    if (header.pools_max == 0)
        header.pools_max = MAX(2 * header.pools, POOLS_MAX_LEAST);
    header.sockets = image_socket_count(image);
    header.text_size = image->text.len;
    header.serial = 0;
    buffer_add(&all, &header, sizeof header);
    buffer_add(&all, image->pools.bytes, image->pools.len);
    buffer_add(&all, image->sockets.bytes, image->sockets.len);
    buffer_add(&all, image->text.bytes, image->text.len);
    if (all.failed || image->failed || image->is_full || image->pools.failed ||
        image->sockets.failed || image->text.failed) {
        buffer_fini(&all);
        return NULL;
    }
    header.serial = image_serial(all.bytes, all.len);
    memcpy(all.bytes, &header, sizeof header);
    *size = all.len;
    return all.bytes;
}
