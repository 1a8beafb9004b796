/* keys.h - the table of configuration keys (config.def), and finding one in it. */
#ifndef POOLD_LOAD_KEYS_H
#define POOLD_LOAD_KEYS_H

#include "common/base.h"

/* clang-format off */
/* Types of values.  name users read            C type of the member that takes it */
#define VALUE_TYPES(X)                                                     \
    X(INTEGER,     "integer",                   uint32_t)                  \
    X(SIGNED,      "integer",                   struct signed_draft)       \
    X(BOOLEAN,     "boolean",                   uint8_t)                   \
    X(DURATION,    "duration",                  uint64_t)                  \
    X(SPAN,        "duration or \"0s\"",        uint64_t)                  \
    X(PERCENT,     "percentage",                uint8_t)                   \
    X(TIMES,       "array of clock times",      const json_t *)            \
    X(SIGNAL,      "signal name",               uint8_t)                   \
    X(UMASK,       "octal string",              uint32_t)                  \
    X(HANDOFF,     "word",                      uint8_t)                   \
    X(OUTPUT,      "word or absolute path",     struct output_draft)       \
    X(PRESET,      "word",                      uint8_t)                   \
    X(FACILITY,    "word",                      uint8_t)                   \
    X(LEVEL,       "word",                      uint8_t)                   \
    X(LIMIT_SIZE,  "size or \"unlimited\"",     struct limit_draft)        \
    X(LIMIT_COUNT, "integer or \"unlimited\"",  struct limit_draft)        \
    X(LIMIT_TIME,  "duration or \"unlimited\"", struct limit_draft)        \
    X(PATH,        "absolute path",             const char *)              \
    X(USER,        "user name",                 const char *)              \
    X(GROUP,       "group name",                const char *)              \
    X(GROUPS,      "array of group names",      const json_t *)            \
    X(COMMAND,     "array of strings",          const json_t *)            \
    X(ENVIRONMENT, "object of strings",         struct environment_draft)  \
    X(LISTEN,      "array of addresses",        const json_t *)            \
    X(READY,       "word or object",            struct ready_draft)        \
    X(SOCKET_PATH, "absolute path",             const char *)              \
    X(ROLE,        "array of users, @groups",   const json_t *)            \
    X(INCLUDE,     "array of file patterns",    const json_t *)            \
    X(ADDRESSES,   "array of IP addresses",     const json_t *)            \
    X(DEFAULTS,    "object of pool keys",       const json_t *)            \
    X(POOLS,       "object of pools",           const json_t *)

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

/* Where a key stands: in a pool (and in `defaults`), or at the top of a file. */
enum key_scope { SCOPE_POOL, SCOPE_TOP };

struct config_key {
    const char *path; /* "health.startup_timeout" */
    enum key_scope scope;
    enum value_type type;
    enum effect effect;
    const char *unit;
    uint64_t least, most; /* see config.def */
    const char *preset;   /* default as JSON, CONFIG_REQUIRED or CONFIG_NONE */
    size_t member;        /* offset in struct draft, or in struct top */
    const char *text;
};

#define CONFIG_REQUIRED "required"
#define CONFIG_NONE     "-"

#define CONFIG_PATH_MAX 64 /* bytes of a path with its NUL */

/* The keys of pools come first: their rows are what record_value.key means. */
extern const struct config_key config_keys[];
extern const size_t config_key_count, config_pool_key_count;

/* The key of that path, or NULL. */
const struct config_key *key_find(enum key_scope, const char *path);

/* True if path is an object that holds keys: "health". */
bool key_is_group(enum key_scope, const char *path);

/* True for a key that the design has and this version has not. */
bool key_comes_later(enum key_scope, const char *path);

/* False for the words that stand for a default in the table. */
bool key_has_preset(const struct config_key *);

/* The key nearest to name, which was found inside group ("": the pool, or the file, itself): one of
 * that group, else one elsewhere that has the name. Its text is what to write: `"min"` or
 * `"min" inside "workers"`. Returns buf, or NULL when none is near. */
#define KEY_ADVICE_MAX 112
const char *key_nearest(enum key_scope, const char *group, const char *name,
                        char buf[KEY_ADVICE_MAX]);

/* The words that a key of that type takes; the place of a word is its number. NULL stands for a
 * number that has none. *count 0: the type has no list of words. */
const char *const *key_words(enum value_type, size_t *count);

/* "an integer from 1 to 1024": what a value of the key may be. In buf, or static. */
#define KEY_ALLOWED_MAX 256
const char *key_allowed(const struct config_key *, char buf[KEY_ALLOWED_MAX]);

/* "integer": the type's name for users. */
const char *key_type_name(enum value_type);
const char *key_effect_name(enum effect);

#endif
