/* verbs.h - what engine and keeper say to each other, and what the keeper gives to poold-exec.
 *
 * One SOCK_SEQPACKET pair; every message is one struct verb, fixed size, host byte order, with
 * descriptors (SCM_RIGHTS) where the list says so. The engine asks, the keeper answers with the
 * request number of the question; what the keeper tells unasked has request 0. Both sides refuse a
 * version that they do not know, with both numbers. */
#ifndef POOLD_VERBS_H
#define POOLD_VERBS_H

#include "common/base.h"

#define VERB_VERSION 2u

/* clang-format off */
/* Engine to keeper. */
#define VERB_QUESTIONS(X)                                                                     \
    X(BIND)     /* index: socket record. Binds and listens -> BIND_RESULT. argument: enum    \
                   bind_what; one that the configuration in force has too is bound already */ \
    X(LISTEN)   /* index: socket record. listen() again with the record's backlog, for workers \
                   set their own; a unix path that one has removed is put back -> RESTORED  */ \
    X(OPEN)     /* index: pool record; argument: the asker's. Opens the file that the pool's output \
                   goes to, and makes it when it is not there -> OPENED                    */ \
    X(UNBIND)   /* index: socket record. Closes it, removes a unix path                    */ \
    X(SPAWN)    /* worker, spawn kind. A second one is answered with the first's result    */ \
    X(SIGNAL)   /* worker, signo, argument: enum signal_target                             */ \
    X(READY)    /* worker of a pool that waits for READY=1: it has come. Until then what a worker  \
                   says waits in its socket, even when no engine is there for long         */ \
    X(RELEASE)  /* worker: its exit has been recorded, the pid may go                      */ \
    X(LIST)     /* -> LISTED_SOCKET, LISTED_WORKER ..., LIST_END                           */ \
    X(LOAD)     /* compile the configuration's files again -> LOADED                       */ \
    X(TAKE)     /* what LOADED brought is in force from now on. Sockets that both have go   \
                   on (backlog, mode and owner as it says), others of the old one are closed  \
                   -> TAKEN                                                                */ \
    X(DROP)     /* what LOADED brought is not wanted: what was bound for it is closed      */ \
    X(KEEP)     /* store the configuration in force as the last good one; LOAD and KEEP are done  \
                   one at a time -> KEPT                                                   */ \
    X(LEAVE)    /* all done: the keeper cleans up and exits; argument: exit status         */
/* Keeper to engine. */
#define VERB_REPORTS(X)                                                                       \
    X(HELLO)         /* first message; see struct verb_hello. Descriptors: state memfd,     \
                        compiled configuration, control listener                           */ \
    X(BIND_RESULT)   /* index, error (0: bound), address text goes by the record            */ \
    X(RESTORED)      /* index: its path was gone. error (0: it is there again; EEXIST: something  \
                        else is; EXDEV: it has no second name)                             */ \
    X(OPENED)        /* index, argument; error (0: it is open; ELOOP: a symbolic link is on the way; \
                        ENXIO: it is no regular file; EMLINK: it has several names; EAGAIN: ask again).\
                        Descriptor: to append to                                           */ \
    X(SPAWNED)       /* worker, pid. Descriptors: notify socket, output pipe (kind WORKER)  */ \
    X(SPAWN_FAILED)  /* worker, step, error                                                 */ \
    X(EXECUTED)      /* worker                                                              */ \
    X(EXEC_FAILED)   /* worker, step, error                                                 */ \
    X(EXITED)        /* worker, status (code = CLD_EXITED, CLD_KILLED, CLD_DUMPED)          */ \
    X(LISTED_SOCKET) /* index                                                               */ \
    X(LISTED_WORKER) /* worker, pid, phase; step, error, status as far as known.            \
                        Descriptors as SPAWNED (kind WORKER, phase not FAILED)             */ \
    X(LIST_END)      /*                                                                     */ \
    X(OUTSIDE)       /* signo: a signal from outside (TERM, INT, HUP, USR1). argument: how   \
                        many TERM and INT have come in all; said again to each new engine   */ \
    X(LOADED)        /* error (0: there is one; errors in the files are in it; EBUSY: a load is  \
                        under way). Descriptor: the compiled configuration                 */ \
    X(TAKEN)         /* error (ENOENT: there is nothing to take). Descriptor: the control   \
                        listener of what is in force now, perhaps the same as before       */ \
    X(KEPT)          /* error (0: it is stored; ECHILD: it is not, and why has been said; EBUSY: a \
                        LOAD or KEEP is under way)                                         */ \
    X(STRAY)         /* pid, name: a process that is nobody's worker ended as our child     */

/* Steps of a spawn that can fail, with what an operator reads. SPAWN_FAILED has those up to CLONE,
 * and DESCRIPTORS when they cannot be handed over (ENOTCONN: a socket of the pool is not bound).
 * Nothing is left of such a spawn: asking again tries again. EXEC_FAILED has those after CLONE,
 * and NOTIFY_SOCKET when it cannot be given to the worker's user. */
#define SPAWN_STEPS(X)                                               \
    X(NONE,          "")                                             \
    X(TABLE,         "find a place in the keeper's table")           \
    X(NOTIFY_SOCKET, "make the notify socket")                       \
    X(OUTPUT_PIPE,   "make the output pipe")                         \
    X(CLONE,         "make a process")                               \
    X(SPECIFICATION, "read the specification")                       \
    X(DESCRIPTORS,   "arrange the descriptors")                      \
    X(UMASK,         "set the umask")                                \
    X(LIMITS,        "set the resource limits")                      \
    X(PRIORITY,      "set the priority")                             \
    X(OOM_SCORE,     "set the OOM score adjustment")                 \
    X(KEYRING,       "make a session keyring")                       \
    X(SECUREBITS,    "lock the securebits")                          \
    X(BOUNDING_SET,  "drop the capability bounding set")             \
    X(GROUPS,        "set the supplementary groups")                 \
    X(GROUP,         "take the group")                               \
    X(USER,          "take the user")                                \
    X(VERIFY,        "verify that no privilege is left")             \
    X(NO_NEW_PRIVS,  "forbid new privileges")                        \
    X(DIRECTORY,     "enter the working directory")                  \
    X(EXEC,          "execute the program")                          \
    X(KILLED,        "it was killed before it executed the program")
/* clang-format on */

#define VERB_Q_(n)       VERB_##n,
#define VERB_STEP_(n, s) STEP_##n,
enum verb_kind { VERB_INVALID, VERB_QUESTIONS(VERB_Q_) VERB_REPORTS(VERB_Q_) VERB_COUNT };
enum spawn_step { SPAWN_STEPS(VERB_STEP_) SPAWN_STEP_COUNT };

enum spawn_kind {
    SPAWN_WORKER,
    SPAWN_COMMAND
}; /* COMMAND: the pool's ready command. It has the
                                                    worker's id, identity and environment, but no
                                                    sockets, and is told apart by kind */
/* IN_FORCE: a record of the configuration in force. NEXT: of what LOADED brought. BESIDE: the same, and
 * sockets in force that are in the way, on the same port, may share it for the instant of the bind;
 * those that TAKE takes out take no new connection any more. */
enum bind_what { BIND_IN_FORCE, BIND_NEXT, BIND_BESIDE };
enum signal_target { TARGET_PID, TARGET_GROUP };
enum worker_phase { PHASE_SPAWNED, PHASE_EXECUTED, PHASE_EXEC_FAILED, PHASE_EXITED };

struct verb {
    uint32_t version; /* VERB_VERSION */
    uint16_t kind;    /* enum verb_kind */
    uint16_t spawn;   /* enum spawn_kind */
    uint64_t request; /* the asker's number; 0 in what is told unasked */
    struct worker_id worker;
    uint32_t index; /* of a socket record */
    int32_t pid;
    int32_t signo;
    uint32_t step;  /* enum spawn_step */
    int32_t error;  /* positive errno; 0: none */
    uint16_t code;  /* si_code of the exit */
    uint16_t phase; /* enum worker_phase */
    int32_t status; /* si_status of the exit */
    uint32_t argument;
    union {
        char name[16];
        struct {
            uint64_t config_serial;
            int32_t keeper_pid;
            uint32_t restarts;    /* engines before this one in this keeper's life */
            uint32_t workers_max; /* what the keeper's table and descriptors allow */
            uint16_t exit_code;   /* how the engine before ended: si_code, si_status */
            uint16_t exit_status;
            uint64_t away_ms;  /* since the end of the engine before */
            uint32_t launcher; /* bool: one makes the children; else the keeper, one by one */
        } hello;
    } u;
};
_Static_assert(sizeof(struct verb) == 104, "a verb is 104 bytes on every machine");

/* Descriptors of the engine at its start. */
#define ENGINE_KEEPER_FD 3 /* its end of the seqpacket pair */

/* Descriptor of the loader (`poold-engine --load`): its end of a seqpacket pair. It gives what the
 * keeper is to hold, each as soon as it is there, one descriptor with one uint32_t that says which;
 * so the keeper can clear up after a loader that got stuck half-way. Without a configuration poold
 * ends, with the loader's exit status. `--reload` gives a configuration alone; `--keep` gives the one
 * in force back, once it is stored. */
#define LOADER_LINK_FD 3
/* In the runtime directory: a symbolic link to the control socket, wherever that is. */
#define CONTROL_LINK "control.link"
/* The name of its process; as no exec can give it (a slash), it is not taken for a worker's stray. */
#define LOADER_NAME "poold/load"
enum loaded {
    LOADED_RUNTIME, /* the runtime directory */
    LOADED_LOCK,    /* the lock file in it, locked: the lock goes with the open file */
    LOADED_CONFIG,  /* memfd: the compiled configuration (record.h), sealed */
    LOADED_COUNT
};

#endif
