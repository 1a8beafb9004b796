/* module.c - loads modules and asks them. */
#include "worker/host/module.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "worker/host/exchange.h"
#include "worker/host/module_request.h"

/* --- loading */

static int
load_code(struct module *module, const char *file, struct err *err)
{
    /* Without a slash dlopen would look through the system's folders. */
    if (strchr(file, '/') == NULL)
        return err_set(err, -EINVAL, "the module %.100s has no folder in front; ./ will do", file);
    module->library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (module->library == NULL)
        return err_set(err, -ENOENT, "a module cannot be loaded: %.180s", dlerror());
    module->code = dlsym(module->library, "poolworker_module");
    if (module->code == NULL)
        return err_set(err, -EINVAL, "the module %.100s defines no poolworker_module", file);
    unsigned api = module->code->api;
    if (api > POOLWORKER_MODULE_API || api + 1 < POOLWORKER_MODULE_API || api == 0)
        return err_set(err, -EPROTO, "the module %.100s is made for API %u, poolworker has %u",
                       file, api, (unsigned)POOLWORKER_MODULE_API);
    if (module->code->handle == NULL)
        return err_set(err, -EINVAL, "the module %.100s handles nothing", file);
    return 0;
}

/* text: "FILE" or "FILE,ARGUMENT". */
static int
load(struct server *server, const char *text, char *prefix, struct err *err)
{
    struct module module = {.prefix = prefix};
    const char *comma = strchr(text, ',');
    char *file = comma == NULL ? strdup(text) : strndup(text, (size_t)(comma - text));
    int code = file == NULL ? err_errno(err, -ENOMEM, "a module cannot be loaded")
                            : load_code(&module, file, err);
    const char *argument = comma == NULL ? NULL : comma + 1;
    if (code == 0 && module.code->init != NULL) {
        code = module.code->init(module_host(server), argument, &module.state);
        if (code != 0)
            err_errno(err, code < 0 ? code : -EINVAL, "the module %.100s does not begin", file);
    }
    free(file);
    if (code == 0) {
        server->modules.list[server->modules.count++] = module;
        return 0;
    }
    if (module.library != NULL)
        dlclose(module.library);
    free(prefix);
    return err->code;
}

/* "/PREFIX/=FILE[,ARGUMENT]" */
static int
load_for_prefix(struct server *server, const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');
    if (*text != '/' || equals == NULL || equals[-1] != '/')
        return err_set(err, -EINVAL,
                       "--module %.100s: it is /PREFIX/=FILE, with a slash at both ends of the "
                       "prefix",
                       text);
    char *prefix = strndup(text, (size_t)(equals - text));
    if (prefix == NULL)
        return err_errno(err, -ENOMEM, "a module cannot be loaded");
    return load(server, equals + 1, prefix, err);
}

static bool
hear_ping(struct poolworker *pw, void *context)
{
    (void)pw;
    modules_check(context);
    return true;
}

int
modules_open(struct server *server, struct err *err)
{
    const struct options *options = &server->options;
    int code = 0;
    for (unsigned i = 0; i < options->wildcard.count && code == 0; i++)
        code = load(server, options->wildcard.items[i], NULL, err);
    for (unsigned i = 0; i < options->module.count && code == 0; i++)
        code = load_for_prefix(server, options->module.items[i], err);
    if (code == 0 && server->modules.count > 0)
        poolworker_on_ping(server->pw, hear_ping, server);
    return code;
}

void
modules_close(struct server *server)
{
    while (server->modules.count > 0) {
        struct module *module = &server->modules.list[--server->modules.count];
        if (module->code->fini != NULL)
            module->code->fini(module->state);
        dlclose(module->library);
        free(module->prefix);
    }
}

/* --- asking */

void
modules_check(struct server *server)
{
    struct modules *modules = &server->modules;
    for (unsigned i = 0; i < modules->count && !modules->is_unhealthy; i++) {
        const struct module *module = &modules->list[i];
        const char *why =
            module->code->unhealthy == NULL ? NULL : module->code->unhealthy(module->state);
        if (why == NULL)
            continue;
        modules->is_unhealthy = true;
        access_log_remark(&server->log, "the module %s is not well: %s", module->code->name, why);
        poolworker_status(server->pw, why);
        poolworker_unhealthy(server->pw);
    }
}

const struct module *
modules_find(const struct modules *modules, const char *path)
{
    const struct module *best = NULL;
    for (unsigned i = 0; i < modules->count; i++) {
        const struct module *module = &modules->list[i];
        if (module->prefix == NULL || !target_is_below(path, module->prefix))
            continue;
        if (best == NULL || strlen(module->prefix) > strlen(best->prefix))
            best = module;
    }
    return best;
}

/* True when the request goes on to the next one. */
static bool
ask_wildcard(struct exchange *exchange, const struct module *module)
{
    struct poolworker_request request;
    module_request_init(&request, exchange);
    request.is_wildcard = true;
    enum poolworker_verdict verdict = module->code->handle(module->state, &request);
    if (verdict == POOLWORKER_ANSWERED)
        module_request_answer(&request);
    else if (verdict != POOLWORKER_PASS)
        exchange_refuse(exchange, REFUSAL_BROKEN);
    module_request_fini(&request);
    return verdict == POOLWORKER_PASS && exchange->response == NULL;
}

void
modules_filter(struct exchange *exchange)
{
    const struct modules *modules = &exchange->server->modules;
    for (unsigned i = 0; i < modules->count && modules->list[i].prefix == NULL; i++)
        if (!ask_wildcard(exchange, &modules->list[i]))
            break;
}

/* --- the handler of prefixes */

static void
module_begin(struct exchange *exchange)
{
    struct poolworker_request *request = malloc(sizeof *request);
    if (request == NULL || (exchange->length != UINT64_MAX && exchange->length > MODULE_BODY_MAX)) {
        free(request);
        exchange_refuse(exchange, request == NULL ? REFUSAL_BUSY : REFUSAL_BODY_TOO_LARGE);
        return;
    }
    module_request_init(request, exchange);
    exchange->work = request;
}

static size_t
module_body(struct exchange *exchange, const char *data, size_t len)
{
    enum refusal refusal = module_request_take(exchange->work, data, len);
    if (refusal != REFUSAL_NONE)
        exchange_refuse(exchange, refusal);
    return len;
}

static void
module_end(struct exchange *exchange)
{
    struct poolworker_request *request = exchange->work;
    const struct module *module = modules_find(&exchange->server->modules, exchange->target.path);
    assert(module != NULL);
    switch (module->code->handle(module->state, request)) {
    case POOLWORKER_ANSWERED:
        module_request_answer(request);
        break;
    case POOLWORKER_PASS:
        exchange_refuse(exchange, REFUSAL_NOT_FOUND);
        break;
    case POOLWORKER_FAILED:
    default:
        exchange_refuse(exchange, REFUSAL_BROKEN);
        break;
    }
    modules_check(exchange->server);
}

static void
module_fini(struct exchange *exchange)
{
    if (exchange->work != NULL)
        module_request_fini(exchange->work);
    free(exchange->work);
    exchange->work = NULL;
}

const struct handler module_handler = {
    .begin = module_begin, .body = module_body, .end = module_end, .fini = module_fini};
