/* json.h - reading JSON that strangers wrote: within a memory budget, strictly, to a depth. */
#ifndef POOLD_JSON_H
#define POOLD_JSON_H

#include <jansson.h>

#include "common/base.h"

#define JSON_DEPTH_MAX 32 /* of nesting; what poold reads needs six */

/* Seeds jansson's tables from the kernel's generator (jansson's own seeding opens a device file,
 * and falls back to the clock where there is none). Once, before the first tree. */
void json_setup(void);

/* From here to json_budget_end all trees together may take bytes; what goes beyond fails as an
 * allocation that fails. Trees must not live across either call. One at a time. */
void json_budget_begin(size_t bytes);
void json_budget_end(void);

enum json_fault {
    JSON_FAULT_NONE,
    JSON_FAULT_SYNTAX,
    JSON_FAULT_MEMORY,
    JSON_FAULT_DUPLICATE,
    JSON_FAULT_DEPTH, /* nesting above JSON_DEPTH_MAX */
};

struct json_failure {
    enum json_fault fault;
    char text[200];        /* what is wrong; may hold bytes of the document: escape it */
    uint32_t line, column; /* from 1; columns count characters */
    size_t offset;         /* bytes */
};

/* Parses a whole document: any value at the top, strings without NUL. Of keys that come twice in
 * one object the last one counts when duplicates_pass, else they are a fault. Returns a
 * tree that the caller owns, or NULL with failure filled. */
json_t *json_parse(const char *text, size_t len, bool duplicates_pass,
                   struct json_failure *failure);

/* "the string \"4\"", "the number 1.5", "an array" ...: what an error message says was found.
 * Printable; a long string is cut. In buf, or static. */
#define JSON_FOUND_MAX 96
const char *json_found(const json_t *, char buf[JSON_FOUND_MAX]);

#endif
