/* refusal.h - the ways to refuse a request, from refusal.def. */
#ifndef POOLWORKER_HOST_REFUSAL_H
#define POOLWORKER_HOST_REFUSAL_H

#include "common/base.h"

enum refusal {
    REFUSAL_NONE,
#define REFUSAL(name, status, substatus, text) REFUSAL_##name,
#include "worker/host/refusal.def"
#undef REFUSAL
    REFUSAL_COUNT
};

struct refusal_row {
    unsigned status;
    unsigned substatus; /* for the access log */
    const char *text;
};

/* Not for REFUSAL_NONE. */
const struct refusal_row *refusal_row(enum refusal);

#endif
