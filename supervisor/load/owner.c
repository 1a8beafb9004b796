/* owner.c - who the path of a unix socket belongs to, when its element of `listen` says so. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/load/compile.h"
#include "supervisor/load/database.h"

static void
refuse(struct load *load, const char *member, const char *why)
{
    struct pointer_mark mark = pointer_enter_member(&load->pointer, member);
    problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE, "%s", why);
    pointer_leave(&load->pointer, mark);
}

static bool
is_own_group(gid_t gid)
{
    int count = getgroups(0, NULL);
    gid_t *groups = calloc((size_t)MAX(count, 0) + 1, sizeof *groups);
    bool found = gid == getegid();
    count = groups == NULL ? 0 : getgroups(count, groups);
    for (int i = 0; i < count && !found; i++)
        found = groups[i] == gid;
    free(groups);
    return found;
}

static void
resolve_user(struct load *load, const char *name, uint32_t *uid)
{
    struct database_entry entry;
    char why[DATABASE_TEXT_MAX];
    int r = database_find(DATABASE_USER_NAME, name, 0, &entry);
    if (r != 0) {
        database_explain(DATABASE_USER_NAME, name, r, why);
        refuse(load, "user", why);
        return;
    }
    *uid = entry.user.pw_uid;
    free(entry.bytes);
    if (!load->is_root && *uid != geteuid())
        refuse(load, "user",
               "poold does not run as root, so its sockets belong to its own user; "
               "leave the key out");
}

static void
resolve_group(struct load *load, const char *name, uint32_t *gid)
{
    struct database_entry entry;
    char why[DATABASE_TEXT_MAX];
    int r = database_find(DATABASE_GROUP_NAME, name, 0, &entry);
    if (r != 0) {
        database_explain(DATABASE_GROUP_NAME, name, r, why);
        refuse(load, "group", why);
        return;
    }
    *gid = entry.group.gr_gid;
    free(entry.bytes);
    if (!load->is_root && !is_own_group(*gid))
        refuse(load, "group", "poold does not run as root and is not in that group");
}

void
owner_resolve(struct load *load, const struct listen_draft *listen, struct record_socket *socket)
{
    if (listen->user != NULL)
        resolve_user(load, listen->user, &socket->uid);
    if (listen->group != NULL)
        resolve_group(load, listen->group, &socket->gid);
}
