/* misbehave.c - a module of poolworker(1) that does wrong on command, to try what poold does about it.
 *
 * The last part of the path is the command, the query its number:
 *
 *     crash        dies as one that reads what is not there
 *     exit         ends the process
 *     hang         never returns: nobody is served, no ping is answered
 *     slow?ms      returns so much later, and so does everybody else
 *     leak?kib     keeps so much memory
 *     unhealthy    says that it is not well
 *     recycle      asks to be replaced
 *     fail         fails
 *
 * Anything else is answered with "ok". */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "poolworker_module.h"

static const struct poolworker_host *host;
static const char *complaint; /* NULL: all is well */
static void **leaked;         /* a chain of what was kept */

static int
misbehave_init(const struct poolworker_host *given, const char *argument, void **state)
{
    (void)argument;
    *state = NULL;
    host = given;
    return 0;
}

static void
rest(long ms)
{
    struct timespec span = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&span, NULL);
}

static void
leak(size_t kib)
{
    void **block = malloc(kib * 1024 + sizeof *block);
    if (block == NULL)
        return;
    memset(block, 1, kib * 1024 + sizeof *block);
    *block = leaked;
    leaked = block;
}

static enum poolworker_verdict
misbehave_handle(void *state, struct poolworker_request *request)
{
    const char *path = host->path(request), *command = strrchr(path, '/') + 1;
    long number = strtol(host->query(request), NULL, 10);
    (void)state;
    if (strcmp(command, "crash") == 0) {
        signal(SIGSEGV, SIG_DFL); /* a sanitizer would make an exit of it */
        raise(SIGSEGV);
    }
    if (strcmp(command, "exit") == 0)
        _exit(3);
    while (strcmp(command, "hang") == 0)
        rest(1000);
    if (strcmp(command, "slow") == 0)
        rest(number);
    if (strcmp(command, "leak") == 0 && number > 0)
        leak((size_t)number);
    if (strcmp(command, "unhealthy") == 0)
        complaint = "it was told to be ill";
    if (strcmp(command, "recycle") == 0)
        host->recycle("it was told to ask");
    if (strcmp(command, "fail") == 0)
        return POOLWORKER_FAILED;
    host->add_header(request, "Content-Type", "text/plain");
    host->write(request, "ok\n", 3);
    return POOLWORKER_ANSWERED;
}

static const char *
misbehave_unhealthy(void *state)
{
    (void)state;
    return complaint;
}

/* At the orderly end even a leak is given back, so that a sanitizer finds those of the host alone. */
static void
misbehave_fini(void *state)
{
    (void)state;
    while (leaked != NULL) {
        void **next = *leaked;
        free(leaked);
        leaked = next;
    }
}

const struct poolworker_module poolworker_module = {
    .api = POOLWORKER_MODULE_API,
    .name = "misbehave",
    .init = misbehave_init,
    .handle = misbehave_handle,
    .unhealthy = misbehave_unhealthy,
    .fini = misbehave_fini,
};
