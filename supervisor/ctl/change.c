/* change.c - verbs that change something: start, stop, recycle, shutdown. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/words.h"

#define CHANGES_AT_ONCE  16 /* requests under way: the supervisor lets one client wait 64 times */
#define TIMEOUT_GRACE_MS 10000
#define LOOK_NAP_MS      100

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

/* Looks at one pool, or tells its change to the new engine if the old one was not told. Returns the
 * answer, or NULL: it goes on. */
static json_t *
watch_one(struct ctl *ctl, const struct change *change, int index, int *sent)
{
    struct err err;
    if (index < *sent)
        return change_look(ctl, change, index);
    json_t *message =
        ctl_ask(ctl, change->method, json_pack("{s:s}", "pool", ctl->argv[index]), &err);
    if (message != NULL)
        *sent = index + 1;
    if (json_object_get(message, "error") != NULL) {
        json_object_set_new(message, "id", json_integer(index));
        return message;
    }
    json_decref(message);
    return NULL;
}

/* The engine that was to answer is gone; what it was told goes on with the next one, which does not
 * know that somebody waits: the pools' states tell. Each round has a connection of its own, as that
 * engine may be replaced, too. */
static enum ctl_exit
watch_changes(struct ctl *ctl, const struct change *change, bool *answered, int sent,
              json_t *results, const struct err *lost)
{
    enum ctl_exit worst = CTL_DONE;
    bool said = false;
    for (int open = ctl->argc; open > 0; poll(NULL, 0, open > 0 ? LOOK_NAP_MS : 0)) {
        if (!ctl_reconnect(ctl))
            return ctl_say_lost(lost);
        if (!said)
            ctl_complain(NULL, NULL, "the engine was replaced; what it was told goes on");
        said = true;
        open = 0;
        for (int i = 0; i < ctl->argc; i++) {
            json_t *message = answered[i] ? NULL : watch_one(ctl, change, i, &sent);
            open += !answered[i] && message == NULL;
            if (message == NULL)
                continue;
            answered[i] = true;
            enum ctl_exit exit_status = take_answer(ctl, change, message, results);
            worst = MAX(worst, exit_status);
            json_decref(message);
        }
    }
    return worst;
}

static enum ctl_exit
run_changes(struct ctl *ctl, const struct change *change, json_t *results, bool *answered)
{
    enum ctl_exit worst = ctl_connect(ctl);
    struct err err;
    int sent = 0, count = 0, limit = CONNECTION_ANSWER_MS;
    if (worst != CTL_DONE)
        return worst;
    if (ctl->wait)
        limit = ctl->timeout_ms > 0 ? (int)ctl->timeout_ms + TIMEOUT_GRACE_MS : CONNECTION_EVER;
    while (count < ctl->argc) {
        if (sent < ctl->argc && sent - count < CHANGES_AT_ONCE) {
            if (send_change(ctl, change, sent++, &err) != 0)
                return ctl_say_lost(&err);
            continue;
        }
        json_t *message = connection_read(ctl->connection, limit, &err);
        if (message == NULL && err.code == -EPIPE && ctl->wait) {
            enum ctl_exit rest = watch_changes(ctl, change, answered, sent, results, &err);
            return MAX(worst, rest);
        }
        if (message == NULL)
            return ctl_say_lost(&err);
        int64_t index = ctl_integer(message, "id");
        enum ctl_exit exit_status = take_answer(ctl, change, message, results);
        worst = MAX(worst, exit_status);
        bool refused = json_is_null(json_object_get(message, "id"));
        json_decref(message);
        if (refused) /* at the door: nothing more will come */
            return worst;
        if (index >= 0 && index < ctl->argc)
            answered[index] = true;
        count++;
    }
    return worst;
}

static enum ctl_exit
change(struct ctl *ctl, const char *method, const char *done)
{
    const struct change change = {method, done, ctl_now_ms()};
    json_t *results = json_array();
    bool *answered = calloc((size_t)ctl->argc, sizeof *answered);
    if (results == NULL || answered == NULL) {
        ctl_complain(NULL, NULL, "out of memory");
        exit(CTL_FAILED);
    }
    enum ctl_exit exit_status = run_changes(ctl, &change, results, answered);
    free(answered);
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
