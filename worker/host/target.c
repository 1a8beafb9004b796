/* target.c - decodes a request's target. */
#include "worker/host/target.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* "http://host/path" is what a proxy is asked for, and every server must take it (RFC 9112, 3.2.2). */
static const char *
skip_authority(const char *text)
{
    size_t scheme = strncasecmp(text, "http://", 7) == 0    ? 7
                    : strncasecmp(text, "https://", 8) == 0 ? 8
                                                            : 0;
    return scheme == 0 ? text : text + scheme + strcspn(text + scheme, "/?");
}

static int
hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* An encoded slash is no separator and can be in no file's name; a NUL would end the text early. */
static enum refusal
decode(char *out, const char *from, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)from[i];
        if (byte == '%') {
            int high = len - i > 2 ? hex_digit(from[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(from[i + 2]) : -1;
            if (low < 0)
                return REFUSAL_BAD_TARGET;
            byte = (unsigned char)(high * 16 + low);
            i += 2;
            if (byte == '/')
                return REFUSAL_ENCODED_SLASH;
        }
        if (byte < 0x20 || byte == 0x7f)
            return REFUSAL_BAD_TARGET;
        *out++ = (char)byte;
    }
    *out = '\0';
    return REFUSAL_NONE;
}

/* In place: "//" becomes "/". ".." and "." are hidden as all that begins with a dot. */
static enum refusal
join_segments(char *path)
{
    char *to = path;
    for (const char *from = path; *from != '\0'; from++) {
        if (*from == '/' && to > path && to[-1] == '/')
            continue;
        if (*from == '.' && to[-1] == '/' &&
            !(to == path + 1 && strncmp(from, ".well-known/", 12) == 0))
            return REFUSAL_HIDDEN;
        *to++ = *from;
    }
    *to = '\0';
    return REFUSAL_NONE;
}

enum refusal
target_parse(struct target *out, const char *text)
{
    *out = (struct target){0};
    const char *from = skip_authority(text);
    size_t len = strlen(from);
    if (len > TARGET_MAX)
        return REFUSAL_TARGET_TOO_LONG;
    char *room = malloc(2 * len + 3);
    if (room == NULL)
        return REFUSAL_BUSY;
    out->raw = room;
    memcpy(room, from, len + 1);
    char *question = strchr(room, '?');
    size_t path_len = question == NULL ? len : (size_t)(question - room);
    enum refusal refusal = decode(room + len + 1, room, path_len);
    char *path = room + len + 1;
    if (refusal == REFUSAL_NONE && path_len == 0 && from != text)
        memcpy(path, "/", 2); /* http://host */
    if (refusal == REFUSAL_NONE && *path != '/' && strcmp(path, "*") != 0)
        refusal = REFUSAL_BAD_TARGET;
    if (refusal == REFUSAL_NONE && *path == '/')
        refusal = join_segments(path);
    if (refusal != REFUSAL_NONE)
        return refusal;
    out->path = path;
    out->query = question == NULL ? room + len : question + 1;
    return REFUSAL_NONE;
}

void
target_fini(struct target *target)
{
    free(target->raw);
    *target = (struct target){0};
}

bool
target_is_below(const char *path, const char *prefix)
{
    size_t len = strlen(prefix);
    assert(len > 0 && prefix[len - 1] == '/');
    return strncmp(path, prefix, len) == 0 ||
           (strncmp(path, prefix, len - 1) == 0 && path[len - 1] == '\0');
}
