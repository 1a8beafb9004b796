/* wait.c - the outcome of a change, read from the state of its pool. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/units.h"
#include "supervisor/ctl/ctl.h"

int64_t
ctl_now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static double
seconds_since(const struct change *change)
{
    return (double)(ctl_now_ms() - change->begun_ms) / 1000;
}

static json_t *
failed(int index, const json_t *pool, enum ctl_exit code, const char *text)
{
    const char *reason = ctl_string(pool, "reason");
    char message[300];
    snprintf(message, sizeof message, "%s%s%.160s", text, reason[0] == '\0' ? "" : ": ", reason);
    return json_pack("{s:i, s:{s:i, s:s, s:{s:s, s:s}}}", "id", index, "error", "code", (int)code,
                     "message", message, "data", "pool", ctl_string(pool, "name"), "state",
                     ctl_string(pool, "state"));
}

static json_t *
done(const struct change *change, int index, const json_t *pool, int64_t replaced)
{
    json_t *result =
        json_pack("{s:s, s:s, s:f, s:b}", "pool", ctl_string(pool, "name"), "state",
                  ctl_string(pool, "state"), "took", seconds_since(change), "engine_replaced", 1);
    if (replaced >= 0)
        json_object_set_new(result, "replaced", json_integer(replaced));
    return json_pack("{s:i, s:o}", "id", index, "result", result);
}

/* Ready workers that are younger than the change; the others are counted in *out_old. */
static int64_t
count_new(const struct change *change, const json_t *pool, int64_t *out_old)
{
    int64_t young = 0;
    size_t i;
    json_t *worker;
    *out_old = 0;
    json_array_foreach(json_object_get(pool, "workers"), i, worker)
    {
        if (strcmp(ctl_string(worker, "state"), "ready") != 0)
            continue;
        if (json_number_value(json_object_get(worker, "age")) <= seconds_since(change))
            young++;
        else
            (*out_old)++;
    }
    return young;
}

static json_t *
look_at_recycle(const struct change *change, int index, const json_t *pool)
{
    int64_t old;
    if (json_is_object(json_object_get(pool, "roll")))
        return NULL;
    int64_t replaced = count_new(change, pool, &old);
    if (old > 0)
        return failed(index, pool, CTL_FAILED,
                      "the recycle ended, and workers from before it are still in service");
    return done(change, index, pool, replaced);
}

static json_t *
look_at_state(const struct change *change, int index, const json_t *pool)
{
    bool up = strcmp(change->method, "pool.start") == 0;
    const char *state = ctl_string(pool, "state");
    bool wanted_up = strcmp(ctl_string(pool, "wanted"), "started") == 0;
    if (strcmp(state, up ? "started" : "stopped") == 0 && wanted_up == up)
        return done(change, index, pool, -1);
    if (up && strcmp(state, "disabled") == 0)
        return failed(index, pool, CTL_FAILED, "it was disabled");
    if (wanted_up != up)
        return failed(index, pool, CTL_FAILED,
                      "the engine was replaced, and did not take the request or was told otherwise "
                      "since");
    if (up && strcmp(state, "stopped") == 0 && json_is_object(json_object_get(pool, "error")))
        return failed(index, pool, CTL_FAILED, "it could not be started");
    return NULL;
}

json_t *
change_look(struct ctl *ctl, const struct change *change, int index)
{
    struct err err = {0};
    const char *name = ctl->argv[index];
    if (ctl->timeout_ms > 0 && ctl_now_ms() - change->begun_ms >= (int64_t)ctl->timeout_ms) {
        char text[UNIT_TEXT_MAX + 64], waited[UNIT_TEXT_MAX];
        json_t *pool = json_pack("{s:s}", "name", name);
        snprintf(text, sizeof text, "not %s after %s; it goes on", change->done,
                 duration_format(ctl->timeout_ms, waited));
        json_t *message = failed(index, pool, CTL_WAIT_RAN_OUT, text);
        json_decref(pool);
        return message;
    }
    json_t *answer = ctl_ask(ctl, "pool.get", json_pack("{s:s}", "pool", name), &err);
    const json_t *pool = json_object_get(answer, "result");
    json_t *message = NULL;
    if (answer != NULL && pool == NULL &&
        ctl_integer(json_object_get(answer, "error"), "code") != CTL_UNREACHABLE)
        message = json_pack("{s:i, s:O}", "id", index, "error", json_object_get(answer, "error"));
    else if (pool != NULL)
        message = strcmp(change->method, "pool.recycle") == 0 ? look_at_recycle(change, index, pool)
                                                              : look_at_state(change, index, pool);
    json_decref(answer);
    return message;
}
