/* config_inside.h - what the parts of a round share: config.c (asked, loaded, planned, over) and
 * config_take.c (bound, taken, told). Nobody else includes it. */
#ifndef POOLD_ENGINE_CONFIG_INSIDE_H
#define POOLD_ENGINE_CONFIG_INSIDE_H

#include "supervisor/engine/config.h"
#include "supervisor/engine/shell_inside.h"

enum config_phase { IDLE, LOADING, PLANNING, BINDING, TAKING, TELLING, KEEPING, PHASE_COUNT };

struct config {
    struct shell *shell;
    enum config_phase phase; /* only enter changes it */
    uint64_t round;          /* of this phase; IDLE: of the last one */
    bool apply;              /* somebody wants this round's to be applied */
    bool again, again_apply; /* somebody asked since this round began */
    struct record loaded;    /* LOADING ends with it; TELLING: the one before */
    struct shell_room room;  /* of loaded, before it is taken */
    struct plan_totals totals;
    uint32_t places[CONFIG_PLACES_MAX], places_len;
    uint32_t next;       /* PLANNING, TELLING: place; BINDING: socket record */
    uint32_t binds_open; /* BIND questions without an answer yet */
    bool crowded;        /* sockets of our own are in the way of some */
    bool beside;         /* all others are bound: now those are, beside what is in force */
    char why[640];
};

/* --- config.c */
void config_enter(struct config *, enum config_phase);
/* The round is over, with what was loaded dropped unless it is in force. */
void config_end(struct config *);
/* The same; nothing has changed, and the log is told why. */
void config_refuse(struct config *);

/* --- config_take.c: a bounded step of the phase */
void config_bind_step(struct config *);
void config_tell_step(struct config *);

#endif
