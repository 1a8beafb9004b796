/* files.c - answers with a file, some of it, or why not. */
#include "worker/host/files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/host/conditional.h"
#include "worker/host/exchange.h"
#include "worker/host/lookup.h"
#include "worker/host/range.h"

struct file {
    int fd;
    struct stat stat;
    const char *type;
    struct validators validators;
};

int
files_open(struct files *files, const struct options *options, struct err *err)
{
    *files = (struct files){.root = -1};
    if (options->root == NULL)
        return 0;
    files->root = open(options->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (files->root < 0)
        return err_errno(err, -errno, "--root %.100s cannot be opened", options->root);
    return mime_open(&files->mime, options->mime, err);
}

void
files_close(struct files *files)
{
    if (files->root < 0)
        return;
    close(files->root);
    mime_close(&files->mime);
    files->root = -1;
}

/* --- finding it */

static enum refusal
refusal_of(int code)
{
    switch (code) {
    case -EACCES:
    case -EPERM:
        return REFUSAL_FORBIDDEN;
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
    case -EAGAIN:
        return REFUSAL_BUSY;
    default: /* a link (ELOOP), a way out (EXDEV), ENOTDIR: nobody has to know that it is there */
        return REFUSAL_NOT_FOUND;
    }
}

/* "/docs" is "/docs/": relative links of the index would name something else. The path is encoded anew
 * as it came, so nothing in it can become another header or another host. */
static void
redirect_to_slash(struct exchange *exchange)
{
    const char *raw = exchange->target.raw;
    size_t path_len = strcspn(raw, "?"), lead = strspn(raw, "/");
    size_t room = strlen(raw) + 3;
    char *location = malloc(room);
    exchange_answer_text(exchange, MHD_HTTP_MOVED_PERMANENTLY, "301 It is a directory.\n");
    if (location != NULL && exchange->response != NULL) {
        /* "//host" would be another host */
        snprintf(location, room, "/%.*s/%s", (int)(path_len - lead), raw + lead, raw + path_len);
        MHD_add_response_header(exchange->response, MHD_HTTP_HEADER_LOCATION, location);
    }
    free(location);
}

/* The directory's index takes the place of the directory in file. */
static enum refusal
open_index(const struct options *options, struct file *file, const char **name)
{
    int code = -ENOENT;
    for (unsigned i = 0; i < options->index.count && code == -ENOENT; i++) {
        struct stat stat;
        code = lookup_open(file->fd, options->index.items[i], &stat);
        if (code < 0)
            continue;
        close(file->fd);
        file->fd = code;
        file->stat = stat;
        *name = options->index.items[i];
    }
    return code >= 0 ? REFUSAL_NONE : code == -ENOENT ? REFUSAL_NOT_LISTED : refusal_of(code);
}

/* Opens what the path names. True: file is there; false: the exchange has its answer. */
static bool
find(struct exchange *exchange, struct file *file)
{
    const struct server *server = exchange->server;
    const char *path = exchange->target.path, *name = path;
    enum refusal refusal = REFUSAL_NONE;
    file->fd = lookup_open(server->files.root, path, &file->stat);
    if (file->fd < 0) {
        exchange_refuse(exchange, refusal_of(file->fd));
        return false;
    }
    if (S_ISDIR(file->stat.st_mode)) {
        if (path[strlen(path) - 1] != '/') {
            redirect_to_slash(exchange);
            close(file->fd);
            return false;
        }
        refusal = open_index(&server->options, file, &name);
    }
    if (refusal == REFUSAL_NONE && !S_ISREG(file->stat.st_mode))
        refusal = REFUSAL_NOT_FOUND;
    file->type = mime_type(&server->files.mime, name);
    if (refusal == REFUSAL_NONE && file->type == NULL)
        refusal = REFUSAL_NO_TYPE;
    if (refusal == REFUSAL_NONE)
        return true;
    exchange_refuse(exchange, refusal);
    close(file->fd);
    return false;
}

/* --- answering with it */

static void
add_validators(struct MHD_Response *response, const struct file *file)
{
    MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, file->validators.etag);
    MHD_add_response_header(response, MHD_HTTP_HEADER_LAST_MODIFIED, file->validators.date);
}

static void
answer_not_modified(struct exchange *exchange, const struct file *file)
{
    exchange_answer_text(exchange, MHD_HTTP_NOT_MODIFIED, "");
    if (exchange->response != NULL) {
        MHD_del_response_header(exchange->response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                "text/plain; charset=utf-8");
        add_validators(exchange->response, file);
    }
    close(file->fd);
}

static void
answer_no_range(struct exchange *exchange, const struct file *file)
{
    char text[64];
    exchange_refuse(exchange, REFUSAL_RANGE);
    snprintf(text, sizeof text, "bytes */%" PRIu64, (uint64_t)file->stat.st_size);
    if (exchange->response != NULL)
        MHD_add_response_header(exchange->response, MHD_HTTP_HEADER_CONTENT_RANGE, text);
    close(file->fd);
}

/* The response owns the descriptor. */
static void
answer_content(struct exchange *exchange, struct file *file, const struct range *range)
{
    uint64_t size = (uint64_t)file->stat.st_size;
    uint64_t first = range == NULL ? 0 : range->first, len = range == NULL ? size : range->len;
    struct MHD_Response *response = MHD_create_response_from_fd_at_offset64(len, file->fd, first);
    exchange_answer(exchange, range == NULL ? MHD_HTTP_OK : MHD_HTTP_PARTIAL_CONTENT, response);
    if (response == NULL) {
        close(file->fd);
        return;
    }
    exchange->content_bytes = exchange_is(exchange, MHD_HTTP_METHOD_HEAD) ? 0 : len;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, file->type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_ACCEPT_RANGES, "bytes");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    add_validators(response, file);
    if (range != NULL) {
        char text[80];
        snprintf(text, sizeof text, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first,
                 first + len - 1, size);
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_RANGE, text);
    }
}

static void
answer(struct exchange *exchange, struct file *file)
{
    struct range range;
    const struct conditions conditions = {
        .if_match = exchange_header(exchange, MHD_HTTP_HEADER_IF_MATCH),
        .if_unmodified_since = exchange_header(exchange, MHD_HTTP_HEADER_IF_UNMODIFIED_SINCE),
        .if_none_match = exchange_header(exchange, MHD_HTTP_HEADER_IF_NONE_MATCH),
        .if_modified_since = exchange_header(exchange, MHD_HTTP_HEADER_IF_MODIFIED_SINCE),
        .if_range = exchange_header(exchange, MHD_HTTP_HEADER_IF_RANGE),
    };
    const char *wanted = exchange_header(exchange, MHD_HTTP_HEADER_RANGE);
    validators_make(&file->validators, &file->stat, time(NULL));
    switch (conditions_judge(&conditions, &file->validators)) {
    case VERDICT_NOT_MODIFIED:
        answer_not_modified(exchange, file);
        return;
    case VERDICT_FAILED:
        exchange_refuse(exchange, REFUSAL_PRECONDITION);
        close(file->fd);
        return;
    case VERDICT_GO_ON:
        break;
    }
    /* A range is of GET only (RFC 9110, 14.2). */
    enum range_outcome outcome = RANGE_WHOLE;
    if (wanted != NULL && exchange_is(exchange, MHD_HTTP_METHOD_GET) &&
        conditions_range_holds(&conditions, &file->validators))
        outcome = range_parse(wanted, (uint64_t)file->stat.st_size, &range);
    if (outcome == RANGE_BEYOND)
        answer_no_range(exchange, file);
    else
        answer_content(exchange, file, outcome == RANGE_PART ? &range : NULL);
}

static void
files_begin(struct exchange *exchange)
{
    if (exchange_is(exchange, MHD_HTTP_METHOD_GET) || exchange_is(exchange, MHD_HTTP_METHOD_HEAD))
        return;
    if (!exchange_is(exchange, MHD_HTTP_METHOD_OPTIONS)) {
        exchange_refuse(exchange, REFUSAL_BAD_METHOD);
        return;
    }
    exchange_answer_text(exchange, MHD_HTTP_OK, "");
    if (exchange->response != NULL)
        MHD_add_response_header(exchange->response, MHD_HTTP_HEADER_ALLOW, files_handler.methods);
}

static void
files_end(struct exchange *exchange)
{
    struct file file;
    if (find(exchange, &file))
        answer(exchange, &file);
}

const struct handler files_handler = {
    .methods = "GET, HEAD, OPTIONS", .begin = files_begin, .end = files_end};
