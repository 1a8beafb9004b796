/* conditional.c - judges If-Match, If-None-Match, their like by date, and If-Range. */
#include "worker/host/conditional.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *
http_date_format(int64_t seconds, char out[HTTP_DATE_MAX])
{
    struct tm tm;
    time_t time = (time_t)seconds;
    gmtime_r(&time, &tm);
    strftime(out, HTTP_DATE_MAX, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    return out;
}

bool
http_date_parse(const char *text, int64_t *out_s)
{
    static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                        "%a %b %e %H:%M:%S %Y"};
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct tm tm = {0};
        const char *end = strptime(text, forms[i], &tm);
        if (end != NULL && *end == '\0') {
            *out_s = timegm(&tm);
            return true;
        }
    }
    return false;
}

void
validators_make(struct validators *out, const struct stat *stat, int64_t now_s)
{
    out->modified_s = stat->st_mtim.tv_sec;
    bool is_settled = now_s - out->modified_s >= 2;
    snprintf(out->etag, sizeof out->etag, "%s\"%" PRIx64 "-%" PRIx64 ".%lx\"",
             is_settled ? "" : "W/", (uint64_t)stat->st_size, (uint64_t)stat->st_mtim.tv_sec,
             (unsigned long)stat->st_mtim.tv_nsec);
    http_date_format(out->modified_s, out->date);
}

static bool
is_weak(const char *tag)
{
    return strncmp(tag, "W/", 2) == 0;
}

/* The next tag of a list, len bytes at *at behind it; NULL at its end or where it is no list. */
static const char *
next_tag(const char **at, size_t *len)
{
    const char *tag = *at + strspn(*at, " \t,");
    const char *open = tag + (is_weak(tag) ? 2 : 0);
    const char *close = *open == '"' ? strchr(open + 1, '"') : NULL;
    if (close == NULL)
        return NULL;
    *len = (size_t)(close + 1 - tag);
    *at = close + 1;
    return tag;
}

/* Strong comparison: neither is weak. Weak comparison: what is behind W/ is equal. */
static bool
list_has(const char *list, const char *etag, bool strong)
{
    size_t len;
    const char *own = etag + (is_weak(etag) ? 2 : 0);
    if (strcmp(list, "*") == 0)
        return true;
    if (strong && is_weak(etag))
        return false;
    for (const char *tag; (tag = next_tag(&list, &len)) != NULL;) {
        size_t skip = is_weak(tag) ? 2 : 0;
        if (strong && skip > 0)
            continue;
        if (len - skip == strlen(own) && strncmp(tag + skip, own, len - skip) == 0)
            return true;
    }
    return false;
}

enum verdict
conditions_judge(const struct conditions *asked, const struct validators *own)
{
    int64_t date_s;
    if (asked->if_match != NULL) {
        if (!list_has(asked->if_match, own->etag, true))
            return VERDICT_FAILED;
    } else if (asked->if_unmodified_since != NULL &&
               http_date_parse(asked->if_unmodified_since, &date_s) && own->modified_s > date_s) {
        return VERDICT_FAILED;
    }
    if (asked->if_none_match != NULL)
        return list_has(asked->if_none_match, own->etag, false) ? VERDICT_NOT_MODIFIED
                                                                : VERDICT_GO_ON;
    if (asked->if_modified_since != NULL && http_date_parse(asked->if_modified_since, &date_s) &&
        own->modified_s <= date_s)
        return VERDICT_NOT_MODIFIED;
    return VERDICT_GO_ON;
}

bool
conditions_range_holds(const struct conditions *asked, const struct validators *own)
{
    int64_t date_s;
    const char *value = asked->if_range;
    if (value == NULL)
        return true;
    if (*value == '"' || is_weak(value))
        return !is_weak(own->etag) && strcmp(value, own->etag) == 0;
    return !is_weak(own->etag) && http_date_parse(value, &date_s) && date_s == own->modified_s;
}
