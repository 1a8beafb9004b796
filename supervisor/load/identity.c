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

/* The groups that the pool names, a JSON array, into the image. */
static void
take_named_groups(struct load *load, struct identity *identity, const json_t *names)
{
    size_t count = json_array_size(names);
    gid_t *groups = calloc(count + 1, sizeof *groups);
    load->failed = load->failed || groups == NULL;
    for (size_t i = 0; i < count && groups != NULL; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        struct database_entry entry;
        int r = database_find(DATABASE_GROUP_NAME, name, 0, &entry);
        if (r != 0) {
            database_explain(DATABASE_GROUP_NAME, name, r, identity->groups_error);
            identity->groups_wrong = i;
            break;
        }
        groups[i] = entry.group.gr_gid;
        free(entry.bytes);
    }
    identity->group_count = (uint32_t)count;
    identity->groups = image_bytes(&load->image, groups, count * sizeof *groups, 4);
    free(groups);
}

/* As root: who the pool names. */
static void
look_up(struct load *load, struct identity *identity, const json_t *groups)
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
    if (groups != NULL)
        take_named_groups(load, identity, groups);
    else if (identity->user_error[0] == '\0' && identity->group_error[0] == '\0')
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
    if (identity->asked_groups != NULL)
        snprintf(identity->groups_error, sizeof identity->groups_error,
                 "poold does not run as root, so workers keep its own groups; leave the key out");
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

/* The text that equal lists of groups share; NULL: no list. The caller's. */
static char *
groups_text(struct load *load, const json_t *groups)
{
    struct buffer text = {0};
    if (groups == NULL)
        return NULL;
    canonical_put(&text, key_find(SCOPE_POOL, "identity.groups"), groups);
    buffer_add(&text, "", 1);
    load->failed = load->failed || text.failed;
    return text.bytes;
}

/* A new entry of the list, looked up. */
static struct identity *
identity_add(struct load *load, const char *user, const char *group, const json_t *groups)
{
    struct identity *identity = calloc(1, sizeof *identity);
    if (identity == NULL) {
        load->failed = true;
        return NULL;
    }
    identity->next = load->identities;
    load->identities = identity;
    identity->asked_user = copy_of(load, user);
    identity->asked_group = copy_of(load, group);
    identity->asked_groups = groups_text(load, groups);
    if (load->failed)
        return NULL;
    if (load->is_root)
        look_up(load, identity, groups);
    else
        look_up_own(identity);
    bool complete = identity->user != NULL && identity->home != NULL && identity->shell != NULL;
    if (identity->user_error[0] == '\0' && !complete)
        load->failed = true;
    return load->failed ? NULL : identity;
}

struct identity *
identity_find(struct load *load, const char *user, const char *group, const json_t *groups)
{
    char *text = groups_text(load, groups);
    struct identity *identity = load->identities;
    while (identity != NULL &&
           !(is_equal(identity->asked_user, user) && is_equal(identity->asked_group, group) &&
             is_equal(identity->asked_groups, text)))
        identity = identity->next;
    free(text);
    return identity != NULL ? identity : identity_add(load, user, group, groups);
}

/* Reports at the key, wherever it was given. */
static void
refuse(struct load *load, const struct draft *draft, const char *path, size_t element,
       const char *text)
{
    if (text[0] == '\0')
        return;
    struct pointer before = draft_enter(load, draft, path);
    if (element != SIZE_MAX)
        pointer_enter_element(&load->pointer, element);
    problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE, "%s", text);
    load->pointer = before;
}

const struct identity *
identity_resolve(struct load *load, const struct draft *draft)
{
    if (!draft_is_right(draft, "identity.user") || !draft_is_right(draft, "identity.group") ||
        !draft_is_right(draft, "identity.groups"))
        return NULL;
    if (load->is_root && draft->user == NULL) {
        if (!draft->is_misnamed)
            problem_add(&load->problems, &load->pointer, PROBLEM_AT_KEY,
                        "\"identity\": {\"user\": ...} is missing; poold runs as root, so the pool "
                        "must name its user, \"root\" too");
        return NULL;
    }
    const struct identity *identity = identity_find(load, draft->user, draft->group, draft->groups);
    if (identity == NULL)
        return NULL;
    size_t wrong =
        identity->asked_groups != NULL && load->is_root ? identity->groups_wrong : SIZE_MAX;
    refuse(load, draft, "identity.user", SIZE_MAX, identity->user_error);
    refuse(load, draft, "identity.group", SIZE_MAX, identity->group_error);
    refuse(load, draft, "identity.groups", wrong, identity->groups_error);
    bool good = identity->user_error[0] == '\0' && identity->group_error[0] == '\0' &&
                identity->groups_error[0] == '\0';
    return good ? identity : NULL;
}

void
identities_fini(struct load *load)
{
    while (load->identities != NULL) {
        struct identity *identity = load->identities;
        load->identities = identity->next;
        free(identity->asked_user);
        free(identity->asked_group);
        free(identity->asked_groups);
        free(identity->user);
        free(identity->home);
        free(identity->shell);
        free(identity);
    }
}
