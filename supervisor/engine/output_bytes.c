/* output_bytes.c - bytes that wait for a disk. */
#include "supervisor/engine/output_inside.h"

#include <stdlib.h>
#include <string.h>

#define CAP_LEAST 4096u /* of a buffer */

bool
output_bytes_add(struct output_bytes *bytes, const char *add, size_t len)
{
    if (bytes->len + len > OUTPUT_MOST)
        return false;
    if (bytes->len + len > bytes->cap) {
        size_t cap = MAX(bytes->cap, (size_t)CAP_LEAST);
        while (cap < bytes->len + len)
            cap *= 2;
        char *v = realloc(bytes->v, cap);
        if (v == NULL)
            return false;
        bytes->v = v;
        bytes->cap = cap;
    }
    memcpy(bytes->v + bytes->len, add, len);
    bytes->len += len;
    return true;
}

void
output_bytes_free(struct output_bytes *bytes)
{
    free(bytes->v);
    *bytes = (struct output_bytes){0};
}

uint64_t
output_count_lines(const char *bytes, size_t len)
{
    uint64_t lines = 0;
    const char *end = bytes + len;
    while (bytes < end && (bytes = memchr(bytes, '\n', (size_t)(end - bytes))) != NULL) {
        lines++;
        bytes++;
    }
    return lines;
}
