/* event_ring.c - the last EVENTS_RING events, in memory that outlives the engine. */
#include "supervisor/engine/event_ring.h"

#include <string.h>

#include "common/hash.h"
#include "common/text.h"

#define RING_MAGIC   "poold.ev"
#define RING_VERSION 1u
#define RECORD_SIZE  256u
#define POOL_MAX     64u /* a pool's name, as the loader allows it */

struct ring_record {
    uint64_t seq; /* 0: empty, or being written */
    int64_t wall_ms;
    struct worker_id worker;
    uint16_t id;
    uint8_t severity;
    uint8_t pool_len;
    uint16_t text_len;
    uint16_t fields_len;
    uint32_t checksum;           /* of all of the record that is used, but for itself */
    char data[RECORD_SIZE - 40]; /* pool, text, fields, a NUL after each */
};
_Static_assert(sizeof(struct ring_record) == RECORD_SIZE, "a record has no padding");

struct ring_memory {
    char magic[8]; /* stored last */
    uint32_t version;
    uint32_t records;
    uint32_t record_size;
    uint32_t reserved[11];
    struct ring_record v[EVENTS_RING];
};

size_t
event_ring_size(void)
{
    return sizeof(struct ring_memory);
}

/* Memory that is fresh is left untouched but for its head, so that it costs no pages yet. */
static void
ring_format(struct ring_memory *memory)
{
    static const char zero[offsetof(struct ring_memory, v)];
    if (memcmp(memory, zero, sizeof zero) != 0) {
        memset(memory->magic, 0, sizeof memory->magic);
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        memset(memory->v, 0, sizeof memory->v);
    }
    memory->version = RING_VERSION;
    memory->records = EVENTS_RING;
    memory->record_size = RECORD_SIZE;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    memcpy(memory->magic, RING_MAGIC, sizeof memory->magic);
}

static bool
is_ring(const struct ring_memory *memory)
{
    return memcmp(memory->magic, RING_MAGIC, sizeof memory->magic) == 0 &&
           memory->version == RING_VERSION && memory->records == EVENTS_RING &&
           memory->record_size == RECORD_SIZE;
}

/* Of the record as it is when number seq is stored. */
static uint32_t
record_checksum(const struct ring_record *record, uint64_t seq)
{
    size_t used = (size_t)record->pool_len + record->text_len + record->fields_len + 3;
    uint64_t hash = hash_bytes(HASH_START, &seq, sizeof seq);
    hash = hash_bytes(hash, (const char *)record + sizeof seq,
                      offsetof(struct ring_record, checksum) - sizeof seq);
    return (uint32_t)hash_mix(hash_bytes(hash, record->data, used));
}

/* Whether event_ring_keep has written it to its end. An event that is not in this catalogue (of a
 * newer engine, after a step back) cannot be shown either. */
static bool
is_record(const struct ring_record *record)
{
    const struct event_row *row = event_row(record->id);
    size_t used = (size_t)record->pool_len + record->text_len + record->fields_len + 3;
    return record->seq != 0 && row != NULL && row->severity == record->severity &&
           used <= sizeof record->data && record->checksum == record_checksum(record, record->seq);
}

void
event_ring_open(struct event_ring *ring, void *memory)
{
    *ring = (struct event_ring){.memory = memory, .first = 1, .next = 1};
    if (!is_ring(ring->memory)) {
        ring_format(ring->memory);
        return;
    }
    uint64_t least = UINT64_MAX, largest = 0;
    for (uint64_t i = 0; i < EVENTS_RING; i++) {
        struct ring_record *record = &ring->memory->v[i];
        if (!is_record(record)) {
            if (record->seq != 0) /* a record that was never written costs no page */
                record->seq = 0;
            continue;
        }
        least = MIN(least, record->seq);
        largest = MAX(largest, record->seq);
    }
    if (largest == 0)
        return;
    ring->next = largest + 1;
    ring->first = MAX(least, ring->next - MIN(ring->next - 1, EVENTS_RING));
}

/* One of the three texts of a record; returns where the next begins. Cut ones get their mark. */
static char *
put_text(char *to, const char *text, size_t len)
{
    memcpy(to, text, len);
    to[len] = '\0';
    return to + len + 1;
}

uint64_t
event_ring_keep(struct event_ring *ring, const struct event_seen *seen)
{
    uint64_t seq = ring->next;
    struct ring_record *record = &ring->memory->v[seq % EVENTS_RING];
    char fields[sizeof record->data];
    size_t pool = strnlen(seen->pool, POOL_MAX), text;
    size_t fields_len = event_fit(seen, sizeof record->data - pool - 3, fields, &text);

    __atomic_store_n(&record->seq, 0, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    record->wall_ms = seen->wall_ms;
    record->worker = seen->worker;
    record->id = seen->id;
    record->severity = seen->severity;
    char *at = put_text(record->data, seen->pool, pool);
    char *kept = at;
    at = put_text(at, seen->text, text);
    if (seen->text[text] != '\0' && text >= 3) {
        text = text_cut(kept, text, text);
        at = kept + text + 1;
    }
    put_text(at, fields, fields_len);
    record->pool_len = (uint8_t)pool;
    record->text_len = (uint16_t)text;
    record->fields_len = (uint16_t)fields_len;
    record->checksum = record_checksum(record, seq);
    __atomic_store_n(&record->seq, seq, __ATOMIC_RELEASE);

    ring->next++;
    if (ring->next - ring->first > EVENTS_RING)
        ring->first = ring->next - EVENTS_RING;
    return seq;
}

bool
event_ring_get(const struct event_ring *ring, uint64_t seq, struct event_seen *out)
{
    if (seq < ring->first || seq >= ring->next)
        return false;
    const struct ring_record *record = &ring->memory->v[seq % EVENTS_RING];
    if (record->seq != seq)
        return false;
    const char *text = record->data + record->pool_len + 1;
    *out = (struct event_seen){
        .seq = seq,
        .wall_ms = record->wall_ms,
        .id = record->id,
        .severity = record->severity,
        .pool = record->data,
        .worker = record->worker,
        .text = text,
        .fields = text + record->text_len + 1,
    };
    return true;
}
