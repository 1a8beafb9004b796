/* mime.c - reads /etc/mime.types, once. */
#include "worker/host/mime.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TABLE_MAX = 1024 * 1024, ENTRIES_MAX = 16384 };

struct mime_entry {
    const char *extension;
    const char *type;
};

/* For machines without the table: what the pages of the web are made of. */
static const char built_in[] = "text/html html htm\ntext/css css\ntext/javascript js mjs\n"
                               "text/plain txt text\ntext/csv csv\napplication/json json\n"
                               "application/xml xml\napplication/pdf pdf\napplication/wasm wasm\n"
                               "application/zip zip\napplication/gzip gz\nimage/svg+xml svg\n"
                               "image/png png\nimage/jpeg jpg jpeg\nimage/gif gif\n"
                               "image/webp webp\nimage/vnd.microsoft.icon ico\nfont/woff2 woff2\n"
                               "font/woff woff\naudio/mpeg mp3\nvideo/mp4 mp4\nvideo/webm webm\n";

static int
compare(const void *a, const void *b)
{
    return strcasecmp(((const struct mime_entry *)a)->extension,
                      ((const struct mime_entry *)b)->extension);
}

/* The whole file with a NUL behind it; NULL with *code set. */
static char *
read_file(const char *path, int *code)
{
    struct stat stat;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *text = NULL;
    size_t len = 0;
    if (fd < 0 || fstat(fd, &stat) != 0) {
        *code = -errno;
    } else if (!S_ISREG(stat.st_mode) || stat.st_size > TABLE_MAX) {
        *code = -EFBIG;
    } else if ((text = malloc((size_t)stat.st_size + 1)) == NULL) {
        *code = -ENOMEM;
    } else {
        for (ssize_t n; len < (size_t)stat.st_size; len += (size_t)n)
            if ((n = read(fd, text + len, (size_t)stat.st_size - len)) <= 0)
                break;
        text[len] = '\0';
    }
    if (fd >= 0)
        close(fd);
    return text;
}

/* Cuts the text into entries, in place. */
static int
cut(struct mime *mime)
{
    char *line_rest, *word_rest;
    mime->entries = calloc(ENTRIES_MAX, sizeof *mime->entries);
    if (mime->entries == NULL)
        return -ENOMEM;
    for (char *line = strtok_r(mime->text, "\n", &line_rest); line != NULL;
         line = strtok_r(NULL, "\n", &line_rest)) {
        char *type = strtok_r(line, " \t\r", &word_rest);
        if (type == NULL || *type == '#' || strchr(type, '/') == NULL)
            continue;
        for (char *word; mime->count < ENTRIES_MAX &&
                         (word = strtok_r(NULL, " \t\r", &word_rest)) != NULL && *word != '#';)
            mime->entries[mime->count++] = (struct mime_entry){word, type};
    }
    qsort(mime->entries, mime->count, sizeof *mime->entries, compare);
    return 0;
}

int
mime_open(struct mime *mime, const char *path, struct err *err)
{
    int code = 0;
    *mime = (struct mime){.text = read_file(path, &code)};
    if (code == -ENOENT)
        code = (mime->text = strdup(built_in)) == NULL ? -ENOMEM : 0;
    if (code == 0)
        code = cut(mime);
    if (code == 0)
        return 0;
    mime_close(mime);
    return err_errno(err, code, "the table of media types %s cannot be read", path);
}

void
mime_close(struct mime *mime)
{
    free(mime->entries);
    free(mime->text);
    *mime = (struct mime){0};
}

const char *
mime_type(const struct mime *mime, const char *name)
{
    const char *dot = strrchr(name, '.');
    if (dot == NULL || strchr(dot, '/') != NULL)
        return NULL;
    struct mime_entry wanted = {.extension = dot + 1};
    const struct mime_entry *found =
        bsearch(&wanted, mime->entries, mime->count, sizeof wanted, compare);
    return found == NULL ? NULL : found->type;
}
