/* control_access.c - who may do what over the control socket.
 *
 * The kernel keeps with a connection who made it: user, group and supplementary groups at that time.
 * It is asked at accept, and again when the configuration's roles have changed. */
#include "supervisor/engine/control_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "supervisor/load/roles.h"

#define GROUPS_FEW      64u   /* most users have fewer; the kernel's most is 65536 */
#define DENIED_PAUSE_MS 1000u /* between events of one kind about who was refused */
#define NAMED_MS        1000u /* that a name of a user is believed */

/* The peer's groups behind its own, into few or memory (free it if it is not few). Without memory, or
 * with a kernel that does not tell, the own one is all that counts: nobody gains by it. */
static uint32_t *
peer_groups(int fd, gid_t own, uint32_t few[GROUPS_FEW], uint32_t *count)
{
    _Static_assert(sizeof(gid_t) == sizeof(uint32_t), "gids are 32 bits");
    uint32_t *groups = few, *more;
    socklen_t size = (GROUPS_FEW - 1) * sizeof *groups;
    int r = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups + 1, &size);
    if (r != 0 && errno == ERANGE && (more = malloc(size + sizeof *groups)) != NULL) {
        groups = more;
        r = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups + 1, &size);
    }
    groups[0] = own;
    *count = 1 + (r == 0 ? size / (uint32_t)sizeof *groups : 0);
    return groups;
}

void
access_take(const struct control *control, int fd, struct peer *peer)
{
    uint32_t few[GROUPS_FEW], count;
    struct ucred who;
    socklen_t size = sizeof who;
    *peer = (struct peer){.uid = NONE, .role = ROLE_NONE};
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0)
        return;
    peer->uid = who.uid;
    peer->pid = who.pid;
    peer->role = ROLE_ADMIN;
    if (who.uid == 0 || who.uid == control->owner)
        return;
    uint32_t *groups = peer_groups(fd, who.gid, few, &count);
    peer->role = roles_of(shell_record(control->shell), who.uid, groups, count);
    if (groups != few)
        free(groups);
}

/* --- who it is, in words */
static const char *
peer_name(struct control *control, const struct peer *peer)
{
    struct named *named = &control->named;
    msec now = io_now();
    if (named->uid != peer->uid || now >= named->until) {
        *named = (struct named){.uid = peer->uid, .until = now + NAMED_MS};
        user_name(shell_record(control->shell), peer->uid, named->name);
    }
    return named->name;
}

const char *
access_who(struct control *control, const struct peer *peer, char text[ACCESS_WHO_MAX])
{
    const char *name = peer_name(control, peer);
    if (name[0] != '\0')
        snprintf(text, ACCESS_WHO_MAX, "user %s (uid %u, pid %d)", name, (unsigned)peer->uid,
                 (int)peer->pid);
    else
        snprintf(text, ACCESS_WHO_MAX, "user %u (pid %d)", (unsigned)peer->uid, (int)peer->pid);
    return text;
}

void
access_tell(struct control *control, const struct peer *peer, const char *method, const char *pool,
            const char *result, const char *text)
{
    struct event_fields fields = {0};
    const char *name = peer_name(control, peer);
    fields_number(&fields, "uid", peer->uid);
    if (name[0] != '\0')
        fields_string(&fields, "user", name);
    fields_number(&fields, "pid", peer->pid);
    fields_string(&fields, "method", method);
    fields_string(&fields, "result", result);
    events_emit(shell_events(control->shell), EVENT_CONTROL_COMMAND, pool, (struct worker_id){0},
                &fields, "%s", text);
}

/* --- refusals */
void
access_describe_refusal(struct control *control, struct json_out *data, const struct peer *peer,
                        enum role needs)
{
    const char *name = peer_name(control, peer), *quote = name[0] == '\0' ? "" : "\"";
    char how[512];
    struct shell_status status;
    shell_status(control->shell, &status);
    snprintf(how, sizeof how,
             "an admin names %s%s%s, or one of its groups as \"@GROUP\", in control.%s of %.200s, "
             "and runs \"poolctl config apply\"",
             quote, name[0] == '\0' ? "the user" : name, quote, record_role_name(needs),
             status.config_path);
    json_out_string(data, "needs", record_role_name(needs));
    json_out_string(data, "role", record_role_name(peer->role));
    json_out_string(data, "user", name[0] == '\0' ? NULL : name);
    json_out_number(data, "uid", peer->uid);
    json_out_string(data, "how", how);
}

void
access_denied(struct control *control, enum denied kind, const struct peer *peer,
              const char *method, enum role needs)
{
    msec now = io_now();
    char who[ACCESS_WHO_MAX], text[ACCESS_WHO_MAX + 128];
    if (now < control->denied_until[kind])
        return;
    control->denied_until[kind] = now + DENIED_PAUSE_MS;
    snprintf(text, sizeof text, "%s by %s was refused: it needs the role %s", method,
             access_who(control, peer, who), record_role_name(needs));
    access_tell(control, peer, method, NULL, "denied", text);
}

/* --- roles that have changed */

/* A subscriber gets no further event, and is told why. */
static void
subscriber_end(struct client *client)
{
    struct json_out data = {0};
    if (client->stream.kind == STREAM_REPLAY)
        stream_end(client);
    client->subscribed = false;
    client->control->subscriber_count--;
    access_describe_refusal(client->control, &data, &client->peer, ROLE_VIEWER);
    reply_error(client, "null", ERROR_DENIED, &data,
                "the role that the events were for was taken away");
    client->closing = true;
    client_wake(client);
}

void
access_changed(struct control *control)
{
    for (struct client *client = control->clients; client != NULL; client = client->next) {
        access_take(control, client->fd, &client->peer);
        if (client->subscribed && client->peer.role < ROLE_VIEWER)
            subscriber_end(client);
    }
}
