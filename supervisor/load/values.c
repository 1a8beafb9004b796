/* values.c - the value of a key: its JSON type, its range, and where it goes. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "common/text.h"
#include "common/units.h"
#include "supervisor/load/compile.h"

static bool
take_INTEGER(struct load *load, const struct config_key *key, const json_t *value, uint32_t *out)
{
    if (!json_is_integer(value)) {
        value_refuse(load, key, value);
        return false;
    }
    json_int_t number = json_integer_value(value);
    if (number < 0 || (uint64_t)number < key->least || (uint64_t)number > key->most)
        return value_refuse_range(load, key, value);
    *out = (uint32_t)number;
    return true;
}

static bool
take_BOOLEAN(struct load *load, const struct config_key *key, const json_t *value, uint8_t *out)
{
    if (!json_is_boolean(value)) {
        value_refuse(load, key, value);
        return false;
    }
    *out = json_is_true(value);
    return true;
}

static bool
take_DURATION(struct load *load, const struct config_key *key, const json_t *value, uint64_t *out)
{
    char allowed[KEY_ALLOWED_MAX], found[JSON_FOUND_MAX];
    if (json_is_number(value)) {
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE,
                    "found %s without a unit, but %s is needed: write \"%gs\" or \"%gms\"",
                    json_found(value, found), key_allowed(key, allowed), json_number_value(value),
                    json_number_value(value));
        return false;
    }
    if (!json_is_string(value)) {
        value_refuse(load, key, value);
        return false;
    }
    uint64_t ms;
    struct err err;
    int r = duration_parse(json_string_value(value), &ms, &err);
    if (r != 0 && r != -ERANGE) {
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE,
                    "found %s, but %s is needed; %s", json_found(value, found),
                    key_allowed(key, allowed), err.text);
        return false;
    }
    bool is_off = key->type == VALUE_SPAN && ms == 0;
    if (r != 0 || (ms < key->least && !is_off) || ms > key->most)
        return value_refuse_range(load, key, value);
    *out = ms;
    return true;
}

#define take_SPAN take_DURATION

/* "10%": a whole number without leading zeros, so that each share is written in one way. */
static bool
take_PERCENT(struct load *load, const struct config_key *key, const json_t *value, uint8_t *out)
{
    const char *text = json_string_value(value);
    char *end = NULL;
    unsigned long number = 0;
    if (text != NULL && text[0] >= '0' && text[0] <= '9')
        number = strtoul(text, &end, 10);
    bool is_one = end != NULL && strcmp(end, "%") == 0 && (text[0] != '0' || end == text + 1);
    if (!is_one) {
        value_refuse(load, key, value);
        return false;
    }
    if (number < key->least || number > key->most)
        return value_refuse_range(load, key, value);
    *out = (uint8_t)number;
    return true;
}

static bool
take_SIGNAL(struct load *load, const struct config_key *key, const json_t *value, uint8_t *out)
{
    static const int allowed[] = {SIGTERM, SIGQUIT, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH};
    if (!json_is_string(value)) {
        value_refuse(load, key, value);
        return false;
    }
    const char *name = json_string_value(value);
    int number = signal_number(name);
    struct text_nearest nearest;
    text_nearest_init(&nearest, strncmp(name, "SIG", 3) == 0 ? name + 3 : name);
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
        if (allowed[i] == number) {
            *out = (uint8_t)number;
            return true;
        }
        text_nearest_offer(&nearest, signal_name(allowed[i]));
    }
    if (number != 0) /* a signal, but not one that asks to drain */
        nearest.best[0] = '\0';
    return value_refuse_near(load, key, value, &nearest);
}

bool
mode_parse(const json_t *value, uint32_t *out)
{
    const char *text = json_string_value(value);
    size_t len = text == NULL ? 0 : strlen(text);
    if (len < 3 || len > 4 || strspn(text, "01234567") != len)
        return false;
    uint32_t mode = (uint32_t)strtoul(text, NULL, 8);
    if (mode > 0777)
        return false;
    *out = mode;
    return true;
}

static bool
take_UMASK(struct load *load, const struct config_key *key, const json_t *value, uint32_t *out)
{
    if (mode_parse(value, out))
        return true;
    value_refuse(load, key, value);
    return false;
}

bool
value_take_word(struct load *load, const struct config_key *key, const json_t *value, uint8_t *out)
{
    size_t count;
    const char *const *words = key_words(key->type, &count);
    if (!json_is_string(value)) {
        value_refuse(load, key, value);
        return false;
    }
    struct text_nearest nearest;
    text_nearest_init(&nearest, json_string_value(value));
    for (size_t i = 0; i < count; i++) {
        if (words[i] == NULL)
            continue;
        if (strcmp(words[i], json_string_value(value)) == 0) {
            *out = (uint8_t)i;
            return true;
        }
        text_nearest_offer(&nearest, words[i]);
    }
    return value_refuse_near(load, key, value, &nearest);
}

#define take_HANDOFF  value_take_word
#define take_PRESET   value_take_word
#define take_FACILITY value_take_word
#define take_LEVEL    value_take_word

#define take_SIGNED      value_take_signed
#define take_LIMIT_SIZE  value_take_limit
#define take_LIMIT_COUNT value_take_limit
#define take_LIMIT_TIME  value_take_limit

/* A string that may become part of a path, a name or a message: not empty, nothing hidden in it. */
static bool
take_name(struct load *load, const struct config_key *key, const json_t *value, const char **out)
{
    if (!json_is_string(value) || json_string_length(value) == 0) {
        value_refuse(load, key, value);
        return false;
    }
    if (!text_is_printable(json_string_value(value))) {
        char found[JSON_FOUND_MAX];
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE,
                    "found %s, with a control or hidden character", json_found(value, found));
        return false;
    }
    *out = json_string_value(value);
    return true;
}

static bool
take_PATH(struct load *load, const struct config_key *key, const json_t *value, const char **out)
{
    const char *path;
    if (!take_name(load, key, value, &path))
        return false;
    if (path[0] != '/' || strlen(path) >= 4096) {
        value_refuse(load, key, value);
        return false;
    }
    *out = path;
    return true;
}

/* A path that fits a socket's address. */
static bool
take_SOCKET_PATH(struct load *load, const struct config_key *key, const json_t *value,
                 const char **out)
{
    const size_t most = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    const char *path = NULL;
    if (!take_PATH(load, key, value, &path))
        return false;
    size_t len = strlen(path);
    if (len <= most && path[len - 1] != '/') {
        *out = path;
        return true;
    }
    if (len > most)
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE,
                    "found a path of %zu bytes; a socket's has at most %zu, the kernel's limit",
                    len, most);
    else
        value_refuse(load, key, value);
    return false;
}

static bool
take_USER(struct load *load, const struct config_key *key, const json_t *value, const char **out)
{
    return take_name(load, key, value, out);
}

static bool
take_GROUP(struct load *load, const struct config_key *key, const json_t *value, const char **out)
{
    return take_name(load, key, value, out);
}

/* --- Those that hold other values are in value_lists.c. */

#define take_COMMAND     value_take_command
#define take_GROUPS      value_take_command
#define take_LISTEN      value_take_array
#define take_ROLE        value_take_array
#define take_INCLUDE     value_take_array
#define take_TIMES       value_take_times
#define take_ADDRESSES   value_take_array
#define take_DEFAULTS    value_take_object
#define take_POOLS       value_take_object
#define take_ENVIRONMENT value_take_environment
#define take_READY       value_take_ready
#define take_OUTPUT      value_take_output

bool
value_take(struct load *load, const struct config_key *key, const json_t *value, void *member)
{
    switch (key->type) {
#define TAKE_(n, s, c)                                                                             \
    case VALUE_##n:                                                                                \
        return take_##n(load, key, value, member);
        VALUE_TYPES(TAKE_)
#undef TAKE_
    case VALUE_TYPE_COUNT:
        break;
    }
    assert(!"a key without a type");
    return false;
}
