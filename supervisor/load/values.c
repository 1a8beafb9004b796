/* values.c - the value of a key: its JSON type, its range, and where it goes. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "common/units.h"
#include "supervisor/load/compile.h"

#define HANDOFF_(n, s) [HANDOFF_##n] = (s),
static const char *const handoff_names[HANDOFF_COUNT] = {HANDOFFS(HANDOFF_)};
#undef HANDOFF_

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
    if (r != 0 || ms < key->least || ms > key->most)
        return value_refuse_range(load, key, value);
    *out = ms;
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

static bool
take_HANDOFF(struct load *load, const struct config_key *key, const json_t *value, uint8_t *out)
{
    if (!json_is_string(value)) {
        value_refuse(load, key, value);
        return false;
    }
    struct text_nearest nearest;
    text_nearest_init(&nearest, json_string_value(value));
    for (unsigned i = 0; i <= HANDOFF_NONE; i++) {
        if (strcmp(handoff_names[i], json_string_value(value)) == 0) {
            *out = (uint8_t)i;
            return true;
        }
        text_nearest_offer(&nearest, handoff_names[i]);
    }
    return value_refuse_near(load, key, value, &nearest);
}

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

/* Reports each element that is no string. */
static bool
check_strings(struct load *load, const json_t *array)
{
    bool good = true;
    size_t index;
    json_t *element;
    json_array_foreach(array, index, element)
    {
        struct pointer_mark mark = pointer_enter_element(&load->pointer, index);
        good = value_check_string(load, element) && good;
        pointer_leave(&load->pointer, mark);
    }
    return good;
}

static bool
take_array(struct load *load, const struct config_key *key, const json_t *value)
{
    size_t size = json_array_size(value);
    if (json_is_array(value) && size >= key->least && size <= key->most)
        return true;
    value_refuse(load, key, value);
    return false;
}

static bool
take_COMMAND(struct load *load, const struct config_key *key, const json_t *value,
             const json_t **out)
{
    if (!take_array(load, key, value) || !check_strings(load, value))
        return false;
    *out = value;
    return true;
}

/* Its elements are judged one by one where they are resolved. */
static bool
take_LISTEN(struct load *load, const struct config_key *key, const json_t *value,
            const json_t **out)
{
    if (!take_array(load, key, value))
        return false;
    *out = value;
    return true;
}

static bool
take_ENVIRONMENT(struct load *load, const struct config_key *key, const json_t *value,
                 const json_t **out)
{
    if (!json_is_object(value) || json_object_size(value) > key->most) {
        value_refuse(load, key, value);
        return false;
    }
    *out = value;
    return true;
}

/* The one member of {"after": "2s"} or {"command": [...]}, which load->pointer points to. */
static bool
take_ready_member(struct load *load, const struct config_key *key, const char *name,
                  const json_t *value, struct ready_draft *out)
{
    struct config_key part = *key; /* its range is that of "after" */
    if (strcmp(name, "command") == 0) {
        const struct config_key *command = key_find("command");
        out->rule = READY_COMMAND;
        return take_COMMAND(load, command, value, &out->command);
    }
    uint64_t ms;
    part.type = VALUE_DURATION;
    if (!take_DURATION(load, &part, value, &ms))
        return false;
    out->rule = READY_AFTER;
    out->after_ms = (uint32_t)ms; /* at most key->most, a day */
    return true;
}

static bool
take_ready_object(struct load *load, const struct config_key *key, const json_t *object,
                  struct ready_draft *out)
{
    struct ready_draft ready = {.rule = READY_EXEC};
    unsigned taken = 0, good = 0;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        struct pointer_mark mark = pointer_enter_member(&load->pointer, name);
        if (is_comment(name)) {
            value_check_string(load, value);
        } else if (strcmp(name, "after") == 0 || strcmp(name, "command") == 0) {
            taken++;
            good += take_ready_member(load, key, name, value, &ready);
        } else {
            taken = 2; /* nothing else may stand here */
        }
        pointer_leave(&load->pointer, mark);
    }
    if (taken != 1)
        value_refuse(load, key, object);
    if (taken != 1 || good != 1)
        return false;
    *out = ready;
    return true;
}

static bool
take_READY(struct load *load, const struct config_key *key, const json_t *value,
           struct ready_draft *out)
{
    if (json_is_object(value))
        return take_ready_object(load, key, value, out);
    if (!json_is_string(value)) {
        value_refuse(load, key, value);
        return false;
    }
    const char *word = json_string_value(value);
    if (strcmp(word, "exec") == 0 || strcmp(word, "notify") == 0) {
        *out = (struct ready_draft){.rule = word[0] == 'e' ? READY_EXEC : READY_NOTIFY};
        return true;
    }
    struct text_nearest nearest;
    text_nearest_init(&nearest, word);
    text_nearest_offer(&nearest, "exec");
    text_nearest_offer(&nearest, "notify");
    return value_refuse_near(load, key, value, &nearest);
}

bool
value_take(struct load *load, const struct config_key *key, const json_t *value,
           struct draft *draft)
{
    void *member = (char *)draft + key->member;
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
