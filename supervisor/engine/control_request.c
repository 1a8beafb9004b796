/* control_request.c - one line from a client: parsed, checked against the table of methods, run. */
#include "supervisor/engine/control_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/text.h"

/* 64 KiB of the worst JSON need 4.6 MB of tree. */
#define REQUEST_BUDGET (6u << 20)
/* Comparisons of letters that looking for a pool's nearest name may take: 0.5 ms. */
#define NEAREST_LETTERS_MAX 250000u

enum param_kind { KIND_STRING, KIND_BOOLEAN, KIND_SECONDS, KIND_COUNT };
enum {
#define CONTROL_PARAM(NAME, name, KIND, what) NAME = 1 << PARAM_BIT_##NAME,
#include "supervisor/engine/control.def"
};

static const struct param {
    const char *name;
    enum param_kind kind;
} params[] = {
#define CONTROL_PARAM(NAME, name, KIND, what) {name, KIND_##KIND},
#include "supervisor/engine/control.def"
};

static const struct method {
    const char *name;
    void (*run)(struct client *, const struct request *);
    enum role role;
    uint32_t must, may;
    const char *help;
} methods[] = {
#define CONTROL_METHOD(function, name, role, must, may, help)                                      \
    {name, method_##function, ROLE_##role, must, may, help},
#include "supervisor/engine/control.def"
};

static const char *const kind_texts[] = {
    [KIND_STRING] = "a string",
    [KIND_BOOLEAN] = "true or false",
    [KIND_SECONDS] = "a number of seconds above 0 and up to 86400",
    [KIND_COUNT] = "a whole number of at least 0",
};

/* --- Answers. */

/* Where a whole line may be written now. */
static struct json_out *
reply_lines(struct client *client)
{
    return client->stream.kind == STREAM_NONE ? &client->out : &client->events;
}

struct reply
reply_begin(struct client *client, const char *id)
{
    struct json_out *out = reply_lines(client);
    struct reply reply = {out, json_out_pending(out), id[0] != '\0'};
    json_out_text(out, "{\"jsonrpc\":\"2.0\",\"id\":");
    json_out_text(out, reply.kept ? id : "null");
    json_out_text(out, ",\"result\":");
    out->comma = false;
    return reply;
}

void
reply_end(struct reply *reply)
{
    json_out_text(reply->out, "}\n");
    if (!reply->kept && !reply->out->failed)
        reply->out->len = reply->out->sent + reply->mark;
}

void
reply_error(struct client *client, const char *id, enum control_error error, struct json_out *data,
            const char *format, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    struct json_out *out = reply_lines(client);
    if (id[0] != '\0') {
        json_out_text(out, "{\"jsonrpc\":\"2.0\",\"id\":");
        json_out_text(out, id);
        json_out_text(out, ",\"error\":");
        out->comma = false;
        json_out_open(out, NULL, '{');
        json_out_number(out, "code", error);
        json_out_string(out, "message", text);
        if (data != NULL) {
            json_out_open(out, "data", '{');
            json_out_raw(out, json_out_start(data), json_out_pending(data));
            json_out_close(out, '}');
            out->failed |= data->failed;
        }
        json_out_text(out, "}}\n");
    }
    if (data != NULL)
        json_out_fini(data);
}

static void
method_params(struct json_out *out, const char *key, uint32_t mask)
{
    json_out_open(out, key, '[');
    for (size_t i = 0; i < ARRAY_LEN(params); i++) {
        if (mask & 1u << i)
            json_out_string(out, NULL, params[i].name);
    }
    json_out_close(out, ']');
}

void
request_describe_methods(struct json_out *out)
{
    json_out_open(out, "methods", '[');
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        json_out_open(out, NULL, '{');
        json_out_string(out, "name", methods[i].name);
        json_out_string(out, "role", record_role_name(methods[i].role));
        method_params(out, "required", methods[i].must);
        method_params(out, "optional", methods[i].may);
        json_out_string(out, "help", methods[i].help);
        json_out_close(out, '}');
    }
    json_out_close(out, ']');
}

/* --- Names that are not there, and what may have been meant. */

static void
method_unknown(struct client *client, const struct request *request, const char *name)
{
    struct text_nearest nearest;
    struct json_out data = {0};
    char shown[80];
    text_escape(shown, sizeof shown, name, strlen(name));
    text_nearest_init(&nearest, name);
    json_out_string(&data, "method", shown);
    json_out_open(&data, "allowed", '[');
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        text_nearest_offer(&nearest, methods[i].name);
        json_out_string(&data, NULL, methods[i].name);
    }
    json_out_close(&data, ']');
    if (nearest.best[0] != '\0')
        json_out_string(&data, "nearest", nearest.best);
    reply_error(client, request->id, ERROR_METHOD, &data, "there is no method \"%s\"", shown);
}

/* Who has lost every role has no more to do here than a stranger. */
static void
method_denied(struct client *client, const struct request *request, const struct method *method)
{
    struct json_out data = {0};
    json_out_string(&data, "method", method->name);
    access_describe_refusal(client->control, &data, &client->peer, method->role);
    access_denied(client->control, DENIED_CALL, &client->peer, method->name, method->role);
    reply_error(client, request->id, ERROR_DENIED, &data, "%s needs the role %s, yours is %s",
                method->name, record_role_name(method->role), record_role_name(client->peer.role));
    client->closing |= client->peer.role == ROLE_NONE;
}

static bool
param_unknown(struct client *client, const struct request *request, const struct method *method,
              const char *name)
{
    struct text_nearest nearest;
    struct json_out data = {0};
    char shown[80];
    text_escape(shown, sizeof shown, name, strlen(name));
    text_nearest_init(&nearest, name);
    for (size_t i = 0; i < ARRAY_LEN(params); i++) {
        if ((method->must | method->may) & 1u << i)
            text_nearest_offer(&nearest, params[i].name);
    }
    json_out_string(&data, "parameter", shown);
    method_params(&data, "allowed", method->must | method->may);
    if (nearest.best[0] != '\0')
        json_out_string(&data, "nearest", nearest.best);
    reply_error(client, request->id, ERROR_PARAMS, &data, "%s takes no parameter \"%s\"",
                method->name, shown);
    return false;
}

/* The pool that was meant, if one is near: as far as a bounded search gets. */
static void
pool_nearest(const struct shell *shell, struct text_nearest *nearest)
{
    size_t len = strlen(nearest->word), letters = 0;
    uint32_t count = shell_record(shell)->header->pools;
    for (uint32_t pool = 0; pool < count && letters < NEAREST_LETTERS_MAX; pool++) {
        const char *name = shell_pool_name(shell, pool);
        size_t name_len = strlen(name);
        letters += 16; /* looking at it at all */
        if ((name_len > len ? name_len - len : len - name_len) >= nearest->distance)
            continue;
        letters += len * name_len;
        text_nearest_offer(nearest, name);
    }
}

static bool
pool_unknown(struct client *client, const struct request *request, const char *name)
{
    struct text_nearest nearest;
    struct json_out data = {0};
    char shown[TEXT_WORD_MAX + 16];
    text_escape(shown, sizeof shown, name, strlen(name));
    text_nearest_init(&nearest, name);
    pool_nearest(client->control->shell, &nearest);
    json_out_string(&data, "pool", shown);
    if (nearest.best[0] != '\0')
        json_out_string(&data, "nearest", nearest.best);
    reply_error(client, request->id, ERROR_NO_POOL, &data, "there is no pool \"%s\"", shown);
    return false;
}

bool
request_pool_is_there(struct client *client, const struct request *request)
{
    struct pool_view view;
    if (core_pool(shell_core(client->control->shell), request->pool, io_now(), &view))
        return true;
    reply_error(client, request->id, ERROR_UNAVAILABLE, NULL,
                "the supervisor has just begun and has not come to this pool yet");
    return false;
}

/* --- Checks. Each answers with an error and returns false, or fills its part of the request. */

static bool
param_take(struct request *request, uint32_t bit, enum param_kind kind, const json_t *value)
{
    switch (kind) {
    case KIND_STRING:
        return json_is_string(value); /* the pool's name, looked up when all is checked */
    case KIND_BOOLEAN:
        request->wait = json_is_true(value);
        return json_is_boolean(value);
    case KIND_SECONDS: {
        double seconds = json_number_value(value);
        if (!json_is_number(value) || !(seconds > 0 && seconds * 1000 <= CONTROL_WAIT_MAX_MS))
            return false;
        request->timeout_ms = MAX((msec)(seconds * 1000), 1);
        return true;
    }
    case KIND_COUNT:
        if (!json_is_integer(value) || json_integer_value(value) < 0)
            return false;
        *(bit == AFTER ? &request->after : &request->count) = (uint64_t)json_integer_value(value);
        return true;
    }
    return false;
}

static bool
request_check_params(struct client *client, const struct method *method, const json_t *object,
                     struct request *request)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        size_t i = 0;
        while (i < ARRAY_LEN(params) && strcmp(params[i].name, key) != 0)
            i++;
        if (i == ARRAY_LEN(params) || !((method->must | method->may) & 1u << i))
            return param_unknown(client, request, method, key);
        if (!param_take(request, 1u << i, params[i].kind, value)) {
            char found[JSON_FOUND_MAX];
            reply_error(client, request->id, ERROR_PARAMS, NULL, "%s: \"%s\" must be %s, not %s",
                        method->name, key, kind_texts[params[i].kind], json_found(value, found));
            return false;
        }
        request->given |= 1u << i;
    }
    uint32_t missing = method->must & ~request->given;
    if (missing != 0) {
        struct json_out data = {0};
        method_params(&data, "missing", missing);
        reply_error(client, request->id, ERROR_PARAMS, &data, "%s needs the parameter \"%s\"",
                    method->name, params[__builtin_ctz(missing)].name);
        return false;
    }
    if (!(request->given & POOL))
        return true;
    const char *name = json_string_value(json_object_get(object, "pool"));
    request->pool = shell_pool_find(client->control->shell, name);
    if (request->pool == NONE || strlen(name) >= sizeof request->pool_name)
        return pool_unknown(client, request, name);
    memcpy(request->pool_name, name, strlen(name) + 1);
    return true;
}

static bool
request_check_id(const json_t *id, struct request *request)
{
    if (id == NULL) /* a notification */
        return true;
    if (!json_is_string(id) && !json_is_integer(id) && !json_is_null(id))
        return false;
    size_t len = json_dumpb(id, request->id, sizeof request->id - 1, JSON_ENCODE_ANY);
    if (len == 0 || len >= sizeof request->id) {
        request->id[0] = '\0';
        return false;
    }
    request->id[len] = '\0';
    return true;
}

/* The method that the tree asks for; NULL: it was answered with an error. */
static const struct method *
request_check(struct client *client, const json_t *tree, struct request *request)
{
    const char *version = json_string_value(json_object_get(tree, "jsonrpc"));
    const char *name = json_string_value(json_object_get(tree, "method"));
    const json_t *object = json_object_get(tree, "params");
    if (!request_check_id(json_object_get(tree, "id"), request)) {
        reply_error(client, "null", ERROR_REQUEST, NULL,
                    "\"id\" must be a short string, a whole number or null");
        return NULL;
    }
    if (version == NULL || strcmp(version, "2.0") != 0 || name == NULL) {
        reply_error(client, request->id[0] == '\0' ? "null" : request->id, ERROR_REQUEST, NULL,
                    json_is_array(tree) ? "batches are not taken: send one request a line"
                                        : "a request is {\"jsonrpc\":\"2.0\",\"id\":...,"
                                          "\"method\":\"...\",\"params\":{...}}");
        return NULL;
    }
    const struct method *method = NULL;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (strcmp(methods[i].name, name) == 0)
            method = &methods[i];
    }
    if (method == NULL) {
        method_unknown(client, request, name);
        return NULL;
    }
    if (client->peer.role < method->role) {
        method_denied(client, request, method);
        return NULL;
    }
    if (object != NULL && !json_is_object(object)) {
        reply_error(client, request->id, ERROR_PARAMS, NULL, "\"params\" must be an object");
        return NULL;
    }
    return request_check_params(client, method, object, request) ? method : NULL;
}

void
request_run(struct client *client, const char *line, size_t len)
{
    struct request request = {.pool = NONE, .timeout_ms = CONTROL_WAIT_MAX_MS};
    struct json_failure failure;
    const struct method *method = NULL;
    json_budget_begin(REQUEST_BUDGET);
    json_t *tree = json_parse(line, len, false, &failure);
    if (tree != NULL)
        method = request_check(client, tree, &request);
    json_decref(tree);
    json_budget_end();
    if (tree == NULL) {
        char shown[sizeof failure.text + 32];
        text_escape(shown, sizeof shown, failure.text, strlen(failure.text));
        struct json_out data = {0};
        json_out_number(&data, "column", failure.column);
        reply_error(client, "null",
                    failure.fault == JSON_FAULT_MEMORY ? ERROR_INTERNAL : ERROR_PARSE, &data,
                    "the line is not JSON that is taken: %s", shown);
    }
    if (method != NULL)
        method->run(client, &request);
}
