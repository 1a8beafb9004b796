/* route.c - chooses the handler of a request by its path. */
#include "worker/host/route.h"

#include <string.h>

#include "worker/host/exchange.h"
#include "worker/host/page.h"

/* "OPTIONS *" asks about the server, not about a resource. */
static void
answer_about_server(struct exchange *exchange)
{
    if (exchange_is(exchange, MHD_HTTP_METHOD_OPTIONS))
        exchange_answer_text(exchange, MHD_HTTP_OK, "");
    else
        exchange_refuse(exchange, REFUSAL_BAD_TARGET);
}

static const struct handler about_server = {.end = answer_about_server};

const struct handler *
route(struct exchange *exchange)
{
    if (strcmp(exchange->target.path, "*") == 0)
        return &about_server;
    const char *prefix = exchange->server->cgi.prefix;
    const struct module *module = modules_find(&exchange->server->modules, exchange->target.path);
    bool is_program = prefix != NULL && target_is_below(exchange->target.path, prefix);
    if (module != NULL && (!is_program || strlen(module->prefix) > strlen(prefix)))
        return &module_handler;
    if (is_program)
        return &cgi_handler;
    return exchange->server->options.root == NULL ? &page_handler : &files_handler;
}
