/* cgi_output.c - a buffer that grows as far as its reader lets it. */
#include "worker/host/cgi_output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_MAX = 32 * 1024 };

/* Room for READ_MAX bytes behind len. */
static bool
make_room(struct cgi_output *output)
{
    if (output->at > 0) {
        output->len -= output->at;
        memmove(output->bytes, output->bytes + output->at, output->len);
        output->at = 0;
    }
    if (output->capacity - output->len >= READ_MAX)
        return true;
    size_t capacity = output->capacity * 2 + READ_MAX;
    char *bytes = malloc(capacity);
    if (bytes == NULL)
        return false;
    if (output->len > 0)
        memcpy(bytes, output->bytes, output->len);
    free(output->bytes);
    output->bytes = bytes;
    output->capacity = capacity;
    return true;
}

ssize_t
cgi_output_read(struct cgi_output *output, int fd)
{
    if (!make_room(output))
        return -ENOMEM;
    ssize_t n = read(fd, output->bytes + output->len, READ_MAX);
    if (n < 0)
        return -errno;
    output->len += (size_t)n;
    return n;
}

size_t
cgi_output_len(const struct cgi_output *output)
{
    return output->len - output->at;
}

char *
cgi_output_bytes(const struct cgi_output *output)
{
    return output->bytes + output->at;
}

size_t
cgi_output_take(struct cgi_output *output, char *out, size_t max)
{
    size_t len = MIN(max, cgi_output_len(output));
    if (len > 0)
        memcpy(out, output->bytes + output->at, len);
    output->at += len;
    return len;
}

void
cgi_output_fini(struct cgi_output *output)
{
    free(output->bytes);
    *output = (struct cgi_output){0};
}
