/* control_config.c - the control socket's methods about the configuration: check, diff, apply.
 *
 * All three make the loader read the files again and wait for it. Apply is answered with the plan that
 * was carried out, once it is in force; the recycles that it began go on and are told by their events. */
#include "supervisor/engine/config.h"
#include "supervisor/engine/control_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES_MAX 1000u /* errors or warnings in one answer; as many as the loader lists */

enum config_want { WANT_CHECK, WANT_DIFF, WANT_APPLY };

struct config_call {
    struct config_call *next;
    struct client *client; /* NULL: it has gone */
    enum config_want want;
    uint64_t round;
    char id[CONTROL_ID_MAX];
};

/* --- words */
static void
lines_describe(struct json_out *out, const char *lines)
{
    for (uint32_t i = 0; *lines != '\0' && i < LINES_MAX; i++) {
        char line[1024];
        size_t len = strcspn(lines, "\n");
        snprintf(line, sizeof line, "%.*s", (int)MIN(len, sizeof line - 1), lines);
        json_out_string(out, NULL, line);
        lines += len + (lines[len] == '\n');
    }
}

/* A variable of the environment is a secret, perhaps: it is named, and its value is not told. */
static void
key_describe(struct json_out *out, const struct plan_key *key)
{
    const struct config_key *row = &config_keys[key->key];
    const char *text = key->to != NULL ? key->to : key->from;
    char name[256];
    json_out_open(out, NULL, '{');
    if (row->type == VALUE_ENVIRONMENT) {
        snprintf(name, sizeof name, "%s.%.*s", row->path, (int)MIN(strcspn(text, "="), (size_t)150),
                 text);
        json_out_string(out, "key", name);
        json_out_string(out, "change",
                        key->from == NULL ? "added"
                        : key->to == NULL ? "removed"
                                          : "changed");
    } else {
        json_out_string(out, "key", row->path);
        json_out_json(out, "from", key->from != NULL ? key->from : "null");
        json_out_json(out, "to", key->to != NULL ? key->to : "null");
    }
    json_out_string(out, "takes_effect", key_effect_name(row->effect));
    json_out_close(out, '}');
}

static void
sockets_describe(struct json_out *out, const char *key, const struct record *before,
                 const struct record *after, uint32_t place)
{
    uint32_t at = 0;
    const char *address;
    json_out_open(out, key, '[');
    while ((address = plan_next_socket(before, after, place, &at)) != NULL)
        json_out_string(out, NULL, address);
    json_out_close(out, ']');
}

static void
pool_describe(struct json_out *out, const struct config_outcome *outcome, uint32_t place)
{
    const struct record *before = outcome->before, *after = outcome->after;
    const struct record *named = place < after->header->pools ? after : before;
    struct plan_pool pool;
    struct plan_cursor cursor = {0};
    struct plan_key key;
    plan_pool(before, after, place, &pool);
    json_out_open(out, NULL, '{');
    json_out_string(out, "pool", record_text(named, named->pools[place].name));
    json_out_string(out, "change", plan_change_name(pool.change));
    json_out_bool(out, "recycles", pool.recycles);
    json_out_bool(out, "drifts", pool.drifts);
    if (pool.keeps_sockets)
        json_out_string(out, "warning",
                        "its workers keep the old sockets until they are recycled: what connects "
                        "to a new one waits till then, and an old one stays taken");
    else
        json_out_null(out, "warning");
    if (pool.change != PLAN_REMOVED && after->pools[place].settings.refused)
        json_out_string(out, "refused", record_text(after, after->pools[place].refused));
    else
        json_out_null(out, "refused");
    json_out_open(out, "keys", '[');
    while (pool.change == PLAN_CHANGED && plan_next_key(before, after, place, &cursor, &key))
        key_describe(out, &key);
    json_out_close(out, ']');
    sockets_describe(out, "opened", before, after, place);
    sockets_describe(out, "closed", after, before, place);
    json_out_close(out, '}');
}

static void
serial_describe(struct json_out *out, const char *key, const struct record *record)
{
    char serial[20];
    snprintf(serial, sizeof serial, "%016" PRIx64, record->header->serial);
    json_out_string(out, key, serial);
}

/* Keys of the file itself that the records have as numbers; facilities and levels have words. */
static void
file_key_describe(struct json_out *out, const char *path, uint32_t from, uint32_t to)
{
    const struct config_key *key = key_find(SCOPE_TOP, path);
    size_t count;
    const char *const *words = key_words(key->type, &count);
    if (from == to)
        return;
    json_out_open(out, NULL, '{');
    json_out_string(out, "key", path);
    if (count > 0) {
        json_out_string(out, "from", from < count ? words[from] : NULL);
        json_out_string(out, "to", to < count ? words[to] : NULL);
    } else {
        json_out_number(out, "from", from);
        json_out_number(out, "to", to);
    }
    json_out_string(out, "takes_effect", key_effect_name(key->effect));
    json_out_close(out, '}');
}

static void
file_keys_describe(struct json_out *out, const struct record *before, const struct record *after)
{
    const struct record_header *old = before->header, *new = after->header;
    json_out_open(out, "keys", '[');
    access_describe_change(out, before, after);
    file_key_describe(out, "log.facility", old->log_facility, new->log_facility);
    file_key_describe(out, "log.level", old->log_level, new->log_level);
    file_key_describe(out, "limits.starts", old->starts_max, new->starts_max);
    file_key_describe(out, "limits.recycles", old->recycles_max, new->recycles_max);
    json_out_close(out, ']');
}

static void
plan_describe(struct json_out *out, const struct config_outcome *outcome)
{
    const struct plan_totals *totals = outcome->totals;
    serial_describe(out, "in_force", outcome->before);
    serial_describe(out, "serial", outcome->after);
    json_out_bool(out, "changed",
                  outcome->before->header->serial != outcome->after->header->serial);
    json_out_open(out, "totals", '{');
    json_out_number(out, "added", totals->added);
    json_out_number(out, "removed", totals->removed);
    json_out_number(out, "changed", totals->changed);
    json_out_number(out, "recycles", totals->recycles);
    json_out_number(out, "drifts", totals->drifts);
    json_out_number(out, "opened", totals->opened);
    json_out_number(out, "closed", totals->closed);
    json_out_close(out, '}');
    file_keys_describe(out, outcome->before, outcome->after);
    json_out_open(out, "pools", '[');
    for (uint32_t i = 0; i < outcome->places_len; i++)
        pool_describe(out, outcome, outcome->places[i]);
    json_out_close(out, ']');
    json_out_number(out, "more",
                    totals->added + totals->removed + totals->changed - outcome->places_len);
}

/* --- answers */
static void
call_refuse(const struct config_call *call, const struct config_outcome *outcome)
{
    const struct record *after = outcome->after;
    struct json_out data = {0};
    if (after == NULL || after->header->errors == 0) {
        reply_error(call->client, call->id, ERROR_FAILED, NULL, "nothing was changed: %s",
                    outcome->why);
        return;
    }
    json_out_string(&data, "file", record_text(after, after->header->source));
    json_out_number(&data, "count", after->header->errors);
    json_out_open(&data, "errors", '[');
    lines_describe(&data, after->text);
    json_out_close(&data, ']');
    reply_error(call->client, call->id, ERROR_CONFIG, &data,
                "the configuration has %" PRIu32 " error%s", after->header->errors,
                after->header->errors == 1 ? "" : "s");
}

static void
call_answer(const struct config_call *call, const struct config_outcome *outcome)
{
    const struct record *after = outcome->after;
    if (outcome->why[0] != '\0') {
        call_refuse(call, outcome);
        return;
    }
    struct reply reply = reply_begin(call->client, call->id);
    json_out_open(reply.out, NULL, '{');
    json_out_string(reply.out, "file", record_text(after, after->header->source));
    json_out_number(reply.out, "pool_count", after->header->pools_present);
    json_out_open(reply.out, "warnings", '[');
    lines_describe(reply.out, record_text(after, after->header->warning_text));
    if (call->want == WANT_CHECK)
        lines_describe(reply.out, record_text(after, after->header->advice_text));
    json_out_close(reply.out, ']');
    if (call->want != WANT_CHECK)
        plan_describe(reply.out, outcome);
    json_out_close(reply.out, '}');
    reply_end(&reply);
}

/* Answers those of the round that are for it, and forgets them. */
static void
calls_answer(struct control *control, uint64_t round, bool appliers,
             const struct config_outcome *outcome)
{
    struct config_call **link = &control->config_calls, *call;
    while ((call = *link) != NULL) {
        if (call->round != round || (call->want == WANT_APPLY) != appliers) {
            link = &call->next;
            continue;
        }
        *link = call->next;
        if (call->client != NULL) {
            call->client->calls--;
            call_answer(call, outcome);
            client_wake(call->client);
        }
        free(call);
    }
}

void
control_config_planned(struct control *control, uint64_t round,
                       const struct config_outcome *outcome)
{
    calls_answer(control, round, false, outcome);
}

void
control_config_ended(struct control *control, uint64_t round, const struct config_outcome *outcome)
{
    calls_answer(control, round, true, outcome);
}

void
config_calls_forget(struct client *client)
{
    for (struct config_call *call = client->control->config_calls; call != NULL;
         call = call->next) {
        if (call->client == client)
            call->client = NULL; /* the round ends all the same */
    }
}

/* --- methods */
static void
call_begin(struct client *client, const struct request *request, enum config_want want)
{
    struct control *control = client->control;
    struct shell_status status;
    shell_status(control->shell, &status);
    if (status.stopping) {
        reply_error(client, request->id, ERROR_UNAVAILABLE, NULL, "the supervisor is stopping");
        return;
    }
    struct config_call *call = client->calls < CONTROL_CALLS_MAX ? calloc(1, sizeof *call) : NULL;
    if (call == NULL) {
        reply_error(client, request->id, ERROR_UNAVAILABLE, NULL,
                    "at most %u calls of one client wait at one time", CONTROL_CALLS_MAX);
        return;
    }
    if (want == WANT_APPLY)
        control_audit(client, "config.apply", NULL, "accepted");
    call->client = client;
    call->want = want;
    memcpy(call->id, request->id, sizeof call->id);
    client->calls++;
    call->next = control->config_calls;
    control->config_calls = call;
    call->round = shell_config_ask(control->shell, want == WANT_APPLY);
}

void
method_config_check(struct client *client, const struct request *request)
{
    call_begin(client, request, WANT_CHECK);
}

void
method_config_diff(struct client *client, const struct request *request)
{
    call_begin(client, request, WANT_DIFF);
}

void
method_config_apply(struct client *client, const struct request *request)
{
    call_begin(client, request, WANT_APPLY);
}
