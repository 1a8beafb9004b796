/* keeper.h - the keeper's parts, one for the other, and everything that it knows.
 *
 * One thread, one epoll, tables that are sized once. Nothing here decides: the engine asks by verbs
 * (supervisor/verbs.h), the keeper does it at once or says why not. */
#ifndef POOLD_KEEPER_KEEPER_H
#define POOLD_KEEPER_KEEPER_H

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "supervisor/keeper/options.h"
#include "supervisor/keeper/say.h"
#include "supervisor/keeper/worker.h"
#include "supervisor/record.h"
#include "supervisor/verbs.h"

#define FDS_SPARE      64u /* descriptors that always stay free */
#define TURN_MAX       64  /* things of one kind that are done in one turn of the loop */
#define PARKED_MAX     8u
#define LAUNCHES_MAX   64u /* children asked of the launcher at one time */
#define ANSWERS_MAX    64u /* answers without a worker or socket to keep them; power of two */
#define RUNTIME_NAME_W "w"

/* What an epoll event is about: a tag, and an index in the table that the tag names. */
/* clang-format off */
#define TAGS(X)                                             \
    X(SIGNALS,        signals_read)                         \
    X(ENGINE_LINK,    engine_link_ready)                    \
    X(ENGINE_EXIT,    engine_exited)                        \
    X(LAUNCHER_LINK,  launcher_ready)                       \
    X(LAUNCHER_EXIT,  launcher_exited)                      \
    X(WORKER_LINK,    worker_link_ready)                    \
    X(WORKER_EXIT,    worker_exit_ready)                    \
    X(DISCARD,        discard_ready)

#define TIMERS(X)                                                                        \
    X(REFILL,   children_refill)   /* park children again                             */ \
    X(LAUNCHER, launcher_start)    /* another launcher                                */ \
    X(SWEEP,    exits_sweep)       /* look for deaths that nothing has told           */ \
    X(RECHECK,  exits_recheck)     /* did it execute or die? (see exits.c)            */ \
    X(RESEND,   reports_pump)      /* the kernel would not carry more descriptors     */ \
    X(ENGINE,   engine_start)      /* another engine                                  */ \
    X(DISCARD,  discard_start)     /* nobody reads what workers say                   */ \
    X(LEAVE,    engine_overdue)    /* the engine said LEAVE and does not go           */
/* clang-format on */

struct keeper;
#define TAG_(name, function)   TAG_##name,
#define TIMER_(name, function) TIMER_##name,
enum tag { TAGS(TAG_) TAG_COUNT };
enum timer { TIMERS(TIMER_) TIMER_COUNT };
#define TAG_HANDLER_(name, function)   void function(struct keeper *, uint32_t index);
#define TIMER_HANDLER_(name, function) void function(struct keeper *);
TAGS(TAG_HANDLER_)
TIMERS(TIMER_HANDLER_)

/* A child that waits for its specification. */
struct child {
    pid_t pid;
    int link;
    int pidfd; /* -1: none */
};

struct children {
    bool use_launcher;
    pid_t launcher;
    int launcher_link, launcher_pidfd; /* -1: there is none now */
    uint32_t launcher_failures;        /* in a row */
    msec launcher_since;
    int launches[LAUNCHES_MAX]; /* links of children asked for; answers come in this order */
    uint32_t launch_at, launch_count;
    struct child parked[PARKED_MAX + LAUNCHES_MAX]; /* all that can have been asked for */
    uint32_t parked_count, parked_target;           /* the target is at most PARKED_MAX */
    msec refill_not_before; /* a parked child died unused, or none could be made */
};

struct socket_slot {
    int fd; /* -1: not bound */
    dev_t path_device;
    ino_t path_inode; /* of a unix listener's path, so that only ours is removed */
    uint64_t request; /* of the question that is to be answered */
    int32_t error;
    bool answer; /* BIND_RESULT is to be sent */
    uint32_t answer_next;
};

struct engine {
    pid_t pid;
    int pidfd, link; /* -1: none */
    bool attached;   /* HELLO has been sent */
    bool blocked;    /* waiting until the link is writable */
    uint32_t budget; /* messages that may still be sent in this turn */
    bool leaving;    /* it said LEAVE */
    int leave_status;
    uint32_t stops; /* TERM and INT that have come */
    uint32_t restarts;
    uint32_t quick_deaths; /* in a row, within QUICK_MS of their start */
    msec started_at, ended_at;
    uint16_t exit_code, exit_status;
    bool hello;       /* to be sent */
    uint64_t outside; /* bit signo - 1: OUTSIDE is to be sent */
    struct verb answers[ANSWERS_MAX];
    uint32_t answer_at, answer_count;
    uint32_t sockets_first, sockets_last; /* with an answer to send; NONE: empty */
    bool listing;                         /* LIST is being answered: */
    uint64_t list_request;
    uint32_t list_at; /* next socket, then next place of the worker table */
};

struct keeper {
    struct options options;
    struct record record;
    struct rlimit nofile; /* that poold was started with */
    bool root;
    int epoll_fd, signal_fd, discard_fd;
    int runtime_fd, lock_fd, control_fd, state_fd, config_fd;
    struct worker_table workers;
    struct children children;
    struct engine engine;
    struct channel spares[PARKED_MAX]; /* made ahead, as many as children are parked */
    uint32_t spare_count;
    struct socket_slot *sockets; /* one per socket record */
    uint32_t fds_for_workers;    /* descriptors that workers may hold together, pidfds too */
    msec now;
    msec timers[TIMER_COUNT]; /* when; MSEC_NEVER: off */
    bool done;
    int status; /* to exit with, once done */
};

/* --- loop.c */
int loop_open(struct keeper *k); /* 0 or a negative errno */
void loop_run(struct keeper *k); /* until k->done */
int loop_watch(struct keeper *k, int fd, uint32_t events, enum tag tag, uint32_t index);
void loop_rewatch(struct keeper *k, int fd, uint32_t events, enum tag tag, uint32_t index);
void timer_set(struct keeper *k, enum timer timer, msec at);
void timer_earliest(struct keeper *k, enum timer timer, msec at); /* never later than it is */
msec clock_now(void);

/* --- runtime.c: 0, or the status to exit with after a line to stderr. */
int runtime_open(struct keeper *k);
void runtime_clean(struct keeper *k);

/* --- images.c: poold-engine and poold-exec, held since the start. */
int images_open(void);                                     /* 0, or the status to exit with */
_Noreturn void images_run_engine(struct options *options); /* --check, --version */

/* --- start.c. image: HELPER_IMAGE_FD or HELPER_ENGINE_FD; gift becomes the child's descriptor 3.
 * Returns the pid or a negative errno. */
pid_t process_start(int image, const char *const *argv, int gift, bool with_engine_image);
int pid_open(pid_t pid); /* a pidfd, close-on-exec, or a negative errno */
void fd_close(int *fd);  /* closes and sets to -1; -1 is ignored */

/* --- pass.c. Never waits. 0 or a negative errno; -EAGAIN: the link is full. */
int pass(int to, const void *bytes, size_t size, const int *fds, uint32_t count);

/* --- loader.c: 0, or the status to exit with. */
int loader_run(struct keeper *k);

/* --- children.c */
void children_open(struct keeper *k);
void children_close(struct keeper *k);
void children_serve(struct keeper *k);           /* children for the workers that wait */
bool children_died(struct keeper *k, pid_t pid); /* whether that was a parked child */

/* --- spawn.c */
void spawn_asked(struct keeper *k, const struct verb *verb);
/* Gives the child to the first worker that waits (there must be one).
 * CHILD_TAKEN: child is the worker now. CHILD_LOST: it was dead already; the worker waits on.
 * WORKER_FAILED: the worker has been answered, the child is as it was. NO_ROOM: neither: the answer
 * cannot be kept, so the worker waits on. */
enum give { CHILD_TAKEN, CHILD_LOST, WORKER_FAILED, NO_ROOM };
enum give spawn_give(struct keeper *k, const struct child *child);
/* Answers the first worker that waits. False: no room for the answer, it waits on. */
bool spawn_fail_first(struct keeper *k, enum spawn_step step, int error);

/* --- hold.c: what a living or dead worker's process takes. */
void worker_signal(struct keeper *k, const struct verb *verb);
void worker_release(struct keeper *k, const struct verb *verb);
void workers_forget(struct keeper *k, uint32_t most); /* the released: reaps and closes */
void worker_no_pidfd(struct keeper *k, struct worker *worker);
void workers_make_room(struct keeper *k); /* for one worker's descriptors: pidfds must go first */
void workers_kill(struct keeper *k);

/* --- channel.c: 0, or a negative errno and the step that failed. */
int channel_open(struct keeper *k, struct channel *channel, enum spawn_step *step);
int channel_take(struct keeper *k, struct channel *channel, const struct record_pool *pool,
                 enum spawn_step *step); /* a spare one, or a new one, for a worker of that pool */
void channel_close(struct keeper *k, struct channel *channel);
void channel_path(const struct keeper *k, const struct channel *channel, char *out, size_t size);

/* --- exits.c */
#define SWEEP_MS 50 /* at most that often workers without a pidfd are looked at, each for 0.6 us */
void exits_hint(struct keeper *k, pid_t pid); /* perhaps it is dead */
void exits_recheck_later(struct keeper *k, struct worker *worker);
void exits_reap_all(struct keeper *k, msec limit_ms);

/* --- listen.c */
int sockets_open(struct keeper *k);
void sockets_close(struct keeper *k);
void socket_bind(struct keeper *k, const struct verb *verb);
void socket_listen(struct keeper *k, const struct verb *verb);
void socket_unbind(struct keeper *k, const struct verb *verb);

/* --- engine.c */
void engine_outside(struct keeper *k, int signo);
void engine_lost(struct keeper *k, const char *why); /* it broke the protocol: it is killed */
void engine_leave(struct keeper *k, const struct verb *verb);

/* --- reports.c: what is to be told, kept until it can be sent. */
void reports_reset(struct keeper *k); /* no engine: a new one will ask LIST */
void report_worker(struct keeper *k, struct worker *worker, unsigned reports);
void report_socket(struct keeper *k, uint32_t index, uint64_t request, int error);
bool report_answer(struct keeper *k, const struct verb *verb); /* false: no room now */
void report_list(struct keeper *k, const struct verb *verb);

/* --- discard.c */
void discard_stop(struct keeper *k);

#endif
