/* range.h - the Range header (RFC 9110, 14.2). */
#ifndef POOLWORKER_HOST_RANGE_H
#define POOLWORKER_HOST_RANGE_H

#include "common/base.h"

enum range_outcome {
    RANGE_WHOLE, /* not one range of bytes: answer as if it had not been asked for */
    RANGE_PART,
    RANGE_BEYOND /* well-formed, and nothing of it is there: 416 */
};

struct range {
    uint64_t first;
    uint64_t len; /* above 0 */
};

/* Reads "bytes=0-499", "bytes=500-" or "bytes=-500" of something of size bytes. Several ranges are
 * RANGE_WHOLE: a server may ignore them, and a client that asks for a thousand gets no thousand. */
enum range_outcome range_parse(const char *text, uint64_t size, struct range *out);

#endif
