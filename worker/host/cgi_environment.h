/* cgi_environment.h - the variables of a CGI program (RFC 3875, 4.1). */
#ifndef POOLWORKER_HOST_CGI_ENVIRONMENT_H
#define POOLWORKER_HOST_CGI_ENVIRONMENT_H

#include "common/base.h"

struct exchange;

enum { CGI_VARIABLES_MAX = 160 };

struct cgi_environment {
    char *variables[CGI_VARIABLES_MAX + 1]; /* ends with NULL */
    unsigned count;
    char *room;
    size_t len, capacity;
    bool is_full; /* something did not fit: do not use it */
};

struct cgi_names {
    const char *script_name; /* the URL's path of the program */
    const char *script_file; /* the program's own path */
    const char *path_info;   /* "" or what follows in the URL's path */
};

/* False: there was no room. Free with cgi_environment_fini in any case. */
bool cgi_environment_make(struct cgi_environment *, const struct exchange *,
                          const struct cgi_names *);
void cgi_environment_fini(struct cgi_environment *);

/* The variable of a request's header, "HTTP_USER_AGENT" for "User-Agent", with its NUL in out of max
 * bytes. False: it gets none. That is so for what has a variable of its own (Content-Type), for what
 * speaks of the connection, for credentials, for names that another header could pose as (with an
 * underscore), and for "Proxy", which many programs take for HTTP_PROXY of their own (httpoxy). */
bool cgi_variable_of(const char *header, char *out, size_t max);

#endif
