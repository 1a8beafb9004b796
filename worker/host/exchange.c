/* exchange.c - the way of a request through its states. */
#include "worker/host/exchange.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "worker/host/request.h"
#include "worker/host/route.h"

/* A refused body is read and thrown away up to here, so that its client reads the answer instead of a
 * reset; a longer one is answered at once. */
enum { DISCARD_MAX = 1024 * 1024 };

static void
exchange_enter(struct exchange *exchange, enum exchange_state state)
{
    static const bool legal[EXCHANGE_STATE_COUNT][EXCHANGE_STATE_COUNT] = {
        [EXCHANGE_HEAD] = {[EXCHANGE_BODY] = true},
        [EXCHANGE_BODY] = {[EXCHANGE_WORK] = true, [EXCHANGE_ANSWER] = true},
        [EXCHANGE_WORK] = {[EXCHANGE_ANSWER] = true},
    };
    static const enum connection_phase phases[EXCHANGE_STATE_COUNT] = {
        [EXCHANGE_BODY] = CONNECTION_BODY,
        [EXCHANGE_WORK] = CONNECTION_WORK,
        [EXCHANGE_ANSWER] = CONNECTION_ANSWER,
    };
    assert(legal[exchange->state][state]);
    exchange->state = state;
    connection_enter(exchange->connection, phases[state]);
}

void *
exchange_create(void *context, const char *uri, struct MHD_Connection *mhd)
{
    struct connection *connection =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL || connection == NULL) {
        free(exchange);
        return NULL; /* exchange_step closes */
    }
    exchange->server = context;
    exchange->connection = connection;
    exchange->mhd = mhd;
    exchange->began = exchange->server->loop.now;
    exchange->target_refusal = target_parse(&exchange->target, uri);
    assert(connection->exchange == NULL);
    connection->exchange = exchange;
    connection_enter(connection, CONNECTION_HEAD);
    return exchange;
}

void
exchange_destroy(struct exchange **pointer)
{
    struct exchange *exchange = *pointer;
    if (exchange->handler != NULL && exchange->handler->fini != NULL)
        exchange->handler->fini(exchange);
    if (exchange->state > EXCHANGE_HEAD)
        poolworker_request_end(exchange->server->pw);
    access_log_write(&exchange->server->log, exchange);
    if (exchange->response != NULL)
        MHD_destroy_response(exchange->response);
    exchange->connection->exchange = NULL;
    target_fini(&exchange->target);
    target_fini(&exchange->asked);
    for (struct exchange_extra *next; exchange->extras != NULL; exchange->extras = next) {
        next = exchange->extras->next;
        free(exchange->extras);
    }
    free(exchange);
    *pointer = NULL;
}

/* --- the steps */

/* An answer has one type: its own, or the first that was added. */
static void
add_extras(struct exchange *exchange)
{
    for (const struct exchange_extra *at = exchange->extras; at != NULL; at = at->next) {
        bool is_type = strcasecmp(at->text, MHD_HTTP_HEADER_CONTENT_TYPE) == 0;
        if (!is_type || MHD_get_response_header(exchange->response, at->text) == NULL)
            MHD_add_response_header(exchange->response, at->text, at->value);
    }
}

/* Hands the answer over. Before the request has been read to its end libmicrohttpd closes behind it. */
static enum MHD_Result
give_answer(struct exchange *exchange)
{
    struct MHD_Response *response = exchange->response;
    if (exchange->server->is_draining || exchange->must_close) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
        exchange->connection->is_last = true;
    }
    add_extras(exchange);
    exchange->response = NULL;
    exchange_enter(exchange, EXCHANGE_ANSWER);
    enum MHD_Result result = MHD_queue_response(exchange->mhd, exchange->status, response);
    MHD_destroy_response(response); /* libmicrohttpd counts its own reference */
    return result;
}

static bool
has_body_to_come(const struct exchange *exchange)
{
    return exchange->length > 0;
}

/* The head is there: is it sound, who has it, and what does that one say? */
static void
judge(struct exchange *exchange)
{
    struct request_facts facts;
    const struct options *options = &exchange->server->options;
    enum refusal refusal = request_judge(exchange->mhd, options->header_size, &facts);
    exchange->length = facts.length;
    exchange->must_close = facts.is_ambiguous;
    if (refusal == REFUSAL_NONE)
        refusal = exchange->target_refusal;
    if (refusal == REFUSAL_NONE && facts.length != UINT64_MAX && facts.length > options->body_size)
        refusal = REFUSAL_BODY_TOO_LARGE;
    if (refusal != REFUSAL_NONE) {
        exchange_refuse(exchange, refusal);
        return;
    }
    modules_filter(exchange);
    if (exchange->response == NULL && !exchange->is_broken) {
        exchange->handler = route(exchange);
        if (exchange->handler->begin != NULL)
            exchange->handler->begin(exchange);
    }
}

static enum MHD_Result
step_head(struct exchange *exchange, const char *method, const char *protocol)
{
    exchange->method = method;
    exchange->protocol = protocol;
    exchange_enter(exchange, EXCHANGE_BODY);
    poolworker_request_begin(exchange->server->pw);
    judge(exchange);
    if (exchange->is_broken)
        return MHD_NO;
    if (exchange->response == NULL || !has_body_to_come(exchange) || exchange->must_close)
        return exchange->response != NULL && exchange->must_close ? give_answer(exchange) : MHD_YES;
    bool is_long = exchange->length != UINT64_MAX && exchange->length > DISCARD_MAX;
    bool asks_first = exchange_header(exchange, MHD_HTTP_HEADER_EXPECT) != NULL;
    exchange->must_close = is_long || asks_first;
    return exchange->must_close ? give_answer(exchange) : MHD_YES;
}

static enum MHD_Result
step_body(struct exchange *exchange, const char *data, size_t *size)
{
    size_t len = *size, limit = exchange->server->options.body_size;
    if (exchange->response == NULL && exchange->body_bytes + len > limit)
        exchange_refuse(exchange, REFUSAL_BODY_TOO_LARGE); /* it is chunked */
    if (exchange->response != NULL || exchange->handler->body == NULL) {
        if (exchange->body_bytes + len > limit + DISCARD_MAX)
            return MHD_NO;
    } else {
        len = exchange->handler->body(exchange, data, len);
        assert(len == *size || exchange->is_suspended);
    }
    exchange->body_bytes += len;
    connection_took(exchange->connection, len);
    *size -= len;
    return exchange->is_broken ? MHD_NO : MHD_YES;
}

static enum MHD_Result
step_end(struct exchange *exchange)
{
    if (exchange->state == EXCHANGE_BODY) {
        exchange_enter(exchange, EXCHANGE_WORK);
        if (exchange->response == NULL)
            exchange->handler->end(exchange);
    }
    if (exchange->is_broken)
        return MHD_NO;
    if (exchange->response != NULL)
        return give_answer(exchange);
    return exchange->is_suspended ? MHD_YES : MHD_NO;
}

enum MHD_Result
exchange_step(void *server, struct MHD_Connection *mhd, const char *url, const char *method,
              const char *protocol, const char *data, size_t *size, void **context)
{
    struct exchange *exchange = *context;
    (void)server, (void)mhd, (void)url;
    if (exchange == NULL)
        return MHD_NO; /* there was no memory */
    if (exchange->state == EXCHANGE_HEAD)
        return step_head(exchange, method, protocol);
    return *size > 0 ? step_body(exchange, data, size) : step_end(exchange);
}

void
exchange_completed(void *server, struct MHD_Connection *mhd, void **context,
                   enum MHD_RequestTerminationCode how)
{
    struct exchange *exchange = *context;
    (void)server, (void)mhd;
    if (exchange == NULL)
        return;
    if (how != MHD_REQUEST_TERMINATED_COMPLETED_OK)
        exchange->is_broken = true;
    connection_enter(exchange->connection, CONNECTION_IDLE);
    exchange_destroy(&exchange);
    *context = NULL;
}
