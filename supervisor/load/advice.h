/* advice.h - what is valid in a configuration and still likely to surprise. */
#ifndef POOLD_LOAD_ADVICE_H
#define POOLD_LOAD_ADVICE_H

#include <stdio.h>

#include "supervisor/record.h"

/* Writes a line "warning: ..." for each piece of advice. */
void advice_print(const struct record *, FILE *out);

#endif
