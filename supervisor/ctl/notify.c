/* notify.c - the verb notify: one message from inside a worker, for programs that have no datagrams. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/message.h"
#include "common/text.h"
#include "supervisor/ctl/ctl.h"

#define SEND_LIMIT_S 5 /* poold takes messages within milliseconds, its keeper within a second */

static const char *const keys[] = {
#define MESSAGE_FLAG(bit, key, value)   key,
#define MESSAGE_NUMBER(bit, key, field) key,
#define MESSAGE_TEXT(bit, key, field)   key,
#include "common/message.def"
};

/* An unknown key may be another service manager's, or a newer poold's: it is sent all the same. */
static void
warn_of_unknown_key(const char *argument, size_t key_len)
{
    char key[TEXT_WORD_MAX + 1], hint[TEXT_WORD_MAX + 32];
    struct text_nearest nearest;
    snprintf(key, sizeof key, "%.*s", (int)MIN(key_len, sizeof key - 1), argument);
    text_nearest_init(&nearest, key);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (strlen(keys[i]) == key_len && memcmp(keys[i], argument, key_len) == 0)
            return;
        text_nearest_offer(&nearest, keys[i]);
    }
    snprintf(hint, sizeof hint, "did you mean \"%s\"?", nearest.best);
    ctl_complain(key, nearest.best[0] == '\0' ? NULL : hint,
                 "warning: poold knows no such key and ignores it");
}

static bool
check_argument(const char *argument)
{
    struct message message;
    const char *equals = strchr(argument, '=');
    if (equals == NULL || equals == argument)
        ctl_complain(argument, "a message is written like READY=1 or STATUS=warming up",
                     "it is not KEY=VALUE");
    else if (strchr(argument, '\n') != NULL)
        ctl_complain(argument, "give each KEY=VALUE as an argument of its own",
                     "it has more than one line");
    else if (strlen(argument) > MESSAGE_MAX)
        ctl_complain(NULL, NULL, "%.*s has %zu bytes: a message has at most %u",
                     (int)MIN(equals - argument, 64), argument, strlen(argument), MESSAGE_MAX);
    else if (!message_read(&message, argument, strlen(argument)))
        ctl_complain(argument, NULL, "its value must be a whole number from 0 on");
    else {
        warn_of_unknown_key(argument, (size_t)(equals - argument));
        return true;
    }
    return false;
}

/* 0: it does not fit. */
static size_t
collect(const struct ctl *ctl, char text[MESSAGE_MAX])
{
    size_t at = 0;
    for (int i = 0; i < ctl->argc; i++) {
        size_t len = strlen(ctl->argv[i]);
        if (len + 1 > MESSAGE_MAX - at)
            return 0;
        memcpy(text + at, ctl->argv[i], len);
        at += len;
        text[at++] = '\n';
    }
    return at;
}

/* The length of the address, 0: it is none. */
static socklen_t
address_of(const char *path, struct sockaddr_un *address)
{
    size_t len = strlen(path);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if ((path[0] != '/' && path[0] != '@') || len < 2 || len >= sizeof address->sun_path)
        return 0;
    memcpy(address->sun_path, path, len);
    bool is_abstract = path[0] == '@'; /* such a name has no NUL behind it */
    if (is_abstract)
        address->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + !is_abstract);
}

/* 0 or a negative errno. Waits for room: who runs a program a message can wait for it. */
static int
send_text(const struct sockaddr_un *address, socklen_t address_len, const char *text, size_t len)
{
    const struct timeval limit = {.tv_sec = SEND_LIMIT_S};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int r = setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (r == 0 && sendto(fd, text, len, MSG_NOSIGNAL, (const struct sockaddr *)address,
                         address_len) != (ssize_t)len)
        r = -1;
    int error = errno;
    close(fd);
    return r == 0 ? 0 : -error;
}

static enum ctl_exit
say_failure(const char *path, int r)
{
    if (r == -EAGAIN || r == -EWOULDBLOCK) {
        ctl_complain(path, NULL, "poold has taken no message for %d s", SEND_LIMIT_S);
        return CTL_FAILED;
    }
    bool nobody = r == -ENOENT || r == -ECONNREFUSED;
    ctl_complain(path, nobody ? "the poold that started this worker has ended" : NULL, "%s",
                 strerror(-r));
    if (nobody)
        return CTL_UNREACHABLE;
    return r == -EACCES || r == -EPERM ? CTL_DENIED : CTL_FAILED;
}

enum ctl_exit
verb_notify(struct ctl *ctl)
{
    char text[MESSAGE_MAX];
    for (int i = 0; i < ctl->argc; i++)
        if (!check_argument(ctl->argv[i]))
            return CTL_USAGE;
    size_t len = collect(ctl, text);
    if (len == 0) {
        ctl_complain(NULL, NULL, "together it is more than the %u bytes of a message", MESSAGE_MAX);
        return CTL_USAGE;
    }
    const char *path = getenv("NOTIFY_SOCKET");
    if (path == NULL || path[0] == '\0') {
        ctl_complain(NULL,
                     "poold sets it for every worker; programs that the worker starts must keep it",
                     "NOTIFY_SOCKET is not set: this is not run by a worker");
        return CTL_UNREACHABLE;
    }
    struct sockaddr_un address;
    socklen_t address_len = address_of(path, &address);
    if (address_len == 0) {
        ctl_complain(path, NULL, "NOTIFY_SOCKET is not the path of a socket");
        return CTL_UNREACHABLE;
    }
    int r = send_text(&address, address_len, text, len);
    return r == 0 ? CTL_DONE : say_failure(path, r);
}
