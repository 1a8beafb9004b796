/* module_request.h - a request as a module sees it. */
#ifndef POOLWORKER_HOST_MODULE_REQUEST_H
#define POOLWORKER_HOST_MODULE_REQUEST_H

#include "worker/host/poolworker_module.h"
#include "worker/host/refusal.h"

struct exchange;
struct server;

/* A module has a request's body, and its answer, in memory. */
enum { MODULE_BODY_MAX = 1024 * 1024, MODULE_CONTENT_MAX = 16 * 1024 * 1024 };

struct module_text {
    char *bytes; /* a NUL behind len */
    size_t len, capacity;
};

struct poolworker_request {
    struct exchange *exchange;
    struct module_text body, content;
    unsigned status;
    bool is_wildcard;
};

void module_request_init(struct poolworker_request *, struct exchange *);
void module_request_fini(struct poolworker_request *);

/* Some more of the body. */
enum refusal module_request_take(struct poolworker_request *, const char *, size_t);

/* What the module has written becomes the exchange's answer. */
void module_request_answer(struct poolworker_request *);

/* The table of calls that modules of this server get. One server a process. */
const struct poolworker_host *module_host(struct server *);

#endif
