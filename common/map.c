/* map.c - a hash table from 64-bit hashes to 64-bit values that only grows. */
#include "common/map.h"

#include <errno.h>
#include <stdlib.h>

#include "common/hash.h"

enum { MAP_CAPACITY_FIRST = 64 };

/* 0 marks a free entry, so the key 0 is stored as another one. */
static uint64_t
map_key(uint64_t key)
{
    return key == 0 ? 1 : key;
}

/* The entry of key, or the free one where it belongs. There is always a free one. */
static struct map_entry *
map_slot(struct map_entry *entries, size_t capacity, uint64_t key)
{
    size_t i = (size_t)hash_mix(key) & (capacity - 1);
    while (entries[i].key != 0 && entries[i].key != key)
        i = (i + 1) & (capacity - 1);
    return &entries[i];
}

static int
map_grow(struct map *map)
{
    size_t capacity = map->capacity == 0 ? MAP_CAPACITY_FIRST : map->capacity * 2;
    struct map_entry *entries = calloc(capacity, sizeof *entries);
    if (entries == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->entries[i].key != 0)
            *map_slot(entries, capacity, map->entries[i].key) = map->entries[i];
    }
    free(map->entries);
    map->entries = entries;
    map->capacity = capacity;
    return 0;
}

void
map_fini(struct map *map)
{
    free(map->entries);
    *map = (struct map){0};
}

uint64_t *
map_find(const struct map *map, uint64_t key)
{
    if (map->capacity == 0)
        return NULL;
    struct map_entry *entry = map_slot(map->entries, map->capacity, map_key(key));
    return entry->key == 0 ? NULL : &entry->value;
}

int
map_put(struct map *map, uint64_t key, uint64_t value)
{
    if (map->count * 2 >= map->capacity && map_grow(map) != 0)
        return -ENOMEM;
    struct map_entry *entry = map_slot(map->entries, map->capacity, map_key(key));
    if (entry->key == 0)
        map->count++;
    *entry = (struct map_entry){.key = map_key(key), .value = value};
    return 0;
}
