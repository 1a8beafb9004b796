/* glob.c - the files that a pattern names. */
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/load/file.h"

/* A directory that cannot be read may hold files that were meant; one that is not there holds none. */
static int
on_error(const char *path, int error)
{
    (void)path;
    errno = error;
    return error != ENOENT && error != ENOTDIR;
}

static int
take_names(const glob_t *found, size_t most, struct file_names *out, struct err *err)
{
    if (found->gl_pathc > most)
        return err_set(err, -E2BIG, "the pattern names %zu files; %zu are left to be read",
                       found->gl_pathc, most);
    out->list = calloc(found->gl_pathc + 1, sizeof *out->list);
    if (out->list == NULL)
        return err_errno(err, -ENOMEM, "cannot list the files");
    for (size_t i = 0; i < found->gl_pathc; i++) {
        out->list[i] = strdup(found->gl_pathv[i]);
        if (out->list[i] == NULL)
            return err_errno(err, -ENOMEM, "cannot list the files");
        out->count++;
    }
    return 0;
}

int
file_match(const char *pattern, size_t most, struct file_names *out, struct err *err)
{
    glob_t found;
    *out = (struct file_names){0};
    errno = 0;
    int r = glob(pattern, 0, on_error, &found);
    int error = errno;
    if (r == 0)
        r = take_names(&found, most, out, err);
    else if (r == GLOB_NOMATCH)
        r = 0;
    else if (r == GLOB_ABORTED)
        r = err_errno(err, error == 0 ? -EIO : -error, "cannot look for the files");
    else
        r = err_errno(err, -ENOMEM, "cannot look for the files");
    globfree(&found);
    if (r != 0)
        file_names_fini(out);
    return r;
}

void
file_names_fini(struct file_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->list[i]);
    free(names->list);
    *names = (struct file_names){0};
}
