/* keys.c - the table of configuration keys (config.def), and finding one in it. */
#include "supervisor/load/keys.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "common/text.h"
#include "common/units.h"
#include "supervisor/load/pool.h"

#define ROW_(key_scope_, holder, key_path, key_type, key_unit, key_least, key_most, key_preset,    \
             key_effect, key_member, key_text)                                                     \
    {.path = key_path,                                                                             \
     .scope = key_scope_,                                                                          \
     .type = VALUE_##key_type,                                                                     \
     .effect = EFFECT_##key_effect,                                                                \
     .unit = key_unit,                                                                             \
     .least = key_least,                                                                           \
     .most = key_most,                                                                             \
     .preset = key_preset,                                                                         \
     .member = offsetof(holder, key_member),                                                       \
     .text = key_text},
#define KEY(...)     ROW_(SCOPE_POOL, struct draft, __VA_ARGS__)
#define TOP_KEY(...) ROW_(SCOPE_TOP, struct top, __VA_ARGS__)
const struct config_key config_keys[] = {
#include "supervisor/load/config.def"
};
const size_t config_key_count = ARRAY_LEN(config_keys);
const size_t config_pool_key_count = POOL_KEY_COUNT;

/* Each member has the C type of its key's type: what a value's parser writes is what is there. */
#define VALUE_C_TYPE_(n, s, c) typedef c value_c_type_##n;
VALUE_TYPES(VALUE_C_TYPE_)
#define FITS_(holder, path, type, unit, least, most, preset, effect, member, text)                 \
    _Static_assert(_Generic(&((holder *)0)->member, value_c_type_##type * : 1, default : 0),       \
                   path " has a member of another type");                                          \
    _Static_assert(sizeof path <= CONFIG_PATH_MAX, path " is too long");
#define KEY(...)     FITS_(struct draft, __VA_ARGS__)
#define TOP_KEY(...) FITS_(struct top, __VA_ARGS__)
#include "supervisor/load/config.def"

#define LATER(path)     {SCOPE_POOL, path},
#define TOP_LATER(path) {SCOPE_TOP, path},
static const struct {
    enum key_scope scope;
    const char *path;
} later[] = {
#include "supervisor/load/config.def"
};

const struct config_key *
key_find(enum key_scope scope, const char *path)
{
    for (size_t i = 0; i < config_key_count; i++) {
        if (config_keys[i].scope == scope && strcmp(config_keys[i].path, path) == 0)
            return &config_keys[i];
    }
    return NULL;
}

/* What follows "group." in the key's path; the whole path for the group "". NULL: not in it. */
static const char *
path_inside(const char *path, const char *group)
{
    size_t len = strlen(group);
    if (len == 0)
        return path;
    return strncmp(path, group, len) == 0 && path[len] == '.' ? path + len + 1 : NULL;
}

bool
key_is_group(enum key_scope scope, const char *path)
{
    for (size_t i = 0; i < config_key_count; i++) {
        if (config_keys[i].scope == scope && path[0] != '\0' &&
            path_inside(config_keys[i].path, path) != NULL)
            return true;
    }
    return false;
}

bool
key_comes_later(enum key_scope scope, const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(later); i++) {
        if (later[i].scope == scope && strcmp(later[i].path, path) == 0)
            return true;
    }
    return false;
}

bool
key_has_preset(const struct config_key *key)
{
    return strcmp(key->preset, CONFIG_REQUIRED) != 0 && strcmp(key->preset, CONFIG_NONE) != 0;
}

/* The keys and groups that stand directly in group. */
static void
offer_siblings(struct text_nearest *nearest, enum key_scope scope, const char *group)
{
    for (size_t i = 0; i < config_key_count; i++) {
        const char *inside = path_inside(config_keys[i].path, group);
        if (inside == NULL || config_keys[i].scope != scope)
            continue;
        char name[CONFIG_PATH_MAX];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(inside, "."), inside);
        text_nearest_offer(nearest, name);
    }
}

/* Writes `"min" inside "workers"` for the key; seen: from where. */
static const char *
key_place(const struct config_key *key, enum key_scope seen, char buf[KEY_ADVICE_MAX])
{
    const char *dot = strchr(key->path, '.');
    const char *where = key->scope == SCOPE_TOP ? "at the top of the file"
                        : seen == SCOPE_TOP     ? "of a pool"
                                                : "of the pool";
    if (dot == NULL)
        snprintf(buf, KEY_ADVICE_MAX, "\"%s\" %s", key->path, where);
    else
        snprintf(buf, KEY_ADVICE_MAX, "\"%s\" inside \"%.*s\"%s%s", dot + 1, (int)(dot - key->path),
                 key->path, seen == key->scope ? "" : " ", seen == key->scope ? "" : where);
    return buf;
}

/* The key of that scope that has the name, whole or without its group. */
static const struct config_key *
key_named(enum key_scope scope, const char *name)
{
    for (size_t i = 0; i < config_key_count; i++) {
        const char *path = config_keys[i].path, *dot = strchr(path, '.');
        if (config_keys[i].scope == scope &&
            (strcmp(path, name) == 0 || (dot != NULL && strcmp(dot + 1, name) == 0)))
            return &config_keys[i];
    }
    return NULL;
}

const char *
key_nearest(enum key_scope scope, const char *group, const char *name, char buf[KEY_ADVICE_MAX])
{
    /* The name of a key that lives elsewhere, whole or without its group, is no slip of the pen. */
    const struct config_key *key = key_named(scope, name);
    if (key == NULL)
        key = key_named(scope == SCOPE_POOL ? SCOPE_TOP : SCOPE_POOL, name);
    if (key != NULL)
        return key_place(key, scope, buf);
    struct text_nearest nearest;
    text_nearest_init(&nearest, name);
    offer_siblings(&nearest, scope, group);
    if (nearest.best[0] != '\0') {
        snprintf(buf, KEY_ADVICE_MAX, "\"%s\"", nearest.best);
        return buf;
    }
    for (size_t i = 0; i < config_key_count; i++) {
        const char *dot = strchr(config_keys[i].path, '.');
        unsigned before = nearest.distance;
        if (config_keys[i].scope != scope)
            continue;
        text_nearest_offer(&nearest, config_keys[i].path);
        text_nearest_offer(&nearest, dot == NULL ? config_keys[i].path : dot + 1);
        if (nearest.distance < before)
            key = &config_keys[i];
    }
    return key == NULL ? NULL : key_place(key, scope, buf);
}

#define TYPE_NAME_(n, s, c) s,
const char *
key_type_name(enum value_type type)
{
    static const char *const names[] = {VALUE_TYPES(TYPE_NAME_)};
    return names[type];
}

#define EFFECT_NAME_(n, s) s,
const char *
key_effect_name(enum effect effect)
{
    static const char *const names[] = {EFFECTS(EFFECT_NAME_)};
    return names[effect];
}
