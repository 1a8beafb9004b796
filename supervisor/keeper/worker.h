/* worker.h - the table of the keeper's workers: places, phases, and who is found by what. */
#ifndef POOLD_KEEPER_WORKER_H
#define POOLD_KEEPER_WORKER_H

#include <sys/types.h>

#include "supervisor/verbs.h"

/* The life of a process, as far as its parent sees it.
 *
 * FREE         A place without a worker.
 * WAITING      Asked for; waits for a child. Holds no process and no descriptor. Leaves by a child
 *              that takes its specification (SPAWNED), or to FREE when none can be made: nothing
 *              is left of a failed spawn, so asking again tries again.
 * SPAWNED      The child has its specification. Holds notify socket, output pipe (kind WORKER) and
 *              link. Leaves when the link closes or brings a failure, or at its death.
 * EXECUTED     It runs its program; the link is closed.
 * EXEC_FAILED  It said why it will not, or died before it could; it is about to exit.
 * EXITED       A zombie that pins the pid and the group. Keeps its status and descriptors until the
 *              engine says RELEASE, so that no exit is lost with an engine. */
/* clang-format off */
#define WORKER_PHASES(X) X(FREE) X(WAITING) X(SPAWNED) X(EXECUTED) X(EXEC_FAILED) X(EXITED)
#define WORKER_IN_(n) IN_##n,
/* clang-format on */
enum worker_in { WORKER_PHASES(WORKER_IN_) WORKER_IN_COUNT };

/* What is to be told of a worker, in the order in which it is told. */
enum worker_report {
    REPORT_SPAWNED = 1,
    REPORT_EXECUTED = 2,
    REPORT_EXEC_FAILED = 4,
    REPORT_EXITED = 8
};

/* What a worker says arrives through (channel.c). Descriptors: -1: none. */
struct channel {
    int notify;        /* notify socket */
    int path;          /* O_PATH of its address, until it is taken */
    int output;        /* read end of the output pipe */
    int output_worker; /* the worker's end, until the worker has it */
    uint8_t name[16];  /* random; the path has them in hex */
};
/* clang-format off */
#define CHANNEL_NONE \
    (struct channel){.notify = -1, .path = -1, .output = -1, .output_worker = -1}
/* clang-format on */

struct worker {
    struct worker_id id;
    uint8_t kind;         /* enum spawn_kind */
    uint8_t in;           /* enum worker_in; only worker_enter changes it */
    uint8_t reports;      /* bits of enum worker_report, to be sent */
    uint8_t queued : 1;   /* in the list of those with reports */
    uint8_t known : 1;    /* this engine has asked for it, or has been told by LIST */
    uint8_t direct : 1;   /* made without the launcher: see exits.c */
    uint8_t recheck : 1;  /* its link closed, and why is not known yet */
    uint8_t released : 1; /* it is to be forgotten, once it has left the line */
    pid_t pid;
    int link, pidfd; /* -1: none */
    struct channel channel;
    uint64_t request;                  /* of the last SPAWN */
    uint8_t early_signo, early_target; /* a signal that came before the process; 0: none */
    uint16_t code;                     /* of the exit */
    uint32_t step;
    int32_t error;
    int32_t status;
    uint32_t id_next, pid_next; /* chains of the two hashes; id_next: also of free places */
    uint32_t line_next;         /* in the line of those that wait, later of those with reports */
};

struct worker_line {
    uint32_t first, last; /* NONE: empty */
};

struct worker_table {
    struct worker *v;
    uint32_t *by_id, *by_pid; /* heads of chains */
    uint32_t places, used;    /* used: places that were ever in use lie below it */
    uint32_t buckets;         /* power of two */
    uint32_t free_first;
    uint32_t count;         /* places in use */
    uint32_t pidfds;        /* held by workers */
    uint32_t without_pidfd; /* living workers whose death only a sweep is sure to find */
    uint32_t shed_at;       /* where the next pidfd to give up is looked for */
    uint32_t rechecks;      /* workers with recheck set */
    uint32_t waiting_count;
    struct worker_line waiting, reporting, leaving; /* leaving: released, not yet forgotten */
};

/* One anonymous mapping for all of it, of which only pages in use are ever touched. 0 or -errno. */
int workers_open(struct worker_table *table, uint32_t places);

struct worker *worker_find(struct worker_table *table, struct worker_id id, unsigned kind);
struct worker *worker_find_pid(struct worker_table *table, pid_t pid);
/* NULL: the table is full. The worker is WAITING and holds nothing. */
struct worker *worker_add(struct worker_table *table, struct worker_id id, unsigned kind);
void worker_set_pid(struct worker_table *table, struct worker *worker, pid_t pid);
/* The only way out of a phase; asserts that the step is a legal one. Entering FREE forgets the
 * worker: its descriptors are closed and its process reaped before. */
void worker_enter(struct worker_table *table, struct worker *worker, enum worker_in in);
bool worker_is_alive(const struct worker *worker); /* a process that has not been seen dead */
uint32_t worker_index(const struct worker_table *table, const struct worker *worker);

/* Lines are first in, first out; a worker is in one at most. */
void line_add(struct worker_table *table, struct worker_line *line, struct worker *worker);
struct worker *line_first(struct worker_table *table, const struct worker_line *line);
void line_drop_first(struct worker_table *table, struct worker_line *line);

#endif
