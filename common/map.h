/* map.h - a hash table from 64-bit hashes to 64-bit values that only grows. */
#ifndef POOLD_MAP_H
#define POOLD_MAP_H

#include "common/base.h"

struct map_entry {
    uint64_t key; /* 0: free */
    uint64_t value;
};

struct map {
    struct map_entry *entries;
    size_t capacity; /* 0 or a power of two */
    size_t count;
};

/* A zeroed struct map is empty. */
void map_fini(struct map *);

/* The value of key, or NULL. Borrowed until the next map_put. */
uint64_t *map_find(const struct map *, uint64_t key);

/* Sets key's value. Returns 0, or -ENOMEM (the map is as before). */
int map_put(struct map *, uint64_t key, uint64_t value) ATTR_NODISCARD;

#endif
