/* lookup.h - opens what lies below a directory, and nothing else. */
#ifndef POOLWORKER_HOST_LOOKUP_H
#define POOLWORKER_HOST_LOOKUP_H

#include <sys/stat.h>

#include "common/base.h"

/* How a path is kept below its directory. Tests name one; lookup_open probes. */
enum lookup_way { LOOKUP_BY_KERNEL, LOOKUP_BY_STEPS };

/* Opens path (a decoded one, "/" is the directory itself) below the directory for reading. Symbolic
 * links are not followed, so nothing outside can be reached. A FIFO or device does not block.
 * A descriptor with *stat filled, or a negative errno. */
int lookup_open(int directory, const char *path, struct stat *stat);
int lookup_open_by(enum lookup_way, int directory, const char *path, struct stat *stat);

#endif
