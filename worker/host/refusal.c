/* refusal.c - the table of refusals. */
#include "worker/host/refusal.h"

static const struct refusal_row rows[REFUSAL_COUNT] = {
#define REFUSAL(name, status, substatus, text) [REFUSAL_##name] = {status, substatus, text},
#include "worker/host/refusal.def"
#undef REFUSAL
};

const struct refusal_row *
refusal_row(enum refusal refusal)
{
    assert(refusal > REFUSAL_NONE && refusal < REFUSAL_COUNT);
    return &rows[refusal];
}
