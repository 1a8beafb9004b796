/* access_log.h - the access log, in the W3C extended format, over standard output. */
#ifndef POOLWORKER_HOST_ACCESS_LOG_H
#define POOLWORKER_HOST_ACCESS_LOG_H

#include "common/base.h"

struct exchange;

enum {
    ACCESS_LOG_ROOM = 64 * 1024,
    ACCESS_LOG_LINE_MAX = 4096 /* PIPE_BUF: a line is written whole or not at all */
};

struct access_log {
    int fd; /* -1: none is written */
    const char *pool, *worker;
    uint64_t dropped; /* lines, since the last one that was written */
    size_t len;       /* of whole lines that wait in room */
    char room[ACCESS_LOG_ROOM];
};

/* Begins with the directives. fd is borrowed; -1: no log. */
void access_log_open(struct access_log *, int fd, const char *pool, const char *worker);

/* The line of an exchange that is over. Where nobody reads, lines beyond the room are dropped, counted,
 * and the count is written as a remark. */
void access_log_write(struct access_log *, const struct exchange *);

/* A remark of our own: "#Remark: text". */
void access_log_remark(struct access_log *, const char *format, ...) ATTR_PRINTF(2, 3);

/* Writes what the reader takes now; never blocks. */
void access_log_flush(struct access_log *);

/* One field: a blank becomes a plus sign, what is not printable \xNN, "" and NULL a hyphen; cut at max
 * bytes. Returns its length. out has room for max and a NUL. */
size_t access_log_field(char *out, size_t max, const char *text);

#endif
