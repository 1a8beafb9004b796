/* event_fields.c - the key=value pairs of an event: written, read, and cut to fit a record. */
#include "supervisor/engine/events.h"

#include <stdio.h>
#include <string.h>

#include "common/text.h"

#define VALUE_LEAST      16u /* less of a value than this tells nobody anything: the pair is left out */
#define VALUE_KEPT_LEAST 24u /* the same for a value that was whole, in a record of the ring */

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

/* Adds "key=value" as it is, or nothing. By hand: a death has ten fields, and printf would cost more
 * than the decision what to do about it. */
static void
fields_add(struct event_fields *fields, const char *key, const char *value, size_t value_len)
{
    size_t key_len = strlen(key), blank = fields->len > 0;
    if (fields->len + blank + key_len + 1 + value_len >= sizeof fields->text)
        return;
    char *at = fields->text + fields->len;
    memcpy(at, " ", blank);
    memcpy(at + blank, key, key_len);
    at += blank + key_len;
    *at++ = '=';
    memcpy(at, value, value_len);
    at[value_len] = '\0';
    fields->len = (uint16_t)(at + value_len - fields->text);
}

/* Writes number in decimal so that it ends before end, with at least so many digits; returns where it
 * begins. */
static char *
digits_before(char *end, uint64_t number, unsigned least)
{
    for (; number > 0 || least > 0; number /= 10, least -= least > 0)
        *--end = (char)('0' + number % 10);
    return end;
}

void
fields_number(struct event_fields *fields, const char *key, int64_t value)
{
    char text[24], *end = text + sizeof text;
    uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value;
    char *at = digits_before(end, size, 1);
    if (value < 0)
        *--at = '-';
    fields_add(fields, key, at, (size_t)(end - at));
}

void
fields_seconds(struct event_fields *fields, const char *key, msec value)
{
    char text[32], *end = text + sizeof text;
    char *at = digits_before(end, value % 1000, 3);
    *--at = '.';
    at = digits_before(at, value / 1000, 1);
    fields_add(fields, key, at, (size_t)(end - at));
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
    fields_add(fields, key, quoted ? text : text + 1, len + (quoted ? 2 : 0));
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

/* How much of a value stays when at most max bytes of it with its "..." may: no escape is broken. */
static size_t
value_cut(const char *value, size_t max)
{
    size_t keep = max - 3;
    for (size_t back = 1; back <= 3; back++)
        if (value[keep - back] == '\\' && value[keep - back + 1] == 'x')
            return max - back;
    return max;
}

/* Adds what fits of a pair that does not fit whole, if that says anything. Returns the length. */
static size_t
pair_cut(char *out, size_t len, size_t room, const struct field_pair *pair)
{
    size_t head = (len > 0) + pair->key_len + 1 + pair->quoted, tail = pair->quoted;
    if (field_is_number(pair) || len + head + VALUE_KEPT_LEAST + 3 + tail > room)
        return len;
    size_t max = value_cut(pair->value, room - len - head - tail);
    char value[sizeof((struct event_fields *)0)->text];
    max = MIN(max, sizeof value - 1);
    memcpy(value, pair->value, max);
    value[max] = '\0';
    text_cut(value, max, max);
    const char *quote = pair->quoted ? "\"" : "";
    return len + (size_t)snprintf(out + len, room - len + 1, "%s%.*s=%s%s%s", len > 0 ? " " : "",
                                  (int)pair->key_len, pair->key, quote, value, quote);
}

/* Copies the pairs that fit into room bytes, and of the first that does not what does; out has one
 * byte more. Returns the length. */
static size_t
fields_cut(char *out, size_t room, const char *fields)
{
    struct field_pair pair;
    size_t len = 0;
    for (const char *at = fields; fields_next(&at, &pair);) {
        if ((size_t)(at - fields) > room) {
            out[len] = '\0';
            return pair_cut(out, len, room, &pair);
        }
        len = (size_t)(at - fields);
        memcpy(out, fields, len);
    }
    out[len] = '\0';
    return len;
}

size_t
event_fit(const struct event_seen *seen, size_t room, char *fields, size_t *out_text)
{
    size_t text = strlen(seen->text), len = strlen(seen->fields);
    if (text + len <= room) {
        memcpy(fields, seen->fields, len + 1);
    } else {
        len = fields_cut(fields, MAX(room / 2, room - MIN(text, room)), seen->fields);
        text = MIN(text, room - len);
    }
    *out_text = text;
    return len;
}
