/* listen.c - the addresses that a pool listens on. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/hash.h"
#include "common/text.h"
#include "supervisor/load/compile.h"

static const struct record_socket *
socket_at(const struct load *load, uint32_t index)
{
    const void *sockets = load->image.sockets.bytes;
    return (const struct record_socket *)sockets + index;
}

bool
listen_claim_control(struct load *load, const struct record_socket *socket)
{
    uint32_t other = claim_address(load, socket, image_socket_count(&load->image));
    if (other == NONE)
        return true;
    bool given = load->top.control_socket != NULL;
    const char *path = load->image.text.bytes + socket->address;
    char escaped[TEXT_WORD_MAX * 2];
    text_escape(escaped, sizeof escaped, path, strlen(path));
    pointer_init(&load->pointer, 0);
    if (given) {
        pointer_enter_member(&load->pointer, "control");
        pointer_enter_member(&load->pointer, "socket");
    }
    problem_add(&load->problems, given ? &load->pointer : NULL,
                given ? PROBLEM_AT_VALUE : PROBLEM_AT_FILE,
                "the control socket cannot be \"%s\", where the pool \"%.64s\" listens", escaped,
                place_name(load, socket_at(load, other)->pool));
    return false;
}

/* --- The list of a pool: first what is wanted, then, if all of it may be, the sockets. */

struct wanted {
    struct listen_draft listen;
    const char *text; /* the address for messages; a wildcard's, when it became several */
    size_t element;
};

struct wanted_list {
    struct wanted list[SOCKETS_A_POOL_MAX];
    uint32_t count;
    uint32_t refused; /* text: the pool may not listen there; 0: it may */
    bool has_too_many;
};

static void
want(struct load *load, struct wanted_list *wanted, const struct wanted *one)
{
    if (wanted->count < SOCKETS_A_POOL_MAX) {
        wanted->list[wanted->count++] = *one;
        return;
    }
    if (!wanted->has_too_many)
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE,
                    "with listen_addresses the pool comes to more than %u sockets",
                    SOCKETS_A_POOL_MAX);
    wanted->has_too_many = true;
}

/* The pool does not start with an address outside the list: it fails closed, and says so. */
static void
refuse_outside(struct load *load, struct wanted_list *wanted, const char *text, const char *why)
{
    char escaped[TEXT_WORD_MAX * 2], list[INCLUSION_LIST_MAX], all[512];
    if (wanted->refused != 0)
        return;
    text_escape(escaped, sizeof escaped, text, strlen(text));
    snprintf(all, sizeof all, "\"%s\" %s listen_addresses (%s)", escaped, why,
             inclusion_text(&load->inclusion, list));
    wanted->refused = image_string(&load->image, all);
}

/* One socket for each address that the wildcard may stand for. */
static void
want_each(struct load *load, struct wanted_list *wanted, const struct wanted *wildcard)
{
    struct wanted one = *wildcard;
    char text[INCLUSION_TEXT_MAX];
    uint32_t i = 0;
    for (;
         inclusion_expand(&load->inclusion, &wildcard->listen.socket, i, &one.listen.socket, text);
         i++) {
        one.listen.socket.address = image_string(&load->image, text);
        want(load, wanted, &one);
    }
    if (i == 0)
        refuse_outside(load, wanted, wildcard->text, "stands for none of");
}

static void
want_element(struct load *load, struct wanted_list *wanted, const json_t *element, size_t index)
{
    struct wanted one = {.element = index};
    if (!listen_element_take(load, element, &one.listen))
        return;
    one.text = one.listen.address;
    if (load->inclusion.count > 0 && inclusion_is_wildcard(&one.listen.socket)) {
        want_each(load, wanted, &one);
        return;
    }
    if (!inclusion_allows(&load->inclusion, &one.listen.socket))
        refuse_outside(load, wanted, one.text, "is outside");
    one.listen.socket.address = image_string(&load->image, one.text);
    want(load, wanted, &one);
}

/* The same socket a second time, in the same list. */
static void
refuse_twice(struct load *load, const struct wanted *one, const struct wanted *other)
{
    const char *pointer = load->pointer.text, *last = strrchr(pointer, '/');
    char why[sizeof load->pointer.text + 64];
    snprintf(why, sizeof why, "is there already, at %.*s/%zu", (int)(last - pointer), pointer,
             other->element);
    address_refuse(load, one->text, why);
}

static void
refuse_claimed(struct load *load, const struct wanted_list *wanted, const struct wanted *one,
               uint32_t first, uint32_t index)
{
    const struct record_socket *other = socket_at(load, index), *socket = &one->listen.socket;
    bool same = other->family == socket->family && other->dual == socket->dual &&
                memcmp(other->sockaddr, socket->sockaddr, sizeof socket->sockaddr) == 0;
    if (same && index >= first) {
        refuse_twice(load, one, &wanted->list[index - first]);
        return;
    }
    const char *text = load->image.text.bytes + other->address;
    char why[TEXT_WORD_MAX * 4], address[TEXT_WORD_MAX * 2];
    text_escape(address, sizeof address, text, strlen(text));
    snprintf(why, sizeof why, "cannot be bound together with \"%s\" of the pool \"%.64s\"", address,
             place_name(load, other->pool));
    address_refuse(load, one->text, why);
}

/* Completes the socket's record, which has its address, and puts it into the image. */
static void
add_socket(struct load *load, struct draft *draft, const char *pool, uint32_t place,
           const struct identity *identity, struct wanted *one)
{
    struct record_socket *socket = &one->listen.socket;
    const struct listen_draft *listen = &one->listen;
    socket->pool = place;
    socket->name = image_string(&load->image, listen->name != NULL ? listen->name : pool);
    socket->backlog = listen->backlog != 0 ? listen->backlog : draft->queue_length;
    socket->blocking =
        draft->record.handoff == HANDOFF_STDIN || draft->record.handoff == HANDOFF_FPM;
    if (listen->has_mode)
        socket->mode = listen->mode;
    socket->uid = identity == NULL ? 0 : identity->uid;
    socket->gid = identity == NULL ? 0 : identity->gid;
    if (socket->family == AF_UNIX)
        owner_resolve(load, listen, socket);
    buffer_add(&load->image.sockets, socket, sizeof *socket);
    draft->record.socket_count++;
}

static void
add_sockets(struct load *load, struct draft *draft, const char *pool, uint32_t place,
            const struct identity *identity, struct wanted_list *wanted)
{
    uint32_t first = image_socket_count(&load->image);
    struct wanted *kept = wanted->list; /* of those that became sockets, at their index */
    for (uint32_t i = 0; i < wanted->count; i++) {
        struct wanted one = wanted->list[i];
        struct pointer_mark mark = pointer_enter_element(&load->pointer, one.element);
        uint32_t index = image_socket_count(&load->image);
        uint32_t other = claim_address(load, &one.listen.socket, index);
        if (load->image.text.failed || load->image.sockets.failed) {
            load->failed = true;
        } else if (other != NONE) {
            refuse_claimed(load, wanted, &one, first, other);
        } else {
            kept[index - first] = one;
            add_socket(load, draft, pool, place, identity, &one);
        }
        pointer_leave(&load->pointer, mark);
    }
}

void
listen_resolve(struct load *load, struct draft *draft, const char *pool, uint32_t place,
               const struct identity *identity)
{
    struct wanted_list wanted = {.count = 0};
    size_t index, problems_before = load->problems.count;
    json_t *element;
    draft->record.socket_first = image_socket_count(&load->image);
    struct pointer_mark list = pointer_enter_member(&load->pointer, "listen");
    json_array_foreach(draft->listen, index, element)
    {
        struct pointer_mark mark = pointer_enter_element(&load->pointer, index);
        want_element(load, &wanted, element, index);
        pointer_leave(&load->pointer, mark);
    }
    draft->record.refused = wanted.refused;
    draft->wants_sockets = wanted.count;
    draft->has_wrong_sockets = load->problems.count > problems_before;
    if (wanted.refused == 0 && place != NONE)
        add_sockets(load, draft, pool, place, identity, &wanted);
    pointer_leave(&load->pointer, list);
}
