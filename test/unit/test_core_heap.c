/* test_core_heap.c - the heap gives out the least key first, whatever was done to it before. */
#include "supervisor/core/heap.h"
#include "common/prng.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* After the headers that it wants: */
#include <cmocka.h>

#define NODES 60u

struct fixture {
    struct heap heap;
    struct heap_entry entries[NODES];
    uint32_t places[NODES];
    uint64_t keys[NODES]; /* what should be in it; UINT64_MAX: not in */
};

static void
fixture_init(struct fixture *fixture)
{
    *fixture = (struct fixture){.heap.nodes_max = NODES};
    fixture->heap.entries = fixture->entries;
    fixture->heap.places = fixture->places;
    for (uint32_t i = 0; i < NODES; i++)
        fixture->keys[i] = UINT64_MAX;
}

static uint32_t
least_node(const struct fixture *fixture)
{
    uint32_t least = NONE;
    for (uint32_t i = 0; i < NODES; i++)
        if (fixture->keys[i] != UINT64_MAX &&
            (least == NONE || fixture->keys[i] < fixture->keys[least]))
            least = i;
    return least;
}

static void
the_first_node_is_always_the_one_with_the_least_key_then_number(void **state)
{
    (void)state;
    struct fixture fixture;
    struct prng prng = {.state = 7};
    fixture_init(&fixture);
    for (int i = 0; i < 20000; i++) {
        uint32_t node = (uint32_t)prng_below(&prng, NODES);
        if (prng_below(&prng, 3) == 0) {
            heap_remove(&fixture.heap, node);
            fixture.keys[node] = UINT64_MAX;
        } else {
            fixture.keys[node] = prng_below(&prng, 20);
            heap_set(&fixture.heap, node, fixture.keys[node]);
        }
        uint32_t least = least_node(&fixture);
        assert_int_equal(heap_first(&fixture.heap), least);
        assert_int_equal(heap_first_key(&fixture.heap),
                         least == NONE ? UINT64_MAX : fixture.keys[least]);
        assert_int_equal(heap_key(&fixture.heap, node), fixture.keys[node]);
        assert_true(heap_is_sound(&fixture.heap));
    }
}

static void
a_heap_out_of_order_is_not_sound(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    heap_set(&fixture.heap, 1, 10);
    heap_set(&fixture.heap, 2, 20);
    fixture.entries[0].key = 30;
    assert_false(heap_is_sound(&fixture.heap));
    fixture.entries[0].key = 10;
    fixture.places[1] = 2;
    assert_false(heap_is_sound(&fixture.heap));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_node_is_always_the_one_with_the_least_key_then_number),
        cmocka_unit_test(a_heap_out_of_order_is_not_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
