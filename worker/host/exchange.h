/* exchange.h - one request and its answer. */
#ifndef POOLWORKER_HOST_EXCHANGE_H
#define POOLWORKER_HOST_EXCHANGE_H

#include <microhttpd.h>

#include "worker/host/connection.h"
#include "worker/host/server.h"
#include "worker/host/target.h"

struct exchange;

/* Whoever answers for a part of the name space. All calls may be NULL but end. */
struct handler {
    const char *methods; /* "GET, HEAD"; others are refused. NULL: it decides itself */

    /* The head is there. May refuse; may give the answer, which waits for the end of the request. */
    void (*begin)(struct exchange *);

    /* Some of the body; returns how much it took. Less than all of it: it has suspended. Without it the
     * body is read and thrown away. */
    size_t (*body)(struct exchange *, const char *, size_t);

    /* All of the request is there: gives the answer, now or, having suspended, later. */
    void (*end)(struct exchange *);

    /* It is over, well or not. */
    void (*fini)(struct exchange *);
};

/* HEAD     the request's first line is there, its headers come.
 * BODY     the headers are there and judged, a handler has it.
 * WORK     all of it is there; the handler owes an answer.
 * ANSWER   the answer is libmicrohttpd's. */
enum exchange_state {
    EXCHANGE_HEAD,
    EXCHANGE_BODY,
    EXCHANGE_WORK,
    EXCHANGE_ANSWER,
    EXCHANGE_STATE_COUNT
};

enum { EXCHANGE_HEADERS_MAX = 32, EXCHANGE_HEADER_LEN_MAX = 8192 };

/* One more header of the answer, whoever gives it. */
struct exchange_extra {
    struct exchange_extra *next;
    char *value; /* in text */
    char text[]; /* the name */
};

struct exchange {
    struct server *server;
    struct connection *connection;
    struct MHD_Connection *mhd;
    enum exchange_state state;
    struct target target;
    struct target asked; /* what the client asked for, when target is another; else empty */
    enum refusal target_refusal;
    unsigned redirects; /* by ourselves */
    const char *method; /* libmicrohttpd's; NULL before the head is there */
    const char *protocol;
    const struct handler *handler; /* NULL: refused before anybody was asked */
    void *work;                    /* the handler's */
    msec began;
    uint64_t length; /* of the body as the head has it; UINT64_MAX: chunked */
    uint64_t body_bytes;
    struct MHD_Response *response; /* given and not yet libmicrohttpd's */
    unsigned status, substatus;    /* 0: none given */
    uint64_t content_bytes;        /* of the answer */
    struct exchange_extra *extras; /* in their order */
    unsigned extra_count;
    bool is_suspended;
    bool is_broken;  /* no answer is possible any more: the connection is closed */
    bool must_close; /* where the request ends is in doubt, or it was refused before its end */
};

/* libmicrohttpd's calls, in their order (MHD_OPTION_URI_LOG_CALLBACK, the access handler,
 * MHD_OPTION_NOTIFY_COMPLETED). */
void *exchange_create(void *server, const char *uri, struct MHD_Connection *);
enum MHD_Result exchange_step(void *server, struct MHD_Connection *, const char *url,
                              const char *method, const char *protocol, const char *data,
                              size_t *size, void **exchange);
void exchange_completed(void *server, struct MHD_Connection *, void **exchange,
                        enum MHD_RequestTerminationCode);

/* Writes the log's line and frees. */
void exchange_destroy(struct exchange **);

/* A header of the request; NULL: not there. Borrowed for the exchange's life. */
const char *exchange_header(const struct exchange *, const char *name);

bool exchange_is(const struct exchange *, const char *method);

/* Gives the answer; an earlier one that has not gone out is dropped. content: NULL, when there was no
 * memory for it. */
void exchange_answer(struct exchange *, unsigned status, struct MHD_Response *content);
void exchange_refuse(struct exchange *, enum refusal);

/* A small text, copied. */
void exchange_answer_text(struct exchange *, unsigned status, const char *text);

/* One more header of whatever answer it will be. 0, or a negative errno: -EINVAL (no header, or one that
 * speaks of the connection), -E2BIG, -ENOMEM. */
int exchange_add_header(struct exchange *, const char *name, const char *value);

/* The target becomes another one, a path with its query; what was asked for is kept for the log. Before
 * it is routed. What is refused leaves no target behind. */
enum refusal exchange_retarget(struct exchange *, const char *location);

/* Answers as if location, a path, had been asked for with GET. In WORK only, not suspended. The handler
 * that calls it is finished with. location is copied. */
void exchange_redirect(struct exchange *, const char *location);

/* Between them libmicrohttpd does not touch the connection. */
void exchange_suspend(struct exchange *);
void exchange_resume(struct exchange *);

#endif
