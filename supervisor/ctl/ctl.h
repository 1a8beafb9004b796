/* ctl.h - what the parts of poolctl share: its options, its exit statuses, how it speaks. */
#ifndef POOLD_CTL_H
#define POOLD_CTL_H

#include <jansson.h>

#include "common/base.h"
#include "supervisor/ctl/connection.h"

/* Those above zero are also the supervisor's error codes. */
enum ctl_exit {
    CTL_DONE = 0,
    CTL_FAILED = 1,
    CTL_USAGE = 2,
    CTL_DOWN = 3, /* status: a pool that should run does not */
    CTL_NO_POOL = 4,
    CTL_UNREACHABLE = 69,
    CTL_WAIT_RAN_OUT = 75,
    CTL_DENIED = 77,
    CTL_CONFIG = 78,
};

struct ctl {
    const char *path;      /* of the socket */
    const char *directory; /* the runtime directory, which leads to it; NULL: the path was given */
    bool json, colour;
    bool wait, follow;
    uint64_t timeout_ms; /* 0: none given */
    const char *pool;    /* --pool */
    int argc;            /* of the verb */
    char **argv;
    struct connection *connection; /* NULL until ctl_connect */
};

/* "poolctl: SUBJECT: text" on standard error (subject may be NULL), and "hint: ..." below it where
 * hint is not NULL. Printable whatever is in it. */
void ctl_complain(const char *subject, const char *hint, const char *format, ...) ATTR_PRINTF(3, 4);

/* CTL_DONE, or what to exit with: the reason has been said. */
enum ctl_exit ctl_connect(struct ctl *);

/* Whether there is a supervisor again, whose engine has closed the connection. */
bool ctl_reconnect(struct ctl *);

/* Sends one request (takes params, may be NULL) over the connection that is there; its answer, result
 * or error, is the caller's. NULL with err filled. Nothing is said. */
json_t *ctl_ask(struct ctl *, const char *method, json_t *params, struct err *err);

/* Sends one request (takes params, may be NULL) and waits for its result, which the caller owns.
 * NULL: *out_exit says what to exit with, the reason has been said. */
json_t *ctl_call(struct ctl *, const char *method, json_t *params, const char *subject,
                 enum ctl_exit *out_exit);

/* Says an error object of the supervisor; returns the exit status that it stands for. */
enum ctl_exit ctl_say_error(const char *subject, const json_t *error);
/* The connection ended or stays silent. */
enum ctl_exit ctl_say_lost(const struct err *err);

/* One JSON document and a newline to standard output. Takes it. */
void ctl_print_json(json_t *);

/* With --json a failure is a document too: {"error": {"code", "message"}} with what was complained
 * about last, if no other document was printed. */
void ctl_print_json_error(enum ctl_exit);

/* The string at that key of an object; "" for null, another kind, or none. */
const char *ctl_string(const json_t *object, const char *key);
int64_t ctl_integer(const json_t *object, const char *key);

/* change.c, wait.c: a verb that changes pools, with what it says when it is done. */
struct change {
    const char *method, *done; /* "pool.start", "started" */
    int64_t begun_ms;
};
int64_t ctl_now_ms(void); /* monotonic */
/* For when the engine that knew who waits is gone: the answer to request index that the state of its
 * pool gives, as the supervisor would have worded it; NULL: it goes on, or nobody answers yet. */
json_t *change_look(struct ctl *, const struct change *, int index);

#define CTL_VERB(function, name, arguments, least, most, options, help)                            \
    enum ctl_exit verb_##function(struct ctl *);
#include "supervisor/ctl/verbs.def"

#endif
