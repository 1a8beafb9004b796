/* places.h - which place each pool has in the list of pools, over loads (record.h). */
#ifndef POOLD_LOAD_PLACES_H
#define POOLD_LOAD_PLACES_H

#include "common/map.h"
#include "supervisor/load/buffer.h"
#include "supervisor/load/problem.h"

struct load;

struct places {
    struct map by_name; /* hash of a name -> its place */
    struct buffer
        names; /* const char * by place; borrowed from configuration in force and documents */
    struct buffer owners; /* struct pointer by place: where the pool stands; file NONE: nowhere */
    uint32_t kept;        /* places of the configuration in force */
    uint32_t present;     /* pools that stand somewhere */
};

/* Takes the places of the configuration in force, if there is one. */
void places_init(struct load *);
void places_fini(struct load *);

/* The place of the pool that load->pointer points to, from now on its own. NONE: another file has
 * the name already, which was reported, or there is no memory. */
uint32_t place_take(struct load *, const char *name);

/* The place that the pool that load->pointer points to has taken, or NONE. */
uint32_t place_of(const struct load *, const char *name);

/* Puts the places of all pools, by name alone, into the image. Where there are more than the
 * configuration in force has room for, new pools get places of others that have gone; when those do not
 * suffice, that is reported. Only from then on place_of is right. */
void places_put(struct load *);

/* Whether the pool that has the place in force listens outside of `listen_addresses`. */
bool place_shuts_sockets(const struct load *, uint32_t place);

/* The name of the pool at a place. */
const char *place_name(const struct load *, uint32_t place);

#endif
