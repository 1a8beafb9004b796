/* record.c - checks a compiled configuration once, so that nobody has to check it again.
 *
 * Its writer is our own loader, but it runs as root over files that people write, and its readers
 * take every number at its word: a wrong one must end here. */
#include "supervisor/record.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>

#define LOG_FACILITY_MAX 23
#define LOG_LEVEL_MAX    7

static bool areas_fit(const struct record *record);
static bool header_is_sound(const struct record *record);
static bool array_is_inside(const struct record *record, uint32_t at, uint32_t count, size_t size,
                            size_t align);
static bool lists_are_sound(const struct record *record, const struct record_pool *pool);
static bool runtime_is_sound(const struct record *record);
static bool sockets_are_its_own(const struct record *record, uint32_t index);
static bool control_is_sound(const struct record *record);
static bool pool_is_sound(const struct record *record, uint32_t index);
static bool settings_are_sound(const struct pool_settings *settings);
static bool output_is_sound(const struct record *record, const struct record_pool *pool);
static bool socket_is_sound(const struct record *record, uint32_t index);
static bool unix_path_is_sound(const struct record_socket *socket);
static bool text_is_inside(const struct record *record, uint32_t at);
static bool path_is_absolute(const struct record *record, uint32_t at);
static bool strings_are_sound(const struct record *record, const struct record_strings *strings);

int
record_open(struct record *out, const void *map, size_t size)
{
    const struct record_header *header = map;
    if (size < sizeof *header || memcmp(header->magic, RECORD_MAGIC, sizeof header->magic) != 0)
        return -EINVAL;
    if (header->version != RECORD_VERSION)
        return -EPROTO;

    struct record record;
    record_view(&record, map, size);
    if (!areas_fit(&record) || !header_is_sound(&record))
        return -EINVAL;
    for (uint32_t i = 0; i < header->sockets; i++) {
        if (!socket_is_sound(&record, i))
            return -EINVAL;
    }
    for (uint32_t i = 0; i < header->pools; i++) {
        if (!pool_is_sound(&record, i))
            return -EINVAL;
    }
    *out = record;
    return 0;
}

const char *
record_role_name(enum role role)
{
#define ROLE_NAME_(n, s) s,
    static const char *const names[ROLE_COUNT] = {ROLES(ROLE_NAME_)};
#undef ROLE_NAME_
    assert(role < ROLE_COUNT);
    return names[role];
}

/* The three areas fill the map exactly, and the text ends with NUL: then every offset inside it is
 * the start of a string that ends. */
static bool
areas_fit(const struct record *record)
{
    const struct record_header *header = record->header;
    uint64_t fixed = sizeof *header + (uint64_t)header->pools * sizeof(struct record_pool) +
                     (uint64_t)header->sockets * sizeof(struct record_socket);
    /* Offsets are 32 bits, so more text could not be reached. */
    if (fixed > record->size || header->text_size != record->size - fixed ||
        header->text_size == 0 || header->text_size > UINT32_MAX)
        return false;
    return record->text[header->text_size - 1] == '\0';
}

static bool
header_is_sound(const struct record *record)
{
    const struct record_header *header = record->header;
    if (header->errors > 0 &&
        (header->pools > 0 || header->sockets > 0 || header->engine.count > 0))
        return false;
    if (!strings_are_sound(record, &header->engine) ||
        header->engine.count > RECORD_ENGINE_WORDS_MAX ||
        (header->engine.count > 0 && (!runtime_is_sound(record) || header->control == 0)) ||
        !control_is_sound(record) || header->places > RECORD_PLACES_MAX || header->pidfds > 1)
        return false;
    return text_is_inside(record, header->warning_text) &&
           text_is_inside(record, header->advice_text) &&
           text_is_inside(record, header->engine_user) && text_is_inside(record, header->source) &&
           text_is_inside(record, header->error_text) && header->pools <= header->pools_max &&
           header->log_facility <= LOG_FACILITY_MAX && header->log_level <= LOG_LEVEL_MAX;
}

/* count records of size bytes each at an offset of the text area. */
static bool
array_is_inside(const struct record *record, uint32_t at, uint32_t count, size_t size, size_t align)
{
    uint64_t end = at + (uint64_t)count * size;
    return at % align == 0 && end <= record->header->text_size;
}

static bool
lists_are_sound(const struct record *record, const struct record_pool *pool)
{
    if (!array_is_inside(record, pool->groups, pool->group_count, sizeof(uint32_t), 4) ||
        !array_is_inside(record, pool->limits, pool->limit_count, sizeof(struct record_limit), 4) ||
        !array_is_inside(record, pool->values, pool->value_count, sizeof(struct record_value), 4))
        return false;
    if (pool->schedule_count > SCHEDULE_MAX ||
        !array_is_inside(record, pool->schedule, pool->schedule_count, sizeof(uint16_t), 4))
        return false;
    for (uint32_t i = 0; i < pool->schedule_count; i++) {
        if (record_time_at(record, pool, i) >= MINUTES_A_DAY)
            return false;
    }
    for (uint32_t i = 0; i < pool->limit_count; i++) {
        struct record_limit limit = record_limit_at(record, pool, i);
        if (limit.resource >= RLIM_NLIMITS || limit.soft > limit.hard)
            return false;
    }
    for (uint32_t i = 0; i < pool->value_count; i++) {
        if (!text_is_inside(record, record_value_at(record, pool, i).text))
            return false;
    }
    return true;
}

static bool
runtime_is_sound(const struct record *record)
{
    return path_is_absolute(record, record->header->runtime) &&
           strlen(record_text(record, record->header->runtime)) <= RECORD_RUNTIME_MAX;
}

static bool
sockets_are_its_own(const struct record *record, uint32_t index)
{
    const struct record_pool *pool = &record->pools[index];
    if (pool->socket_count > SOCKETS_A_POOL_MAX ||
        (uint64_t)pool->socket_first + pool->socket_count > record->header->sockets)
        return false;
    for (uint32_t i = 0; i < pool->socket_count; i++) {
        if (record->sockets[pool->socket_first + i].pool != index)
            return false;
    }
    return true;
}

static bool
control_is_sound(const struct record *record)
{
    const struct record_header *header = record->header;
    if (header->control > header->sockets ||
        (header->control > 0 &&
         (record_control(record)->pool != NONE || record_control(record)->family != AF_UNIX)) ||
        !array_is_inside(record, header->roles, header->role_count, sizeof(struct record_role), 4))
        return false;
    for (uint32_t i = 0; i < header->role_count; i++) {
        struct record_role role = record_role_at(record, i);
        if (role.role == ROLE_NONE || role.role >= ROLE_COUNT || role.is_group > 1 ||
            !text_is_inside(record, role.name))
            return false;
    }
    return true;
}

static bool
pool_is_sound(const struct record *record, uint32_t index)
{
    const struct record_pool *pool = &record->pools[index];
    if (!pool->present) {
        const struct record_pool kept = {.name = pool->name,
                                         .uid = pool->uid,
                                         .stop_signal = pool->stop_signal,
                                         .shuts_sockets = pool->shuts_sockets,
                                         .output = pool->output,
                                         .output_path = pool->output_path,
                                         .socket_first = pool->socket_first,
                                         .socket_count = pool->socket_count};
        return text_is_inside(record, pool->name) && pool->stop_signal < NSIG &&
               pool->shuts_sockets <= 1 && output_is_sound(record, pool) &&
               sockets_are_its_own(record, index) && memcmp(pool, &kept, sizeof kept) == 0;
    }
    if (pool->present != 1 || !text_is_inside(record, pool->name) ||
        !text_is_inside(record, pool->user) || !path_is_absolute(record, pool->program) ||
        !path_is_absolute(record, pool->directory))
        return false;
    if (!strings_are_sound(record, &pool->argv) || !strings_are_sound(record, &pool->env) ||
        !strings_are_sound(record, &pool->ready) || pool->argv.count == 0)
        return false;
    if (pool->ready.count > 0 ? !path_is_absolute(record, pool->ready.at)
                              : pool->settings.ready == READY_COMMAND)
        return false;
    if (!lists_are_sound(record, pool) || !text_is_inside(record, pool->refused) ||
        !output_is_sound(record, pool))
        return false;
    if (!sockets_are_its_own(record, index))
        return false;
    return pool->umask <= 0777 && pool->handoff < HANDOFF_COUNT && pool->stop_signal >= 1 &&
           pool->stop_signal < NSIG && pool->drop_privileges <= 1 && pool->no_new_privs <= 1 &&
           pool->auto_start <= 1 && pool->shuts_sockets <= 1 && pool->set_nice <= 1 &&
           pool->set_oom_score_adjust <= 1 && pool->nice >= -20 && pool->nice <= 19 &&
           pool->oom_score_adjust >= -1000 && pool->oom_score_adjust <= 1000 &&
           (pool->handoff != HANDOFF_STDIN || pool->socket_count <= 1) &&
           pool->settings.has_sockets == (pool->socket_count > 0) &&
           pool->settings.refused == (pool->refused != 0) && settings_are_sound(&pool->settings);
}

/* The keeper opens the file by its path. */
static bool
output_is_sound(const struct record *record, const struct record_pool *pool)
{
    return pool->output < OUTPUT_COUNT && text_is_inside(record, pool->output_path) &&
           (pool->output != OUTPUT_FILE || path_is_absolute(record, pool->output_path));
}

static bool
settings_are_sound(const struct pool_settings *settings)
{
    return settings->workers_min <= settings->workers_max && settings->workers_max >= 1 &&
           settings->workers_max <= WORKERS_A_POOL_MAX && settings->surge >= 1 &&
           settings->max_failures >= 1 && settings->max_failures <= FAILURES_MAX &&
           settings->ready < READY_RULE_COUNT && settings->overlap <= 1 &&
           settings->rapid_fail <= 1 && settings->has_sockets <= 1 &&
           settings->on_config_change <= 1;
}

static bool
socket_is_sound(const struct record *record, uint32_t index)
{
    const struct record_socket *socket = &record->sockets[index];
    if (!text_is_inside(record, socket->name) || !text_is_inside(record, socket->address) ||
        socket->dual > 1 || socket->blocking > 1 || socket->mode > 07777)
        return false;
    if (socket->pool >= record->header->pools && socket != record_control(record))
        return false;
    uint16_t family; /* the address must be of the family that its record says */
    memcpy(&family, socket->sockaddr, sizeof family);
    if (family != socket->family)
        return false;
    switch (family) {
    case AF_INET:
        return socket->length == sizeof(struct sockaddr_in) && !socket->dual;
    case AF_INET6:
        return socket->length == sizeof(struct sockaddr_in6);
    case AF_UNIX:
        return !socket->dual && unix_path_is_sound(socket);
    default:
        return false;
    }
}

/* An absolute path that ends with NUL inside sun_path: the keeper gives it to path functions. */
static bool
unix_path_is_sound(const struct record_socket *socket)
{
    size_t head = offsetof(struct sockaddr_un, sun_path);
    if (socket->length > sizeof(struct sockaddr_un) || socket->length <= head + 1)
        return false;
    const uint8_t *path = socket->sockaddr + head;
    return path[0] == '/' && memchr(path, '\0', socket->length - head) != NULL;
}

static bool
text_is_inside(const struct record *record, uint32_t at)
{
    return at < record->header->text_size;
}

static bool
path_is_absolute(const struct record *record, uint32_t at)
{
    return text_is_inside(record, at) && record->text[at] == '/';
}

/* count strings fill exactly the bytes that they are said to. */
static bool
strings_are_sound(const struct record *record, const struct record_strings *strings)
{
    if (strings->count == 0)
        return strings->bytes == 0;
    if ((uint64_t)strings->at + strings->bytes > record->header->text_size)
        return false;
    const char *at = record->text + strings->at, *end = at + strings->bytes;
    uint32_t count = 0;
    while (at < end) {
        const char *nul = memchr(at, '\0', (size_t)(end - at));
        if (nul == NULL)
            return false;
        at = nul + 1;
        count++;
    }
    return count == strings->count;
}
