/* cgi_environment.c - makes the variables of a CGI program. */
#include "worker/host/cgi_environment.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "worker/host/exchange.h"

/* What a program of any language needs of the worker's own environment, and nothing else of it. */
static const char *const inherited[] = {"PATH",   "LANG",       "LC_ALL",      "TZ",
                                        "TMPDIR", "POOLD_POOL", "POOLD_WORKER"};

bool
cgi_variable_of(const char *header, char *out, size_t max)
{
    static const char *const without[] = {"Proxy",
                                          "Content-Type",
                                          "Content-Length",
                                          "Authorization",
                                          "Proxy-Authorization",
                                          "Connection",
                                          "Keep-Alive",
                                          "Transfer-Encoding",
                                          "TE",
                                          "Trailer",
                                          "Upgrade",
                                          "Expect"};
    size_t len = strlen(header);
    for (size_t i = 0; i < ARRAY_LEN(without); i++)
        if (strcasecmp(header, without[i]) == 0)
            return false;
    if (len + sizeof "HTTP_" > max)
        return false;
    memcpy(out, "HTTP_", 5);
    for (size_t i = 0; i <= len; i++) {
        char c = header[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && c != '-' && c != '\0' && (c < '0' || c > '9'))
            return false;
        out[5 + i] = (char)(c == '-' ? '_' : c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    return true;
}

static void add(struct cgi_environment *, const char *, ...) ATTR_PRINTF(2, 3);

/* One "NAME=value". */
static void
add(struct cgi_environment *environment, const char *format, ...)
{
    char *at = environment->room + environment->len;
    size_t room = environment->capacity - environment->len;
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(at, room, format, arguments);
    va_end(arguments);
    if (len < 0 || (size_t)len >= room || environment->count == CGI_VARIABLES_MAX) {
        environment->is_full = true;
        return;
    }
    environment->variables[environment->count++] = at;
    environment->len += (size_t)len + 1;
}

/* More of the variable that was added last. */
static void
extend(struct cgi_environment *environment, const char *separator, const char *value)
{
    char *at = environment->room + environment->len - 1;
    size_t room = environment->capacity - environment->len + 1;
    int len = snprintf(at, room, "%s%s", separator, value);
    if (len < 0 || (size_t)len >= room)
        environment->is_full = true;
    else
        environment->len += (size_t)len;
}

enum { HEADERS_MAX = 100 /* as request.c has it */, VARIABLE_MAX = 256 };

struct header_list {
    const char *names[HEADERS_MAX], *values[HEADERS_MAX];
    unsigned count;
};

static enum MHD_Result
collect(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct header_list *list = context;
    (void)kind;
    if (list->count < HEADERS_MAX) {
        list->names[list->count] = name;
        list->values[list->count++] = value;
    }
    return MHD_YES;
}

/* Headers of one name become one variable. */
static void
add_headers(struct cgi_environment *environment, const struct exchange *exchange)
{
    struct header_list list = {.count = 0};
    char variable[VARIABLE_MAX];
    MHD_get_connection_values(exchange->mhd, MHD_HEADER_KIND, collect, &list);
    for (unsigned i = 0; i < list.count; i++) {
        if (list.names[i] == NULL || !cgi_variable_of(list.names[i], variable, sizeof variable))
            continue;
        add(environment, "%s=%s", variable, list.values[i]);
        bool is_cookie = strcasecmp(list.names[i], "Cookie") == 0;
        for (unsigned j = i + 1; j < list.count; j++) {
            if (list.names[j] == NULL || strcasecmp(list.names[i], list.names[j]) != 0)
                continue;
            extend(environment, is_cookie ? "; " : ", ", list.values[j]);
            list.names[j] = NULL;
        }
    }
}

/* The Host header without its port, when it looks like one; else NULL. */
static const char *
host_of(const struct exchange *exchange, size_t *len)
{
    const char *host = exchange_header(exchange, MHD_HTTP_HEADER_HOST);
    if (host == NULL)
        return NULL;
    if (*host == '[')
        *len = 1 + strspn(host + 1, "0123456789abcdefABCDEF:.") + 1;
    else
        *len = strspn(host, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_");
    bool is_closed = *host != '[' || host[*len - 1] == ']';
    return *len > 0 && is_closed && (host[*len] == '\0' || host[*len] == ':') ? host : NULL;
}

/* SERVER_NAME is what the client calls us; without a usable Host our address. */
static void
add_server(struct cgi_environment *environment, const struct exchange *exchange)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    const struct sockaddr_in *four = (const void *)&address;
    const struct sockaddr_in6 *six = (const void *)&address;
    char text[INET6_ADDRSTRLEN] = "localhost";
    unsigned port = 80;
    getsockname(exchange->connection->fd, (struct sockaddr *)&address, &len);
    if (address.ss_family == AF_INET) {
        inet_ntop(AF_INET, &four->sin_addr, text, sizeof text);
        port = ntohs(four->sin_port);
    } else if (address.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof text);
        port = ntohs(six->sin6_port);
    }
    size_t host_len = 0;
    const char *host = host_of(exchange, &host_len);
    if (host != NULL)
        add(environment, "SERVER_NAME=%.*s", (int)host_len, host);
    else
        add(environment, "SERVER_NAME=%s", text);
    add(environment, "SERVER_ADDR=%s", text);
    add(environment, "SERVER_PORT=%u", port);
}

static void
add_request(struct cgi_environment *environment, const struct exchange *exchange,
            const struct cgi_names *names)
{
    const char *root = exchange->server->options.root;
    const char *type = exchange_header(exchange, MHD_HTTP_HEADER_CONTENT_TYPE);
    add(environment, "GATEWAY_INTERFACE=CGI/1.1");
    add(environment, "SERVER_SOFTWARE=poolworker/%s", POOLD_VERSION);
    add(environment, "SERVER_PROTOCOL=%s", exchange->protocol);
    add(environment, "REQUEST_METHOD=%s", exchange->method);
    add(environment, "REQUEST_URI=%s", exchange->target.raw);
    add(environment, "QUERY_STRING=%s", exchange->target.query);
    add(environment, "SCRIPT_NAME=%s", names->script_name);
    add(environment, "SCRIPT_FILENAME=%s", names->script_file);
    add(environment, "REMOTE_ADDR=%s", exchange->connection->peer);
    add(environment, "REMOTE_HOST=%s", exchange->connection->peer);
    add(environment, "REMOTE_PORT=%s", exchange->connection->peer_port);
    add(environment, "REDIRECT_STATUS=200"); /* php-cgi asks for it */
    if (root != NULL)
        add(environment, "DOCUMENT_ROOT=%s", root);
    if (*names->path_info != '\0') {
        add(environment, "PATH_INFO=%s", names->path_info);
        if (root != NULL)
            add(environment, "PATH_TRANSLATED=%s%s", root, names->path_info);
    }
    if (exchange->length > 0)
        add(environment, "CONTENT_LENGTH=%" PRIu64, exchange->length);
    if (exchange->length > 0 && type != NULL)
        add(environment, "CONTENT_TYPE=%s", type);
}

bool
cgi_environment_make(struct cgi_environment *environment, const struct exchange *exchange,
                     const struct cgi_names *names)
{
    *environment = (struct cgi_environment){.capacity = 2 * exchange->server->options.header_size +
                                                        8 * TARGET_MAX};
    environment->room = malloc(environment->capacity);
    if (environment->room == NULL)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(inherited); i++) {
        const char *value = getenv(inherited[i]);
        if (value != NULL)
            add(environment, "%s=%s", inherited[i], value);
    }
    add_request(environment, exchange, names);
    add_server(environment, exchange);
    add_headers(environment, exchange);
    return !environment->is_full;
}

void
cgi_environment_fini(struct cgi_environment *environment)
{
    free(environment->room);
    environment->room = NULL;
}
