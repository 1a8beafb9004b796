/* helper.h - the parts of poold-exec, one for the other. */
#ifndef POOLD_EXEC_HELPER_H
#define POOLD_EXEC_HELPER_H

#include "supervisor/exec/spec.h"

/* Where a child keeps its link while it waits: above every number that a specification's
 * descriptors can land on (3 to 3 + SPEC_FDS_MAX), so that they need not be moved. */
#define CHILD_LINK_FD 100
_Static_assert(CHILD_LINK_FD > 3 + SPEC_FDS_MAX, "sockets must land on 3 and up");

/* First instruction in C; stack is argc, argv, NULL, envp, NULL as the kernel left them. */
_Noreturn void helper_main(long *stack);

/* The first step that failed; none: step is STEP_NONE. */
struct failure {
    enum spawn_step step;
    int error; /* positive errno */
};

/* Serves the keeper's requests for children until the keeper closes the link. */
_Noreturn void launcher_run(void);

/* What is the same for every child and passes from parent to child: standard descriptors, OOM
 * score, root's locks. Done once, by the launcher; by a child itself that has none. */
struct failure heritage_make(void);

/* A child's whole life: prepare what no specification changes, wait for the specification, become
 * what it says. link is its end of the pair, heritage what heritage_make returned; a failure is
 * kept until there is a worker to report it for. */
_Noreturn void child_run(int link, struct failure heritage);

/* 0, 1 and 2 become /dev/null. Returns 0 or a negative errno. */
int null_standard_fds(void);

/* Each returns whether it succeeded, and fills failure when it did not. As root only. */
bool identity_lock_root(struct failure *failure); /* securebits, bounding set, ambient set */
bool identity_take(uint32_t uid, uint32_t gid, const uint32_t *groups, uint32_t group_count,
                   struct failure *failure);
/* For everyone. */
bool identity_no_new_privs(struct failure *failure);

/* Each returns whether it succeeded, and fills failure when it did not. */
bool oom_score_unprotect(struct failure *failure);
/* Priority, OOM score and resource limits, while there are rights to raise them. */
bool limits_take(const struct record *record, const struct record_pool *pool,
                 const struct spec *spec, struct failure *failure);

/* argv and envp of a worker, from its records; false when they do not fit their bounds. They point
 * into the record and into memory that the next call uses again. */
struct program {
    const char *path;
    char *const *argv;
    char *const *envp;
};
bool program_make(struct program *out, const struct record *record, const struct record_pool *pool,
                  const struct spec *spec);

#endif
