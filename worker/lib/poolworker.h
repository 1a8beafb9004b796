/* poolworker.h - what a worker says to poold, and hears from it.
 *
 * The library starts no thread, owns no loop, never blocks (but in poolworker_accept_wait, which says
 * so) and needs nothing but libc. Started by hand, without NOTIFY_SOCKET, every call works and says
 * nothing, so that the same binary runs anywhere. libpoolworker(3) tells it at length.
 *
 *     struct poolworker *pw;
 *     if (poolworker_create(&pw, 0) != 0)
 *         ...
 *     poolworker_on_drain(pw, leave, context);
 *     (poll poolworker_fd(pw) for reading in the loop; when it is readable:) poolworker_dispatch(pw);
 *     poolworker_ready(pw);
 *     (for each request:) poolworker_request_begin(pw); ... poolworker_request_end(pw);
 *
 * Threads. [loop]: one thread at a time, the one whose loop polls poolworker_fd. [any]: any thread, at
 * any time between create and destroy. [lock-free]: any thread and any signal handler.
 *
 * Forks. A child that the worker forks is not the worker: in it, all that speaks is silent, and nothing
 * is taken from the worker's socket. It may accept, and it may count: counters are shared with the
 * worker, whose loop reports them, and poolworker_is_draining tells a child too. So a worker that serves
 * with children of its own counts their requests by the very same calls. */
#ifndef POOLWORKER_H
#define POOLWORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct poolworker;

/* --- Beginning and end. */

/* Takes NOTIFY_SOCKET, WATCHDOG_*, LISTEN_* and POOLD_PROTOCOL out of the environment, so that programs
 * that the worker executes cannot speak for it. Not while other threads read the environment. */
#define POOLWORKER_CLEAN 1u
/* The worker says WATCHDOG=1 itself, with poolworker_alive. Without it poolworker_dispatch does, as often
 * as WATCHDOG_USEC asks for: it proves that the loop turns. */
#define POOLWORKER_OWN_WATCHDOG 2u

/* Makes the object from the environment. 0, or a negative errno with *out NULL: -EINVAL (NOTIFY_SOCKET is
 * no address, or a flag is unknown), -ENOMEM, -EMFILE and their like. That nobody listens at
 * NOTIFY_SOCKET is no error: each message tries it anew. */
int poolworker_create(struct poolworker **out, unsigned flags);

/* [loop] Says what is left to say, takes the listeners out of their epoll descriptors, frees. *pw is NULL
 * after it. The listeners stay open. No other thread may use the object any more. */
void poolworker_destroy(struct poolworker **pw);

enum poolworker_level {
    POOLWORKER_ALONE = 0, /* nobody to talk to */
    POOLWORKER_NOTIFY, /* a service manager that knows sd_notify(3), or a poold with a newer protocol */
    POOLWORKER_POOLD /* poold: pings, drain by message, counters */
};
enum poolworker_level poolworker_level(const struct poolworker *pw); /* [any] */

/* --- The loop. */

/* [any] A descriptor to poll for reading, level-triggered; the same until destroy, close-on-exec. It is
 * valid without poold too. */
int poolworker_fd(const struct poolworker *pw);

/* [loop] Call it when the descriptor is readable; a call too many does no harm. Answers pings, calls back,
 * reports counters that have changed, feeds the watchdog, sends again what could not be sent. Takes some
 * of what is there and returns: the descriptor stays readable when there is more. */
void poolworker_dispatch(struct poolworker *pw);

/* --- What poold asks. */

#define POOLWORKER_NO_LIMIT UINT64_MAX

/* Asked to leave: no new connections, finish what is there, exit 0. Called once, from
 * poolworker_dispatch. limit_ms: from now until KILL. STOPPING=1 has been said, and the watched listeners
 * are out of their epoll descriptors; listeners that the worker polls in another way are the worker's to
 * leave alone. Closing a listener does not end its connections, but beware: an epoll descriptor goes on
 * reporting a closed listener, because poold holds it open too. */
typedef void poolworker_drain_fn(struct poolworker *pw, uint64_t limit_ms, void *context);
void poolworker_on_drain(struct poolworker *pw, poolworker_drain_fn *call,
                         void *context); /* [loop] */

/* Asked at each ping, from poolworker_dispatch: can work be done? False leaves the ping unanswered, and
 * poold's ping_timeout decides. For a worker whose requests are not served by the loop that polls.
 * Without a call every ping is answered: the loop that dispatches is the proof. */
typedef bool poolworker_ping_fn(struct poolworker *pw, void *context);
void poolworker_on_ping(struct poolworker *pw, poolworker_ping_fn *call,
                        void *context); /* [loop] */

/* [any] Whether the worker is to leave: by poold's message, or by poolworker_stopping. */
bool poolworker_is_draining(const struct poolworker *pw);

/* --- What the worker says. The latest value wins: what poold has not taken yet is replaced, and sent as
 * soon as poold takes messages again. Texts are cut at POOLWORKER_TEXT_MAX bytes; line ends become
 * blanks. */

#define POOLWORKER_TEXT_MAX 500u

void poolworker_ready(struct poolworker *pw);                    /* [any] READY=1: it serves */
void poolworker_status(struct poolworker *pw, const char *text); /* [any] STATUS=, for people */
void poolworker_unhealthy(struct poolworker *pw); /* [any] WATCHDOG=trigger: replace me */
void poolworker_recycle(struct poolworker *pw, const char *reason); /* [any] when convenient */
/* [any] More time, from now, for the start or the end that is under way: in all ten of the
 * pool's time-outs at most. */
void poolworker_extend(struct poolworker *pw, uint64_t by_ms);
void poolworker_alive(struct poolworker *pw); /* [any] WATCHDOG=1, see POOLWORKER_OWN_WATCHDOG */

/* [loop] It leaves by itself, or because of a signal: STOPPING=1, and all that poold's message does but
 * the call back. */
void poolworker_stopping(struct poolworker *pw);

/* --- Requests. Begin and end may be in different threads or children. Reported at most twice a second,
 * half a second after the last change at the latest, and never when nothing has changed. */

void poolworker_request_begin(struct poolworker *pw);      /* [lock-free] */
void poolworker_request_end(struct poolworker *pw);        /* [lock-free] */
uint64_t poolworker_requests(const struct poolworker *pw); /* [lock-free] ended since the start */
uint64_t poolworker_active(const struct poolworker *pw);   /* [lock-free] begun and not ended */

/* --- Listening sockets, as LISTEN_FDS hands them over: non-blocking, made close-on-exec. */

unsigned poolworker_listeners(const struct poolworker *pw);        /* [any] how many */
int poolworker_listener(const struct poolworker *pw, unsigned at); /* [any] descriptor; -1: none */
const char *poolworker_listener_name(const struct poolworker *pw, unsigned at); /* [any] "": none */
/* [any] The first listener of that name; -1: none. */
int poolworker_listener_named(const struct poolworker *pw, const char *name);

/* [any] Adds a non-blocking listener to the caller's epoll descriptor, EPOLLIN | EPOLLEXCLUSIVE, with
 * data as epoll_data.u64: of all workers of a garden the kernel wakes one a connection, not all. Exclusive
 * holds where epoll_wait is called on that descriptor itself; polled by another loop (libuv, libevent) it
 * works as well, but wakes every worker. The library takes the listener out when the worker is to leave,
 * and for some 100 ms when there are no descriptors left (then it needs poolworker_dispatch). 0, or a
 * negative errno: -ESHUTDOWN when the worker is to leave, what epoll_ctl says. */
int poolworker_watch(struct poolworker *pw, int epoll_fd, int listener, uint64_t data);

/* [any] Call it before epoll_fd is closed. */
void poolworker_unwatch(struct poolworker *pw, int epoll_fd);

/* [any] Accepts one connection, close-on-exec and non-blocking. Its descriptor, or a negative errno:
 * -EAGAIN (nobody waits any more: another worker was quicker), -ESHUTDOWN (the worker is to leave),
 * -EMFILE, -ENFILE, -ENOMEM or -ENOBUFS (no descriptors; watched listeners rest). One a wake-up is fair:
 * whoever is free takes the next. */
int poolworker_accept(struct poolworker *pw, int listener);

/* [any] For threads that serve one connection at a time: waits up to timeout_ms (-1: for ever) for a
 * connection of any of the handed over listeners; it is close-on-exec and blocking. *listener (may be
 * NULL) says of which. Blocks. Its descriptor, or a negative errno: -ETIMEDOUT, -ESHUTDOWN (the worker is
 * to leave: every waiting thread returns), -ENOENT (there are no listeners), -EINTR, what epoll says. */
int poolworker_accept_wait(struct poolworker *pw, int timeout_ms, int *listener);

#ifdef __cplusplus
}
#endif
#endif
