/* say.h - one line from the keeper to a person. */
#ifndef POOLD_KEEPER_SAY_H
#define POOLD_KEEPER_SAY_H

#include "common/base.h"

/* "poold: " and the text to stderr; lost when stderr would block. For the keeper's own start and
 * end, and for what happens while there is no engine: everything else is an event of the engine. */
void say(const char *format, ...) ATTR_PRINTF(1, 2);

#endif
