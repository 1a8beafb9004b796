/* page.c - says which worker has answered; for trials and demonstrations. */
#include "worker/host/page.h"

#include <stdio.h>
#include <unistd.h>

#include "worker/host/exchange.h"

static void
page_end(struct exchange *exchange)
{
    char text[256];
    snprintf(text, sizeof text, "poolworker\npool=%s\nworker=%s\npid=%d\n", exchange->server->pool,
             exchange->server->worker, (int)getpid());
    exchange_answer_text(exchange, MHD_HTTP_OK, text);
}

const struct handler page_handler = {.end = page_end};
