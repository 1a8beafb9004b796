/* test_core_save.c - the core's records survive it, and a new core carries on. */
#include "test/unit/core_builder.h"

static void
a_restored_core_has_the_same_digest_and_deadline(void **state)
{
    (void)state;
    given_core(1, 12, 4);
    given_pool(0, .workers_min = 3);
    given_pool_is_started(0, 3);
    when_pool(0, .kind = EV_POOL_RECYCLE, .cause = CAUSE_ON_DEMAND);
    then_told(1079);
    then_to(ACT_SPAWN, 0, 4);
    uint64_t digest = core_digest(given.core);
    msec deadline = core_deadline(given.core);
    assert_int_equal(when_engine_dies(0), 0);
    assert_int_equal(core_digest(given.core), digest);
    assert_int_equal(core_deadline(given.core), deadline);
}

static void
touched_records_are_those_that_a_step_changed(void **state)
{
    (void)state;
    given_core(3, 12, 4);
    for (uint32_t i = 0; i < 3; i++)
        given_pool(i);
    core_touched_clear(given.core);
    when_pool(1, .kind = EV_POOL_STOP); /* stopped already */
    uint32_t records[32];
    assert_int_equal(core_touched(given.core, records, 32), 0);
    when_pool(1, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_SPAWN, 0, 1);
    /* The global record (a ticket of the queue), pool 1, and the first worker. */
    assert_int_equal(core_touched(given.core, records, 32), 3);
    uint32_t sum = records[0] + records[1] + records[2];
    assert_int_equal(sum, 0 + (1 + 1) + (1 + 3 * 3));
}

static void
a_recycle_goes_on_in_a_new_engine(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0);
    given_pool_is_started(0, 1);
    when_pool(0, .kind = EV_POOL_RECYCLE, .cause = CAUSE_ON_DEMAND);
    then_told(1079);
    then_to(ACT_SPAWN, 0, 2);
    given_worker_runs(0, 0, 2);
    assert_int_equal(when_engine_dies(1000), 0);
    when_listed(0, 1);
    when_listed(0, 2);
    when_pool(0, .kind = EV_POOL_RESUME);
    then_nothing();
    when_worker(0, 0, 2, .kind = EV_READY);
    then_told(6021);
    then_to(ACT_DRAIN, 0, 1);
}

static void
a_new_engine_asks_again_for_what_may_be_lost(void **state)
{
    (void)state;
    given_core(1, 12, 4);
    given_pool(0, .workers_min = 2);
    given_pool_is_started(0, 2);
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = signal_9);
    then_told(1009);
    then_to(ACT_RELEASE, 0, 1);
    then_to(ACT_SPAWN, 0, 3);
    assert_int_equal(when_engine_dies(100), 0);
    when_worker(0, 0, 1, .kind = EV_LISTED); /* RELEASE was lost */
    when_worker(0, 0, 1, .kind = EV_SPAWNED);
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = signal_9);
    then_to(ACT_RELEASE, 0, 1);
    when_listed(1, 2);
    when_pool(0, .kind = EV_POOL_RESUME);
    then_to(ACT_SPAWN, 0, 3); /* SPAWN was lost */
    then_nothing();
}

static void
a_drain_is_asked_for_again_with_what_is_left_of_its_time(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0);
    given_pool_is_started(0, 1);
    when_pool(0, .kind = EV_POOL_STOP);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_DRAIN, 0, 1);
    assert_int_equal(when_engine_dies(1500), 0);
    when_listed(0, 1);
    when_pool(0, .kind = EV_POOL_RESUME);
    assert_int_equal(then_to(ACT_DRAIN, 0, 1)->limit_ms, 58500);
}

static void
a_worker_that_the_keeper_does_not_know_has_ended_somehow(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0);
    given_pool_is_started(0, 1);
    assert_int_equal(when_engine_dies(100), 0);
    when_pool(0, .kind = EV_POOL_RESUME);
    assert_int_equal(then_told(1009)->status.kind, EXIT_UNKNOWN);
    then_to(ACT_RELEASE, 0, 1);
    then_to(ACT_SPAWN, 0, 2);
}

static void
a_deadline_that_passed_while_no_engine_lived_is_kept(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0);
    when_pool(0, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_SPAWN, 0, 1);
    given_worker_runs(0, 0, 1);
    assert_int_equal(when_engine_dies(100000), 0);
    when_listed(0, 1);
    when_pool(0, .kind = EV_POOL_RESUME);
    assert_true(core_deadline(given.core) <= given.now);
    when((struct event){.kind = EV_TICK});
    then_told(1012);
    then_to(ACT_KILL, 0, 1);
    then_to(ACT_SPAWN, 0, 2);
}

/* See the simulator's kept seed 382. */
static void
a_back_off_that_passed_while_no_engine_lived_is_over(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0);
    when_pool(0, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_to(ACT_SPAWN, 0, 1);
    for (uint32_t generation = 1; generation <= 2; generation++) {
        when_worker(0, 0, generation, .kind = EV_SPAWN_FAILED, .step = 4, .error = 11);
        then_told(1022);
        if (generation == 1)
            then_to(ACT_SPAWN, 0, 2);
    }
    assert_int_equal(when_engine_dies(100000), 0);
    assert_true(core_deadline(given.core) <= given.now);
    when((struct event){.kind = EV_TICK});
    then_to(ACT_SPAWN, 0, 3);
}

/* --- A lost state. */

static void
given_lost_state(void)
{
    free(given.core);
    given.core = core_init(calloc(1, core_size(&given.limits)), &given.limits);
}

static void
workers_without_a_record_are_taken_in_and_serve_on(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_lost_state();
    given_pool(0);
    when_worker(0, 0, 7, .kind = EV_LISTED);
    then_action(ACT_POOL_CHANGED);
    when_worker(0, 0, 7, .kind = EV_SPAWNED);
    then_told(6020);
    when_worker(0, 0, 7, .kind = EV_EXECUTED);
    then_told(6021);
    when_pool(0, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    when_pool(0, .kind = EV_POOL_RESUME);
    then_action(ACT_POOL_CHANGED);
    then_action(ACT_POOL_CHANGED);
    then_told(6010);
    then_nothing();
    when_worker(0, 0, 7, .kind = EV_EXITED, .status = signal_9);
    then_told(1009);
    then_to(ACT_RELEASE, 0, 7);
    then_to(ACT_SPAWN, 0, 8);
}

static void
of_two_workers_in_one_slot_the_newer_one_leaves(void **state)
{
    (void)state;
    given_core(1, 8, 4);
    given_pool(0);
    for (uint32_t generation = 5; generation >= 4; generation--) {
        when_worker(0, 0, generation, .kind = EV_LISTED);
        if (generation == 5)
            then_action(ACT_POOL_CHANGED);
        when_worker(0, 0, generation, .kind = EV_SPAWNED);
        then_told(6020);
        when_worker(0, 0, generation, .kind = EV_EXECUTED);
        then_told(6021);
    }
    when_pool(0, .kind = EV_POOL_START);
    then_action(ACT_POOL_CHANGED);
    when_pool(0, .kind = EV_POOL_RESUME);
    then_action(ACT_POOL_CHANGED);
    assert_int_equal(then_to(ACT_DRAIN, 0, 5)->cause, CAUSE_SURPLUS);
    then_action(ACT_POOL_CHANGED);
    then_told(6010);
    then_nothing();
}

static void
a_worker_that_finds_no_room_in_the_table_is_killed(void **state)
{
    (void)state;
    given_core(1, 1, 4);
    given_pool(0);
    when_worker(0, 0, 1, .kind = EV_LISTED);
    then_action(ACT_POOL_CHANGED);
    when_worker(0, 0, 2, .kind = EV_LISTED);
    assert_int_equal(then_to(ACT_KILL, 0, 2)->handle, NONE);
    when_worker(0, 0, 2, .kind = EV_EXITED, .status = signal_9);
    then_to(ACT_RELEASE, 0, 2);
}

/* --- Bytes that are not ours. */

static void
given_one_record(uint32_t record, unsigned char *bytes, size_t *size)
{
    given_core(1, 8, 4);
    given_pool(0);
    given_pool_is_started(0, 1);
    *size = core_record_write(given.core, record, bytes, RECORD_CAP);
    assert_true(*size > 0);
    given_lost_state();
}

static void
a_record_that_is_cut_or_too_long_is_refused(void **state)
{
    (void)state;
    static const uint32_t records[] = {0, 1, 4};
    unsigned char bytes[RECORD_CAP + 1] = {0};
    for (uint32_t i = 0; i < ARRAY_LEN(records); i++) {
        size_t size;
        given_one_record(records[i], bytes, &size);
        assert_int_equal(core_record_read(given.core, records[i], bytes, size), 0);
        assert_int_equal(core_record_read(given.core, records[i], bytes, size - 1), -22);
        assert_int_equal(core_record_read(given.core, records[i], bytes, size + 1), -22);
        assert_int_equal(core_record_read(given.core, records[i], bytes, 0), -22);
        if (i + 1 < ARRAY_LEN(records))
            given_nothing();
    }
}

static void
a_record_number_beyond_the_last_is_refused(void **state)
{
    (void)state;
    unsigned char bytes[RECORD_CAP];
    size_t size;
    given_one_record(0, bytes, &size);
    assert_int_equal(core_record_read(given.core, core_record_count(given.core), bytes, size), -22);
}

static void
a_worker_of_a_pool_without_a_record_does_not_hold_together(void **state)
{
    (void)state;
    unsigned char bytes[RECORD_CAP];
    size_t size;
    given_one_record(4, bytes, &size);
    assert_int_equal(core_record_read(given.core, 4, bytes, size), 0);
    assert_int_equal(core_restore_end(given.core, given.now), -22);
}

/* Each byte of each record is overwritten in turn: whatever is read back, nothing breaks. */
static void
no_byte_of_a_record_can_make_reading_unsafe(void **state)
{
    (void)state;
    given_core(1, 12, 4);
    given_pool(0, .workers_min = 2);
    given_pool_is_started(0, 2);
    when_worker(0, 0, 1, .kind = EV_EXITED, .status = signal_9);
    then_told(1009);
    then_to(ACT_RELEASE, 0, 1);
    then_to(ACT_SPAWN, 0, 3);
    unsigned refused = 0, tried = 0;
    void *mem = calloc(1, core_size(&given.limits));
    for (uint32_t record = 0; record < core_record_count(given.core); record++) {
        unsigned char bytes[RECORD_CAP];
        size_t size = core_record_write(given.core, record, bytes, sizeof(bytes));
        for (size_t at = 0; at < size; at++) {
            unsigned char kept = bytes[at];
            bytes[at] = 0xff;
            memset(mem, 0, core_size(&given.limits));
            struct core *core = core_init(mem, &given.limits);
            int r = 0;
            for (uint32_t i = 0; r == 0 && i < core_record_count(given.core); i++) {
                unsigned char other[RECORD_CAP];
                size_t len = core_record_write(given.core, i, other, sizeof(other));
                if (len > 0)
                    r = core_record_read(core, i, i == record ? bytes : other, len);
            }
            if (r == 0)
                r = core_restore_end(core, given.now);
            tried++;
            refused += r != 0;
            bytes[at] = kept;
        }
    }
    free(mem);
    assert_true(tried > 300 && refused > tried / 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_restored_core_has_the_same_digest_and_deadline),
        CLAIM(touched_records_are_those_that_a_step_changed),
        CLAIM(a_recycle_goes_on_in_a_new_engine),
        CLAIM(a_new_engine_asks_again_for_what_may_be_lost),
        CLAIM(a_drain_is_asked_for_again_with_what_is_left_of_its_time),
        CLAIM(a_worker_that_the_keeper_does_not_know_has_ended_somehow),
        CLAIM(a_deadline_that_passed_while_no_engine_lived_is_kept),
        CLAIM(a_back_off_that_passed_while_no_engine_lived_is_over),
        CLAIM(workers_without_a_record_are_taken_in_and_serve_on),
        CLAIM(of_two_workers_in_one_slot_the_newer_one_leaves),
        CLAIM(a_worker_that_finds_no_room_in_the_table_is_killed),
        CLAIM(a_record_that_is_cut_or_too_long_is_refused),
        CLAIM(a_record_number_beyond_the_last_is_refused),
        CLAIM(a_worker_of_a_pool_without_a_record_does_not_hold_together),
        CLAIM(no_byte_of_a_record_can_make_reading_unsafe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
