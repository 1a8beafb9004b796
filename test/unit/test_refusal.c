/* test_refusal.c - claims about event 1041: each log gets one line of a refused configuration. */
#include "test/unit/sink_world.h"

#include "supervisor/engine/refusal.h"

/* A refused configuration: errors, a line each, then the path of its file. */
struct refused {
    struct record_header header;
    char text[4096];
};

static void
refused_make(struct refused *refused, struct record *record, uint32_t count, const char *errors)
{
    *refused = (struct refused){.header.errors = count};
    size_t len = strlen(errors) + 1;
    assert_true(len + sizeof "/etc/web.json" < sizeof refused->text);
    memcpy(refused->text, errors, len);
    memcpy(refused->text + len, "/etc/web.json", sizeof "/etc/web.json");
    refused->header.source = (uint32_t)len;
    refused->header.text_size = sizeof refused->text;
    record_view(record, refused, sizeof *refused);
}

/* What is written to stderr while the logs are told. */
static void
tell_with_stderr(const char *const *targets, uint32_t count, const struct record *record, char *out,
                 size_t cap)
{
    int ends[2], kept = dup(STDERR_FILENO);
    assert_true(kept >= 0);
    assert_int_equal(pipe(ends), 0);
    fflush(stderr);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    refusal_tell(targets, count, record);
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    ssize_t n = read(ends[0], out, cap - 1); /* the last writer is gone: at most to the end */
    assert_true(n >= 0);
    out[n] = '\0';
    close(ends[0]);
}

static void
the_log_gets_the_count_and_the_first_error(void **state)
{
    struct world *world = *state;
    struct refused refused;
    struct record record;
    char line[4096], said[256];
    int fd = listen_at(world->path);
    refused_make(&refused, &record, 2,
                 "/etc/web.json:3:5: one thing\n/etc/web.json:4:5: another\n");
    const char *targets[] = {world->path};
    tell_with_stderr(targets, 1, &record, said, sizeof said);
    assert_true(receive(fd, line, sizeof line));
    assert_memory_equal(line, "<27>", 4);
    assert_non_null(strstr(line,
                           "]: 1041 config-invalid the configuration is refused and nothing is "
                           "started: 2 errors; the first: /etc/web.json:3:5: one thing "
                           "errors=2 file=/etc/web.json"));
    assert_null(strstr(line, "another"));
    assert_null(strstr(line, "seq=")); /* of no ring */
    assert_false(receive(fd, line, sizeof line));
    assert_string_equal(said, "");
    close(fd);
}

static void
one_error_is_told_without_a_first(void **state)
{
    struct world *world = *state;
    struct refused refused;
    struct record record;
    char line[4096];
    int fd = listen_at(world->path);
    refused_make(&refused, &record, 1, "w.json:1:1: wrong\n");
    const char *targets[] = {world->path};
    refusal_tell(targets, 1, &record);
    assert_true(receive(fd, line, sizeof line));
    assert_non_null(strstr(line, ": 1 error; w.json:1:1: wrong errors=1 "));
    close(fd);
}

static void
an_error_as_long_as_it_likes_is_cut_and_keeps_the_fields(void **state)
{
    struct world *world = *state;
    struct refused refused;
    struct record record;
    char line[8192], errors[3000];
    int fd = listen_at(world->path);
    memset(errors, 'x', sizeof errors);
    memcpy(errors, "a\x1b[2J", 5);
    errors[sizeof errors - 1] = '\0';
    refused_make(&refused, &record, 1, errors);
    const char *targets[] = {world->path};
    refusal_tell(targets, 1, &record);
    assert_true(receive(fd, line, sizeof line));
    assert_true(strlen(line) < 1200);
    assert_null(strchr(line, '\x1b'));
    assert_non_null(strstr(line, "xxx... errors=1 file=/etc/web.json"));
    close(fd);
}

static void
nothing_is_said_on_stderr_where_all_errors_are_shown(void **state)
{
    struct world *world = *state;
    struct refused refused;
    struct record record;
    char line[4096], said[256];
    int fd = listen_at(world->path);
    refused_make(&refused, &record, 1, "w.json:1:1: wrong\n");
    const char *targets[] = {"stderr", world->path};
    tell_with_stderr(targets, 2, &record, said, sizeof said);
    assert_string_equal(said, "");
    assert_int_equal(receive_all(fd), 1);
    tell_with_stderr(targets, 1, &record, said, sizeof said);
    assert_string_equal(said, "");
    assert_false(receive(fd, line, sizeof line));
    close(fd);
}

static void
a_log_that_is_none_keeps_the_others_from_nothing(void **state)
{
    struct world *world = *state;
    struct refused refused;
    struct record record;
    char said[256];
    int fd = listen_at(world->path);
    refused_make(&refused, &record, 1, "w.json:1:1: wrong\n");
    const char *targets[] = {"no-such-log", world->path};
    tell_with_stderr(targets, 2, &record, said, sizeof said);
    assert_non_null(strstr(said, "no such log: \"no-such-log\""));
    assert_int_equal(receive_all(fd), 1);
    close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_log_gets_the_count_and_the_first_error),
        TEST(one_error_is_told_without_a_first),
        TEST(an_error_as_long_as_it_likes_is_cut_and_keeps_the_fields),
        TEST(nothing_is_said_on_stderr_where_all_errors_are_shown),
        TEST(a_log_that_is_none_keeps_the_others_from_nothing),
    };
    alarm(ALL_LIMIT_S);
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
