/* text.h - text from outside made fit to stand in one line of ours. */
#ifndef POOLD_TEXT_H
#define POOLD_TEXT_H

#include "common/base.h"

/* Writes in to out so that it can harm no terminal, log or line protocol: what is not valid UTF-8,
 * and every control (C0, DEL, C1), line-separating and bidi-control character, becomes \xNN byte by
 * byte. A backslash stays as it is, so that escaping twice changes nothing.
 *
 * out always ends with NUL (cap >= 4); what does not fit is cut before a whole character and the
 * result ends with "...". Returns the length of out. in need not end with NUL, may hold NULs, and
 * must not overlap out. */
size_t text_escape(char *out, size_t cap, const char *in, size_t len);

/* Cuts text of len bytes to at most max (3 <= max <= len), on a character's boundary, and ends it
 * with "..." and NUL. Returns the new length. */
size_t text_cut(char *text, size_t len, size_t max);

#endif
