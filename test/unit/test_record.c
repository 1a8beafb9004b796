/* test_record.c - record_open accepts what the loader writes and nothing that could lead a reader
 * out of the map. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/prng.h"
#include "test/unit/record_blob.h"

/* Two pools with everything: arguments, environment, groups, a ready command, sockets. */
static void
blob_fill(struct blob *blob)
{
    static const char *const argv[] = {"/usr/bin/shop", "--fast", "", NULL};
    static const char *const env[] = {"PATH=/bin", "EMPTY=", NULL};
    static const char *const ready[] = {"/usr/bin/probe", "-1", NULL};
    static const char *const engine[] = {"poold-exec", "engine", "1", "2", "poold-engine", NULL};
    static const uint32_t groups[] = {4, 5, 6};
    blob_init(blob);
    blob->header.runtime = blob_text(blob, "/run/poold");
    blob->header.engine = blob_strings(blob, engine);
    struct record_pool *pool = blob_pool(blob, "shop", argv, env);
    pool->ready = blob_strings(blob, ready);
    pool->settings.ready = READY_COMMAND;
    blob_groups(blob, pool, groups, ARRAY_LEN(groups));
    blob_inet(blob, "web", 8080);
    blob_unix(blob, "admin", "/run/shop.sock", 0660);
    static const char *const none[] = {NULL};
    static const char *const plain[] = {"/bin/cat", NULL};
    blob_pool(blob, "queue", plain, none);
    blob_control(blob, "/run/poold/control", 0666);
    blob_role(blob, ROLE_ADMIN, false, 1000, "alice");
    blob_role(blob, ROLE_VIEWER, true, 27, "@staff");
    blob_finish(blob);
}

/* The blob at the very end of readable memory: a byte too far is a fault. */
struct guarded {
    uint8_t *pages;
    size_t size; /* of the pages, without the guard */
    uint8_t *at;
};

static void
guarded_put(struct guarded *guarded, const uint8_t *bytes, size_t size)
{
    if (guarded->pages == NULL) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        guarded->size = (sizeof(struct blob) / page + 1) * page;
        guarded->pages = mmap(NULL, guarded->size + page, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(guarded->pages, MAP_FAILED);
        assert_int_equal(mprotect(guarded->pages + guarded->size, page, PROT_NONE), 0);
    }
    /* Records need their alignment, as in a mapped file; the last few bytes may then be slack. */
    guarded->at = guarded->pages + (guarded->size - size) / 8 * 8;
    memcpy(guarded->at, bytes, size);
}

static unsigned long
string_walk(const struct record *record, uint32_t at)
{
    return strlen(record_text(record, at));
}

static unsigned long
strings_walk(const struct record *record, const struct record_strings *strings)
{
    unsigned long sum = 0;
    const char *at = record->text + strings->at;
    for (uint32_t i = 0; i < strings->count; i++) {
        sum += strlen(at);
        at += strlen(at) + 1;
    }
    assert_true(strings->count == 0 || at == record->text + strings->at + strings->bytes);
    return sum;
}

/* Everything that a reader may do with a checked record. */
static unsigned long
record_walk(const struct record *record)
{
    const struct record_header *header = record->header;
    unsigned long sum =
        string_walk(record, header->source) + string_walk(record, header->engine_user) +
        string_walk(record, header->warning_text) + strings_walk(record, &header->engine);
    if (header->engine.count > 0)
        sum += string_walk(record, header->runtime);
    for (uint32_t i = 0; i < header->pools; i++) {
        const struct record_pool *pool = &record->pools[i];
        sum += string_walk(record, pool->name) + string_walk(record, pool->program) +
               string_walk(record, pool->directory) + string_walk(record, pool->user) +
               string_walk(record, pool->output_path);
        sum += strings_walk(record, &pool->argv) + strings_walk(record, &pool->env) +
               strings_walk(record, &pool->ready);
        for (uint32_t j = 0; j < pool->group_count; j++) {
            uint32_t gid;
            memcpy(&gid, record->text + pool->groups + j * sizeof gid, sizeof gid);
            sum += gid;
        }
        for (uint32_t j = 0; j < pool->socket_count; j++)
            sum += string_walk(record, record->sockets[pool->socket_first + j].name);
    }
    for (uint32_t i = 0; i < header->role_count; i++)
        sum += string_walk(record, record_role_at(record, i).name);
    if (record_control(record) != NULL)
        sum += string_walk(record, record_control(record)->address);
    for (uint32_t i = 0; i < header->sockets; i++)
        sum += string_walk(record, record->sockets[i].address) + record->sockets[i].sockaddr[0];
    return sum;
}

static int
open_blob(const struct blob *blob)
{
    struct record record;
    return record_open(&record, blob->bytes, blob->size);
}

static void
what_the_loader_writes_is_accepted(void **state)
{
    (void)state;
    static struct blob blob;
    struct record record;
    blob_fill(&blob);
    assert_int_equal(record_open(&record, blob.bytes, blob.size), 0);
    assert_int_equal(record.header->pools, 2);
    assert_string_equal(record_text(&record, record.pools[0].name), "shop");
    assert_string_equal(record_text(&record, record.pools[1].program), "/bin/cat");
    assert_string_equal(record_text(&record, record.sockets[1].name), "admin");
    assert_true(record_walk(&record) > 0);
}

static void
a_list_of_errors_is_accepted_without_pools_only(void **state)
{
    (void)state;
    static struct blob blob;
    blob_init(&blob);
    blob.header.errors = 1;
    blob_finish(&blob);
    assert_int_equal(open_blob(&blob), 0);
    blob_fill(&blob);
    blob.header.errors = 1;
    blob_finish(&blob);
    assert_int_equal(open_blob(&blob), -EINVAL);
}

static void
another_version_is_told_apart_from_damage(void **state)
{
    (void)state;
    static struct blob blob;
    blob_fill(&blob);
    blob.header.version = RECORD_VERSION + 1;
    blob_finish(&blob);
    assert_int_equal(open_blob(&blob), -EPROTO);
    blob.header.magic[0] = 'P';
    blob_finish(&blob);
    assert_int_equal(open_blob(&blob), -EINVAL);
}

static void
no_shorter_piece_of_it_is_accepted(void **state)
{
    (void)state;
    static struct blob blob;
    struct guarded guarded = {0};
    blob_fill(&blob);
    for (size_t size = 0; size < blob.size; size++) {
        struct record record = {.size = 4711};
        guarded_put(&guarded, blob.bytes, size);
        assert_int_equal(record_open(&record, guarded.at, size), -EINVAL);
        assert_int_equal(record.size, 4711); /* outputs are untouched on failure */
    }
}

#define ROLE_AT(i)                                                                                 \
    ((struct record_role *)(void *)(blob.bytes + blob.size - h->text_size + h->roles) + (i))

/* Each breaks one rule of a fresh configuration: header h, pools p, sockets s. */
/* clang-format off */
#define BREAKS(X)                                                                            \
    X(more_pools_than_there_is_room,   h->pools = 3)                                         \
    X(pools_beyond_all_memory,         h->pools = UINT32_MAX)                                \
    X(sockets_beyond_all_memory,       h->sockets = UINT32_MAX)                              \
    X(source_outside,                  h->source = (uint32_t)h->text_size)                   \
    X(engine_user_outside,             h->engine_user = UINT32_MAX)                          \
    X(warnings_outside,                h->warning_text = UINT32_MAX)                         \
    X(name_outside,                    p[1].name = (uint32_t)h->text_size)                   \
    X(user_outside,                    p[1].user = UINT32_MAX)                               \
    X(program_outside,                 p[1].program = UINT32_MAX)                            \
    X(program_relative,                p[1].program = p[1].name)                             \
    X(runtime_relative,                h->runtime++)                                         \
    X(runtime_outside,                 h->runtime = (uint32_t)h->text_size)                  \
    X(runtime_too_long,                memset(blob.bytes + blob.size - h->text_size + h->runtime, \
                                              '/', RECORD_RUNTIME_MAX + 1))                  \
    X(engine_words_outside,            h->engine.at = UINT32_MAX)                            \
    X(more_engine_words_than_said,     h->engine.count--)                                    \
    X(more_places_than_anyone_needs,   h->places = RECORD_PLACES_MAX + 1)                    \
    X(pidfds_that_are_no_bool,         h->pidfds = 2)                                        \
    X(engine_words_and_errors,         h->errors = 1; h->pools = h->sockets = 0;             \
                                       h->text_size = blob.size - sizeof *h)                 \
    X(no_control_socket_for_a_keeper,  h->control = 0)                                       \
    X(control_socket_outside,          h->control = 4)                                       \
    X(control_socket_of_a_pool,        h->control = 2)                                       \
    X(a_second_socket_of_no_pool,      s[1].pool = NONE; p[0].socket_count = 1)              \
    X(control_socket_that_is_tcp,      s[2] = s[0]; s[2].pool = NONE)                        \
    X(roles_not_aligned,               h->roles += 2)                                        \
    X(roles_outside,                   h->role_count = (uint32_t)h->text_size / 12 + 1)      \
    X(role_count_that_overflows,       h->role_count = UINT32_MAX)                           \
    X(role_of_nobody,                  ROLE_AT(0)->role = ROLE_NONE)                         \
    X(role_unknown,                    ROLE_AT(1)->role = ROLE_COUNT)                        \
    X(role_that_is_neither,            ROLE_AT(1)->is_group = 2)                             \
    X(role_name_outside,               ROLE_AT(0)->name = UINT32_MAX)                        \
    X(directory_relative,              p[1].directory = p[1].name)                           \
    X(no_arguments,                    p[1].argv = (struct record_strings){0})               \
    X(arguments_outside,               p[0].argv.at = (uint32_t)h->text_size - 2)            \
    X(more_arguments_than_said,        p[0].argv.count--)                                    \
    X(fewer_arguments_than_said,       p[0].argv.count++)                                    \
    X(arguments_cut_in_the_middle,     p[0].argv.bytes--)                                    \
    X(environment_without_strings,     p[1].env.bytes = 4)                                   \
    X(environment_beyond_all_memory,   p[0].env.bytes = UINT32_MAX)                          \
    X(ready_command_missing,           p[1].settings.ready = READY_COMMAND)                  \
    X(ready_command_relative,          p[0].ready = p[0].env)                                \
    X(groups_not_aligned,              p[0].groups += 2)                                     \
    X(groups_outside,                  p[0].group_count = (uint32_t)h->text_size / 4 + 1)    \
    X(schedule_outside,                (p[0].schedule_count = 1, p[0].schedule = UINT32_MAX - 3))\
    X(schedule_that_is_too_long,       p[0].schedule_count = SCHEDULE_MAX + 1)               \
    X(schedule_of_no_times,            (p[0].schedule_count = 2, p[0].schedule = 0))         \
    X(group_count_that_overflows,      p[0].group_count = UINT32_MAX)                        \
    X(sockets_outside,                 p[0].socket_count = 3)                                \
    X(first_socket_that_overflows,     p[0].socket_first = UINT32_MAX)                       \
    X(sockets_of_another_pool,         s[1].pool = 1)                                        \
    X(sockets_of_another_place,        p[1] = (struct record_pool){.socket_count = 1})       \
    X(sockets_outside_of_a_place,      p[1] = (struct record_pool){.socket_count = 1};       \
                                       p[1].socket_first = 2)                                \
    X(a_place_with_a_program,          p[1].present = 0)                                     \
    X(refused_without_a_reason,        p[0].settings.refused = 1)                            \
    X(a_reason_that_refuses_nobody,    p[0].refused = p[0].name)                             \
    X(sockets_unsaid_in_the_settings,  p[0].settings.has_sockets = 0)                        \
    X(umask_of_more_than_nine_bits,    p[0].umask = 01000)                                   \
    X(unknown_handoff,                 p[0].handoff = HANDOFF_COUNT)                         \
    X(no_stop_signal,                  p[0].stop_signal = 0)                                 \
    X(stop_signal_that_does_not_exist, p[0].stop_signal = 65)                                \
    X(bool_that_is_none,               p[0].drop_privileges = 2)                             \
    X(other_bool_that_is_none,         p[0].no_new_privs = 255)                              \
    X(no_workers,                      p[0].settings.workers_max = 0)                        \
    X(too_many_workers,                p[0].settings.workers_max = 1025)                     \
    X(min_above_max,                   p[0].settings.workers_min = 2)                        \
    X(output_path_outside,             p[0].output_path = UINT32_MAX)                        \
    X(output_path_relative,            p[0].output = OUTPUT_FILE; p[0].output_path = p[0].user) \
    X(no_surge,                        p[0].settings.surge = 0)                              \
    X(no_failures,                     p[0].settings.max_failures = 0)                       \
    X(too_many_failures,               p[0].settings.max_failures = FAILURES_MAX + 1)        \
    X(unknown_ready_rule,              p[0].settings.ready = READY_RULE_COUNT)               \
    X(socket_name_outside,             s[0].name = UINT32_MAX)                               \
    X(socket_address_outside,          s[0].address = UINT32_MAX)                            \
    X(socket_of_no_pool,               s[0].pool = 2)                                        \
    X(family_unlike_the_address,       s[0].family = AF_INET6)                               \
    X(family_unknown,                  s[0].family = 77; s[0].sockaddr[0] = 77)              \
    X(length_unlike_the_family,        s[0].length = 112)                                    \
    X(ipv4_that_is_dual,               s[0].dual = 1)                                        \
    X(mode_of_more_than_twelve_bits,   s[1].mode = 010000)                                   \
    X(unix_path_relative,              s[1].sockaddr[2] = 'r')                               \
    X(unix_path_without_end,           memset(s[1].sockaddr + 2, '/', 110))                  \
    X(unix_length_beyond_the_address,  s[1].length = 112)                                    \
    X(unix_length_of_nothing,          s[1].length = 2)
/* clang-format on */

static void
each_broken_rule_is_found(void **state)
{
    (void)state;
    static struct blob blob;
    struct record_header *h = (struct record_header *)(void *)blob.bytes;
    struct record_pool *p = (struct record_pool *)(void *)(h + 1);
    struct record_socket *s = (struct record_socket *)(void *)(p + 2);
#define BREAK_(name, change)                                                                       \
    blob_fill(&blob);                                                                              \
    assert_int_equal(open_blob(&blob), 0);                                                         \
    change;                                                                                        \
    if (open_blob(&blob) != -EINVAL)                                                               \
        fail_msg("accepted: %s", #name);
    BREAKS(BREAK_)
}

static void
text_without_an_end_is_refused(void **state)
{
    (void)state;
    static struct blob blob;
    blob_fill(&blob);
    blob.bytes[blob.size - 1] = 'x';
    assert_int_equal(open_blob(&blob), -EINVAL);
}

/* What survives the check can be walked to its last byte; what cannot must not survive it. */
static void
random_damage_never_leads_a_reader_outside(void **state)
{
    (void)state;
    static struct blob blob;
    struct guarded guarded = {0};
    struct prng prng = {.state = 20240229};
    unsigned accepted = 0, refused = 0;
    blob_fill(&blob);
    for (unsigned round = 0; round < 200000; round++) {
        struct record record;
        guarded_put(&guarded, blob.bytes, blob.size);
        for (uint64_t hits = 1 + prng_below(&prng, 3); hits > 0; hits--) {
            uint8_t *hit = guarded.at + prng_below(&prng, blob.size);
            *hit = prng_below(&prng, 2) ? (uint8_t)prng_next(&prng) : *hit ^ 1;
        }
        if (record_open(&record, guarded.at, blob.size) == 0) {
            accepted++;
            (void)record_walk(&record);
        } else {
            refused++;
        }
    }
    assert_true(accepted > 1000); /* both ways were taken */
    assert_true(refused > 1000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_loader_writes_is_accepted),
        cmocka_unit_test(a_list_of_errors_is_accepted_without_pools_only),
        cmocka_unit_test(another_version_is_told_apart_from_damage),
        cmocka_unit_test(no_shorter_piece_of_it_is_accepted),
        cmocka_unit_test(each_broken_rule_is_found),
        cmocka_unit_test(text_without_an_end_is_refused),
        cmocka_unit_test(random_damage_never_leads_a_reader_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
