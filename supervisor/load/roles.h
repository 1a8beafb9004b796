/* roles.h - who may do what over the control socket, by a compiled configuration. */
#ifndef POOLD_LOAD_ROLES_H
#define POOLD_LOAD_ROLES_H

#include "supervisor/record.h"

/* The highest role that a user has by its name, or by one of these groups. Root, and the user that
 * poold was started as, are admin without being named: that is for the caller. */
enum role roles_of(const struct record *, uint32_t uid, const uint32_t *groups, uint32_t count);

/* It is of somebody who would not be admin anyhow: neither root nor our own user. */
bool role_is_of_another(const struct record_role *);

#endif
