/* keeper.h - the keeper's parts, one for the other, and everything that it knows.
 *
 * One thread, one epoll, tables that are sized once. Nothing here decides: the engine asks by verbs
 * (supervisor/verbs.h), the keeper does it at once or says why not. In this folder helpers stand
 * above their callers, so that no function needs to be declared twice. */
#ifndef POOLD_KEEPER_KEEPER_H
#define POOLD_KEEPER_KEEPER_H

/* What nearly every part needs; a part names only what it alone uses. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/exec/spec.h"
#include "supervisor/fds.h"
#include "supervisor/record_map.h"

#define TURN_MAX     64                 /* things of one kind in one turn of the loop */
#define PARKED_MAX   8u                 /* children kept ready */
#define CHILDREN_MAX (PARKED_MAX + 32u) /* those that the launcher owes us too */

/* Every child that the launcher owes has a link; those that are made have what they hear, too. */
_Static_assert(36 + 2 * CHILDREN_MAX + 3 * PARKED_MAX <= RECORD_KEEPER_FDS, "room for ourselves");
_Static_assert(SPEC_FDS_MAX <= FDS_A_MESSAGE_MAX, "a specification is one message");

/* What an epoll event is about, with a place in the table of workers for the last two; what is done
 * at a time; and what the engine may ask (supervisor/verbs.h). */
/* clang-format off */
#define TAGS(X)                                                                    \
    X(SIGNALS, signals_read) X(ENGINE_LINK, engine_ready)                          \
    X(LAUNCHER_LINK, launcher_ready) X(LOADER_LINK, loader_ready)                  \
    X(WORKER_LINK, exits_link_ready) X(WORKER_EXIT, exits_pidfd_ready)
#define TIMERS(X)                                                 \
    X(REFILL,  children_refill) /* park children again         */ \
    X(SWEEP,   exits_sweep)     /* look for deaths and strays  */ \
    X(RESEND,  messages_pump)   /* the link takes more, perhaps*/ \
    X(ENGINE,  engine_start)    /* another engine              */ \
    X(DISCARD, engine_stand_in) /* none reads what workers say */ \
    X(OVERDUE, engine_kill)     /* it was to go, and does not  */
#define QUESTIONS(X)                                                                        \
    X(BIND, socket_bind) X(LISTEN, socket_listen) X(UNBIND, socket_unbind)                  \
    X(SPAWN, spawn_asked) X(SIGNAL, worker_signal) X(READY, worker_ready)                   \
    X(RELEASE, worker_release) X(LIST, messages_list) X(OPEN, output_asked)                 \
    X(LOAD, next_load) X(KEEP, next_load) X(TAKE, next_take) X(DROP, next_drop)             \
    X(LEAVE, engine_leave)
/* clang-format on */

struct keeper;
#define TAG_(name, function)              TAG_##name,
#define TIMER_(name, function)            TIMER_##name,
#define TAG_HANDLER_(name, function)      void function(struct keeper *, uint32_t place);
#define TIMER_HANDLER_(name, function)    void function(struct keeper *);
#define QUESTION_HANDLER_(name, function) void function(struct keeper *, const struct verb *);
enum tag { TAGS(TAG_) TAG_COUNT };
enum timer { TIMERS(TIMER_) TIMER_COUNT };
TAGS(TAG_HANDLER_)
TIMERS(TIMER_HANDLER_)
QUESTIONS(QUESTION_HANDLER_)

/* A process that the launcher made, or we, with what it will speak through once it is a worker: all of it
 * is made ahead, off the path between a death and its replacement. Descriptors: -1: none. */
struct child {
    pid_t pid;
    int link;                   /* to poold-exec in it, until that has executed a program */
    int pidfd;                  /* unless k->sweeping */
    int notify;                 /* notify socket */
    int output;                 /* read end of the output pipe */
    int output_worker;          /* the worker's end, until the worker has it */
    unsigned long long name[2]; /* of the notify socket; random, the path has it in hex */
};
static const struct child child_none = {
    .link = -1, .pidfd = -1, .notify = -1, .output = -1, .output_worker = -1};

/* A ring: first those that are made and wait, then those that the launcher owes, in their order. */
struct children {
    struct child v[CHILDREN_MAX];
    uint32_t at, made, count;
    uint32_t parked;   /* that many are kept ready */
    bool alone;        /* a launcher's clone is refused: the keeper makes them one by one */
    int launcher;      /* its link; -1: there is none now */
    uint32_t failures; /* of launchers, in a row */
    msec not_before;   /* no launcher and no parking before that */
};

/* The life of a worker's process, as far as its parent sees it; those from SPAWNED on have one.
 *
 * FREE         A place without a worker.
 * WAITING      Asked for; waits for a child. Leaves by a child that takes its specification, or to
 *              FREE when none can be made or the engine dies: then nothing is left of it, so asking
 *              again tries again.
 * SPAWNED      The child has its specification. Leaves when the link closes or brings a failure, or
 *              at its death.
 * EXECUTED     It runs its program; the link is closed.
 * EXEC_FAILED  It said why it will not, or died before it could; it is about to exit.
 * EXITED       A zombie that pins the pid and the group. Keeps its status and descriptors until the
 *              engine says RELEASE, so that no exit is lost with an engine. */
enum worker_in {
    IN_FREE,
    IN_WAITING,
    IN_SPAWNED,
    IN_EXECUTED,
    IN_EXEC_FAILED,
    IN_EXITED,
    WORKER_IN_COUNT
};

struct worker {
    struct worker_id id;
    uint8_t kind;   /* enum spawn_kind */
    uint8_t in;     /* enum worker_in; only worker_enter changes it */
    bool withdrawn; /* signalled while it waited: it is not to start */
    bool ready;     /* or no READY=1 is waited for: what it says may be lost */
    uint16_t code;  /* of the exit */
    int32_t status, error;
    uint32_t step;
    uint32_t next;    /* place + 1 in the chain of its bucket, or of free places */
    uint64_t request; /* of the last SPAWN */
    struct child child;
};

struct workers {
    struct worker *v;
    uint32_t *buckets;                    /* heads of chains, place + 1; a power of two of them */
    uint32_t *waiting;                    /* ring of places, in the order of their questions */
    uint32_t places, used, buckets_count; /* places that were ever in use lie below used */
    uint32_t free_first;                  /* place + 1 */
    uint32_t waiting_at, waiting_count;
};

struct socket_slot {
    int fd;          /* -1: not bound */
    bool given;      /* poold was started with it */
    bool in_the_way; /* of one that was bound beside it */
    dev_t path_device;
    ino_t path_inode; /* of a unix listener's path, so that only ours is removed */
    char link[36];    /* another name of it, in the runtime directory; "": none */
};

struct engine {
    pid_t pid;     /* 0: none */
    int link;      /* -1: none */
    bool attached; /* it has asked something: from then on workers are told of */
    bool leaving;  /* it said LEAVE */
    int leave_status;
    uint32_t stops;                  /* TERM and INT that have come */
    uint32_t restarts, quick_deaths; /* quick: in a row, soon after their start */
    msec started_at, ended_at;
    uint16_t exit_code, exit_status;
};

/* What the engine is to be told; place: of the worker whose descriptors go along, or NONE. */
struct message {
    struct verb verb;
    uint32_t place;
};

struct messages { /* a ring */
    struct message *v;
    uint32_t size, at, count;
};

/* A configuration that was loaded, or is being, while another one is in force. */
struct next {
    int link;         /* to it; -1: none loads */
    int fd;           /* memfd; -1: nothing was loaded */
    uint16_t answer;  /* VERB_LOADED or VERB_KEPT */
    uint64_t request; /* of the LOAD or KEEP */
    struct record record;
    struct socket_slot *sockets; /* one per socket record of its */
};

struct keeper {
    const char **loader_argv; /* poold's own in it, borrowed for good */
    bool sweeping;            /* no room for pidfds, deaths are looked for */
    struct rlimit nofile;     /* that poold was started with */
    int epoll_fd, signal_fd, state_fd;
    int loaded[LOADED_COUNT];       /* what the loader gave; -1: nothing */
    struct record record;           /* LOADED_CONFIG, mapped */
    struct socket_slot *sockets;    /* one per socket record */
    int inherited, inherited_count; /* descriptors that poold was started with, the first of them */
    struct next next;
    struct workers workers;
    struct children children;
    struct engine engine;
    struct messages messages;
    sigset_t signals;              /* that mean something */
    msec now, timers[TIMER_COUNT]; /* when; MSEC_NEVER: off */
    bool done;
    int status; /* to exit with, once done */
};

/* Errors are negative errnos; "status": 0, or what poold exits with, after a line to stderr. */

/* util.c */
void say(const char *format, ...) ATTR_PRINTF(1, 2); /* a line to stderr; never blocks */
msec clock_now(void);
void fd_close(int *fd);                     /* sets it to -1, which is ignored */
void *table_map(size_t count, size_t size); /* zeroed, paid for by use; NULL: no memory */

/* programs.c: poold-engine and poold-exec, held since the start. */
int programs_open(struct keeper *k); /* status */
/* Starts HELPER_IMAGE_FD or HELPER_ENGINE_FD, which gets the other end of link. Returns its pid. */
pid_t program_start(int image, const char *const *argv, int *link);
bool clone_is_refused(int error); /* a positive one: by a filter or the kernel, for good */

/* loader.c */
int loader_run(struct keeper *k);                     /* status; k->done: that was all */
bool loaded_take(int link, int loaded[LOADED_COUNT]); /* whether there was one */
int loaded_map(struct record *record, int fd);        /* checks the seals and every byte */
void loaded_clean(struct keeper *k);

/* loop.c */
int loop_open(struct keeper *k); /* status */
void loop_run(struct keeper *k); /* until k->done */
int loop_watch(struct keeper *k, int fd, uint32_t events, enum tag tag, uint32_t place);
void timer_earliest(struct keeper *k, enum timer timer, msec at); /* never later than it is */

/* reload.c */
void next_bind(struct keeper *k, const struct verb *verb); /* BIND of what was loaded */

/* listen.c */
struct socket_slot *sockets_map(const struct record *record); /* none of them bound; or NULL */
/* One that is bound stays so; mode, owner and backlog become the record's. beside: also where our own
 * are in the way. */
int socket_open(struct keeper *k, struct socket_slot *slot, const struct record_socket *record,
                bool beside);
void socket_close(struct keeper *k, struct socket_slot *slot, const struct record_socket *record);
int control_open(struct keeper *k); /* and what leads to it; a failure has been said */
/* And the table itself; NULL: there is none. */
void sockets_close(struct keeper *k, struct socket_slot *slots, const struct record *record);

/* beside.c */
/* fd, which could not be bound: bound and listening all the same if our own sockets alone are in the
 * way, and if nobody else can come beside it then. Returns 0 or -EADDRINUSE. */
int socket_bind_beside(struct keeper *k, int fd, const struct record_socket *record);
/* Nobody can connect to it any more; who holds it accepts those who have. Not of a unix one. */
void socket_retire(const struct socket_slot *slot, const struct record_socket *record);

/* inherit.c */
int inherited_open(struct keeper *k);
int inherited_take(const struct keeper *k, const struct record_socket *record); /* -1: none fits */
void inherited_check(struct keeper *k);

/* engine.c */
void engine_signalled(struct keeper *k, int signo);  /* from outside */
void engine_check(struct keeper *k);                 /* perhaps it is dead */
void engine_lost(struct keeper *k, const char *why); /* it broke the protocol: it is killed */

/* messages.c */
int messages_open(struct keeper *k);
void message_add(struct keeper *k, struct verb verb, uint32_t place);
/* The question itself goes back, with what became of it. */
void message_answer(struct keeper *k, struct verb question, enum verb_kind kind, unsigned step,
                    int error);
void message_add_worker(struct keeper *k, const struct worker *worker, enum verb_kind kind,
                        uint64_t request);

/* workers.c */
int workers_open(struct workers *workers, uint32_t places);
struct worker *worker_find(struct workers *workers, struct worker_id id, unsigned kind);
struct worker *worker_add(struct workers *workers, struct worker_id id, uint8_t kind); /* or NULL */
struct worker *worker_waiting(const struct workers *workers); /* who waits longest; there is one */
/* The only way out of a phase; asserts that the step is a legal one. To FREE: it is forgotten. */
void worker_enter(struct workers *workers, struct worker *worker, enum worker_in in);

/* spawn.c */
void spawn_give(struct keeper *k, struct child *child);             /* to who waits longest */
void spawn_fail(struct keeper *k, enum spawn_step step, int error); /* who waits longest */

/* children.c */
void children_open(struct keeper *k);
void children_close(struct keeper *k);
void children_serve(struct keeper *k);           /* children for the workers that wait */
void children_died(struct keeper *k, pid_t pid); /* a parked one, or a launcher */

/* channel.c: how a worker is heard. */
int channel_open(struct keeper *k, struct child *child, enum spawn_step *step);
void channel_path(const struct keeper *k, const struct child *child, char *out, size_t size);
void child_close(struct keeper *k, struct child *child); /* every descriptor, and the path */

#endif
