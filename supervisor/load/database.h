/* database.h - users and groups, as the system's name services know them. */
#ifndef POOLD_LOAD_DATABASE_H
#define POOLD_LOAD_DATABASE_H

#include <grp.h>
#include <pwd.h>
#include <sys/types.h>

#include "common/base.h"

/* A user or a group. */
struct database_entry {
    struct passwd user;
    struct group group;
    char *bytes; /* what the two borrow from; free it */
};

enum database { DATABASE_USER_NAME, DATABASE_USER_ID, DATABASE_GROUP_NAME };

/* Looks a name (or, for DATABASE_USER_ID, uid) up. Returns 0, -ENOENT, or a negative errno of the
 * name service. */
int database_find(enum database, const char *name, uid_t uid, struct database_entry *);

/* Writes why the name was not found (error is database_find's), with the nearest one there is. */
#define DATABASE_TEXT_MAX 160
void database_explain(enum database, const char *name, int error, char text[DATABASE_TEXT_MAX]);

#endif
