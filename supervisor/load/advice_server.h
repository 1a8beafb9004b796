/* advice_server.h - what the server of a pool is told: by its words, and by a file that they name. */
#ifndef POOLD_LOAD_ADVICE_SERVER_H
#define POOLD_LOAD_ADVICE_SERVER_H

#include <stdio.h>

#include "supervisor/load/file.h"
#include "supervisor/load/preset.h"
#include "supervisor/record.h"

#define SERVER_WORDS_MAX 256u
#define SERVER_PATH_MAX  4096u
#define SERVER_FILE_MAX  (256u << 10) /* bytes of its configuration; a longer one is not judged */
#define SERVER_FILES_MAX 100u         /* that it includes */

struct server {
    const struct record *record;
    const struct record_pool *pool;
    enum preset preset;
    const char *words[SERVER_WORDS_MAX]; /* borrowed */
    uint32_t count;
    char *file;      /* its own configuration, without comments; NULL: it has none */
    bool is_unknown; /* it is told more than can be read here: then it is not judged */
};

void server_init(struct server *, const struct record *, const struct record_pool *, enum preset);
void server_fini(struct server *);

/* The value of the i-th word if that is the option: "-b X", "-bX", "--bind X" or "--bind=X". "": it has
 * none. NULL: it is another word. name: "-b" or "--bind". */
const char *server_option(const struct server *, uint32_t i, const char *name);

/* The value of any such word, or NULL. */
const char *server_find(const struct server *, const char *name);

/* What follows key at the start of a line of its file, behind blanks, "=" and ":". *at: where to go on,
 * the file at first. NULL: there is no more. value has no blank or quote around it. */
#define SERVER_VALUE_MAX 256
const char *server_setting(const char **at, const char *key, char value[SERVER_VALUE_MAX]);

/* Whether one of the alternatives, divided by "|", stands in its words or its file, blanks apart. */
bool server_has(const struct server *, const char *alternatives);

/* Whether the pool listens on that port, or on that path. */
bool server_has_port(const struct server *, unsigned port);
bool server_has_path(const struct server *, const char *path);

#endif
