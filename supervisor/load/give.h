/* give.h - what the loader gives the keeper to hold. */
#ifndef POOLD_LOAD_GIVE_H
#define POOLD_LOAD_GIVE_H

#include "common/err.h"
#include "supervisor/verbs.h"

/* Sends a duplicate of fd over LOADER_LINK_FD and closes fd, also when it fails. Returns 0 or a
 * negative errno. */
int give(enum loaded what, int fd, struct err *);

/* Waits for that same thing from the keeper, who sends what it holds at once. Returns the descriptor,
 * or a negative errno. */
int give_back(enum loaded what, struct err *);

#endif
