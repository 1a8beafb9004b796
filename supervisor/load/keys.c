/* keys.c - the table of configuration keys (config.def), and finding one in it. */
#include "supervisor/load/keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "common/units.h"
#include "supervisor/load/load.h"
#include "supervisor/load/pool.h"

#define KEY(key_path, key_type, key_unit, key_least, key_most, key_preset, key_effect, key_member, \
            key_text)                                                                              \
    {.path = key_path,                                                                             \
     .type = VALUE_##key_type,                                                                     \
     .effect = EFFECT_##key_effect,                                                                \
     .unit = key_unit,                                                                             \
     .least = key_least,                                                                           \
     .most = key_most,                                                                             \
     .preset = key_preset,                                                                         \
     .member = offsetof(struct draft, key_member),                                                 \
     .text = key_text},
const struct config_key config_keys[] = {
#include "supervisor/load/config.def"
};
#undef KEY
const size_t config_key_count = ARRAY_LEN(config_keys);

/* Each member has the C type of its key's type: what a value's parser writes is what is there. */
#define VALUE_C_TYPE_(n, s, c) typedef c value_c_type_##n;
VALUE_TYPES(VALUE_C_TYPE_)
#define KEY(path, type, unit, least, most, preset, effect, member, text)                           \
    _Static_assert(_Generic(&((struct draft *)0)->member, value_c_type_##type * : 1, default : 0), \
                   path " has a member of another type");                                          \
    _Static_assert(sizeof path <= CONFIG_PATH_MAX, path " is too long");
#include "supervisor/load/config.def"
#undef KEY

#define TYPE_NAME_(n, s, c) s,
static const char *const type_names[] = {VALUE_TYPES(TYPE_NAME_)};
#define EFFECT_NAME_(n, s) s,
static const char *const effect_names[] = {EFFECTS(EFFECT_NAME_)};

const struct config_key *
key_find(const char *path)
{
    for (size_t i = 0; i < config_key_count; i++) {
        if (strcmp(config_keys[i].path, path) == 0)
            return &config_keys[i];
    }
    return NULL;
}

/* What follows "group." in the key's path; the whole path for the group "". NULL: not in it. */
static const char *
key_inside(const struct config_key *key, const char *group)
{
    size_t len = strlen(group);
    if (len == 0)
        return key->path;
    return strncmp(key->path, group, len) == 0 && key->path[len] == '.' ? key->path + len + 1
                                                                        : NULL;
}

bool
key_is_group(const char *path)
{
    for (size_t i = 0; i < config_key_count; i++) {
        if (key_inside(&config_keys[i], path) != NULL && path[0] != '\0')
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
offer_siblings(struct text_nearest *nearest, const char *group)
{
    for (size_t i = 0; i < config_key_count; i++) {
        const char *inside = key_inside(&config_keys[i], group);
        if (inside == NULL)
            continue;
        char name[CONFIG_PATH_MAX];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(inside, "."), inside);
        text_nearest_offer(nearest, name);
    }
}

/* Writes `"min" inside "workers"` for the key of that path. */
static const char *
key_place(const char *path, char buf[KEY_ADVICE_MAX])
{
    const char *dot = strchr(path, '.');
    if (dot == NULL)
        snprintf(buf, KEY_ADVICE_MAX, "\"%s\" of the pool", path);
    else
        snprintf(buf, KEY_ADVICE_MAX, "\"%s\" inside \"%.*s\"", dot + 1, (int)(dot - path), path);
    return buf;
}

const char *
key_nearest(const char *group, const char *name, char buf[KEY_ADVICE_MAX])
{
    /* The name of a key that lives elsewhere, whole or without its group, is no slip of the pen. */
    for (size_t i = 0; i < config_key_count; i++) {
        const char *path = config_keys[i].path, *dot = strchr(path, '.');
        if (strcmp(path, name) == 0 || (dot != NULL && strcmp(dot + 1, name) == 0))
            return key_place(path, buf);
    }
    struct text_nearest nearest;
    text_nearest_init(&nearest, name);
    offer_siblings(&nearest, group);
    if (nearest.best[0] != '\0') {
        snprintf(buf, KEY_ADVICE_MAX, "\"%s\"", nearest.best);
        return buf;
    }
    const struct config_key *best = NULL;
    for (size_t i = 0; i < config_key_count; i++) {
        const char *dot = strchr(config_keys[i].path, '.');
        unsigned before = nearest.distance;
        text_nearest_offer(&nearest, config_keys[i].path);
        text_nearest_offer(&nearest, dot == NULL ? config_keys[i].path : dot + 1);
        if (nearest.distance < before)
            best = &config_keys[i];
    }
    return best == NULL ? NULL : key_place(best->path, buf);
}

const char *
key_allowed(const struct config_key *key, char buf[KEY_ALLOWED_MAX])
{
    char least[UNIT_TEXT_MAX], most[UNIT_TEXT_MAX];
    switch (key->type) {
    case VALUE_INTEGER:
        snprintf(buf, KEY_ALLOWED_MAX, "an integer from %" PRIu64 " to %" PRIu64, key->least,
                 key->most);
        return buf;
    case VALUE_DURATION:
        snprintf(buf, KEY_ALLOWED_MAX, "a duration from \"%s\" to \"%s\"",
                 duration_format(key->least, least), duration_format(key->most, most));
        return buf;
    case VALUE_BOOLEAN:
        return "true or false";
    case VALUE_SIGNAL:
        return "\"TERM\", \"QUIT\", \"INT\", \"HUP\", \"USR1\", \"USR2\" or \"WINCH\"";
    case VALUE_HANDOFF:
        return "\"listen_fds\", \"fd\" or \"none\"";
    case VALUE_PATH:
        return "an absolute path";
    case VALUE_USER:
        return "the name of a user";
    case VALUE_GROUP:
        return "the name of a group";
    case VALUE_COMMAND:
        snprintf(buf, KEY_ALLOWED_MAX, "an array of %" PRIu64 " to %" PRIu64 " strings", key->least,
                 key->most);
        return buf;
    case VALUE_ENVIRONMENT:
        snprintf(buf, KEY_ALLOWED_MAX, "an object of at most %" PRIu64 " strings", key->most);
        return buf;
    case VALUE_LISTEN:
        snprintf(buf, KEY_ALLOWED_MAX,
                 "an array of at most %" PRIu64 " addresses such as \"127.0.0.1:8080\"", key->most);
        return buf;
    case VALUE_READY:
        return "\"exec\", \"notify\", {\"after\": \"2s\"} or {\"command\": [...]}";
    case VALUE_TYPE_COUNT:
        break;
    }
    assert(!"a key without a type");
    return buf;
}

/* "integer 1..1024": what key_allowed says, short. Returns buf. */
static const char *
key_type(const struct config_key *key, char buf[KEY_ALLOWED_MAX])
{
    char least[UNIT_TEXT_MAX], most[UNIT_TEXT_MAX];
    const char *name = type_names[key->type];
    if (key->type == VALUE_INTEGER)
        snprintf(buf, KEY_ALLOWED_MAX, "%s %" PRIu64 "..%" PRIu64, name, key->least, key->most);
    else if (key->type == VALUE_DURATION)
        snprintf(buf, KEY_ALLOWED_MAX, "%s %s..%s", name, duration_format(key->least, least),
                 duration_format(key->most, most));
    else
        snprintf(buf, KEY_ALLOWED_MAX, "%s", name);
    return buf;
}

int
load_keys(FILE *out)
{
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        char type[KEY_ALLOWED_MAX];
        fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\n", key->path, key_type(key, type), key->unit,
                key->preset, effect_names[key->effect], key->text);
    }
    return fflush(out) == 0 && !ferror(out) ? 0 : 1;
}
