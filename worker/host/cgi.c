/* cgi.c - finds the program that a path names and starts it. */
#include "worker/host/cgi.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/host/cgi_environment.h"
#include "worker/host/cgi_program.h"
#include "worker/host/exchange.h"
#include "worker/host/lookup.h"

static const char default_prefix[] = "/cgi-bin/";

/* "DIR" or "/PREFIX/=DIR". */
int
cgi_open(struct server *server, struct err *err)
{
    struct cgi *cgi = &server->cgi;
    const char *text = server->options.cgi, *directory = text;
    *cgi = (struct cgi){.directory_fd = -1};
    timeout_queue_open(&cgi->limit_queue, &server->loop, server->options.cgi_timeout);
    if (text == NULL)
        return 0;
    const char *equals = strchr(text, '=');
    bool has_prefix = equals != NULL && equals > text && equals[-1] == '/' && *text == '/';
    if (has_prefix)
        directory = equals + 1;
    cgi->directory = realpath(directory, NULL);
    cgi->directory_fd =
        cgi->directory == NULL ? -1 : open(cgi->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (cgi->directory_fd < 0)
        return err_errno(err, -errno, "--cgi %.100s cannot be opened", directory);
    cgi->prefix = has_prefix ? strndup(text, (size_t)(equals - text)) : strdup(default_prefix);
    return cgi->prefix == NULL ? err_errno(err, -ENOMEM, "cannot begin") : 0;
}

void
cgi_close(struct server *server)
{
    struct cgi *cgi = &server->cgi;
    cgi_programs_kill(server);
    if (cgi->directory_fd >= 0)
        close(cgi->directory_fd);
    free(cgi->directory);
    free(cgi->prefix);
    cgi->directory_fd = -1;
    cgi->directory = cgi->prefix = NULL;
}

struct script {
    char name[TARGET_MAX + 1];            /* SCRIPT_NAME */
    char file[PATH_MAX + TARGET_MAX + 2]; /* its own path */
    char directory[PATH_MAX + TARGET_MAX + 2];
    const char *path_info;
};

/* The shortest front part of the path that is a file is the program; what follows is for it to know. */
static enum refusal
find(const struct cgi *cgi, const char *path, struct script *out)
{
    size_t prefix_len = strlen(cgi->prefix);
    if (strlen(path) <= prefix_len)
        return REFUSAL_NOT_LISTED;
    for (const char *end = path + prefix_len;; end++) {
        struct stat stat;
        end += strcspn(end, "/");
        snprintf(out->name, sizeof out->name, "%.*s", (int)(end - path), path);
        int fd = lookup_open(cgi->directory_fd, out->name + prefix_len, &stat);
        if (fd < 0)
            return fd == -EACCES ? REFUSAL_NOT_EXECUTABLE : REFUSAL_NOT_FOUND;
        close(fd);
        if (S_ISREG(stat.st_mode) &&
            faccessat(cgi->directory_fd, out->name + prefix_len, X_OK, AT_EACCESS) != 0)
            return REFUSAL_NOT_EXECUTABLE;
        if (S_ISREG(stat.st_mode)) {
            out->path_info = end;
            break;
        }
        if (!S_ISDIR(stat.st_mode) || *end == '\0' || end[1] == '\0')
            return S_ISDIR(stat.st_mode) ? REFUSAL_NOT_LISTED : REFUSAL_NOT_FOUND;
    }
    snprintf(out->file, sizeof out->file, "%s/%s", cgi->directory, out->name + prefix_len);
    snprintf(out->directory, sizeof out->directory, "%.*s",
             (int)(strrchr(out->file, '/') - out->file), out->file);
    return REFUSAL_NONE;
}

static enum refusal
start(struct exchange *exchange)
{
    struct script script;
    struct cgi_environment environment;
    struct server *server = exchange->server;
    if (exchange->length == UINT64_MAX)
        return REFUSAL_NO_LENGTH; /* CONTENT_LENGTH has to be known before it starts */
    enum refusal refusal = find(&server->cgi, exchange->target.path, &script);
    if (refusal != REFUSAL_NONE)
        return refusal;
    if (server->cgi.running >= server->options.cgi_programs)
        return REFUSAL_BUSY;
    const struct cgi_names names = {script.name, script.file, script.path_info};
    int code = -E2BIG;
    if (cgi_environment_make(&environment, exchange, &names))
        code = cgi_program_start(exchange, script.file, script.directory, environment.variables);
    cgi_environment_fini(&environment);
    if (code == 0)
        return REFUSAL_NONE;
    access_log_remark(&server->log, "%s cannot be started: %s", script.name, strerror(-code));
    return code == -E2BIG ? REFUSAL_HEAD_TOO_LARGE
           : code == -EAGAIN || code == -ENOMEM || code == -EMFILE || code == -ENFILE
               ? REFUSAL_BUSY
               : REFUSAL_BROKEN;
}

static void
cgi_begin(struct exchange *exchange)
{
    enum refusal refusal = start(exchange);
    if (refusal != REFUSAL_NONE)
        exchange_refuse(exchange, refusal);
}

static size_t
cgi_body(struct exchange *exchange, const char *data, size_t len)
{
    return cgi_program_write(exchange->work, data, len);
}

static void
cgi_end(struct exchange *exchange)
{
    cgi_program_end_input(exchange->work);
}

static void
cgi_fini(struct exchange *exchange)
{
    if (exchange->work != NULL)
        cgi_program_leave(exchange->work);
    exchange->work = NULL;
}

const struct handler cgi_handler = {
    .begin = cgi_begin, .body = cgi_body, .end = cgi_end, .fini = cgi_fini};
