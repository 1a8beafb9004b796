/* token.h - which bytes the names and values of headers may have (RFC 9110, 5.5 and 5.6.2). */
#ifndef POOLWORKER_HOST_TOKEN_H
#define POOLWORKER_HOST_TOKEN_H

#include "common/base.h"

/* Whether the len bytes are a token: a method, a header's name. */
bool token_is(const char *, size_t len);

/* Whether they may be a header's value: no control character but a tab. */
bool token_is_value(const char *, size_t len);

#endif
