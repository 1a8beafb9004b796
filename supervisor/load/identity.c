/* identity.c - who a pool runs as: names from the file, numbers from the user database. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/text.h"
#include "supervisor/load/compile.h"
#include "supervisor/load/database.h"

#define GROUPS_MAX 65536 /* NGROUPS_MAX of the kernel */
#define NOBODY     65534u

/* The groups that the user database gives the user, into the image. */
static void
take_groups(struct load *load, struct identity *identity)
{
    int count = 64;
    gid_t *groups = NULL;
    for (int tries = 0; tries < 2; tries++) {
        gid_t *more = reallocarray(groups, (size_t)count, sizeof *groups);
        if (more == NULL)
            break;
        groups = more;
        if (getgrouplist(identity->user, identity->gid, groups, &count) >= 0) {
            _Static_assert(sizeof(gid_t) == sizeof(uint32_t), "gids are 32 bits");
            identity->group_count = (uint32_t)count;
            identity->groups = image_bytes(&load->image, groups, (size_t)count * sizeof *groups, 4);
            free(groups);
            return;
        }
        count = MIN(count, GROUPS_MAX);
    }
    free(groups);
    load->failed = true;
}

static void
take_user(struct identity *identity, const struct passwd *user)
{
    identity->user = strdup(user->pw_name);
    identity->home = strdup(user->pw_dir[0] == '/' ? user->pw_dir : "/");
    identity->shell = strdup(user->pw_shell[0] == '/' ? user->pw_shell : "/bin/sh");
    identity->uid = user->pw_uid;
    identity->gid = user->pw_gid;
}

static void
look_up_group(struct identity *identity)
{
    if (identity->asked_group == NULL)
        return;
    struct database_entry entry;
    int r = database_find(DATABASE_GROUP_NAME, identity->asked_group, 0, &entry);
    if (r != 0) {
        database_explain(DATABASE_GROUP_NAME, identity->asked_group, r, identity->group_error);
        return;
    }
    identity->gid = entry.group.gr_gid;
    free(entry.bytes);
}

/* As root: who the pool names. */
static void
look_up(struct load *load, struct identity *identity)
{
    struct database_entry entry;
    int r = database_find(DATABASE_USER_NAME, identity->asked_user, 0, &entry);
    if (r != 0) {
        database_explain(DATABASE_USER_NAME, identity->asked_user, r, identity->user_error);
    } else {
        take_user(identity, &entry.user);
        free(entry.bytes);
    }
    look_up_group(identity);
    if (identity->user_error[0] == '\0' && identity->group_error[0] == '\0')
        take_groups(load, identity);
}

/* Not as root: ourselves, whatever the pool names. A user id need not have a name (containers). */
static void
look_up_own(struct identity *identity)
{
    char number[16];
    snprintf(number, sizeof number, "%u", (unsigned)geteuid());
    struct passwd nameless = {.pw_name = number, .pw_dir = (char[]){"/"}, .pw_shell = (char[]){""}};
    struct database_entry entry;
    if (database_find(DATABASE_USER_ID, NULL, geteuid(), &entry) == 0) {
        take_user(identity, &entry.user);
        free(entry.bytes);
    } else {
        take_user(identity, &nameless);
    }
    identity->gid = getegid();
    gid_t own = identity->gid;
    look_up_group(identity);
    if (identity->user != NULL && identity->asked_user != NULL &&
        strcmp(identity->asked_user, identity->user) != 0)
        snprintf(identity->user_error, sizeof identity->user_error,
                 "poold does not run as root, so workers run as \"%.32s\"; leave the key out",
                 identity->user);
    if (identity->group_error[0] == '\0' && identity->gid != own)
        snprintf(identity->group_error, sizeof identity->group_error,
                 "poold does not run as root, so workers keep its own group; leave the key out");
}

static bool
is_equal(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static char *
copy_of(struct load *load, const char *string)
{
    char *copy = string == NULL ? NULL : strdup(string);
    if (string != NULL && copy == NULL)
        load->failed = true;
    return copy;
}

/* The identity of these names, looked up once a load. NULL: out of memory. */
static struct identity *
identity_find(struct load *load, const char *user, const char *group)
{
    struct identity *identity = load->identities;
    for (; identity != NULL; identity = identity->next) {
        if (is_equal(identity->asked_user, user) && is_equal(identity->asked_group, group))
            return identity;
    }
    identity = calloc(1, sizeof *identity);
    if (identity == NULL) {
        load->failed = true;
        return NULL;
    }
    identity->next = load->identities;
    load->identities = identity;
    identity->asked_user = copy_of(load, user);
    identity->asked_group = copy_of(load, group);
    if (load->failed)
        return NULL;
    if (load->is_root)
        look_up(load, identity);
    else
        look_up_own(identity);
    bool complete = identity->user != NULL && identity->home != NULL && identity->shell != NULL;
    if (identity->user_error[0] == '\0' && !complete)
        load->failed = true;
    return load->failed ? NULL : identity;
}

/* Reports at /identity/NAME of the pool. */
static void
refuse(struct load *load, const char *name, const char *text)
{
    struct pointer_mark mark = pointer_enter_member(&load->pointer, "identity");
    pointer_enter_member(&load->pointer, name);
    problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE, "%s", text);
    pointer_leave(&load->pointer, mark);
}

const struct identity *
identity_resolve(struct load *load, const struct draft *draft)
{
    if (!draft_is_right(draft, "identity.user") || !draft_is_right(draft, "identity.group"))
        return NULL;
    if (load->is_root && draft->user == NULL) {
        if (!draft->is_misnamed)
            problem_add(&load->problems, &load->pointer, PROBLEM_AT_KEY,
                        "\"identity\": {\"user\": ...} is missing; poold runs as root, so the pool "
                        "must name its user, \"root\" too");
        return NULL;
    }
    const struct identity *identity = identity_find(load, draft->user, draft->group);
    if (identity == NULL)
        return NULL;
    if (identity->user_error[0] != '\0')
        refuse(load, "user", identity->user_error);
    if (identity->group_error[0] != '\0')
        refuse(load, "group", identity->group_error);
    return identity->user_error[0] == '\0' && identity->group_error[0] == '\0' ? identity : NULL;
}

void
identities_fini(struct load *load)
{
    while (load->identities != NULL) {
        struct identity *identity = load->identities;
        load->identities = identity->next;
        free(identity->asked_user);
        free(identity->asked_group);
        free(identity->user);
        free(identity->home);
        free(identity->shell);
        free(identity);
    }
}

/* The stand-in for a user that nobody named and nobody made. */
static void
engine_is_nobody(struct load *load, struct record_header *header)
{
    header->engine_uid = header->engine_gid = NOBODY;
    header->engine_user = image_string(&load->image, "nobody");
    load->warning_count++;
    buffer_print(&load->warnings,
                 "the engine runs as user %u, as there is no user \"" LOAD_ENGINE_USER "\"; create "
                 "it, or give --engine-user\n",
                 NOBODY);
}

void
identity_engine(struct load *load, struct record_header *header)
{
    const char *name = load->options->engine_user;
    if (name == NULL)
        name = LOAD_ENGINE_USER;
    header->engine_uid = geteuid();
    header->engine_gid = getegid();
    struct database_entry entry;
    char why[DATABASE_TEXT_MAX];
    if (!load->is_root) {
        const struct identity *own = identity_find(load, NULL, NULL);
        header->engine_user = own == NULL ? 0 : image_string(&load->image, own->user);
        return;
    }
    int r = database_find(DATABASE_USER_NAME, name, 0, &entry);
    if (r == 0) {
        header->engine_uid = entry.user.pw_uid;
        header->engine_gid = entry.user.pw_gid;
        header->engine_user = image_string(&load->image, entry.user.pw_name);
        free(entry.bytes);
    } else if (r == -ENOENT && load->options->engine_user == NULL) {
        engine_is_nobody(load, header);
    } else {
        database_explain(DATABASE_USER_NAME, name, r, why);
        problem_add(&load->problems, NULL, PROBLEM_AT_FILE, "--engine-user: %s", why);
    }
}
