/* advice_preset.c - servers whose ways are known (preset.def) and that are told something which keeps
 * them from poold's sockets, or from leaving as poold expects it. Only what is certain is said. */
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/load/advice.h"
#include "supervisor/load/advice_server.h"
#include "supervisor/load/keys.h"

#define NO_PORT UINT_MAX

static void say(const struct server *server, FILE *out, const char *format, ...) ATTR_PRINTF(3, 4);

static void
say(const struct server *server, FILE *out, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    fprintf(out, "pool \"%s\": ", record_text(server->record, server->pool->name));
    vfprintf(out, format, values);
    fputc('\n', out);
    va_end(values);
}

static void
say_own(const struct server *server, FILE *out, const char *what, const char *value)
{
    say(server, out,
        "with \"%s\" \"%.100s\" %s listens there by itself, and its successor cannot; %s", what,
        value, preset_names[server->preset],
        "leave it to \"listen\", or name what is in \"listen\"");
}

/* --- addresses */

/* The port at the end of "127.0.0.1:80", "[::1]:80", ":80" or "80". NO_PORT: it has none. */
static unsigned
port_of(const char *address)
{
    const char *colon = strrchr(address, ':'), *bracket = strrchr(address, ']');
    const char *digits = colon == NULL ? address : colon + 1;
    if (bracket != NULL && colon != NULL && colon < bracket)
        return NO_PORT;
    if (digits[0] == '\0' || digits[strspn(digits, "0123456789")] != '\0')
        return NO_PORT;
    return (unsigned)strtoul(digits, NULL, 10);
}

/* Whether the server must bind it by itself, as no socket of the pool can be meant. */
static bool
is_own(const struct server *server, const char *address)
{
    unsigned port = port_of(address);
    if (address[0] == '/')
        return !server_has_path(server, address);
    return port != NO_PORT && !server_has_port(server, port);
}

/* Whether a descriptor by that number is one of the pool's sockets. */
static bool
is_socket(const struct server *server, const char *number)
{
    char *end;
    unsigned long fd = strtoul(number, &end, 10);
    return end != number && fd >= 3 && fd < 3 + server->pool->socket_count;
}

/* --- one server each */
static void
advise_gunicorn(const struct server *server, FILE *out)
{
    for (uint32_t i = 1; i < server->count; i++) {
        const char *value = server_option(server, i, "-b");
        if (value == NULL)
            value = server_option(server, i, "--bind");
        if (value == NULL)
            continue;
        bool is_fd = strncmp(value, "fd://", 5) == 0;
        if (server->pool->handoff == HANDOFF_LISTEN_FDS && is_fd)
            say(server, out,
                "with \"--bind\" \"%.100s\" gunicorn takes the socket twice, and removes the path "
                "of a "
                "unix one when it ends; leave it out",
                value);
        else if (server->pool->handoff == HANDOFF_FD && !is_fd)
            say_own(server, out, "--bind", value);
    }
    if (server->pool->handoff == HANDOFF_FD && server_find(server, "-b") == NULL &&
        server_find(server, "--bind") == NULL && !server_has(server, "bind="))
        say(server, out,
            "without LISTEN_FDS gunicorn listens on 127.0.0.1:8000; set \"handoff\": "
            "\"listen_fds\"");
}

static void
advise_uvicorn(const struct server *server, FILE *out)
{
    const char *fd = server_find(server, "--fd");
    if (fd != NULL && !is_socket(server, fd))
        say(server, out, "\"--fd\" \"%.20s\" is none of its sockets, which begin at 3", fd);
}

static void
advise_uwsgi(const struct server *server, FILE *out)
{
    static const char *const options[] = {"--http",          "--http-socket",  "--https",
                                          "--socket",        "--uwsgi-socket", "--fastcgi-socket",
                                          "--http11-socket", "--scgi-socket",  "-s"};
    char value[SERVER_VALUE_MAX];
    for (size_t o = 0; o < ARRAY_LEN(options); o++) {
        const char *at = server->file, *key = options[o] + 2;
        for (uint32_t i = 1; i < server->count; i++) {
            const char *own = server_option(server, i, options[o]);
            if (own != NULL && strncmp(own, "fd://", 5) != 0)
                say_own(server, out, options[o], own);
        }
        while (options[o][1] == '-' && server_setting(&at, key, value) != NULL) {
            if (strncmp(value, "fd://", 5) != 0)
                say_own(server, out, key, value);
        }
    }
    if (server_has(server, "die-on-term"))
        say(server, out,
            "with \"die-on-term\" uwsgi cuts the requests that it has when it is told to "
            "leave; leave it out");
}

static void
advise_puma(const struct server *server, FILE *out)
{
    static const char *const options[] = {"-b", "--bind", "-p", "--port"};
    if (server_has(server, "--bind-to-activated-sockets=only"))
        return;
    for (uint32_t i = 1; i < server->count; i++) {
        for (size_t o = 0; o < ARRAY_LEN(options); o++) {
            const char *value = server_option(server, i, options[o]);
            const char *address = value;
            if (value != NULL && strncmp(value, "tcp://", 6) == 0)
                address = value + 6;
            else if (value != NULL && strncmp(value, "unix:///", 8) == 0)
                address = value + 7;
            if (value != NULL && is_own(server, address))
                say_own(server, out, options[o], value);
        }
    }
}

static void
advise_nginx(const struct server *server, FILE *out)
{
    char value[SERVER_VALUE_MAX], own[SERVER_VALUE_MAX];
    const char *at = server->file;
    while (server_setting(&at, "listen", value) != NULL) {
        snprintf(own, sizeof own, "%s", strncmp(value, "unix:", 5) == 0 ? value + 5 : value);
        if (is_own(server, own))
            say_own(server, out, "listen", value);
    }
}

/* Global, but files that are included may say it too. */
static bool
has_process_control_timeout(const struct server *server)
{
    char value[SERVER_VALUE_MAX];
    const char *at = server->file;
    bool found = false;
    while (server_setting(&at, "process_control_timeout", value) != NULL)
        found |= strtoul(value, NULL, 10) > 0;
    at = server->file;
    while (!found && server_setting(&at, "include", value) != NULL) {
        struct file_names names = {0};
        struct err err;
        if (file_match(value, SERVER_FILES_MAX, &names, &err) != 0)
            return true; /* it may */
        for (size_t i = 0; i < names.count && !found; i++) {
            struct file_text file = {0};
            found = file_read(names.list[i], SERVER_FILE_MAX, &file, &err) != 0 ||
                    memmem(file.bytes, file.len, "process_control_timeout", 23) != NULL;
            free(file.bytes);
        }
        file_names_fini(&names);
    }
    return found;
}

static void
advise_php_fpm(const struct server *server, FILE *out)
{
    char value[SERVER_VALUE_MAX];
    const char *at = server->file;
    if (server->file == NULL)
        return;
    if (!has_process_control_timeout(server))
        say(server, out,
            "without \"process_control_timeout\" in its file php-fpm cuts the requests that "
            "it has when it is told to leave; write \"process_control_timeout = 60s\"");
    while (server_setting(&at, "listen", value) != NULL) {
        if (is_own(server, value))
            say_own(server, out, "listen", value);
    }
}

static void
advise_php_cgi(const struct server *server, FILE *out)
{
    const char *value = server_find(server, "-b");
    if (value != NULL)
        say_own(server, out, "-b", value);
}

static void
advise_lighttpd(const struct server *server, FILE *out)
{
    char value[SERVER_VALUE_MAX];
    const char *at = server->file;
    if (at == NULL || server_setting(&at, "include", value) != NULL ||
        server_has(server, "include_shell") ||
        server_has(server, "server.systemd-socket-activation=\"enable\""))
        return;
    say(server, out,
        "without server.systemd-socket-activation = \"enable\" in its file lighttpd does not "
        "take the socket");
}

static void
advise_haproxy(const struct server *server, FILE *out)
{
    char value[SERVER_VALUE_MAX];
    const char *at = server->file;
    if (server->file != NULL && server_setting(&at, "bind", value) != NULL &&
        !server_has(server, "bindfd@|bind\"fd@"))
        say(server, out, "no \"bind\" of its file takes a socket from poold; write \"bind fd@3\"");
    if (server_find(server, "-D") != NULL && server_find(server, "-db") == NULL)
        say(server, out, "with \"-D\" it leaves for the background; leave it out");
}

/* --- all */

/* The preset that the pool has. */
static enum preset
preset_of(const struct record *record, const struct record_pool *pool)
{
    const size_t row = (size_t)(key_find(SCOPE_POOL, "preset") - config_keys);
    for (uint32_t i = 0; i < pool->value_count; i++) {
        struct record_value value = record_value_at(record, pool, i);
        char name[32]; /* the value is a JSON string of ours: a name between quotes */
        if (value.key == row && sscanf(record_text(record, value.text), "\"%31[^\"]\"", name) == 1)
            return preset_find(name);
    }
    return PRESET_NONE;
}

/* A preset knows what its server has to be told. */
static void
advise_word(const struct server *server, FILE *out)
{
    const char *word = preset_word(server->preset);
    bool only_words = server->preset == PRESET_LIGHTTPD || server->preset == PRESET_UVICORN;
    if (word[0] == '\0' || (server->is_unknown && !only_words) || server_has(server, word))
        return;
    say(server, out, "without \"%.*s\" in its command %s", (int)strcspn(word, "|"), word,
        preset_without(server->preset));
}

void
advice_print_preset(const struct record *record, const struct record_pool *pool, FILE *out)
{
    static void (*const advise[PRESET_COUNT])(const struct server *, FILE *) = {
        [PRESET_GUNICORN] = advise_gunicorn, [PRESET_UVICORN] = advise_uvicorn,
        [PRESET_UWSGI] = advise_uwsgi,       [PRESET_PUMA] = advise_puma,
        [PRESET_NGINX] = advise_nginx,       [PRESET_PHP_FPM] = advise_php_fpm,
        [PRESET_PHP_CGI] = advise_php_cgi,   [PRESET_LIGHTTPD] = advise_lighttpd,
        [PRESET_HAPROXY] = advise_haproxy};
    enum preset preset = preset_of(record, pool);
    struct server server;
    if (preset == PRESET_NONE)
        return;
    server_init(&server, record, pool, preset);
    advise_word(&server, out);
    if (advise[preset] != NULL && pool->socket_count > 0 && !server.is_unknown)
        advise[preset](&server, out);
    server_fini(&server);
}
