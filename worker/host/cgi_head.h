/* cgi_head.h - the head of what a CGI program answers (RFC 3875, 6). */
#ifndef POOLWORKER_HOST_CGI_HEAD_H
#define POOLWORKER_HOST_CGI_HEAD_H

#include "common/base.h"

enum { CGI_HEADERS_MAX = 64, CGI_HEAD_MAX = 16 * 1024 };

/* The text lies in the bytes that were parsed. */
struct cgi_header {
    char *name;
    char *value;
};

struct cgi_head {
    unsigned status;      /* 200 or 302 where the program does not say */
    const char *location; /* NULL: none */
    bool is_local;        /* location is a path of this very server, to be answered in place */
    uint64_t length;      /* UINT64_MAX: it does not say */
    struct cgi_header headers[CGI_HEADERS_MAX]; /* those that go to the client as they are */
    unsigned header_count;
};

/* Bytes of the head with its empty line; 0: it is not complete yet. */
size_t cgi_head_find(const char *bytes, size_t len);

/* Reads a head of exactly len bytes, in place. False: it is none that a client should see, with *why
 * (a constant). Names that belong to the connection are left out. */
bool cgi_head_parse(char *bytes, size_t len, struct cgi_head *out, const char **why);

#endif
