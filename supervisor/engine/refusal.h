/* refusal.h - tells the logs of a configuration that was refused, where no engine runs to do it. */
#ifndef POOLD_ENGINE_REFUSAL_H
#define POOLD_ENGINE_REFUSAL_H

#include "supervisor/record.h"

/* One event 1041 to each of count targets of --log (0: the default): how many errors the record has,
 * and the first of them. Not to stderr: all of them are shown there. */
void refusal_tell(const char *const *targets, uint32_t count, const struct record *);

#endif
