/* problem.h - the errors of one load: each with its place in the file, all of them at once. */
#ifndef POOLD_LOAD_PROBLEM_H
#define POOLD_LOAD_PROBLEM_H

#include "common/base.h"
#include "common/json_scan.h"
#include "supervisor/load/buffer.h"

/* The JSON pointer of the value that is being looked at. */
struct pointer {
    uint64_t path; /* as json_scan hashes it */
    size_t len;
    char text[256]; /* printable; cut when too long */
};

struct pointer_mark {
    uint64_t path;
    size_t len;
};

void pointer_init(struct pointer *);
/* Goes down one level; pointer_leave with what it returned comes back. */
struct pointer_mark pointer_enter_member(struct pointer *, const char *key);
struct pointer_mark pointer_enter_element(struct pointer *, size_t index);
void pointer_leave(struct pointer *, struct pointer_mark);

/* Whether the key or the value is wrong, or neither has a place in the file. */
enum problem_at { PROBLEM_AT_VALUE, PROBLEM_AT_KEY, PROBLEM_AT_FILE };

struct problem {
    uint64_t path;
    enum problem_at at;
    struct json_place place; /* line 0: not known */
    size_t text, text_len;   /* in problems.text */
};

struct problems {
    struct buffer list; /* of struct problem */
    struct buffer text;
    size_t count; /* all of them; at most LOAD_ERRORS_MAX are in list */
};

/* Reports what is wrong where pointer is (NULL: with the file). Foreign text in it has to be
 * escaped already. */
void problem_add(struct problems *, const struct pointer *, enum problem_at, const char *format,
                 ...) ATTR_PRINTF(4, 5);

/* The same for a place that is known. */
void problem_add_place(struct problems *, const struct pointer *, struct json_place,
                       const char *format, ...) ATTR_PRINTF(4, 5);

/* Finds the places of all problems in text, which is what the tree was parsed from. */
void problems_locate(struct problems *, const char *text, size_t len);

/* Writes "FILE:LINE:COLUMN: /json/pointer: what" lines in the order of the file. */
void problems_print(struct problems *, const char *file, struct buffer *out);

void problems_fini(struct problems *);

#endif
