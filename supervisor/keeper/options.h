/* options.h - poold's command line. */
#ifndef POOLD_KEEPER_OPTIONS_H
#define POOLD_KEEPER_OPTIONS_H

#include <limits.h>

#include "common/base.h"

#define OPTIONS_LOGS_MAX 4u
#define RUNTIME_PATH_MAX 60u /* "/w/" and 32 digits must fit in a socket address with it */

struct options {
    char config[PATH_MAX]; /* all three absolute */
    char runtime[PATH_MAX];
    char state[PATH_MAX];
    const char *engine_user;
    const char *logs[OPTIONS_LOGS_MAX];
    uint32_t log_count;
    bool no_launcher; /* for tests: as on a machine where the launcher cannot be used */
    bool no_pidfd;    /* for tests: as when descriptors are short (POOLD_NO_PIDFD) */
    bool check, version;
};

/* Reads argv. Returns -1 to go on, else the status to exit with (after --help, or a mistake that it
 * has told to stderr). Strings are borrowed from argv for good. */
int options_read(struct options *out, int argc, char **argv);

#endif
