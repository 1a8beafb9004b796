/* test_state.c - the memfd that outlives the engine: what is saved comes back, torn or foreign bytes do
 * no harm. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "supervisor/engine/events.h"
#include "supervisor/engine/state.h"

static const struct pool_settings settings = {
    .workers_min = 2,
    .workers_max = 2,
    .surge = 1,
    .max_failures = 5,
    .ready = READY_NOTIFY,
    .overlap = 1,
    .rapid_fail = 1,
    .startup_timeout_ms = 90000,
    .shutdown_timeout_ms = 90000,
    .failure_interval_ms = 300000,
    .failure_delay_ms = 200,
    .failure_delay_max_ms = 30000,
};

struct world {
    struct core_limits limits;
    struct core *core;
    size_t core_bytes;
    struct action_list actions;
    struct state *state;
    int memfd; /* a duplicate that outlives the state */
    bool restorable;
};

static struct core *
fresh_core(struct world *world)
{
    world->core_bytes = core_size(&world->limits);
    void *memory =
        mmap(NULL, world->core_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    return core_init(memory, &world->limits);
}

/* memfd -1: a fresh one. */
static void
world_open(struct world *world, int memfd, uint32_t pools)
{
    memset(world, 0, sizeof *world);
    world->limits = (struct core_limits){
        .pools_max = pools, .workers_max = pools * 5, .starts_max = 4, .seed = 7};
    world->core = fresh_core(world);
    world->actions.cap = core_actions_max(&world->limits);
    world->actions.v = calloc(world->actions.cap, sizeof *world->actions.v);
    world->memfd = memfd >= 0 ? memfd : memfd_create("state", MFD_CLOEXEC);
    assert_true(world->memfd >= 0);
    int fd = fcntl(world->memfd, F_DUPFD_CLOEXEC, 0);
    assert_int_equal(
        state_open(&world->state, fd, &world->limits, world->core, &world->restorable, NULL), 0);
}

/* Leaves the memfd, as an engine that dies does. Returns it. */
static int
world_die(struct world *world)
{
    state_close(&world->state);
    munmap(world->core, world->core_bytes);
    free(world->actions.v);
    return world->memfd;
}

static void
feed(struct world *world, struct event event)
{
    core_step(world->core, &event, &world->actions);
    state_save(world->state, world->core);
}

/* Two pools up, one worker of which dies and one of which is recycled half way. */
static void
live_a_little(struct world *world)
{
    msec now = 1000;
    for (uint32_t pool = 0; pool < world->limits.pools_max; pool++) {
        feed(world,
             (struct event){
                 .now = now, .kind = EV_POOL_ADD, .worker.pool = pool, .settings = &settings});
        feed(world, (struct event){.now = now, .kind = EV_POOL_START, .worker.pool = pool});
        for (uint32_t slot = 0; slot < 2; slot++) {
            struct worker_id id = {pool, slot, slot + 1};
            feed(world, (struct event){.now = now += 3, .kind = EV_SPAWNED, .worker = id});
            feed(world, (struct event){.now = now += 3, .kind = EV_EXECUTED, .worker = id});
            feed(world, (struct event){.now = now += 3, .kind = EV_READY, .worker = id});
        }
    }
    feed(world,
         (struct event){
             .now = now += 50, .kind = EV_EXITED, .worker = {0, 1, 2}, .status = {EXIT_SIGNAL, 9}});
    feed(world, (struct event){.now = now += 50,
                               .kind = EV_POOL_RECYCLE,
                               .worker.pool = 1,
                               .cause = CAUSE_ON_DEMAND});
}

static void
what_was_saved_step_by_step_comes_back_with_the_same_future(void **state)
{
    (void)state;
    struct world before, after;
    world_open(&before, -1, 2);
    assert_false(before.restorable);
    live_a_little(&before);
    uint64_t digest = core_digest(before.core);
    world_open(&after, world_die(&before), 2);
    assert_true(after.restorable);
    assert_int_equal(state_restore(after.state, after.core, 2000, NULL), 0);
    assert_int_equal(core_digest(after.core), digest);
    assert_null(core_check(after.core));
    close(world_die(&after));
}

static void
the_state_of_a_core_with_other_room_is_not_taken_over(void **state)
{
    (void)state;
    struct world before, after;
    world_open(&before, -1, 2);
    live_a_little(&before);
    world_open(&after, world_die(&before), 3);
    assert_false(after.restorable);
    /* ... and what it left does not mix with what is written from now on. */
    uint64_t empty = core_digest(after.core);
    int memfd = world_die(&after);
    world_open(&after, memfd, 3);
    assert_true(after.restorable);
    assert_int_equal(state_restore(after.state, after.core, 2000, NULL), 0);
    assert_int_equal(core_digest(after.core), empty);
    close(world_die(&after));
}

static void
a_worker_s_address_outlives_the_engine_and_is_nobody_else_s(void **state)
{
    (void)state;
    struct world before, after;
    char name[STATE_NAME_MAX];
    const struct worker_id id = {1, 0, 3}, next = {1, 0, 4}, other = {0, 0, 3};
    world_open(&before, -1, 2);
    assert_int_equal(state_address(before.state, 9, id, name), 0);
    state_address_keep(before.state, 8, next,
                       "\0"
                       "0000b",
                       6);
    state_address_keep(before.state, 9, id,
                       "\0"
                       "0000a",
                       6);
    world_open(&after, world_die(&before), 2);
    assert_true(after.restorable);
    assert_int_equal(state_address(after.state, 9, id, name), 6);
    assert_memory_equal(name,
                        "\0"
                        "0000a",
                        6);
    assert_int_equal(state_address(after.state, 9, next, name), 0);
    assert_int_equal(state_address(after.state, 9, other, name), 0);
    assert_int_equal(state_address(after.state, 8, id, name), 0);
    /* It has moved to where there is no room for: the older name would be wrong. */
    state_address_keep(after.state, 9, id, "/run/worker", 11);
    assert_int_equal(state_address(after.state, 9, id, name), 0);
    state_address_keep(after.state, 9, id,
                       "\0"
                       "0000c",
                       6);
    state_reset(after.state);
    assert_int_equal(state_address(after.state, 9, id, name), 0);
    close(world_die(&after));
}

/* Whatever byte is wrong, restoring either fails with a reason or gives a core that holds together. */
static void
a_wrong_byte_anywhere_is_refused_or_harmless(void **state)
{
    (void)state;
    struct world before, after;
    world_open(&before, -1, 2);
    live_a_little(&before);
    int memfd = world_die(&before);
    struct stat st;
    assert_int_equal(fstat(memfd, &st), 0);
    off_t records_at = (off_t)(64 + (events_ring_size() + 4095) / 4096 * 4096);
    unsigned refused = 0, taken = 0;
    for (off_t at = 0; at < st.st_size; at += at < 64 ? 1 : 7) {
        if (at >= 64 && at < records_at)
            at = records_at; /* the event ring has a test of its own */
        unsigned char byte, wrong;
        assert_int_equal(pread(memfd, &byte, 1, at), 1);
        wrong = byte ^ 0x55;
        assert_int_equal(pwrite(memfd, &wrong, 1, at), 1);
        /* A header that is refused empties the records: that one is tried on a copy. */
        int copy = memfd_create("copy", MFD_CLOEXEC);
        char bytes[4096];
        for (off_t i = 0; i < st.st_size; i += (off_t)sizeof bytes) {
            ssize_t n = pread(memfd, bytes, sizeof bytes, i);
            assert_int_equal(pwrite(copy, bytes, (size_t)n, i), n);
        }
        world_open(&after, copy, 2);
        if (after.restorable && state_restore(after.state, after.core, 2000, NULL) == 0) {
            assert_null(core_check(after.core));
            taken++;
        } else {
            refused++;
        }
        close(world_die(&after));
        assert_int_equal(pwrite(memfd, &byte, 1, at), 1);
        if (st.st_size > 1 << 20 && at > records_at + 16384)
            break; /* the records of two pools lie in the first pages; the rest is untouched */
    }
    assert_true(refused > 0 && taken > 0);
    close(memfd);
}

static void
pools_that_do_nothing_cost_no_memory(void **state)
{
    (void)state;
    struct world world;
    struct stat st;
    world_open(&world, -1, 5000);
    assert_int_equal(fstat(world.memfd, &st), 0);
    assert_true(st.st_blocks * 512 <= 64 * 1024);
    for (uint32_t pool = 0; pool < 5000; pool++)
        feed(&world,
             (struct event){
                 .now = 1000, .kind = EV_POOL_ADD, .worker.pool = pool, .settings = &settings});
    assert_int_equal(fstat(world.memfd, &st), 0);
    assert_true(st.st_blocks * 512 / 5000 <= 512); /* two copies of a pool's record */
    close(world_die(&world));
}

/* Room for pools and workers that are still to come is never looked at, so it is never given pages. */
static void
restoring_touches_no_record_that_was_never_written(void **state)
{
    (void)state;
    struct world before, after;
    struct stat then, now;
    world_open(&before, -1, 5000);
    for (uint32_t pool = 0; pool < 50; pool++)
        feed(&before,
             (struct event){
                 .now = 1000, .kind = EV_POOL_ADD, .worker.pool = pool, .settings = &settings});
    assert_int_equal(fstat(before.memfd, &then), 0);
    uint64_t digest = core_digest(before.core);
    world_open(&after, world_die(&before), 5000);
    assert_true(after.restorable);
    assert_int_equal(state_restore(after.state, after.core, 2000, NULL), 0);
    assert_int_equal(core_digest(after.core), digest);
    assert_int_equal(fstat(after.memfd, &now), 0);
    assert_true(now.st_blocks - then.st_blocks <= 4 * 8); /* the pages that records end in */
    close(world_die(&after));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_saved_step_by_step_comes_back_with_the_same_future),
        cmocka_unit_test(the_state_of_a_core_with_other_room_is_not_taken_over),
        cmocka_unit_test(a_worker_s_address_outlives_the_engine_and_is_nobody_else_s),
        cmocka_unit_test(a_wrong_byte_anywhere_is_refused_or_harmless),
        cmocka_unit_test(pools_that_do_nothing_cost_no_memory),
        cmocka_unit_test(restoring_touches_no_record_that_was_never_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
