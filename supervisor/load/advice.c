/* advice.c - what is valid in a configuration and still likely to surprise. */
#include "supervisor/load/advice.h"

#include <stdlib.h>
#include <string.h>

/* clang-format off */
/* Programs that stand between poold and a server, and what becomes of the sockets behind them. All
 * were tried. */
#define BREAKS_PID "runs the server in a child, so LISTEN_PID is not the server's"
#define LOSES_FDS  "closes the listening sockets before it runs the server"
static const struct { const char *name, *effect; bool helps_fd; } wrappers[] = {
    {"runuser", BREAKS_PID, true},
    {"su",      BREAKS_PID, true},
    {"timeout", BREAKS_PID, true},
    {"tini",    BREAKS_PID, true},
    {"bwrap",   BREAKS_PID, true},
    {"sudo",    LOSES_FDS,  false},
    {"npm",     LOSES_FDS,  false},
    {"npx",     LOSES_FDS,  false},
};
/* clang-format on */

static const char *
base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* `sh -c 'server'` forks; `sh -c 'exec server'` does not. */
static bool
is_forking_shell(const struct record *record, const struct record_pool *pool)
{
    const char *name = base_name(record_text(record, pool->program));
    if ((strcmp(name, "sh") != 0 && strcmp(name, "dash") != 0) || pool->argv.count < 3)
        return false;
    const char *option = record_text(record, pool->argv.at);
    option += strlen(option) + 1;
    const char *script = option + strlen(option) + 1;
    return strcmp(option, "-c") == 0 && strstr(script, "exec ") == NULL;
}

static void
advise_shell(const struct record *record, const struct record_pool *pool, FILE *out)
{
    if (pool->handoff == HANDOFF_LISTEN_FDS && is_forking_shell(record, pool))
        fprintf(out,
                "warning: pool \"%s\": sh -c " BREAKS_PID "; write \"exec server ...\", or set "
                "\"handoff\": \"fd\"\n",
                record_text(record, pool->name));
}

static void
advise_wrapper(const struct record *record, const struct record_pool *pool, FILE *out)
{
    const char *name = base_name(record_text(record, pool->program));
    for (size_t i = 0; i < ARRAY_LEN(wrappers); i++) {
        if (strcmp(name, wrappers[i].name) != 0)
            continue;
        if (wrappers[i].helps_fd && pool->handoff != HANDOFF_LISTEN_FDS)
            continue;
        fprintf(out, "warning: pool \"%s\": %s %s; %s\n", record_text(record, pool->name), name,
                wrappers[i].effect,
                wrappers[i].helps_fd ? "set \"handoff\": \"fd\"" : "name the server itself");
    }
}

static int
compare_uids(const void *a, const void *b)
{
    const struct record_pool *const *x = a, *const *y = b;
    if ((*x)->uid != (*y)->uid)
        return (*x)->uid < (*y)->uid ? -1 : 1;
    return (*x > *y) - (*x < *y);
}

/* A worker can signal, and speak for, every process of its user. */
static void
advise_shared_users(const struct record *record, FILE *out)
{
    uint32_t count = record->header->pools;
    const struct record_pool **by_uid = calloc((size_t)count + 1, sizeof *by_uid);
    if (by_uid == NULL)
        return; /* advice is not worth a failure */
    for (uint32_t i = 0; i < count; i++)
        by_uid[i] = &record->pools[i];
    qsort(by_uid, count, sizeof *by_uid, compare_uids);
    for (uint32_t i = 0, next; i < count; i = next) {
        for (next = i + 1; next < count && by_uid[next]->uid == by_uid[i]->uid; next++)
            ;
        if (next - i < 2)
            continue;
        fprintf(out,
                "warning: %u pools, \"%s\" among them, run as user \"%s\" and can act for each "
                "other\n",
                next - i, record_text(record, by_uid[i]->name),
                record_text(record, by_uid[i]->user));
    }
    free(by_uid);
}

void
advice_print(const struct record *record, FILE *out)
{
    for (uint32_t i = 0; i < record->header->pools; i++) {
        const struct record_pool *pool = &record->pools[i];
        if (pool->socket_count == 0)
            continue;
        advise_shell(record, pool, out);
        advise_wrapper(record, pool, out);
    }
    /* Without root there is one user anyhow. */
    if (record->header->pools > 0 && record->pools[0].drop_privileges)
        advise_shared_users(record, out);
}
