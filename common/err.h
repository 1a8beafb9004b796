/* err.h - one failure and its story, filled where the facts are known. */
#ifndef POOLD_ERR_H
#define POOLD_ERR_H

#include "common/base.h"

struct err {
    int code; /* negative errno, 0: no error */
    char text[256];
};

/* Fills err (which may be NULL) with the formatted text, cut with "..." when too long.
 * Returns code, so a leaf can `return err_set(err, -ENOENT, "...")`. code must be negative. */
int err_set(struct err *err, int code, const char *format, ...) ATTR_PRINTF(3, 4);

/* The same, with ": " and the text of the errno appended. */
int err_errno(struct err *err, int code, const char *format, ...) ATTR_PRINTF(3, 4);

#endif
