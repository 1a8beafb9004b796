/* output_inside.h - what the parts of an output file share: output_file.c (its life), output_bytes.c (what
 * it keeps) and output_tell.c (what is told of it). Nobody else includes it. */
#ifndef POOLD_ENGINE_OUTPUT_INSIDE_H
#define POOLD_ENGINE_OUTPUT_INSIDE_H

#include "supervisor/engine/output_file.h"

/* --- output_bytes.c. output_bytes_add: false when it is more than OUTPUT_MOST, or out of memory. */
bool output_bytes_add(struct output_bytes *, const char *add, size_t len);
void output_bytes_free(struct output_bytes *);
uint64_t output_count_lines(const char *bytes, size_t len);

/* --- output_tell.c. what: "opened", "written"; follows: what comes of it. */
void output_tell_failed(struct output_file *, int error, const char *what, const char *follows);
void output_tell_lost(struct output_file *, const char *why); /* if any */
/* It fails from now on, which is told once; it works, which is told if it had failed. */
void output_fail(struct output_file *, int error, const char *what);
void output_succeed(struct output_file *);

#endif
