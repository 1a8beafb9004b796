/* spec.h - what keeper and poold-exec say to each other: how poold-exec is started, what a child is
 * told to become, and what it answers.
 *
 * poold-exec is started by its descriptor with one of three words as argv[1]:
 *   launch  HELPER_LINK_FD is the launcher's link: each struct launch_request carries one
 *           descriptor, a new child's link, and is answered with a struct launch_reply, in order.
 *   child   HELPER_LINK_FD is its link as a child: the keeper has made it itself, because a filter
 *           refuses the launcher's clone.
 *   engine  UID GID ARGV0 ...: takes that identity and executes HELPER_ENGINE_FD; the engine finds
 *           its own link at HELPER_LINK_FD. No specification: there is nothing in it to say.
 *
 * A child's link is one end of a SOCK_SEQPACKET pair. It waits there for one struct spec with its
 * descriptors; then either exec closes the link, or one struct spec_failure is written and the
 * child exits 127. When the keeper closes its end, a child that waits is gone. */
#ifndef POOLD_EXEC_SPEC_H
#define POOLD_EXEC_SPEC_H

#include "supervisor/record.h"
#include "supervisor/verbs.h"

#define SPEC_VERSION 1u

#define HELPER_LINK_FD   3
#define HELPER_IMAGE_FD  4 /* poold-exec itself, held by the keeper at this number */
#define HELPER_ENGINE_FD 5 /* poold-engine, likewise */

/* The name of every process of poold-exec. A slash, because no exec can ever give a process such a
 * name: who still has it has not executed anything else. */
#define HELPER_NAME "poold/exec"

#define HELPER_EXIT 127 /* status of a child that could not do what it was told */

/* Descriptors come in this order: the pool's sockets (they land on 3 and up, where the worker
 * wants them), the worker's end of the output pipe (workers only), the compiled configuration. */
#define SPEC_FDS_MAX (SOCKETS_A_POOL_MAX + 2u)

struct spec {
    uint32_t version; /* SPEC_VERSION */
    uint16_t kind;    /* enum spawn_kind */
    uint16_t sockets; /* how many are handed over */
    struct worker_id worker;
    uint32_t socket_first; /* record of the first of them: their names */
    uint64_t pool_at;      /* offset of the pool's record in the configuration */
    uint64_t config_size;
    uint64_t nofile_soft, nofile_hard; /* RLIMIT_NOFILE that poold was started with */
    char notify[96];                   /* path of the notify socket; "": none (commands) */
};

struct spec_failure {
    uint32_t step; /* enum spawn_step */
    int32_t error; /* positive errno */
};

struct launch_request {
    uint32_t version; /* SPEC_VERSION */
    uint32_t reserved;
};

struct launch_reply {
    int32_t pid; /* of the child, or a negative errno */
    uint32_t reserved;
};

#endif
