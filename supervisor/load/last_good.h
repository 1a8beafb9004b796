/* last_good.h - the last good configuration: a compiled one, as a file of the state directory.
 *
 * Only who has poold's own rights writes it, and it is believed only when nobody else can have. It
 * holds the workers' environments, so nobody else may read it either. */
#ifndef POOLD_LOAD_LAST_GOOD_H
#define POOLD_LOAD_LAST_GOOD_H

#include "common/err.h"
#include "supervisor/record.h"

#define LAST_GOOD "last-good" /* its name in the state directory */

struct last_good {
    struct record record;
    int64_t at; /* when it was stored, seconds since 1970 */
    void *bytes;
};

/* Makes the state directory, and its parents, where they are missing, and puts these bytes there in
 * place of what was kept before: whole or not at all, also when the machine fails. dir NULL: there
 * is none. Returns 0 or a negative errno. */
int last_good_store(const char *dir, const void *image, size_t size, struct err *);

/* Reads and checks what is kept. Returns 0, and the caller ends with last_good_fini; -ENOENT when
 * nothing is kept; or a negative errno with what is wrong with it. */
int last_good_read(const char *dir, struct last_good *out, struct err *);
void last_good_fini(struct last_good *);

#endif
