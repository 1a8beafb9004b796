/* keys_list.c - `poold-engine --keys`: the table of keys as lines for people and programs. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "common/units.h"
#include "supervisor/load/keys.h"
#include "supervisor/load/load.h"

/* "integer 1..1024": what key_allowed says, short. Returns buf. */
static const char *
key_type(const struct config_key *key, char buf[KEY_ALLOWED_MAX])
{
    char least[UNIT_TEXT_MAX], most[UNIT_TEXT_MAX];
    const char *name = key_type_name(key->type);
    if (key->type == VALUE_INTEGER)
        snprintf(buf, KEY_ALLOWED_MAX, "%s %" PRIu64 "..%" PRIu64, name, key->least, key->most);
    else if (key->type == VALUE_SIGNED)
        snprintf(buf, KEY_ALLOWED_MAX, "%s %" PRIi64 "..%" PRIi64, name, (int64_t)key->least,
                 (int64_t)key->most);
    else if (key->type == VALUE_PERCENT)
        snprintf(buf, KEY_ALLOWED_MAX, "%s %" PRIu64 "%%..%" PRIu64 "%%", name, key->least,
                 key->most);
    else if (key->type == VALUE_SPAN)
        snprintf(buf, KEY_ALLOWED_MAX, "duration %s..%s, or 0s", duration_format(key->least, least),
                 duration_format(key->most, most));
    else if (key->type == VALUE_DURATION)
        snprintf(buf, KEY_ALLOWED_MAX, "%s %s..%s", name, duration_format(key->least, least),
                 duration_format(key->most, most));
    else
        snprintf(buf, KEY_ALLOWED_MAX, "%s", name);
    return buf;
}

/* True for the key of that name, and for all keys of the object of that name. */
static bool
is_asked(const struct config_key *key, const char *name)
{
    size_t len = name == NULL ? 0 : strlen(name);
    return name == NULL ||
           (strncmp(key->path, name, len) == 0 && strchr(".", key->path[len]) != NULL);
}

static void
say_unknown(const char *name)
{
    char escaped[CONFIG_PATH_MAX], advice[KEY_ADVICE_MAX];
    const char *near = key_nearest(SCOPE_POOL, "", name, advice);
    text_escape(escaped, sizeof escaped, name, strlen(name));
    bool later = key_comes_later(SCOPE_POOL, name) || key_comes_later(SCOPE_TOP, name);
    fprintf(stderr, "poold-engine: there is no key \"%s\"%s%s%s\n", escaped,
            later          ? "; this version does not have it yet"
            : near != NULL ? "; did you mean "
                           : "",
            later || near == NULL ? "" : near, later || near == NULL ? "" : "?");
}

int
load_keys(const char *name, FILE *out)
{
    bool found = false;
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        char type[KEY_ALLOWED_MAX];
        if (!is_asked(key, name))
            continue;
        found = true;
        fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", key->path, key_type(key, type), key->unit,
                key->preset, key_effect_name(key->effect), key->text,
                key->scope == SCOPE_POOL ? "pool" : "file");
    }
    if (!found)
        say_unknown(name);
    return found && fflush(out) == 0 && !ferror(out) ? 0 : 1;
}
