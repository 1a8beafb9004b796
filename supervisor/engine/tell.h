/* tell.h - turns what the core wants operators to know into events with words and fields. */
#ifndef POOLD_ENGINE_TELL_H
#define POOLD_ENGINE_TELL_H

#include "supervisor/engine/shell.h"

/* Emits the event of an ACT_EVENT action. */
void tell(struct shell *, const struct action *);

/* "0.412 s", "90 s", "29 h": a span as people read it. */
const char *tell_span(char *buf, size_t cap, msec span);

/* "exit code 3", "signal 9 (Killed)", "signal 11 (Segmentation fault), core dumped". */
const char *tell_exit(char *buf, size_t cap, struct exit_status);

/* Number in the catalogue of a failure that the core counts: one before the program ran is told apart
 * by its step. */
uint16_t tell_failure_event(const struct failure_view *);

#endif
