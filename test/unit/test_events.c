/* test_events.c - claims about events: the catalogue, their fields, and how they are handed out.
 *
 * `test_events --manual` prints the list of events as poold-events(7) must have it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/engine/events.h"

#define MANUAL       "man/poold-events.7" /* tests run in the top of the tree */
#define SOURCES      "supervisor/engine/*.c"
#define MANUAL_BEGIN ".\\\" The list below is that of events.def; test_events compares the two.\n"
#define MANUAL_END   ".\\\" End of the list.\n"

static const struct worker_id nobody = {0, 0, 0};

static struct events *
create(void *ring)
{
    struct events *events = NULL;
    struct err err = {0};
    assert_int_equal(events_create(&events, ring, &err), 0);
    return events;
}

static void *
ring_alloc(void)
{
    void *ring = calloc(1, events_ring_size());
    assert_non_null(ring);
    return ring;
}

/* --- the catalogue */

static void
the_catalogue_is_in_order_and_has_no_name_twice(void **state)
{
    (void)state;
    size_t count;
    const struct event_row *rows = event_rows(&count);
    assert_true(count >= 30);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            assert_true(rows[i - 1].id < rows[i].id);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(rows[i].name, rows[j].name);
        assert_ptr_equal(event_row(rows[i].id), &rows[i]);
        assert_non_null(event_severity_name(rows[i].severity));
        assert_int_equal(rows[i].when[strlen(rows[i].when) - 1], '.');
    }
    assert_null(event_row(0));
    assert_null(event_row(1003));
    assert_null(event_row(UINT16_MAX));
}

/* Whether key is one of those in list, which are separated by spaces. */
static bool
has_key(const char *list, const char *key, size_t len)
{
    for (const char *at = list; (at = strstr(at, key)) != NULL; at++)
        if ((at == list || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
            return true;
    return false;
}

/* Adds to keys the key of each fields_number, fields_seconds and fields_string in the file. */
static void
collect_keys(const char *path, char *keys, size_t cap)
{
    static const char *const writers[] = {"fields_number(", "fields_seconds(", "fields_string(",
                                          "field_measured("};
    static char text[1 << 18];
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    size_t len = fread(text, 1, sizeof text - 1, in);
    fclose(in);
    assert_true(len < sizeof text - 1);
    text[len] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(writers); i++)
        for (const char *at = text; (at = strstr(at, writers[i])) != NULL;) {
            at += strlen(writers[i]);
            size_t to_key = strcspn(at, "\";");
            if (at[to_key] != '"')
                continue; /* the definition */
            const char *key = at + to_key + 1;
            size_t used = strlen(keys);
            assert_true(used + 64 < cap);
            snprintf(keys + used, cap - used, "%.*s ", (int)strcspn(key, "\""), key);
        }
}

/* A field that is written must be in the catalogue, one in the catalogue must be written. */
static void
the_fields_of_the_catalogue_are_those_that_the_engine_writes(void **state)
{
    (void)state;
    static char written[8192], known[8192];
    glob_t files;
    assert_int_equal(glob(SOURCES, 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++)
        collect_keys(files.gl_pathv[i], written, sizeof written);
    globfree(&files);
    size_t count;
    const struct event_row *rows = event_rows(&count);
    for (size_t i = 0; i < count; i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s ", rows[i].fields);
    assert_false(has_key(known, "seq", 3)); /* a line of syslog has that itself */
    const char *const lists[][3] = {{written, known, "written, but in no row of events.def"},
                                    {known, written, "in events.def, but written nowhere"}};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        for (const char *key = lists[i][0]; *(key += strspn(key, " ")) != '\0';) {
            char one[64];
            size_t len = strcspn(key, " ");
            snprintf(one, sizeof one, "%.*s", (int)len, key);
            if (!has_key(lists[i][1], one, len))
                fail_msg("the field \"%s\" is %s", one, lists[i][2]);
            key += len;
        }
}

static void
print_manual_list(FILE *out)
{
    size_t count;
    const struct event_row *rows = event_rows(&count);
    fputs(".Bl -tag -width Ds\n", out);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, ".It Sy %u %s Pq %s\n%s\n", rows[i].id, rows[i].name,
                event_severity_name(rows[i].severity), rows[i].when);
        if (rows[i].fields[0] != '\0')
            fprintf(out, ".br\nFields:\n.Li %s .\n", rows[i].fields);
    }
    fputs(".El\n", out);
}

static void
the_manual_lists_exactly_the_catalogue(void **state)
{
    (void)state;
    char *want = NULL, *manual = NULL;
    size_t want_len, len;
    FILE *out = open_memstream(&want, &want_len);
    assert_non_null(out);
    print_manual_list(out);
    fclose(out);
    FILE *in = fopen(MANUAL, "r");
    assert_non_null(in);
    FILE *copy = open_memstream(&manual, &len);
    assert_non_null(copy);
    for (int c; (c = fgetc(in)) != EOF;)
        fputc(c, copy);
    fclose(copy);
    fclose(in);
    char *begin = strstr(manual, MANUAL_BEGIN), *end = strstr(manual, MANUAL_END);
    assert_non_null(begin);
    assert_non_null(end);
    *end = '\0';
    assert_string_equal(begin + strlen(MANUAL_BEGIN), want);
    free(want);
    free(manual);
}

/* --- fields */

static void
fields_are_written_in_order(void **state)
{
    (void)state;
    struct event_fields fields = {0};
    fields_number(&fields, "pid", 4121);
    fields_number(&fields, "low", INT64_MIN);
    fields_seconds(&fields, "age", 83007);
    fields_string(&fields, "cause", "on-demand");
    assert_string_equal(fields.text,
                        "pid=4121 low=-9223372036854775808 age=83.007 cause=on-demand");
    assert_int_equal(fields.len, strlen(fields.text));
}

/* Whoever reads them as JSON gets one type for one field, whatever a worker has printed. */
static void
text_that_looks_like_a_number_stays_text(void **state)
{
    (void)state;
    static const bool numbers[] = {true, true, false, false, false};
    struct event_fields fields = {0};
    fields_number(&fields, "pid", -42);
    fields_seconds(&fields, "age", 1250);
    fields_string(&fields, "last_line", "42");
    fields_string(&fields, "status", "0.5");
    fields_string(&fields, "lost", "unknown");
    assert_string_equal(fields.text,
                        "pid=-42 age=1.250 last_line=\"42\" status=\"0.5\" lost=unknown");
    const char *at = fields.text;
    struct field_pair pair;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        assert_true(fields_next(&at, &pair));
        assert_int_equal(field_is_number(&pair), numbers[i]);
    }
    assert_false(fields_next(&at, &pair));
}

static void
values_are_escaped_and_quoted(void **state)
{
    (void)state;
    struct event_fields fields = {0};
    fields_string(&fields, "a", "two words");
    fields_string(&fields, "b", "");
    fields_string(&fields, "c", "say \"x\"\n<0>kernel: pid=1");
    fields_string(&fields, "d", "quo\"te");
    assert_string_equal(fields.text, "a=\"two words\" b=\"\" "
                                     "c=\"say \\x22x\\x22\\x0a<0>kernel: pid=1\" d=quo\\x22te");
}

static void
a_value_that_does_not_fit_is_cut_and_later_pairs_are_left_out(void **state)
{
    (void)state;
    char value[2000];
    memset(value, 'a', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    struct event_fields fields = {0};
    fields_number(&fields, "pid", 1);
    fields_string(&fields, "output", value);
    assert_true(fields.len > sizeof fields.text - 8 && fields.len < sizeof fields.text);
    assert_string_equal(fields.text + fields.len - 3, "...");
    uint16_t len = fields.len;
    fields_string(&fields, "more", value);
    fields_number(&fields, "number", 123456);
    assert_int_equal(fields.len, len);
    assert_int_equal(strlen(fields.text), len);
}

static void
fields_never_run_over_whatever_the_value(void **state)
{
    (void)state;
    for (size_t used = 0; used < sizeof((struct event_fields *)0)->text - 8; used++)
        for (int kind = 0; kind < 3; kind++) {
            struct event_fields fields = {0};
            char fill[512], value[64];
            memset(fill, 'f', sizeof fill);
            fill[used] = '\0';
            memset(value, "\n\" "[kind], sizeof value);
            value[sizeof value - 1] = '\0';
            fields_string(&fields, "k", fill);
            fields_string(&fields, "value", value);
            assert_true(fields.len < sizeof fields.text);
            assert_int_equal(strlen(fields.text), fields.len);
        }
}

static void
fields_read_back_as_written(void **state)
{
    (void)state;
    const char *at = "pid=12 text=\"a = b\" empty=\"\" last=x=y";
    static const char *const want[][2] = {
        {"pid", "12"}, {"text", "a = b"}, {"empty", ""}, {"last", "x=y"}};
    struct field_pair pair;
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_true(fields_next(&at, &pair));
        assert_int_equal(pair.key_len, strlen(want[i][0]));
        assert_memory_equal(pair.key, want[i][0], pair.key_len);
        assert_int_equal(pair.value_len, strlen(want[i][1]));
        assert_memory_equal(pair.value, want[i][1], pair.value_len);
    }
    assert_false(fields_next(&at, &pair));
    at = "";
    assert_false(fields_next(&at, &pair));
}

/* --- emit and sinks */

struct seen_log {
    unsigned count;
    struct event_seen last;
    char text[EVENT_LINE_MAX + 1], fields[512], pool[80];
    char order;
};
static char called[16];

static void
log_sink(void *ctx, const struct event_seen *seen)
{
    struct seen_log *log = ctx;
    log->count++;
    log->last = *seen;
    snprintf(log->text, sizeof log->text, "%s", seen->text);
    snprintf(log->fields, sizeof log->fields, "%s", seen->fields);
    snprintf(log->pool, sizeof log->pool, "%s", seen->pool);
    size_t at = strlen(called);
    if (at + 1 < sizeof called)
        called[at] = log->order;
}

static void
every_sink_is_given_the_event_in_order(void **state)
{
    (void)state;
    void *ring = ring_alloc();
    struct events *events = create(ring);
    struct seen_log logs[3] = {{.order = 'a'}, {.order = 'b'}, {.order = 'c'}};
    memset(called, 0, sizeof called);
    for (size_t i = 0; i < ARRAY_LEN(logs); i++)
        events_sink_add(events, log_sink, &logs[i]);
    struct event_fields fields = {0};
    fields_number(&fields, "pid", 77);
    events_emit(events, EVENT_WORKER_STARTED, "shop", (struct worker_id){1, 0, 3}, &fields,
                "worker %s has pid %d", "shop/0.3", 77);
    events_sink_remove(events, log_sink, &logs[1]);
    events_emit(events, EVENT_POOL_STOPPED, NULL, nobody, NULL, "stopped");
    assert_string_equal(called, "abcac");
    assert_int_equal(logs[1].count, 1);
    assert_int_equal(logs[1].last.seq, 1);
    assert_int_equal(logs[1].last.id, 6020);
    assert_int_equal(logs[1].last.severity, EVENT_INFO);
    assert_int_equal(logs[1].last.worker.generation, 3);
    assert_string_equal(logs[1].text, "worker shop/0.3 has pid 77");
    assert_string_equal(logs[1].fields, "pid=77");
    assert_string_equal(logs[1].pool, "shop");
    assert_int_equal(logs[2].last.seq, 2);
    assert_string_equal(logs[2].pool, "");
    assert_string_equal(logs[2].fields, "");
    events_destroy(&events);
    assert_null(events);
    free(ring);
}

static void
a_forgotten_escape_forges_no_line(void **state)
{
    (void)state;
    void *ring = ring_alloc();
    struct events *events = create(ring);
    struct seen_log log = {0};
    events_sink_add(events, log_sink, &log);
    events_emit(events, EVENT_WORKER_DIED, "p", nobody, NULL, "said %s", "ok\n<0>kernel: \x1b[2J");
    assert_string_equal(log.text, "said ok\\x0a<0>kernel: \\x1b[2J");
    events_destroy(&events);
    free(ring);
}

static void
text_and_fields_stay_within_the_longest_line(void **state)
{
    (void)state;
    char *large = malloc(1 << 20);
    assert_non_null(large);
    memset(large, 'x', (1 << 20) - 1);
    large[(1 << 20) - 1] = '\0';
    void *ring = ring_alloc();
    struct events *events = create(ring);
    struct seen_log log = {0};
    events_sink_add(events, log_sink, &log);
    struct event_fields fields = {0};
    fields_string(&fields, "output", large);
    events_emit(events, EVENT_WORKER_DIED, "p", nobody, &fields, "%s", large);
    assert_int_equal(strlen(log.text) + 1 + strlen(log.fields), EVENT_LINE_MAX - 1);
    assert_string_equal(log.text + strlen(log.text) - 3, "...");
    assert_string_equal(log.fields, fields.text);
    events_destroy(&events);
    free(ring);
    free(large);
}

static void
a_workers_output_is_not_kept(void **state)
{
    (void)state;
    void *ring = ring_alloc();
    struct events *events = create(ring);
    struct seen_log log = {0};
    events_sink_add(events, log_sink, &log);
    events_emit(events, EVENT_WORKER_OUTPUT, "p", nobody, NULL, "hello");
    assert_int_equal(log.count, 1);
    assert_int_equal(log.last.seq, 0);
    assert_int_equal(events_next(events), 1);
    assert_int_equal(events_first(events), 1);
    events_destroy(&events);
    free(ring);
}

int
main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--manual") == 0) {
        print_manual_list(stdout);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_that_looks_like_a_number_stays_text),
        cmocka_unit_test(the_catalogue_is_in_order_and_has_no_name_twice),
        cmocka_unit_test(the_fields_of_the_catalogue_are_those_that_the_engine_writes),
        cmocka_unit_test(the_manual_lists_exactly_the_catalogue),
        cmocka_unit_test(fields_are_written_in_order),
        cmocka_unit_test(values_are_escaped_and_quoted),
        cmocka_unit_test(a_value_that_does_not_fit_is_cut_and_later_pairs_are_left_out),
        cmocka_unit_test(fields_never_run_over_whatever_the_value),
        cmocka_unit_test(fields_read_back_as_written),
        cmocka_unit_test(every_sink_is_given_the_event_in_order),
        cmocka_unit_test(a_forgotten_escape_forges_no_line),
        cmocka_unit_test(text_and_fields_stay_within_the_longest_line),
        cmocka_unit_test(a_workers_output_is_not_kept),
    };
    return cmocka_run_group_tests_name("events", tests, NULL, NULL) != 0;
}
