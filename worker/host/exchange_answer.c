/* exchange_answer.c - what handlers do with an exchange: answers, refusals, other targets. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "worker/host/exchange.h"
#include "worker/host/route.h"
#include "worker/host/token.h"

enum { REDIRECTS_MAX = 8 };

const char *
exchange_header(const struct exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->mhd, MHD_HEADER_KIND, name);
}

bool
exchange_is(const struct exchange *exchange, const char *method)
{
    return strcmp(exchange->method, method) == 0;
}

void
exchange_answer(struct exchange *exchange, unsigned status, struct MHD_Response *content)
{
    assert(exchange->state < EXCHANGE_ANSWER);
    if (exchange->response != NULL)
        MHD_destroy_response(exchange->response);
    exchange->response = content;
    exchange->status = status;
    exchange->substatus = 0;
    exchange->is_broken = content == NULL;
}

void
exchange_answer_text(struct exchange *exchange, unsigned status, const char *text)
{
    size_t len = strlen(text);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    if (response != NULL)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                "text/plain; charset=utf-8");
    exchange->content_bytes = len;
    exchange_answer(exchange, status, response);
}

void
exchange_refuse(struct exchange *exchange, enum refusal refusal)
{
    const struct refusal_row *row = refusal_row(refusal);
    char text[160];
    snprintf(text, sizeof text, "%u %s\n", row->status, row->text);
    exchange_answer_text(exchange, row->status, text);
    exchange->substatus = row->substatus;
    if (exchange->response == NULL)
        return;
    if (row->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(exchange->response, MHD_HTTP_HEADER_ALLOW,
                                exchange->handler->methods);
    if (row->status == MHD_HTTP_SERVICE_UNAVAILABLE)
        MHD_add_response_header(exchange->response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
}

int
exchange_add_header(struct exchange *exchange, const char *name, const char *value)
{
    static const char *const ours[] = {"Connection", "Transfer-Encoding", "Content-Length", "Date"};
    size_t name_len = strlen(name), value_len = strlen(value);
    struct exchange_extra **last = &exchange->extras;
    if (!token_is(name, name_len) || !token_is_value(value, value_len))
        return -EINVAL;
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (strcasecmp(name, ours[i]) == 0)
            return -EINVAL;
    if (exchange->extra_count == EXCHANGE_HEADERS_MAX ||
        name_len + value_len > EXCHANGE_HEADER_LEN_MAX)
        return -E2BIG;
    struct exchange_extra *extra = malloc(sizeof *extra + name_len + value_len + 2);
    if (extra == NULL)
        return -ENOMEM;
    extra->next = NULL;
    extra->value = extra->text + name_len + 1;
    memcpy(extra->text, name, name_len + 1);
    memcpy(extra->value, value, value_len + 1);
    while (*last != NULL)
        last = &(*last)->next;
    *last = extra;
    exchange->extra_count++;
    return 0;
}

enum refusal
exchange_retarget(struct exchange *exchange, const char *location)
{
    struct target target;
    enum refusal refusal = target_parse(&target, location);
    if (exchange->asked.raw == NULL)
        exchange->asked = exchange->target;
    else
        target_fini(&exchange->target);
    exchange->target = target;
    return refusal == REFUSAL_NONE && strcmp(target.path, "*") != 0 ? REFUSAL_NONE : REFUSAL_BROKEN;
}

void
exchange_redirect(struct exchange *exchange, const char *location)
{
    assert(exchange->state == EXCHANGE_WORK && !exchange->is_suspended);
    enum refusal refusal = exchange_retarget(exchange, location);
    if (exchange->handler->fini != NULL)
        exchange->handler->fini(exchange);
    assert(exchange->work == NULL);
    if (++exchange->redirects > REDIRECTS_MAX)
        refusal = REFUSAL_BROKEN;
    if (refusal != REFUSAL_NONE) {
        exchange_refuse(exchange, refusal);
        return;
    }
    if (!exchange_is(exchange, MHD_HTTP_METHOD_HEAD))
        exchange->method = MHD_HTTP_METHOD_GET;
    exchange->length = 0;
    exchange->handler = route(exchange);
    if (exchange->handler->begin != NULL)
        exchange->handler->begin(exchange);
    if (exchange->response == NULL && !exchange->is_broken)
        exchange->handler->end(exchange);
}

void
exchange_suspend(struct exchange *exchange)
{
    assert(!exchange->is_suspended);
    exchange->is_suspended = true;
    MHD_suspend_connection(exchange->mhd);
}

void
exchange_resume(struct exchange *exchange)
{
    assert(exchange->is_suspended);
    exchange->is_suspended = false;
    MHD_resume_connection(exchange->mhd);
}
