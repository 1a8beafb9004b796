/* keys_list.c - `poold-engine --keys`: the table of keys as lines for people and programs. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "common/units.h"
#include "supervisor/load/keys.h"
#include "supervisor/load/load.h"

/* "1..1024": of the number, of a duration, or of a list's length; "-": it has none. Returns buf. */
static const char *
key_range(const struct config_key *key, char buf[KEY_ALLOWED_MAX])
{
    char least[UNIT_TEXT_MAX], most[UNIT_TEXT_MAX];
    bool is_limit = key->type == VALUE_LIMIT_SIZE || key->type == VALUE_LIMIT_COUNT;
    if (key->type == VALUE_SIGNED)
        snprintf(buf, KEY_ALLOWED_MAX, "%" PRIi64 "..%" PRIi64, (int64_t)key->least,
                 (int64_t)key->most);
    else if (key->type == VALUE_UMASK)
        snprintf(buf, KEY_ALLOWED_MAX, "%04" PRIo64 "..%04" PRIo64, key->least, key->most);
    else if (key->type == VALUE_PERCENT)
        snprintf(buf, KEY_ALLOWED_MAX, "%" PRIu64 "%%..%" PRIu64 "%%", key->least, key->most);
    else if (key->type == VALUE_DURATION || key->type == VALUE_SPAN || key->type == VALUE_READY)
        snprintf(buf, KEY_ALLOWED_MAX, "%s..%s", duration_format(key->least, least),
                 duration_format(key->most, most));
    else if (key->type == VALUE_LIMIT_TIME)
        snprintf(buf, KEY_ALLOWED_MAX, "%s..unlimited", duration_format(key->least, least));
    else if (is_limit)
        snprintf(buf, KEY_ALLOWED_MAX, "%" PRIu64 "..unlimited", key->least);
    else if (key->most > 0)
        snprintf(buf, KEY_ALLOWED_MAX, "%" PRIu64 "..%" PRIu64, key->least, key->most);
    else
        snprintf(buf, KEY_ALLOWED_MAX, "-");
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

static const char *
place_of(const struct config_key *key)
{
    return key->scope == SCOPE_POOL ? "pool" : "file";
}

/* All of one key, a line each, and what it is for. */
static void
print_in_full(const struct config_key *key, FILE *out)
{
    char range[KEY_ALLOWED_MAX], allowed[KEY_ALLOWED_MAX];
    const char *words = key_allowed(key, allowed);
    size_t len = strlen(words);
    fprintf(out, "%s\n", key->path);
    fprintf(out, "  type          %s\n", key_type_name(key->type));
    fprintf(out, "  unit          %s\n", key->unit);
    fprintf(out, "  range         %s\n", key_range(key, range));
    fprintf(out, "  allowed       %.*s\n", (int)(len - (words[len - 1] == ',')), words);
    fprintf(out, "  default       %s\n", key->preset);
    fprintf(out, "  takes effect  %s\n", key_effect_name(key->effect));
    fprintf(out, "  stands in     %s\n",
            key->scope == SCOPE_TOP            ? "the main file"
            : strcmp(key->path, "listen") == 0 ? "a pool"
                                               : "a pool, or \"defaults\"");
    fprintf(out, "  meaning       %s\n", key->text);
}

int
load_keys(const char *name, FILE *out)
{
    bool found = false;
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        char range[KEY_ALLOWED_MAX];
        if (!is_asked(key, name))
            continue;
        found = true;
        if (name != NULL && strcmp(key->path, name) == 0)
            print_in_full(key, out);
        else
            fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", key->path, key_type_name(key->type),
                    key->unit, key_range(key, range), key->preset, key_effect_name(key->effect),
                    key->text, place_of(key));
    }
    if (!found)
        say_unknown(name);
    return found && fflush(out) == 0 && !ferror(out) ? 0 : 1;
}
