/* listen_element.c - one element of `listen`: an address, or an object that says more of it. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/text.h"
#include "supervisor/load/compile.h"

static bool
refuse(struct load *load, const json_t *value, const char *needed)
{
    char found[JSON_FOUND_MAX];
    problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE, "found %s, but %s is needed",
                json_found(value, found), needed);
    return false;
}

static bool
take_address(struct load *load, const json_t *value, struct listen_draft *out)
{
    if (!value_check_string(load, value))
        return false;
    out->address = json_string_value(value);
    return address_parse(load, out->address, &out->socket);
}

/* The colon separates names in LISTEN_FDNAMES. */
static bool
take_name(struct load *load, const json_t *value, struct listen_draft *out)
{
    out->name = json_string_value(value);
    return (out->name != NULL && pool_name_is_valid(out->name)) ||
           refuse(load, value, "a name of 1 to 64 of a-z A-Z 0-9 . _ -, a letter or digit first,");
}

static bool
take_mode(struct load *load, const json_t *value, struct listen_draft *out)
{
    out->has_mode = mode_parse(value, &out->mode);
    return out->has_mode || refuse(load, value, "an octal number in quotes, such as \"0660\",");
}

static bool
take_account(struct load *load, const json_t *value, const char *needed, const char **out)
{
    const char *name = json_string_value(value);
    if (name == NULL || name[0] == '\0' || !text_is_printable(name))
        return refuse(load, value, needed);
    *out = name;
    return true;
}

static bool
take_user(struct load *load, const json_t *value, struct listen_draft *out)
{
    return take_account(load, value, "the name of a user", &out->user);
}

static bool
take_group(struct load *load, const json_t *value, struct listen_draft *out)
{
    return take_account(load, value, "the name of a group", &out->group);
}

static bool
take_backlog(struct load *load, const json_t *value, struct listen_draft *out)
{
    const struct config_key *key = key_find(SCOPE_POOL, "queue_length");
    return value_take(load, key, value, &out->backlog);
}

/* clang-format off */
static const struct {
    const char *name;
    bool (*take)(struct load *, const json_t *, struct listen_draft *);
    bool is_of_path; /* says something of a unix socket's path */
} members[] = {
    {"address", take_address, false},
    {"name",    take_name,    false},
    {"mode",    take_mode,    true},
    {"user",    take_user,    true},
    {"group",   take_group,   true},
    {"backlog", take_backlog, false},
};
/* clang-format on */

static bool
refuse_unknown(struct load *load, const char *name)
{
    char escaped[TEXT_WORD_MAX + 4];
    struct text_nearest nearest;
    text_nearest_init(&nearest, name);
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        text_nearest_offer(&nearest, members[i].name);
    text_escape(escaped, sizeof escaped, name, strlen(name));
    problem_add(&load->problems, &load->pointer, PROBLEM_AT_KEY, "unknown key \"%s\"; %s%s%s",
                escaped,
                nearest.best[0] == '\0' ? "an address has name, mode, user, group and "
                                          "backlog"
                                        : "did you mean \"",
                nearest.best, nearest.best[0] == '\0' ? "" : "\"?");
    return false;
}

static bool
take_member(struct load *load, const char *name, const json_t *value, struct listen_draft *out)
{
    if (is_comment(name))
        return value_check_string(load, value);
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        if (strcmp(members[i].name, name) == 0)
            return members[i].take(load, value, out);
    }
    return refuse_unknown(load, name);
}

/* What is said of a path needs one. */
static bool
check_family(struct load *load, const json_t *object, const struct listen_draft *out)
{
    bool good = true;
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        if (!members[i].is_of_path || json_object_get(object, members[i].name) == NULL ||
            out->socket.family == AF_UNIX)
            continue;
        struct pointer_mark mark = pointer_enter_member(&load->pointer, members[i].name);
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_KEY,
                    "only the path of a \"unix:\" address has a %s; take it out", members[i].name);
        pointer_leave(&load->pointer, mark);
        good = false;
    }
    return good;
}

static bool
take_object(struct load *load, const json_t *object, struct listen_draft *out)
{
    bool good = true;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        struct pointer_mark mark = pointer_enter_member(&load->pointer, name);
        good = take_member(load, name, value, out) && good;
        pointer_leave(&load->pointer, mark);
    }
    if (json_object_get(object, "address") == NULL) {
        problem_add(&load->problems, &load->pointer, PROBLEM_AT_VALUE,
                    "\"address\" is missing, such as \"127.0.0.1:8080\"");
        return false;
    }
    return out->socket.family != 0 && check_family(load, object, out) && good;
}

bool
listen_element_take(struct load *load, const json_t *element, struct listen_draft *out)
{
    memset(out, 0, sizeof *out); /* padding too: the socket in it is hashed */
    if (json_is_object(element))
        return take_object(load, element, out);
    return take_address(load, element, out);
}
