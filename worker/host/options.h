/* options.h - what the command line asks for. */
#ifndef POOLWORKER_HOST_OPTIONS_H
#define POOLWORKER_HOST_OPTIONS_H

#include "common/base.h"
#include "common/err.h"

enum { OPTION_LIST_MAX = 32 };

struct option_list {
    const char *items[OPTION_LIST_MAX]; /* borrowed from argv */
    unsigned count;
};

/* A field a row of options.def. */
struct options {
#define FIELD_TEXT                                          const char *
#define FIELD_LIST                                          struct option_list
#define FIELD_NUMBER                                        uint64_t
#define FIELD_SIZE                                          uint64_t
#define FIELD_DURATION                                      uint64_t
#define FIELD_FLAG                                          bool
#define OPTION(name, kind, field, argument, standard, help) FIELD_##kind field;
#include "worker/host/options.def"
#undef OPTION
};

enum options_outcome { OPTIONS_RUN, OPTIONS_DONE, OPTIONS_WRONG };

/* Fills out from the defaults and argv. OPTIONS_DONE: --help or --version was printed.
 * OPTIONS_WRONG: err says what and how. */
enum options_outcome options_read(struct options *out, int argc, char **argv, struct err *);

#endif
