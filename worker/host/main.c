/* main.c - poolworker: the stock worker of poold. */
#include <stdio.h>
#include <stdlib.h>

#include "worker/host/server.h"

enum { EXIT_USAGE = 64 };

/* POOLD_POOL and POOLD_WORKER stay in the environment for programs that want to know. */
static const char *
name_from(const char *variable)
{
    const char *value = getenv(variable);
    return value == NULL || *value == '\0' ? "-" : value;
}

int
main(int argc, char **argv)
{
    static struct server server; /* large: the log's buffer is in it */
    struct err err;
    switch (options_read(&server.options, argc, argv, &err)) {
    case OPTIONS_DONE:
        return 0;
    case OPTIONS_WRONG:
        fprintf(stderr, "poolworker: %s\n", err.text);
        return EXIT_USAGE;
    case OPTIONS_RUN:
        break;
    }
    server.pool = name_from("POOLD_POOL");
    server.worker = name_from("POOLD_WORKER");
    if (server_open(&server, &err) != 0) {
        fprintf(stderr, "poolworker: %s\n", err.text);
        return EXIT_FAILURE;
    }
    server_run(&server);
    server_close(&server);
    return EXIT_SUCCESS;
}
