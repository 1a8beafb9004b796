/* advice_rights.c - programs and directories that their own pool may write: who takes over a worker
 * takes over its successors too, and for good; or takes away what it has written. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "supervisor/load/advice.h"

static bool
is_in_group(const struct record *record, const struct record_pool *pool, gid_t gid)
{
    uint32_t group;
    if (gid == pool->gid)
        return true;
    for (uint32_t i = 0; i < pool->group_count; i++) {
        memcpy(&group, record->text + pool->groups + i * sizeof group, sizeof group);
        if (group == gid)
            return true;
    }
    return false;
}

/* Whether the pool's user may put something else in the place of what is there. An owner can give
 * himself the right; in a sticky directory nobody can touch what others own. */
static bool
may_write(const struct record *record, const struct record_pool *pool, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return false;
    if (st.st_uid == pool->uid)
        return true;
    if (S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX) != 0)
        return false;
    return (st.st_mode & (is_in_group(record, pool, st.st_gid) ? S_IWGRP : S_IWOTH)) != 0;
}

/* Finds the first of path and the directories above it that the user may write; path becomes that. */
static bool
cut_to_writable(const struct record *record, const struct record_pool *pool, char path[PATH_MAX])
{
    for (;;) {
        if (may_write(record, pool, path))
            return true;
        char *slash = strrchr(path, '/');
        if (slash == NULL || path[1] == '\0')
            return false;
        slash[slash == path ? 1 : 0] = '\0'; /* the root keeps its slash */
    }
}

static void
advise(const struct record *record, const struct record_pool *pool, const char *what,
       const char *named, FILE *out)
{
    char path[PATH_MAX], real[PATH_MAX];
    snprintf(path, sizeof path, "%s", named);
    bool found = cut_to_writable(record, pool, path);
    if (!found && realpath(named, real) != NULL) { /* behind symbolic links */
        snprintf(path, sizeof path, "%s", real);
        found = cut_to_writable(record, pool, path);
    }
    if (found)
        fprintf(out, "pool \"%s\": its user \"%s\" may write %s, where its %s is\n",
                record_text(record, pool->name), record_text(record, pool->user), path, what);
}

void
advice_print_rights(const struct record *record, const struct record_pool *pool, FILE *out)
{
    if (!pool->drop_privileges || pool->uid == 0)
        return; /* it may write everything, or is who poold is */
    advise(record, pool, "program", record_text(record, pool->program), out);
    advise(record, pool, "directory", record_text(record, pool->directory), out);
    if (pool->output == OUTPUT_FILE) {
        char directory[PATH_MAX];
        snprintf(directory, sizeof directory, "%s", record_text(record, pool->output_path));
        char *slash = strrchr(directory, '/');
        slash[slash == directory] = '\0'; /* the root keeps its slash */
        advise(record, pool, "output", directory, out);
    }
}
