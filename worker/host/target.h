/* target.h - the target of a request: what it names, decoded once and never again. */
#ifndef POOLWORKER_HOST_TARGET_H
#define POOLWORKER_HOST_TARGET_H

#include "worker/host/refusal.h"

enum { TARGET_MAX = 8192 };

/* All three lie in one allocation; path and query may be replaced by target_parse only. */
struct target {
    char *raw; /* as it came, without scheme and authority */
    char *
        path; /* decoded: begins with a slash, no empty segment but the last, no NUL, none hidden */
    char *query; /* behind the question mark, not decoded; "" without */
};

/* Reads "/path?query", "http://host/path" or "*" (path "*"). Segments that begin with a dot are
 * hidden, but for "/.well-known" in front. out is empty when it is refused, but for raw, which the
 * log shows. Free with target_fini in any case. */
enum refusal target_parse(struct target *out, const char *text);

void target_fini(struct target *);

/* Whether path lies at or below prefix ("/app/"): "/app" too. */
bool target_is_below(const char *path, const char *prefix);

#endif
