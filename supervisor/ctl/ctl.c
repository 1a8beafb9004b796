/* ctl.c - how poolctl asks one question, and how it says what went wrong. */
#include "supervisor/ctl/ctl.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/text.h"

#define RETRY_NAP_MS 50
#define RETRIES      100 /* an engine that died is there again in a tenth of a second */

/* What --json prints when nothing else was printed. */
static char last_complaint[768];
static bool json_was_printed;

static void
print_line(const char *prefix, const char *text)
{
    char shown[1024];
    text_escape(shown, sizeof shown, text, strlen(text));
    fprintf(stderr, "%s%s\n", prefix, shown);
}

void
ctl_complain(const char *subject, const char *hint, const char *format, ...)
{
    char text[768], line[896];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    text_escape(last_complaint, sizeof last_complaint, text, strlen(text));
    snprintf(line, sizeof line, "%.100s%s%s", subject == NULL ? "" : subject,
             subject == NULL ? "" : ": ", text);
    fflush(stdout); /* so that both come in order on a terminal */
    print_line("poolctl: ", line);
    if (hint != NULL)
        print_line("hint: ", hint);
}

void
ctl_print_json_error(enum ctl_exit exit_status)
{
    if (!json_was_printed)
        ctl_print_json(json_pack("{s:{s:i, s:s}}", "error", "code", (int)exit_status, "message",
                                 last_complaint));
}

void
ctl_print_json(json_t *document)
{
    json_was_printed = true;
    if (document == NULL ||
        json_dumpf(document, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15)) != 0)
        ctl_complain(NULL, NULL, "the answer cannot be printed: out of memory");
    putchar('\n');
    json_decref(document);
}

const char *
ctl_string(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value == NULL ? "" : value;
}

int64_t
ctl_integer(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* Where control.socket says another path, a link in the runtime directory leads there. The
 * configuration is not asked: it may not be in force, and not everybody may read it. */
static int
open_socket(struct ctl *ctl, struct err *err)
{
    char link[PATH_MAX], path[PATH_MAX];
    int r = connection_open(&ctl->connection, ctl->path, err);
    if (r != -ENOENT || ctl->directory == NULL)
        return r;
    snprintf(link, sizeof link, "%s/control.link", ctl->directory);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (len <= 0)
        return r;
    path[len] = '\0';
    return connection_open(&ctl->connection, path, err);
}

enum ctl_exit
ctl_connect(struct ctl *ctl)
{
    struct err err;
    if (ctl->connection != NULL)
        return CTL_DONE;
    int r = open_socket(ctl, &err);
    if (r == 0)
        return CTL_DONE;
    if (r == -EACCES || r == -EPERM) {
        ctl_complain(
            NULL,
            "the control socket is open to root, to the user who started poold, and to whom "
            "control.admin, control.operator and control.viewer name",
            "%s", err.text);
        return CTL_DENIED;
    }
    ctl_complain(NULL,
                 "is poold running? --runtime-dir names the directory that it was started with",
                 "no supervisor: %s", err.text);
    return CTL_UNREACHABLE;
}

bool
ctl_reconnect(struct ctl *ctl)
{
    struct err err;
    connection_close(&ctl->connection);
    for (int i = 0; i < RETRIES; i++) {
        int r = open_socket(ctl, &err);
        if (r == 0)
            return true;
        if (r != -ECONNREFUSED && r != -ENOENT)
            return false;
        poll(NULL, 0, RETRY_NAP_MS);
    }
    return false;
}

enum ctl_exit
ctl_say_lost(const struct err *err)
{
    ctl_complain(NULL, NULL, "%s", err->text);
    return CTL_UNREACHABLE;
}

enum ctl_exit
ctl_say_error(const char *subject, const json_t *error)
{
    const json_t *data = json_object_get(error, "data");
    const char *pool = ctl_string(data, "pool"), *nearest = ctl_string(data, "nearest");
    int64_t code = ctl_integer(error, "code");
    char hint[640] = "";
    if (code == CTL_DENIED)
        snprintf(hint, sizeof hint, "%s", ctl_string(data, "how"));
    else if (nearest[0] != '\0')
        snprintf(hint, sizeof hint, "did you mean \"%s\"?", nearest);
    else if (code == CTL_NO_POOL)
        snprintf(hint, sizeof hint, "\"poolctl status\" lists the pools");
    else if (strcmp(ctl_string(data, "state"), "disabled") == 0)
        snprintf(
            hint, sizeof hint,
            "\"poolctl events --pool %s\" tells what happened; \"poolctl start %s\" enables it",
            pool, pool);
    else if (json_object_get(data, "allowed") != NULL && pool[0] != '\0')
        snprintf(hint, sizeof hint, "\"poolctl start %s\" starts it", pool);
    else if (code == CTL_FAILED && pool[0] != '\0')
        snprintf(hint, sizeof hint, "\"poolctl events --pool %s\" tells what happened", pool);
    ctl_complain(subject == NULL && pool[0] != '\0' ? pool : subject, hint[0] == '\0' ? NULL : hint,
                 "%s", ctl_string(error, "message"));
    switch (code) {
    case CTL_NO_POOL:
    case CTL_UNREACHABLE:
    case CTL_WAIT_RAN_OUT:
    case CTL_DENIED:
    case CTL_CONFIG:
        return (enum ctl_exit)code;
    default:
        return CTL_FAILED;
    }
}

/* The answer to request id; what is not for it (an event) is passed over. */
static json_t *
read_answer(struct ctl *ctl, int64_t id, struct err *err)
{
    for (;;) {
        json_t *message = connection_read(ctl->connection, CONNECTION_ANSWER_MS, err);
        if (message == NULL)
            return NULL;
        const json_t *got = json_object_get(message, "id");
        bool refused = json_is_null(got) && json_object_get(message, "error") != NULL;
        if (refused || (json_is_integer(got) && json_integer_value(got) == id))
            return message;
        json_decref(message);
    }
}

json_t *
ctl_ask(struct ctl *ctl, const char *method, json_t *params, struct err *err)
{
    static int64_t id;
    err->code = connection_send(ctl->connection, ++id, method, params, err);
    return err->code == 0 ? read_answer(ctl, id, err) : NULL;
}

/* One try. NULL: err says why, or *out_exit is not CTL_DONE and it has been said. */
static json_t *
try_call(struct ctl *ctl, const char *method, json_t *params, struct err *err,
         enum ctl_exit *out_exit)
{
    *out_exit = ctl_connect(ctl);
    return *out_exit == CTL_DONE ? ctl_ask(ctl, method, json_incref(params), err) : NULL;
}

json_t *
ctl_call(struct ctl *ctl, const char *method, json_t *params, const char *subject,
         enum ctl_exit *out_exit)
{
    struct err err = {0};
    json_t *message = try_call(ctl, method, params, &err, out_exit);
    /* An engine that ends leaves its place to another at once. Looking twice does no harm. */
    if (message == NULL && err.code == -EPIPE && strcmp(method, "server.shutdown") != 0) {
        connection_close(&ctl->connection);
        message = try_call(ctl, method, params, &err, out_exit);
    }
    json_decref(params);
    if (message == NULL) {
        if (*out_exit == CTL_DONE)
            *out_exit = ctl_say_lost(&err);
        return NULL;
    }
    json_t *result = json_incref(json_object_get(message, "result"));
    if (result == NULL)
        *out_exit = ctl_say_error(subject, json_object_get(message, "error"));
    json_decref(message);
    return result;
}
