/* control_access_change.c - the part of a plan that is about the control socket: its path, and roles. */
#include "supervisor/engine/control_parts.h"

#include <stdio.h>
#include <string.h>

static void
names_describe(struct json_out *out, const char *key, const struct record *record, enum role role)
{
    json_out_open(out, key, '[');
    for (uint32_t i = 0; i < record->header->role_count; i++) {
        struct record_role one = record_role_at(record, i);
        if (one.role == role)
            json_out_string(out, NULL, record_text(record, one.name));
    }
    json_out_close(out, ']');
}

/* The next name of that role from *at on, whose number is looked at too; NULL: there are no more. */
static const char *
next_name(const struct record *record, enum role role, uint32_t *at, uint32_t *id)
{
    while (*at < record->header->role_count) {
        struct record_role one = record_role_at(record, (*at)++);
        *id = one.id;
        if (one.role == role)
            return record_text(record, one.name);
    }
    return NULL;
}

static bool
names_differ(const struct record *before, const struct record *after, enum role role)
{
    uint32_t old_at = 0, new_at = 0, old_id = 0, new_id = 0;
    for (;;) {
        const char *old = next_name(before, role, &old_at, &old_id);
        const char *new = next_name(after, role, &new_at, &new_id);
        if (old == NULL || new == NULL)
            return old != new;
        if (strcmp(old, new) != 0 || old_id != new_id)
            return true;
    }
}

static void
change_begin(struct json_out *out, const char *path)
{
    json_out_open(out, NULL, '{');
    json_out_string(out, "key", path);
}

static void
change_end(struct json_out *out, const char *path)
{
    json_out_string(out, "takes_effect", key_effect_name(key_find(SCOPE_TOP, path)->effect));
    json_out_close(out, '}');
}

void
access_describe_change(struct json_out *out, const struct record *before,
                       const struct record *after)
{
    const struct record_socket *old = record_control(before), *new = record_control(after);
    if (old != NULL && new != NULL &&
        plan_socket_held(before, after, after->header->control - 1) == NONE) {
        change_begin(out, "control.socket");
        json_out_string(out, "from", record_text(before, old->address));
        json_out_string(out, "to", record_text(after, new->address));
        change_end(out, "control.socket");
    }
    for (enum role role = ROLE_ADMIN; role > ROLE_NONE; role--) {
        char path[CONFIG_PATH_MAX];
        if (!names_differ(before, after, role))
            continue;
        snprintf(path, sizeof path, "control.%s", record_role_name(role));
        change_begin(out, path);
        names_describe(out, "from", before, role);
        names_describe(out, "to", after, role);
        change_end(out, path);
    }
}
