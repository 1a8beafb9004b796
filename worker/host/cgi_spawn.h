/* cgi_spawn.h - starts a CGI program. */
#ifndef POOLWORKER_HOST_CGI_SPAWN_H
#define POOLWORKER_HOST_CGI_SPAWN_H

#include <sys/types.h>

#include "common/base.h"

struct cgi_child {
    pid_t pid;  /* leads a process group of its own */
    int pidfd;  /* readable when it has ended; not reaped before that */
    int input;  /* its standard input, non-blocking; -1: it reads /dev/null */
    int output; /* its standard output, non-blocking */
};

/* Executes path in directory. Its standard error is ours. It is killed when we die. 0, or a negative
 * errno, also when it cannot be executed. */
int cgi_spawn(struct cgi_child *out, const char *path, const char *directory,
              char *const *variables, bool has_input);

#endif
