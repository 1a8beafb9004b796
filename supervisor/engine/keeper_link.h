/* keeper_link.h - the engine's end of the pair that it shares with the keeper (verbs.h). */
#ifndef POOLD_ENGINE_KEEPER_LINK_H
#define POOLD_ENGINE_KEEPER_LINK_H

#include "common/err.h"
#include "supervisor/engine/io.h"
#include "supervisor/engine/portion.h"
#include "supervisor/verbs.h"

#define KEEPER_FDS_MAX 3u /* most descriptors of one message: those of HELLO */

struct keeper_link;

/* One report of the keeper. fds has count descriptors, close-on-exec; the callee owns them. */
typedef void keeper_report_fn(void *ctx, const struct verb *, const int *fds, uint32_t count);
/* The keeper has gone. Called once. */
typedef void keeper_gone_fn(void *ctx);

/* Blocks for at most limit until HELLO has come; its descriptors are out_fds[0..2]. fd is taken.
 * -EPROTO: another version, both numbers are in err. */
int keeper_hello(int fd, msec limit, struct verb *out, int out_fds[KEEPER_FDS_MAX],
                 struct err *err);

int keeper_link_create(struct keeper_link **out, struct io *, int fd, keeper_report_fn *,
                       keeper_gone_fn *, void *ctx, struct err *err);
void keeper_link_destroy(struct keeper_link **);

/* Sends a question, or queues it until the pair takes it: nothing is lost and nothing waits. */
void keeper_ask(struct keeper_link *, const struct verb *);

/* Reads what has come, a message a piece of the portion. Returns true when there may be more. */
bool keeper_link_read(struct keeper_link *, struct portion *);

/* True when all that was asked has been sent. */
bool keeper_link_flushed(const struct keeper_link *);

#endif
