/* json_scan.h - where in a JSON text each value stands. jansson's trees do not know, so this second
 * pass is made when there is something to report. Allocates nothing; does not recurse. */
#ifndef POOLD_JSON_SCAN_H
#define POOLD_JSON_SCAN_H

#include "common/base.h"

struct json_place {
    size_t offset;         /* bytes from the start */
    uint32_t line, column; /* from 1; columns count characters */
};

/* A value of the document, as json_scan meets it: parents before children. */
struct json_node {
    unsigned depth;        /* 0: the document */
    size_t index;          /* in its object or array */
    uint64_t path;         /* hash of its JSON pointer, see json_path_child */
    uint64_t member;       /* hash that only the same key in the same object shares; 0: no member */
    struct json_place key; /* of the key's opening quote; value's own place if it is no member */
    struct json_place value; /* of its first character */
};

typedef void json_visit(const struct json_node *, void *arg);

/* Visits the values of text, which need not be valid: it ends at the first thing that cannot be
 * JSON, or is nested too deeply (JSON_DEPTH_MAX). Returns the offset where it ended; len: it read
 * everything. visit may be NULL. */
size_t json_scan(const char *text, size_t len, json_visit *visit, void *arg);

/* The hash of a JSON pointer, built level by level: the whole document, a member, an element. */
#define JSON_PATH_ROOT UINT64_C(1)
uint64_t json_path_member(uint64_t path, const char *key);
uint64_t json_path_element(uint64_t path, size_t index);

/* Line and column of an offset (of the end, when it lies behind it). */
struct json_place json_place_of(const char *text, size_t len, size_t offset);

#endif
