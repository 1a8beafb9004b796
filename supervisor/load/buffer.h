/* buffer.h - bytes that are appended to. A failed allocation is remembered, what is added after it
 * is dropped, and whoever uses the result asks `failed` once. */
#ifndef POOLD_LOAD_BUFFER_H
#define POOLD_LOAD_BUFFER_H

#include "common/base.h"

struct buffer {
    char *bytes; /* NULL while empty */
    size_t len, capacity;
    bool failed;
};

/* A zeroed struct buffer is empty. */
void buffer_fini(struct buffer *);
void buffer_add(struct buffer *, const void *bytes, size_t len);
/* At most 1535 bytes. */
void buffer_print(struct buffer *, const char *format, ...) ATTR_PRINTF(2, 3);

#endif
