/* output_file.h - one file that the output of workers is appended to.
 *
 * Whole lines, as they are: of two workers that write at the same time no line is ever inside
 * another. A thread writes, one write at a time, and what comes meanwhile is kept, within bounds. So
 * the loop never waits for a disk, and while a disk is merely slow a worker waits, as with any pipe
 * that is full: nothing is lost. A disk that takes nothing is no reason for a server to stop serving:
 * when one write fails, or takes longer than OUTPUT_PATIENCE_MS, further lines are counted and
 * thrown away until the disk takes some again. What was kept by then is kept, and is written first.
 *
 * OPENING  The keeper was asked for the file, which has no descriptor yet. Leaves with its answer.
 * IDLE     Nothing is under way, and nothing is kept. Leaves when something is put.
 * WRITING  A thread writes. Leaves when it has.
 * STUCK    OPENING or WRITING has taken too long, and is still under way. Leaves when it ends.
 * FAILED   It could not be opened or written. Leaves when it is tried again, every OUTPUT_RETRY_MS
 *          or when it was opened anew: to OPENING or WRITING, as a file that has `lost` lines and is
 *          `failing` until a write succeeds. */
#ifndef POOLD_ENGINE_OUTPUT_FILE_H
#define POOLD_ENGINE_OUTPUT_FILE_H

#include "common/base.h"
#include "supervisor/engine/events.h"
#include "supervisor/engine/io.h"

#define OUTPUT_PATIENCE_MS 1000u /* as long as the keeper lets workers wait without an engine */
#define OUTPUT_RETRY_MS    2000u
#define OUTPUT_FULL        (256u << 10) /* kept: no more is read for it; a pipe holds a quarter */
#define OUTPUT_MOST        (4u << 20) /* kept: last words and long lines, which come all the same */

enum output_file_state {
    OUTPUT_OPENING,
    OUTPUT_IDLE,
    OUTPUT_WRITING,
    OUTPUT_STUCK,
    OUTPUT_FAILED,
    OUTPUT_FILE_STATE_COUNT
};

struct output_file;

/* Who has files: what they need of him. changed: the state, or when the file is due, is another now.
 * ask: a descriptor is wanted; output_file_opened brings it. */
struct output_host {
    struct io *io;
    struct events *events;
    void *ctx;
    void (*changed)(void *ctx, struct output_file *);
    void (*ask)(void *ctx, struct output_file *);
};

struct output_bytes {
    char *v;
    size_t len, cap;
};

struct output_file {
    const struct output_host *host;
    char *path;
    uint32_t slot;      /* its owner's */
    uint32_t pools;     /* its owner's: how many name it */
    uint32_t pool;      /* its owner's: one that names it, or did */
    uint32_t waiting;   /* the reader's: first of the workers that wait for room, handle + 1 */
    uint64_t request;   /* its owner's: of the question that is to be answered; 0: none */
    bool asks, reopens; /* its owner's */

    enum output_file_state state; /* only enter changes it */
    bool failing;                 /* the last write or open failed, or takes too long */
    bool writes;                  /* a thread does, whatever the state is */
    int fd;                       /* -1: none yet */
    int next_fd;                  /* opened anew: takes over between two writes; -1: none */
    struct output_bytes kept;     /* what is to be written next: begins and ends with lines */
    struct output_bytes writing;  /* what the thread has */
    size_t written;               /* of it */
    msec due;                     /* MSEC_NEVER: it waits for nothing but what it is given */
    msec failing_since;
    uint64_t lost;              /* lines, untold */
    bool is_open_line;          /* what was put last has no newline at its end */
    struct worker_id open_line; /* whose; generation 0: nobody's who may go on with it */
};

/* NULL: out of memory. It is OPENING; the caller asks. */
struct output_file *output_file_create(const struct output_host *, const char *path, uint32_t slot);
/* Never while a thread writes; what is kept is lost. */
void output_file_destroy(struct output_file **);

/* A descriptor, which is taken, or a negative errno. With one that it has already the file goes on
 * with the new one as soon as the write under way has ended, or with the old one after an error. */
void output_file_opened(struct output_file *, int fd);

/* Whether more should be read for it: there is room, or it is thrown away. */
bool output_file_takes(const struct output_file *);

/* Bytes of a worker: whole lines, or parts of one that is too long to be kept whole. It is written
 * from output_file_go on. */
void output_file_put(struct output_file *, struct worker_id, const char *bytes, size_t len);
/* The worker writes no more; its last line gets the newline that it lacks. */
void output_file_end_line(struct output_file *, struct worker_id);
void output_file_go(struct output_file *);

/* What is due. */
void output_file_tick(struct output_file *);

/* Nothing is left to write, or nothing that could be written now. */
bool output_file_is_written(const struct output_file *);

/* Says how many lines are lost for good, what is kept among them. */
void output_file_tell_end(struct output_file *);

#endif
