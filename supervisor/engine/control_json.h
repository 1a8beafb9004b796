/* control_json.h - JSON written piece by piece into a buffer that is sent while it grows.
 *
 * A tree of a few thousand pools would be built, dumped and freed in one go; this writes one pool
 * at a time. Running out of memory is remembered (failed) and ends the connection, not the
 * engine. */
#ifndef POOLD_ENGINE_CONTROL_JSON_H
#define POOLD_ENGINE_CONTROL_JSON_H

#include "common/base.h"

struct json_out {
    char *data;
    size_t sent, len, cap; /* data[sent..len) is still to be sent */
    bool comma;            /* the next value of this object or array follows another */
    bool failed;           /* out of memory: what follows is thrown away */
};

/* A zeroed struct json_out is empty. */
void json_out_fini(struct json_out *);

/* Bytes still to be sent, where they start, and that n of them have been. */
static inline size_t
json_out_pending(const struct json_out *out)
{
    return out->len - out->sent;
}
static inline const char *
json_out_start(const struct json_out *out)
{
    return out->data + out->sent;
}
void json_out_took(struct json_out *, size_t n);

/* Bytes as they are: punctuation, and what is JSON already. */
void json_out_raw(struct json_out *, const char *bytes, size_t len);
void json_out_text(struct json_out *, const char *literal);

/* Members of an object (key a literal of ours), or values of an array (key NULL). */
void json_out_open(struct json_out *, const char *key, char bracket);        /* '{' or '[' */
void json_out_close(struct json_out *, char bracket);                        /* '}' or ']' */
void json_out_string(struct json_out *, const char *key, const char *value); /* NULL: null */
void json_out_number(struct json_out *, const char *key, int64_t value);
void json_out_bool(struct json_out *, const char *key, bool value);
void json_out_null(struct json_out *, const char *key);
void json_out_seconds(struct json_out *, const char *key, msec span); /* 1.234 */
void json_out_json(struct json_out *, const char *key, const char *json);

/* A member of which neither part ends with NUL; the value is a string, or JSON already. */
void json_out_pair(struct json_out *, const char *key, size_t key_len, const char *value,
                   size_t value_len, bool is_json);

/* RFC 3339 with the zone's offset, in milliseconds: "2026-11-22T12:00:00.123+01:00". */
void json_out_time(struct json_out *, const char *key, int64_t wall_ms, int32_t offset_seconds);

#endif
