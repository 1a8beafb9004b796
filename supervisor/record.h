/* record.h - the compiled configuration: what the loader writes into a sealed memfd, and keeper,
 * poold-exec and engine read. Fixed records, then text; offsets are bytes from the start of the
 * text area, every string ends with NUL. Nothing in it needs parsing, and no name needs resolving.
 *
 * A reader calls record_open once: after that every offset and index inside is known to be in
 * range, and nothing can change (the memfd is sealed). Map it MAP_PRIVATE: before Linux 6.7 even a
 * read-only shared mapping of a write-sealed memfd is refused. */
#ifndef POOLD_RECORD_H
#define POOLD_RECORD_H

#include "common/base.h"
#include "supervisor/core/settings.h"

#define RECORD_MAGIC       "poold.cf"
#define RECORD_VERSION     8u
#define SOCKETS_A_POOL_MAX 64u
/* "/w/" and 32 digits, the name of a notify socket, must fit in a socket address with it. */
#define RECORD_RUNTIME_MAX      60u
#define RECORD_ENGINE_WORDS_MAX 40u
#define RECORD_PLACES_MAX       65536u
#define RECORD_KEEPER_FDS       140u /* what the keeper holds for no worker and no socket */

/* argc (or envc) strings that follow each other in the text area. */
struct record_strings {
    uint32_t at;
    uint32_t count;
    uint32_t bytes; /* of all of them with their NULs; at most RECORD_STRINGS_BYTES_MAX */
};
/* What execve(2) takes for sure of arguments, and of environment: a string may have 128 KiB, and
 * both together a quarter of the stack's limit, which is 8 MiB. */
#define RECORD_STRINGS_BYTES_MAX (128u << 10)

/* A pool's place in the list of pools is its number in every id, verb and saved state, so it stays
 * when the configuration is loaded again: the loader is given the configuration in force, and a pool
 * of the same name gets the same place. The place of a pool that was taken out keeps its name, with
 * `present` 0 and what its last workers need to drain (stop_signal, uid, output, sockets), for as long
 * as poold lives: when the name comes back, so do its place and the count of its generations. */

struct record_header {
    char magic[8];
    uint32_t version;
    uint32_t pools;        /* places: records of struct record_pool, right after this header */
    uint32_t sockets;      /* records of struct record_socket, after the pools */
    uint32_t errors;       /* how many errors; when not 0 there are no pools and the text area
                             starts with all of them, a line each, as one string */
    uint32_t warning_text; /* text: what poold makes do with, a line each; "" without */
    uint32_t advice_text;  /* the last string of the text area, and no part of the serial: what is
                              likely to surprise, a line each. 0: nobody asked for it */
    uint64_t text_size;    /* bytes of the text area, after the sockets */
    uint64_t serial;       /* of this configuration: its content hash */
    int64_t kept_at;       /* with errors_kept: when it was kept, seconds since 1970; else 0 */
    uint32_t engine_uid, engine_gid; /* what the engine is to run as */
    uint32_t engine_user;            /* text: the name */
    uint32_t starts_max;             /* limits.starts: 2 x the CPUs that poold may use */
    uint32_t recycles_max;           /* limits.recycles; 0: none */
    uint32_t source;                 /* text: the path of the main file */
    uint32_t pools_max;           /* most places that a later load may come to; the first load sets
                                     it, each later one keeps it, for what is sized by it lives on */
    uint32_t pools_present;       /* pools that are there: places with `present` */
    uint32_t errors_kept;         /* not 0: the file has so many errors, so this is the last good
                                     configuration; they are at error_text, a line each */
    uint32_t error_text;          /* text; "" without */
    uint32_t runtime;             /* text: absolute path of the runtime directory, at most
                                     RECORD_RUNTIME_MAX bytes */
    uint32_t control;             /* socket record + 1: the control socket, the one socket of no
                                     pool (its `pool` is NONE); 0: none, not meant for a keeper */
    uint32_t roles, role_count;   /* text offset (multiple of 4) of struct record_role, in the order
                                     of the file: who may do what over the control socket */
    struct record_strings engine; /* argv that makes poold-exec the engine (spec.h), at most
                                     RECORD_ENGINE_WORDS_MAX; count 0: not meant for a keeper */
    uint32_t nofile;              /* the limit of open files that the keeper raises its own to */
    uint32_t places;              /* for workers in the keeper's table, at most RECORD_PLACES_MAX;
                                     0: there is no room for even one */
    uint8_t log_facility;         /* syslog's, 0..23 */
    uint8_t log_level;            /* least severity written: syslog's, 0 emerg .. 7 debug */
    uint8_t pidfds;               /* bool: there is room for one a worker; else the keeper sweeps */
    uint8_t reserved;
};

/* How the listening sockets reach the program.   name users write */
/* clang-format off */
#define HANDOFFS(X)                                                                             \
    X(LISTEN_FDS, "listen_fds") /* from 3, LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES            */ \
    X(FD,         "fd")         /* from 3, nothing said                                      */ \
    X(NONE,       "none")       /* not at all; the pool has no sockets                       */ \
    X(STDIN,      "stdin")      /* one, as 0, blocking: FastCGI                              */ \
    X(NGINX,      "nginx")      /* from 3, NGINX="3;4;"                                      */ \
    X(FPM,        "fpm")        /* from 3, blocking, FPM_SOCKETS="address=3,address=4"       */
/* What becomes of what a worker writes into its pipe, stdout and stderr: the engine reads it. */
#define OUTPUTS(X)                                                                              \
    X(EVENTS, "events") /* each line is an event (6060)                                      */ \
    X(NULL,   "null")   /* nowhere                                                           */ \
    X(FILE,   NULL)     /* appended to output_path                                           */
/* clang-format on */
#define HANDOFF_(n, s) HANDOFF_##n,
#define OUTPUT_(n, s)  OUTPUT_##n,
enum handoff { HANDOFFS(HANDOFF_) HANDOFF_COUNT };
enum output { OUTPUTS(OUTPUT_) OUTPUT_COUNT };
#undef HANDOFF_
#undef OUTPUT_

/* Who may do what over the control socket; each may all that those above it may. */
/* clang-format off */
#define ROLES(X)                                                                                \
    X(NONE,     "none")                                                                         \
    X(VIEWER,   "viewer")                                                                       \
    X(OPERATOR, "operator")                                                                     \
    X(ADMIN,    "admin")
/* clang-format on */
#define ROLE_(n, s) ROLE_##n,
enum role { ROLES(ROLE_) ROLE_COUNT };
#undef ROLE_
const char *record_role_name(enum role);

/* One name of control.admin, control.operator or control.viewer. Root, and the user that poold was
 * started as, need none. */
struct record_role {
    uint32_t id;      /* uid or gid */
    uint32_t name;    /* text: as the file says it, a group's with its "@" */
    uint8_t role;     /* enum role, not NONE */
    uint8_t is_group; /* bool */
    uint8_t reserved[2];
};

/* A resource limit of the workers, by RLIMIT_* number. */
struct record_limit {
    uint32_t resource, reserved;
    uint64_t soft, hard; /* RLIM_INFINITY: none */
};

/* What the file says of one key of a pool, for the plan: in order of key, then of text. */
struct record_value {
    uint32_t key; /* row of config.def */
    uint32_t
        text; /* text: the value, canonical; an environment's begins with "NAME=" and has a hash
                      in place of the value, which may be a secret */
};

struct record_pool {
    uint32_t name;    /* text */
    uint32_t present; /* bool; 0: a place that is kept for who was there */
    uint32_t program; /* text: absolute path that argv[0] was resolved to */
    uint32_t directory;
    struct record_strings argv;
    struct record_strings env;   /* "KEY=value" each; complete but for what poold-exec adds
                                       (LISTEN_*, NOTIFY_SOCKET, POOLD_*) */
    struct record_strings ready; /* argv of the ready command; count 0: none. ready.at's first
                                       string is an absolute path */
    uint32_t uid, gid;
    uint32_t groups, group_count;        /* text offset (multiple of 4) of uint32_t gids */
    uint32_t user;                       /* text: name, for messages */
    uint32_t socket_first, socket_count; /* of this pool's socket records */
    uint32_t limits, limit_count;        /* text offset (multiple of 4) of struct record_limit */
    uint32_t values, value_count; /* text offset (multiple of 4) of struct record_value: every key
                                       whose value is not the built-in default */
    uint32_t schedule,
        schedule_count;   /* text offset (multiple of 4) of uint16_t minutes of the day, in
                                       order, at most SCHEDULE_MAX */
    uint32_t refused;     /* text: why the pool cannot start as it is configured, such as
                                       an address outside listen_addresses; "" (and not
                                       settings.refused): it can */
    uint32_t output_path; /* text: of OUTPUT_FILE */
    uint32_t umask;
    int32_t nice;
    int32_t oom_score_adjust;
    uint8_t set_nice, set_oom_score_adjust; /* bool; else as poold was started, but never protected
                                               from the OOM killer */
    uint8_t handoff;                        /* enum handoff */
    uint8_t stop_signal;
    uint8_t drop_privileges; /* bool: take uid, gid and groups (poold runs as root) */
    uint8_t no_new_privs;    /* bool */
    uint8_t output;          /* enum output */
    uint8_t auto_start;      /* bool */
    uint8_t shuts_sockets;   /* bool: of what it listened on before this change something is outside
                                listen_addresses: nobody can connect to what it has no more */
    uint8_t reserved[3];
    struct pool_settings settings;
};

struct record_socket {
    uint32_t pool;    /* NONE: the control socket */
    uint32_t name;    /* text: for LISTEN_FDNAMES */
    uint32_t address; /* text: as the file says it, for messages and FDNAMES */
    uint32_t backlog;
    uint16_t family;  /* AF_INET, AF_INET6, AF_UNIX */
    uint16_t length;  /* of the socket address */
    uint8_t dual;     /* bool, AF_INET6: accept IPv4 too */
    uint8_t blocking; /* bool: without O_NONBLOCK, as the hand-off wants it */
    uint8_t reserved[2];
    uint32_t mode;         /* AF_UNIX: of the path */
    uint32_t uid, gid;     /* AF_UNIX: owner of the path */
    uint8_t sockaddr[112]; /* struct sockaddr_in, _in6 or _un */
};

_Static_assert(sizeof(struct record_pool) == 136 + sizeof(struct pool_settings), "no padding");

/* A mapped and checked configuration. */
struct record {
    const struct record_header *header;
    const struct record_pool *pools;
    const struct record_socket *sockets;
    const char *text;
    size_t size;
};

/* Sets the pointers by what the header says, without any check: for who knows that somebody has
 * checked these very bytes (poold-exec, after the keeper), and for record_open. */
static inline void
record_view(struct record *out, const void *map, size_t size)
{
    out->header = (const struct record_header *)map;
    out->pools = (const struct record_pool *)(const void *)(out->header + 1);
    out->sockets = (const struct record_socket *)(const void *)(out->pools + out->header->pools);
    out->text = (const char *)(out->sockets + out->header->sockets);
    out->size = size;
}

/* Checks size bytes at map: magic, version, every index, offset and string end. Returns 0, -EPROTO
 * for another version (both numbers are in map and RECORD_VERSION), -EINVAL for anything else.
 * Borrows map until the last use of out. Allocates nothing; makes no system call. */
int record_open(struct record *out, const void *map, size_t size);

/* A string of the text area. Borrowed from the map. */
static inline const char *
record_text(const struct record *record, uint32_t at)
{
    assert(at < record->header->text_size);
    return record->text + at;
}

/* The i-th resource limit, and value, of a pool: copied out, for the text area is not aligned. */
static inline struct record_limit
record_limit_at(const struct record *record, const struct record_pool *pool, uint32_t i)
{
    struct record_limit limit;
    assert(i < pool->limit_count);
    __builtin_memcpy(&limit, record->text + pool->limits + i * sizeof limit, sizeof limit);
    return limit;
}

/* The i-th clock time of its schedule: minute of the day. */
static inline uint16_t
record_time_at(const struct record *record, const struct record_pool *pool, uint32_t i)
{
    uint16_t minute;
    assert(i < pool->schedule_count);
    __builtin_memcpy(&minute, record->text + pool->schedule + i * sizeof minute, sizeof minute);
    return minute;
}

static inline struct record_role
record_role_at(const struct record *record, uint32_t i)
{
    struct record_role role;
    assert(i < record->header->role_count);
    __builtin_memcpy(&role, record->text + record->header->roles + i * sizeof role, sizeof role);
    return role;
}

/* The control socket; NULL: the configuration is not meant for a keeper. */
static inline const struct record_socket *
record_control(const struct record *record)
{
    uint32_t control = record->header->control;
    return control == 0 ? NULL : &record->sockets[control - 1];
}

/* How many sockets pools have. */
static inline uint32_t
record_pool_sockets(const struct record_header *header)
{
    return header->sockets - (header->control > 0);
}

static inline struct record_value
record_value_at(const struct record *record, const struct record_pool *pool, uint32_t i)
{
    struct record_value value;
    assert(i < pool->value_count);
    __builtin_memcpy(&value, record->text + pool->values + i * sizeof value, sizeof value);
    return value;
}

#endif
