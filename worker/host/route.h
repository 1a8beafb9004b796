/* route.h - who answers for a request. */
#ifndef POOLWORKER_HOST_ROUTE_H
#define POOLWORKER_HOST_ROUTE_H

struct exchange;
struct handler;

/* Never NULL. The handler's `work` may be set. */
const struct handler *route(struct exchange *);

#endif
