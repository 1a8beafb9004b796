/* heap.c - the indexed binary min-heap. */
#include "supervisor/core/heap.h"

static void heap_rise(struct heap *, uint32_t at);
static void heap_sink(struct heap *, uint32_t at);

void
heap_set(struct heap *heap, uint32_t node, uint64_t key)
{
    assert(node < heap->nodes_max);

    uint32_t place = heap->places[node];
    if (place == 0) {
        assert(heap->len < heap->nodes_max);
        heap->entries[heap->len] = (struct heap_entry){.key = key, .node = node};
        heap->places[node] = ++heap->len;
        heap_rise(heap, heap->len - 1);
        return;
    }
    uint64_t before = heap->entries[place - 1].key;
    heap->entries[place - 1].key = key;
    if (key < before)
        heap_rise(heap, place - 1);
    else if (key > before)
        heap_sink(heap, place - 1);
}

void
heap_remove(struct heap *heap, uint32_t node)
{
    assert(node < heap->nodes_max);

    uint32_t place = heap->places[node];
    if (place == 0)
        return;
    heap->places[node] = 0;
    heap->len--;
    if (place - 1 == heap->len)
        return;
    heap->entries[place - 1] = heap->entries[heap->len];
    heap->places[heap->entries[place - 1].node] = place;
    heap_rise(heap, place - 1);
    heap_sink(heap, place - 1);
}

static bool
heap_less(const struct heap *heap, uint32_t a, uint32_t b)
{
    const struct heap_entry *x = &heap->entries[a], *y = &heap->entries[b];
    return x->key != y->key ? x->key < y->key : x->node < y->node;
}

bool
heap_is_sound(const struct heap *heap)
{
    for (uint32_t i = 0; i < heap->len; i++) {
        if (heap->places[heap->entries[i].node] != i + 1)
            return false;
        if (i > 0 && heap_less(heap, i, (i - 1) / 2))
            return false;
    }
    return true;
}

static void
heap_swap(struct heap *heap, uint32_t a, uint32_t b)
{
    struct heap_entry entry = heap->entries[a];
    heap->entries[a] = heap->entries[b];
    heap->entries[b] = entry;
    heap->places[heap->entries[a].node] = a + 1;
    heap->places[heap->entries[b].node] = b + 1;
}

static void
heap_rise(struct heap *heap, uint32_t at)
{
    while (at > 0 && heap_less(heap, at, (at - 1) / 2)) {
        heap_swap(heap, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

static void
heap_sink(struct heap *heap, uint32_t at)
{
    for (;;) {
        uint32_t least = at, left = 2 * at + 1, right = left + 1;
        if (left < heap->len && heap_less(heap, left, least))
            least = left;
        if (right < heap->len && heap_less(heap, right, least))
            least = right;
        if (least == at)
            return;
        heap_swap(heap, at, least);
        at = least;
    }
}
