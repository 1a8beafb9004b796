/* control_json.c - JSON written piece by piece into a buffer that is sent while it grows. */
#include "supervisor/engine/control_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"

#define JSON_OUT_FIRST 1024u
#define JSON_OUT_KEEP  4096u /* an empty buffer above this is given back */

void
json_out_fini(struct json_out *out)
{
    free(out->data);
    memset(out, 0, sizeof *out);
}

void
json_out_took(struct json_out *out, size_t n)
{
    assert(n <= json_out_pending(out));
    out->sent += n;
    if (out->sent < out->len)
        return;
    out->sent = out->len = 0;
    if (out->cap > JSON_OUT_KEEP) {
        free(out->data);
        out->data = NULL;
        out->cap = 0;
    }
}

/* Room for more bytes. What has been sent is dropped first, so that the buffer does not creep. */
static bool
json_out_room(struct json_out *out, size_t more)
{
    if (out->failed)
        return false;
    if (more <= out->cap - out->len)
        return true;
    if (out->sent > 0) {
        memmove(out->data, out->data + out->sent, out->len - out->sent);
        out->len -= out->sent;
        out->sent = 0;
    }
    size_t cap = MAX(out->cap, JSON_OUT_FIRST);
    while (cap - out->len < more)
        cap *= 2;
    if (cap == out->cap)
        return true;
    char *data = realloc(out->data, cap);
    if (data == NULL) {
        out->failed = true;
        return false;
    }
    out->data = data;
    out->cap = cap;
    return true;
}

void
json_out_raw(struct json_out *out, const char *bytes, size_t len)
{
    if (!json_out_room(out, len))
        return;
    memcpy(out->data + out->len, bytes, len);
    out->len += len;
}

void
json_out_text(struct json_out *out, const char *literal)
{
    json_out_raw(out, literal, strlen(literal));
}

/* The comma before a value that is not the first, and its key. In one piece: half of a list of
 * pools is keys. */
static void
json_out_key_of(struct json_out *out, const char *key, size_t len)
{
    bool comma = out->comma;
    out->comma = true;
    if (!json_out_room(out, len + 4))
        return;
    char *at = out->data + out->len;
    if (comma)
        *at++ = ',';
    if (key != NULL) {
        *at++ = '"';
        memcpy(at, key, len);
        at += len;
        *at++ = '"';
        *at++ = ':';
    }
    out->len = (size_t)(at - out->data);
}

static void
json_out_key(struct json_out *out, const char *key)
{
    json_out_key_of(out, key, key == NULL ? 0 : strlen(key));
}

void
json_out_open(struct json_out *out, const char *key, char bracket)
{
    assert(bracket == '{' || bracket == '[');
    json_out_key(out, key);
    json_out_raw(out, &bracket, 1);
    out->comma = false;
}

void
json_out_close(struct json_out *out, char bracket)
{
    assert(bracket == '}' || bracket == ']');
    json_out_raw(out, &bracket, 1);
    out->comma = true;
}

/* Strings are printable already where they come from outside; this holds whatever comes, so that no
 * text can break a line or a document. */
static void
json_out_quoted(struct json_out *out, const char *value, size_t len)
{
    json_out_raw(out, "\"", 1);
    while (len > 0) {
        size_t plain = 0;
        while (plain < len && value[plain] >= 0x20 && value[plain] < 0x7f && value[plain] != '"' &&
               value[plain] != '\\')
            plain++;
        json_out_raw(out, value, plain);
        value += plain;
        len -= plain;
        if (len == 0)
            break;
        size_t taken = text_printable(value, len);
        if (*value == '"' || *value == '\\') {
            char pair[2] = {'\\', *value};
            json_out_raw(out, pair, sizeof pair);
        } else if (taken > 0) {
            json_out_raw(out, value, taken);
        } else {
            char escape[8];
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)(unsigned char)*value);
            json_out_raw(out, escape, 6);
        }
        taken = MAX(taken, 1);
        value += taken;
        len -= taken;
    }
    json_out_raw(out, "\"", 1);
}

void
json_out_string(struct json_out *out, const char *key, const char *value)
{
    json_out_key(out, key);
    if (value == NULL)
        json_out_raw(out, "null", 4);
    else
        json_out_quoted(out, value, strlen(value));
}

void
json_out_pair(struct json_out *out, const char *key, size_t key_len, const char *value,
              size_t value_len, bool is_json)
{
    json_out_key_of(out, key, key_len);
    if (is_json)
        json_out_raw(out, value, value_len);
    else
        json_out_quoted(out, value, value_len);
}

/* Digits of value, at least width of them, into the end of buf; returns where they start. By hand:
 * a list of 5,000 pools has 100,000 numbers. */
static char *
json_digits(char *end, uint64_t value, unsigned width)
{
    for (unsigned i = 0; i < width || value > 0; i++) {
        *--end = (char)('0' + value % 10);
        value /= 10;
    }
    return end;
}

void
json_out_number(struct json_out *out, const char *key, int64_t value)
{
    char buf[24], *end = buf + sizeof buf;
    char *at = json_digits(end, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 1);
    if (value < 0)
        *--at = '-';
    json_out_key(out, key);
    json_out_raw(out, at, (size_t)(end - at));
}

void
json_out_bool(struct json_out *out, const char *key, bool value)
{
    json_out_key(out, key);
    json_out_text(out, value ? "true" : "false");
}

void
json_out_null(struct json_out *out, const char *key)
{
    json_out_key(out, key);
    json_out_raw(out, "null", 4);
}

void
json_out_seconds(struct json_out *out, const char *key, msec span)
{
    char buf[32], *end = buf + sizeof buf;
    char *at = json_digits(end, span % 1000, 3);
    *--at = '.';
    at = json_digits(at, span / 1000, 1);
    json_out_key(out, key);
    json_out_raw(out, at, (size_t)(end - at));
}

void
json_out_json(struct json_out *out, const char *key, const char *json)
{
    json_out_key(out, key);
    json_out_text(out, json);
}

/* Days since 1970 to a date of the Gregorian calendar. Years are counted from March, so that the
 * leap day is the last of its year; 146,097 days are 400 years. */
static void
json_date(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    days += 719468; /* from 1970-01-01 back to 0000-03-01 */
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned of_era = (unsigned)(days - era * 146097);
    unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned from_march = (5 * of_year + 2) / 153;
    *day = of_year - (153 * from_march + 2) / 5 + 1;
    *month = from_march < 10 ? from_march + 3 : from_march - 9;
    *year = (int64_t)year_of_era + era * 400 + (*month <= 2);
}

void
json_out_time(struct json_out *out, const char *key, int64_t wall_ms, int32_t offset_seconds)
{
    int64_t local_ms = wall_ms + (int64_t)offset_seconds * 1000;
    int64_t days = local_ms / 86400000 - (local_ms % 86400000 < 0);
    uint64_t of_day = (uint64_t)(local_ms - days * 86400000);
    int64_t year;
    unsigned month, day;
    json_date(days, &year, &month, &day);
    uint64_t offset = (uint64_t)(offset_seconds < 0 ? -offset_seconds : offset_seconds) / 60;
    const struct {
        uint64_t value;
        unsigned width;
        char behind;
    } parts[] = {{(uint64_t)year, 4, '-'},
                 {month, 2, '-'},
                 {day, 2, 'T'},
                 {of_day / 3600000, 2, ':'},
                 {of_day / 60000 % 60, 2, ':'},
                 {of_day / 1000 % 60, 2, '.'},
                 {of_day % 1000, 3, offset_seconds < 0 ? '-' : '+'},
                 {offset / 60, 2, ':'},
                 {offset % 60, 2, '"'}};
    char buf[64], *end = buf + sizeof buf, *at = end;
    for (size_t i = ARRAY_LEN(parts); i-- > 0;) {
        *--at = parts[i].behind;
        at = json_digits(at, parts[i].value, parts[i].width);
    }
    *--at = '"';
    json_out_key(out, key);
    json_out_raw(out, at, (size_t)(end - at));
}
