/* message.h - one datagram between a worker and poold: KEY=VALUE lines as in sd_notify(3). */
#ifndef POOLD_MESSAGE_H
#define POOLD_MESSAGE_H

#include "common/base.h"

#define MESSAGE_MAX 4096u /* bytes of a datagram; a longer one is malformed */

/* The keys that are understood; others are ignored, as sd_notify demands. */
enum message_place {
#define MESSAGE_FLAG(bit, key, value)   MESSAGE_PLACE_##bit,
#define MESSAGE_NUMBER(bit, key, field) MESSAGE_PLACE_##bit,
#define MESSAGE_TEXT(bit, key, field)   MESSAGE_PLACE_##bit,
#include "common/message.def"
    MESSAGE_PLACE_COUNT
};
enum message_key {
#define MESSAGE_FLAG(bit, key, value)   MESSAGE_##bit = 1 << MESSAGE_PLACE_##bit,
#define MESSAGE_NUMBER(bit, key, field) MESSAGE_##bit = 1 << MESSAGE_PLACE_##bit,
#define MESSAGE_TEXT(bit, key, field)   MESSAGE_##bit = 1 << MESSAGE_PLACE_##bit,
#include "common/message.def"
};

struct message {
    unsigned keys; /* enum message_key, or-ed; fields of others are not set */
#define MESSAGE_FLAG(bit, key, value)
#define MESSAGE_NUMBER(bit, key, field) uint64_t field;
#define MESSAGE_TEXT(bit, key, field)                                                              \
    const char *field;                                                                             \
    size_t field##_len; /* borrowed from the datagram; not escaped */
#include "common/message.def"
};

/* Reads a datagram of len bytes. False when it is malformed: over MESSAGE_MAX, a NUL other than a
 * trailing one, a line without `=` or with an empty key, a number that is none. out is untouched
 * then. Of a key that comes twice the last counts. */
bool message_read(struct message *out, const char *bytes, size_t len);

/* Writes every key of message as a line. Line ends and NULs in a text become blanks. Returns the
 * length, without a NUL behind it; 0 when it does not fit into cap bytes. */
size_t message_write(char *out, size_t cap, const struct message *message);

#endif
