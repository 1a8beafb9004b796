/* cgi_head.c - reads the head of a CGI program's answer. */
#include "worker/host/cgi_head.h"

#include <string.h>
#include <strings.h>

#include "worker/host/token.h"

size_t
cgi_head_find(const char *bytes, size_t len)
{
    size_t line = 0; /* where it begins */
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != '\n')
            continue;
        if (i == line || (i == line + 1 && bytes[line] == '\r'))
            return i + 1;
        line = i + 1;
    }
    return 0;
}

/* What speaks of the connection, or is libmicrohttpd's to say. */
static bool
is_ours(const char *name)
{
    static const char *const names[] = {
        "Connection", "Keep-Alive", "Transfer-Encoding", "TE", "Trailer", "Upgrade", "Date"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return false;
}

/* All of it digits, as many as fit. */
static bool
read_number(const char *text, size_t digits_max, uint64_t *out)
{
    size_t digits = strspn(text, "0123456789");
    uint64_t value = 0;
    if (digits == 0 || digits > digits_max || (text[digits] != '\0' && text[digits] != ' '))
        return false;
    for (size_t i = 0; i < digits; i++)
        value = value * 10 + (uint64_t)(text[i] - '0');
    *out = value;
    return true;
}

struct seen {
    bool status, location, type, length;
};

/* One header; NULL, or what is wrong with it. */
static const char *
take_header(struct cgi_head *out, struct seen *seen, char *name, char *value)
{
    uint64_t number = 0;
    if (strcasecmp(name, "Status") == 0) {
        if (seen->status || !read_number(value, 3, &number) || number < 200 || number > 599)
            return "its Status is no number from 200 to 599";
        out->status = (unsigned)number;
        seen->status = true;
        return NULL;
    }
    if (strcasecmp(name, "Content-Length") == 0) {
        if (seen->length || strchr(value, ' ') != NULL || !read_number(value, 18, &out->length))
            return "its Content-Length is no number";
        seen->length = true;
        return NULL;
    }
    if (is_ours(name))
        return NULL;
    if (strcasecmp(name, "Location") == 0) {
        if (seen->location || *value == '\0')
            return "its Location is empty, or given twice";
        out->location = value;
        seen->location = true;
    }
    seen->type = seen->type || strcasecmp(name, "Content-Type") == 0;
    if (out->header_count == CGI_HEADERS_MAX)
        return "it has too many headers";
    out->headers[out->header_count++] = (struct cgi_header){name, value};
    return NULL;
}

/* "Name: value" with its line end cut off. */
static const char *
take_line(struct cgi_head *out, struct seen *seen, char *line, size_t len)
{
    char *colon = memchr(line, ':', len);
    if (!token_is_value(line, len))
        return "its head has control characters";
    if (colon == NULL || !token_is(line, (size_t)(colon - line)))
        return strncmp(line, "HTTP/", 5) == 0
                   ? "it writes the whole of an HTTP answer, which is not supported"
                   : "a line of its head is no header";
    char *value = colon + 1, *end = line + len;
    value += strspn(value, " \t");
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *colon = '\0';
    *end = '\0';
    return take_header(out, seen, line, value);
}

bool
cgi_head_parse(char *bytes, size_t len, struct cgi_head *out, const char **why)
{
    struct seen seen = {0};
    *out = (struct cgi_head){.length = UINT64_MAX};
    for (size_t at = 0; at < len;) {
        char *line = bytes + at;
        char *end = memchr(line, '\n', len - at);
        assert(end != NULL);
        at += (size_t)(end - line) + 1;
        *end = '\0';
        size_t line_len = (size_t)(end - line);
        if (line_len > 0 && line[line_len - 1] == '\r')
            line[--line_len] = '\0';
        if (line_len > 0 && (*why = take_line(out, &seen, line, line_len)) != NULL)
            return false;
    }
    out->is_local = seen.location && !seen.status && *out->location == '/';
    if (out->status == 0)
        out->status = seen.location ? 302 : 200;
    *why = "it has no Content-Type";
    return seen.type || seen.location || out->status == 204 || out->status == 304;
}
