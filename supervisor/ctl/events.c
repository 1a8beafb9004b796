/* events.c - the verb events: what happened, and what happens. */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/table.h"
#include "supervisor/ctl/words.h"

#define RETRY_NAP_MS 50

static enum colour
severity_colour(const char *severity)
{
    if (strcmp(severity, "err") == 0)
        return RED;
    if (strcmp(severity, "warning") == 0)
        return YELLOW;
    return strcmp(severity, "notice") == 0 ? BOLD : PLAIN;
}

static void
print_escaped(const char *text)
{
    char shown[2048];
    text_escape(shown, sizeof shown, text, strlen(text));
    fputs(shown, stdout);
}

/* "2026-11-22 12:00:00 warning worker-died web/0.3: text" */
static void
print_event(const struct ctl *ctl, const json_t *event)
{
    const char *time = ctl_string(event, "time"), *pool = ctl_string(event, "pool");
    const char *worker = ctl_string(event, "worker"), *severity = ctl_string(event, "severity");
    enum colour colour = ctl->colour ? severity_colour(severity) : PLAIN;
    printf("%.10s %.8s %s%-7s%s %s ", time, words_clock(time), colour_on(colour), severity,
           colour_off(colour), ctl_string(event, "name"));
    if (pool[0] != '\0')
        printf("%s%s%s: ", pool, worker[0] == '\0' ? "" : "/", worker);
    print_escaped(ctl_string(event, "text"));
    const char *said = ctl_string(json_object_get(event, "fields"), "last_line");
    if (said[0] != '\0') {
        fputs("; it said \"", stdout);
        print_escaped(said);
        putchar('"');
    }
    putchar('\n');
}

/* params of a notification: an event, or how many were lost. *last is the newest number seen. */
static void
take_event(const struct ctl *ctl, json_t *params, int64_t *last)
{
    const json_t *dropped = json_object_get(params, "dropped");
    if (json_is_integer(json_object_get(params, "seq")))
        *last = ctl_integer(params, "seq");
    if (ctl->json)
        ctl_print_json(json_incref(params));
    else if (dropped != NULL)
        ctl_complain(NULL, NULL, "%lld event%s lost: they came faster than they were read",
                     (long long)json_integer_value(dropped),
                     json_integer_value(dropped) == 1 ? " was" : "s were");
    else
        print_event(ctl, params);
}

static json_t *
params_of(const struct ctl *ctl)
{
    json_t *params = json_object();
    if (ctl->pool != NULL)
        json_object_set_new(params, "pool", json_string(ctl->pool));
    return params;
}

/* Prints what comes until the connection ends; returns why. */
static enum ctl_exit
follow_connection(struct ctl *ctl, int64_t *last, struct err *err)
{
    json_t *params = params_of(ctl);
    json_object_set_new(params, "after", json_integer(*last));
    int r = connection_send(ctl->connection, 0, "events.subscribe", params, err);
    while (r == 0 && !ferror(stdout)) {
        json_t *message = connection_read(ctl->connection, CONNECTION_EVER, err);
        if (message == NULL)
            return CTL_UNREACHABLE;
        json_t *error = json_object_get(message, "error");
        enum ctl_exit exit_status = CTL_DONE;
        if (error != NULL)
            exit_status = ctl_say_error(NULL, error);
        else if (json_object_get(message, "method") != NULL)
            take_event(ctl, json_object_get(message, "params"), last);
        json_decref(message);
        if (exit_status != CTL_DONE)
            return exit_status;
        fflush(stdout);
    }
    return r == 0 ? CTL_FAILED : CTL_UNREACHABLE;
}

static enum ctl_exit
follow(struct ctl *ctl, int64_t last)
{
    struct err err;
    for (;;) {
        int64_t before = last;
        enum ctl_exit exit_status = follow_connection(ctl, &last, &err);
        if (exit_status != CTL_UNREACHABLE)
            return exit_status;
        /* An engine that was replaced has the same ring: its successor goes on where it ended. */
        if (!ctl_reconnect(ctl))
            return ctl_say_lost(&err);
        if (last == before) /* it closes at once: no hurry */
            poll(NULL, 0, RETRY_NAP_MS);
    }
}

enum ctl_exit
verb_events(struct ctl *ctl)
{
    enum ctl_exit exit_status;
    json_t *result = ctl_call(ctl, "events.recent", params_of(ctl), ctl->pool, &exit_status);
    if (result == NULL)
        return exit_status;
    int64_t last = 0, end = ctl_integer(result, "to_seq");
    size_t i;
    json_t *event;
    json_array_foreach(json_object_get(result, "events"), i, event)
    {
        take_event(ctl, event, &last);
    }
    json_decref(result);
    fflush(stdout);
    return ctl->follow ? follow(ctl, end) : CTL_DONE;
}
