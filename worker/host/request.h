/* request.h - whether a request's headers say one thing only. */
#ifndef POOLWORKER_HOST_REQUEST_H
#define POOLWORKER_HOST_REQUEST_H

#include "worker/host/refusal.h"

struct MHD_Connection;

struct request_facts {
    uint64_t length;    /* UINT64_MAX: chunked */
    bool is_ambiguous;  /* where it ends is in doubt: the connection must not be used again */
    uint64_t head_size; /* bytes */
};

/* libmicrohttpd takes the first of several Content-Length headers, overlooks a name with a blank behind
 * it and ignores transfer codings that it does not know. A front server that reads them otherwise would
 * see other requests than we do (request smuggling), so whatever can be read in two ways is refused. */
enum refusal request_judge(struct MHD_Connection *, uint64_t head_max, struct request_facts *out);

#endif
