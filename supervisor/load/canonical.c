/* canonical.c - a value as one text that equal values share, whichever way they are written. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/units.h"
#include "supervisor/load/compile.h"

static int
dump_piece(const char *piece, size_t len, void *buffer)
{
    buffer_add(buffer, piece, len);
    return 0;
}

/* Compact, with the members of objects in order. */
static void
put_json(struct buffer *out, const json_t *value)
{
    if (json_dump_callback(value, dump_piece, out,
                           JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS) != 0)
        out->failed = true;
}

static void
put_duration(struct buffer *out, const json_t *value)
{
    uint64_t ms = 0;
    char text[UNIT_TEXT_MAX];
    struct err err;
    int r = duration_parse(json_string_value(value), &ms, &err);
    assert(r == 0);
    buffer_print(out, "\"%s\"", duration_format(ms, text));
}

static void
put_limit(struct buffer *out, const struct config_key *key, const json_t *value)
{
    uint64_t bytes = 0;
    char text[UNIT_TEXT_MAX];
    struct err err;
    if (!json_is_string(value) || strcmp(json_string_value(value), "unlimited") == 0) {
        put_json(out, value);
    } else if (key->type == VALUE_LIMIT_TIME) {
        put_duration(out, value);
    } else {
        int r = size_parse(json_string_value(value), &bytes, &err);
        assert(r == 0);
        buffer_print(out, "\"%s\"", size_format(bytes, text));
    }
}

/* An object without its comments, its members by order of names; the caller's. */
static json_t *
without_comments(struct buffer *out, const json_t *object)
{
    json_t *copy = json_copy((json_t *)(uintptr_t)object);
    if (copy == NULL) {
        out->failed = true;
        return NULL;
    }
    json_object_del(copy, "$schema");
    json_object_del(copy, "$comment");
    return copy;
}

static void
put_ready(struct buffer *out, const json_t *value)
{
    const json_t *after = json_object_get(value, "after"),
                 *command = json_object_get(value, "command");
    if (after != NULL) {
        buffer_add(out, "{\"after\":", 9);
        put_duration(out, after);
        buffer_add(out, "}", 1);
    } else if (command != NULL) {
        buffer_add(out, "{\"command\":", 11);
        put_json(out, command);
        buffer_add(out, "}", 1);
    } else {
        put_json(out, value);
    }
}

/* An object that says no more than an address is that address. */
static void
put_listen(struct buffer *out, const json_t *array)
{
    size_t index;
    json_t *element;
    buffer_add(out, "[", 1);
    json_array_foreach(array, index, element)
    {
        if (index > 0)
            buffer_add(out, ",", 1);
        json_t *plain = json_is_object(element) ? without_comments(out, element) : NULL;
        if (plain == NULL)
            put_json(out, element);
        else
            put_json(out, json_object_size(plain) == 1 ? json_object_get(plain, "address") : plain);
        json_decref(plain);
    }
    buffer_add(out, "]", 1);
}

void
canonical_put(struct buffer *out, const struct config_key *key, const json_t *value)
{
    uint32_t mode = 0;
    switch ((unsigned)key->type) {
    case VALUE_DURATION:
    case VALUE_SPAN:
        put_duration(out, value);
        return;
    case VALUE_SIGNAL:
        buffer_print(out, "\"%s\"", signal_name(signal_number(json_string_value(value))));
        return;
    case VALUE_UMASK:
        mode_parse(value, &mode);
        buffer_print(out, "\"%04o\"", mode);
        return;
    case VALUE_LIMIT_SIZE:
    case VALUE_LIMIT_COUNT:
    case VALUE_LIMIT_TIME:
        put_limit(out, key, value);
        return;
    case VALUE_READY:
        put_ready(out, value);
        return;
    case VALUE_LISTEN:
        put_listen(out, value);
        return;
    default:
        put_json(out, value);
        return;
    }
}

void
canonical_init(struct load *load)
{
    for (size_t i = 0; i < POOL_KEY_COUNT; i++) {
        json_error_t error;
        if (!key_has_preset(&config_keys[i]))
            continue;
        struct buffer text = {0};
        json_t *value = json_loads(config_keys[i].preset, JSON_DECODE_ANY, &error);
        if (value != NULL)
            canonical_put(&text, &config_keys[i], value);
        buffer_add(&text, "", 1);
        load->failed = load->failed || value == NULL || text.failed;
        load->built_in_texts[i] = text.bytes;
        json_decref(value);
    }
}
