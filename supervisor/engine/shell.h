/* shell.h - the engine around the core: what the parts of it may ask of the whole. */
#ifndef POOLD_ENGINE_SHELL_H
#define POOLD_ENGINE_SHELL_H

#include "common/base.h"
#include "common/err.h"
#include "supervisor/core/core.h"
#include "supervisor/engine/events.h"
#include "supervisor/engine/io.h"
#include "supervisor/record.h"

struct shell;

struct shell_options {
    int keeper_fd;            /* ENGINE_KEEPER_FD */
    const char **log_targets; /* --log, in order */
    uint32_t log_count;       /* 0: syslog, or stderr where there is none */
};

/* The engine's life from HELLO to LEAVE. Returns the exit status. */
int shell_main(const struct shell_options *);

/* The loop turn's time. */
msec shell_now(const struct shell *);
struct io *shell_io(struct shell *);
struct state *shell_state(struct shell *);
struct events *shell_events(struct shell *);
const struct core *shell_core(const struct shell *);
const struct record *shell_record(const struct shell *);

/* What status says of the whole. */
struct shell_status {
    int32_t keeper_pid, engine_pid;
    msec up_ms;              /* of the keeper: since the first engine's start */
    uint32_t restarts;       /* engines before this one */
    uint32_t pools, workers; /* configured, living processes */
    uint32_t workers_max;    /* what the keeper's descriptors allow */
    uint32_t starts_held, starts_waiting, starts_max;
    uint32_t recycles_held, recycles_waiting, recycles_max; /* max 0: no limit */
    uint64_t config_serial;
    const char *config_path;
    uint32_t config_errors;      /* not 0: the files had so many when poold started, so that the */
    int64_t config_last_good_at; /* ... last good one is in force, stored then: s since 1970 */
    bool stopping;
};
void shell_status(const struct shell *, struct shell_status *out);

/* Index of the pool of that name; NONE. A hash look-up. */
uint32_t shell_pool_find(const struct shell *, const char *name);
const char *shell_pool_name(const struct shell *, uint32_t pool);
/* False: the place of a pool that was taken out of the configuration and has gone. */
bool shell_pool_is_there(const struct shell *, uint32_t pool);

/* Why the pool cannot start as it is configured; "": it can. */
const char *shell_refused(const struct shell *, uint32_t pool);

/* The address of the pool's socket that could not be bound last. */
const char *shell_bind_failure(const struct shell *, uint32_t pool);
/* That socket; NULL: none. */
const struct record_socket *shell_bind_failed(const struct shell *, uint32_t pool);

/* Has the keeper listen() again on a socket, if it is bound (VERB_LISTEN). */
void shell_listen(struct shell *, uint32_t socket);

/* Has the keeper open the pool's output file (VERB_OPEN), with the file's number for the answer, and
 * sets the number of the question. False while the keeper's configuration may be another one: ask
 * again later. */
bool shell_open_output(struct shell *, uint32_t pool, uint32_t file, uint64_t *out_request);
bool shell_config_is_taking(const struct shell *);

/* Where the output of the pool's workers goes; file: of OUTPUT_FILE. */
struct output_file;
enum output shell_output(const struct shell *, uint32_t pool, struct output_file **file);

/* What a worker says of its requests (REQUESTS=, ACTIVE=), which not every worker does. */
struct worker_counts {
    uint64_t requests; /* served since its start */
    uint32_t active;   /* in flight; more than UINT32_MAX are told as so many */
    bool has_requests, has_active;
};

/* What the shell knows of a worker beside the core's view. */
struct shell_worker {
    int32_t pid;             /* 0: not yet known */
    const char *status_text; /* its last STATUS=, escaped; or "". Borrowed until the next turn */
    const char *last_line;   /* of its output, escaped; "" without. Borrowed likewise */
    const char *asks; /* while its wish to be replaced is told: what it said, escaped; or "" */
    uint32_t foreign; /* datagrams of other users that were dropped */
    struct worker_counts counts;      /* as it said last, also of one that has gone */
    bool command_runs, command_ended; /* its ready command; ended: at least once */
    struct exit_status command;       /* how it ended last; EXIT_UNKNOWN: it could not be run */
};
void shell_worker(const struct shell *, uint32_t handle, struct shell_worker *out);

/* Handle of the pool's worker of which an event told last; NONE. Perhaps it has been released. */
uint32_t shell_last_told(const struct shell *, uint32_t pool);

/* When the next clock time of the pool's schedule comes, in ms since 1970; INT64_MAX: never. */
int64_t shell_next_scheduled_ms(const struct shell *, uint32_t pool);

/* config_ask, for who knows the shell only. */
uint64_t shell_config_ask(struct shell *, bool apply);

/* Feeds one event to the core and applies what it wants, now. event.now is filled in. */
void shell_feed(struct shell *, struct event *);

#endif
