/* shell_inside.h - the shell's own state, shared by shell.c (the turn), boot.c (birth and death) and
 * reports.c (what the keeper says). Nobody else includes it. */
#ifndef POOLD_ENGINE_SHELL_INSIDE_H
#define POOLD_ENGINE_SHELL_INSIDE_H

#include "supervisor/engine/config.h"
#include "supervisor/engine/control.h"
#include "supervisor/engine/keeper_link.h"
#include "supervisor/engine/outputs.h"
#include "supervisor/engine/schedule.h"
#include "supervisor/engine/shell.h"
#include "supervisor/engine/sinks.h"
#include "supervisor/engine/sockets.h"
#include "supervisor/engine/state.h"
#include "supervisor/engine/workers.h"

#define SINKS_MAX 8u

struct shell_pool {
    uint32_t binds_open;  /* BIND questions without an answer yet */
    uint32_t bind_failed; /* socket record + 1; 0: none. Zeroed memory is a pool that is new */
    int32_t bind_error;
    uint32_t told;     /* handle + 1 of the worker of which an event told last; 0: none */
    bool bind_put_off; /* asked for while a configuration was being taken */
};

struct shell_room {
    uint32_t *names; /* hash of pool names: open addressing, NONE empty */
    uint32_t names_mask;
    bool *bound; /* beside the record's sockets */
};

/* Birth in steps, each bounded in a loop turn: pools that no saved state has are added; LIST is asked,
 * and its workers are given to the core; pools are started where they never were, and resumed. */
enum boot { BOOT_ADDING, BOOT_LISTING, BOOT_POOLS, BOOT_DONE };

struct shell {
    struct io *io;
    struct events *events;
    struct sink *sinks[SINKS_MAX];
    uint32_t sinks_len;
    struct core *core;
    struct core_limits limits;
    size_t core_bytes;
    struct action_list actions;
    struct event *later; /* a ring of actions.cap events */
    uint32_t later_at, later_len;
    struct record record;
    struct keeper_link *link;
    struct workers *workers;
    struct sockets *sockets;
    struct schedule *schedule;
    struct outputs *outputs;
    struct control *control;
    struct config *config;
    struct state *state;
    struct verb hello;
    struct shell_pool *pools; /* beside the record's pools */
    struct shell_room room;   /* beside the record */
    bool *commands;           /* beside the core's handles: a ready command runs */
    uint64_t request;
    msec started_at;
    uint32_t living; /* worker processes */
    uint32_t adopted;
    enum boot boot;
    uint32_t boot_next;      /* ADDING, POOLS: the next pool; NONE: nothing to do by itself */
    uint32_t confirm_pieces; /* of input, read since a deadline has come */
    msec awaited_at;         /* when the turn before wanted the next one at the latest */
    msec believe_at;         /* after a stall: no deadline counts before */
    int exit_status;
    bool restored;    /* the core came out of the state memfd */
    bool config_more; /* the configuration's next step need not wait */
    bool stepping;
    bool stopping; /* SHUTDOWN was fed */
    bool left;     /* LEAVE was asked */
    msec leave_at; /* when left: whatever clients have not taken by then is lost */
};

void shell_turn(void *ctx);               /* shell.c */
void shell_boot(struct shell *);          /* boot.c: a bounded step of being born */
void shell_note_shutdown(struct shell *); /* boot.c: the event, once */
void shell_leave(struct shell *, int exit_status);
void shell_list(struct shell *);
void shell_ask(struct shell *, enum verb_kind, struct verb);
/* boot.c: memory that goes with a configuration. It is made before the keeper is asked to take that one,
 * because from then on nothing may fail. 0, or -ENOMEM with *out as it was. */
int shell_room_make(struct shell_room *out, const struct record *);
void shell_room_drop(struct shell_room *);
/* boot.c: the configuration in force is that one from now on, with its room, and other becomes the one
 * before. */
void shell_swap_record(struct shell *, struct record *other, struct shell_room *);
/* shell.c: what apply_bind put off. */
void shell_bind_again(struct shell *, uint32_t pool);
void shell_release(struct shell *, struct worker_id, enum spawn_kind);
void shell_kill(struct shell *, struct worker_id, enum spawn_kind);
void shell_note_ready(struct shell *, struct worker_id); /* to the keeper, if it cares */
void shell_bind_result(struct shell *, uint32_t socket, int32_t error);
/* reports.c: what the keeper says; the callbacks of its link. */
void shell_on_report(void *ctx, const struct verb *, const int *fds, uint32_t count);
void shell_on_keeper_gone(void *ctx);

#endif
