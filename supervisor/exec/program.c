/* program.c - makes argv and envp of a worker from its records and what only its process knows. */
#include "supervisor/exec/helper.h"

#include "supervisor/exec/syscall.h"

/* Pointers, not bytes: the kernel's own limit is on bytes, and comes from exec as E2BIG. */
#define STRINGS_MAX 4096
#define OURS_MAX    7     /* LISTEN_FDS, _PID, _FDNAMES, NOTIFY_SOCKET, POOLD_POOL, ... */
#define TEXT_MAX    32768 /* of those: 64 names or addresses, a path, a pool's name, some numbers */

static char text[TEXT_MAX];
static size_t text_used;
static char *arguments[STRINGS_MAX + 1];
static char *environment[STRINGS_MAX + OURS_MAX + 1];

static void strings_list(char **out, const char *first, uint32_t count);
static bool variables_add(char **out, const struct record *record, const struct record_pool *pool,
                          const struct spec *spec);
static bool sockets_tell(char ***out, const struct record *record, const struct record_pool *pool,
                         const struct spec *spec);
static bool listen_fdnames_put(const struct record *record, const struct spec *spec);
static bool nginx_put(const struct spec *spec);
static bool fpm_sockets_put(const struct record *record, const struct spec *spec);
static bool begin(char ***out, const char *name);
static bool put(const char *string);
static bool put_number(uint32_t number);
static bool put_end(void);

bool
program_make(struct program *out, const struct record *record, const struct record_pool *pool,
             const struct spec *spec)
{
    const struct record_strings *argv = spec->kind == SPAWN_COMMAND ? &pool->ready : &pool->argv;
    if (argv->count > STRINGS_MAX || pool->env.count > STRINGS_MAX)
        return false;
    strings_list(arguments, record->text + argv->at, argv->count);
    strings_list(environment, record->text + pool->env.at, pool->env.count);
    if (!variables_add(environment + pool->env.count, record, pool, spec))
        return false;
    out->path = spec->kind == SPAWN_COMMAND ? arguments[0] : record_text(record, pool->program);
    out->argv = arguments;
    out->envp = environment;
    return true;
}

static void
strings_list(char **out, const char *first, uint32_t count)
{
    union {
        const char *from;
        char *to; /* execve's own prototype wants it so; nobody writes */
    } at = {first};
    for (uint32_t i = 0; i < count; i++) {
        out[i] = at.to;
        while (*at.from++ != '\0')
            ;
    }
    out[count] = NULL;
}

static bool
variables_add(char **out, const struct record *record, const struct record_pool *pool,
              const struct spec *spec)
{
    text_used = 0;
    if (spec->sockets > 0 && !sockets_tell(&out, record, pool, spec))
        return false;
    if (spec->notify[0] != '\0' &&
        !(begin(&out, "NOTIFY_SOCKET=") && put(spec->notify) && put_end()))
        return false;
    bool fits = begin(&out, "POOLD_POOL=") && put(record_text(record, pool->name)) && put_end() &&
                begin(&out, "POOLD_WORKER=") && put_number(spec->worker.slot) && put(".") &&
                put_number(spec->worker.generation) && put_end() &&
                begin(&out, "POOLD_PROTOCOL=1") && put_end();
    *out = NULL;
    return fits;
}

/* As the program wants to be told where its sockets are: record.h has the forms. */
static bool
sockets_tell(char ***out, const struct record *record, const struct record_pool *pool,
             const struct spec *spec)
{
    switch (pool->handoff) {
    case HANDOFF_LISTEN_FDS:
        return begin(out, "LISTEN_FDS=") && put_number(spec->sockets) && put_end() &&
               begin(out, "LISTEN_PID=") && put_number((uint32_t)SYS0(SYS_getpid)) && put_end() &&
               begin(out, "LISTEN_FDNAMES=") && listen_fdnames_put(record, spec) && put_end();
    case HANDOFF_NGINX:
        return begin(out, "NGINX=") && nginx_put(spec) && put_end();
    case HANDOFF_FPM:
        return begin(out, "FPM_SOCKETS=") && fpm_sockets_put(record, spec) && put_end();
    default:
        return true; /* the program knows by itself */
    }
}

static bool
listen_fdnames_put(const struct record *record, const struct spec *spec)
{
    for (uint32_t i = 0; i < spec->sockets; i++) {
        const struct record_socket *socket = &record->sockets[spec->socket_first + i];
        if ((i > 0 && !put(":")) || !put(record_text(record, socket->name)))
            return false;
    }
    return true;
}

static bool
nginx_put(const struct spec *spec)
{
    for (uint32_t i = 0; i < spec->sockets; i++) {
        if (!put_number(3 + i) || !put(";"))
            return false;
    }
    return true;
}

/* php-fpm compares the address with the text of its own `listen`, where a path is but a path. */
static bool
fpm_sockets_put(const struct record *record, const struct spec *spec)
{
    for (uint32_t i = 0; i < spec->sockets; i++) {
        const struct record_socket *socket = &record->sockets[spec->socket_first + i];
        const char *address = record_text(record, socket->address), *prefix = "unix:";
        const char *rest = address;
        while (*prefix != '\0' && *rest == *prefix) {
            rest++;
            prefix++;
        }
        if ((i > 0 && !put(",")) || !put(*prefix == '\0' ? rest : address) || !put("=") ||
            !put_number(3 + i))
            return false;
    }
    return true;
}

/* Another variable: its pointer, and what it begins with. */
static bool
begin(char ***out, const char *name)
{
    *(*out)++ = text + text_used;
    return put(name);
}

static bool
put(const char *string)
{
    for (; *string != '\0'; string++) {
        if (text_used == TEXT_MAX)
            return false;
        text[text_used++] = *string;
    }
    return true;
}

static bool
put_number(uint32_t number)
{
    char digits[11];
    size_t at = sizeof digits;
    digits[--at] = '\0';
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return put(digits + at);
}

static bool
put_end(void)
{
    if (text_used == TEXT_MAX)
        return false;
    text[text_used++] = '\0';
    return true;
}
