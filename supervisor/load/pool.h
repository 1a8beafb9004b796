/* pool.h - one pool on its way from JSON to its records. */
#ifndef POOLD_LOAD_POOL_H
#define POOLD_LOAD_POOL_H

#include <jansson.h>

#include "common/base.h"
#include "supervisor/record.h"

struct load;

struct ready_draft {
    enum ready_rule rule;
    uint32_t after_ms;
    const json_t *command; /* NULL: none */
};

/* What a pool's keys said, in the shape that the record wants where nothing has to be looked up.
 * Strings and trees are borrowed from the document. */
struct draft {
    struct record_pool record;
    const json_t *command; /* NULL: not given, or wrong */
    const json_t *environment;
    const json_t *listen;
    const char *directory;
    const char *user, *group; /* NULL: not given */
    struct ready_draft ready;
    uint64_t wrong; /* bit i: key i was given and is wrong */
    bool is_misnamed; /* may be no pool at all, so nothing is missed in it */
};

/* Fills preset with all defaults. Returns 0 or -ENOMEM. */
int pool_preset(struct load *, struct draft *preset);

/* False: the key of that path was given and its value was refused already. */
bool draft_is_right(const struct draft *, const char *path);

/* Keys that stand in every object, hold a string, and say nothing to poold. */
bool is_comment(const char *key);

/* Compiles the pool that load->pointer points to, or reports everything that is wrong with it. */
void pool_compile(struct load *, const char *name, const json_t *object);

#endif
