/* event_ring.h - the last EVENTS_RING events, in memory that outlives the engine.
 *
 * A record's number is stored last, and zeroed first when the record is used again: a kill at any
 * instruction leaves every record either whole or without a number. */
#ifndef POOLD_ENGINE_EVENT_RING_H
#define POOLD_ENGINE_EVENT_RING_H

#include "supervisor/engine/events.h"

struct ring_memory;

struct event_ring {
    struct ring_memory *memory; /* borrowed */
    uint64_t first, next;       /* numbers first..next-1 are kept, but for one that was torn */
};

size_t event_ring_size(void);

/* Takes over what memory holds, or empties it when that is no ring of this version. Records that
 * cannot be ours are emptied alone. */
void event_ring_open(struct event_ring *, void *memory);

/* Keeps seen as number ring->next, which it returns; what does not fit is cut. seen->seq is not
 * read. */
uint64_t event_ring_keep(struct event_ring *, const struct event_seen *seen);

/* false: number seq is not kept. out borrows from the memory. */
bool event_ring_get(const struct event_ring *, uint64_t seq, struct event_seen *out);

#endif
