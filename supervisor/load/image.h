/* image.h - building a compiled configuration: records, and text in which equal pieces are stored
 * once. */
#ifndef POOLD_LOAD_IMAGE_H
#define POOLD_LOAD_IMAGE_H

#include "common/base.h"
#include "common/map.h"
#include "supervisor/load/buffer.h"
#include "supervisor/record.h"

/* Most bytes of text: 13 KiB for each of 5,000 pools, which need 0.1. */
#define IMAGE_TEXT_MAX (64u << 20)

struct image {
    struct buffer pools, sockets, text;
    struct map known; /* hash of a piece of text -> its offset */
    bool failed;      /* out of memory */
    bool is_full;     /* the text is above IMAGE_TEXT_MAX; no more is added */
};

/* A zeroed struct image is empty. */
void image_fini(struct image *);

/* Offset in the text area where these len bytes stand, at a multiple of align (1 or 4). */
uint32_t image_bytes(struct image *, const void *bytes, size_t len, size_t align);
uint32_t image_string(struct image *, const char *);

uint32_t image_pool_count(const struct image *);
uint32_t image_socket_count(const struct image *);
uint64_t image_worker_count(const struct image *); /* that all pools may have together */

/* Puts everything behind a copy of header, whose counts and serial it fills in. Returns the memory
 * (free), or NULL when something failed. */
void *image_finish(const struct image *, const struct record_header *header, size_t *size);

/* What the serial of such an image is, of size bytes, at least a header. */
uint64_t image_serial(const void *image, size_t size);

#endif
