/* status.c - verbs that look: status, workers, version. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/table.h"
#include "supervisor/ctl/words.h"

/* A pool that should run: does it? */
static bool
pool_is_down(const json_t *pool)
{
    const json_t *size = json_object_get(pool, "size");
    if (strcmp(ctl_string(pool, "state"), "disabled") == 0)
        return true;
    return strcmp(ctl_string(pool, "wanted"), "started") == 0 && ctl_integer(size, "min") > 0 &&
           ctl_integer(size, "ready") == 0;
}

static enum colour
state_colour(const json_t *pool)
{
    const char *state = ctl_string(pool, "state");
    if (strcmp(state, "disabled") == 0)
        return RED;
    if (strcmp(state, "started") == 0)
        return pool_is_down(pool) ? RED : GREEN;
    if (strcmp(state, "stopped") == 0)
        return pool_is_down(pool) ? RED : DIM;
    return YELLOW;
}

static void
size_cell(struct table *table, const json_t *pool)
{
    const json_t *size = json_object_get(pool, "size");
    int64_t starting = ctl_integer(size, "starting"), draining = ctl_integer(size, "draining");
    char more[80] = "";
    if (starting > 0)
        snprintf(more, sizeof more, " +%lld starting", (long long)starting);
    if (draining > 0)
        snprintf(more + strlen(more), sizeof more - strlen(more), " +%lld draining",
                 (long long)draining);
    table_cell(table, PLAIN, "%lld/%lld%s", (long long)ctl_integer(size, "ready"),
               (long long)ctl_integer(size, "min"), more);
}

static void
listen_cell(struct table *table, const json_t *pool)
{
    char text[200] = "";
    size_t i, len = 0;
    json_t *address;
    json_array_foreach(json_object_get(pool, "listen"), i, address)
    {
        int n = snprintf(text + len, sizeof text - len, "%s%s", i == 0 ? "" : ", ",
                         json_string_value(address));
        if (n < 0 || (size_t)n >= sizeof text - len) {
            memcpy(text + sizeof text - 4, "...", 4);
            break;
        }
        len += (size_t)n;
    }
    table_cell(table, PLAIN, "%s", text);
}

static void
pool_row(struct table *table, const json_t *pool)
{
    const json_t *failures = json_object_get(pool, "failures");
    int64_t failed = ctl_integer(failures, "in_window");
    char since[WORDS_MAX];
    table_cell(table, PLAIN, "%s", ctl_string(pool, "name"));
    table_cell(table, state_colour(pool), "%s", ctl_string(pool, "state"));
    size_cell(table, pool);
    table_cell(table, PLAIN, "%s", words_since(ctl_string(pool, "since"), since));
    table_cell(table, failed > 0 ? YELLOW : PLAIN, "%lld/%lld", (long long)failed,
               (long long)ctl_integer(failures, "max"));
    listen_cell(table, pool);
}

static void
print_note(const char *pool, const char *text)
{
    char shown[2048];
    text_escape(shown, sizeof shown, text, strlen(text));
    printf("%s: %s\n", pool, shown);
}

/* The cause, and what the worker said last. */
static void
print_last_failure(const json_t *pool)
{
    const json_t *failure = json_object_get(json_object_get(pool, "failures"), "last");
    const char *said = ctl_string(failure, "last_line");
    char line[1800];
    if (!json_is_object(failure))
        return;
    snprintf(line, sizeof line, "last: %s%s%s%s", ctl_string(failure, "text"),
             said[0] == '\0' ? "" : "; it said \"", said, said[0] == '\0' ? "" : "\"");
    print_note(ctl_string(pool, "name"), line);
}

/* Why it is as it is, where that is not what was wanted. */
static void
explain(const json_t *pool)
{
    const char *name = ctl_string(pool, "name"), *reason = ctl_string(pool, "reason");
    const json_t *failures = json_object_get(pool, "failures");
    const json_t *error = json_object_get(pool, "error"), *roll = json_object_get(pool, "roll");
    bool down = pool_is_down(pool);
    char line[512], since[WORDS_MAX];
    if (down && reason[0] != '\0') {
        snprintf(line, sizeof line, "%s: %s", ctl_string(pool, "state"), reason);
        print_note(name, line);
    }
    if (json_is_object(error)) {
        snprintf(line, sizeof line, "%s: %s", ctl_string(error, "address"),
                 ctl_string(error, "text"));
        print_note(name, line);
    }
    if (ctl_integer(failures, "in_window") > 0) {
        snprintf(line, sizeof line, "%lld of %lld failures within %s",
                 (long long)ctl_integer(failures, "in_window"),
                 (long long)ctl_integer(failures, "max"),
                 words_span(json_number_value(json_object_get(failures, "interval")), since));
        print_note(name, line);
    }
    if (json_is_object(roll)) {
        snprintf(line, sizeof line, "recycling (%s): %lld replaced, %lld to go",
                 ctl_string(roll, "cause"), (long long)ctl_integer(roll, "replaced"),
                 (long long)ctl_integer(roll, "waiting"));
        print_note(name, line);
    } else if (ctl_integer(json_object_get(pool, "size"), "drifted") > 0) {
        snprintf(line, sizeof line,
                 "%lld with settings of before a change; poolctl recycle %s brings the new ones",
                 (long long)ctl_integer(json_object_get(pool, "size"), "drifted"), name);
        print_note(name, line);
    }
}

/* When each worker is replaced next, and why. */
static void
print_next_recycles(const json_t *pool)
{
    size_t i;
    json_t *worker;
    json_array_foreach(json_object_get(pool, "workers"), i, worker)
    {
        const json_t *next = json_object_get(worker, "next_recycle");
        const char *at = ctl_string(next, "at"), *waits = ctl_string(next, "waits");
        char line[256];
        if (!json_is_object(next))
            continue;
        if (json_is_true(json_object_get(next, "under_way")))
            snprintf(line, sizeof line, "worker %s is to be replaced (%s) since %.19s%s%s",
                     ctl_string(worker, "id"), ctl_string(next, "cause"), at,
                     waits[0] != '\0' ? ", and waits: " : "", waits);
        else
            snprintf(line, sizeof line, "worker %s is replaced at %.19s (%s)",
                     ctl_string(worker, "id"), at, ctl_string(next, "cause"));
        print_note(ctl_string(pool, "name"), line);
    }
    const json_t *next = json_object_get(pool, "next_recycle");
    if (strcmp(ctl_string(next, "cause"), "schedule") == 0 &&
        !json_is_true(json_object_get(next, "under_way"))) {
        char line[128];
        snprintf(line, sizeof line, "all workers are replaced at %.19s (schedule)",
                 ctl_string(next, "at"));
        print_note(ctl_string(pool, "name"), line);
    }
}

static void
print_hint(const json_t *pool)
{
    const char *name = ctl_string(pool, "name");
    if (strcmp(ctl_string(pool, "state"), "disabled") == 0)
        printf("%s: once the cause is gone: poolctl start %s\n", name, name);
}

/* Pools that could start and wait for others to become ready. */
static void
print_waiting(const json_t *supervisor)
{
    const json_t *starts = json_object_get(supervisor, "starts");
    int64_t waiting = ctl_integer(starts, "waiting"), max = ctl_integer(starts, "max");
    if (waiting > 0)
        printf("%lld %s turn: at most %lld worker%s at one time (limits.starts)\n",
               (long long)waiting, waiting == 1 ? "pool waits for its" : "pools wait for their",
               (long long)max, max == 1 ? " starts" : "s start");
}

/* Pools that have a worker to replace and wait for others to be done. */
static void
print_waiting_recycles(const json_t *supervisor)
{
    const json_t *recycles = json_object_get(supervisor, "recycles");
    int64_t waiting = ctl_integer(recycles, "waiting"), max = ctl_integer(recycles, "max");
    if (waiting > 0)
        printf("%lld %s to recycle: at most %lld recycle%s under way at one time "
               "(limits.recycles)\n",
               (long long)waiting,
               waiting == 1 ? "pool waits for its turn" : "pools wait for their turn",
               (long long)max, max == 1 ? " is" : "s are");
}

/* The files were bad when poold started. */
static void
print_last_good(const json_t *supervisor)
{
    const json_t *config = json_object_get(supervisor, "config");
    int64_t errors = ctl_integer(config, "errors");
    const char *of = ctl_string(config, "last_good");
    char path[2048];
    if (errors == 0)
        return;
    text_escape(path, sizeof path, ctl_string(config, "path"), strlen(ctl_string(config, "path")));
    printf("poold: %s had %lld error%s at the start, so the last good configuration is in force, "
           "of %.*s: see \"poolctl config check\", then \"poolctl config apply\"\n",
           path, (long long)errors, errors == 1 ? "" : "s", (int)strcspn(of, "."), of);
}

static void
print_status(const struct ctl *ctl, const json_t *status)
{
    static const char *const headings[] = {"POOL", "STATE", "WORKERS", "FOR", "FAILURES", "LISTEN"};
    const json_t *pools = json_object_get(status, "pools");
    const json_t *supervisor = json_object_get(status, "supervisor");
    struct table table;
    table_init(&table, headings, ARRAY_LEN(headings));
    size_t i;
    json_t *pool;
    json_array_foreach(pools, i, pool)
    {
        pool_row(&table, pool);
    }
    table_print(&table, stdout, ctl->colour);
    table_fini(&table);
    json_array_foreach(pools, i, pool)
    {
        explain(pool);
        if (ctl->argc > 0)
            print_next_recycles(pool);
        print_last_failure(pool);
        print_hint(pool);
    }
    print_waiting(supervisor);
    print_waiting_recycles(supervisor);
    print_last_good(supervisor);
    if (strcmp(ctl_string(supervisor, "state"), "stopping") == 0)
        puts("poold is stopping");
    int64_t restarts = ctl_integer(supervisor, "engine_restarts");
    if (restarts > 0)
        printf("poold: %lld engine%s ended before this one; \"poolctl events\" tells why\n",
               (long long)restarts, restarts == 1 ? "" : "s");
}

/* The status of the pools that were named; those that are not there have been complained about. */
static json_t *
named_pools(struct ctl *ctl, enum ctl_exit *worst)
{
    enum ctl_exit exit_status;
    json_t *supervisor = ctl_call(ctl, "server.status", NULL, NULL, worst);
    if (supervisor == NULL)
        return NULL;
    json_t *status = json_object(), *pools = json_array(), *errors = json_array();
    for (int i = 0; i < ctl->argc; i++) {
        json_t *params = json_pack("{s:s}", "pool", ctl->argv[i]);
        json_t *pool = ctl_call(ctl, "pool.get", params, ctl->argv[i], &exit_status);
        *worst = MAX(*worst, exit_status);
        if (pool != NULL)
            json_array_append_new(pools, pool);
        else
            json_array_append_new(
                errors, json_pack("{s:s, s:i}", "pool", ctl->argv[i], "code", (int)exit_status));
        if (exit_status == CTL_UNREACHABLE)
            break;
    }
    json_object_set_new(status, "supervisor", supervisor);
    json_object_set_new(status, "pools", pools);
    if (json_array_size(errors) > 0)
        json_object_set(status, "errors", errors);
    json_decref(errors);
    return status;
}

enum ctl_exit
verb_status(struct ctl *ctl)
{
    enum ctl_exit exit_status;
    json_t *status = ctl->argc == 0 ? ctl_call(ctl, "pool.list", NULL, NULL, &exit_status)
                                    : named_pools(ctl, &exit_status);
    if (status == NULL)
        return exit_status;
    size_t i;
    json_t *pool;
    json_array_foreach(json_object_get(status, "pools"), i, pool)
    {
        if (pool_is_down(pool))
            exit_status = MAX(exit_status, CTL_DOWN);
    }
    if (ctl->json) {
        ctl_print_json(status);
        return exit_status;
    }
    if (ctl->argc == 0 || json_array_size(json_object_get(status, "pools")) > 0)
        print_status(ctl, status);
    json_decref(status);
    return exit_status;
}

/* "1203 +2": served, and in flight now; "" of a worker that does not count. */
static const char *
requests_of(const json_t *worker, char *out, size_t cap)
{
    size_t at = 0;
    out[0] = '\0';
    if (json_is_integer(json_object_get(worker, "requests")))
        at = (size_t)snprintf(out, cap, "%lld", (long long)ctl_integer(worker, "requests"));
    if (ctl_integer(worker, "active") > 0)
        snprintf(out + at, cap - at, "%s+%lld", at > 0 ? " " : "",
                 (long long)ctl_integer(worker, "active"));
    return out;
}

static void
worker_row(struct table *table, const json_t *worker)
{
    const char *state = ctl_string(worker, "state"), *status = ctl_string(worker, "status");
    bool killing = json_is_true(json_object_get(worker, "killing"));
    bool ready = strcmp(state, "ready") == 0;
    char age[WORDS_MAX], since[WORDS_MAX], requests[64], pid[24] = "";
    if (ctl_integer(worker, "pid") > 0)
        snprintf(pid, sizeof pid, "%lld", (long long)ctl_integer(worker, "pid"));
    table_cell(table, PLAIN, "%s/%s", ctl_string(worker, "pool"), ctl_string(worker, "id"));
    table_cell(table, PLAIN, "%s", pid);
    table_cell(table, ready ? GREEN : YELLOW, "%s%s", state, killing ? " (killing)" : "");
    table_cell(table, PLAIN, "%s",
               words_span(json_number_value(json_object_get(worker, "age")), age));
    table_cell(table, PLAIN, "%s", words_since(ctl_string(worker, "ready_since"), since));
    table_cell(table, PLAIN, "%s", ctl_string(worker, "cause"));
    table_cell(table, PLAIN, "%s", requests_of(worker, requests, sizeof requests));
    table_cell(table, PLAIN, "%s", status[0] != '\0' ? status : ctl_string(worker, "last_line"));
}

enum ctl_exit
verb_workers(struct ctl *ctl)
{
    static const char *const headings[] = {"WORKER", "PID",   "STATE",    "AGE",
                                           "READY",  "CAUSE", "REQUESTS", "SAYS"};
    enum ctl_exit exit_status;
    json_t *params = ctl->argc == 0 ? NULL : json_pack("{s:s}", "pool", ctl->argv[0]);
    json_t *result =
        ctl_call(ctl, "worker.list", params, ctl->argc == 0 ? NULL : ctl->argv[0], &exit_status);
    if (result == NULL)
        return exit_status;
    if (ctl->json) {
        ctl_print_json(result);
        return CTL_DONE;
    }
    struct table table;
    size_t i;
    json_t *worker;
    table_init(&table, headings, ARRAY_LEN(headings));
    json_array_foreach(json_object_get(result, "workers"), i, worker)
    {
        worker_row(&table, worker);
    }
    table_print(&table, stdout, ctl->colour);
    table_fini(&table);
    json_decref(result);
    return CTL_DONE;
}

enum ctl_exit
verb_version(struct ctl *ctl)
{
    enum ctl_exit exit_status;
    if (!ctl->json) {
        puts("poolctl " POOLD_VERSION);
        fflush(stdout);
    }
    json_t *result = ctl_call(ctl, "server.version", NULL, NULL, &exit_status);
    if (ctl->json)
        ctl_print_json(json_pack("{s:s, s:o}", "poolctl", POOLD_VERSION, "poold",
                                 result == NULL ? json_null() : result));
    else if (result != NULL)
        printf("poold %s (API %lld)\n", ctl_string(result, "version"),
               (long long)ctl_integer(result, "api"));
    if (!ctl->json)
        json_decref(result);
    return exit_status;
}
