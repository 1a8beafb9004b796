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
                "pool \"%s\": sh -c " BREAKS_PID "; write \"exec server ...\", or set "
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
        fprintf(out, "pool \"%s\": %s %s; %s\n", record_text(record, pool->name), name,
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
    uint32_t count = 0;
    const struct record_pool **by_uid = calloc((size_t)record->header->pools + 1, sizeof *by_uid);
    if (by_uid == NULL)
        return; /* advice is not worth a failure */
    for (uint32_t i = 0; i < record->header->pools; i++) {
        /* Without root there is one user anyhow. */
        if (record->pools[i].present && record->pools[i].drop_privileges)
            by_uid[count++] = &record->pools[i];
    }
    qsort(by_uid, count, sizeof *by_uid, compare_uids);
    for (uint32_t i = 0, next; i < count; i = next) {
        for (next = i + 1; next < count && by_uid[next]->uid == by_uid[i]->uid; next++)
            ;
        if (next - i < 2)
            continue;
        fprintf(out,
                "%u pools, \"%s\" among them, run as user \"%s\" and can act for each "
                "other\n",
                next - i, record_text(record, by_uid[i]->name),
                record_text(record, by_uid[i]->user));
    }
    free(by_uid);
}

void
advice_print_queues(const struct record *record, uint32_t cap, FILE *out)
{
    uint32_t above = 0, most = 0, pool = 0;
    for (uint32_t i = 0; i < record->header->sockets; i++) {
        const struct record_socket *socket = &record->sockets[i];
        if (socket->backlog <= cap || socket->pool == NONE)
            continue;
        pool = above++ == 0 ? socket->pool : pool;
        most = MAX(most, socket->backlog);
    }
    if (above > 0)
        fprintf(out,
                "%u socket%s of \"%s\"%s want%s a queue of up to %u connections, and the "
                "kernel gives %u; raise net.core.somaxconn or lower queue_length\n",
                above, above == 1 ? "" : "s", record_text(record, record->pools[pool].name),
                above == 1 ? "" : " and others", above == 1 ? "s" : "", most, cap);
}

/* The kernel's own; no cap where it does not say. */
static uint32_t
queue_cap(void)
{
    unsigned cap;
    FILE *file = fopen("/proc/sys/net/core/somaxconn", "re");
    if (file == NULL)
        return UINT32_MAX;
    if (fscanf(file, "%u", &cap) != 1)
        cap = UINT32_MAX;
    fclose(file);
    return cap;
}

static void
advise_pool(const struct record *record, const struct record_pool *pool, FILE *out)
{
    if (record_text(record, pool->refused)[0] != '\0')
        fprintf(out, "pool \"%s\" does not start: %s\n", record_text(record, pool->name),
                record_text(record, pool->refused));
    advice_print_preset(record, pool, out);
    advice_print_rights(record, pool, out);
    if (pool->socket_count == 0)
        return;
    advise_shell(record, pool, out);
    advise_wrapper(record, pool, out);
}

void
advice_print(const struct record *record, FILE *out)
{
    for (uint32_t i = 0; i < record->header->pools; i++) {
        if (record->pools[i].present)
            advise_pool(record, &record->pools[i], out);
    }
    advise_shared_users(record, out);
    advice_print_control(record, out);
    advice_print_queues(record, queue_cap(), out);
}

/* Whatever comes after so many lines is counted. */
static void
cut_lines(char *text)
{
    uint32_t lines = 0, more = 0;
    char *end = text;
    for (; *end != '\0' && lines < ADVICE_LINES_MAX; lines++)
        end += strcspn(end, "\n") + 1;
    for (const char *at = end; *at != '\0'; more++)
        at += strcspn(at, "\n") + 1;
    if (more > 0) /* a line of advice is longer than this one */
        snprintf(end, strcspn(end, "\n") + 1, "%u more of the kind", more);
}

char *
advice_text(const struct record *record)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return NULL;
    advice_print(record, out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    cut_lines(text);
    return text;
}
