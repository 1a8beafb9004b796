/* draft.c - taking keys: which key an object's member is, and which layer its value came from. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "supervisor/load/compile.h"

bool
is_comment(const char *key)
{
    return strcmp(key, "$schema") == 0 || strcmp(key, "$comment") == 0;
}

/* What members of an object are taken for. */
struct taking {
    enum key_scope scope;
    enum layer layer;
    struct draft *draft; /* SCOPE_POOL */
    struct top *top;     /* SCOPE_TOP */
};

static void take_members(struct load *load, const struct taking *taking, const char *group,
                         const json_t *object);

static void
refuse_unknown(struct load *load, enum key_scope scope, const char *group, const char *name,
               bool comes_later)
{
    char advice[KEY_ADVICE_MAX], escaped[TEXT_WORD_MAX + 4];
    text_escape(escaped, sizeof escaped, name, strlen(name));
    if (comes_later) {
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_KEY,
                    "unknown key \"%s\"; this version does not have it yet", escaped);
        return;
    }
    const char *near = key_nearest(scope, group, name, advice);
    problem_add(&load->problems, &load->pointer, PROBLEM_AT_KEY, "unknown key \"%s\"%s%s%s",
                escaped, near == NULL ? "" : "; did you mean ", near == NULL ? "" : near,
                near == NULL ? "" : "?");
}

bool
draft_take(struct load *load, struct draft *draft, enum layer layer, const struct config_key *key,
           const json_t *value)
{
    size_t row = (size_t)(key - config_keys);
    assert(row < POOL_KEY_COUNT);
    if (key->type == VALUE_LISTEN && layer < LAYER_PRESET && layer > LAYER_BUILT_IN) {
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_KEY,
                    "\"listen\" cannot stand in \"defaults\": no two pools can have one address");
        return false;
    }
    bool good = value_take(load, key, value, (char *)draft + key->member);
    uint64_t bit = UINT64_C(1) << row;
    draft->wrong = good ? draft->wrong & ~bit : draft->wrong | bit;
    if (layer > LAYER_BUILT_IN)
        draft->given[row] = (struct given){.value = value, .layer = layer};
    return good;
}

static void
take_key(struct load *load, const struct taking *taking, const struct config_key *key,
         const json_t *value)
{
    if (taking->scope == SCOPE_POOL)
        draft_take(load, taking->draft, taking->layer, key, value);
    else
        value_take(load, key, value, (char *)taking->top + key->member);
}

/* One member, which load->pointer points to. */
static void
take_member(struct load *load, const struct taking *taking, const char *group, const char *name,
            const json_t *value)
{
    char path[CONFIG_PATH_MAX], found[JSON_FOUND_MAX];
    int len = snprintf(path, sizeof path, "%s%s%s", group, group[0] == '\0' ? "" : ".", name);
    bool fits = len < (int)sizeof path && strchr(name, '.') == NULL;
    const struct config_key *key = fits ? key_find(taking->scope, path) : NULL;
    if (key != NULL) {
        take_key(load, taking, key, value);
    } else if (is_comment(name)) {
        value_check_string(load, value);
    } else if (!fits || !key_is_group(taking->scope, path)) {
        refuse_unknown(load, taking->scope, group, name,
                       fits && key_comes_later(taking->scope, path));
    } else if (!json_is_object(value)) {
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE,
                    "found %s, but an object of keys is needed", json_found(value, found));
    } else {
        take_members(load, taking, path, value);
    }
}

static void
take_members(struct load *load, const struct taking *taking, const char *group,
             const json_t *object)
{
    /* jansson's iterators take trees that may change; this one does not. */
    json_t *members = (json_t *)(uintptr_t)object;
    const char *name;
    json_t *value;
    json_object_foreach(members, name, value)
    {
        struct pointer_mark mark = pointer_enter_member(&load->pointer, name);
        take_member(load, taking, group, name, value);
        pointer_leave(&load->pointer, mark);
    }
}

void
draft_take_object(struct load *load, struct draft *draft, enum layer layer, const json_t *object)
{
    const struct taking taking = {.scope = SCOPE_POOL, .layer = layer, .draft = draft};
    take_members(load, &taking, "", object);
}

void
top_take_object(struct load *load, struct top *top, const json_t *object)
{
    const struct taking taking = {.scope = SCOPE_TOP, .top = top};
    take_members(load, &taking, "", object);
}

/* The value of one row's default into where its holder keeps it. */
static int
take_built_in(struct load *load, const struct config_key *key, struct draft *draft)
{
    json_error_t error;
    if (!key_has_preset(key))
        return 0;
    json_t *value = json_loads(key->preset, JSON_DECODE_ANY, &error);
    if (value == NULL || json_array_append_new(load->built_in_values, value) != 0)
        return -ENOMEM;
    bool good = key->scope == SCOPE_TOP
                    ? value_take(load, key, value, (char *)&load->top + key->member)
                    : draft_take(load, draft, LAYER_BUILT_IN, key, value);
    assert(good);
    return 0;
}

int
draft_init(struct load *load, struct draft *draft)
{
    memset(draft, 0, sizeof *draft); /* padding too: the record in it is hashed */
    load->built_in_values = json_array();
    for (size_t i = 0; i < config_key_count; i++) {
        if (load->built_in_values == NULL || take_built_in(load, &config_keys[i], draft) != 0)
            return -ENOMEM;
    }
    draft->record.present = 1;
    draft->record.drop_privileges = load->is_root;
    return 0;
}

static size_t
row_of(const char *path)
{
    const struct config_key *key = key_find(SCOPE_POOL, path);
    assert(key != NULL);
    return (size_t)(key - config_keys);
}

bool
draft_is_right(const struct draft *draft, const char *path)
{
    return draft->wrong == 0 || (draft->wrong & UINT64_C(1) << row_of(path)) == 0;
}

struct pointer
draft_enter(struct load *load, const struct draft *draft, const char *path)
{
    struct pointer before = load->pointer;
    enum layer layer = draft->given[row_of(path)].layer;
    if (layer == LAYER_BUILT_IN || layer == LAYER_PRESET)
        return before;
    if (layer != LAYER_POOL) {
        pointer_init(&load->pointer, layer == LAYER_MAIN_DEFAULTS ? 0 : before.file);
        pointer_enter_member(&load->pointer, "defaults");
    }
    char name[CONFIG_PATH_MAX];
    for (const char *at = path; at[0] != '\0'; at += at[0] == '.') {
        size_t len = strcspn(at, ".");
        snprintf(name, sizeof name, "%.*s", (int)len, at);
        pointer_enter_member(&load->pointer, name);
        at += len;
    }
    return before;
}
