/* holder.h - who has the address that a listening socket was to have. */
#ifndef POOLD_ENGINE_HOLDER_H
#define POOLD_ENGINE_HOLDER_H

#include "supervisor/record.h"

#define HOLDER_NAME_MAX 64u

/* After EADDRINUSE: the user of the socket that listens there, or of the file that is there, by name
 * where /etc/passwd has one. Returns name; "" where it cannot be known. */
const char *holder_find(const struct record_socket *, char name[HOLDER_NAME_MAX]);

#endif
