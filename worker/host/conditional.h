/* conditional.h - validators and the headers that compare them (RFC 9110, 8.8 and 13). */
#ifndef POOLWORKER_HOST_CONDITIONAL_H
#define POOLWORKER_HOST_CONDITIONAL_H

#include <sys/stat.h>
#include <time.h>

#include "common/base.h"

enum { HTTP_DATE_MAX = 32, ETAG_MAX = 64 };

struct validators {
    char etag[ETAG_MAX]; /* with its quotes, and W/ in front when it is weak */
    char date[HTTP_DATE_MAX];
    int64_t modified_s;
};

/* The request's headers; NULL: not there. */
struct conditions {
    const char *if_match, *if_unmodified_since, *if_none_match, *if_modified_since, *if_range;
};

enum verdict { VERDICT_GO_ON, VERDICT_NOT_MODIFIED, VERDICT_FAILED };

/* Of a file as fstat has it. A file that was changed in the last two seconds may change again without
 * another time, so its tag is a weak one. */
void validators_make(struct validators *, const struct stat *, int64_t now_s);

/* In the order of RFC 9110, 13.2.2, for GET and HEAD. */
enum verdict conditions_judge(const struct conditions *, const struct validators *);

/* Whether a Range still means what the client has of it: true without If-Range. */
bool conditions_range_holds(const struct conditions *, const struct validators *);

/* "Sun, 06 Nov 1994 08:49:37 GMT". Returns out. */
const char *http_date_format(int64_t seconds, char out[HTTP_DATE_MAX]);

/* All three forms of RFC 9110, 5.6.7. False: none of them. */
bool http_date_parse(const char *text, int64_t *out_s);

#endif
