/* keeper_dump.h - reads what a worker of keeper_workers.h wrote of itself. */
#ifndef POOLD_TEST_KEEPER_DUMP_H
#define POOLD_TEST_KEEPER_DUMP_H

#include "test/unit/keeper_workers.h"

static char dump[16384];

static inline void
dump_wait(const char *path)
{
    WORLD_WAIT(access(path, F_OK) == 0);
    file_read(path, dump, sizeof dump);
}

/* The rest of the line that starts with key, in a buffer that the next call uses again. */
static inline const char *
dumped(const char *key)
{
    static char line[512];
    size_t length = strlen(key);
    for (const char *at = dump; at != NULL; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncmp(at, key, length) != 0)
            continue;
        snprintf(line, sizeof line, "%.*s", (int)strcspn(at + length, "\n"), at + length);
        return line;
    }
    fail_msg("no line '%s...' in:\n%s", key, dump);
    return "";
}

static inline bool
is_dumped(const char *text)
{
    return strstr(dump, text) != NULL;
}

#endif
