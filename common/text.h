/* text.h - text that strangers wrote: made printable, judged, and compared with what was meant. */
#ifndef POOLD_TEXT_H
#define POOLD_TEXT_H

#include "common/base.h"

/* Bytes of the character at the start of the len bytes at p, when it is well-formed UTF-8 that may
 * stand on a screen as it is; else 0. Not such are control characters (C0, DEL, C1), what turns or
 * hides text (bidirectional controls, zero-width characters, tags), line and paragraph separators,
 * and characters that are none. */
size_t text_printable(const void *p, size_t len);

/* True if all of it is printable: no escape would be needed. */
bool text_is_printable(const char *);

/* Writes the len bytes as one line that can harm no terminal, log or line protocol: what is not
 * printable becomes \xNN, a byte each. A backslash stays as it is, so that escaping twice changes
 * nothing. At most cap bytes with the NUL (cap >= 4); what is cut ends with "...", never inside a
 * character or an escape. Returns the length. out and bytes must not overlap. */
size_t text_escape(char *out, size_t cap, const void *bytes, size_t len);

/* Cuts text of len bytes to at most max (3 <= max <= len), on a character's boundary, and ends it
 * with "..." and NUL. Returns the new length. */
size_t text_cut(char *text, size_t len, size_t max);

#define TEXT_WORD_MAX 64 /* longer words have no nearest one */

/* "Did you mean": offer every candidate, then best holds the nearest one, or "". */
struct text_nearest {
    const char *word; /* borrowed */
    unsigned distance;
    char best[TEXT_WORD_MAX + 1];
};

void text_nearest_init(struct text_nearest *, const char *word);
void text_nearest_offer(struct text_nearest *, const char *candidate);

/* Insertions, removals, replacements and swaps of neighbours that make b from a. Words over
 * TEXT_WORD_MAX bytes are UINT_MAX apart. */
unsigned text_distance(const char *a, const char *b);

#endif
