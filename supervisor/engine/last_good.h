/* last_good.h - what is told, and remembered, of the last good configuration. */
#ifndef POOLD_ENGINE_LAST_GOOD_H
#define POOLD_ENGINE_LAST_GOOD_H

#include "supervisor/engine/shell.h"
#include "supervisor/verbs.h"

/* At poold's start, of its first engine: that it runs with the last good configuration, because the
 * files have errors. */
void last_good_tell(struct shell *);

/* Whether the configuration in force is still to be stored as the last good one. */
bool last_good_is_due(const struct shell *);

/* It has been stored, or could not be: the log is told then. Either way it is not due any more. */
void last_good_on_kept(struct shell *, const struct verb *);

#endif
