/* file.h - reading a configuration file that may be anything, and may change meanwhile. */
#ifndef POOLD_LOAD_FILE_H
#define POOLD_LOAD_FILE_H

#include "common/base.h"
#include "common/err.h"

struct file_text {
    char *bytes; /* never NULL after success; free */
    size_t len;
    uint64_t device, inode; /* two names of one file share them */
};

/* Reads the file at path whole. Refuses, without blocking, what is not a regular file, is larger
 * than size_max, or could have been written by somebody who may not decide what poold runs. When
 * the file changes while it is read, it is read again, FILE_TRIES times. Returns 0 or a negative
 * errno, with the reason in err (without the path). */
int file_read(const char *path, size_t size_max, struct file_text *, struct err *);

#define FILE_TRIES 3

/* One try of it with an open descriptor; -EAGAIN: what is at path now is not what was read. */
int file_read_descriptor(int fd, const char *path, size_t size_max, struct file_text *,
                         struct err *);

/* The files that a pattern (glob(7)) names. */
struct file_names {
    char **list; /* in the order of their names */
    size_t count;
};

/* Finds them. Returns 0, also when there are none, or a negative errno with the reason in err; no
 * more than most. The caller ends with file_names_fini. */
int file_match(const char *pattern, size_t most, struct file_names *, struct err *);
void file_names_fini(struct file_names *);

/* Where files come from: the file system, or what a test puts in its place. */
struct load_files {
    int (*read)(const char *path, size_t size_max, struct file_text *, struct err *);
    int (*match)(const char *pattern, size_t most, struct file_names *, struct err *);
};

#endif
