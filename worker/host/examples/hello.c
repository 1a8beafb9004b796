/* hello.c - a module of poolworker(1) that greets, and a filter when it is loaded as a wildcard module.
 *
 *     cc -shared -fPIC -I.. -o hello.so hello.c
 *     poolworker --listen 127.0.0.1:8080 --module /hello/=./hello.so,world
 *     poolworker --listen 127.0.0.1:8080 --wildcard ./hello.so */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "poolworker_module.h"

struct hello {
    const struct poolworker_host *host;
    const char *whom;
    unsigned long count;
};

static int
hello_init(const struct poolworker_host *host, const char *argument, void **state)
{
    struct hello *hello = calloc(1, sizeof *hello);
    if (hello == NULL)
        return -1;
    hello->host = host;
    hello->whom = argument;
    *state = hello;
    return 0;
}

static enum poolworker_verdict
greet(struct hello *hello, struct poolworker_request *request)
{
    char text[256];
    size_t len;
    const char *body = hello->host->body(request, &len);
    snprintf(text, sizeof text, "hello %s, number %lu: %s %s?%s, %zu bytes: %.20s\n", hello->whom,
             ++hello->count, hello->host->method(request), hello->host->path(request),
             hello->host->query(request), len, body);
    hello->host->add_header(request, "Content-Type", "text/plain; charset=utf-8");
    return hello->host->write(request, text, strlen(text)) == 0 ? POOLWORKER_ANSWERED
                                                                : POOLWORKER_FAILED;
}

/* Answers for /closed/, moves /old to /new, and leaves its mark on all answers. */
static enum poolworker_verdict
filter(struct hello *hello, struct poolworker_request *request)
{
    const char *path = hello->host->path(request);
    hello->host->add_header(request, "X-Filtered", "yes");
    if (strncmp(path, "/closed/", 8) == 0) {
        hello->host->status(request, 403);
        hello->host->add_header(request, "Content-Type", "text/plain");
        hello->host->write(request, "closed\n", 7);
        return POOLWORKER_ANSWERED;
    }
    if (strcmp(path, "/old") == 0 && hello->host->set_path(request, "/new?moved") != 0)
        return POOLWORKER_FAILED;
    return POOLWORKER_PASS;
}

static enum poolworker_verdict
hello_handle(void *state, struct poolworker_request *request)
{
    struct hello *hello = state;
    return hello->whom == NULL ? filter(hello, request) : greet(hello, request);
}

static void
hello_fini(void *state)
{
    free(state);
}

const struct poolworker_module poolworker_module = {
    .api = POOLWORKER_MODULE_API,
    .name = "hello",
    .init = hello_init,
    .handle = hello_handle,
    .fini = hello_fini,
};
