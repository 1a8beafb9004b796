/* schema.c - the table of keys as a JSON Schema (draft-07): `poold-engine --schema`. Editors complete
 * and check by it; what takes more than one value to see - ranges of durations, rules between keys -
 * only the loader knows. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/load/keys.h"
#include "supervisor/load/load.h"

#define DURATION_PATTERN "^(?=[0-9])([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"
#define PERCENT_PATTERN  "^(0|[1-9][0-9]?)%$"
#define TIME_PATTERN     "^([01][0-9]|2[0-3]):[0-5][0-9]$"
#define NAME_PATTERN     "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
#define MODE_PATTERN     "^0?[0-7]{3}$"
#define SIGNAL_PATTERN   "^(SIG)?(TERM|QUIT|INT|HUP|USR1|USR2|WINCH)$"
#define SOCKET_PATTERN   "^/.{0,105}[^/]$"
#define ROLE_PATTERN     "^(@.+|[^@].*)$"
#define SIZE_PATTERN     "^(0|[0-9]+([kMGT]B|[KMGT]iB|B))$"
#define FILE_PATTERN     "^(/[^/]+)+$"
#define VARIABLE_PATTERN                                                                           \
    "^(\\$schema|\\$comment|(?!LISTEN_|NOTIFY_SOCKET$|WATCHDOG_|POOLD_)[A-Za-z_][A-Za-z0-9_]*)$"
#define ADDRESS_PATTERN                                                                            \
    "^(unix:/"                                                                                     \
    ".{0,106}|(\\*|[0-9]+\\.[0-9]+\\.[0-9]+\\.[0-9]+|\\[[0-9A-Fa-f:.]+\\]):[1-9][0-9]{0,4})$"

/* The one definition that objects of keys share. */
static int
add_comments(json_t *properties)
{
    return json_object_set_new(properties, "$schema", json_pack("{s:s}", "type", "string")) |
           json_object_set_new(properties, "$comment", json_pack("{s:s}", "type", "string"));
}

static json_t *
object_of(json_t *properties)
{
    add_comments(properties);
    return json_pack("{s:s, s:o, s:b}", "type", "object", "properties", properties,
                     "additionalProperties", false);
}

static json_t *
string_like(const char *pattern)
{
    return json_pack("{s:s, s:s}", "type", "string", "pattern", pattern);
}

static json_t *
string_not_empty(void)
{
    return json_pack("{s:s, s:i}", "type", "string", "minLength", 1);
}

static json_t *
array_of(const struct config_key *key, json_t *items)
{
    return json_pack("{s:s, s:o, s:I, s:I}", "type", "array", "items", items, "minItems",
                     (json_int_t)key->least, "maxItems", (json_int_t)key->most);
}

static json_t *
integer(const struct config_key *key)
{
    return json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum", (json_int_t)key->least,
                     "maximum", (json_int_t)key->most);
}

static json_t *
words(enum value_type type)
{
    size_t count;
    const char *const *list = key_words(type, &count);
    json_t *all = json_array();
    for (size_t i = 0; i < count; i++) {
        if (list[i] != NULL)
            json_array_append_new(all, json_string(list[i]));
    }
    return json_pack("{s:o}", "enum", all);
}

static json_t *
or_unlimited(json_t *limit)
{
    return json_pack("{s:[o, {s:s}]}", "anyOf", limit, "const", "unlimited");
}

static json_t *
command(const struct config_key *key)
{
    return array_of(key, json_pack("{s:s}", "type", "string"));
}

static json_t *
environment(const struct config_key *key)
{
    return json_pack("{s:s, s:I, s:o, s:{s:s}}", "type", "object", "maxProperties",
                     (json_int_t)key->most, "propertyNames",
                     json_pack("{s:s}", "pattern", VARIABLE_PATTERN), "additionalProperties",
                     "type", "string");
}

static json_t *
listen_object(void)
{
    json_t *properties = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o}", "address", string_like(ADDRESS_PATTERN), "name",
        string_like(NAME_PATTERN), "mode", string_like(MODE_PATTERN), "user", string_not_empty(),
        "group", string_not_empty(), "backlog", integer(key_find(SCOPE_POOL, "queue_length")));
    json_t *object = object_of(properties);
    json_object_set_new(object, "required", json_pack("[s]", "address"));
    return object;
}

static json_t *
ready(void)
{
    json_t *after = object_of(json_pack("{s:o}", "after", string_like(DURATION_PATTERN)));
    json_t *run =
        object_of(json_pack("{s:o}", "command", command(key_find(SCOPE_POOL, "command"))));
    json_object_set_new(after, "required", json_pack("[s]", "after"));
    json_object_set_new(run, "required", json_pack("[s]", "command"));
    return json_pack("{s:[{s:[s, s]}, o, o]}", "anyOf", "enum", "exec", "notify", after, run);
}

static json_t *
pools(void)
{
    json_t *properties = json_object();
    add_comments(properties);
    return json_pack("{s:s, s:o, s:{s:{s:s}}, s:b}", "type", "object", "properties", properties,
                     "patternProperties", NAME_PATTERN, "$ref", "#/definitions/pool",
                     "additionalProperties", false);
}

/* What a value of the key may be. */
static json_t *
type_of(const struct config_key *key)
{
    switch (key->type) {
    case VALUE_INTEGER:
    case VALUE_SIGNED:
        return integer(key);
    case VALUE_BOOLEAN:
        return json_pack("{s:s}", "type", "boolean");
    case VALUE_TIMES:
        return array_of(key, string_like(TIME_PATTERN));
    case VALUE_PERCENT:
        return string_like(PERCENT_PATTERN);
    case VALUE_DURATION:
    case VALUE_SPAN:
        return string_like(DURATION_PATTERN);
    case VALUE_SIGNAL:
        return string_like(SIGNAL_PATTERN);
    case VALUE_UMASK:
        return string_like(MODE_PATTERN);
    case VALUE_OUTPUT:
        return json_pack("{s:[o, o]}", "anyOf", words(key->type), string_like(FILE_PATTERN));
    case VALUE_HANDOFF:
    case VALUE_PRESET:
    case VALUE_FACILITY:
    case VALUE_LEVEL:
        return words(key->type);
    case VALUE_LIMIT_SIZE:
        return or_unlimited(string_like(SIZE_PATTERN));
    case VALUE_LIMIT_COUNT:
        return or_unlimited(json_pack("{s:s, s:i}", "type", "integer", "minimum", 0));
    case VALUE_LIMIT_TIME:
        return or_unlimited(string_like(DURATION_PATTERN));
    case VALUE_PATH:
        return string_like("^/");
    case VALUE_USER:
    case VALUE_GROUP:
        return string_not_empty();
    case VALUE_GROUPS:
    case VALUE_INCLUDE:
        return array_of(key, string_not_empty());
    case VALUE_COMMAND:
        return command(key);
    case VALUE_ENVIRONMENT:
        return environment(key);
    case VALUE_LISTEN:
        return array_of(
            key, json_pack("{s:[o, o]}", "anyOf", string_like(ADDRESS_PATTERN), listen_object()));
    case VALUE_READY:
        return ready();
    case VALUE_SOCKET_PATH:
        return string_like(SOCKET_PATTERN);
    case VALUE_ROLE:
        return array_of(key, string_like(ROLE_PATTERN));
    case VALUE_ADDRESSES:
        return array_of(key, string_like("^[0-9A-Fa-f.:]+$"));
    case VALUE_DEFAULTS:
        return json_pack("{s:s}", "$ref", "#/definitions/defaults");
    case VALUE_POOLS:
        return pools();
    case VALUE_TYPE_COUNT:
        break;
    }
    assert(!"a key without a type");
    return NULL;
}

/* The properties that the group's own object has; it is made when its first key comes. */
static json_t *
properties_of_group(json_t *properties, const char *group)
{
    json_t *object = json_object_get(properties, group);
    if (object == NULL) {
        object = object_of(json_object());
        json_object_set_new(properties, group, object);
    }
    return json_object_get(object, "properties");
}

/* Adds the key. What has a $ref has nothing beside it: draft-07 ignores that. */
static void
add_key(json_t *properties, const struct config_key *key)
{
    char group[CONFIG_PATH_MAX];
    const char *dot = strchr(key->path, '.');
    json_t *type = type_of(key);
    json_error_t error;
    if (json_object_get(type, "$ref") == NULL) {
        json_object_set_new(
            type, "description",
            json_sprintf("%s; takes effect %s", key->text, key_effect_name(key->effect)));
        if (key_has_preset(key))
            json_object_set_new(type, "default", json_loads(key->preset, JSON_DECODE_ANY, &error));
    }
    if (dot != NULL) {
        snprintf(group, sizeof group, "%.*s", (int)(dot - key->path), key->path);
        properties = properties_of_group(properties, group);
    }
    json_object_set_new(properties, dot == NULL ? key->path : dot + 1, type);
}

/* The object whose keys those of the scope are, but for the one key without. */
static json_t *
keys_of(enum key_scope scope, const char *without)
{
    json_t *properties = json_object();
    for (size_t i = 0; i < config_key_count; i++) {
        if (config_keys[i].scope == scope && strcmp(config_keys[i].path, without) != 0)
            add_key(properties, &config_keys[i]);
    }
    return object_of(properties);
}

int
load_schema(FILE *out)
{
    json_t *schema = keys_of(SCOPE_TOP, "");
    json_t *definitions = json_pack("{s:o, s:o}", "pool", keys_of(SCOPE_POOL, ""), "defaults",
                                    keys_of(SCOPE_POOL, "listen"));
    json_t *all = json_pack("{s:s, s:s}", "$schema", "http://json-schema.org/draft-07/schema#",
                            "title", "poold.json(5)");
    bool good = json_object_update(all, schema) == 0 &&
                json_object_set_new(all, "definitions", definitions) == 0 &&
                json_dumpf(all, out, JSON_INDENT(2)) == 0 && fputc('\n', out) != EOF;
    json_decref(schema);
    json_decref(all);
    return good && fflush(out) == 0 && !ferror(out) ? 0 : 1;
}
