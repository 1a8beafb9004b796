/* files.h - the files below --root. */
#ifndef POOLWORKER_HOST_FILES_H
#define POOLWORKER_HOST_FILES_H

#include "common/err.h"
#include "worker/host/mime.h"

struct options;
struct handler;

struct files {
    int root; /* -1: none */
    struct mime mime;
};

/* 0, or a negative errno with err filled. Nothing is opened without --root. */
int files_open(struct files *, const struct options *, struct err *);
void files_close(struct files *);

extern const struct handler files_handler;

#endif
