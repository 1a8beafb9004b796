/* coverage.h - which event met which state: a legal cell that no life ever visits is not tested. */
#ifndef POOLD_SIM_COVERAGE_H
#define POOLD_SIM_COVERAGE_H

#include "supervisor/core/core.h"

/* Notes the state that the event is about to meet. */
void coverage_note(const struct core *, const struct event *);

/* Prints both matrices; returns how many cells that must be visited were not. */
unsigned coverage_print(void);

#endif
