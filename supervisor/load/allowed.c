/* allowed.c - what a key's value may be, in words. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "common/units.h"
#include "supervisor/load/keys.h"
#include "supervisor/load/preset.h"
#include "supervisor/record.h"

#define HANDOFF_(n, s) [HANDOFF_##n] = (s),
#define OUTPUT_(n, s)  [OUTPUT_##n] = (s),
static const char *const handoffs[] = {HANDOFFS(HANDOFF_)};
static const char *const outputs[] = {OUTPUTS(OUTPUT_)};
/* Those of RFC 3164 that syslog(3) has; the kernel's own is not for us. */
static const char *const facilities[] = {
    NULL,     "user",   "mail",     "daemon", "auth",   "syslog", "lpr",    "news",
    "uucp",   "cron",   "authpriv", "ftp",    NULL,     NULL,     NULL,     NULL,
    "local0", "local1", "local2",   "local3", "local4", "local5", "local6", "local7"};
static const char *const levels[] = {"emerg",   "alert",  "crit", "err",
                                     "warning", "notice", "info", "debug"};
_Static_assert(LOG_FAC(LOG_DAEMON) == 3 && LOG_FAC(LOG_LOCAL7) == ARRAY_LEN(facilities) - 1 &&
                   LOG_DEBUG == ARRAY_LEN(levels) - 1,
               "a word stands at its number");

const char *const *
key_words(enum value_type type, size_t *count)
{
    const struct {
        enum value_type type;
        const char *const *words;
        size_t count;
    } lists[] = {
        {VALUE_HANDOFF, handoffs, ARRAY_LEN(handoffs)},
        {VALUE_OUTPUT, outputs, ARRAY_LEN(outputs)},
        {VALUE_FACILITY, facilities, ARRAY_LEN(facilities)},
        {VALUE_LEVEL, levels, ARRAY_LEN(levels)},
        {VALUE_PRESET, preset_names, PRESET_COUNT},
    };
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        if (lists[i].type == type) {
            *count = lists[i].count;
            return lists[i].words;
        }
    }
    *count = 0;
    return NULL;
}

/* `"a", "b" or "c"`. */
static const char *
words_allowed(enum value_type type, char buf[KEY_ALLOWED_MAX])
{
    size_t count, len = 0;
    const char *const *words = key_words(type, &count);
    const char *last = NULL;
    assert(count > 0);
    buf[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        if (words[i] == NULL)
            continue;
        if (last != NULL)
            len += (size_t)snprintf(buf + len, KEY_ALLOWED_MAX - len, "%s\"%s\"",
                                    len == 0 ? "" : ", ", last);
        last = words[i];
    }
    len += (size_t)snprintf(buf + len, KEY_ALLOWED_MAX - len, " or \"%s\"", last);
    assert(len < KEY_ALLOWED_MAX); /* the lists are ours */
    return buf;
}

static const char *
number_allowed(const struct config_key *key, char buf[KEY_ALLOWED_MAX])
{
    if (key->type == VALUE_SIGNED)
        snprintf(buf, KEY_ALLOWED_MAX, "an integer from %" PRIi64 " to %" PRIi64,
                 (int64_t)key->least, (int64_t)key->most);
    else
        snprintf(buf, KEY_ALLOWED_MAX, "an integer from %" PRIu64 " to %" PRIu64, key->least,
                 key->most);
    return buf;
}

static const char *
span_allowed(const struct config_key *key, char buf[KEY_ALLOWED_MAX])
{
    char least[UNIT_TEXT_MAX], most[UNIT_TEXT_MAX];
    const char *word = key->type == VALUE_LIMIT_TIME ? ", or \"unlimited\","
                       : key->type == VALUE_SPAN     ? ", or \"0s\" for never,"
                                                     : "";
    snprintf(buf, KEY_ALLOWED_MAX, "a duration from \"%s\" to \"%s\"%s",
             duration_format(key->least, least), duration_format(key->most, most), word);
    return buf;
}

/* before, the most of a list, after. */
static const char *
list_allowed(const struct config_key *key, const char *before, const char *after,
             char buf[KEY_ALLOWED_MAX])
{
    snprintf(buf, KEY_ALLOWED_MAX, "%s of at most %" PRIu64 " %s", before, key->most, after);
    return buf;
}

const char *
key_allowed(const struct config_key *key, char buf[KEY_ALLOWED_MAX])
{
    switch (key->type) {
    case VALUE_INTEGER:
    case VALUE_SIGNED:
        return number_allowed(key, buf);
    case VALUE_TIMES:
        return list_allowed(key, "an array", "clock times such as \"03:30\"", buf);
    case VALUE_PERCENT:
        snprintf(buf, KEY_ALLOWED_MAX, "a percentage from \"%" PRIu64 "%%\" to \"%" PRIu64 "%%\"",
                 key->least, key->most);
        return buf;
    case VALUE_DURATION:
    case VALUE_SPAN:
    case VALUE_LIMIT_TIME:
        return span_allowed(key, buf);
    case VALUE_BOOLEAN:
        return "true or false";
    case VALUE_SIGNAL:
        return "\"TERM\", \"QUIT\", \"INT\", \"HUP\", \"USR1\", \"USR2\" or \"WINCH\"";
    case VALUE_UMASK:
        return "an octal number in quotes, such as \"0022\",";
    case VALUE_OUTPUT:
        return "\"events\", \"null\" or the absolute path of a file";
    case VALUE_HANDOFF:
    case VALUE_PRESET:
    case VALUE_FACILITY:
    case VALUE_LEVEL:
        return words_allowed(key->type, buf);
    case VALUE_LIMIT_SIZE:
        return "a size such as \"512MiB\", or \"unlimited\",";
    case VALUE_LIMIT_COUNT:
        return "a whole number, or \"unlimited\",";
    case VALUE_PATH:
        return "an absolute path";
    case VALUE_USER:
        return "the name of a user";
    case VALUE_GROUP:
        return "the name of a group";
    case VALUE_GROUPS:
        return list_allowed(key, "an array", "names of groups", buf);
    case VALUE_COMMAND:
        snprintf(buf, KEY_ALLOWED_MAX, "an array of %" PRIu64 " to %" PRIu64 " strings", key->least,
                 key->most);
        return buf;
    case VALUE_ENVIRONMENT:
        return list_allowed(key, "an object", "strings", buf);
    case VALUE_LISTEN:
        return list_allowed(key, "an array", "addresses such as \"127.0.0.1:8080\"", buf);
    case VALUE_READY:
        return "\"exec\", \"notify\", {\"after\": \"2s\"} or {\"command\": [...]}";
    case VALUE_SOCKET_PATH:
        return "an absolute path of at most 107 bytes that does not end with /";
    case VALUE_ROLE:
        return list_allowed(key, "an array", "names of users, and of groups as \"@wheel\"", buf);
    case VALUE_INCLUDE:
        return list_allowed(key, "an array", "patterns such as \"pools.d/*.json\"", buf);
    case VALUE_ADDRESSES:
        return list_allowed(key, "an array", "IP addresses such as \"192.0.2.1\"", buf);
    case VALUE_DEFAULTS:
        return "an object of keys";
    case VALUE_POOLS:
        return "an object of pools";
    case VALUE_TYPE_COUNT:
        break;
    }
    assert(!"a key without a type");
    return buf;
}
