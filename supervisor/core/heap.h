/* heap.h - an indexed binary min-heap over numbered nodes: what is due next, and whose turn it is.
 *
 * A node has at most one entry. Entries are ordered by (key, node), which is a total order, so what
 * comes out does not depend on how the heap came to be: one that was rebuilt from saved records
 * behaves as the one that was lost. Storage is the caller's, zeroed. */
#ifndef POOLD_CORE_HEAP_H
#define POOLD_CORE_HEAP_H

#include "common/base.h"

struct heap_entry {
    uint64_t key;
    uint32_t node;
    uint32_t unused;
};

struct heap {
    struct heap_entry *entries; /* [nodes_max] */
    uint32_t *places;           /* [nodes_max]: index of the node's entry + 1; 0: it has none */
    uint32_t len;
    uint32_t nodes_max;
};

/* Gives node the key, whether it had one or not. */
void heap_set(struct heap *, uint32_t node, uint64_t key);

/* Takes node out; no error when it is not in. */
void heap_remove(struct heap *, uint32_t node);

/* The node with the least key; NONE: the heap is empty. */
static inline uint32_t
heap_first(const struct heap *heap)
{
    return heap->len == 0 ? NONE : heap->entries[0].node;
}

/* The least key; UINT64_MAX: the heap is empty. */
static inline uint64_t
heap_first_key(const struct heap *heap)
{
    return heap->len == 0 ? UINT64_MAX : heap->entries[0].key;
}

/* The node's key, or UINT64_MAX when it is not in. */
static inline uint64_t
heap_key(const struct heap *heap, uint32_t node)
{
    assert(node < heap->nodes_max);
    uint32_t place = heap->places[node];
    return place == 0 ? UINT64_MAX : heap->entries[place - 1].key;
}

/* Whether every parent is less than its children and every place is right. For core_check. */
bool heap_is_sound(const struct heap *);

#endif
