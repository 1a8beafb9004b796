/* runtime.h - the runtime directory at poold's start. */
#ifndef POOLD_LOAD_RUNTIME_H
#define POOLD_LOAD_RUNTIME_H

#include <sys/types.h>

#include "common/err.h"

/* Makes the runtime directory at path where it is missing, locks it for the process keeper, and removes
 * what a poold that was killed left there. Gives the directory and the lock to the keeper (give.h),
 * each as soon as it is there; after a failure those that were given are the keeper's to clear up. A
 * signal that ends this process does so before or after it, never between. Returns 0 or a negative
 * errno. */
int runtime_open(const char *path, pid_t keeper, struct err *);

#endif
