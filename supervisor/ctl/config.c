/* config.c - the verb config: check, diff and apply of the supervisor's configuration, and its keys. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/table.h"

/* --- a plan, for a person */
static void
paint(const struct ctl *ctl, enum colour colour, const char *text)
{
    printf("%s%s%s", ctl->colour ? colour_on(colour) : "", text,
           ctl->colour ? colour_off(colour) : "");
}

static void
print_value(const json_t *value)
{
    if (value == NULL || json_is_null(value))
        fputs("default", stdout);
    else
        json_dumpf(value, stdout, JSON_ENCODE_ANY | JSON_COMPACT);
}

static void
print_key(const json_t *key)
{
    const char *change = ctl_string(key, "change");
    printf("    %s ", ctl_string(key, "key"));
    if (change[0] != '\0') {
        fputs(change, stdout);
    } else {
        print_value(json_object_get(key, "from"));
        fputs(" -> ", stdout);
        print_value(json_object_get(key, "to"));
    }
    printf(" (%s)\n", ctl_string(key, "takes_effect"));
}

static void
print_sockets(const json_t *pool, const char *which, char sign)
{
    size_t i;
    json_t *address;
    json_array_foreach(json_object_get(pool, which), i, address)
    {
        printf("    %c %s\n", sign, json_string_value(address));
    }
}

/* What becomes of a pool's workers. */
static const char *
what_follows(const json_t *pool, bool removed)
{
    if (removed)
        return ", its workers drain";
    if (ctl_string(pool, "refused")[0] != '\0')
        return ", it may not run";
    if (json_is_true(json_object_get(pool, "recycles")))
        return ", its workers are replaced";
    if (json_is_true(json_object_get(pool, "drifts")))
        return ", its workers keep the old settings (recycling.on_config_change is false)";
    return "";
}

static void
print_pool(const struct ctl *ctl, const json_t *pool)
{
    const char *change = ctl_string(pool, "change"), *name = ctl_string(pool, "pool");
    const char *refused = ctl_string(pool, "refused"), *warning = ctl_string(pool, "warning");
    bool added = strcmp(change, "added") == 0, removed = strcmp(change, "removed") == 0;
    size_t i;
    json_t *key;
    paint(ctl, added ? GREEN : removed ? RED : YELLOW, added ? "+ " : removed ? "- " : "~ ");
    printf("%s: %s%s\n", name, change, what_follows(pool, removed));
    if (refused[0] != '\0')
        printf("    %s\n", refused);
    if (warning[0] != '\0')
        printf("    warning: %s\n", warning);
    json_array_foreach(json_object_get(pool, "keys"), i, key)
    {
        print_key(key);
    }
    print_sockets(pool, "opened", '+');
    print_sockets(pool, "closed", '-');
}

static void
print_plan(const struct ctl *ctl, const json_t *result, bool applied)
{
    const json_t *totals = json_object_get(result, "totals");
    long long added = ctl_integer(totals, "added"), removed = ctl_integer(totals, "removed"),
              changed = ctl_integer(totals, "changed"), more = ctl_integer(result, "more");
    size_t i;
    json_t *pool, *key;
    json_array_foreach(json_object_get(result, "keys"), i, key)
    {
        print_key(key);
    }
    json_array_foreach(json_object_get(result, "pools"), i, pool)
    {
        print_pool(ctl, pool);
    }
    if (more > 0)
        printf("... and %lld more pools\n", more);
    if (removed > 0 && ctl_integer(result, "pool_count") == 0)
        fprintf(stderr, "warning: no pool is left in %s\n", ctl_string(result, "file"));
    if (added + removed + changed == 0)
        printf("%s: %s\n", ctl_string(result, "file"),
               json_is_true(json_object_get(result, "changed")) ? "no pool changes"
                                                                : "nothing has changed");
    else
        printf("%s: %lld added, %lld removed, %lld changed (%lld by recycling)\n",
               applied ? "applied" : "plan", added, removed, changed,
               (long long)ctl_integer(totals, "recycles"));
}

static void
print_lines(const json_t *lines, const char *prefix, FILE *to)
{
    size_t i;
    json_t *line;
    json_array_foreach(lines, i, line)
    {
        fprintf(to, "%s%s\n", prefix, json_string_value(line));
    }
}

/* --- the words of the verb */
static enum ctl_exit
ask_supervisor(struct ctl *ctl, const char *method)
{
    struct err err;
    enum ctl_exit exit_status = ctl_connect(ctl);
    if (exit_status != CTL_DONE)
        return exit_status;
    json_t *answer = ctl_ask(ctl, method, NULL, &err);
    if (answer == NULL) {
        if (strcmp(method, "config.apply") == 0)
            ctl_complain(NULL, "\"poolctl config diff\" tells what is not in force yet",
                         "no answer came: if it was begun, it goes on");
        return ctl_say_lost(&err);
    }
    const json_t *error = json_object_get(answer, "error");
    const json_t *result = json_object_get(answer, "result");
    if (error != NULL) {
        exit_status = ctl_say_error(NULL, error);
        if (!ctl->json)
            print_lines(json_object_get(json_object_get(error, "data"), "errors"), "", stderr);
        else
            ctl_print_json(json_pack("{s:O}", "error", error));
    } else if (ctl->json) {
        ctl_print_json(json_incref((json_t *)(uintptr_t)result));
    } else {
        print_lines(json_object_get(result, "warnings"), "warning: ", stderr);
        if (strcmp(method, "config.check") == 0)
            printf("%s: %lld pools: valid\n", ctl_string(result, "file"),
                   (long long)ctl_integer(result, "pool_count"));
        else
            print_plan(ctl, result, strcmp(method, "config.apply") == 0);
    }
    json_decref(answer);
    return exit_status;
}

/* The table of keys is the engine's program's: beside this one in a build tree, or where it was
 * installed. */
static enum ctl_exit
print_keys(struct ctl *ctl)
{
    char self[PATH_MAX] = "", path[PATH_MAX + 32];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    while (length > 0 && self[length - 1] != '/')
        length--;
    snprintf(path, sizeof path, "%.*spoold-engine", (int)MAX(length, 0), self);
    if (length <= 0 || access(path, X_OK) != 0)
        snprintf(path, sizeof path, "%s/poold-engine", POOLD_LIBEXECDIR);
    execl(path, "poold-engine", "--keys", ctl->argc > 1 ? ctl->argv[1] : (char *)NULL,
          (char *)NULL);
    ctl_complain(path, NULL, "it cannot be run: %s", strerror(errno));
    return CTL_FAILED;
}

enum ctl_exit
verb_config(struct ctl *ctl)
{
    static const struct {
        const char *word, *method;
    } words[] = {{"check", "config.check"},
                 {"diff", "config.diff"},
                 {"apply", "config.apply"},
                 {"keys", NULL}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(words[i].word, ctl->argv[0]) != 0)
            continue;
        if (words[i].method == NULL)
            return print_keys(ctl);
        if (ctl->argc == 1)
            return ask_supervisor(ctl, words[i].method);
        ctl_complain(ctl->argv[1], "the files are those that poold was started with",
                     "it is one too many");
        return CTL_USAGE;
    }
    ctl_complain(ctl->argv[0], "config check, diff, apply or keys", "there is no such word");
    return CTL_USAGE;
}
