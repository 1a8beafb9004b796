/* advice_control.c - roles on the control socket that cannot be used, or that workers would have. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/load/advice.h"
#include "supervisor/load/roles.h"

/* A worker can do what its user may, also once somebody else has taken it over. */
static void
advise_pool(const struct record *record, const struct record_pool *pool, FILE *out)
{
    uint32_t count = pool->group_count + 1;
    uint32_t *groups = calloc(count, sizeof *groups);
    if (groups == NULL)
        return; /* advice is not worth a failure */
    memcpy(groups, record->text + pool->groups, pool->group_count * sizeof *groups);
    groups[count - 1] = pool->gid;
    enum role role = roles_of(record, pool->uid, groups, count);
    free(groups);
    if (role != ROLE_NONE)
        fprintf(out,
                "pool \"%s\": its user \"%s\" is %s by control.%s, so whoever takes over a "
                "worker of it is that too\n",
                record_text(record, pool->name), record_text(record, pool->user),
                record_role_name(role), record_role_name(role));
}

/* Run by root, the engine has a user of its own, so that it gains nothing when it is taken over. */
static void
advise_engine(const struct record *record, FILE *out)
{
    const struct record_header *header = record->header;
    enum role role = roles_of(record, header->engine_uid, &header->engine_gid, 1);
    if (geteuid() != 0 || header->engine_uid == 0 || role == ROLE_NONE)
        return;
    fprintf(out,
            "control.%s: the engine runs as user \"%s\", who is %s by it, so every process of that "
            "user, "
            "and whoever takes over the engine, is that too; name a user of the engine's own with "
            "--engine-user\n",
            record_role_name(role), record_text(record, header->engine_user),
            record_role_name(role));
}

static bool
others_have_roles(const struct record *record)
{
    for (uint32_t i = 0; i < record->header->role_count; i++) {
        struct record_role role = record_role_at(record, i);
        if (role_is_of_another(&role))
            return true;
    }
    return false;
}

/* The first directory on the way to the socket that not everybody may pass. */
static void
advise_path(const char *socket, FILE *out)
{
    char path[PATH_MAX];
    struct stat st;
    for (const char *slash = socket; (slash = strchr(slash + 1, '/')) != NULL;) {
        snprintf(path, sizeof path, "%.*s", (int)(slash - socket), socket);
        if (stat(path, &st) != 0) {
            fprintf(out, "control.socket: there is no directory %s\n", path);
            return;
        }
        if ((st.st_mode & S_IXOTH) == 0) {
            fprintf(out,
                    "control.socket: %s has mode %04o, so not everybody who has a role may get to "
                    "the socket in it\n",
                    path, st.st_mode & 07777);
            return;
        }
    }
}

void
advice_print_control(const struct record *record, FILE *out)
{
    const struct record_socket *control = record_control(record);
    for (uint32_t i = 0; i < record->header->pools; i++) {
        /* Without root every worker is who poold is, and may do everything anyhow. */
        const struct record_pool *pool = &record->pools[i];
        if (pool->present && pool->drop_privileges && pool->uid != 0)
            advise_pool(record, pool, out);
    }
    advise_engine(record, out);
    if (!others_have_roles(record))
        return;
    if (control != NULL)
        advise_path(record_text(record, control->address), out);
    else if (geteuid() != 0)
        fputs("others have a role, and cannot enter your runtime directory, where the control "
              "socket is; name a place for it in control.socket\n",
              out);
}
