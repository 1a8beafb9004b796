/* environment.c - the complete environment of a pool's workers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "supervisor/load/compile.h"

#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Variables that poold itself sets for each worker; a trailing '*' stands for any rest. */
static const char *const own_names[] = {"LISTEN_*", "NOTIFY_SOCKET", "WATCHDOG_*", "POOLD_*"};

struct variable {
    const char *name, *value; /* borrowed */
};

static bool
name_is_valid(const char *name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    return name[0] != '\0' && strchr("0123456789", name[0]) == NULL &&
           name[strspn(name, letters)] == '\0';
}

static bool
name_is_own(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(own_names); i++) {
        const char *own = own_names[i];
        size_t len = strcspn(own, "*");
        if (strncmp(name, own, len) == 0 && (own[len] == '*' || name[len] == '\0'))
            return true;
    }
    return false;
}

bool
environment_check(struct load *load, const char *name, const json_t *value)
{
    if (is_comment(name))
        return value_check_string(load, value);
    size_t before = load->problems.count;
    char found[JSON_FOUND_MAX];
    if (!name_is_valid(name))
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_KEY,
                    "a variable's name is letters, digits and _, and no digit first");
    else if (name_is_own(name))
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_KEY,
                    "poold sets this variable itself, for each worker; take it out");
    if (!json_is_string(value))
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE,
                    "found %s, but a string is needed%s", json_found(value, found),
                    json_is_integer(value) ? " (put it in quotes)" : "");
    return load->problems.count == before;
}

/* Adds a variable to a list that has room for it. */
static void
add_variable(struct variable *list, size_t *count, const char *name, const char *value)
{
    list[(*count)++] = (struct variable){.name = name, .value = value};
}

static void
set_clean(struct variable *list, size_t *count, const struct identity *identity)
{
    add_variable(list, count, "PATH", PATH_DEFAULT);
    add_variable(list, count, "HOME", identity->home);
    add_variable(list, count, "USER", identity->user);
    add_variable(list, count, "LOGNAME", identity->user);
    add_variable(list, count, "SHELL", identity->shell);
    add_variable(list, count, "LANG", "C.UTF-8");
    const char *zone = getenv("TZ");
    if (zone != NULL)
        add_variable(list, count, "TZ", zone);
}

/* Whether a layer above this one says something of the variable. */
static bool
is_covered(const struct environment_draft *given, uint32_t layer, const char *name)
{
    for (uint32_t i = layer + 1; i < given->count; i++) {
        if (json_object_get(given->layers[i], name) != NULL)
            return true;
    }
    return false;
}

static int
compare_variables(const void *a, const void *b)
{
    return strcmp(((const struct variable *)a)->name, ((const struct variable *)b)->name);
}

/* Adds what the layers of `environment` say, which was checked when it was taken: in the place of
 * clean variables, and behind them in the order of the names, so that it does not matter which layer
 * they come from. */
static void
set_given(struct variable *list, size_t *count, const struct environment_draft *given)
{
    size_t clean = *count;
    for (uint32_t i = 0; i < given->count; i++) {
        const char *name;
        json_t *value;
        json_object_foreach((json_t *)(uintptr_t)given->layers[i], name, value)
        {
            if (is_comment(name) || is_covered(given, i, name))
                continue;
            size_t at = 0;
            while (at < clean && strcmp(list[at].name, name) != 0)
                at++;
            at = at < clean ? at : (*count)++;
            list[at] = (struct variable){.name = name, .value = json_string_value(value)};
        }
    }
    qsort(list + clean, *count - clean, sizeof *list, compare_variables);
}

/* "NAME=value", each with its NUL, into the record. */
static bool
put_variables(struct load *load, const struct variable *list, size_t count,
              struct record_strings *out)
{
    struct buffer joined = {0};
    for (size_t i = 0; i < count; i++) {
        buffer_add(&joined, list[i].name, strlen(list[i].name));
        buffer_add(&joined, "=", 1);
        buffer_add(&joined, list[i].value, strlen(list[i].value) + 1);
    }
    if (joined.failed)
        load->failed = true;
    bool good = !joined.failed && strings_put(load, joined.bytes, joined.len, count, out);
    buffer_fini(&joined);
    return good;
}

/* Pools that inherit one environment and have one user have it in common. */
static bool
memo_holds(const struct environment_memo *memo, const struct environment_draft *given,
           const struct identity *identity)
{
    return memo->is_filled && memo->identity == identity && memo->given.count == given->count &&
           memcmp(memo->given.layers, given->layers, given->count * sizeof given->layers[0]) == 0;
}

/* Makes the environment and remembers it. */
static void
environment_make(struct load *load, const struct environment_draft *given,
                 const struct identity *identity)
{
    enum { CLEAN_MAX = 7 };
    struct environment_memo *memo = &load->environment;
    size_t count = 0, room = CLEAN_MAX;
    for (uint32_t i = 0; i < given->count; i++)
        room += json_object_size(given->layers[i]);
    struct variable *list = calloc(room, sizeof *list);
    if (list == NULL) {
        load->failed = true;
        return;
    }
    set_clean(list, &count, identity);
    set_given(list, &count, given);
    memo->is_good = put_variables(load, list, count, &memo->env);
    memo->path = list[0].value; /* PATH is set first, and replaced in place */
    memo->is_filled = memo->is_good;
    memo->given = *given;
    memo->identity = identity;
    free(list);
}

const char *
environment_resolve(struct load *load, struct draft *draft, const struct identity *identity)
{
    static char name[] = "nobody", home[] = "/", shell[] = "/bin/sh";
    static const struct identity nobody = {.user = name, .home = home, .shell = shell};
    struct environment_memo *memo = &load->environment;
    if (!draft_is_right(draft, "environment"))
        return NULL;
    if (identity == NULL) /* with an unknown user the rest of the pool is still checked */
        identity = &nobody;
    if (!memo_holds(memo, &draft->environment, identity)) {
        memo->is_good = false;
        struct pointer before = draft_enter(load, draft, "environment");
        environment_make(load, &draft->environment, identity);
        load->pointer = before;
    }
    draft->record.env = memo->env;
    return memo->is_good ? memo->path : NULL;
}
