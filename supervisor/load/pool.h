/* pool.h - what a file's keys say, on its way from JSON to the records. */
#ifndef POOLD_LOAD_POOL_H
#define POOLD_LOAD_POOL_H

#include <jansson.h>
#include <sys/resource.h>

#include "common/base.h"
#include "supervisor/load/keys.h"
#include "supervisor/record.h"

struct load;

/* How many rows config.def has for pools. */
enum {
#define KEY(...) +1
    POOL_KEY_COUNT = 0
#include "supervisor/load/config.def"
};
_Static_assert(POOL_KEY_COUNT <= 64, "the bits of draft.wrong");

/* Where a value came from; a later one stands over an earlier one. */
enum layer {
    LAYER_BUILT_IN,
    LAYER_MAIN_DEFAULTS, /* `defaults` of the main file */
    LAYER_FILE_DEFAULTS, /* of the included file that the pool is in */
    LAYER_PRESET,
    LAYER_POOL,
    LAYER_COUNT
};

struct ready_draft {
    enum ready_rule rule;
    uint32_t after_ms;
    const json_t *command; /* NULL: none */
};

struct output_draft {
    enum output kind;
    const char *path; /* OUTPUT_FILE */
};

struct signed_draft {
    int32_t value;
    bool is_set;
};

struct limit_draft {
    uint64_t value; /* RLIM_INFINITY: unlimited */
    bool is_set;
};

/* Objects of variables, a later one's over an earlier one's. */
struct environment_draft {
    const json_t *layers[LAYER_COUNT];
    uint32_t count;
};

struct given {
    const json_t *value; /* NULL: built in */
    enum layer layer;
};

/* What a pool's keys said, in the shape that the record wants where nothing has to be looked up.
 * Strings and trees are borrowed from the documents. */
struct draft {
    struct record_pool record;
    const json_t *command; /* NULL: not given, or wrong */
    struct environment_draft environment;
    const json_t *listen;
    const json_t *schedule;
    const json_t *groups; /* NULL: not given */
    const char *directory;
    const char *user, *group; /* NULL: not given */
    struct ready_draft ready;
    struct output_draft output;
    struct limit_draft limits[RLIM_NLIMITS]; /* by RLIMIT_* */
    struct signed_draft nice, oom_score_adjust;
    uint32_t queue_length;
    uint32_t wants_sockets;             /* that `listen` comes to */
    bool has_wrong_sockets;             /* some of them were refused */
    uint8_t preset;                     /* enum preset */
    struct given given[POOL_KEY_COUNT]; /* by row of config.def */
    uint64_t wrong;                     /* bit i: the value of key i was refused */
    bool is_misnamed;                   /* may be no pool at all, so nothing is missed in it */
};

/* What the keys of the main file itself said. */
struct top {
    const json_t *include, *defaults, *pools, *listen_addresses;
    const char *control_socket;      /* NULL: not given */
    const json_t *roles[ROLE_COUNT]; /* by enum role, but for ROLE_NONE */
    uint8_t log_facility, log_level;
    uint32_t starts; /* 0: not given */
    uint32_t recycles;
};

/* Fills draft with what is built in. Returns 0 or -ENOMEM. */
int draft_init(struct load *, struct draft *);

/* Takes the value that a layer gives for the key; what is wrong with it is reported at
 * load->pointer. Returns whether it is right. */
bool draft_take(struct load *, struct draft *, enum layer, const struct config_key *,
                const json_t *value);

/* Takes a whole object of keys, `defaults` or a pool, that load->pointer points to. */
void draft_take_object(struct load *, struct draft *, enum layer, const json_t *object);

/* False: the value of the key of that path was refused already. */
bool draft_is_right(const struct draft *, const char *path);

/* Points load->pointer to where the value of the key came from: in the pool that it points to now,
 * or in `defaults`; to the pool itself for what came from neither. Returns what it was, to be put
 * back. */
struct pointer draft_enter(struct load *, const struct draft *, const char *path);

/* Keys that stand in every object, hold a string, and say nothing to poold. */
bool is_comment(const char *key);

/* True for a name that a pool may have. */
bool pool_name_is_valid(const char *);

/* Compiles the pool that load->pointer points to for its place, from what its file's pools start
 * with, or reports everything that is wrong with it. place NONE: it has none, because its name is
 * wrong or taken. */
void pool_compile(struct load *, const struct draft *base, const char *name, uint32_t place,
                  const json_t *object);

#endif
