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

void
places_put(struct load *load)
{
    const struct record *in_force = load->options->in_force;
    uint32_t count = place_count(load);
    if (in_force != NULL && count > in_force->header->pools_max)
        problem_add(&load->problems, NULL, PROBLEM_AT_FILE,
                    "%u pools, with %u places kept for pools that were taken out, are %u; there is "
                    "room for %u until poold is started anew: stop it and start it",
                    load->places.present, count - load->places.present, count,
                    in_force->header->pools_max);
    for (uint32_t i = 0; i < count; i++) {
        struct record_pool place;
        memset(&place, 0, sizeof place);
        place.name = image_string(&load->image, place_name(load, i));
        if (in_force != NULL && i < in_force->header->pools) { /* for workers that still drain */
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
