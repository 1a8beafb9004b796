/* test_event_ring.c - claims about the ring of events: what it keeps, and what the next engine
 * finds after any end of the one before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/engine/events.h"

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
    assert_string_equal(seen.fields,
                        "pid=4121 output=\"a \\x22long\\x22 line that a worker wrote, of "
                        "which not...\"");
    assert_int_equal(strlen(seen.text) + strlen(seen.fields), 216 - 64 - 3);
    assert_string_equal(seen.text + strlen(seen.text) - 3, "...");
    events_destroy(&events);
    free(ring);
}

/* Whatever the room: what is kept of the fields reads back, and no escape is broken. */
static void
a_cut_value_is_well_formed_wherever_it_is_cut(void **state)
{
    (void)state;
    struct event_fields fields = {0};
    fields_number(&fields, "pid", 4121);
    fields_string(&fields, "last_line",
                  "\"\"\"\xc3\xa4\xc3\xa4\x1b[31m \"\"\"\"\"\"\"\"\"\"\"\"\"");
    struct event_seen seen = {.pool = "", .text = "", .fields = fields.text};
    uint32_t cut = 0;
    for (size_t room = 0; room <= fields.len; room++) {
        char kept[sizeof fields.text + 1];
        size_t text, len = event_fit(&seen, room, kept, &text);
        assert_true(len <= room);
        assert_int_equal(strlen(kept), len);
        if (len <= strlen("pid=4121"))
            continue;
        struct field_pair pair;
        const char *at = kept;
        assert_true(fields_next(&at, &pair) && fields_next(&at, &pair));
        assert_string_equal(at, ""); /* the quote is closed */
        if (room == fields.len) {
            assert_string_equal(kept, fields.text);
            continue;
        }
        cut++;
        assert_true(pair.value_len >= 24);
        const char *end = pair.value + pair.value_len - 3;
        assert_memory_equal(end, "...", 3);
        assert_memory_equal(kept, fields.text, (size_t)(end - kept));
        assert_int_not_equal((unsigned char)end[0] & 0xc0, 0x80);
        for (int back = 1; back <= 3; back++)
            assert_false(end[-back] == '\\');
    }
    assert_true(cut > 20);
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

/* Every byte of a record in turn is made something else: the record is left out, unless nobody
 * reads that byte, and its neighbours are as before. */
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

/* Steps a child that emits two events over a ring that is full, instruction by instruction, and
 * opens a copy of the ring after each step that changed it, as the next engine would. */
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
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ring_keeps_the_last_events),
        cmocka_unit_test(numbers_go_on_in_the_next_engine),
        cmocka_unit_test(what_does_not_fit_a_record_is_cut_but_both_parts_stay),
        cmocka_unit_test(a_cut_value_is_well_formed_wherever_it_is_cut),
        cmocka_unit_test(memory_that_is_no_ring_is_emptied),
        cmocka_unit_test(a_spoiled_record_is_left_out_and_harms_no_other),
        cmocka_unit_test(a_kill_at_any_instruction_leaves_a_whole_ring),
    };
    return cmocka_run_group_tests_name("event_ring", tests, NULL, NULL) != 0;
}
