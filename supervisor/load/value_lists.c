/* value_lists.c - the values that hold other values: arrays, objects, and `ready`. */
#include <string.h>

#include "common/text.h"
#include "supervisor/load/compile.h"

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

bool
value_take_command(struct load *load, const struct config_key *key, const json_t *value,
                   const json_t **out)
{
    if (!take_array(load, key, value) || !check_strings(load, value))
        return false;
    *out = value;
    return true;
}

/* Its elements are judged one by one where they are resolved. */
bool
value_take_array(struct load *load, const struct config_key *key, const json_t *value,
                 const json_t **out)
{
    if (!take_array(load, key, value))
        return false;
    *out = value;
    return true;
}

uint32_t
minute_parse(const json_t *value)
{
    const char *text = json_string_value(value);
    if (text == NULL || strlen(text) != 5 || text[2] != ':')
        return MINUTES_A_DAY;
    for (size_t i = 0; i < 5; i++)
        if (i != 2 && (text[i] < '0' || text[i] > '9'))
            return MINUTES_A_DAY;
    unsigned hour = (unsigned)(text[0] - '0') * 10 + (unsigned)(text[1] - '0');
    unsigned minute = (unsigned)(text[3] - '0') * 10 + (unsigned)(text[4] - '0');
    return hour < 24 && minute < 60 ? hour * 60 + minute : MINUTES_A_DAY;
}

bool
value_take_times(struct load *load, const struct config_key *key, const json_t *value,
                 const json_t **out)
{
    bool good = take_array(load, key, value);
    size_t index;
    json_t *element;
    json_array_foreach(good ? value : NULL, index, element)
    {
        char found[JSON_FOUND_MAX];
        struct pointer_mark mark = pointer_enter_element(&load->pointer, index);
        if (minute_parse(element) == MINUTES_A_DAY) {
            problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE,
                        "found %s, but a clock time from \"00:00\" to \"23:59\" is needed",
                        json_found(element, found));
            good = false;
        }
        pointer_leave(&load->pointer, mark);
    }
    if (good)
        *out = value;
    return good;
}

/* Its members are judged later; here only that there are some. */
bool
value_take_object(struct load *load, const struct config_key *key, const json_t *value,
                  const json_t **out)
{
    if (!json_is_object(value)) {
        value_refuse(load, key, value);
        return false;
    }
    *out = value;
    return true;
}

bool
value_take_environment(struct load *load, const struct config_key *key, const json_t *value,
                       struct environment_draft *out)
{
    if (!json_is_object(value) || json_object_size(value) > key->most) {
        value_refuse(load, key, value);
        return false;
    }
    bool good = true;
    const char *name;
    json_t *member;
    json_object_foreach((json_t *)(uintptr_t)value, name, member)
    {
        struct pointer_mark mark = pointer_enter_member(&load->pointer, name);
        good = environment_check(load, name, member) && good;
        pointer_leave(&load->pointer, mark);
    }
    if (good && json_object_size(value) > 0) {
        assert(out->count < LAYER_COUNT);
        out->layers[out->count++] = value;
    }
    return good;
}

/* The one member of {"after": "2s"} or {"command": [...]}, which load->pointer points to. */
static bool
take_ready_member(struct load *load, const struct config_key *key, const char *name,
                  const json_t *value, struct ready_draft *out)
{
    struct config_key part = *key; /* its range is that of "after" */
    if (strcmp(name, "command") == 0) {
        const struct config_key *command = key_find(SCOPE_POOL, "command");
        out->rule = READY_COMMAND;
        return value_take_command(load, command, value, &out->command);
    }
    uint64_t ms;
    part.type = VALUE_DURATION;
    if (!value_take(load, &part, value, &ms))
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

bool
value_take_ready(struct load *load, const struct config_key *key, const json_t *value,
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
