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

/* One member of `environment`, which load->pointer points to. */
static bool
check_variable(struct load *load, const char *name, const json_t *value)
{
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

/* Sets name in a list that has room for it. */
static void
set_variable(struct variable *list, size_t *count, const char *name, const char *value)
{
    size_t i = 0;
    while (i < *count && strcmp(list[i].name, name) != 0)
        i++;
    list[i] = (struct variable){.name = name, .value = value};
    if (i == *count)
        ++*count;
}

static void
set_clean(struct variable *list, size_t *count, const struct identity *identity)
{
    set_variable(list, count, "PATH", PATH_DEFAULT);
    set_variable(list, count, "HOME", identity->home);
    set_variable(list, count, "USER", identity->user);
    set_variable(list, count, "LOGNAME", identity->user);
    set_variable(list, count, "SHELL", identity->shell);
    set_variable(list, count, "LANG", "C.UTF-8");
    const char *zone = getenv("TZ");
    if (zone != NULL)
        set_variable(list, count, "TZ", zone);
}

/* Adds what the pool's `environment` says; false: something in it was refused. */
static bool
set_given(struct load *load, struct variable *list, size_t *count, const json_t *given)
{
    bool good = true;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)given, name, value)
    {
        struct pointer_mark mark = pointer_enter_member(&load->pointer, name);
        if (is_comment(name))
            value_check_string(load, value);
        else if (check_variable(load, name, value))
            set_variable(list, count, name, json_string_value(value));
        else
            good = false;
        pointer_leave(&load->pointer, mark);
    }
    return good;
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

const char *
environment_resolve(struct load *load, struct draft *draft, const struct identity *identity)
{
    static char name[] = "nobody", home[] = "/", shell[] = "/bin/sh";
    static const struct identity nobody = {.user = name, .home = home, .shell = shell};
    enum { CLEAN_MAX = 7 };
    size_t count = 0;
    struct variable *list = calloc(CLEAN_MAX + json_object_size(draft->environment), sizeof *list);
    if (list == NULL) {
        load->failed = true;
        return NULL;
    }
    /* With an unknown user the rest of the pool is still checked. */
    set_clean(list, &count, identity == NULL ? &nobody : identity);
    struct pointer_mark mark = pointer_enter_member(&load->pointer, "environment");
    bool good = set_given(load, list, &count, draft->environment) &&
                put_variables(load, list, count, &draft->record.env);
    pointer_leave(&load->pointer, mark);
    const char *path = good ? list[0].value : NULL; /* PATH is set first, and replaced in place */
    free(list);
    return path;
}
