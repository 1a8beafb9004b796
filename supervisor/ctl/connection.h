/* connection.h - poolctl's end of the control socket: lines out, JSON in, each within a time. */
#ifndef POOLD_CTL_CONNECTION_H
#define POOLD_CTL_CONNECTION_H

#include <jansson.h>

#include "common/base.h"
#include "common/err.h"

struct connection;

#define CONNECTION_ANSWER_MS 30000 /* the supervisor answers at once; a stopped one does not */
#define CONNECTION_EVER      (-1)

/* Connects to the socket at path. 0, or a negative errno with err filled. */
int connection_open(struct connection **out, const char *path, struct err *err);
void connection_close(struct connection **);

/* Sends one request; params is taken and may be NULL. 0, or a negative errno. */
int connection_send(struct connection *, int64_t id, const char *method, json_t *params,
                    struct err *err);

/* The next message, owned by the caller; NULL with err filled: -ETIMEDOUT, -EPIPE when the peer has
 * closed, -EPROTO for what is not a message, or another errno. limit_ms: of silence. */
json_t *connection_read(struct connection *, int limit_ms, struct err *err);

#endif
