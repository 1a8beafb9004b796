/* user.c - the name of a user, from what can be read at once: a directory service could keep the engine
 * waiting. */
#include "supervisor/engine/user.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"

#define ENTRIES_MAX 1000u /* of /etc/passwd that are read: half a millisecond */

static bool
name_in_roles(const struct record *record, uint32_t uid, char name[USER_NAME_MAX])
{
    for (uint32_t i = 0; record != NULL && i < record->header->role_count; i++) {
        struct record_role role = record_role_at(record, i);
        const char *text = record_text(record, role.name);
        if (role.is_group || role.id != uid)
            continue;
        text_escape(name, USER_NAME_MAX, text, strlen(text));
        return true;
    }
    return false;
}

const char *
user_name(const struct record *record, uint32_t uid, char name[USER_NAME_MAX])
{
    name[0] = '\0';
    if (name_in_roles(record, uid, name))
        return name;
    struct passwd *user = NULL;
    FILE *users = fopen("/etc/passwd", "re");
    for (uint32_t i = 0; users != NULL && i < ENTRIES_MAX; i++) {
        if ((user = fgetpwent(users)) == NULL || user->pw_uid == uid)
            break;
        user = NULL;
    }
    if (user != NULL)
        text_escape(name, USER_NAME_MAX, user->pw_name, strlen(user->pw_name));
    if (users != NULL)
        fclose(users);
    return name;
}
