/* advice_server.c - what the server of a pool is told: by its words, and by a file that they name. */
#include "supervisor/load/advice_server.h"

#include <ctype.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* --- its words */
static const char *
next_word(const char *word)
{
    return word + strlen(word) + 1;
}

static void
take_words(struct server *server)
{
    const char *word = record_text(server->record, server->pool->argv.at);
    server->is_unknown = server->pool->argv.count > SERVER_WORDS_MAX;
    for (uint32_t i = 0; i < MIN(server->pool->argv.count, SERVER_WORDS_MAX); i++) {
        server->words[server->count++] = word;
        word = next_word(word);
    }
}

const char *
server_option(const struct server *server, uint32_t i, const char *name)
{
    const char *word = server->words[i];
    size_t len = strlen(name);
    bool is_long = name[1] == '-';
    if (strncmp(word, name, len) != 0)
        return NULL;
    if (word[len] == '\0')
        return i + 1 < server->count ? server->words[i + 1] : "";
    if (!is_long)
        return word + len;
    return word[len] == '=' ? word + len + 1 : NULL;
}

const char *
server_find(const struct server *server, const char *name)
{
    const char *value = NULL;
    for (uint32_t i = 1; i < server->count && value == NULL; i++)
        value = server_option(server, i, name);
    return value;
}

/* --- its file */

/* Where the words name it; where it is looked for when they name none, in the pool's directory; and a
 * variable that may say anything. */
static const struct {
    const char *option, *long_option, *unnamed, *variable;
} places[PRESET_COUNT] = {
    [PRESET_GUNICORN] = {"-c", "--config", "gunicorn.conf.py", "GUNICORN_CMD_ARGS="},
    [PRESET_UWSGI] = {"--ini", "--ini", NULL, "UWSGI_"},
    [PRESET_PUMA] = {"-C", "--config", "config/puma.rb", "PUMA_"},
    [PRESET_NGINX] = {"-c", "-c", NULL, NULL},
    [PRESET_PHP_FPM] = {"-y", "--fpm-config", NULL, NULL},
    [PRESET_LIGHTTPD] = {"-f", "-f", NULL, NULL},
    [PRESET_HAPROXY] = {"-f", "-f", NULL, NULL},
};

static bool
has_variable(const struct server *server, const char *start)
{
    const char *entry = record_text(server->record, server->pool->env.at);
    for (uint32_t i = 0; i < server->pool->env.count; i++, entry = next_word(entry)) {
        if (strncmp(entry, start, strlen(start)) == 0)
            return true;
    }
    return false;
}

/* From "#" to the end of the line, and of php-fpm and uwsgi from ";" at its start. */
static void
drop_comments(char *text, bool semicolons)
{
    bool at_start = true, inside = false;
    for (; *text != '\0'; text++) {
        if (*text == '\n')
            at_start = true, inside = false;
        else if (*text == '#' || (semicolons && at_start && *text == ';'))
            inside = true;
        else if (!isspace((unsigned char)*text))
            at_start = false;
        if (inside)
            *text = ' ';
    }
}

static void
take_file(struct server *server, const char *named)
{
    const char *directory = record_text(server->record, server->pool->directory);
    const char *prefix = server->preset == PRESET_NGINX ? server_find(server, "-p") : NULL;
    char path[SERVER_PATH_MAX];
    struct file_text file = {0};
    struct err err;
    if (named[0] == '/')
        directory = "";
    else if (prefix != NULL && prefix[0] == '/')
        directory = prefix;
    int len = snprintf(path, sizeof path, "%s/%s", directory, named);
    if (len >= (int)sizeof path || file_read(path, SERVER_FILE_MAX, &file, &err) != 0) {
        server->is_unknown = true;
        return;
    }
    bool semicolons = server->preset == PRESET_PHP_FPM || server->preset == PRESET_UWSGI;
    server->file = calloc(file.len + 1, 1);
    if (server->file == NULL) {
        server->is_unknown = true;
    } else {
        memcpy(server->file, file.bytes, file.len);
        drop_comments(server->file, semicolons);
    }
    free(file.bytes);
}

/* uwsgi takes a file by its ending. */
static bool
names_other_file(const struct server *server)
{
    static const char *const endings[] = {".ini", ".yaml", ".yml", ".xml", ".json"};
    for (uint32_t i = 1; i < server->count; i++) {
        const char *dot = strrchr(server->words[i], '.');
        for (size_t e = 0; dot != NULL && e < ARRAY_LEN(endings); e++) {
            if (strcmp(dot, endings[e]) == 0 && strcmp(server->words[i - 1], "--ini") != 0 &&
                strncmp(server->words[i], "--ini=", 6) != 0)
                return true;
        }
    }
    return false;
}

void
server_init(struct server *server, const struct record *record, const struct record_pool *pool,
            enum preset preset)
{
    *server = (struct server){.record = record, .pool = pool, .preset = preset};
    take_words(server);
    if (places[preset].variable != NULL && has_variable(server, places[preset].variable))
        server->is_unknown = true;
    if (places[preset].option == NULL)
        return;
    if (preset == PRESET_UWSGI && names_other_file(server))
        server->is_unknown = true;
    const char *named = server_find(server, places[preset].option);
    if (named == NULL)
        named = server_find(server, places[preset].long_option);
    if (named != NULL)
        take_file(server, named);
    else if (places[preset].unnamed == NULL)
        server->is_unknown |= preset != PRESET_UWSGI; /* somewhere there is one all the same */
    else {
        bool unknown = server->is_unknown;
        take_file(server, places[preset].unnamed);
        server->is_unknown = unknown; /* it need not be there */
    }
}

void
server_fini(struct server *server)
{
    free(server->file);
    server->file = NULL;
}

const char *
server_setting(const char **at, const char *key, char value[SERVER_VALUE_MAX])
{
    size_t len = strlen(key);
    while (*at != NULL && **at != '\0') {
        const char *line = *at + strspn(*at, " \t\r");
        const char *end = line + strcspn(line, "\n");
        *at = *end == '\0' ? end : end + 1;
        if (strncmp(line, key, len) != 0 || strchr(" \t=:('\"", line[len]) == NULL)
            continue;
        line += len + strspn(line + len, " \t=('\"");
        snprintf(value, SERVER_VALUE_MAX, "%.*s", (int)MIN(end - line, SERVER_VALUE_MAX - 1), line);
        value[strcspn(value, " \t\r;'\")")] = '\0';
        return value;
    }
    return NULL;
}

/* --- all of it */
static bool
begins(const char *text, const char *wanted, size_t len)
{
    for (size_t found = 0; found < len;) {
        if (isspace((unsigned char)wanted[found]))
            found++;
        else if (isspace((unsigned char)*text))
            text++;
        else if (*text++ != wanted[found++])
            return false;
    }
    return true;
}

static bool
holds(const char *text, const char *wanted, size_t len)
{
    while (*text != '\0' && !begins(text, wanted, len))
        text++;
    return *text != '\0';
}

bool
server_has(const struct server *server, const char *alternatives)
{
    for (const char *at = alternatives; *at != '\0';) {
        size_t len = strcspn(at, "|");
        if (server->file != NULL && holds(server->file, at, len))
            return true;
        for (uint32_t i = 0; i < server->count; i++) {
            if (holds(server->words[i], at, len))
                return true;
        }
        at += len + (at[len] == '|');
    }
    return false;
}

bool
server_has_port(const struct server *server, unsigned port)
{
    for (uint32_t i = 0; i < server->pool->socket_count; i++) {
        const struct record_socket *socket =
            &server->record->sockets[server->pool->socket_first + i];
        struct sockaddr_in in; /* the port stands at the same place in both families */
        memcpy(&in, socket->sockaddr, sizeof in);
        if (socket->family != AF_UNIX && ntohs(in.sin_port) == port)
            return true;
    }
    return false;
}

bool
server_has_path(const struct server *server, const char *path)
{
    for (uint32_t i = 0; i < server->pool->socket_count; i++) {
        const struct record_socket *socket =
            &server->record->sockets[server->pool->socket_first + i];
        const char *own = (const char *)socket->sockaddr + offsetof(struct sockaddr_un, sun_path);
        if (socket->family == AF_UNIX && strcmp(own, path) == 0)
            return true;
    }
    return false;
}
