/* module.h - the modules that --module and --wildcard name. */
#ifndef POOLWORKER_HOST_MODULE_H
#define POOLWORKER_HOST_MODULE_H

#include "common/err.h"
#include "worker/host/options.h"
#include "worker/host/poolworker_module.h"

struct exchange;
struct handler;
struct server;

struct module {
    const struct poolworker_module *code;
    void *library; /* of dlopen */
    void *state;
    char *prefix; /* "/app/"; NULL: a wildcard module */
};

struct modules {
    struct module list[2 * OPTION_LIST_MAX]; /* wildcard modules in their order, then the others */
    unsigned count;
    bool is_unhealthy; /* one has said so */
};

/* Loads and begins all of them. 0, or a negative errno with err filled. */
int modules_open(struct server *, struct err *);
void modules_close(struct server *);

/* Who answers for the path: the longest prefix; NULL: nobody. */
const struct module *modules_find(const struct modules *, const char *path);

/* Asks the wildcard modules in their order. The exchange has an answer, maybe another target, or is as it
 * was. */
void modules_filter(struct exchange *);

/* Asks every module whether it is well, and tells poold of the first that is not. */
void modules_check(struct server *);

extern const struct handler module_handler;

#endif
