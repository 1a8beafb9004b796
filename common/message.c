/* message.c - one datagram of a worker. */
#include "common/message.h"

#include <string.h>

static bool
key_is(const char *line, size_t len, const char *key)
{
    return len == strlen(key) && memcmp(line, key, len) == 0;
}

/* One line, `=` at line[key_len]. */
static void
message_line(struct message *message, const char *line, size_t len, size_t key_len)
{
    const char *value = line + key_len + 1;
    size_t value_len = len - key_len - 1;
    bool is_one = value_len == 1 && value[0] == '1';
    if (key_is(line, key_len, "READY") && is_one)
        message->keys |= MESSAGE_READY;
    else if (key_is(line, key_len, "STOPPING") && is_one)
        message->keys |= MESSAGE_STOPPING;
    else if (key_is(line, key_len, "STATUS")) {
        message->keys |= MESSAGE_STATUS;
        message->status = value;
        message->status_len = value_len;
    }
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
        if (equals == NULL || equals == line)
            return false;
        message_line(&message, line, line_len, (size_t)(equals - line));
    }
    *out = message;
    return true;
}
