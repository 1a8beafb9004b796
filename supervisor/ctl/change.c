/* change.c - verbs that change something: start, stop, recycle, shutdown. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/words.h"

#define CHANGES_AT_ONCE  16 /* requests under way: the supervisor lets one client wait 64 times */
#define TIMEOUT_GRACE_MS 10000

struct change {
    const char *method, *done; /* "pool.start", "started" */
};

static int
send_change(struct ctl *ctl, const struct change *change, int index, struct err *err)
{
    json_t *params = json_pack("{s:s}", "pool", ctl->argv[index]);
    if (ctl->wait)
        json_object_set_new(params, "wait", json_true());
    if (ctl->timeout_ms > 0)
        json_object_set_new(params, "timeout", json_real((double)ctl->timeout_ms / 1000));
    return connection_send(ctl->connection, index, change->method, params, err);
}

static void
say_done(const struct ctl *ctl, const struct change *change, const json_t *result)
{
    const char *pool = ctl_string(result, "pool"), *state = ctl_string(result, "state");
    bool changed = json_is_true(json_object_get(result, "changed"));
    bool recycled = strcmp(change->method, "pool.recycle") == 0;
    char took[WORDS_MAX];
    words_took(json_number_value(json_object_get(result, "took")), took);
    if (recycled && ctl->wait)
        printf("%s: %lld replaced in %s\n", pool, (long long)ctl_integer(result, "replaced"), took);
    else if (ctl->wait)
        printf("%s: %s in %s\n", pool, change->done, took);
    else
        printf("%s: %s%s\n", pool, changed ? "" : "already ", recycled ? "recycling" : state);
    fflush(stdout); /* the next one may take its time */
}

/* One answer: said, or added to results. */
static enum ctl_exit
take_answer(const struct ctl *ctl, const struct change *change, const json_t *message,
            json_t *results)
{
    json_t *result = json_object_get(message, "result");
    json_t *error = json_object_get(message, "error");
    int64_t index = ctl_integer(message, "id");
    const char *pool = index >= 0 && index < ctl->argc ? ctl->argv[index] : NULL;
    enum ctl_exit exit_status = result != NULL ? CTL_DONE : ctl_say_error(pool, error);
    if (!ctl->json) {
        if (result != NULL)
            say_done(ctl, change, result);
        return exit_status;
    }
    json_t *entry = result != NULL ? json_incref(result)
                                   : json_pack("{s:s?, s:O*}", "pool", pool, "error", error);
    json_array_append_new(results, entry);
    return exit_status;
}

static enum ctl_exit
run_changes(struct ctl *ctl, const struct change *change, json_t *results)
{
    enum ctl_exit worst = ctl_connect(ctl);
    struct err err;
    int sent = 0, answered = 0, limit = CONNECTION_ANSWER_MS;
    if (worst != CTL_DONE)
        return worst;
    if (ctl->wait)
        limit = ctl->timeout_ms > 0 ? (int)ctl->timeout_ms + TIMEOUT_GRACE_MS : CONNECTION_EVER;
    while (answered < ctl->argc) {
        if (sent < ctl->argc && sent - answered < CHANGES_AT_ONCE) {
            if (send_change(ctl, change, sent++, &err) != 0)
                return ctl_say_lost(&err);
            continue;
        }
        json_t *message = connection_read(ctl->connection, limit, &err);
        if (message == NULL)
            return ctl_say_lost(&err);
        enum ctl_exit exit_status = take_answer(ctl, change, message, results);
        bool refused = json_is_null(json_object_get(message, "id"));
        json_decref(message);
        worst = MAX(worst, exit_status);
        if (refused) /* at the door: nothing more will come */
            return worst;
        answered++;
    }
    return worst;
}

static enum ctl_exit
change(struct ctl *ctl, const char *method, const char *done)
{
    const struct change change = {method, done};
    json_t *results = json_array();
    enum ctl_exit exit_status = run_changes(ctl, &change, results);
    if (ctl->json)
        ctl_print_json(json_pack("{s:o}", "results", results));
    else
        json_decref(results);
    return exit_status;
}

enum ctl_exit
verb_start(struct ctl *ctl)
{
    return change(ctl, "pool.start", "started");
}

enum ctl_exit
verb_stop(struct ctl *ctl)
{
    return change(ctl, "pool.stop", "stopped");
}

enum ctl_exit
verb_recycle(struct ctl *ctl)
{
    return change(ctl, "pool.recycle", "recycled");
}

enum ctl_exit
verb_shutdown(struct ctl *ctl)
{
    enum ctl_exit exit_status;
    json_t *result = ctl_call(ctl, "server.shutdown", NULL, NULL, &exit_status);
    if (result == NULL)
        return exit_status;
    if (ctl->json) {
        ctl_print_json(result);
        return CTL_DONE;
    }
    puts(json_is_true(json_object_get(result, "hurry")) ? "poold stops in a hurry"
                                                        : "poold drains its pools and stops");
    json_decref(result);
    return CTL_DONE;
}
