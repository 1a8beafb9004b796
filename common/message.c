/* message.c - one datagram between a worker and poold. */
#include "common/message.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum kind { FLAG, NUMBER, TEXT };

static const struct row {
    const char *key;
    enum kind kind;
    const char *value;       /* FLAG: the one that says it */
    size_t field, len_field; /* in struct message: NUMBER, TEXT; TEXT */
} rows[] = {
#define MESSAGE_FLAG(bit, key, value)   {key, FLAG, value, 0, 0},
#define MESSAGE_NUMBER(bit, key, field) {key, NUMBER, NULL, offsetof(struct message, field), 0},
#define MESSAGE_TEXT(bit, key, field)                                                              \
    {key, TEXT, NULL, offsetof(struct message, field), offsetof(struct message, field##_len)},
#include "common/message.def"
};
_Static_assert(ARRAY_LEN(rows) == MESSAGE_PLACE_COUNT && MESSAGE_PLACE_COUNT < 32, "one bit a row");

static bool
text_is(const char *text, size_t len, const char *word)
{
    return len == strlen(word) && memcmp(text, word, len) == 0;
}

static bool
number_read(uint64_t *out, const char *text, size_t len)
{
    uint64_t number = 0;
    if (len == 0)
        return false;
    for (size_t i = 0; i < len; i++) {
        uint64_t digit = (uint64_t)text[i] - '0';
        if (text[i] < '0' || text[i] > '9' || number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *out = number;
    return true;
}

static bool
row_read(struct message *message, const struct row *row, const char *value, size_t len)
{
    char *base = (char *)message;
    uint64_t number;
    if (row->kind == FLAG && !text_is(value, len, row->value))
        return true; /* READY=0 says nothing */
    if (row->kind == NUMBER) {
        if (!number_read(&number, value, len))
            return false;
        memcpy(base + row->field, &number, sizeof number);
    }
    if (row->kind == TEXT) {
        memcpy(base + row->field, &value, sizeof value);
        memcpy(base + row->len_field, &len, sizeof len);
    }
    message->keys |= 1u << (row - rows);
    return true;
}

/* One line, `=` at line[key_len]. */
static bool
line_read(struct message *message, const char *line, size_t len, size_t key_len)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (text_is(line, key_len, rows[i].key) &&
            !row_read(message, &rows[i], line + key_len + 1, len - key_len - 1))
            return false;
    }
    return true;
}

bool
message_read(struct message *out, const char *bytes, size_t len)
{
    if (len > MESSAGE_MAX)
        return false;
    if (len > 0 && bytes[len - 1] == '\0')
        len--;
    if (memchr(bytes, '\0', len) != NULL)
        return false;
    struct message message = {0};
    for (size_t at = 0; at < len;) {
        const char *line = bytes + at;
        const char *end = memchr(line, '\n', len - at);
        size_t line_len = end != NULL ? (size_t)(end - line) : len - at;
        at += line_len + 1;
        if (line_len == 0)
            continue; /* a trailing or a doubled newline */
        const char *equals = memchr(line, '=', line_len);
        if (equals == NULL || equals == line ||
            !line_read(&message, line, line_len, (size_t)(equals - line)))
            return false;
    }
    *out = message;
    return true;
}

/* What stands behind the `=`: its length, or cap when it does not fit. */
static size_t
value_write(char *out, size_t cap, const struct message *message, const struct row *row)
{
    const char *base = (const char *)message, *text = row->value;
    char digits[24];
    size_t len = 0;
    uint64_t number;
    if (row->kind == NUMBER) {
        memcpy(&number, base + row->field, sizeof number);
        snprintf(digits, sizeof digits, "%" PRIu64, number);
        text = digits;
    }
    if (row->kind == TEXT) {
        memcpy(&text, base + row->field, sizeof text);
        memcpy(&len, base + row->len_field, sizeof len);
    } else
        len = strlen(text);
    if (len >= cap)
        return cap;
    for (size_t i = 0; i < len; i++)
        out[i] = text[i] == '\n' || text[i] == '\0' ? ' ' : text[i];
    return len;
}

size_t
message_write(char *out, size_t cap, const struct message *message)
{
    size_t at = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!(message->keys & 1u << i))
            continue;
        size_t key_len = strlen(rows[i].key);
        if (cap - at < key_len + 2)
            return 0;
        memcpy(out + at, rows[i].key, key_len);
        at += key_len;
        out[at++] = '=';
        at += value_write(out + at, cap - at, message, &rows[i]);
        if (at >= cap)
            return 0;
        out[at++] = '\n';
    }
    return at;
}
