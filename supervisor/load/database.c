/* database.c - users and groups, as the system's name services know them. */
#include "supervisor/load/database.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"

#define ENTRY_BYTES_FIRST 512u
#define ENTRY_BYTES_MAX   (1u << 20) /* a group with tens of thousands of members */
#define NAMES_OFFERED_MAX 10000      /* of a database that may be remote */

static int
database_ask(enum database which, const char *name, uid_t uid, struct database_entry *entry,
             size_t size, bool *found)
{
    struct passwd *user = NULL;
    struct group *group = NULL;
    int r = 0;
    switch (which) {
    case DATABASE_USER_NAME:
        r = getpwnam_r(name, &entry->user, entry->bytes, size, &user);
        break;
    case DATABASE_USER_ID:
        r = getpwuid_r(uid, &entry->user, entry->bytes, size, &user);
        break;
    case DATABASE_GROUP_NAME:
        r = getgrnam_r(name, &entry->group, entry->bytes, size, &group);
        break;
    }
    *found = user != NULL || group != NULL;
    return r;
}

int
database_find(enum database which, const char *name, uid_t uid, struct database_entry *entry)
{
    entry->bytes = NULL;
    size_t size = ENTRY_BYTES_FIRST;
    int r = ERANGE;
    bool found = false;
    while (r == EINTR || (r == ERANGE && size <= ENTRY_BYTES_MAX)) {
        size = r == ERANGE ? size * 2 : size;
        char *bytes = realloc(entry->bytes, size);
        r = bytes == NULL ? ENOMEM : 0;
        if (bytes == NULL)
            break;
        entry->bytes = bytes;
        r = database_ask(which, name, uid, entry, size, &found);
    }
    if (found)
        return 0;
    free(entry->bytes);
    /* Several codes mean "no such name" (getpwnam(3)). */
    return r == 0 || r == ENOENT || r == ESRCH || r == EBADF || r == EPERM ? -ENOENT : -r;
}

static void
offer_users(struct text_nearest *nearest)
{
    setpwent();
    struct passwd *user;
    for (int i = 0; i < NAMES_OFFERED_MAX && (user = getpwent()) != NULL; i++)
        text_nearest_offer(nearest, user->pw_name);
    endpwent();
}

static void
offer_groups(struct text_nearest *nearest)
{
    setgrent();
    struct group *group;
    for (int i = 0; i < NAMES_OFFERED_MAX && (group = getgrent()) != NULL; i++)
        text_nearest_offer(nearest, group->gr_name);
    endgrent();
}

void
database_explain(enum database which, const char *name, int error, char text[DATABASE_TEXT_MAX])
{
    const char *what = which == DATABASE_GROUP_NAME ? "group" : "user";
    char escaped[40];
    text_escape(escaped, sizeof escaped, name, strlen(name));
    if (error != -ENOENT) {
        snprintf(text, DATABASE_TEXT_MAX, "the %s \"%s\" cannot be looked up: %s", what, escaped,
                 strerror(-error));
        return;
    }
    struct text_nearest nearest;
    text_nearest_init(&nearest, name);
    if (which == DATABASE_GROUP_NAME)
        offer_groups(&nearest);
    else
        offer_users(&nearest);
    if (nearest.best[0] == '\0')
        snprintf(text, DATABASE_TEXT_MAX, "there is no %s \"%s\"", what, escaped);
    else
        snprintf(text, DATABASE_TEXT_MAX, "there is no %s \"%s\"; did you mean \"%s\"?", what,
                 escaped, nearest.best);
}
