/* leaving.c - the sockets of pools that were taken out. Workers that drain have them, and whoever takes
 * the removal back is to find them with their queues: so they stay until the engine lets them go. */
#include <string.h>

#include "supervisor/load/compile.h"

/* Unless another pool has its address by now, or nobody may. */
static void
keep_socket(struct load *load, const struct record *in_force, uint32_t index,
            struct record_pool *place)
{
    struct image *image = &load->image;
    struct record_socket socket = in_force->sockets[index];
    if (!inclusion_allows(&load->inclusion, &socket) ||
        claim_address(load, &socket, image_socket_count(image)) != NONE)
        return;
    socket.name = image_string(image, record_text(in_force, socket.name));
    socket.address = image_string(image, record_text(in_force, socket.address));
    if (place->socket_count++ == 0)
        place->socket_first = image_socket_count(image);
    buffer_add(&image->sockets, &socket, sizeof socket);
}

void
leaving_put(struct load *load)
{
    const struct record *in_force = load->options->in_force;
    uint32_t places = in_force == NULL ? 0 : in_force->header->pools;
    for (uint32_t i = 0; i < places && !load->failed && !load->image.pools.failed; i++) {
        const struct record_pool *before = &in_force->pools[i];
        struct record_pool place;
        memcpy(&place, load->image.pools.bytes + i * sizeof place, sizeof place);
        for (uint32_t k = 0; !place.present && k < before->socket_count; k++)
            keep_socket(load, in_force, before->socket_first + k, &place);
        if (!place.present)
            memcpy(load->image.pools.bytes + i * sizeof place, &place, sizeof place);
    }
}
