/* words.h - the supervisor's values as people read them. */
#ifndef POOLD_CTL_WORDS_H
#define POOLD_CTL_WORDS_H

#include "common/base.h"

#define WORDS_MAX 160

/* "3h12m", "45s", "2d4h": the two greatest units. Return buf. */
const char *words_span(double seconds, char buf[WORDS_MAX]);

/* "1.3 s", "0.04 s". Returns buf. */
const char *words_took(double seconds, char buf[WORDS_MAX]);

/* Since an RFC 3339 time until now; "" when it is none. */
const char *words_since(const char *time, char buf[WORDS_MAX]);

/* The part of an RFC 3339 time from the hour on; "" when there is none. Borrowed from it. */
const char *words_clock(const char *time);

#endif
