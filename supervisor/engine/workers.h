/* workers.h - the descriptors of living workers: their notify sockets and output pipes.
 *
 * All of them sit in one nested epoll descriptor, which the loop watches: a handle of libuv for each
 * would cost memory and nothing else. Entries lie beside the core's worker records, by its handle. */
#ifndef POOLD_ENGINE_WORKERS_H
#define POOLD_ENGINE_WORKERS_H

#include "supervisor/engine/portion.h"
#include "supervisor/engine/shell.h"

struct workers;

int workers_create(struct workers **out, struct shell *, uint32_t handles_max, struct err *err);
void workers_destroy(struct workers **);

/* A worker lives: takes notify_fd and output_fd (either may be -1). uid: whose messages count. A
 * worker that is attached already keeps what it has, and the descriptors are closed. */
void workers_attach(struct workers *, uint32_t handle, struct worker_id, int32_t pid, uint32_t uid,
                    int notify_fd, int output_fd);
/* The same worker has been released: closes what is its. */
void workers_detach(struct workers *, uint32_t handle);
bool workers_attached(const struct workers *, uint32_t handle, struct worker_id);

/* Reads what has come, some of it from each worker: one descriptor a piece of the portion. Returns true
 * when there may be more. */
bool workers_read(struct workers *, struct portion *);

/* Reads all that a dead worker has left behind, so that its end is told after its last words. */
void workers_last_words(struct workers *, uint32_t handle);

/* There is room in the file again, or it has ended: those that wait for it are read (outputs.h). */
void workers_resume_output(void *workers, struct output_file *);

/* Sends DRAIN=1 with DEADLINE_USEC. 0, or a negative errno: it gave no address, or cannot take it. */
int workers_send_drain(struct workers *, uint32_t handle, msec limit);

/* The ready command of a worker that is attached has ended. */
void workers_note_command(struct workers *, uint32_t handle, struct exit_status);

void workers_describe(const struct workers *, uint32_t handle, struct shell_worker *out);

/* When paused workers are to be read again; MSEC_NEVER: none is paused. */
msec workers_deadline(const struct workers *);
void workers_tick(struct workers *, msec now);

#endif
