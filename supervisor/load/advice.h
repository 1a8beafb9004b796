/* advice.h - what is valid in a configuration and still likely to surprise. */
#ifndef POOLD_LOAD_ADVICE_H
#define POOLD_LOAD_ADVICE_H

#include <stdio.h>

#include "supervisor/record.h"

/* Writes a line for each piece of advice. It is for a configuration without errors. */
void advice_print(const struct record *, FILE *out);

/* The same as a text, free()d by the caller: at most ADVICE_LINES_MAX lines, and one that says how many
 * more there are. NULL: out of memory. */
#define ADVICE_LINES_MAX 900u
char *advice_text(const struct record *);

/* The part of it about accept queues that are longer than the kernel's cap. */
void advice_print_queues(const struct record *, uint32_t cap, FILE *out);

/* The part of it about servers with a preset. */
void advice_print_preset(const struct record *, const struct record_pool *, FILE *out);

/* The part of it about what the pool's user may write: its program and its directory,
 * and the directory of its output. */
void advice_print_rights(const struct record *, const struct record_pool *, FILE *out);

/* Roles that cannot be used, or that a pool's workers have (advice_control.c). */
void advice_print_control(const struct record *, FILE *out);

#endif
