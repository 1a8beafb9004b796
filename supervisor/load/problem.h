/* problem.h - the errors of one load: each with its place in the file, all of them at once. */
#ifndef POOLD_LOAD_PROBLEM_H
#define POOLD_LOAD_PROBLEM_H

#include "common/base.h"
#include "common/json_scan.h"
#include "common/map.h"
#include "supervisor/load/buffer.h"

/* The file and the JSON pointer of the value that is being looked at. */
struct pointer {
    uint32_t file; /* number of its source */
    uint64_t path; /* as json_scan hashes it */
    size_t len;
    char text[256]; /* printable; cut when too long */
};

struct pointer_mark {
    uint64_t path;
    size_t len;
};

void pointer_init(struct pointer *, uint32_t file);
/* Goes down one level; pointer_leave with what it returned comes back. */
struct pointer_mark pointer_enter_member(struct pointer *, const char *key);
struct pointer_mark pointer_enter_element(struct pointer *, size_t index);
void pointer_leave(struct pointer *, struct pointer_mark);

/* Whether the key or the value is wrong, or neither has a place in the file. */
enum problem_at { PROBLEM_AT_VALUE, PROBLEM_AT_KEY, PROBLEM_AT_FILE };

struct problem_place {
    uint32_t file;
    enum problem_at at;
    uint64_t path;
    struct json_place place; /* line 0: not known */
};

struct problem {
    struct problem_place here;
    struct problem_place other; /* is told behind the text; file NONE: there is none */
    size_t text, text_len;      /* in problems.text */
};

struct problems {
    struct buffer list; /* of struct problem */
    struct buffer text;
    struct map seen; /* hashes of place and text: what many pools inherit is told once */
    size_t count;    /* all of them; at most LOAD_ERRORS_MAX are in list */
};

/* A file whose problems are placed and printed. */
struct problem_file {
    const char *name; /* printable */
    const char *text; /* NULL: there is none */
    size_t len;
};

/* Reports what is wrong where pointer is (NULL: with the main file). Foreign text in it has to be
 * escaped already. What was reported at that place in these words already is not reported again. */
void problem_add(struct problems *, const struct pointer *, enum problem_at, const char *format,
                 ...) ATTR_PRINTF(4, 5);

/* The same for a place that is known. */
void problem_add_place(struct problems *, const struct pointer *, struct json_place,
                       const char *format, ...) ATTR_PRINTF(4, 5);

/* The same of two keys; the place of the other one is told behind the text. */
void problem_add_both(struct problems *, const struct pointer *, const struct pointer *other,
                      const char *text);

/* Finds the places of all problems in a file's text, which is what its tree was parsed from. */
void problems_locate(struct problems *, uint32_t number, const struct problem_file *);

/* Writes "FILE:LINE:COLUMN: /json/pointer: what" lines in the order of the files. */
void problems_print(struct problems *, const struct problem_file *files, struct buffer *out);

void problems_fini(struct problems *);

#endif
