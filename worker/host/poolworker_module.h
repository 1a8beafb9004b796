/* poolworker_module.h - what a module of poolworker(1) is: C code that answers requests inside the worker.
 *
 *     cc -shared -fPIC -o hello.so hello.c
 *     poolworker --module /hello/=./hello.so        answers for the paths below /hello/
 *     poolworker --wildcard ./filter.so             sees every request first
 *
 * A module defines one object of this name, with what it does:
 *
 *     const struct poolworker_module poolworker_module = {
 *         .api = POOLWORKER_MODULE_API, .name = "hello", .handle = hello_handle};
 *
 * All calls come from one thread, the one that serves everybody: a module that waits makes every client
 * wait, and poold's pings too. A module that crashes takes its worker with it, and nothing else. */
#ifndef POOLWORKER_MODULE_H
#define POOLWORKER_MODULE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Rises by one when something here changes. A module with a higher one than the host's is refused, one
 * with the host's or the one before is taken. */
#define POOLWORKER_MODULE_API 1

/* One request; valid until handle returns, and so is all text that is got from it. */
struct poolworker_request;

/* What the host does for a module; valid from init to the end of fini. Functions that return int return
 * 0, or a negative errno. */
struct poolworker_host {
    unsigned api;
    const char *pool, *worker; /* "-" where there is no poold */

    /* --- The request. */
    const char *(*method)(const struct poolworker_request *);
    const char *(*path)(const struct poolworker_request *);  /* decoded; nothing in it is hidden */
    const char *(*query)(const struct poolworker_request *); /* not decoded; "" without */
    const char *(*peer)(const struct poolworker_request *);  /* the client's address, or "-" */
    /* NULL: there is none of that name, which is of any case. */
    const char *(*header)(const struct poolworker_request *, const char *name);
    /* All of it, with a NUL behind; empty for a wildcard module, which sees the head alone. */
    const char *(*body)(const struct poolworker_request *, size_t *len);

    /* --- The answer. 200 without status. */
    int (*status)(struct poolworker_request *, unsigned status);
    /* Of the answer, whoever gives it: a wildcard module that passes adds to another's. */
    int (*add_header)(struct poolworker_request *, const char *name, const char *value);
    int (*write)(struct poolworker_request *, const void *, size_t);

    /* For wildcard modules that pass: another path, with its query ("/new?a=b"), not decoded. */
    int (*set_path)(struct poolworker_request *, const char *target);

    /* --- The worker, at any time. */
    void (*recycle)(const char *reason); /* please replace me when convenient */
    void (*log)(const char *text);       /* a remark in the access log */
};

enum poolworker_verdict {
    POOLWORKER_ANSWERED, /* status, headers and content have been given */
    POOLWORKER_PASS,     /* not mine: 404, or, from a wildcard module, whoever comes next */
    POOLWORKER_FAILED    /* 500 */
};

struct poolworker_module {
    unsigned api;     /* POOLWORKER_MODULE_API */
    const char *name; /* for people */
    /* Before the worker is ready. argument: what follows the file's name and a comma; NULL without. What
     * is put in *state is handed to the other calls. 0, or a negative errno: then the worker does not
     * start. May be NULL. */
    int (*init)(const struct poolworker_host *, const char *argument, void **state);
    enum poolworker_verdict (*handle)(void *state, struct poolworker_request *);
    /* Asked at each ping of poold and after each request that the module answered: NULL when all is
     * well, else why this worker should be replaced. May be NULL. */
    const char *(*unhealthy)(void *state);
    /* After the last request of an orderly end. May be NULL. */
    void (*fini)(void *state);
};

/* The name that the host looks for. */
#ifdef __GNUC__
__attribute__((visibility("default")))
#endif
extern const struct poolworker_module poolworker_module;

#ifdef __cplusplus
}
#endif
#endif
