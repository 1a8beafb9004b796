/* mime.h - which media type a file name has, by the system's table. */
#ifndef POOLWORKER_HOST_MIME_H
#define POOLWORKER_HOST_MIME_H

#include "common/base.h"
#include "common/err.h"

struct mime_entry;

struct mime {
    struct mime_entry *entries; /* sorted by extension */
    size_t count;
    char *text; /* what the entries point into */
};

/* Reads a table of lines "type extension...". Where the file is not there, a small built-in table takes
 * its place. 0, or a negative errno with err filled. */
int mime_open(struct mime *, const char *path, struct err *);
void mime_close(struct mime *);

/* The type of the name's last extension, whatever its case; NULL: it has none that is mapped. */
const char *mime_type(const struct mime *, const char *name);

#endif
