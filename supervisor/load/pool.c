/* pool.c - one pool on its way from JSON to its records. */
#include "supervisor/load/pool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "common/units.h"
#include "supervisor/load/compile.h"

#define UMASK_DEFAULT 0022u

bool
is_comment(const char *key)
{
    return strcmp(key, "$schema") == 0 || strcmp(key, "$comment") == 0;
}

static void take_object(struct load *load, const char *group, const json_t *object,
                        struct draft *draft);

static void
refuse_unknown(struct load *load, const char *group, const char *name)
{
    char advice[KEY_ADVICE_MAX], escaped[TEXT_WORD_MAX + 4];
    const char *near = key_nearest(group, name, advice);
    text_escape(escaped, sizeof escaped, name, strlen(name));
    problem_add(&load->problems, &load->pointer, PROBLEM_AT_KEY, "unknown key \"%s\"%s%s%s",
                escaped, near == NULL ? "" : "; did you mean ", near == NULL ? "" : near,
                near == NULL ? "" : "?");
}

/* One member, which load->pointer points to. */
static void
take_member(struct load *load, const char *group, const char *name, const json_t *value,
            struct draft *draft)
{
    char path[CONFIG_PATH_MAX];
    int len = snprintf(path, sizeof path, "%s%s%s", group, group[0] == '\0' ? "" : ".", name);
    bool fits = len < (int)sizeof path && strchr(name, '.') == NULL;
    const struct config_key *key = fits ? key_find(path) : NULL;
    char found[JSON_FOUND_MAX];
    if (key != NULL) {
        if (!value_take(load, key, value, draft))
            draft->wrong |= UINT64_C(1) << (key - config_keys);
    } else if (is_comment(name)) {
        value_check_string(load, value);
    } else if (!fits || !key_is_group(path)) {
        refuse_unknown(load, group, name);
    } else if (!json_is_object(value)) {
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE,
                    "found %s, but an object of keys is needed", json_found(value, found));
    } else {
        take_object(load, path, value, draft);
    }
}

static void
take_object(struct load *load, const char *group, const json_t *object, struct draft *draft)
{
    /* jansson's iterators take trees that may change; this one does not. */
    json_t *members = (json_t *)(uintptr_t)object;
    const char *name;
    json_t *value;
    json_object_foreach(members, name, value)
    {
        struct pointer_mark mark = pointer_enter_member(&load->pointer, name);
        take_member(load, group, name, value, draft);
        pointer_leave(&load->pointer, mark);
    }
}

int
pool_preset(struct load *load, struct draft *preset)
{
    memset(preset, 0, sizeof *preset); /* padding too: it is hashed */
    load->preset_values = json_array();
    for (size_t i = 0; i < config_key_count; i++) {
        if (!key_has_preset(&config_keys[i]))
            continue;
        json_error_t error;
        json_t *value = json_loads(config_keys[i].preset, JSON_DECODE_ANY, &error);
        if (value == NULL || json_array_append_new(load->preset_values, value) != 0)
            return -ENOMEM;
        bool good = value_take(load, &config_keys[i], value, preset);
        assert(good);
    }
    preset->record.present = 1;
    preset->record.auto_start = 1;
    preset->record.settings.on_config_change = 1;
    preset->record.umask = UMASK_DEFAULT;
    preset->record.no_new_privs = 1;
    preset->record.drop_privileges = load->is_root;
    return 0;
}

bool
draft_is_right(const struct draft *draft, const char *path)
{
    const struct config_key *key = key_find(path);
    assert(key != NULL);
    return (draft->wrong & UINT64_C(1) << (key - config_keys)) == 0;
}

/* Reports at the key "group.name", where the pool gave it, else at the pool. */
#define RULE_BROKEN(load, object, group, name, ...)                                                \
    do {                                                                                           \
        const json_t *holder = (group)[0] == '\0' ? (object) : json_object_get((object), (group)); \
        bool given = json_object_get(holder, (name)) != NULL;                                      \
        struct pointer_mark mark = {.path = (load)->pointer.path, .len = (load)->pointer.len};     \
        if (given && (group)[0] != '\0')                                                           \
            pointer_enter_member(&(load)->pointer, (group));                                       \
        if (given)                                                                                 \
            pointer_enter_member(&(load)->pointer, (name));                                        \
        problem_add(&(load)->problems, &(load)->pointer,                                           \
                    given ? PROBLEM_AT_VALUE : PROBLEM_AT_KEY, __VA_ARGS__);                       \
        pointer_leave(&(load)->pointer, mark);                                                     \
    } while (0)

/* Rules between keys. */
static void
check_rules(struct load *load, const json_t *object, const struct draft *draft)
{
    const struct pool_settings *settings = &draft->record.settings;
    char a[UNIT_TEXT_MAX], b[UNIT_TEXT_MAX];
    if (draft->command == NULL && !draft->is_misnamed && draft_is_right(draft, "command"))
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_KEY,
                    "\"command\" is missing; a pool needs one, such as [\"/usr/bin/server\"]");
    if (draft_is_right(draft, "failure.delay") && draft_is_right(draft, "failure.delay_max") &&
        settings->failure_delay_ms > settings->failure_delay_max_ms)
        RULE_BROKEN(load, object, "failure", "delay", "delay \"%s\" is above delay_max \"%s\"",
                    duration_format(settings->failure_delay_ms, a),
                    duration_format(settings->failure_delay_max_ms, b));
    if (draft_is_right(draft, "ready") && draft_is_right(draft, "health.startup_timeout") &&
        draft->ready.rule == READY_AFTER && draft->ready.after_ms >= settings->startup_timeout_ms)
        RULE_BROKEN(load, object, "", "ready",
                    "ready after \"%s\" is never reached: health.startup_timeout is \"%s\"",
                    duration_format(draft->ready.after_ms, a),
                    duration_format(settings->startup_timeout_ms, b));
    if (draft_is_right(draft, "handoff") && draft_is_right(draft, "listen") &&
        draft->record.handoff == HANDOFF_NONE && json_array_size(draft->listen) > 0)
        RULE_BROKEN(load, object, "", "handoff",
                    "handoff is \"none\", so nobody would accept on the addresses in \"listen\"; "
                    "take one of the two out");
}

static bool
name_is_valid(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    return len >= 1 && len <= 64 && name[len] == '\0' && strchr("._-", name[0]) == NULL;
}

/* What has to be looked up outside the file. */
static void
resolve(struct load *load, struct draft *draft, const char *name)
{
    const struct identity *identity = identity_resolve(load, draft);
    const char *path = environment_resolve(load, draft, identity);
    programs_resolve(load, draft, path);
    listen_resolve(load, draft, name, identity);
    if (identity == NULL)
        return;
    struct record_pool *record = &draft->record;
    record->uid = identity->uid;
    record->gid = identity->gid;
    record->groups = identity->groups;
    record->group_count = identity->group_count;
    record->user = image_string(&load->image, identity->user);
}

static void
finish_settings(struct draft *draft)
{
    struct pool_settings *settings = &draft->record.settings;
    settings->workers_max = settings->workers_min;
    settings->surge = MIN(settings->surge, settings->workers_max);
    settings->ready = (uint8_t)draft->ready.rule;
    settings->ready_after_ms = draft->ready.after_ms;
    settings->has_sockets = draft->record.socket_count > 0;
}

void
pool_compile(struct load *load, const char *name, const json_t *object)
{
    bool is_misnamed = !name_is_valid(name);
    if (is_misnamed)
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_KEY,
                    "a pool's name is 1 to 64 of a-z A-Z 0-9 . _ -, a letter or digit first");
    if (!json_is_object(object)) {
        char found[JSON_FOUND_MAX];
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE,
                    "found %s, but a pool is an object", json_found(object, found));
        return;
    }
    struct draft draft;
    memcpy(&draft, &load->preset, sizeof draft);
    draft.is_misnamed = is_misnamed;
    take_object(load, "", object, &draft);
    check_rules(load, object, &draft);
    resolve(load, &draft, name);
    finish_settings(&draft);
    draft.record.name = image_string(&load->image, name);
    draft.record.directory = image_string(&load->image, draft.directory);
    buffer_add(&load->image.pools, &draft.record, sizeof draft.record);
}
