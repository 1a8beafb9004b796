/* cgi_output.h - what a CGI program has written and nobody has taken yet. */
#ifndef POOLWORKER_HOST_CGI_OUTPUT_H
#define POOLWORKER_HOST_CGI_OUTPUT_H

#include <sys/types.h>

#include "common/base.h"

/* Zeroed is empty. */
struct cgi_output {
    char *bytes;
    size_t at, len, capacity; /* bytes[at..len) wait */
};

/* Reads some of fd. Bytes, 0 at the end, or a negative errno. */
ssize_t cgi_output_read(struct cgi_output *, int fd);

size_t cgi_output_len(const struct cgi_output *);
char *cgi_output_bytes(const struct cgi_output *);

/* Moves up to max bytes to out; returns how many. */
size_t cgi_output_take(struct cgi_output *, char *out, size_t max);

void cgi_output_fini(struct cgi_output *);

#endif
