/* keys.h - the table of configuration keys (config.def), and finding one in it. */
#ifndef POOLD_LOAD_KEYS_H
#define POOLD_LOAD_KEYS_H

#include <jansson.h>

#include "common/base.h"

/* clang-format off */
/* Types of values.  name users read            C type of the member that takes it */
#define VALUE_TYPES(X)                                                     \
    X(INTEGER,     "integer",                   uint32_t)                  \
    X(BOOLEAN,     "boolean",                   uint8_t)                   \
    X(DURATION,    "duration",                  uint64_t)                  \
    X(SIGNAL,      "signal name",               uint8_t)                   \
    X(HANDOFF,     "word",                      uint8_t)                   \
    X(PATH,        "absolute path",             const char *)              \
    X(USER,        "user name",                 const char *)              \
    X(GROUP,       "group name",                const char *)              \
    X(COMMAND,     "array of strings",          const json_t *)            \
    X(ENVIRONMENT, "object of strings",         const json_t *)            \
    X(LISTEN,      "array of addresses",        const json_t *)            \
    X(READY,       "word or object",            struct ready_draft)

#define EFFECTS(X)                      \
    X(LIVE,    "at once")               \
    X(RECYCLE, "by recycling")          \
    X(REBIND,  "by binding the socket")
/* clang-format on */

#define VALUE_TYPE_(n, s, c) VALUE_##n,
#define EFFECT_(n, s)        EFFECT_##n,
enum value_type { VALUE_TYPES(VALUE_TYPE_) VALUE_TYPE_COUNT };
enum effect { EFFECTS(EFFECT_) EFFECT_COUNT };
#undef VALUE_TYPE_
#undef EFFECT_

struct config_key {
    const char *path; /* "health.startup_timeout" */
    enum value_type type;
    enum effect effect;
    const char *unit;
    uint64_t least, most; /* see config.def */
    const char *preset;   /* default as JSON, CONFIG_REQUIRED or CONFIG_NONE */
    size_t member;        /* offset in struct draft */
    const char *text;
};

#define CONFIG_REQUIRED "required"
#define CONFIG_NONE     "-"

#define CONFIG_PATH_MAX 64 /* bytes of a path with its NUL */

extern const struct config_key config_keys[];
extern const size_t config_key_count;

/* The key of that path, or NULL. */
const struct config_key *key_find(const char *path);

/* True if path is an object that holds keys: "health". */
bool key_is_group(const char *path);

/* False for the words that stand for a default in the table. */
bool key_has_preset(const struct config_key *);

/* The key nearest to name, which was found inside group ("": the pool itself): one of that group,
 * else one elsewhere that has the name. Its text is what to write: `"min"` or `"workers": {"min"}`.
 * Returns buf, or NULL when none is near. */
#define KEY_ADVICE_MAX 96
const char *key_nearest(const char *group, const char *name, char buf[KEY_ADVICE_MAX]);

/* "an integer from 1 to 1024": what a value of the key may be. In buf, or static. */
#define KEY_ALLOWED_MAX 192
const char *key_allowed(const struct config_key *, char buf[KEY_ALLOWED_MAX]);

#endif
