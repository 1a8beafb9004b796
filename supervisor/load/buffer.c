/* buffer.c - bytes that are appended to. */
#include "supervisor/load/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
buffer_fini(struct buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct buffer){0};
}

/* Makes room for len more bytes. */
static bool
buffer_reserve(struct buffer *buffer, size_t len)
{
    if (buffer->failed)
        return false;
    if (buffer->capacity - buffer->len >= len)
        return true;
    size_t capacity = MAX(buffer->capacity * 2, MAX(buffer->len + len, 256));
    char *bytes = realloc(buffer->bytes, capacity);
    if (bytes == NULL) {
        buffer->failed = true;
        return false;
    }
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return true;
}

void
buffer_add(struct buffer *buffer, const void *bytes, size_t len)
{
    if (len == 0 || !buffer_reserve(buffer, len))
        return;
    memcpy(buffer->bytes + buffer->len, bytes, len);
    buffer->len += len;
}

void
buffer_print(struct buffer *buffer, const char *format, ...)
{
    char line[1536];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    if (n > 0)
        buffer_add(buffer, line, MIN((size_t)n, sizeof line - 1));
}
