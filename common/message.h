/* message.h - one datagram of a worker: KEY=VALUE lines as in sd_notify(3). */
#ifndef POOLD_MESSAGE_H
#define POOLD_MESSAGE_H

#include "common/base.h"

#define MESSAGE_MAX 4096u /* bytes of a datagram; a longer one is malformed */

/* The keys that are understood; others are ignored, as sd_notify demands. */
enum message_key {
    MESSAGE_READY = 1,    /* READY=1 */
    MESSAGE_STOPPING = 2, /* STOPPING=1 */
    MESSAGE_STATUS = 4,   /* STATUS=text */
};

struct message {
    unsigned keys; /* enum message_key, or-ed */
    const char *status;
    size_t status_len; /* borrowed from the datagram; not escaped */
};

/* Reads a datagram of len bytes. False when it is malformed: over MESSAGE_MAX, a NUL other than a
 * trailing one, a line without `=` or with an empty key. out is untouched then. */
bool message_read(struct message *out, const char *bytes, size_t len);

#endif
