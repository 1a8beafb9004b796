/* event_fields.c - the key=value pairs of an event: written, read, and cut in whole pairs. */
#include "supervisor/engine/events.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"

#define VALUE_LEAST 16u /* less of a value than this tells nobody anything: the pair is left out */

/* "12", "0.250" and the like. */
static bool
is_number(const char *text, size_t len)
{
    size_t at = len > 0 && text[0] == '-', digits = 0, points = 0;
    if (at + 1 < len && text[at] == '0' && text[at + 1] != '.')
        return false;
    for (; at < len; at++) {
        bool point = text[at] == '.' && digits > 0 && at + 1 < len;
        if (!point && (text[at] < '0' || text[at] > '9'))
            return false;
        points += point;
        digits += !point;
    }
    return digits > 0 && points <= 1;
}

/* Adds "key=value" as it is, or nothing. */
static void
fields_add(struct event_fields *fields, const char *key, const char *value)
{
    size_t room = sizeof fields->text - fields->len;
    int n = snprintf(fields->text + fields->len, room, "%s%s=%s", fields->len > 0 ? " " : "", key,
                     value);
    if (n < 0 || (size_t)n >= room)
        fields->text[fields->len] = '\0';
    else
        fields->len = (uint16_t)(fields->len + n);
}

void
fields_number(struct event_fields *fields, const char *key, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    fields_add(fields, key, text);
}

void
fields_seconds(struct event_fields *fields, const char *key, msec value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64 ".%03u", value / 1000, (unsigned)(value % 1000));
    fields_add(fields, key, text);
}

/* Double quotes become \x22 while value moves to out, which never holds more than cap. */
static size_t
escape_quotes(char *out, size_t cap, const char *value, size_t len)
{
    size_t at = 0;
    for (size_t i = 0; i < len; i++) {
        size_t size = value[i] == '"' ? 4 : 1;
        if (at + size >= cap) {
            out[at] = '\0';
            return text_cut(out, at, at);
        }
        memcpy(out + at, value[i] == '"' ? "\\x22" : &value[i], size);
        at += size;
    }
    out[at] = '\0';
    return at;
}

void
fields_string(struct event_fields *fields, const char *key, const char *value)
{
    char escaped[sizeof fields->text], text[sizeof fields->text];
    size_t taken = fields->len + strlen(key) + sizeof " =\"\"";
    size_t room = taken < sizeof fields->text ? sizeof fields->text - taken : 0;
    size_t len = strlen(value);
    if (room < MIN(len, VALUE_LEAST))
        return;
    len = text_escape(escaped, sizeof escaped, value, len);
    bool quoted = len == 0 || memchr(escaped, ' ', len) != NULL || is_number(escaped, len);
    text[0] = '"';
    len = escape_quotes(text + 1, MAX(room, VALUE_LEAST) + 1, escaped, len);
    memcpy(text + 1 + len, "\"", 2);
    if (!quoted)
        text[1 + len] = '\0';
    fields_add(fields, key, quoted ? text : text + 1);
}

bool
fields_next(const char **at, struct field_pair *out)
{
    const char *key = *at + strspn(*at, " ");
    size_t key_len = strcspn(key, "= ");
    if (key_len == 0 || key[key_len] != '=')
        return false;
    const char *value = key + key_len + 1;
    bool quoted = *value == '"';
    value += quoted;
    size_t value_len = strcspn(value, quoted ? "\"" : " ");
    *out = (struct field_pair){key, value, key_len, value_len, quoted};
    *at = value + value_len + (quoted && value[value_len] == '"');
    return true;
}

bool
field_is_number(const struct field_pair *pair)
{
    return !pair->quoted && is_number(pair->value, pair->value_len);
}

/* The length of the whole pairs at the start of fields that take at most room bytes. */
static size_t
fields_fit(const char *fields, size_t room)
{
    struct field_pair pair;
    size_t fit = 0;
    for (const char *at = fields; fields_next(&at, &pair);) {
        if ((size_t)(at - fields) > room)
            break;
        fit = (size_t)(at - fields);
    }
    return fit;
}

void
event_fit(const struct event_seen *seen, size_t room, size_t *out_text, size_t *out_fields)
{
    size_t text = strlen(seen->text), fields = strlen(seen->fields);
    if (text + fields > room) {
        fields = fields_fit(seen->fields, MAX(room / 2, room - MIN(text, room)));
        text = MIN(text, room - fields);
    }
    *out_text = text;
    *out_fields = fields;
}
