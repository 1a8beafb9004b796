/* range.c - reads the Range header. */
#include "worker/host/range.h"

#include <string.h>
#include <strings.h>

/* Moves *at over the digits. False: none, or too many for any file. */
static bool
take_number(const char **at, uint64_t *out)
{
    const char *from = *at;
    uint64_t value = 0;
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        if (*at - from >= 18)
            return false;
        value = value * 10 + (uint64_t)(**at - '0');
    }
    *out = value;
    return *at > from;
}

static void
skip_blanks(const char **at)
{
    *at += strspn(*at, " \t");
}

enum range_outcome
range_parse(const char *text, uint64_t size, struct range *out)
{
    uint64_t first = 0, last = UINT64_MAX;
    const char *at = text;
    if (strncasecmp(at, "bytes=", 6) != 0)
        return RANGE_WHOLE;
    at += 6;
    skip_blanks(&at);
    bool has_first = take_number(&at, &first);
    if (*at++ != '-')
        return RANGE_WHOLE;
    bool has_last = take_number(&at, &last);
    skip_blanks(&at);
    if (*at != '\0' || (!has_first && !has_last) || (has_first && has_last && last < first))
        return RANGE_WHOLE;
    if (!has_first) { /* the last so many bytes */
        if (last == 0 || size == 0)
            return RANGE_BEYOND;
        *out = (struct range){.first = size - MIN(last, size), .len = MIN(last, size)};
        return RANGE_PART;
    }
    if (first >= size)
        return RANGE_BEYOND;
    last = has_last ? MIN(last, size - 1) : size - 1;
    *out = (struct range){.first = first, .len = last - first + 1};
    return RANGE_PART;
}
