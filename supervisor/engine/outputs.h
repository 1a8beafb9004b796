/* outputs.h - where the output of each pool's workers goes, and the files that some of it goes to.
 *
 * One file a path, however many pools name it. The keeper opens it, by the record of a pool that
 * names it (VERB_OPEN): when the first pool is told of it, by each new engine, and at SIGUSR1. */
#ifndef POOLD_ENGINE_OUTPUTS_H
#define POOLD_ENGINE_OUTPUTS_H

#include "supervisor/engine/output_file.h"
#include "supervisor/engine/shell.h"
#include "supervisor/verbs.h"

struct outputs;

/* resume: workers that wait for room in the file can be read again. */
typedef void outputs_resume_fn(void *ctx, struct output_file *);
int outputs_create(struct outputs **out, struct shell *, uint32_t pools_max,
                   outputs_resume_fn *resume, void *ctx, struct err *err);
/* Never while a thread writes (io_threads_work). */
void outputs_destroy(struct outputs **);

/* What the configuration in force says of that pool counts from now on. */
void outputs_tell(struct outputs *, uint32_t pool);
/* It was taken out, and its last worker has gone. */
void outputs_forget(struct outputs *, uint32_t pool);

/* file: of OUTPUT_FILE; NULL: there is none, for want of memory. */
enum output outputs_of(const struct outputs *, uint32_t pool, struct output_file **file);

/* The keeper's answer; fd is taken. */
void outputs_on_opened(struct outputs *, const struct verb *, int fd);

/* SIGUSR1: each file is opened anew; an event says how many, when the last answer has come. */
void outputs_reopen(struct outputs *);

/* When something is due; MSEC_NEVER: nothing is. outputs_tick does it, some of it a turn. */
msec outputs_deadline(const struct outputs *);
void outputs_tick(struct outputs *, msec now);

/* poold ends: whether all is written that can be; and says what is lost. */
bool outputs_are_written(const struct outputs *);
void outputs_tell_end(const struct outputs *);

#endif
