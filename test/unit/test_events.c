/* test_events.c - claims about events: the catalogue, the fields, the ring and the sinks.
 *
 * `test_events --manual` prints the list of events as poold-events(7) must have it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/engine/event_ring.h"
#include "supervisor/engine/events.h"

#define MANUAL       "man/poold-events.7" /* tests run in the top of the tree */
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

/* What every event has may not be the key of a field: the two stand in one line. */
static void
no_field_has_a_key_that_every_event_has(void **state)
{
    (void)state;
    static const char *const taken[] = {"seq", "time", "id", "name", "severity", "pool", "worker"};
    size_t count;
    const struct event_row *rows = event_rows(&count);
    for (size_t i = 0; i < count; i++) {
        char keys[256];
        assert_true(strlen(rows[i].fields) < sizeof keys);
        strcpy(keys, rows[i].fields);
        for (char *save, *key = strtok_r(keys, " ", &save); key; key = strtok_r(NULL, " ", &save))
            for (size_t j = 0; j < ARRAY_LEN(taken); j++)
                assert_string_not_equal(key, taken[j]);
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

/* --- the ring */

static void
emit_number(struct events *events, unsigned number)
{
    struct event_fields fields = {0};
    fields_number(&fields, "pid", number);
    events_emit(events, EVENT_WORKER_READY, "pool-name", (struct worker_id){1, 2, number}, &fields,
                "event %u of the test", number);
}

static void
expect_number(const struct events *events, uint64_t seq, unsigned number)
{
    struct event_seen seen;
    char text[64], pairs[32];
    snprintf(text, sizeof text, "event %u of the test", number);
    snprintf(pairs, sizeof pairs, "pid=%u", number);
    assert_true(events_get(events, seq, &seen));
    assert_int_equal(seen.seq, seq);
    assert_int_equal(seen.id, EVENT_WORKER_READY);
    assert_int_equal(seen.severity, EVENT_INFO);
    assert_int_equal(seen.worker.generation, number);
    assert_string_equal(seen.pool, "pool-name");
    assert_string_equal(seen.text, text);
    assert_string_equal(seen.fields, pairs);
    assert_true(seen.wall_ms > 1500000000000);
}

static void
the_ring_keeps_the_last_events(void **state)
{
    (void)state;
    void *ring = ring_alloc();
    struct events *events = create(ring);
    struct event_seen seen;
    assert_false(events_get(events, 0, &seen));
    assert_false(events_get(events, 1, &seen));
    for (unsigned i = 1; i <= EVENTS_RING + 10; i++)
        emit_number(events, i);
    assert_int_equal(events_first(events), 11);
    assert_int_equal(events_next(events), EVENTS_RING + 11);
    for (unsigned i = 11; i <= EVENTS_RING + 10; i++)
        expect_number(events, i, i);
    assert_false(events_get(events, 10, &seen));
    assert_false(events_get(events, EVENTS_RING + 11, &seen));
    events_destroy(&events);
    free(ring);
}

static void
numbers_go_on_in_the_next_engine(void **state)
{
    (void)state;
    void *ring = ring_alloc();
    const unsigned counts[] = {1, 5, EVENTS_RING - 7, 3, EVENTS_RING * 2};
    unsigned number = 0;
    for (size_t life = 0; life < ARRAY_LEN(counts); life++) {
        struct events *events = create(ring);
        assert_int_equal(events_next(events), number + 1);
        for (unsigned i = 0; i < counts[life]; i++)
            emit_number(events, ++number);
        uint64_t first = number > EVENTS_RING ? number - EVENTS_RING + 1 : 1;
        assert_int_equal(events_first(events), first);
        for (uint64_t seq = first; seq <= number; seq++)
            expect_number(events, seq, (unsigned)seq);
        events_destroy(&events);
    }
    free(ring);
}

static void
what_does_not_fit_a_record_is_cut_but_both_parts_stay(void **state)
{
    (void)state;
    void *ring = ring_alloc();
    struct events *events = create(ring);
    struct event_fields fields = {0};
    fields_number(&fields, "pid", 4121);
    fields_string(&fields, "output",
                  "a \"long\" line that a worker wrote, of which nothing can be kept "
                  "because it is longer than all the room that there is in here");
    char pool[65];
    memset(pool, 'p', 64);
    pool[64] = '\0';
    events_emit(events, EVENT_WORKER_DIED, pool, nobody, &fields, "%0200d", 1);
    struct event_seen seen;
    assert_true(events_get(events, 1, &seen));
    assert_string_equal(seen.pool, pool);
    assert_string_equal(seen.fields, "pid=4121");
    assert_true(strlen(seen.text) > 130);
    assert_string_equal(seen.text + strlen(seen.text) - 3, "...");
    events_destroy(&events);
    free(ring);
}

static void
memory_that_is_no_ring_is_emptied(void **state)
{
    (void)state;
    unsigned char *ring = ring_alloc();
    memset(ring, 0xa5, events_ring_size());
    struct events *events = create(ring);
    assert_int_equal(events_next(events), 1);
    emit_number(events, 1);
    events_destroy(&events);
    events = create(ring);
    expect_number(events, 1, 1);
    assert_int_equal(events_next(events), 2);
    events_destroy(&events);
    free(ring);
}

/* Every byte of a record in turn is made something else: the record is left out, unless nobody reads
 * that byte, and its neighbours are as before. */
static void
a_spoiled_record_is_left_out_and_harms_no_other(void **state)
{
    (void)state;
    unsigned char *ring = ring_alloc();
    struct events *events = create(ring);
    for (unsigned i = 1; i <= 3; i++)
        emit_number(events, i);
    events_destroy(&events);
    unsigned char *copy = ring_alloc();
    const size_t second = events_ring_size() - (EVENTS_RING - 2) * 256;
    const size_t used = 40 + sizeof "pool-name" + sizeof "event 2 of the test" + sizeof "pid=2";
    for (size_t i = 0; i < 256; i++) {
        memcpy(copy, ring, events_ring_size());
        copy[second + i] ^= 0xff;
        events = create(copy);
        struct event_seen seen;
        assert_int_equal(events_get(events, 2, &seen), i >= used);
        expect_number(events, 1, 1);
        expect_number(events, 3, 3);
        assert_int_equal(events_next(events), 4);
        events_destroy(&events);
    }
    free(copy);
    free(ring);
}

/* Steps a child that emits two events over a ring that is full, instruction by instruction, and opens
 * a copy of the ring after each step that changed it, as the next engine would. */
static void
a_kill_at_any_instruction_leaves_a_whole_ring(void **state)
{
    (void)state;
    const size_t size = events_ring_size();
    unsigned char *ring =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(ring, MAP_FAILED);
    unsigned char *before = ring_alloc(), *copy = ring_alloc();
    struct events *events = create(ring);
    for (unsigned i = 1; i <= EVENTS_RING + 5; i++)
        emit_number(events, i);
    pid_t pid = fork();
    if (pid == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        emit_number(events, EVENTS_RING + 6);
        emit_number(events, EVENTS_RING + 7);
        raise(SIGSTOP);
        _exit(0);
    }
    assert_true(pid > 0);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    unsigned long steps = 0, changes = 0, torn = 0;
    uint64_t next = EVENTS_RING + 6;
    for (;;) {
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSTOPPED(status));
        if (WSTOPSIG(status) == SIGSTOP)
            break;
        steps++;
        if (memcmp(before, ring, size) == 0)
            continue;
        memcpy(before, ring, size);
        memcpy(copy, ring, size);
        changes++;
        struct events *next_engine = create(copy);
        assert_true(events_next(next_engine) == next || events_next(next_engine) == next + 1);
        next = events_next(next_engine);
        struct event_seen seen;
        for (uint64_t seq = events_first(next_engine); seq < next; seq++)
            expect_number(next_engine, seq, (unsigned)seq);
        torn += !events_get(next_engine, next - EVENTS_RING, &seen);
        events_destroy(&next_engine);
    }
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(next, EVENTS_RING + 8);
    assert_true(steps > 1000);
    assert_true(changes > 20);
    assert_true(torn > 10); /* the oldest is gone while its place is written */
    events_destroy(&events);
    munmap(ring, size);
    free(before);
    free(copy);
}

int
main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--manual") == 0) {
        print_manual_list(stdout);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_catalogue_is_in_order_and_has_no_name_twice),
        cmocka_unit_test(no_field_has_a_key_that_every_event_has),
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
        cmocka_unit_test(the_ring_keeps_the_last_events),
        cmocka_unit_test(numbers_go_on_in_the_next_engine),
        cmocka_unit_test(what_does_not_fit_a_record_is_cut_but_both_parts_stay),
        cmocka_unit_test(memory_that_is_no_ring_is_emptied),
        cmocka_unit_test(a_spoiled_record_is_left_out_and_harms_no_other),
        cmocka_unit_test(a_kill_at_any_instruction_leaves_a_whole_ring),
    };
    return cmocka_run_group_tests_name("events", tests, NULL, NULL) != 0;
}
