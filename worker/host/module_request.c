/* module_request.c - the calls that a module may make. */
#include "worker/host/module_request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "worker/host/exchange.h"
#include "worker/host/token.h"

static struct server *server_of_host;

void
module_request_init(struct poolworker_request *request, struct exchange *exchange)
{
    *request = (struct poolworker_request){.exchange = exchange, .status = MHD_HTTP_OK};
}

void
module_request_fini(struct poolworker_request *request)
{
    free(request->body.bytes);
    free(request->content.bytes);
    request->body = request->content = (struct module_text){0};
}

static int
append(struct module_text *text, const void *bytes, size_t len, size_t max)
{
    if (len > max - text->len)
        return -EFBIG;
    if (text->len + len + 1 > text->capacity) {
        size_t capacity = MAX(2 * text->capacity, text->len + len + 1);
        char *grown = realloc(text->bytes, capacity);
        if (grown == NULL)
            return -ENOMEM;
        text->bytes = grown;
        text->capacity = capacity;
    }
    if (len > 0)
        memcpy(text->bytes + text->len, bytes, len);
    text->len += len;
    text->bytes[text->len] = '\0';
    return 0;
}

enum refusal
module_request_take(struct poolworker_request *request, const char *bytes, size_t len)
{
    int code = append(&request->body, bytes, len, MODULE_BODY_MAX);
    return code == 0 ? REFUSAL_NONE : code == -EFBIG ? REFUSAL_BODY_TOO_LARGE : REFUSAL_BUSY;
}

void
module_request_answer(struct poolworker_request *request)
{
    struct module_text *content = &request->content;
    struct MHD_Response *response = MHD_create_response_from_buffer(
        content->len, content->bytes,
        content->bytes == NULL ? MHD_RESPMEM_PERSISTENT : MHD_RESPMEM_MUST_FREE);
    request->exchange->content_bytes = content->len;
    if (response != NULL)
        *content = (struct module_text){0}; /* it is the response's now */
    exchange_answer(request->exchange, request->status, response);
}

/* --- the calls */

static const char *
get_method(const struct poolworker_request *request)
{
    return request->exchange->method;
}

static const char *
get_path(const struct poolworker_request *request)
{
    return request->exchange->target.path;
}

static const char *
get_query(const struct poolworker_request *request)
{
    return request->exchange->target.query;
}

static const char *
get_peer(const struct poolworker_request *request)
{
    return request->exchange->connection->peer;
}

static const char *
get_header(const struct poolworker_request *request, const char *name)
{
    return exchange_header(request->exchange, name);
}

static const char *
get_body(const struct poolworker_request *request, size_t *len)
{
    *len = request->body.len;
    return request->body.bytes == NULL ? "" : request->body.bytes;
}

static int
set_status(struct poolworker_request *request, unsigned status)
{
    if (status < 200 || status > 599)
        return -EINVAL;
    request->status = status;
    return 0;
}

static int
add_header(struct poolworker_request *request, const char *name, const char *value)
{
    return exchange_add_header(request->exchange, name, value);
}

static int
write_content(struct poolworker_request *request, const void *bytes, size_t len)
{
    return append(&request->content, bytes, len, MODULE_CONTENT_MAX);
}

/* A path that cannot be is refused with its own answer, and nobody else is asked. */
static int
set_path(struct poolworker_request *request, const char *target)
{
    if (!request->is_wildcard || *target != '/')
        return -EINVAL;
    enum refusal refusal = exchange_retarget(request->exchange, target);
    if (refusal == REFUSAL_NONE)
        return 0;
    exchange_refuse(request->exchange, refusal);
    return -EINVAL;
}

static void
ask_recycle(const char *reason)
{
    poolworker_recycle(server_of_host->pw, reason);
}

static void
write_log(const char *text)
{
    access_log_remark(&server_of_host->log, "%s", text);
}

const struct poolworker_host *
module_host(struct server *server)
{
    static struct poolworker_host host = {
        .api = POOLWORKER_MODULE_API,
        .method = get_method,
        .path = get_path,
        .query = get_query,
        .peer = get_peer,
        .header = get_header,
        .body = get_body,
        .status = set_status,
        .add_header = add_header,
        .write = write_content,
        .set_path = set_path,
        .recycle = ask_recycle,
        .log = write_log,
    };
    assert(server_of_host == NULL || server_of_host == server);
    server_of_host = server;
    host.pool = server->pool;
    host.worker = server->worker;
    return &host;
}
