/* user.h - the name of a user, for people. */
#ifndef POOLD_ENGINE_USER_H
#define POOLD_ENGINE_USER_H

#include "supervisor/record.h"

#define USER_NAME_MAX 64u

/* The user's name, printable, where the configuration's roles (record; may be NULL) or /etc/passwd have
 * one. Returns name; "" where it cannot be known. */
const char *user_name(const struct record *, uint32_t uid, char name[USER_NAME_MAX]);

#endif
