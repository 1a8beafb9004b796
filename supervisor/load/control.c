/* control.c - the control socket: its path, and who may do what over it, names resolved to numbers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/text.h"
#include "supervisor/load/compile.h"
#include "supervisor/load/database.h"
#include "supervisor/load/roles.h"

#define BACKLOG      128u  /* connections that wait while the engine is busy, or is replaced */
#define MODE_PRIVATE 0600u /* only root and the own user have a role */
#define MODE_PUBLIC  0666u /* the engine looks who comes */

/* "@GROUP", or a user's name. Returns whether it was found, else it is a problem. */
static bool
look_up(struct load *load, const char *name, struct record_role *role)
{
    struct database_entry entry;
    char why[DATABASE_TEXT_MAX];
    bool is_group = name[0] == '@';
    enum database database = is_group ? DATABASE_GROUP_NAME : DATABASE_USER_NAME;
    int r = database_find(database, name + is_group, 0, &entry);
    if (r != 0) {
        database_explain(database, name + is_group, r, why);
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE, "%s", why);
        return false;
    }
    role->is_group = is_group;
    role->id = is_group ? entry.group.gr_gid : entry.user.pw_uid;
    free(entry.bytes);
    return true;
}

/* One name, which load->pointer points to. */
static void
take_name(struct load *load, enum role which, const json_t *element)
{
    struct record_role role = {.role = (uint8_t)which};
    const char *name = json_string_value(element);
    char found[JSON_FOUND_MAX];
    if (name == NULL || name[0] == '\0' || strcmp(name, "@") == 0 || !text_is_printable(name)) {
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE,
                    "found %s, but the name of a user, or of a group as \"@wheel\", is needed",
                    json_found(element, found));
        return;
    }
    if (!look_up(load, name, &role))
        return;
    role.name = image_string(&load->image, name);
    buffer_add(&load->roles, &role, sizeof role);
}

static void
take_names(struct load *load, enum role which, const json_t *names)
{
    size_t index;
    json_t *element;
    struct pointer_mark list = pointer_enter_member(&load->pointer, record_role_name(which));
    json_array_foreach(names, index, element)
    {
        struct pointer_mark mark = pointer_enter_element(&load->pointer, index);
        take_name(load, which, element);
        pointer_leave(&load->pointer, mark);
    }
    pointer_leave(&load->pointer, list);
}

void
control_take_roles(struct load *load)
{
    struct pointer_mark group = pointer_enter_member(&load->pointer, "control");
    for (enum role role = ROLE_ADMIN; role > ROLE_NONE; role--)
        take_names(load, role, load->top.roles[role]);
    pointer_leave(&load->pointer, group);
}

static bool
others_have_roles(const struct load *load)
{
    struct record_role role;
    for (size_t at = 0; at < load->roles.len; at += sizeof role) {
        memcpy(&role, load->roles.bytes + at, sizeof role);
        if (role_is_of_another(&role))
            return true;
    }
    return false;
}

/* Its address into the socket's record. The value was checked; the runtime directory leaves room. */
static void
set_path(const struct load *load, struct record_socket *socket)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (load->top.control_socket != NULL)
        snprintf(address.sun_path, sizeof address.sun_path, "%s", load->top.control_socket);
    else
        snprintf(address.sun_path, sizeof address.sun_path, "%s/control", load->options->runtime);
    socket->family = AF_UNIX;
    socket->length =
        (uint16_t)(offsetof(struct sockaddr_un, sun_path) + strlen(address.sun_path) + 1);
    memcpy(socket->sockaddr, &address, sizeof address);
}

void
control_put(struct load *load)
{
    struct image *image = &load->image;
    struct record_socket socket = {.pool = NONE,
                                   .backlog = BACKLOG,
                                   .mode = others_have_roles(load) ? MODE_PUBLIC : MODE_PRIVATE,
                                   .uid = geteuid(),
                                   .gid = getegid()};
    if (load->top.control_socket == NULL && load->options->runtime == NULL)
        return; /* a check: where poold will run is not known */
    set_path(load, &socket);
    const char *path = (const char *)socket.sockaddr + offsetof(struct sockaddr_un, sun_path);
    socket.name = socket.address = image_string(image, path);
    if (!listen_claim_control(load, &socket))
        return;
    buffer_add(&image->sockets, &socket, sizeof socket);
    load->control = image_socket_count(image);
}

void
control_put_header(struct load *load, struct record_header *header)
{
    header->control = load->control;
    header->role_count = (uint32_t)(load->roles.len / sizeof(struct record_role));
    header->roles = image_bytes(&load->image, load->roles.bytes, load->roles.len, 4);
    load->failed = load->failed || load->roles.failed;
}
