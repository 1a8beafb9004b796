/* cgi.h - the programs below --cgi: which one a path names, and how many may run. */
#ifndef POOLWORKER_HOST_CGI_H
#define POOLWORKER_HOST_CGI_H

#include "common/err.h"
#include "worker/host/loop.h"

struct server;
struct handler;
struct cgi_program;

struct cgi {
    char *prefix;    /* "/cgi-bin/"; NULL: there is no --cgi */
    char *directory; /* absolute, without links */
    int directory_fd;
    unsigned running;             /* processes that are not reaped */
    struct cgi_program *programs; /* theirs, and those whose exchange is not over */
    struct timeout_queue limit_queue;
};

/* 0, or a negative errno with err filled. */
int cgi_open(struct server *, struct err *);

/* Kills what still runs. Before libmicrohttpd is stopped: it runs once more for their connections. */
void cgi_close(struct server *);

extern const struct handler cgi_handler;

#endif
