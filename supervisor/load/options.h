/* options.h - poold's command line, which the keeper passes on as it is. */
#ifndef POOLD_LOAD_OPTIONS_H
#define POOLD_LOAD_OPTIONS_H

#include <limits.h>

#include "supervisor/load/load.h"
#include "supervisor/record.h"

enum asked { ASKED_TO_RUN, ASKED_TO_CHECK, ASKED_FOR_VERSION };

struct options {
    enum asked asked;
    struct load_options load; /* its runtime is set when asked to run */
    char runtime[RECORD_RUNTIME_MAX + 1];
    char state[PATH_MAX], config[PATH_MAX];
};

/* Reads argv, whose strings it borrows; load borrows from out too. Returns -1 to go on, else the
 * exit status: usage, or what is wrong with the command line, has been printed. */
int options_read(struct options *out, int argc, char **argv);

#endif
