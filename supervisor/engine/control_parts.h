/* control_parts.h - what the parts of the control socket's server share.
 *
 *   control.c          the listening socket, the clients' list, time
 *   control_access.c   who may do what: the peer's role, refusals, roles that change
 *   control_access_change.c   the part of a plan that is about the control socket
 *   control_client.c   one connection: bytes in, bytes out, their bounds
 *   control_request.c  one line: parsed, checked against the table, handed to its method
 *   control_status.c   methods that only look
 *   control_failure.c  the newest failure of a pool, in words
 *   control_change.c   methods that change something, and calls that wait for how it ends
 *   control_config.c   check, diff and apply of the configuration
 *   control_events.c   subscribers
 *   control_json.c     JSON piece by piece */
#ifndef POOLD_ENGINE_CONTROL_PARTS_H
#define POOLD_ENGINE_CONTROL_PARTS_H

#include <sys/types.h>

#include "supervisor/engine/control.h"
#include "supervisor/engine/control_json.h"
#include "supervisor/engine/user.h"

/* clang-format off */
#define CONTROL_API           1 /* the number that server.version gives */
#define CONTROL_LINE_MAX      65536u
#define CONTROL_CLIENTS_MAX   256u
#define CONTROL_CLIENTS_ADMIN 8u     /* of them, kept for admin */
#define CONTROL_CLIENTS_USER  32u    /* of one uid */
#define CONTROL_ACCEPTS_TURN  16u
#define CONTROL_BACKLOG       129u   /* most that can wait at the socket: the loader's number and one */
#define CONTROL_REQUESTS_TURN 8u     /* of one client in one loop turn */
#define CONTROL_OUT_HIGH      65536u /* with so much unsent, nothing more is made or read */
#define CONTROL_EVENTS_MAX    262144u /* bytes of events that wait for one subscriber */
#define CONTROL_REQUEST_MS    5000u  /* to complete a request that was begun */
#define CONTROL_STUCK_MS      30000u /* without reading what we have for it: closed */
#define CONTROL_EOF_MS        1000u  /* between looks whether a half-closed caller is still there */
#define CONTROL_LEAVE_MS      200u   /* for clients to take what waits when the engine leaves */
#define CONTROL_PAUSE_MS      200u   /* without accepting, when descriptors or memory ran out */
#define CONTROL_CALLS_MAX     64u    /* waiting calls of one client */
#define CONTROL_WAIT_MAX_MS   (24u * 3600u * 1000u)
#define CONTROL_CALL_BUCKETS  64u
#define CONTROL_ID_MAX        72u    /* a request's id as JSON, with the NUL */
#define CONTROL_NAME_MAX      65u    /* a pool's name with the NUL */
/* clang-format on */

#define CONTROL_ERROR(NAME, code, when) ERROR_##NAME = (code),
enum control_error {
#include "supervisor/engine/control.def"
};

enum {
#define CONTROL_PARAM(NAME, name, KIND, what) PARAM_BIT_##NAME,
#include "supervisor/engine/control.def"
};

/* One request, checked; nothing in it points into the line that it came in. */
struct request {
    char id[CONTROL_ID_MAX]; /* as JSON; "": a notification, which gets no answer */
    uint32_t given;          /* parameters: 1 << PARAM_BIT_... */
    char pool_name[CONTROL_NAME_MAX];
    uint32_t pool; /* NONE: not given */
    bool wait;
    msec timeout_ms;
    uint64_t after;
    uint64_t count;
};

/* A large reply, of which each turn writes a part. */
enum stream_kind { STREAM_NONE, STREAM_POOLS, STREAM_WORKERS, STREAM_RECENT, STREAM_REPLAY };
struct stream {
    enum stream_kind kind;
    uint32_t pool; /* the next one, or the filter of events (NONE: all) */
    uint32_t pool_end;
    uint64_t seq, seq_end; /* the next event; the end of STREAM_RECENT */
};

/* Who is at the other end. */
struct peer {
    uid_t uid;
    pid_t pid;
    enum role role;
};

/* The user whose name was looked up last: who floods us must not make us read /etc/passwd each time. */
struct named {
    uid_t uid;
    msec until; /* it counts before; users are given other names */
    char name[USER_NAME_MAX];
};

/* Who was refused: at the door, or a call above the role. */
enum denied { DENIED_STRANGER, DENIED_CALL, DENIED_COUNT };

struct client {
    struct control *control;
    struct client *next, **link;
    struct io_watch *watch;
    int fd;
    struct peer peer;

    char *in; /* in[in_at..in_len) is not yet understood; in_seen of it hold no newline */
    size_t in_at, in_len, in_cap, in_seen;

    struct json_out out;    /* replies, and events that were moved here */
    struct json_out events; /* whole lines, that wait until no reply is half written */
    uint64_t events_lost;   /* since events was full */
    struct stream stream;

    bool subscribed;
    uint32_t subscribed_pool; /* NONE: all */
    bool eof;                 /* it will send no more */
    bool closing;             /* after what is in out: closed */
    bool broken;              /* closed at the next occasion, whatever is in out */

    uint32_t calls;     /* waiting */
    msec request_until; /* a begun request must be complete; MSEC_NEVER: none begun */
    msec read_until;    /* it must have read something; MSEC_NEVER: nothing to read */
    msec look_at;       /* half closed: whether it is there; MSEC_NEVER: not half closed */
};

struct call;        /* control_change.c */
struct config_call; /* control_config.c */

struct control {
    struct shell *shell;
    int fd;
    struct io_watch *watch;
    uid_t owner; /* whose keeper listens: an admin beside root */
    struct client *clients;
    uint32_t client_count;
    uint32_t stream_count; /* clients with a large reply under way */
    uint32_t subscriber_count;
    struct call *calls[CONTROL_CALL_BUCKETS]; /* by pool */
    struct config_call *config_calls;         /* a list */
    msec resume_at;                           /* accepting goes on; MSEC_NEVER: it is not paused */
    msec deadline;                   /* the earliest of all; may be too early, never too late */
    msec denied_until[DENIED_COUNT]; /* no further event of that kind before */
    struct named named;
    bool is_open;         /* control_open was called */
    bool leaving;         /* no request is run any more */
    uint64_t *failed_seq; /* of each pool: the event of its newest failure; 0: none */
};

/* --- control.c */
void control_due(struct control *, msec at); /* something is to be looked at then */

/* --- control_access.c */
/* Who made the connection fd, and the role that the configuration in force gives: ROLE_NONE also when
 * that cannot be known. */
void access_take(const struct control *, int fd, struct peer *);
/* "user alice (uid 1000, pid 4242)", printable. Returns text. */
#define ACCESS_WHO_MAX (USER_NAME_MAX + 64u)
const char *access_who(struct control *, const struct peer *, char text[ACCESS_WHO_MAX]);
/* The event of what somebody asked for, with what came of it. pool NULL: of none. */
void access_tell(struct control *, const struct peer *, const char *method, const char *pool,
                 const char *result, const char *text);
/* The members of an error's data: the role that is needed, who asks, and how to get it. */
void access_describe_refusal(struct control *, struct json_out *data, const struct peer *,
                             enum role needs);
/* The event of a refusal; at most one a second of each kind. */
void access_denied(struct control *, enum denied, const struct peer *, const char *method,
                   enum role needs);
/* Other roles may be in force: every client's is looked up anew. */
void access_changed(struct control *);

/* --- control_access_change.c: elements of the list of changed keys */
void access_describe_change(struct json_out *, const struct record *before,
                            const struct record *after);

/* --- control_client.c */
struct client *client_create(struct control *, int fd, const struct peer *);
void client_destroy(struct client *);
/* Something is still to be written to it, and can be. */
bool client_has_output(const struct client *);
/* There is something to send: the client is visited once, however often it is woken before. */
void client_wake(struct client *);
/* Whatever time has brought. May destroy the client. */
void client_tick(struct client *, msec now);

/* --- control_request.c */
void request_run(struct client *, const char *line, size_t len);
/* Around a result: in between exactly one JSON value is written to out. id as in struct request: ""
 * is a notification, whose answer is thrown away by reply_end. The line waits its turn in the
 * client's second buffer while a large reply is under way in the first. */
struct reply {
    struct json_out *out;
    size_t mark;
    bool kept;
};
struct reply reply_begin(struct client *, const char *id);
void reply_end(struct reply *);
/* An error; id as in struct request. data: the members that say more, or NULL; freed. */
void reply_error(struct client *, const char *id, enum control_error, struct json_out *data,
                 const char *format, ...) ATTR_PRINTF(5, 6);
/* False, with the error answered: the engine is so young that it does not have the pool yet. */
bool request_pool_is_there(struct client *, const struct request *);
#define CONTROL_METHOD(name, text, role, must, may, help)                                          \
    void method_##name(struct client *, const struct request *);
#include "supervisor/engine/control.def"
void request_describe_methods(struct json_out *);

/* --- control_status.c */
/* What turns instants of the monotonic clock into dates. */
struct dates {
    msec now;
    int64_t wall_ms; /* of now */
    int32_t offset;  /* of the zone, in seconds */
};
static inline int64_t
dates_wall(const struct dates *dates, msec at)
{
    return dates->wall_ms + (int64_t)(at - dates->now);
}
/* Goes on with a large reply; it is over when stream.kind is STREAM_NONE. */
void stream_begin(struct client *, const struct stream *);
void stream_run(struct client *);
void stream_end(struct client *);
void exit_describe(struct json_out *, struct exit_status); /* "exit" */
/* Why a pool is in its state, in words; "": there is nothing to say. Borrowed until the next turn. */
const char *control_reason(const struct shell *, uint32_t pool, enum pool_reason);

/* --- control_loop.c: the member "loop", how long the engine's loop was held. */
void loop_describe(struct json_out *, struct io *);

/* --- control_failure.c */
/* Below zero: out of memory. An engine that was started again finds in the ring what was told. */
int failures_create(struct control *);
void failures_note(struct control *, const struct event_seen *);
/* "last": null for a pool that has all its workers and no failure in its window. newest: the last
 * one that the core remembers, or NULL. */
void failure_describe_last(struct json_out *, const struct control *, const struct dates *,
                           uint32_t pool, const struct pool_view *,
                           const struct failure_view *newest);

/* --- control_config.c */
void config_calls_forget(struct client *); /* it has gone */

/* --- control_change.c */
/* The event of who did what, and what came of it at once. pool NULL: of none. */
void control_audit(const struct client *, const char *method, const char *pool, const char *result);
void calls_forget(struct client *); /* it has gone: nobody waits for its calls */
void calls_tick(struct control *, msec now);

/* --- control_events.c */
event_sink_fn control_events_sink;
void events_stream_run(struct client *, uint32_t units); /* STREAM_RECENT, STREAM_REPLAY */
void events_lost_line(struct client *);                  /* says in client->events what it lost */

#endif
