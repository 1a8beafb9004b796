/* places.c - which place each pool has in the list of pools, over loads. */
#include "supervisor/load/places.h"

#include <string.h>

#include "common/hash.h"
#include "supervisor/load/compile.h"

static uint32_t
place_count(const struct load *load)
{
    return (uint32_t)(load->places.names.len / sizeof(const char *));
}

const char *
place_name(const struct load *load, uint32_t place)
{
    assert(place < place_count(load));
    return ((const char *const *)(const void *)load->places.names.bytes)[place];
}

static struct pointer *
place_owner(const struct load *load, uint32_t place)
{
    return (struct pointer *)(void *)load->places.owners.bytes + place;
}

/* The place of the name. NONE: it has none, and *hash is where it belongs. Names that share a hash
 * go on to the next one. */
static uint32_t
place_find(const struct load *load, const char *name, uint64_t *hash)
{
    *hash = hash_mix(hash_bytes(HASH_START, name, strlen(name)));
    for (;;) {
        const uint64_t *place = map_find(&load->places.by_name, *hash);
        if (place == NULL)
            return NONE;
        if (strcmp(place_name(load, (uint32_t)*place), name) == 0)
            return (uint32_t)*place;
        *hash = hash_mix(*hash + 1);
    }
}

/* Adds a place at the end. */
static uint32_t
place_add(struct load *load, const char *name, uint64_t hash)
{
    const struct pointer nowhere = {.file = NONE};
    struct places *places = &load->places;
    uint32_t place = place_count(load);
    buffer_add(&places->names, &name, sizeof name);
    buffer_add(&places->owners, &nowhere, sizeof nowhere);
    if (places->names.failed || places->owners.failed ||
        map_put(&places->by_name, hash, place) != 0) {
        load->failed = true;
        return NONE;
    }
    return place;
}

void
places_init(struct load *load)
{
    const struct record *in_force = load->options->in_force;
    uint64_t hash;
    for (uint32_t i = 0; in_force != NULL && i < in_force->header->pools && !load->failed; i++) {
        const char *name = record_text(in_force, in_force->pools[i].name);
        uint32_t place = place_find(load, name, &hash);
        assert(place == NONE); /* it was made here */
        place_add(load, name, hash);
    }
    load->places.kept = place_count(load);
}

void
places_fini(struct load *load)
{
    map_fini(&load->places.by_name);
    buffer_fini(&load->places.names);
    buffer_fini(&load->places.owners);
}

uint32_t
place_take(struct load *load, const char *name)
{
    uint64_t hash;
    if (load->failed)
        return NONE;
    uint32_t place = place_find(load, name, &hash);
    if (place == NONE)
        place = place_add(load, name, hash);
    if (place == NONE)
        return NONE;
    struct pointer *owner = place_owner(load, place);
    if (owner->file != NONE) {
        problem_add_both(&load->problems, &load->pointer, owner,
                         "another file has a pool of that name already, at ");
        return NONE;
    }
    *owner = load->pointer;
    load->places.present++;
    return place;
}

uint32_t
place_of(const struct load *load, const char *name)
{
    uint64_t hash;
    uint32_t place = place_find(load, name, &hash);
    if (place == NONE)
        return NONE;
    const struct pointer *owner = place_owner(load, place);
    return owner->file == load->pointer.file && owner->path == load->pointer.path ? place : NONE;
}

bool
place_shuts_sockets(const struct load *load, uint32_t place)
{
    const struct record *in_force = load->options->in_force;
    return in_force != NULL && place < in_force->header->pools &&
           !inclusion_allows_all(&load->inclusion, in_force, &in_force->pools[place]);
}

/* A place whose pool an earlier change took out; the engine refuses it while that pool drains. The
 * search begins anywhere, so that the same place is not wanted by one change after the other. */
static uint32_t
place_free(const struct load *load, uint32_t count)
{
    const struct record_header *in_force = load->options->in_force->header;
    const struct record_pool *pools = load->options->in_force->pools;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = (uint32_t)((in_force->serial + i) % count);
        if (!pools[place].present && place_owner(load, place)->file == NONE)
            return place;
    }
    return NONE;
}

/* While there is room each name that ever was keeps its place. Then the names that are new, at the end,
 * take places of pools that have gone. Returns how many places there are then. */
static uint32_t
places_reuse(struct load *load, uint32_t room)
{
    struct places *places = &load->places;
    uint32_t count = place_count(load), old = MIN(places->kept, room), place;
    uint64_t hash;
    while (count > room && (place = place_free(load, old)) != NONE) {
        const char **names = (const char **)(void *)places->names.bytes;
        uint32_t last = place_find(load, names[count - 1], &hash);
        assert(last == --count);
        names[place] = names[last];
        *place_owner(load, place) = *place_owner(load, last);
        *map_find(&places->by_name, hash) = place;
    }
    places->names.len = count * sizeof(const char *);
    places->owners.len = count * sizeof(struct pointer);
    return count;
}

void
places_put(struct load *load)
{
    const struct record *in_force = load->options->in_force;
    uint32_t room = in_force != NULL ? in_force->header->pools_max : place_count(load);
    if (load->failed)
        return;
    uint32_t count = places_reuse(load, room);
    if (count > room)
        problem_add(&load->problems, NULL, PROBLEM_AT_FILE,
                    "%u pools, with %u that this change takes out and that drain beside them, are "
                    "%u; there is room for %u until poold is started anew: apply once without the "
                    "new ones, or stop it and start it",
                    load->places.present, count - load->places.present, count, room);
    for (uint32_t i = 0; i < count; i++) {
        struct record_pool place;
        memset(&place, 0, sizeof place);
        place.name = image_string(&load->image, place_name(load, i));
        /* For workers that still drain; of a place that is reused there are none. */
        if (in_force != NULL && i < in_force->header->pools) {
            const struct record_pool *before = &in_force->pools[i];
            place.uid = before->uid;
            place.stop_signal = before->stop_signal;
            place.output = before->output;
            place.output_path =
                image_string(&load->image, record_text(in_force, before->output_path));
            place.shuts_sockets = place_shuts_sockets(load, i);
        }
        buffer_add(&load->image.pools, &place, sizeof place);
    }
}
