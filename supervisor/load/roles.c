/* roles.c - who may do what over the control socket, by a compiled configuration. */
#include "supervisor/load/roles.h"

#include <unistd.h>

static bool
is_in(uint32_t id, const uint32_t *groups, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (groups[i] == id)
            return true;
    }
    return false;
}

enum role
roles_of(const struct record *record, uint32_t uid, const uint32_t *groups, uint32_t count)
{
    enum role best = ROLE_NONE;
    for (uint32_t i = 0; i < record->header->role_count; i++) {
        struct record_role role = record_role_at(record, i);
        if (role.role > best && (role.is_group ? is_in(role.id, groups, count) : role.id == uid))
            best = role.role;
    }
    return best;
}

bool
role_is_of_another(const struct record_role *role)
{
    return role->is_group || (role->id != 0 && role->id != geteuid());
}
